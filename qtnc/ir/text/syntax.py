"""Text to phrases; the only file of the text form that knows the parser generator."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer_NonRecursive, UnexpectedCharacters, UnexpectedToken
from lark.lexer import PatternStr
from lark.tree import Meta

from qtnc.errors import Diagnostic, ImportModelError
from qtnc.ir.text.spelling import clipped
from qtnc.source import Source, Span

_LISTED = 8
"""Alternatives that an error lists."""

_IN_WORDS = {
    "NAME": "a name",
    "STRING": "a string",
    "INTEGER": "an integer",
    "FLOAT": "a float",
    "BOOL": "`true` or `false`",
    "BYTES": "bytes",
    "DIGEST": "a digest",
    "OPERATOR": "an operator",
    "VALUE": "a value",
    "$END": "the end of the text",
}


@dataclass(frozen=True)
class Word:
    """A terminal of the grammar: its kind, and its text as written."""

    kind: str
    text: str
    span: Span


@dataclass(frozen=True)
class Phrase:
    """A rule of the grammar, and what it holds. What was left out is None."""

    rule: str
    parts: tuple["Phrase | Word | None", ...]
    span: Span

    def __iter__(self) -> Iterator["Phrase | Word | None"]:
        return iter(self.parts)


def parse(source: Source) -> Phrase:
    """Read the text.

    Raises
    ------
    ImportModelError
        With the first place where the text leaves the grammar.
    """
    try:
        tree = _parser().parse(source.text)
    except UnexpectedToken as error:
        token = error.token
        end = len(source.text.rstrip())
        span = Span(source, end, end) if token.type == "$END" else _span(source, token)
        found = "the text ends here" if token.type == "$END" else f"`{clipped(str(token))}` is out of place"
        raise ImportModelError(Diagnostic(found, span, _expected(error.accepts or error.expected))) from error
    except UnexpectedCharacters as error:
        start: int = error.pos_in_stream or 0
        span = Span(source, start, start + 1)
        found = "a quote is not closed here" if span.text == '"' else f"{span.text!r} begins nothing here"
        raise ImportModelError(Diagnostic(found, span, _expected(error.allowed or ()))) from error
    phrase: Phrase = _Build(source).transform(tree)
    return phrase


def _expected(kinds: Any) -> str:
    spelled = {t.name: f"`{t.pattern.value}`" for t in _parser().terminals if isinstance(t.pattern, PatternStr)}
    words = sorted({**spelled, **_IN_WORDS}.get(kind, kind) for kind in kinds)
    return "expected " + " or ".join([*words[:_LISTED], *(["..."] if len(words) > _LISTED else [])])


def _span(source: Source, token: Token) -> Span:
    return Span(source, token.start_pos or 0, token.end_pos or 0)


@cache
def _parser() -> Lark:
    grammar = files("qtnc.grammar").joinpath("qir.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


class _Build(Transformer_NonRecursive[Token, Any]):
    """Lark's trees to phrases."""

    def __init__(self, source: Source) -> None:
        super().__init__(visit_tokens=True)
        self.source = source

    def __default__(self, data: Any, children: list[Any], meta: Meta) -> Phrase:
        start = 0 if meta.empty else meta.start_pos
        end = 0 if meta.empty else meta.end_pos
        return Phrase(str(data), tuple(children), Span(self.source, start, end))

    def __default_token__(self, token: Token) -> Word:
        return Word(token.type, str(token), _span(self.source, token))
