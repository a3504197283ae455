"""Hover, definitions, references, renaming, outlines, folds and the one form, asked over the wire."""

from typing import Any

import numpy as np
import pytest
from lsprotocol import types as lsp
from onnx import helper, numpy_helper

TEXT = """qtn 1
let half = 50%
data calib = npz("calib.npz")
select all = MatMul where name ~ "*"
select one = top 1 of all by entropy
stage first {
    rewrite all -> lowrank(bytes: half) on calib
}
stage second extends first {
    rewrite one -> mpo(max_bond: 8)
}
emit onnx
emit qiskit(shots: 10) for one
"""


def at(words: str, text: str = TEXT) -> str:
    """The text with the cursor in the middle of words that are marked by `¦`."""
    assert text.count(words.replace("¦", "")) == 1
    return text.replace(words.replace("¦", ""), words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sel¦ect all", ["select NAME = OP where", "top N of"]),
        ("select a¦ll", ["select all = MatMul", "2 of 2 layers, 576 elements", "MatMul 16x24 float32", "up", "down"]),
        ("top 1 of a¦ll", ["2 of 2 layers"]),
        ("rewrite o¦ne", ["select one = top 1", "plan decides what it selects"]),
        ("= Mat¦Mul", ["2 of 2 layers"]),
        ("na¦me ~", ["the canonical name of the layer", 'name ~ re"REGEX"']),
        ('"¦*"', ["2 of 2 layers"]),
        ("by ent¦ropy", ["bits"]),
        ("t¦op 1", ["select NAME = top N of"]),
        ("low¦rank", ["thin matrices", "`rank`", "`error`"]),
        ("max¦_bond", ["largest bond", "a whole number from 1", "`Ki`"]),
        ("sho¦ts", ["runs of a circuit", "`100000`"]),
        ("(bytes: ha¦lf", ["let half = 50%"]),
        ("on cal¦ib", ['data calib = npz("calib.npz")']),
        ("extends fir¦st", ["stage first {"]),
        ("emit on¦nx", ["opset", "min_ort"]),
    ],
)
def test_what_stands_there_is_said(bound_editor: Any, words: str, said: list[str]) -> None:
    found = bound_editor.hover(at(words))
    assert [part for part in said if part not in found] == []


@pytest.mark.parametrize(
    ("text", "said"), [("rewrite all -> mp¦o(", "max_bond"), ("select x = all where blo¦ck", "number")]
)
def test_what_is_not_finished_is_said_too(bound_editor: Any, text: str, said: str) -> None:
    assert said in bound_editor.hover("qtn 1\nselect all = MatMul\n" + text)


@pytest.mark.parametrize("words", ["qtn 1\n¦let", "shots: 1¦0", "stage first {\n ¦", "by ¦entropy", ")¦ on calib"])
def test_a_hover_never_fails(bound_editor: Any, words: str) -> None:
    found = bound_editor.hover(at(words))
    assert found is None or found.strip()


@pytest.mark.parametrize(
    ("words", "line", "character"),
    [
        ("rewrite a¦ll", 3, 7),
        ("for on¦e", 4, 7),
        ("bytes: ha¦lf", 1, 4),
        ("on ca¦lib", 2, 5),
        ("extends fi¦rst", 5, 6),
        ("top 1 of a¦ll", 3, 7),
        ("select o¦ne", 4, 7),
    ],
)
def test_a_name_leads_to_where_it_is_declared(bound_editor: Any, words: str, line: int, character: int) -> None:
    found = bound_editor.definition(at(words))
    assert found.uri == bound_editor.uri("a.qtn")
    assert (found.range.start.line, found.range.start.character) == (line, character)


def test_names_and_paths_lead_into_included_files(bound_editor: Any) -> None:
    text = 'qtn 1\ninclude "part.qtn"\ninclude <llama>\nrewrite inner -> lowrank(bytes: third)\nemit onnx\n'
    part = bound_editor.uri("part.qtn")
    found = bound_editor.definition(at("rewrite inn¦er", text))
    assert (found.uri, found.range.start) == (part, lsp.Position(2, 7))
    assert bound_editor.definition(at('"part¦.qtn"', text)).uri == part
    assert bound_editor.definition(at("<lla¦ma>", text)).uri.endswith("/grammar/recipes/llama.qtn")
    assert "part.qtn:3:8" in bound_editor.hover(at("rewrite inn¦er", text))
    assert bound_editor.definition(at("low¦rank", text)) is None


def test_references_are_all_places_of_a_name(bound_editor: Any) -> None:
    uri, position = bound_editor.write(at("select a¦ll"))
    document = lsp.TextDocumentIdentifier(uri)
    params = lsp.ReferenceParams(lsp.ReferenceContext(True), document, position)
    found = bound_editor.run(bound_editor.client.text_document_references_async(params))
    assert [where.range.start.line for where in found] == [3, 4, 6]
    params = lsp.ReferenceParams(lsp.ReferenceContext(False), document, position)
    found = bound_editor.run(bound_editor.client.text_document_references_async(params))
    assert [where.range.start.line for where in found] == [4, 6]
    params = lsp.DocumentHighlightParams(document, position)
    found = bound_editor.run(bound_editor.client.text_document_document_highlight_async(params))
    assert [where.range.start.line for where in found] == [3, 4, 6]


def renamed(editor: Any, text: str, name: str) -> Any:
    uri, position = editor.write(text)
    params = lsp.RenameParams(lsp.TextDocumentIdentifier(uri), position, name)
    return editor.run(editor.client.text_document_rename_async(params))


def test_a_name_is_changed_everywhere(bound_editor: Any) -> None:
    text = 'qtn 1\ninclude "part.qtn"\nrewrite inner -> lowrank(bytes: third)\nemit onnx\n'
    found = renamed(bound_editor, at("rewrite inn¦er", text), "core")
    places = {uri: [(e.range.start.line, e.new_text) for e in edits] for uri, edits in found.changes.items()}
    assert places == {bound_editor.uri("a.qtn"): [(2, "core")], bound_editor.uri("part.qtn"): [(2, "core")]}


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        (at("select a¦ll"), "and", "is no name"),
        (at("select a¦ll"), "Upper", "is no name"),
        (at("select a¦ll"), "a b", "is no name"),
        (at("select a¦ll"), "x\nemit torch", "is no name"),
        (at("select a¦ll"), "one", "declared already"),
        (at("select a¦ll") + "rewrite", "some", "before all statements can be read"),
        ("qtn 1\ninclude <llama>\nrewrite a¦ttn -> mpo\nemit onnx\n", "some", "of a recipe"),
        ("qtn 1\nrewrite al¦l -> mpo\nemit onnx\n", "some", "nothing declares"),
    ],
)
def test_a_name_that_cannot_be_changed_is_left(bound_editor: Any, text: str, name: str, reason: str) -> None:
    assert renamed(bound_editor, text, name) is None
    assert reason in bound_editor.shown[-1]


def test_the_outline_has_every_statement(bound_editor: Any) -> None:
    uri, _ = bound_editor.write(TEXT)
    params = lsp.DocumentSymbolParams(lsp.TextDocumentIdentifier(uri))
    found = bound_editor.run(bound_editor.client.text_document_document_symbol_async(params))
    assert [symbol.name for symbol in found] == [
        *("qtn 1", "half", "calib", "all", "one", "first", "second", "emit onnx", "emit qiskit")
    ]
    first = found[5]
    assert [child.name for child in first.children] == ["rewrite all"]
    assert (first.range.start.line, first.range.end.line) == (5, 7)


def test_rules_and_their_examples_are_in_the_outline(editor: Any) -> None:
    text = (
        'qtn 1\nuse "my passes (old).py"\nrule twice {\n    match y = Add(x, x)\n    replace y = x * 2\n'
        "    example {\n        before y = Add(x: float[2], x)\n        after y = x * 2\n    }\n}\n"
    )
    params = lsp.DocumentSymbolParams(lsp.TextDocumentIdentifier(editor.write(text)[0]))
    _, used, rule = editor.run(editor.client.text_document_document_symbol_async(params))
    assert used.name == 'use "my passes (old).py"'
    assert (rule.name, rule.detail, rule.kind) == ("twice", "rule", lsp.SymbolKind.Function)
    assert [part.name for part in rule.children] == ["match y", "replace y", "example"]
    assert [part.name for part in rule.children[2].children] == ["before y", "after y"]


def test_stages_long_statements_and_comments_fold(bound_editor: Any) -> None:
    uri, _ = bound_editor.write("# one\n# two\n" + TEXT + "select long =\n    all and\n    one\n")
    params = lsp.FoldingRangeParams(lsp.TextDocumentIdentifier(uri))
    found = bound_editor.run(bound_editor.client.text_document_folding_range_async(params))
    assert {(fold.start_line, fold.end_line) for fold in found} == {(0, 1), (7, 9), (10, 12), (15, 17)}


def formatted(editor: Any, text: str) -> Any:
    uri, _ = editor.write(text)
    params = lsp.DocumentFormattingParams(lsp.TextDocumentIdentifier(uri), lsp.FormattingOptions(4, True))
    return editor.run(editor.client.text_document_formatting_async(params))


def test_the_one_form_is_an_edit_of_the_lines_that_change(bound_editor: Any) -> None:
    (edit,) = formatted(bound_editor, TEXT.replace("let half = 50%", "let   half=50%"))
    assert (edit.range.start, edit.range.end) == (lsp.Position(1, 0), lsp.Position(2, 0))
    assert edit.new_text == "let half = 50%\n"
    assert not formatted(bound_editor, TEXT)
    assert not formatted(bound_editor, TEXT.replace("\n", "\r\n"))
    assert not formatted(bound_editor, "qtn 1\nselect  x = (")


def test_names_of_a_hostile_model_are_harmless(editors: Any, toys: Any) -> None:
    names = [
        'quote".w',
        "back`tick```\n# big",
        "![x](http://evil)",
        "star*.q?",
        "\N{RIGHT-TO-LEFT OVERRIDE}rtl",
        "re[",
        "\\d",
    ]
    nodes, weights = [], []
    for number, name in enumerate(names):
        read, written = f"x{number}" if number else "x", f"x{number + 1}"
        nodes.append(helper.make_node("MatMul", [read, f"w{number}"], [written], name=name))
        weights.append(numpy_helper.from_array(np.ones((4, 4), np.float32), f"w{number}"))
    proto = toys.model(nodes, [toys.value("x", [1, 4])], [toys.value(f"x{len(names)}", [1, 4])], weights)
    editor = editors()
    toys.write(proto, editor.folder / "m.onnx")
    editor.write('qtn 1\nselect none = MatMul where name ~ "nope"\nemit onnx\n')
    editor.until_said("`none` selects nothing")
    offered = editor.completions('qtn 1\nselect all = MatMul where name ~ "')
    for item in offered.values():
        assert item.label.isprintable()
        text = item.text_edit.new_text
        assert text.isprintable()
        assert '"' not in text
        editor.write(f'qtn 1\nselect all = MatMul where name ~ "{text}*"\nemit onnx\n')
        assert editor.diagnostics() == []
    shown = editor.hover("qtn 1\nselect a¦ll = MatMul\nemit onnx\n")
    # Only fences of ours, and everything of the model between them.
    assert [line for line in shown.split("\n") if "`" in line] == ["```qtn", "```", "```text", "```"]
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in shown
