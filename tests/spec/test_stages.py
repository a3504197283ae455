"""Stages: which rewrites are in effect at each, and in what order."""

from collections.abc import Callable

import pytest

from qtnc.errors import UsageError
from qtnc.spec.program import Spec
from qtnc.spec.select import claims, select_layers

Read = Callable[[str], Spec]
Said = Callable[[str], list[str]]

WHOLE = """qtn 1
data calib = npz("calib.npz")
select all = MatMul
rewrite all -> mpo(max_bond: 1)
stage classical {
    rewrite all -> mpo(
        max_bond: 2
    ) on calib   # a comment

    rewrite all -> mpo(max_bond: 3)
}
stage hybrid extends classical {
    rewrite all -> circuit(depth: 2) | mpo(max_bond: 4)
}
stage empty extends classical {
}
rewrite all -> mpo(max_bond: 5)
stage final extends hybrid { rewrite all -> mpo(max_bond: 6) }
emit torch
"""


def bonds(spec: Spec) -> list[int]:
    """Bond of every rewrite in effect, all of which differ."""
    return [getattr(rewrite.structure, "inner", rewrite.structure).max_bond for rewrite in spec.rewrites]


def test_a_stage_is_what_is_written(read: Read) -> None:
    stages = read(WHOLE).stages
    assert [(stage.name, stage.base, len(stage.rewrites)) for stage in stages.values()] == [
        ("classical", None, 2),
        ("hybrid", "classical", 1),
        ("empty", "classical", 0),
        ("final", "hybrid", 1),
    ]
    assert stages["hybrid"].span.text == "stage hybrid extends classical {"
    assert [rewrite.data for rewrite in stages["classical"].rewrites] == ["calib", None]


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("classical", [1, 5, 2, 3]),
        ("hybrid", [1, 5, 2, 3, 4]),
        ("empty", [1, 5, 2, 3]),
        ("final", [1, 5, 2, 3, 4, 6]),
        (None, [1, 5, 2, 3, 4, 6]),
    ],
)
def test_rewrites_in_effect(stage: str | None, expected: list[int], read: Read) -> None:
    spec = read(WHOLE)
    assert (spec.stage, bonds(spec)) == (None, [1, 5])
    assert bonds(spec.at(stage)) == expected
    assert spec.at(stage).stage == (stage or "final")
    for before in (*spec.stages, None):
        assert spec.at(before).at(stage) == spec.at(stage)


def test_without_stages(read: Read) -> None:
    spec = read("qtn 1\nselect a = MatMul\nrewrite a -> mpo\nemit torch")
    assert spec.at(None) == spec
    assert (spec.stages, spec.stage) == ({}, None)
    with pytest.raises(UsageError) as caught:
        spec.at("final")
    assert str(caught.value) == "spec.qtn: error: unknown stage `final`\n  = help: the spec has no stages"


def test_an_unknown_stage(read: Read) -> None:
    listed = "stages are `classical`, `hybrid`, `empty` and `final`"
    for stage, way_out in (("hybird", f"did you mean `hybrid`? {listed}"), ("xyz", listed)):
        with pytest.raises(UsageError) as caught:
            read(WHOLE).at(stage)
        assert caught.value.exit_code == 2
        assert str(caught.value) == f"spec.qtn: error: unknown stage `{stage}`\n  = help: {way_out}"


def test_the_last_statement_of_the_most_derived_stage_wins(read: Read) -> None:
    spec = read(
        'qtn 1\nselect all = MatMul\nselect up = MatMul where name ~ "*.up"\n'
        "stage b {\nrewrite all -> mpo(max_bond: 1)\n}\n"
        "stage d extends b {\nrewrite up -> mpo(max_bond: 2)\nrewrite up -> mpo(max_bond: 3)\n}\n"
        "rewrite all -> mpo(max_bond: 4)\nemit torch"
    )

    class Layer:
        op, elements = "MatMul", 1

        def __init__(self, name: str) -> None:
            self.name = name

    layers = [Layer("x.up"), Layer("x.down")]
    found = {
        stage: {
            layer: [rewrite.structure.max_bond for rewrite in rewrites]
            for layer, rewrites in claims(spec.at(stage), select_layers(spec, layers)).items()
        }
        for stage in ("b", "d")
    }
    assert found == {"b": {"x.up": [1, 4], "x.down": [1, 4]}, "d": {"x.up": [3, 2, 1, 4], "x.down": [1, 4]}}


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "{\n}",
        "{ rewrite a -> mpo }",
        "{ rewrite a -> mpo\n rewrite a -> mpo }",
        "{\n\n  # nothing yet\n\n}  # done",
        "{\r\n\trewrite a ->\r\n\t\tmpo\r\n}\r",
        "{ rewrite a -> mpo(sites:\n[8x8,\n8x8]\n)\n}",
    ],
)
def test_braces_divide_statements(body: str, read: Read) -> None:
    spec = read(f"qtn 1\nselect a = MatMul\nstage one {body}\nemit torch")
    assert len(spec.stages["one"].rewrites) == body.count("rewrite")
    assert spec.emits


@pytest.mark.parametrize(
    "bad", ["rewrite", "rewrite a -> mpo(", "select d = *", "$", "stage", "stage x", "heal {\n}", "="]
)
def test_a_bad_statement_in_a_stage_hides_no_other(bad: str, said: Said) -> None:
    errors = said(f"qtn 1\nselect a = MatMul\nstage one {{\nrewrite b -> mpo\n{bad}\nrewrite c -> mpo\n}}\nemit troch")
    after = bad.count("\n")
    assert [int(error.split(":")[0]) for error in errors] == [4, 5, 6 + after, 8 + after]


@pytest.mark.parametrize(
    "head", ["stage", "stage {", "stage one", "stage one extends {", "stage 1 {", "stage one two {"]
)
def test_a_bad_first_line_hides_nothing_inside(head: str, said: Said) -> None:
    errors = said(f"qtn 1\nselect a = MatMul\n{head}\nrewrite b -> mpo\n}}\nstage x extends one {{\n}}\nemit troch")
    lines = [int(error.split(":")[0]) for error in errors]
    assert lines == ([3, 4, 8] if "one" in head else [3, 4, 6, 8])


def test_a_brace_that_is_missing_is_one_error(said: Said) -> None:
    lines = WHOLE.splitlines()
    for number, line in enumerate(lines):
        if line == "}":
            errors = said("\n".join(lines[:number] + lines[number + 1 :]))
            assert len(errors) == 1, errors
            assert errors[0].endswith("`{` is not closed")
