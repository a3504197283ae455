"""Patterns over layer names: globs, which match whole names, and regular expressions, which search in them.

Both run on re2, whose time is linear in the name whatever the pattern is: a spec may be hostile.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import re2

MAX_LENGTH = 1000
"""Characters of a pattern: re2 is linear, but it spends memory on long ones and logs about it."""


class PatternError(ValueError):
    """The pattern is malformed or too large; the message says how."""


@dataclass(frozen=True)
class Pattern:
    """A glob or a regular expression."""

    text: str
    kind: Literal["glob", "regex"]

    @cached_property
    def compiled(self) -> Any:
        """The expression of re2.

        Raises
        ------
        PatternError
            With re2's own words, or that it is too long.
        """
        if len(self.text) > MAX_LENGTH:
            raise PatternError(f"{len(self.text):,} characters, and {MAX_LENGTH:,} at most")
        options = re2.Options()
        options.log_errors = False
        try:
            return re2.compile(self.text if self.kind == "regex" else _translate(self.text), options)
        except re2.error as error:
            said = error.args[0] if error.args else ""
            raise PatternError(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)) from None

    def matches(self, name: str) -> bool:
        """Whether a glob matches the whole name, or a regular expression something in it."""
        if self.kind == "glob":
            return self.compiled.fullmatch(name) is not None
        return self.compiled.search(name) is not None


def _translate(glob: str) -> str:
    """Glob to regular expression: ``*`` is any characters, dots and slashes too, ``?`` is one."""
    wild = {"*": ".*", "?": "."}
    return "(?s)" + "".join(wild.get(char) or re2.escape(char) for char in re.sub(r"\*+", "*", glob))
