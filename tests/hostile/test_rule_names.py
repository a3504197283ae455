"""Hostile names through rules: traces, reports and answers hold them escaped and cut off, and data is data."""

import json
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest

RULES = """rule gemm {
    match   y = MatMul(x, w: const [_, 16])
    replace y = Gemm(x, w)
}
rule other {
    match   y = MatMul(Neg(x), w: const)
    replace y = MatMul(x, -w)
}
rule large {
    match   y = MatMul(x, w: const [3, 3])
    replace y = x
}
rule called {
    match   y = MatMul(x, w: const)
    where   name(y) ~ "nobody" or op(x) == "nothing"
    replace y = x
}
rule narrow {
    match   y = MatMul(h: Gemm(x, v), w: const)
    replace h = x
}
"""

SPEC = f"""qtn 1
bind batch = 2
optimize memory
{RULES}select all = MatMul
rewrite all -> lowrank(rank: 2)
emit onnx
"""

ENDLESS = "qtn 1\nrule r {\n match y = MatMul(x, w: const)\n replace y = MatMul(x, w)\n}\n"


TRACE = ("--trace", "rewrite")
MORE = ("newline", "turned", "quote", "nul", "separator")


def check_said(text: str, *, data: bool = False) -> None:
    """A terminal finds nothing to act on, and no line is endless, but where it is data and has names as they are."""
    lines = text.split("\n")
    assert all(line.isprintable() for line in lines), [line[:200] for line in lines if not line.isprintable()]
    assert data or max(map(len, lines)) < 2_000, [line[:80] for line in lines if len(line) >= 2_000]


class Page(HTMLParser):
    """Tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.append(tag)


@pytest.mark.parametrize(
    "kind",
    ["terminal", "markup", "long", *(pytest.param(k, marks=pytest.mark.conformance) for k in MORE)],
)
def test_what_rules_say_of_names(kind: str, sandbox: Any, toys: ModuleType, hostile: ModuleType) -> None:
    model = hostile.named(toys, "every", hostile.NASTY[kind])
    toys.write(model, sandbox.work / "model.onnx")
    (sandbox.work / "spec.qtn").write_text(SPEC)
    (sandbox.work / "rules.qtn").write_text("qtn 1\n" + RULES)
    (sandbox.work / "endless.qtn").write_text(ENDLESS)

    done = sandbox.run("opt", "model.onnx", "--rules", "rules.qtn", "-o", "out.onnx", *TRACE)
    assert (done.code, done.errors) == (0, []), done.err
    check_said(done.err + done.out)
    onnx.checker.check_model(onnx.load(sandbox.work / "out.onnx"), full_check=True)

    done = sandbox.run("opt", "model.onnx", "--rules", "rules.qtn", "-o", "out.qir", *TRACE, "--trace-file", "x.jsonl")
    assert (done.code, done.errors) == (0, []), done.err
    lines = (sandbox.work / "x.jsonl").read_bytes().decode("ascii").splitlines()
    found = [json.loads(line) for line in lines]
    assert {one["rule"] for one in found} == {"gemm", "other", "large", "called", "narrow"}
    assert f"{hostile.NASTY[kind]}node" in {one["node"] for one in found}
    assert all(len(one["reason"]) < 1_000 for one in found)

    done = sandbox.run("opt", "model.onnx", "--rules", "endless.qtn", "-o", "never.onnx")
    assert done.code == 1
    assert "rules do not come to an end: r -> r" in done.err
    check_said(done.err)

    done = sandbox.run("plan", "model.onnx", "spec.qtn", *TRACE)
    assert (done.code, done.errors) == (0, []), done.err
    check_said(done.out + done.err)
    assert "never applied" in done.out

    done = sandbox.run("inspect", "model.onnx", "--format", "json")
    for layer in json.loads(done.out)[:1]:
        for form in ("text", "json"):
            done = sandbox.run("why", "model.onnx", "spec.qtn", layer["layer"], "--format", form)
            assert (done.code, done.errors) == (0, []), done.err
            check_said((done.out if form == "json" else done.out.partition("\n")[2]) + done.err, data=form == "json")

    done = sandbox.run("compile", "model.onnx", "spec.qtn", "-o", "out")
    assert (done.code, done.errors) == (0, []), done.err
    check_said(done.out + done.err)
    page = Path(sandbox.work / "out" / "report.html").read_text(encoding="utf-8")
    assert all(line.isprintable() for line in page.splitlines())
    assert page.count("<script") == Page(page).tags.count("script")
