"""What VS Code is told of the language without the server: how lines are indented when Enter is pressed, and pairs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from qtnc.source import Source
from qtnc.spec.form import formatted
from qtnc.spec.syntax import spelling, vocabulary

HOME = Path(__file__).parents[2] / "grammar" / "vscode"
CONFIGURATION: dict[str, Any] = json.loads((HOME / "language-configuration.json").read_text(encoding="utf-8"))
PACKAGE: dict[str, Any] = json.loads((HOME / "package.json").read_text(encoding="utf-8"))

STEPS = {"none": 0, "indent": 4, "outdent": -4}

SPEC = r"""qtn 1
include <llama>
let ends = [0, 11]
select all = MatMul where
name ~ re"\"w\(" and  # "why" -
depth >= 50% or
block in ends
select rest =
all -
head
rewrite all -> mpo(
max_bond: 8,
sites: 2,
)
rewrite rest -> lowrank(rank: 2) |
mpo(max_bond: 8) on calib
stage s {  # two
rewrite all -> mpo(sites: 2,
max_bond: 8)
rewrite rest -> lowrank(rank: 1)
}
rule twice {
match y =
Add(x, x)
where size(x) > 4 and
size(x) < 8
replace y = x * 2
example {
before y = Add(x: float[2], x)
after y = x * 2
}
}
emit onnx
"""


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def entered(previous: str, line: str, following: str) -> int:
    """Where a line stands that is begun by Enter behind `line`, once what `following` begins with is typed."""
    rules = CONFIGURATION["indentationRules"]
    step = 4 if re.search(rules["increaseIndentPattern"], line) else 0
    for rule in CONFIGURATION["onEnterRules"]:
        if re.search(rule["beforeText"], line) and re.search(rule.get("previousLineText", ""), previous):
            step = STEPS[rule["action"]["indent"]]
            break
    return indent(line) + step - (4 if re.search(rules["decreaseIndentPattern"], following) else 0)


def test_enter_indents_as_the_form_does() -> None:
    lines = formatted(Source("", SPEC)).splitlines()
    assert max(map(indent, lines)) == 8
    for previous, line, following in zip(["", *lines], lines, lines[1:], strict=False):
        assert entered(previous, line, following) == indent(following), following


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("# a comment (", 0),
        ('select a = M where name ~ "x ("', 0),
        ('use "a,"', 0),
        ("include <llama>", 0),
        ("let wide = 384x*", 0),
        ("emit onnx  # and", 0),
        ('select a = M where name ~ "#" and (  # "', 4),
        ("select a = M where name ~", 4),
        ("select a = floor", 0),
        ("x" * 5000, 0),
        ('"" ' * 2000, 0),
    ],
)
def test_what_ends_a_line_says_whether_the_next_is_indented(line: str, step: int) -> None:
    assert entered("", line, "x") == step


def test_every_word_and_bracket_that_leaves_a_statement_open_indents() -> None:
    known, spelled = vocabulary(), spelling()
    for kind in (*known.operators, *known.openings):
        sign = spelled.get(kind, "<=")  # comparators are spelled in several ways
        assert entered("", f"select a = b {sign}", "c") == 4, sign


def test_what_closes_a_bracket_or_a_string_is_written_with_it() -> None:
    pairs = {pair["open"]: pair for pair in CONFIGURATION["autoClosingPairs"]}
    assert {pair: pairs[pair]["close"] for pair in pairs} == {"(": ")", "[": "]", "{": "}", '"': '"', 're"': '"'}
    assert all({"string", "comment", "regex"} == set(pair["notIn"]) for pair in pairs.values())


def test_enter_ends_a_line_behind_a_word_that_is_whole() -> None:
    editor = PACKAGE["contributes"]["configurationDefaults"]["[qtn]"]
    # Lines end in words that are offered, such as `where`; and layers are offered within strings.
    assert editor["editor.acceptSuggestionOnEnter"] == "smart"
    assert editor["editor.quickSuggestions"]["strings"] == "on"


def test_folders_of_a_workspace_are_set_to_models_of_their_own() -> None:
    settings = PACKAGE["contributes"]["configuration"]["properties"]
    assert settings["qtnc.model"]["scope"] == "resource"
    assert settings["qtnc.command"]["scope"] == "machine-overridable"
    assert "qtnc.command" in PACKAGE["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"]


def test_every_file_that_the_extension_loads_is_packed() -> None:
    left_out = (HOME / ".vscodeignore").read_text(encoding="utf-8").split()
    assert "*.js" not in left_out
    for script in HOME.glob("*.js"):
        for name in re.findall(r'require\("(\./[^"]+)"\)', script.read_text(encoding="utf-8")):
            assert (HOME / f"{name}.js").is_file()
            assert f"{Path(name)}.js" not in left_out
