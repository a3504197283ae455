"""Whatever the text is, the answer is a spec or a SpecError."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from qtnc.backends.options import BACKENDS
from qtnc.errors import SpecError
from qtnc.source import Source
from qtnc.spec.program import Spec
from qtnc.spec.read import read_source
from qtnc.structures.registry import STRUCTURES

GOOD = r"""qtn 1
let rows = 64
let last = 11
let ends = [0, last]
let half = 50%
bind batch = 1, seq = rows
data calib = npz("calib.npz") take rows
optimize memory
select attn = MatMul where name ~ "layers.*.attn.*"
select mlp  = (MatMul or Gemm) where name ~ re"layers\.\d+\.mlp" and not weight.elements >= 64Ki
select rest = * and not (attn or mlp)
rewrite mlp  -> mpo(sites: [8x16, 16x24], max_bond: 64) on calib   # a comment
rewrite attn -> lowrank(bytes: 30%)
select hard = top 4 of (attn and MatMul) by entropy where not name ~ "top"
select ends = * where block in ends or depth >= 90% and weight.rows divisible by 64
select wide = * where weight.shape != *x1536 and not (weight.dtype == float16 or weight.bytes > 1Ki)
select lost = bottom 2 of (attn - top 1 of attn by decay) by error of circuit | mpo(max_bond: 2)
select late = downstream of hard - upstream of (mlp or downstream of lost)
ignore rest
stage classical {
    rewrite mlp -> mpo(max_bond: 8)
}
stage final extends classical {   # a comment
    rewrite hard -> circuit(depth: 4, layout: cross) | mpo(max_bond: 8) on calib
    rewrite mlp -> lowrank(rank: 8)
}
rule fold {
    match   y = Mul(MatMul(x, w: const float[m, n]), s: const scalar)   # a comment
    match   z = Gemm(s, v, b?){transB = 1, alpha = a}
    where   s > 0 and uses(w) == 1 or not name(y) ~ re"mlp"
    let     k = -w * s ** 2 - rows
    replace y = MatMul(x, k)
    within  half
    example {
        before y = Mul(MatMul(x: float[2, 3], w: const float[3, 4]), 2)
        after  y = MatMul(x, w * 2)
    }
}
rule past {
    match   y = (Reshape | Squeeze)(f: unary(x), Relu(g: const) | Clip(g: const, 0, 6))
    match   h = Sum(y, [0, 1], xs...)
    replace h = Sum(f(Reshape(x, g)){alpha = 50%}, _, xs...)
}
emit torch
emit qiskit(target: "line-9q", shots: 100_000) for hard
verify outputs within half on calib
"""
PIECES = [*GOOD.split(), *"()[]{}|,=:~.*\"#-'\\", "->", "\n", 're"', "stage", "best", "\0", "§", "\r", "1e9", "-3%"]
PIECES += [
    "\nstage a {\n",
    "\n}\n",
    "\nheal {",
    "top 2 of",
    "by",
    "divisible",
    "3x*",
    "upstream of",
    "bottom",
    "\nignore",
    "\ninclude",
    "\ninclude <llama>\n",
    "<",
    "\nuse",
    '\nuse "mine.py"\n',
    "\nuse fold(a: 1)\n",
    "\nlet",
    "\nlet a = ",
    "\nrule r {\n",
    "\nexample {\n",
    "\nmatch y = Mul(x, w: const)\n",
    "\nreplace y = ",
    "\nwhere ",
    "w * s",
    "f: ",
    "x?",
    "xs...",
    "{axis = 1}",
    "Split(x)",
    "**",
    "//",
]


def outcome(text: str) -> Spec | SpecError:
    found: Spec | SpecError
    try:
        found = read_source(Source("any.qtn", text), STRUCTURES, BACKENDS, Path())
    except SpecError as error:
        found = error
    if isinstance(found, Spec):
        assert all(found.at(stage).stage == stage for stage in found.stages)
    else:
        assert all(diagnostic.message for diagnostic in found.diagnostics)
        spans = [diagnostic.span for diagnostic in found.diagnostics if diagnostic.span]
        assert all(0 <= span.start <= span.end <= len(span.source.text) for span in spans)
        assert found.diagnostics
        assert str(found).encode("utf-8")
    return found


def test_the_good_spec_is_good() -> None:
    assert isinstance(outcome(GOOD), Spec)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    outcome(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join))
def test_any_words(text: str) -> None:
    outcome("qtn 1\nemit torch\n" + text)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_mutation_of_a_good_spec(data: st.DataObject) -> None:
    text = GOOD
    for _ in range(data.draw(st.integers(1, 4), label="edits")):
        start = data.draw(st.integers(0, len(text)), label="start")
        length = data.draw(st.integers(0, 12), label="cut")
        piece = data.draw(st.sampled_from(["", *PIECES]) | st.text(max_size=3), label="insert")
        text = text[:start] + piece + text[start + length :]
    outcome(text)


BAD = [
    "select =",
    "ignore",
    "emit",
    "$",
    "rewrite x ->",
    "bind a = b",
    "stage",
    "stage x",
    "stage {}",
    "top",
    "heal {}",
    "{ }",
    "let",
    "let x =",
    "let float32 = 1",
    "match y =",
    "replace y = MatMul(",
    "where ** 2",
    "example",
    "include",
    "include <none>",
    'include "none.qtn"',
]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, GOOD.count("\n") - 1), st.sampled_from(BAD))
def test_a_bad_line_anywhere_is_one_error_at_that_line(after: int, bad: str) -> None:
    lines = GOOD.splitlines()
    lines.insert(after + 1, bad)
    error = outcome("\n".join(lines))
    assert isinstance(error, SpecError)
    assert [d.span.line for d in error.diagnostics if d.span] == [after + 2]
