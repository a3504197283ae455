"""What an option of a structure or a backend may be: its kind, its default and one line of documentation.

Both declare their options as dataclass fields made by :func:`option`. The language reads them here, so the options of
a new structure or backend are part of the language without a line of grammar.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

Sites = tuple[tuple[int, int], ...]
"""Input and output modes of each site, e.g. ``((8, 16), (16, 24))`` for ``[8x16, 16x24]``."""

Kind = Literal["count", "fraction", "number", "sites", "text", "word"]
"""``count``: whole number >= 1. ``fraction``: percentage in (0 %, 100 %], as a float. ``number``: float >= 0.
``sites``: ``auto``, a count, or a list of ``MxN``. ``text``: a quoted string. ``word``: one of the listed words."""

KINDS: Mapping[Kind, tuple[str, str]] = MappingProxyType(
    {
        "count": ("count", "a whole number from 1"),
        "fraction": ("percentage", "a percentage above 0% and up to 100%"),
        "number": ("number", "a number from 0"),
        "sites": (
            "sites",
            "`auto`, a number of sites, or a list of their input and output sizes, as in `[8x16, 16x24]`",
        ),
        "text": ("text", "a string in double quotes"),
        "word": ("word", "one of the words that are listed"),
    }
)
"""What documentation calls each kind, and what it says of it."""

Refuse = Callable[[Any], str | None]


@dataclass(frozen=True)
class Option:
    """One option as the language sees it.

    Attributes
    ----------
    words : the admitted values of kind ``word``.
    refuse : says of a value of the right kind what is wrong with it, or None.
    since : the release that brought it; None where that is the one that brought what has it.
    """

    name: str
    kind: Kind
    default: Any
    doc: str
    words: tuple[str, ...] = ()
    refuse: Refuse | None = None
    since: str | None = None

    @property
    def takes(self) -> str:
        """What it takes, in the words of docs/language.md."""
        return " or ".join(self.words) or KINDS[self.kind][0]


def option(
    kind: Kind,
    default: Any,
    doc: str,
    words: tuple[str, ...] = (),
    refuse: Refuse | None = None,
    since: str | None = None,
) -> Any:
    """Make a dataclass field that is an option of the language; see :class:`Option`.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no kind of option `{kind}`: kinds are {', '.join(KINDS)}")
    return field(default=default, metadata={"option": (kind, doc, words, refuse, since)})


def options_of(owner: type[Any]) -> dict[str, Option]:
    """Read the options of a structure or a backend by name, in the order of its fields."""
    found = {}
    for f in fields(owner):
        if "option" in f.metadata:
            kind, doc, *rest = f.metadata["option"]
            default = None if f.default is MISSING else f.default
            found[f.name] = Option(f.name, kind, default, doc, *rest)
    return found
