"""The language's page tells the truth in its lists and tables; its blocks are held by tests/docs/test_blocks.py."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from qtnc.backends.options import BACKENDS
from qtnc.rules.functions import FUNCTIONS, Function
from qtnc.rules.operators import CLASSES
from qtnc.spec.comparisons import COUNTED, FIELDS
from qtnc.spec.facts import DTYPES
from qtnc.spec.kinds import KINDS as VALUE_KINDS
from qtnc.spec.layout import MAX_DEPTH
from qtnc.spec.rank import KEYS
from qtnc.spec.rules.kinds import ELEMENTS, GROUPS, RANK, SHAPES
from qtnc.spec.rules.rule import MAX_PARTS
from qtnc.spec.syntax import MAX_LENGTH, vocabulary
from qtnc.spec.values import UNITS, listing
from qtnc.structures.options import options_of
from qtnc.structures.registry import STRUCTURES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
MODEL = ROOT / "examples" / "tinylm" / "tinylm.onnx"


def test_every_statement_has_a_section() -> None:
    assert re.findall(r"^## `(\w+)`", PAGE, re.MULTILINE) == list(vocabulary().statements)


def test_reserved_words_are_listed() -> None:
    section = PAGE.split("## Reserved words")[1]
    assert tuple(re.findall(r"`(\w+)`", section)) == vocabulary().reserved


def test_limits_and_units() -> None:
    assert f"at most {MAX_LENGTH:,} characters" in PAGE
    assert all(f"`{unit}`" in PAGE for unit in UNITS)


def test_keys_are_listed() -> None:
    section = PAGE.split("| key |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(KEYS)


def test_fields_and_types_are_listed() -> None:
    section = PAGE.split("| field |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `([a-z.]+)`", section, re.MULTILINE) == list(COUNTED)
    assert listing(DTYPES, "or") in PAGE
    assert all(f"| `{field} " in PAGE for field in set(FIELDS) - set(COUNTED))


def listed(table: str) -> list[str]:
    """Rows of a table of the page, without its head."""
    return PAGE.split(f"<!-- {table} -->\n")[1].split(f"\n<!-- /{table} -->")[0].splitlines()[2:]


def takes(function: Function) -> str:
    sure = len(function.parameters) - function.optional
    words = [sort.value + (", if any" if k >= sure else "") for k, sort in enumerate(function.parameters)]
    return ", ".join([*words, *(["more of them"] if function.rest else [])])


def test_functions_of_rules_are_listed() -> None:
    rows = [f"| `{name}` | {takes(f)} | {f.result.value} | {f.meaning} |" for name, f in FUNCTIONS.items()]
    assert listed("functions") == rows, "docs/language.md should list:\n" + "\n".join(rows)


def test_classes_of_operators_are_listed() -> None:
    rows = [f"| `{name}` | {', '.join(f'`{op}`' for op in sorted(ops))} |" for name, ops in CLASSES.items()]
    assert listed("classes") == rows, "docs/language.md should list:\n" + "\n".join(rows)


def test_kinds_are_listed() -> None:
    words = re.findall(r"^\| `(\w+)(?: N)?` \|", "\n".join(listed("rule-kinds")), re.MULTILINE)
    assert words == [*SHAPES, RANK, *GROUPS]
    assert listing(GROUPS["float"], "or") in PAGE
    assert set(re.findall(r"`(\w+)`", listed("rule-kinds")[-2])) <= set(ELEMENTS)


def test_limits_of_rules() -> None:
    assert f"nested at most {MAX_DEPTH} deep" in PAGE
    assert f"looks for {MAX_PARTS} operations" in PAGE


def test_kinds_of_values_are_listed() -> None:
    rows = [[kind.name, ", ".join(f"`{x}`" for x in kind.examples), kind.taken_by] for kind in VALUE_KINDS]
    assert listed("kinds") == [f"| {' | '.join(row)} |" for row in rows]


@pytest.mark.parametrize(("table", "owners"), [("options", STRUCTURES), ("backends", BACKENDS)])
def test_every_option_is_listed(table: str, owners: Mapping[str, type[Any]]) -> None:
    rows = []
    for name, owner in owners.items():
        for option in options_of(owner).values():
            rows.append(f"| `{name}` | `{option.name}` | {option.takes} | {option.doc} |")
        if not options_of(owner):
            rows.append(f"| `{name}` | | | |")
    assert listed(table) == rows, "docs/language.md should list:\n" + "\n".join(rows)


def test_who_wins_is_what_plan_shows(qtnc: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = PAGE.split("## Who wins")[1].split("\n## ")[0]
    (spec,) = re.findall(r"^```qtn\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    small, smaller = re.findall(r"^```text\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("spec.qtn").write_text(spec)
    for stage, lines in (("small", small), ("smaller", smaller)):
        done = qtnc("plan", MODEL, "spec.qtn", "--stage", stage)
        assert done.code == 0, done.err
        assert re.findall(r"^.*: (?:.* wins over .*|ignored by .*)\n", done.out, re.MULTILINE) == lines.splitlines(True)
        told = json.loads(qtnc("plan", MODEL, "spec.qtn", "--stage", stage, "--json").out)
        losers = {entry["layer"]: (entry["rule"], entry["overruled"]) for entry in told["layers"] if entry["overruled"]}
        for layer, (rule, overruled) in losers.items():
            assert f"{layer}: {rule} wins over {', '.join(overruled)}\n" in lines
        assert len(losers) == lines.count("wins over")
