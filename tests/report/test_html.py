"""report.html says all of it on one page, fetches nothing and runs nothing, whatever things are called."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from qtnc.pipeline import Ran
from qtnc.planner.plan import Baselines, Ignored, LayerPlan, Plan
from qtnc.report.html import html_page
from qtnc.rewrite.decision import Rewritten
from qtnc.verify.verdict import Verdict

Entry = Callable[..., LayerPlan]
Plans = Callable[..., Plan]

INF = float("inf")
VOID = {"meta", "br", "hr", "img", "link", "input"}
DASH, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
TAGS = {
    *("html", "head", "meta", "title", "style", "body"),
    *("h1", "h2", "p", "div", "span", "sub", "table", "tr", "th", "td"),
}
"""All that the page is made of."""

HOSTILE = [
    "<script>alert(1)</script>",
    "\"onmouseover='alert(1)' x=\"",
    "'><img src=x onerror=alert(1)>",
    "&lt;b&gt; &amp; {{ 7 * 7 }} {% raw %}",
    "</td></table></body>",
    "<!-- ",
    "]]>",
    "a\x1b[2Jb",
    "\u202eturned",
]


class Page(HTMLParser):
    """A page read by the standard library: what is open at the end, every tag and attribute, and the cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
        if self.open and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data.strip("\n")

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def row(self, first: str) -> list[str]:
        """The one row that begins with a cell."""
        (found,) = (row for row in self.rows if row[0] == first)
        return found


def ran(*layers: Rewritten) -> tuple[Ran, ...]:
    return (Ran("matmul-to-lowrank", True, 0.25, (*layers, "another note")), Ran("lower-to-onnx", True, 1.5, ()))


def read(plan: Plan, *verdicts: Verdict, steps: Sequence[Ran] = (), sizes: dict[str, int] | None = None) -> Page:
    """Render, and fail where the page is not whole or not alone."""
    text = html_page(plan, steps, verdicts, sizes or {"torch": 2500, "onnx": 3000}, 12_345)
    for word in ("http", "//", "url(", "@import", "javascript:"):
        assert word not in text.lower()
    page = Page(text)
    assert page.open == []
    assert page.tags <= TAGS
    assert page.attributes <= {"lang", "charset", "name", "content", "class"}
    assert text.startswith("<!doctype html>\n")
    return page


def test_all_is_told(entry: Entry, dense: Entry, make_plan: Plans) -> None:
    weighted = entry(layer="down", metric="calib", baselines=Baselines(0.3, 0.2, 0.004, 0.08))
    plan = make_plan(entry(), weighted, dense(layer="head"), binds={"batch": 4, "seq": 128})
    steps = ran(Rewritten("down", "lowrank", 120, 384, 0.1875))
    verdict = Verdict("calib", 0.05, {"torch": {"y": 0.01}}, 0.0)
    page = read(plan, verdict, steps=steps)
    assert "model.onnx by spec.qtn" in page.text
    assert "1,576 parameters before, 1,312 after\n(83.2%); optimize memory; batch = 4; seq = 128." in page.text
    assert "1 layers were not claimed" in page.text
    same = [f"16{TIMES}24", "spec.qtn:5", "lowrank 3", "31.2%"]
    assert page.row("layers.0.up") == [
        *("layers.0.up", *same, DASH, "0.2500", DASH, "0.3000", "0.0040", "0.0800", f"0.31{TIMES}", f"0.50{TIMES}"),
        "rank as asked",
    ]
    assert page.row("down")[5:9] == ["0.1875", "0.2500", "0.2000", "0.3000"]
    assert page.row("head")[3:] == ["dense", "100.0%", *[DASH] * 6, f"1.00{TIMES}", DASH, "declined: it is odd"]
    assert page.row("torch") == ["torch", "2,500"]
    assert page.row("original") == ["original", "12,345"]
    assert page.row("lower-to-onnx") == ["lower-to-onnx", "1.50"]


def test_circuits_have_a_table(circuits: LayerPlan, entry: Entry, make_plan: Plans) -> None:
    page = read(make_plan(circuits, entry(), stage="hybrid"))
    assert "stage hybrid; optimize memory" in page.text
    costs = ["5+6", "4+5", "2+3", "54", "8+10", "26+57", "36,812", "5.0%", "3.0%", "100,000"]
    assert ["turned", *costs] in page.rows
    assert "Circuits" not in read(make_plan(entry())).text


@pytest.mark.parametrize(
    ("verdict", "cells"),
    [
        (Verdict("calib", 0.05, {"torch": {"y": 0.01}}, 0.0), ["1.000%", "5.000%", "holds"]),
        (Verdict("calib", 0.05, {"torch": {"y": 0.06}}, 0.0), ["6.000%", "5.000%", "does not hold"]),
        (Verdict("calib", 0.05, {"torch": {"y": INF}}, 0.0), ["inf%", "5.000%", "does not hold"]),
        (Verdict("calib", None, {"torch": {"y": 0.06}}, 0.0), ["6.000%", "no limit asked", ""]),
        (Verdict("calib", 0.0, {"torch": {"y": 0.0}}, 0.0), ["0.000%", "0.000%", "holds"]),
    ],
)
def test_a_verdict_has_a_row(verdict: Verdict, cells: list[str], make_plan: Plans) -> None:
    page = read(make_plan(), verdict)
    (row,) = (row for row in page.rows if row[0] == "calib")
    assert row == ["calib", "torch", "y", *cells]
    assert "differ from each other" not in page.text


def test_every_statement_backend_and_output_has_a_row(make_plan: Plans) -> None:
    errors = {"torch": {"y": 0.1, "z": 0.0}, "onnx": {"y": 0.1, "z": 0.0}}
    page = read(make_plan(), Verdict("a", 0.2, errors, 0.0), Verdict("b", None, errors, 0.0))
    found = [tuple(row[:3]) for row in page.rows if row[0] in ("a", "b")]
    assert found == [(data, backend, output) for data in "ab" for backend in ("torch", "onnx") for output in "yz"]


@pytest.mark.parametrize(("disagreement", "said"), [(0.5, "50.000%"), (INF, "inf%")])
def test_backends_that_disagree_are_told(disagreement: float, said: str, make_plan: Plans) -> None:
    verdict = Verdict("calib", 0.05, {"torch": {"y": 0.01}}, disagreement)
    assert not verdict.holds
    assert f"On calib the backends differ from each other by {said}." in read(make_plan(), verdict).text


def test_what_was_not_measured_says_why(make_plan: Plans) -> None:
    page = read(make_plan(), Verdict("seeded", None, {}, 0.0, "the range of `<b>` cannot be told"))
    assert "not measured: the range of `<b>` cannot be told" in page.text


def test_errors_without_bound_and_layers_without_weights(entry: Entry, dense: Entry, make_plan: Plans) -> None:
    counts = dict.fromkeys(("parameters", "original_parameters", "flops", "dense_flops"), 0)
    endless = entry(predicted_error=INF, baselines=Baselines(INF, None, 0.0, 0.0))
    plan = make_plan(endless, dense(layer="head", shape=(16, 0), **counts), model_parameters=0, parameters=0)
    page = read(plan)
    assert page.row("layers.0.up")[6:9] == ["inf", DASH, "inf"]
    assert page.row("head")[4] == "100.0%"
    assert "0 parameters before, 0 after\n(100.0%)" in page.text


def shown(name: str) -> str:
    """A name as the page has it once its markup is read: control characters spelled."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}" for c in name)


def test_rules_that_lost_stand_beside_the_one_that_won(entry: Entry, make_plan: Plans) -> None:
    lost = entry(overruled=("spec.qtn:3", "house.qtn:2"))
    page = read(make_plan(lost, entry(layer="down")), Verdict("calib", None, {}, 0.0))
    assert page.row("layers.0.up")[2] == "spec.qtn:5 over spec.qtn:3, house.qtn:2"
    assert page.row("down")[2] == "spec.qtn:5"


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_names_are_text_and_nothing_else(name: str, entry: Entry, make_plan: Plans) -> None:
    plan = make_plan(
        entry(layer=name, rule=name, overruled=(name,), reason=name), model=name, spec=name, binds={name: 1}
    )
    plan = replace(plan, ignored=(Ignored(name, name),))
    steps = (replace(ran(Rewritten(name, "lowrank", 120, 384, 0.125))[0], name=name),)
    verdict = Verdict(name, 0.05, {name: {name: 0.01}}, 0.5)
    page = read(plan, verdict, steps=steps, sizes={name: 1})
    (layer,) = (row for row in page.rows if len(row) == 14 and row[0] == shown(name))
    assert (layer[2], layer[5], layer[-1]) == (f"{shown(name)} over {shown(name)}", "0.1250", name)
    assert [name, name, shown(name), "1.000%", "5.000%", "holds"] in page.rows
    assert [name, "1"] in page.rows
    assert f"{shown(name)} by {shown(name)}" in page.text
    assert f"Ignored: {shown(name)} ({shown(name)})." in page.text


def test_a_long_name_is_cut(entry: Entry, make_plan: Plans) -> None:
    page = read(make_plan(entry(layer="long" * 1000)), Verdict("calib", None, {"torch": {"y" * 5000: 0.0}}, 0.0))
    assert max(len(cell) for row in page.rows for cell in row) < 100
