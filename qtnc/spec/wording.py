"""Syntax errors in words: what was expected, after what, and the form of the statement."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from qtnc.errors import Diagnostic, did_you_mean
from qtnc.source import Span
from qtnc.spec.layout import Lexeme, Vocabulary, article
from qtnc.spec.tree import Header

MAX_ERRORS = 100
"""Errors shown at once."""

FORMS = {
    "qtn": "qtn 1",
    "include": 'include "PATH"',
    "use": 'use "PATH"',
    "let": "let NAME = VALUE",
    "bind": "bind NAME = NUMBER, ...",
    "data": 'data NAME = npz("PATH") take ROWS',
    "optimize": "optimize memory",
    "select": 'select NAME = OP where name ~ "GLOB" and weight.elements >= 64Ki',
    "rewrite": "rewrite SELECTOR -> STRUCTURE(OPTION: VALUE, ...) on DATA",
    "ignore": "ignore SELECTOR",
    "stage": "stage NAME extends BASE { ... }",
    "rule": "rule NAME { ... }",
    "emit": "emit BACKEND",
    "verify": "verify outputs within 5% on DATA",
}
"""How each statement looks, by the word it begins with."""

INSIDE = {
    "stage": {"rewrite": FORMS["rewrite"]},
    "rule": {
        "match": "match NAME = OP(NAME, NAME: const, ...)",
        "where": "where CONDITION",
        "let": "let NAME = VALUE",
        "replace": "replace NAME = OP(VALUE, ...)",
        "within": "within 1%",
        "example": "example { ... }",
    },
    "example": {
        "before": "before NAME = OP(NAME: float[2, 3], ...)",
        "after": "after NAME = OP(VALUE, ...)",
    },
}
"""How each statement of a block looks, by the word that the block begins with and its own."""

SET_WORDS = ("-", "and", "or", "where")
"""What goes on where a set is written."""

FULLER = {
    ("select", "TOP"): "select NAME = top N of (SET where CONDITION) by KEY",
    ("select", "BOTTOM"): "select NAME = bottom N of (SET where CONDITION) by KEY",
    ("select", "UPSTREAM"): "select NAME = upstream of (SET where CONDITION)",
    ("select", "DOWNSTREAM"): "select NAME = downstream of (SET where CONDITION)",
    ("use", "NAME"): "use PASS(OPTION: VALUE, ...)",
    ("emit", "LPAR"): "emit BACKEND(OPTION: VALUE, ...) for SELECTOR",
    ("emit", "FOR"): "emit BACKEND(OPTION: VALUE, ...) for SELECTOR",
}
"""How it looks where more of it is used, by that word and a terminal in it."""

MEANINGS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"NAME", "NUMBER", "MINUS"}), "a value, such as `w * s`"),
    (frozenset({"NAME", "NUMBER", "LPAR", "LSQB"}), "a pattern, such as `MatMul(x, w: const)`"),
    (frozenset({"NAME", "LPAR", "LSQB"}), "a kind, such as `const` or `[m, 64]`"),
    (frozenset({"NAME", "NUMBER", "REST"}), "a size"),
    (frozenset({"PLUS", "COMMA", "RPAR"}), "an operator, `,` or `)`"),
    (frozenset({"PLUS", "COMMA", "RSQB"}), "an operator, `,` or `]`"),
    (frozenset({"PLUS", "COMMA", "RBRACE"}), "an operator, `,` or `}`"),
    (frozenset({"PLUS"}), "an operator or `)`"),
    (frozenset({"COMMA", "RPAR", "BAR"}), "`,` or `)`"),
    (frozenset({"BAR", "RPAR"}), "`|` or `)`"),
    (frozenset({"NAME", "LPAR", "STAR"}), "an op, a selector, `*` or `(`"),
    (frozenset({"NAME", "LPAR"}), 'a condition such as `name ~ "..."`'),
    (frozenset({"COMPARATOR"}), "a comparison such as `~` or `>=`"),
    (frozenset({"NAME", "LSQB", "RPAR"}), "an option such as `bytes: 30%`"),
    (frozenset({"NAME", "LSQB", "STRING"}), "a value"),
    (frozenset({"NAME", "LSQB"}), "a list such as `[0, 5]`"),
    (frozenset({"STRING", "NUMBER"}), 'a value such as `"GLOB"`, `64Ki` or `384x1536`'),
    (frozenset({"STRING", "RECIPE"}), 'a path such as `"layers.qtn"`, or a recipe such as `<llama>`'),
    (frozenset({"STRING", "NAME"}), 'a path such as `"my_passes.py"`, or the name of a pass'),
    (frozenset({"NAME", "NUMBER"}), "a number"),
    (frozenset({"NAME"}), "a name"),
    (frozenset({"NUMBER"}), "a number"),
    (frozenset({"OF"}), "`of`"),
)
"""What a set of acceptable terminals means to a reader; the first row that is contained in it speaks."""


def expected(
    place: Span,
    read: Sequence[Lexeme],
    accepted: Collection[str],
    spelling: Mapping[str, str],
    block: str | None = None,
) -> Diagnostic:
    """Say what was expected.

    Parameters
    ----------
    place
        What was found, or the end of the statement.
    read
        The lexemes that were understood, of the kinds that they were taken for.
    accepted
        Terminals that could have come.
    spelling
        Those terminals that are spelled in one way only, such as ``->``.
    block
        The word of the block that the statement stands in.
    """
    keyword, before = read[0].text, read[-1]
    if len(read) > 1 and read[-2].kind in ("TOP", "BOTTOM") and before.kind == "NAME":
        # It passed for the name of a number.
        place, read, before, accepted = Span(place.source, before.start, before.end), read[:-1], read[-2], ("NUMBER",)
    fuller = (FULLER.get((keyword, lexeme.kind)) for lexeme in read)
    forms = INSIDE[block] if block else FORMS
    form = _meant(read, place.text) or f"the form is `{next(filter(None, fuller), forms[keyword])}`"
    # After `top` or `upstream` the statement may end, for it may be a name; what goes on lacks the number, or `of`.
    goes_on = "NUMBER" in accepted or ("OF" in accepted and before.kind != "NAME")
    if "$END" in accepted and not goes_on and place.text:
        return Diagnostic(f"unexpected `{clip(place.text)}` after `{clip(before.text)}`", place, form)
    wanted = next((meaning for kinds, meaning in MEANINGS if kinds <= set(accepted)), None)
    if wanted is None:
        wanted = " or ".join(f"`{spelling[kind]}`" for kind in sorted(accepted) if kind in spelling)
    return Diagnostic(f"expected {wanted} after `{clip(before.text)}`", place, form)


def _meant(read: Sequence[Lexeme], found: str) -> str | None:
    """The way out of what is right in other languages, or in another statement."""
    keyword, before = read[0].text, read[-1]
    if found == "=" and any(lexeme.text == "where" for lexeme in read):
        return "`==` compares"
    if found == "[" and before.kind == "NAME" and keyword in ("where", "let", "replace", "after"):
        return f"one of a list is `item({clip(before.text)}, 0)`"
    if found in SET_WORDS and keyword in ("rewrite", "ignore"):
        return f"`{keyword}` takes the name of a selector: name the set by a `select` above it"
    return None


def out_of_place(word: Lexeme, place: Span, vocabulary: Vocabulary, block: str | None) -> Diagnostic:
    """Say that no statement begins with this here, in a block or outside of all."""
    known = vocabulary.blocks[block] if block else vocabulary.statements
    if word.kind in vocabulary.operators:
        way_out = f"end the line before with `{word.text}`, and this line continues it"
        return Diagnostic(f"a statement cannot begin with `{word.text}`", place, way_out)
    if block and word.text in vocabulary.statements:
        return Diagnostic(f"`{word.text}` belongs outside of {block}s", place, _outside(word.text, known, block))
    home = next((home for home, words in vocabulary.blocks.items() if word.text in words), None)
    if home:
        message = f"`{word.text}` belongs in {article(home)}"
        return Diagnostic(message, place, f"its first line is `{_first_line(home)}`")
    way_out = did_you_mean(word.text, known) or _beginnings(known, block)
    return Diagnostic(f"`{clip(word.text)}` begins no statement", place, way_out)


def _outside(word: str, known: Iterable[str], block: str) -> str:
    if word == "rule" and block == "stage":
        return "a rule belongs to no stage yet: it holds at all of them"
    return _beginnings(known, block)


def _first_line(block: str) -> str:
    form = FORMS.get(block) or next(forms[block] for forms in INSIDE.values() if block in forms)
    return form.replace(" ... }", "")


def _beginnings(words: Iterable[str], block: str | None) -> str:
    listed = ", ".join(f"`{word}`" for word in words)
    return f"statements {f'in {article(block)} ' if block else ''}begin with {listed}"


def other_version(header: Header) -> Diagnostic:
    """Say which version of the language this is, and the way out: a newer release, or that there is no such version."""
    written = header.version.text
    if re.fullmatch("[1-9][0-9]{0,3}", written):
        way_out = f"install a release that reads `qtn {written}`, or write the spec in `qtn 1`"
    else:
        way_out = "versions are whole numbers: write `qtn 1`"
    return Diagnostic(f"this qtnc reads `qtn 1`, not `qtn {clip(written)}`", header.version.span, way_out)


def too_long(name: str, most: int) -> Diagnostic:
    """Say that a text is longer than any spec."""
    return Diagnostic(f"the spec is longer than {most:,} characters", place=name)


def not_yet(word: str, place: Span) -> Diagnostic:
    """Say that a reserved word belongs to a later version."""
    return Diagnostic(f"`{word}` is not part of qtn 1 yet", place)


def clip(text: str, length: int = 40) -> str:
    """Shorten text that a message repeats; the excerpt below it shows the rest."""
    line = text.split("\n", 1)[0]
    return line if len(line) <= length else line[: length - 1] + "…"


def in_order(errors: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Sort errors by place, those on the whole file first, and cut off what nobody would read."""
    found = sorted(errors, key=lambda error: error.span.order if error.span else ())
    if len(found) > MAX_ERRORS:
        last = found[MAX_ERRORS]
        message = f"more than {MAX_ERRORS} errors; this one and the rest are not shown"
        found[MAX_ERRORS:] = [Diagnostic(message, last.span, place=last.place)]
    return found
