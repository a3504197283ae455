"""Syntax errors in words: what was expected, after what, and the form of the statement."""

from collections.abc import Collection, Iterable, Mapping

from qtnc.errors import Diagnostic, did_you_mean
from qtnc.source import Span
from qtnc.spec.layout import Lexeme, Vocabulary
from qtnc.spec.tree import Header

MAX_ERRORS = 100
"""Errors shown at once."""

FORMS = {
    "qtn": "qtn 1",
    "bind": "bind NAME = NUMBER, ...",
    "data": 'data NAME = npz("PATH") take ROWS',
    "optimize": "optimize memory",
    "select": 'select NAME = OP where name ~ "GLOB" and weight.elements >= 64Ki',
    "rewrite": "rewrite SELECTOR -> STRUCTURE(OPTION: VALUE, ...) on DATA",
    "emit": "emit BACKEND",
    "verify": "verify outputs within 5% on DATA",
}
"""How each statement looks, by the word it begins with."""

MEANINGS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"NAME", "LPAR", "STAR"}), "an op, a selector, `*` or `(`"),
    (frozenset({"NAME", "LPAR"}), 'a condition such as `name ~ "..."`'),
    (frozenset({"COMPARATOR"}), "a comparison such as `~` or `>=`"),
    (frozenset({"NAME", "LSQB", "RPAR"}), "an option such as `bytes: 30%`"),
    (frozenset({"NAME", "LSQB"}), "a value"),
    (frozenset({"STRING", "NUMBER"}), 'a string, `re"..."` or a number'),
    (frozenset({"NAME"}), "a name"),
    (frozenset({"NUMBER"}), "a number"),
)
"""What a set of acceptable terminals means to a reader; the first row that is contained in it speaks."""


def expected(
    place: Span, before: Lexeme, keyword: str, accepted: Collection[str], spelling: Mapping[str, str]
) -> Diagnostic:
    """Say what was expected.

    Parameters
    ----------
    place
        What was found, or the end of the statement.
    before
        The last lexeme that was understood.
    keyword
        The word that begins the statement.
    accepted
        Terminals that could have come.
    spelling
        Those terminals that are spelled in one way only, such as ``->``.
    """
    form = f"the form is `{FORMS[keyword]}`"
    if "$END" in accepted and place.text:
        return Diagnostic(f"unexpected `{clip(place.text)}` after `{clip(before.text)}`", place, form)
    wanted = next((meaning for kinds, meaning in MEANINGS if kinds <= set(accepted)), None)
    if wanted is None:
        wanted = " or ".join(f"`{spelling[kind]}`" for kind in sorted(accepted) if kind in spelling)
    return Diagnostic(f"expected {wanted} after `{clip(before.text)}`", place, form)


def unknown_statement(word: Lexeme, place: Span, vocabulary: Vocabulary) -> Diagnostic:
    """Say that no statement begins with this."""
    if word.kind in vocabulary.operators:
        way_out = f"end the line before with `{word.text}`, and this line continues it"
        return Diagnostic(f"a statement cannot begin with `{word.text}`", place, way_out)
    listed = ", ".join(f"`{s}`" for s in vocabulary.statements)
    way_out = did_you_mean(word.text, vocabulary.statements) or f"statements begin with {listed}"
    return Diagnostic(f"`{clip(word.text)}` begins no statement", place, way_out)


def other_version(header: Header) -> Diagnostic:
    """Say which version of the language this is."""
    return Diagnostic("this qtnc reads `qtn 1`", header.version.span)


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
    found = sorted(errors, key=lambda error: error.span.start if error.span else -1)
    if len(found) > MAX_ERRORS:
        last = found[MAX_ERRORS]
        message = f"more than {MAX_ERRORS} errors; this one and the rest are not shown"
        found[MAX_ERRORS:] = [Diagnostic(message, last.span, place=last.place)]
    return found
