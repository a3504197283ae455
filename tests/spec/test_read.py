"""Good specs, and what they mean."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qtnc.backends.options import BACKENDS, OnnxOptions, TorchOptions
from qtnc.spec.program import AllOf, NameIs, NoneOf, NumberIs, OneOf, OpIs, Spec, Verify
from qtnc.spec.read import read_spec

Read = Callable[[str], Spec]

WHOLE = r"""
# a comment before the header is fine
qtn 1

bind batch = 1, seq = 128
bind heads = 1_2
data calib = npz("calib.npz") take 64
data other = npz("/data/a b.npz")
optimize memory

select attn = MatMul where name ~ "layers.*.attn.*"   # to the end of the line
select mlp  = MatMul where name ~ re"layers\.\d+\.mlp" and weight.elements >= 64Ki
select both = attn or mlp
select rest = MatMul where not (name ~ "head" or weight.elements < 1Ki)
select any  = * where weight.elements >= 1Mi
select some = (MatMul or Gemm) where name ~ "#1"

rewrite mlp  -> mpo(sites: auto, max_bond: 64) on calib
rewrite attn -> lowrank(bytes: 30%)
rewrite any  -> mpo(sites: [8x16, 16x24], cutoff: 1e-6, start: random)
rewrite both -> mpo(sites: 3,)
emit torch
emit onnx
verify outputs within 5% on calib
verify outputs within 0.5%
"""


def test_a_whole_spec(read: Read) -> None:
    spec = read(WHOLE)
    assert spec.binds == {"batch": 1, "seq": 128, "heads": 12}
    assert [span.text for span in spec.bind_spans.values()] == ["batch = 1", "seq = 128", "heads = 1_2"]
    assert [(d.path, d.take) for d in spec.data.values()] == [
        (Path("/models/calib.npz"), 64),
        (Path("/data/a b.npz"), None),
    ]
    assert spec.optimize == "memory"
    assert list(spec.selects) == ["attn", "mlp", "both", "rest", "any", "some"]
    assert [(r.selector, r.data) for r in spec.rewrites] == [
        ("mlp", "calib"),
        ("attn", None),
        ("any", None),
        ("both", None),
    ]
    mlp, attn, every, both = (r.structure for r in spec.rewrites)
    assert (mlp.sites, mlp.max_bond) == ("auto", 64)
    assert (attn.bytes, attn.rank) == (0.3, None)
    assert (every.sites, every.cutoff, every.start) == (((8, 16), (16, 24)), 1e-6, "random")
    assert both.sites == 3
    assert [e.backend for e in spec.emits] == ["torch", "onnx"]
    assert [(v.tolerance, v.data) for v in spec.verifies] == [(0.05, "calib"), (0.005, None)]


def test_every_part_has_its_place(read: Read) -> None:
    spec = read(WHOLE)
    assert spec.rewrites[0].span.text == "rewrite mlp  -> mpo(sites: auto, max_bond: 64) on calib"
    assert spec.rewrites[0].span.place() == "spec.qtn:18:1"
    assert spec.emits[1].span.text == "emit onnx"
    assert spec.data["calib"].span.text == 'data calib = npz("calib.npz") take 64'
    assert spec.verifies[1].span.text == "verify outputs within 0.5%"
    match spec.selects["rest"].predicate:
        case AllOf((OpIs("MatMul", op), NoneOf(OneOf((NameIs(), NumberIs("weight.elements", "<", 1024, few)))))):
            assert (op.text, few.text) == ("MatMul", "weight.elements < 1Ki")
        case other:
            pytest.fail(str(other))


def test_the_least_that_can_be_said(read: Read) -> None:
    spec = read("qtn 1\nemit onnx")
    assert (spec.optimize, spec.rewrites, spec.selects, spec.data) == ("balanced", (), {}, {})


@pytest.mark.parametrize(
    "text",
    [
        "select a = MatMul or Gemm",
        "select a =\n  MatMul or\n  Gemm",
        "select a = (MatMul\n  or Gemm\n)",
        "select a = (\n\n # why\n MatMul or # and why\n\n\n Gemm)",
        "select a\\\n = MatMul or Gemm".replace("\\\n", ""),
        "select a = MatMul or Gemm\r",
    ],
)
def test_a_statement_may_span_lines(text: str, read: Read) -> None:
    predicate = read(f"qtn 1\n{text}\nemit torch").selects["a"].predicate
    assert isinstance(predicate, OneOf)
    assert [type(part) for part in predicate.parts] == [OpIs, OpIs]


@pytest.mark.parametrize(
    "text",
    [
        "rewrite a ->\n  mpo(\n  max_bond: 4,\n  sites:\n 2\n)",
        "rewrite a -> mpo(max_bond: 4, sites: 2) # on calib",
        "rewrite a->mpo(max_bond:4,sites:2)",
    ],
)
def test_a_rewrite_may_span_lines(text: str, read: Read) -> None:
    (rewrite,) = read(f"qtn 1\nselect a = MatMul\n{text}\nemit torch").rewrites
    assert (rewrite.structure.max_bond, rewrite.structure.sites, rewrite.data) == (4, 2, None)


@pytest.mark.parametrize(
    "word",
    [
        "data",
        "select",
        "on",
        "take",
        "stage",
        "extends",
        "top",
        "of",
        "by",
        "for",
        "outputs",
        "qtn",
        "ignore",
        "best",
        "re",
        "name",
        "in",
        "divisible",
        "bottom",
        "upstream",
        "downstream",
    ],
)
def test_words_of_the_language_are_names_where_a_name_is_due(word: str, read: Read) -> None:
    spec = read(
        f'qtn 1\nbind {word} = 1\ndata {word} = npz("a")\nselect {word} = MatMul\nselect b = {word} and MatMul\n'
        f"stage {word} {{\nrewrite {word} -> mpo on {word}\n}}\nstage x extends {word} {{ }}\n"
        f"rewrite {word} -> mpo on {word}\nignore {word}\nemit qiskit for {word}\n"
        f"emit onnx\nverify outputs within 5% on {word}\n"
    )
    assert (spec.rewrites[0].selector, spec.rewrites[0].data) == (word, word)
    assert (spec.stages["x"].base, spec.emits[0].selector) == (word, word)
    assert [ignore.selector for ignore in spec.ignores] == [word]
    assert isinstance(spec.verifies[0], Verify)


def test_a_chain_is_built_from_its_end(read: Read) -> None:
    text = "circuit(depth: 2, layout: cross) |\n  mpo(max_bond: 8)"
    (rewrite,) = read(f"qtn 1\nselect a = MatMul\nrewrite a -> {text}\nemit torch").rewrites
    outer, inner = rewrite.structure, rewrite.structure.inner
    assert (outer.name, outer.depth, outer.layout) == ("circuit", 2, "cross")
    assert (inner.name, inner.max_bond) == ("mpo", 8)


@pytest.mark.parametrize(
    ("text", "options", "selector"),
    [
        ("qiskit", ("line-5q", None), None),
        ("qiskit()", ("line-5q", None), None),
        ('qiskit(target: "line 9q #1")', ("line 9q #1", None), None),
        ('qiskit(\n  target: "",\n  shots: 100_000,\n) for a', ("", 100_000), "a"),
        ("qiskit for a", ("line-5q", None), "a"),
    ],
)
def test_options_of_a_target(text: str, options: tuple[str, int | None], selector: str | None, read: Read) -> None:
    (emit,) = read(f"qtn 1\nselect a = MatMul\nemit {text}").emits
    assert (emit.options.target, emit.options.shots) == options
    assert (emit.backend, emit.selector) == ("qiskit", selector)
    assert emit.span.text == f"emit {text}"


def test_targets_without_options(read: Read) -> None:
    spec = read("qtn 1\nemit torch\nemit onnx()")
    assert [emit.options for emit in spec.emits] == [TorchOptions(), OnnxOptions()]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("1_000", 1000),
        ("64Ki", 65536),
        ("1Mi", 1 << 20),
        ("2Gi", 2 << 30),
        ("64K", 64_000),
        ("1M", 10**6),
        ("1.5Ki", 1536),
        ("1e3", 1000),
        (".5K", 500),
        ("0", 0),
    ],
)
def test_numbers(text: str, value: int, read: Read) -> None:
    predicate = read(f"qtn 1\nselect a = * where weight.elements == {text}\nemit torch").selects["a"].predicate
    assert isinstance(predicate, AllOf)
    assert isinstance(predicate.parts[1], NumberIs)
    assert predicate.parts[1].value == value


def test_paths_start_at_the_folder_of_the_spec(tmp_path: Path) -> None:
    path = tmp_path / "a.qtn"
    path.write_bytes(b'\xef\xbb\xbfqtn 1\r\ndata d = npz("x/y.npz")\r\nemit torch\r\n')
    assert read_spec(path, {}, BACKENDS).data["d"].path == tmp_path / "x" / "y.npz"
