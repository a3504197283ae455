"""The language as editors colour it: a TextMate grammar, made from `qtn.lark` and the words of the tables.

``python -m qtnc.lsp.textmate FILE`` writes it. A line is coloured without what stands around it, so that it knows less
than the parser: a word of the language is one wherever it may be one.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from qtnc.backends.options import BACKENDS
from qtnc.spec.comparisons import FIELDS
from qtnc.spec.facts import DTYPES
from qtnc.spec.rules.kinds import ELEMENTS, GROUPS, RANK, SHAPES
from qtnc.spec.settings import GOALS
from qtnc.spec.syntax import expansions, patterns, spelling, vocabulary
from qtnc.spec.values import UNITS
from qtnc.structures.options import options_of
from qtnc.structures.registry import STRUCTURES

SCOPE: Final = "source.qtn"

BEFORE: Final = r"(?<![A-Za-z0-9_.])"
"""What no word or number has before it."""

BEGIN: Final = r"(?:^|(?<=\{))\s*"
"""What a statement has before it on its line."""

DECLARED: Final = "variable.other.constant"
"""Of a name where it is declared: themes have a colour for it, and none for an `entity.name` that they do not know."""

Rule = dict[str, Any]


def textmate() -> Rule:
    """The grammar as data."""
    return {
        "information_for_contributors": ["Made from grammar/qtn.lark by `make editors`; do not edit."],
        "name": "qtn",
        "scopeName": SCOPE,
        "fileTypes": ["qtn"],
        "patterns": [*_texts(), *_statements(), *_names(), *_values(), *_marks()],
    }


def written() -> str:
    """The grammar as the text of its file."""
    return json.dumps(textmate(), indent=2) + "\n"


def _rule(match: str, *scopes: str, name: str | None = None) -> Rule:
    """A rule that gives scopes to the groups of a match, or a name to the whole."""
    rule: Rule = {"match": match}
    if name:
        rule["name"] = _own(name)
    if scopes:
        rule["captures"] = {str(number): {"name": _own(scope)} for number, scope in enumerate(scopes, start=1)}
    return rule


def _own(scopes: str) -> str:
    """Scopes with the name of the language behind each."""
    return " ".join(f"{scope}.qtn" for scope in scopes.split())


def _any(words: Iterable[str]) -> str:
    """Any of some words, the longest first, so that none is taken for the beginning of another."""
    return "(?:" + "|".join(re.escape(word) for word in sorted(set(words), key=lambda word: (-len(word), word))) + ")"


def _texts() -> Iterator[Rule]:
    """Comments, strings, recipes, and strings that are not closed."""
    known = patterns()
    yield _rule(known["COMMENT"], name="comment.line.number-sign")
    escape = _rule(r"\\.", name="constant.character.escape")
    yield {**_rule(known["REGEX"], name="string.regexp"), "captures": {"0": {"patterns": [escape]}}}
    wildcard = _rule(r"[*?]", name="constant.other.wildcard")
    glob = _rule(rf"(~)\s*({known['STRING']})", "keyword.operator.comparison", "string.quoted.double.glob")
    glob["captures"]["2"]["patterns"] = [wildcard]
    yield glob
    yield _rule(known["STRING"], name="string.quoted.double")
    # A string to editors too: no bracket in it has a partner.
    yield _rule(known["UNCLOSED"], name="string.quoted.double invalid.illegal.unclosed")
    yield _rule(known["RECIPE"], name="string.unquoted.recipe")


def _statements() -> Iterator[Rule]:
    """Words that begin statements, with the name that follows them."""
    name, spelled = patterns()["NAME"], spelling()
    homes = {"statement", *(f"in_{block}" for block in vocabulary().blocks)}
    statements = {made for rule, (made, *_) in expansions() if rule in homes}
    named: dict[str, str] = {}
    for rule, (word, *rest) in expansions():
        if rule in statements - {"optimize"} and rest and spelled.get(word):  # a goal is no name
            if rest[0] == "call":
                named[spelled[word]] = "entity.name.function"
            elif rest[0] == "NAME":
                # A name that something is said of is declared; others are used.
                declares = len(rest) > 1 and spelled.get(rest[1]) in ("=", "{", "extends")
                named[spelled[word]] = f"{DECLARED} entity.name.{rule}" if declares else "variable.other"
    for word, scope in named.items():
        yield _rule(rf"{BEGIN}({word})\s+({name})", "keyword.control", scope)
    inside = (word for words in vocabulary().blocks.values() for word in words)
    yield _rule(rf"{BEGIN}({_any((*vocabulary().statements, *inside))})\b", "keyword.control")
    yield _rule(rf"{BEGIN}({_any(vocabulary().reserved)})\b", "keyword.other.reserved")


def _names() -> Iterator[Rule]:
    """Names by what stands before and behind them, and words of the language."""
    name, spelled, known = patterns()["NAME"], spelling(), vocabulary()
    keywords = {
        word
        for kind, word in spelled.items()
        if word.isidentifier() and word not in (*known.statements, *known.reserved)
    }
    joining = {spelled[kind] for kind in known.operators if spelled.get(kind, "").isidentifier()}
    followed = {
        spelled[before]
        for _, symbols in expansions()
        for before, after in pairwise(symbols)
        if after == "NAME" and spelled.get(before) in keywords - joining
    }
    yield _rule(
        rf"{BEFORE}({_any(FIELDS)})(?=\s*(?:{patterns()['COMPARATOR']}|(?:in|divisible)\b))", "support.variable"
    )
    yield _rule(rf"{BEFORE}({name})(?=\s*:)", "variable.parameter")
    yield _rule(rf"{BEFORE}({_any(followed)})\s+({name})(?!\s*\()", "keyword.other", "variable.other")
    yield _rule(rf"{BEFORE}{_any(joining)}\b", name="keyword.operator.wordlike")
    yield _rule(rf"{BEFORE}{_any(keywords - joining)}\b", name="keyword.other")
    yield _rule(rf"(->|\|)\s*({name})", "keyword.operator", "entity.name.function")
    yield _rule(rf"{BEFORE}{name}(?=\()", name="entity.name.function")
    kinds = (*SHAPES, RANK, *GROUPS, *ELEMENTS)
    ahead = [": ", ":", *(f"{word} " for word in (*SHAPES, *GROUPS))]
    behind = "|".join(f"(?<={re.escape(words)})" for words in ahead)
    yield _rule(rf"(?:{behind}){_any(kinds)}\b", name="storage.type")
    owners = (*STRUCTURES.values(), *BACKENDS.values())
    words = (word for owner in owners for option in options_of(owner).values() for word in option.words)
    yield _rule(rf"{BEFORE}{_any(('auto', *DTYPES, *GOALS, *words))}\b", name="constant.language")
    yield _rule(rf"{BEFORE}[A-Z][A-Za-z0-9_]*", name="support.class.operator")
    yield _rule(rf"{BEFORE}{name}", name="variable.other")


def _values() -> Iterator[Rule]:
    """Shapes, and numbers with their units."""
    known = patterns()
    yield _rule(rf"{BEFORE}{known['SHAPE']}", name="constant.numeric.shape")
    unit = _rule(rf"(?:{_any(UNITS)}|%)$", name="keyword.other.unit")
    yield {**_rule(rf"{BEFORE}{known['NUMBER']}", name="constant.numeric"), "captures": {"0": {"patterns": [unit]}}}


def _marks() -> Iterator[Rule]:
    """Operators and brackets."""
    known, spelled = vocabulary(), spelling()
    signs = known.operators | known.arithmetic | known.foreign
    marks = [spelled[kind] for kind in signs if not spelled.get(kind, "a").isidentifier()]
    separators = [mark for mark in marks if mark in (",", ":")]
    yield _rule(patterns()["COMPARATOR"], name="keyword.operator.comparison")
    yield _rule(_any([*(mark for mark in marks if mark not in separators), "*"]), name="keyword.operator")
    yield _rule(_any(separators), name="punctuation.separator")
    yield _rule(_any(spelled[kind] for kind in known.openings), name="punctuation.section.begin")
    yield _rule(_any(spelled[kind] for kind in known.closings), name="punctuation.section.end")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(written(), encoding="utf-8")
