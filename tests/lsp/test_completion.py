"""What is offered at a cursor, asked over the wire."""

from typing import Any

import pytest

START = """qtn 1
let half = 50%
data calib = npz("calib.npz")
select all = MatMul
stage first {
    rewrite all -> mpo(max_bond: 2)
}
"""

PLACES = {
    "rew": {"rewrite", "select", "stage"},
    "stage second {\n    ": {"rewrite"},
    "stage second extends ": {"first"},
    "rewrite ": {"all"},
    "rewrite all ": {"->"},
    "rewrite all -> ": {"lowrank", "mpo", "circuit"},
    "rewrite all -> mpo(max_bond: 4, ": {"sites", "cutoff", "bytes", "error"},
    "rewrite all -> mpo(\n    by": {"sites", "max_bond", "bytes"},
    "rewrite all -> circuit(layout: ": {"brickwall", "cross", "half"},
    "rewrite all -> mpo(sites: ": {"auto", "half"},
    "rewrite all -> lowrank(bytes: 30%) ": {"on"},
    "rewrite all -> lowrank(bytes: 30%) on ": {"calib"},
    "rewrite all -> circuit | ": {"lowrank", "mpo"},
    "select some = ": {"all", "MatMul", "top", "bottom", "upstream", "not"},
    "select some = all ": {"and", "or", "where"},
    "select some = all where ": {"name", "block", "weight.elements", "weight.dtype", "not"},
    "select some = all where weight.el": {"weight.elements"},
    "select some = all where block ": {"in", "divisible"},
    "select some = all where weight.dtype == ": {"float16", "float32"},
    "select some = top 2 of all by ": {"elements", "entropy", "error"},
    "select some = top 2 of all by error of ": {"lowrank"},
    'select some = all where name ~ "': {"up", "down"},
    'select some = all where name ~ re"u': {"up"},
    "include ": {"part.qtn", "<llama>"},
    'include "pa': {"part.qtn"},
    "include <ll": {"<llama>", "<bert>"},
    'data more = npz("': {"calib.npz"},
    "data more = ": {"npz"},
    "optimize ": {"memory", "latency", "balanced"},
    "emit ": {"torch", "onnx", "qiskit"},
    "emit qiskit(": {"target", "shots", "error"},
    "emit qiskit ": {"for"},
    "emit qiskit for ": {"all"},
    "ignore ": {"all"},
    "verify ": {"outputs"},
    "verify outputs within ": {"half"},
    "verify outputs within 5% on ": {"calib"},
}

NOT_OFFERED = {
    "rewrite all -> mpo(max_bond: 4, ": {"max_bond", "half"},
    "stage second {\n    ": {"select", "emit"},
    "rewrite ": {"half", "calib", "first", "MatMul"},
    "emit qiskit(": {"max_bond"},
    "select all": {"all"},
    "select some = some": {"some"},
    "include ": {"a.qtn", "calib.npz"},
}


@pytest.mark.parametrize(("text", "expected"), PLACES.items())
def test_what_may_follow_is_offered(bound_editor: Any, text: str, expected: set[str]) -> None:
    assert expected <= bound_editor.completions(START + text).keys()


@pytest.mark.parametrize(("text", "refused"), NOT_OFFERED.items())
def test_what_would_be_wrong_is_not(bound_editor: Any, text: str, refused: set[str]) -> None:
    assert not refused & bound_editor.completions(START + text).keys()


def test_what_is_chosen_replaces_what_is_typed(bound_editor: Any) -> None:
    offered = bound_editor.completions(START + "select some = all where not weight.el¦ >= 64Ki\n")
    edit = offered["weight.elements"].text_edit
    line = START.count("\n")
    assert (edit.range.start.line, edit.range.start.character) == (line, 28)
    assert (edit.range.end.line, edit.range.end.character) == (line, 37)
    option = bound_editor.completions(START + "rewrite all -> mpo(max¦)")["max_bond"]
    assert option.text_edit.new_text == "max_bond: "
    assert option.detail == "count"
    assert "`Ki`" in option.documentation.value


def test_astral_characters_are_two_units(bound_editor: Any) -> None:
    offered = bound_editor.completions(START + 'data more = npz("\N{ROCKET}\N{ROCKET}.npz") take ¦')
    edit = offered["half"].text_edit
    assert edit.range.start.character == len('data more = npz("') + 4 + len('.npz") take ')


@pytest.mark.parametrize("text", ["# sel", "verify outputs within 3", 'include "part.qtn"', "select some = ) ) "])
def test_nothing_is_offered_where_nothing_follows(bound_editor: Any, text: str) -> None:
    assert bound_editor.completions(START + text) == {}


def test_layers_say_how_many_they_are(bound_editor: Any) -> None:
    assert bound_editor.completions(START + "select some = ")["MatMul"].detail == "2 of 2 layers"
    assert bound_editor.completions(START + "rewrite ")["all"].detail == "2 layers"
