"""Options of a pass that can be written: a word each, or a word for each name."""

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin, get_type_hints

SCALARS: Final[Mapping[type[Any], str]] = MappingProxyType(
    {int: "an integer", float: "a number", bool: "`true` or `false`", str: "a word"}
)
"""Types of which a value is written as one word, and what it is called."""


def writable(kind: type[Any]) -> dict[str, Any]:
    """Fields of a pass that can be written, and their types, in the order of the class."""
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind) if _is_readable(hints[f.name])}


def is_mapping(hint: Any) -> bool:
    """Whether a type has a value for each name."""
    return get_origin(hint) is Mapping


def read_scalar(kind: Any, text: str) -> Any:
    """Read a value of one of :data:`SCALARS`; whole numbers start at 0.

    Raises
    ------
    ValueError
        Saying what is wanted instead.
    """
    try:
        if kind is bool:
            return {"true": True, "false": False}[text]
        value = kind(text)
        if kind is int and value < 0:
            raise ValueError(text)
    except (KeyError, ValueError) as error:
        wanted = "an integer from 0 on" if kind is int else SCALARS[kind]
        raise ValueError(f"the value is not {wanted}") from error
    return value


def _is_readable(hint: Any) -> bool:
    return hint in SCALARS or (is_mapping(hint) and get_args(hint)[1] in SCALARS)
