"""The grammar that editors colour by: made from that of the language, and what it makes of a spec."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from qtnc.lsp.textmate import textmate, written
from qtnc.spec.syntax import lexemes, vocabulary

ROOT = Path(__file__).parents[2]
HOME = ROOT / "grammar" / "vscode"
FILE = HOME / "syntaxes" / "qtn.tmLanguage.json"
EXAMPLES = sorted(path for home in ("examples", "grammar/recipes") for path in (ROOT / home).rglob("*.qtn"))


def coloured(line: str, rules: list[Any]) -> list[tuple[str, str]]:
    """A line as an editor has it: the first match from the left, the earlier rule where two begin together."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(line):
        matches = [(match, rule) for rule in rules if (match := re.compile(rule["match"]).search(line, at))]
        matches = [pair for pair in matches if pair[0].end() > at]
        if not matches:
            break
        match, rule = min(matches, key=lambda pair: pair[0].start())
        groups = {int(key): value for key, value in rule.get("captures", {}).items() if key != "0"}
        if "name" in rule:
            found.append((match[0], rule["name"]))
        found += [(match[group], value["name"]) for group, value in groups.items()]
        at = match.end()
    return [(text, scope.replace(".qtn", "")) for text, scope in found]


def colours(line: str) -> dict[str, str]:
    return dict(coloured(line, textmate()["patterns"]))


def test_what_is_committed_is_what_the_grammar_makes() -> None:
    assert FILE.read_text(encoding="utf-8") == written(), "make editors"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("qtn 1  # c", {"qtn": "keyword.control", "1": "constant.numeric", "# c": "comment.line.number-sign"}),
        ("include <llama>", {"include": "keyword.control", "<llama>": "string.unquoted.recipe"}),
        ("let share = 30%", {"share": "variable.other.constant entity.name.let", "30%": "constant.numeric"}),
        (
            'data c = npz("c.npz") take 64Ki',
            {"c": "variable.other.constant entity.name.data", "npz": "entity.name.function", "take": "keyword.other"},
        ),
        (
            'select a = MatMul where name ~ "*.x" and weight.shape == *x16',
            {
                "a": "variable.other.constant entity.name.select",
                "MatMul": "support.class.operator",
                "where": "keyword.operator.wordlike",
                "name": "support.variable",
                '"*.x"': "string.quoted.double.glob",
                "weight.shape": "support.variable",
                "*x16": "constant.numeric.shape",
            },
        ),
        (
            r'select a = b where name ~ re"l\.\"x" or block in [0]',
            {r're"l\.\"x"': "string.regexp", "block": "support.variable"},
        ),
        (
            "    rewrite hard -> circuit(depth: 4, layout: cross) | mpo on calib",
            {
                "rewrite": "keyword.control",
                "hard": "variable.other",
                "circuit": "entity.name.function",
                "depth": "variable.parameter",
                "cross": "constant.language",
                "mpo": "entity.name.function",
                "on": "keyword.other",
                "calib": "variable.other",
            },
        ),
        (
            "stage two extends one {",
            {
                "two": "variable.other.constant entity.name.stage",
                "extends": "keyword.other",
                "{": "punctuation.section.begin",
            },
        ),
        (
            "emit onnx(opset: 18)",
            {"emit": "keyword.control", "onnx": "entity.name.function", "opset": "variable.parameter"},
        ),
        ('select a = "x', {'"x': "string.quoted.double invalid.illegal.unclosed"}),
        ("optimize memory", {"optimize": "keyword.control", "memory": "constant.language"}),
        (
            "    match y = Mul(x, w: const float [2, n], s: scalar, r:rank 2)",
            {
                "match": "keyword.control",
                "w": "variable.parameter",
                "const": "storage.type",
                "float": "storage.type",
                "2": "constant.numeric",
                "n": "variable.other",
                "scalar": "storage.type",
                "rank": "storage.type",
            },
        ),
        ("select b = matrix or const", {"matrix": "variable.other", "const": "variable.other"}),
    ],
)
def test_words_have_their_colours(line: str, expected: dict[str, str]) -> None:
    found = colours(line)
    assert {text: found.get(text) for text in expected} == expected


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_all_of_an_example_is_coloured_in_pieces_of_the_lexer(path: Path) -> None:
    text, rules = path.read_text(encoding="utf-8"), textmate()["patterns"]
    pieces = [piece for line in text.splitlines() for piece, scope in coloured(line, rules) if "comment" not in scope]
    # A field is one piece here, and three there.
    assert "".join(pieces) == "".join(lexeme.text for lexeme in lexemes(text))
    scopes = {scope for line in text.splitlines() for _, scope in coloured(line, rules)}
    assert not [scope for scope in scopes if "invalid" in scope]


def test_every_statement_is_a_keyword() -> None:
    for word in vocabulary().statements:
        assert colours(f"{word} ")[word] == "keyword.control"


def test_the_extension_names_files_that_are_there() -> None:
    package = json.loads((HOME / "package.json").read_text(encoding="utf-8"))
    (language,), (grammar,) = package["contributes"]["languages"], package["contributes"]["grammars"]
    assert grammar["scopeName"] == textmate()["scopeName"]
    for path in (package["main"], language["configuration"], grammar["path"]):
        assert (HOME / path).is_file()
    configuration = json.loads((HOME / language["configuration"]).read_text(encoding="utf-8"))
    assert {pair[0] for pair in configuration["brackets"]} == {"(", "[", "{"}
    # What a workspace sets is run only where it is trusted.
    assert "qtnc.command" in package["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"]
