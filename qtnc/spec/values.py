"""Values as meant: numbers with units, percentages, sites, words. Each reader refuses what is not of its kind."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from qtnc.errors import Diagnostic, did_you_mean
from qtnc.source import Span
from qtnc.spec.tree import Name, Number, Sequence, String, Value
from qtnc.spec.wording import clip
from qtnc.structures.options import Kind, Option, Sites

UNITS = {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
}
"""What a unit multiplies by."""

LARGEST = 2**63 - 1
"""Sizes of tensors are 64-bit; nothing in a spec is larger."""

WANTED: dict[Kind, str] = {
    "count": "a whole number from 1",
    "fraction": "a percentage above 0% and up to 100%",
    "number": "a number from 0",
    "sites": "`auto`, a whole number or a list such as `[8x16, 16x24]`",
    "text": "a string in double quotes",
    "word": "one of some words",
}
"""What an option of each kind takes."""

_NUMBER = re.compile(
    r"(?P<digits>[-+]?(?=\.?[0-9])(?:[0-9]+(?:_[0-9]+)*)?(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?)"
    r"(?P<unit>[A-Za-z]*)(?P<percent>%?)"
)
_SITE = re.compile(r"([1-9][0-9]{0,8})x([1-9][0-9]{0,8})")


class RefusedError(Exception):
    """A value is not of the kind that is wanted here."""

    def __init__(self, message: str, span: Span, way_out: str | None = None) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(message, span, way_out)

    @classmethod
    def of(cls, said: Diagnostic) -> "RefusedError":
        """One that says what was said elsewhere, as it was said."""
        refused = cls(said.message, cast("Span", said.span))
        refused.diagnostic = said
        return refused


@dataclass(frozen=True)
class Quantity:
    """A number as meant: unit multiplied in, percentages told apart."""

    value: Decimal
    percent: bool


def quantity(number: Number, largest: float = LARGEST) -> Quantity:
    """Read digits and unit."""
    match = _NUMBER.fullmatch(number.text) if len(number.text) <= 40 else None
    unit = match["unit"] if match else ""
    if match is None or (unit and (unit not in UNITS or match["percent"])):
        near = next((u for u in UNITS if u.lower() == unit.lower()), None) if match and not match["percent"] else None
        listed = "units are " + ", ".join(f"`{u}`" for u in UNITS) + " and `%`"
        way_out = f"did you mean `{match['digits']}{near}`?" if match and near else listed
        raise RefusedError(f"`{clip(number.text)}` is not a number", number.span, way_out)
    value = Decimal(match["digits"].replace("_", "")) * UNITS.get(unit, 1)
    if abs(value) > largest:
        raise RefusedError(f"`{clip(number.text)}` is too large", number.span)
    return Quantity(value, bool(match["percent"]))


def count(what: str, value: Value, least: int = 1, doc: str | None = None) -> int:
    """Read a whole number that is at least ``least``."""
    if isinstance(value, Number):
        read = quantity(value)
        if not read.percent and read.value >= least and read.value == int(read.value):
            return int(read.value)
    raise _unlike(what, f"a whole number from {least}", value, doc)


def fraction(what: str, value: Value, doc: str | None = None) -> float:
    """Read a percentage above 0% and up to 100% as a share of one."""
    if isinstance(value, Number):
        read = quantity(value)
        if read.percent and 0 < read.value <= 100:
            return float(read.value / 100)
        if not read.percent and 0 < read.value <= 100:
            share = read.value * 100 if read.value < 1 else read.value
            doc = f"did you mean `{share.normalize():f}%`?"
    raise _unlike(what, WANTED["fraction"], value, doc)


def _count(option: Option, value: Value) -> int:
    return count(f"`{option.name}`", value, doc=_doc(option))


def _fraction(option: Option, value: Value) -> float:
    return fraction(f"`{option.name}`", value, _doc(option))


def _number(option: Option, value: Value) -> float:
    if isinstance(value, Number):
        read = quantity(value)
        if not read.percent and read.value >= 0:
            return float(read.value)
        if read.percent and read.value >= 0:
            way_out = f"did you mean `{(read.value / 100).normalize():f}`?"
            raise _unlike(f"`{option.name}`", WANTED["number"], value, way_out)
    raise _unlike(f"`{option.name}`", WANTED["number"], value, _doc(option))


def _sites(option: Option, value: Value) -> str | int | Sites:
    what = f"`{option.name}`"
    if isinstance(value, Name) and value.text == "auto":
        return "auto"
    if isinstance(value, Number) and not _SITE.fullmatch(value.text):
        return count(what, value, doc=_doc(option))
    if isinstance(value, Sequence):
        if not value.items:
            raise RefusedError(f"{what} has no site", value.span, _doc(option))
        return tuple(_site(item) for item in value.items)
    raise _unlike(what, WANTED["sites"], value, _doc(option))


def _site(value: Value) -> tuple[int, int]:
    match = _SITE.fullmatch(value.text) if isinstance(value, Number) else None
    if match is None:
        way_out = "a site is its input and output sizes, as in `8x16`"
        raise RefusedError(f"`{clip(value.span.text)}` is not a site", value.span, way_out)
    return int(match[1]), int(match[2])


def _text(option: Option, value: Value) -> str:
    if isinstance(value, String):
        return value.text
    near = f'did you mean `"{clip(value.text)}"`?' if isinstance(value, Name) else _doc(option)
    raise _unlike(f"`{option.name}`", WANTED["text"], value, near)


def _word(option: Option, value: Value) -> str:
    if isinstance(value, Name) and value.text in option.words:
        return value.text
    near = did_you_mean(value.text, option.words) if isinstance(value, Name) else None
    raise _unlike(f"`{option.name}`", listing(option.words, "or"), value, near or _doc(option))


READERS: dict[Kind, Callable[[Option, Value], Any]] = {
    "count": _count,
    "fraction": _fraction,
    "number": _number,
    "sites": _sites,
    "text": _text,
    "word": _word,
}
"""How an option of each kind is read."""


def listing(words: Iterable[str], last: str = "and") -> str:
    """``a``, ``b`` and ``c``, in back quotes."""
    quoted = [f"`{word}`" for word in words]
    return f" {last} ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def _doc(option: Option) -> str:
    return f"`{option.name}`: {option.doc}"


def _unlike(what: str, wanted: str, value: Value, way_out: str | None) -> RefusedError:
    return RefusedError(f"{what} takes {wanted}, not `{clip(value.span.text)}`", value.span, way_out)
