"""The language's page tells the truth: its examples, its messages, its table of options."""

import re
from pathlib import Path

import pytest

from qtnc.errors import SpecError
from qtnc.source import Source
from qtnc.spec.program import Spec
from qtnc.spec.read import read_source
from qtnc.spec.syntax import MAX_LENGTH, vocabulary
from qtnc.spec.values import UNITS
from qtnc.structures.options import Kind, options_of
from qtnc.structures.registry import STRUCTURES

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```qtn\n(.*?)^```\n(.*?)(?=^```qtn|\Z)", PAGE, re.MULTILINE | re.DOTALL)
VALUES: dict[Kind, str] = {
    "count": "count",
    "fraction": "percentage",
    "number": "number",
    "sites": "sites",
    "word": "word",
}


def read(text: str) -> Spec:
    return read_source(Source("spec.qtn", text), STRUCTURES, ("torch", "onnx"), Path())


@pytest.mark.parametrize(("text", "after"), BLOCKS)
def test_examples(text: str, after: str) -> None:
    answer = re.match(r"\nThe spec above is wrong, and the answer is:\n\n```text\n(.*?)\n```", after, re.DOTALL)
    if answer is None:
        assert read(text)
    else:
        with pytest.raises(SpecError) as caught:
            read(text)
        assert str(caught.value) == answer[1]


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 2


def test_every_statement_has_a_section() -> None:
    assert re.findall(r"^## `(\w+)`", PAGE, re.MULTILINE) == list(vocabulary().statements)


def test_reserved_words_are_listed() -> None:
    section = PAGE.split("## Reserved words")[1]
    assert tuple(re.findall(r"`(\w+)`", section)) == vocabulary().reserved


def test_limits_and_units() -> None:
    assert f"at most {MAX_LENGTH:,} characters" in PAGE
    assert all(f"`{unit}`" in PAGE for unit in UNITS)


def test_every_option_is_listed() -> None:
    rows = [
        f"| `{name}` | `{option.name}` | {' or '.join(option.words) or VALUES[option.kind]} | {option.doc} |"
        for name, structure in STRUCTURES.items()
        for option in options_of(structure).values()
    ]
    listed = PAGE.split("<!-- options -->\n")[1].split("\n<!-- /options -->")[0].splitlines()[2:]
    assert listed == rows, "docs/language.md should list:\n" + "\n".join(rows)
