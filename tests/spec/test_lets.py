"""`let`: a name means what its value would mean in its place, wherever a value stands; `--set` gives another."""

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtnc.backends.options import BACKENDS
from qtnc.errors import SpecError, UsageError
from qtnc.source import Source, Span
from qtnc.spec.kinds import KINDS, ValueKind
from qtnc.spec.program import Spec
from qtnc.spec.read import read_source
from qtnc.spec.syntax import MAX_LENGTH
from qtnc.structures.registry import STRUCTURES

Read = Callable[[str], Spec]

USES = [
    ("rewrite a -> lowrank(bytes: {})", "30%", "40%"),
    ("rewrite a -> mpo(max_bond: {})", "1Ki", "64"),
    ("rewrite a -> mpo(sites: 2, cutoff: {})", "1e-6", "0.5"),
    ("rewrite a -> mpo(sites: {}, max_bond: 2)", "auto", "3"),
    ("rewrite a -> mpo(sites: {})", "[8x16, 16x24]", "2"),
    ("rewrite a -> mpo(sites: [{}, 16x24])", "8x16", "16x16"),
    ("rewrite a -> circuit(layout: {}) | mpo(max_bond: 2)", "cross", "brickwall"),
    ("emit qiskit(target: {}) for a", '"line-9q"', '"line-5q"'),
    ("data d = npz({}) take 3", '"d.npz"', '"e.npz"'),
    ('data d = npz("d.npz") take {}', "64", "65"),
    ("bind batch = {}", "4", "8"),
    ("verify outputs within {}", "5%", "6%"),
    ("select b = * where name ~ {}", '"*.mlp.*"', '"*"'),
    ("select b = * where name ~ {}", r're"layers\.\d+"', '"*"'),
    ("select b = * where weight.elements >= {}", "64Ki", "1"),
    ("select b = * where not (block == 3 or weight.rows divisible by {})", "64", "32"),
    ("select b = * where depth < {}", "50%", "3"),
    ("select b = * where weight.shape == {}", "*x1536", "384x*"),
    ("select b = * where weight.shape != {}", "384x1536", "*x*"),
    ("select b = * where weight.dtype == {}", "float16", "float32"),
    ("select b = * where block in {}", "[0, 11]", "[1]"),
    ("select b = * where block in [0, {}]", "11", "10"),
    ("select b = top {} of a by bytes", "4", "5"),
    ("select b = bottom {} of (a - top 1 of a by bytes) by bytes", "2", "1"),
    ("select b = top 2 of a by error of lowrank(bytes: {})", "30%", "20%"),
    ("stage s {{\n    rewrite a -> lowrank(rank: {})\n}}", "8", "9"),
]
"""Statements with a place for a value, and two values that may stand there."""


def meaning(node: Any) -> Any:
    """What a spec means, without its places."""
    if isinstance(node, Span | Source):
        return None
    if isinstance(node, dict):
        return {key: meaning(value) for key, value in node.items()}
    if isinstance(node, tuple | list):
        return [meaning(item) for item in node]
    if is_dataclass(node) and not isinstance(node, type):
        parts = {f.name: getattr(node, f.name) for f in fields(node) if f.name not in ("lets", "settings")}
        return (type(node).__name__, meaning(parts))
    return node


def spec_of(statement: str, lets: str = "", settings: Sequence[str] = ()) -> Spec:
    text = f"qtn 1\n{lets}\nselect a = MatMul\n{statement}\nemit onnx\n"
    return read_source(Source("spec.qtn", text), STRUCTURES, BACKENDS, Path("/models"), settings)


@pytest.mark.parametrize(("use", "value", "other"), USES)
def test_a_name_means_its_value(use: str, value: str, other: str) -> None:
    plain = meaning(spec_of(use.format(value)))
    assert meaning(spec_of(use.format("it"), f"let it = {value}")) == plain
    assert meaning(spec_of(use.format("it"), f"let first = {value}\nlet it = first")) == plain
    assert meaning(spec_of(use.format("it"), f"let it = {other}")) != plain


@pytest.mark.parametrize(("use", "value", "other"), USES)
def test_a_name_may_be_set(use: str, value: str, other: str) -> None:
    found = spec_of(use.format("it"), f"let it = {other}", [f"it = {value}"])
    assert meaning(found) == meaning(spec_of(use.format(value)))
    assert found.settings == {"it": value}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("use", [use for use, _, _ in USES])
def test_a_value_of_any_kind_is_taken_where_its_literal_is(use: str, kind: ValueKind) -> None:
    for value in kind.examples:
        try:
            plain = meaning(spec_of(use.format(value)))
        except SpecError as error:
            (refused,) = error.diagnostics
            if refused.span is None or refused.span.text != value:
                continue  # its kind is right, and it contradicts something else
            with pytest.raises(SpecError) as caught:
                spec_of(use.format("it"), f"let it = {value}")
            (said,) = caught.value.diagnostics
            assert said.span is not None
            assert said.span.text == "it"
            assert f"`it` is `{value}`, a {kind.name}, let at line 2" in str(said.help)
        else:
            assert meaning(spec_of(use.format("it"), f"let it = {value}")) == plain


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("64ki", "2:10 `64ki` is not a number"),
        ("9_", "2:10 `9_` is not a number"),
        ('re"("', "2:10 bad regex: missing ): ("),
        ('re""', "2:10 an empty pattern"),
        ("[1, [2]]", "2:14 a list holds no lists"),
        ("[1, 2pi]", "2:14 `2pi` is not a number"),
        ("9" * 30, f"2:10 `{'9' * 30}` is too large"),
    ],
)
def test_a_value_of_no_kind_is_wrong_where_it_is_let_and_only_there(
    value: str, wrong: str, said: Callable[[str], list[str]]
) -> None:
    uses = "select a = MatMul\nrewrite a -> lowrank(rank: it)\nselect b = * where block in it or name ~ it\n"
    for text in ("", uses):
        assert said(f"qtn 1\nlet it = {value}\n{text}emit onnx\n") == [wrong]


def test_strings_are_set_with_quotes_or_without() -> None:
    for value in ("other.npz", '"other.npz"'):
        spec = spec_of("data d = npz(path)", 'let path = "d.npz"', [f"path={value}"])
        assert spec.data["d"].path == Path("/models/other.npz")
    pattern = spec_of("select b = * where name ~ p", 'let p = "*"', ['p=re"x"']).selects["b"]
    assert "regex" in str(pattern)


def test_sets_of_names_are_independent(read: Read) -> None:
    """Selectors, data and values are named apart: none hides another."""
    text = 'qtn 1\nlet a = 3\ndata a = npz("a.npz")\nselect a = MatMul\nrewrite a -> lowrank(rank: a) on a\nemit onnx'
    (rewrite,) = read(text).rewrites
    assert (rewrite.selector, rewrite.structure.rank, rewrite.data) == ("a", 3, "a")


@given(st.integers(1, 2**40))
def test_any_count(number: int) -> None:
    spec = spec_of("rewrite a -> lowrank(rank: n)", f"let n = {number}", [f"n={number + 1}"])
    assert spec.rewrites[0].structure.rank == number + 1
    assert spec.settings == {"n": str(number + 1)}


def test_names_stand_for_as_much_as_a_spec_may_be_long(said: Callable[[str], list[str]]) -> None:
    uses = MAX_LENGTH // 1000
    text = f'qtn 1\nlet p = "{"x" * 1000}"\n' + "".join(f"select s{i} = * where name ~ p\n" for i in range(uses + 2))
    message = f"names stand for more than {MAX_LENGTH:,} characters in all"
    assert said(f"{text}emit onnx\n") == [
        f"{uses + i + 3}:{len(f'select s{uses + i} = * where name ~ ') + 1} {message}" for i in (0, 1)
    ]
    assert said(f"{text.rsplit('select', 2)[0]}emit onnx\n") == []


KNOWN = "what can be set: `batch`, `share`, `file` and `optimize`"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("shaer=3%", f"--set shaer=3%: error: unknown setting `shaer`\n  = help: did you mean `share`? {KNOWN}"),
        ("share", "--set share: error: a setting has a value\n  = help: as in `--set share=30%`"),
        ("share=(", "--set share=(: error: `(` is no value\n  = help: as in `--set share=30%`"),
        ("share=1 2", "--set share=1 2: error: `1 2` is no value\n  = help: as in `--set share=30%`"),
        ("share=1\nemit torch", "--set share=1: error: `1` is no value\n  = help: as in `--set share=30%`"),
        (
            "share=3",
            (
                "spec.qtn:6:29: error: `bytes` takes a percentage above 0% and up to 100%, not `share`\n"
                "  6 | rewrite a -> lowrank(bytes: share)\n"
                "    |                             ^^^^^\n"
                "  = help: `share` is `3`, a number, by --set; did you mean `3%`?"
            ),
        ),
    ],
)
def test_what_cannot_be_set(setting: str, said: str) -> None:
    lets = 'bind batch = 1\nlet share = 30%\nlet file = "d.npz"'
    with pytest.raises(UsageError) as caught:
        spec_of("rewrite a -> lowrank(bytes: share)", lets, [setting])
    assert str(caught.value) == said
