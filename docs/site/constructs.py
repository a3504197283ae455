"""The spec language's grammar as documentation: its rules with the comments above them."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.resources import files

DEFINITION = re.compile(r"[?!]?(\w+)(?:\.-?\d+)?:")
SINCE = re.compile(r"since qtnc (\d+\.\d+)")


@dataclass(frozen=True)
class Entry:
    """Rules that stand together, and what the comment above them says.

    Attributes
    ----------
    name : of the first rule.
    word : that a statement of the first rule begins with; None where it is no statement.
    prose : what the comment says, as Markdown.
    examples : what it shows, from a line that begins with the rule's own word, each with its lines.
    since : the release that brought it.
    rules : as they stand in the grammar.
    """

    name: str
    word: str | None
    prose: str
    examples: tuple[str, ...]
    since: str | None
    rules: str


def entries() -> tuple[Entry, ...]:
    """Everything that the grammar says, in its order; its first comment, which is about the file, left out."""
    text = files("qtnc.grammar").joinpath("qtn.lark").read_text(encoding="utf-8")
    found = re.search(r"^\?statement: (.*)$", text, re.MULTILINE)
    statements = found[1].split(" | ") if found else []
    return tuple(_entry(comment, rules, statements) for comment, rules in _blocks(text) if rules)


def _blocks(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """A comment and the rules below it, up to the next comment or to two blank lines."""
    comment: list[str] = []
    rules: list[str] = []
    blank = 0
    for line in [*text.splitlines(), "//"]:
        blank = 0 if line else blank + 1
        if blank > 1 or (rules and line.startswith("//")):
            yield comment, rules
            comment, rules = [], []
        if line.startswith("//"):
            comment.append(line[2:].removeprefix(" "))
        elif line and not line.startswith("%"):
            rules.append(line)
        elif comment and not rules:
            comment = []  # a comment on nothing below it


def _entry(comment: list[str], rules: list[str], statements: Collection[str]) -> Entry:
    found = DEFINITION.match(rules[0])
    if found is None:
        raise ValueError(f"no rule of a grammar: {rules[0]}")
    begins = re.match('"([a-z]+)"', rules[0][found.end() :].strip())
    prose, examples, since, lines = [], [], None, iter(comment)
    for line in lines:
        if said := SINCE.fullmatch(line):
            since = said[1]
        elif begins and re.match(rf"{begins[1]}\b", line):
            examples.append("\n".join(_example(line, lines)))
        else:
            prose.append(line)
    word = begins[1] if begins and found[1] in statements else None
    return Entry(found[1], word, " ".join(prose), tuple(examples), since, "\n".join(rules))


def _example(line: str, rest: Iterator[str]) -> Iterator[str]:
    """A line, and those up to the one that closes what it opens."""
    yield line
    depth = line.count("{") - line.count("}")
    while depth > 0:
        line = next(rest)
        depth += line.count("{") - line.count("}")
        yield line
