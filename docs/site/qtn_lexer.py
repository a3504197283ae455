"""The spec language for Pygments, by the lexer that the compiler reads it with."""

import re
from collections.abc import Iterator
from typing import Any

from pygments.lexer import Lexer
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation, String, Text

from qtnc.spec.layout import Lexeme
from qtnc.spec.syntax import lexemes, vocabulary

__all__ = ["QtnLexer"]

KINDS = {
    "STRING": String,
    "REGEX": String.Regex,
    "RECIPE": String.Other,
    "NUMBER": Number,
    "SHAPE": Number,
    "COMPARATOR": Operator,
    "_ARROW": Operator,
}
COMMENT = re.compile(r"(#[^\n]*)")


class QtnLexer(Lexer):
    """Specs of ``qtn 1``."""

    name = "qtn"
    aliases = ("qtn",)
    filenames = ("*.qtn",)

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, Any, str]]:
        """Yield pieces of a text, what lies between lexemes too."""
        end = 0
        found = lexemes(text)
        for lexeme, after in zip(found, [*found[1:], None], strict=True):
            yield from _between(text, end, lexeme.start)
            yield lexeme.start, _token(lexeme, after), lexeme.text
            end = lexeme.end
        yield from _between(text, end, len(text))


def _between(text: str, start: int, end: int) -> Iterator[tuple[int, Any, str]]:
    for part in COMMENT.split(text[start:end]):
        if part:
            yield start, Comment if part.startswith("#") else Text.Whitespace, part
        start += len(part)


def _token(lexeme: Lexeme, after: Lexeme | None) -> Any:
    if lexeme.kind in KINDS:
        return KINDS[lexeme.kind]
    if lexeme.kind in vocabulary().mistakes:
        return Error
    if lexeme.kind == "NAME":
        if after and after.text == "(":
            return Name.Function
        return Name.Class if lexeme.text[0].isupper() else Name
    if lexeme.text in vocabulary().reserved or lexeme.text.isidentifier():
        # Before `:` or `=`, and after a dot, a word is a name.
        return Name.Attribute if after and after.text in (":", ".") else Keyword
    return Punctuation
