"""Smaller specs: some of the statements of one, and statements with less in them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qtnc.source import Source
from qtnc.spec import tree
from qtnc.spec.rules import tree as rule_tree
from qtnc.spec.syntax import recover

CLAUSES = (r"\s+where\s.*$", r"\s+on\s+\w+\s*$", r"\s+take\s+\S+\s*$", r"\s+for\s+\w+\s*$", r"\s*\([^()]*\)\s*$")
"""What a statement may do without."""


INCLUDE = re.compile(r'include\s+"([^"/\n]+)"')
"""An include of a file that lies beside the spec."""


RULE = re.compile(r"rule\s")


@dataclass(frozen=True)
class Statement:
    """The text of one statement, or of a ``whole`` spec.

    ``stage`` is the first line of the stage that it stands in, "" outside.
    """

    text: str
    stage: str = ""
    whole: bool = False


def statements_of(text: str) -> list[Statement]:
    """Statements of a spec without its first, in order; of one that cannot be read whole there is one, the text."""
    spec, errors = recover(Source("spec", text))
    if errors:
        return [Statement(text, whole=True)]
    found: list[Statement] = []
    for node in spec.statements:
        if isinstance(node, tree.Stage):
            opening = node.span.text
            found.append(Statement(opening))
            found += [Statement(inner.span.text, opening) for inner in node.statements]
        elif isinstance(node, rule_tree.Rule):
            found.append(Statement(_rule(node, node.statements)))
        elif not isinstance(node, tree.Header):
            found.append(Statement(node.span.text))
    return found


def _rule(rule: rule_tree.Rule, parts: Sequence[rule_tree.Part]) -> str:
    """A rule of some of its lines and examples; the spans of both are those of first lines."""
    lines = [rule.span.text]
    for part in parts:
        lines.append(f"    {part.span.text}")
        if isinstance(part, rule_tree.Example):
            lines += [*(f"        {line.span.text}" for line in part.statements), "    }"]
    return "\n".join([*lines, "}"])


def _shorter_rules(text: str) -> Iterator[str]:
    """A rule without one of the examples and conditions that it may do without."""
    spec, _ = recover(Source("rule", f"qtn 1\n{text}\n"))
    for rule in spec.statements:
        if isinstance(rule, rule_tree.Rule):
            for part in rule.statements:
                if isinstance(part, rule_tree.Example | rule_tree.Where | rule_tree.Within):
                    yield _rule(rule, [other for other in rule.statements if other is not part])


def inlined(statement: Statement, files: Mapping[str, Path]) -> tuple[Statement, ...] | None:
    """The statements of the file that a statement includes; None where it includes none that lies beside the spec.

    Paths in a file of another folder start there, so that it stays a file.
    """
    found = INCLUDE.fullmatch(statement.text)
    if found is None or found[1] not in files:
        return None
    inner = statements_of(files[found[1]].read_text(encoding="utf-8"))
    return None if any(one.whole for one in inner) else tuple(inner)


def text_of(statements: Sequence[Statement]) -> str:
    """A spec of these statements; those whose stage is gone go with it."""
    if any(statement.whole for statement in statements):
        return statements[0].text
    openings = {s.text for s in statements if s.text.endswith("{")}
    lines, stage = ["qtn 1"], ""
    for statement in statements:
        if statement.stage and statement.stage not in openings:
            continue
        if stage and statement.stage != stage:
            lines.append("}")
        opens = statement.text.endswith("{")
        stage = statement.text if opens else statement.stage
        lines.append(f"    {statement.text}" if statement.stage else statement.text)
    return "\n".join([*lines, *(["}"] if stage else []), ""])


def shortened(statement: Statement) -> Iterator[Statement]:
    """The statement without one of its clauses."""
    if RULE.match(statement.text):
        yield from map(Statement, _shorter_rules(statement.text))
        return
    for clause in CLAUSES:
        shorter = re.sub(clause, "", statement.text, flags=re.DOTALL)
        if shorter != statement.text and not statement.text.endswith("{"):
            yield Statement(shorter, statement.stage)


def moved(text: str) -> tuple[str, dict[str, Path]]:
    """The text with data beside it, ``NAME.npz``, and the path that each came from as the text has it."""
    spec, errors = recover(Source("spec", text))
    files: dict[str, Path] = {}
    if errors:
        return text, files
    values = [
        (node.name.text, argument.value)
        for node in spec.statements
        if isinstance(node, tree.Data)
        for argument in node.reader.arguments[:1]
        if isinstance(argument.value, tree.String)
    ]
    for name, value in reversed(values):
        files[f"{name}.npz"] = Path(value.text)
        text = f'{text[: value.span.start]}"{name}.npz"{text[value.span.end :]}'
    return text, files
