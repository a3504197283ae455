"""The reference is what the grammar and the tables say, and each of its examples is a statement."""

import re
import runpy
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from qtnc.source import Source
from qtnc.spec.syntax import recover, vocabulary
from qtnc.structures.options import option

SITE = Path(__file__).parents[2] / "docs" / "site"


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    """The script that writes the page."""
    return runpy.run_path(str(SITE / "reference.py"))


@pytest.fixture(scope="module")
def statements(reference: dict[str, Any]) -> dict[str, Any]:
    """Entries of the grammar by the word that a statement begins with."""
    return {entry.word: entry for entry in reference["entries"]() if entry.word}


def test_the_page_is_fresh(reference: dict[str, Any]) -> None:
    written = reference["PAGE"].read_text(encoding="utf-8")
    assert written == reference["page"](), "`make reference` writes docs/reference.md anew"


def test_every_statement_is_documented_where_it_is_defined(statements: dict[str, Any]) -> None:
    assert set(statements) == set(vocabulary().statements)
    for word, entry in statements.items():
        assert entry.prose, f"grammar/qtn.lark says nothing of `{word}`"
        assert entry.examples, f"grammar/qtn.lark has no example of `{word}`"
        assert entry.since, f"grammar/qtn.lark does not say which release brought `{word}`: `// since qtnc 0.1`"


def test_every_example_is_read(statements: dict[str, Any]) -> None:
    for word, entry in statements.items():
        for example in entry.examples:
            found, errors = recover(Source("example.qtn", example))
            assert not errors, f"{word}: {errors}"
            (statement,) = found.statements
            assert statement.span.text.startswith(word)


def test_all_that_is_a_part_of_statements_has_a_release(reference: dict[str, Any]) -> None:
    def released(text: str) -> tuple[int, ...]:
        return tuple(map(int, text.split(".")[:2]))

    found = reference["entries"]()
    parts = found[1 : [entry.name for entry in found].index("operator")]  # the first says which statements there are
    for entry in parts:
        if entry.name.islower():
            assert entry.since, f"grammar/qtn.lark does not say which release brought `{entry.name}`"
            assert released(entry.since) <= released(version("qtnc")), f"`{entry.name}` is from the future"


def test_every_example_on_the_page_is_read(reference: dict[str, Any]) -> None:
    blocks = re.findall(r"^```qtn\n(.*?)^```", reference["page"](), re.MULTILINE | re.DOTALL)
    assert len(blocks) == len(vocabulary().statements)
    for block in blocks:
        assert recover(Source("reference.md", block))[1] == ()


def test_an_option_that_came_later_says_when(reference: dict[str, Any]) -> None:
    @dataclass(frozen=True)
    class Later:
        """A structure."""

        depth: int = option("count", 1_000, "how deep")
        share: float | None = option("fraction", 0.125, "how much", since="0.2")

    shown = "\n".join(reference["_owners"]({"later": Later}))
    assert "| option | value | default | meaning | since |" in shown
    assert "| `depth` | count | `1_000` | how deep |  |" in shown
    assert "| `share` | percentage | `12.5%` | how much | 0.2 |" in shown
