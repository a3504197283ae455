"""What may come next: of every statement of the pages and examples, each word is foreseen from those before it."""

import re
from pathlib import Path
from typing import Any

import pytest

from qtnc.source import Source
from qtnc.spec import tree
from qtnc.spec.ahead import path_to, paths, words
from qtnc.spec.layout import Lexeme, stretches
from qtnc.spec.syntax import lexemes, recover, vocabulary

ROOT = Path(__file__).parents[2]
PAGES = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "README.md", ROOT / "docs" / "language.md"))
SPECS = [
    *(path.read_text(encoding="utf-8") for home in ("examples", "grammar") for path in (ROOT / home).rglob("*.qtn")),
    *re.findall(r"^```qtn\n(.*?)^```", PAGES, re.MULTILINE | re.DOTALL),
]


TOLD_LATER = {("Labelled", "name"): ("Capture", "name")}
"""What a word may turn out to be by more than the next one, and what it may be as well by then."""


def flat(statements: tuple[Any, ...]) -> list[Any]:
    return [y for x in statements for y in (x, *flat(getattr(x, "statements", ())))]


def seen(text: str) -> list[tuple[Source, list[Lexeme], Lexeme, Any, str | None]]:
    """Every lexeme after the first of its statement: those before it, the statement, the word that begins its block."""
    source = Source("spec.qtn", text)
    built = {statement.span.start: statement for statement in flat(recover(source)[0].statements)}
    return [
        (source, stretch.lexemes[:place], lexeme, built[stretch.start], stretch.block.word if stretch.block else None)
        for stretch in stretches(source, lexemes(text), vocabulary())
        for place, lexeme in enumerate(stretch.lexemes)
        if place and stretch.start in built
    ]


@pytest.mark.parametrize("text", SPECS)
def test_every_word_is_foreseen(text: str) -> None:
    names = 0
    for source, before, lexeme, statement, block in seen(text):
        path = path_to(statement, lexeme.start, lexeme.end)
        value = getattr(path[-1].node, path[-1].field) if path else None
        if isinstance(value, tuple):
            value = next((part for part in value if part.span.start == lexeme.start), None)
        if not lexeme.text.isidentifier():
            continue
        if isinstance(value, tree.Name) and path[-1].field != "word":
            # As the tree has it once the statement is whole; around it there may be more than was written yet.
            leaf = Lexeme("NAME", lexeme.text, lexeme.start, lexeme.line)
            found = {tuple(step.role for step in way[-1:]) for way in paths(source, before, leaf, block)}
            assert (TOLD_LATER.get(path[-1].role, path[-1].role),) in found, lexeme
            names += 1
        else:
            assert lexeme.text in words(before, block), lexeme
    assert names


@pytest.mark.parametrize("text", SPECS)
def test_every_string_is_foreseen(text: str) -> None:
    for source, before, lexeme, statement, block in seen(text):
        if lexeme.kind in ("STRING", "REGEX", "RECIPE"):
            role = path_to(statement, lexeme.start, lexeme.end)[-1].role
            assert role in {way[-1].role for way in paths(source, before, lexeme, block)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rewrite mlp -> mpo ", ("on",)),
        ("stage a ", ("extends",)),
        ("verify ", ("outputs",)),
        ("select a = b ", ("and", "or", "where")),
        ("select a = top 2 of ", ()),  # `top` would be a name there, as any word
        ("select a = top ", ("and", "or", "where")),
        ("rewrite ) ", ()),
    ],
)
def test_words(text: str, expected: tuple[str, ...]) -> None:
    assert words(lexemes(text)) == expected


def test_at_the_beginning_are_the_words_of_statements() -> None:
    assert set(words([])) == set(vocabulary().statements)


def test_a_word_that_may_be_two_things_is_both() -> None:
    text = "rewrite a -> mpo(b"
    found = paths(Source("", text), lexemes("rewrite a -> mpo("), Lexeme("NAME", "b", len(text) - 1, 1))
    assert [way[-1].role for way in found] == [("Argument", "name"), ("Argument", "value")]
    assert [way[-2].node.name.text for way in found] == ["mpo", "mpo"]


def test_the_deepest_brackets_are_finished() -> None:
    text = "select a = " + "(" * 100
    found = paths(Source("", text + "b"), lexemes(text), Lexeme("NAME", "b", len(text), 1))
    assert ("Layers", "name") in {way[-1].role for way in found}
