"""Measured times in the terminal, on the page and as data: each distinct layer once, ours and dense and their ratio."""

from collections.abc import Callable
from typing import Any

from qtnc.planner.plan import Latency, LayerPlan, Plan
from qtnc.report.html import html_page
from qtnc.report.text import plan_table
from qtnc.report.times import MOST, distinct, slower_than_dense
from qtnc.verify.speed import Speed

Entry = Callable[..., LayerPlan]
Plans = Callable[..., Plan]

TIMES = (
    Latency(1, 0.01, 0.02, noise=0.05, expected=1.5),
    Latency(1024, 4.0, 2.0),
    Latency(1, 0.005, 0.04, "torch", 1, "bfloat16", None),
)


def test_layers_of_one_shape_are_told_once(entry: Entry, make_plan: Plans) -> None:
    plan = make_plan(
        entry(layer="a", times=TIMES),
        entry(layer="b", times=TIMES),
        entry(layer="c", shape=(24, 16), times=TIMES),
        entry(layer="d", settled={"rank": 4}, times=TIMES),
        entry(layer="e"),
    )
    found = distinct(plan)
    assert [(x.shape, x.becomes, x.layers) for x in found] == [
        ((16, 24), "lowrank 3", 2),
        ((24, 16), "lowrank 3", 1),
        ((16, 24), "lowrank 4", 1),
    ]
    data = found[0].to_json()
    assert [time["ratio"] for time in data["times"]] == [2.0, 0.5, 8.0]
    assert Latency(**{k: v for k, v in data["times"][0].items() if k != "ratio"}) == TIMES[0]
    assert distinct(make_plan(entry())) == ()


def test_the_terminal_shows_ours_beside_dense(entry: Entry, make_plan: Plans) -> None:
    lines = plan_table(make_plan(entry(times=TIMES))).split("\n")
    start = next(k for k, line in enumerate(lines) if line.startswith("times  "))
    assert [" ".join(line.split()) for line in lines[start : start + 3]] == [
        "times becomes layers in 1 row 1,024 rows",
        "16x24 lowrank 3 1 onnxruntime 0.02 / 0.01 = 2.00x 2 / 4 = 0.50x",
        "torch 0.04 / 0.005 = 8.00x -",
    ]
    assert lines[start + 3] == "times: ours / dense in ms, medians in alternation, 1 thread, bfloat16, float32."
    assert not [line for line in plan_table(make_plan(entry())).split("\n") if line.startswith("times")]


def test_the_terminal_is_not_flooded(entry: Entry, make_plan: Plans) -> None:
    def lines(count: int) -> list[str]:
        ranks = (entry(layer=str(k), settled={"rank": k}, times=TIMES) for k in range(1, count + 1))
        return plan_table(make_plan(*ranks)).split("\n")

    assert not [line for line in lines(MOST) if line.startswith("and ")]
    assert "and 3 more, in plan.json and the reports" in lines(MOST + 3)
    assert len(lines(MOST + 3)) == len(lines(MOST)) + 3 + 1


def test_what_is_kept_although_slower_is_said(entry: Entry, make_plan: Plans) -> None:
    slow, slowest = Latency(4, 1.0, 1.5), Latency(4, 1.0, 2.25, "torch")
    plan = make_plan(entry(latency=slow), entry(latency=slowest), entry(), entry(latency=None, structure="dense"))
    (line,) = slower_than_dense(plan)
    assert line == "2 of the 3 rewritten layers are slower than dense, by up to 2.25x at 4 rows in torch"
    assert slower_than_dense(make_plan(entry())) == []
    (line,) = slower_than_dense(make_plan(entry(latency=slow)))
    assert line == "1 of the 1 rewritten layers is slower than dense, by up to 1.50x at 4 rows in onnxruntime"
    told = plan_table(make_plan(entry(latency=slow, times=TIMES))).split("\n")
    assert f"note: {line}" in told


def page(plan: Plan, *speeds: Speed) -> str:
    return " ".join(html_page(plan, (), (), {}, 1000, speeds).split())


def cells(*values: Any) -> list[str]:
    return [f'<td class="n">{value}</td>' for value in values]


def test_the_page_has_all_of_it(entry: Entry, make_plan: Plans) -> None:
    found = page(make_plan(entry(times=TIMES)))
    for expected in (
        *cells("0.0100", "0.0200", '<span class="bad">2.00&times;</span>', "0.05", "1.50&times;"),
        *cells("4.0000", "2.0000", '<span class="good">0.50&times;</span>', "&ndash;"),
        "<td>torch</td> <td>bfloat16</td>",
    ):
        assert expected in found
    # The clock told nothing of this one: it is neither good nor bad.
    assert '<td class="n">8.00&times;</td>' in found
    assert "How fast are the layers?" not in page(make_plan(entry()))


def test_the_page_has_the_whole_model(entry: Entry, make_plan: Plans) -> None:
    speeds = (
        Speed("onnxruntime", "calib", {"<b>\x1b": (4, 16)}, 20.0, 15.0, 0.02),
        Speed("torch", "seeded", {"x": ()}, 10.0, 12.5, None),
    )
    found = page(make_plan(entry()), *speeds)
    for expected in (*cells("20.000", "15.000", "0.75&times;", "0.02", "10.000", "12.500", "1.25&times;", "&ndash;"),):
        assert expected in found
    assert "&lt;b&gt;\\x1b 4&times;16" in found
    assert "How fast is the whole model?" not in page(make_plan(entry()))
