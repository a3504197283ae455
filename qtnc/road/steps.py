"""Passes by name, as text: ``fold-constants{max_growth=0},choose-contraction-order{binds.batch=8}``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from types import MappingProxyType
from typing import Any, get_args, get_origin, get_type_hints

from qtnc.errors import Diagnostic, UsageError, did_you_mean, printable
from qtnc.passes import PASSES
from qtnc.pipeline import Pass

_STEP = re.compile(r"\s*([^\s{},]+)\s*(?:\{([^{}]*)\})?\s*(?:,|$)")

_SCALARS = MappingProxyType({int: "an integer", float: "a number", bool: "`true` or `false`", str: "a word"})


@dataclass(frozen=True)
class Step:
    """A pass with the options that were written."""

    name: str
    kind: type[Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        written = [
            f"{name}.{key}={_word(inner)}" if isinstance(value, dict) else f"{name}={_word(inner)}"
            for name, value in self.options.items()
            for key, inner in (value.items() if isinstance(value, dict) else [("", value)])
        ]
        return f"{self.name}{{{' '.join(written)}}}" if written else self.name

    @property
    def decides(self) -> bool:
        """Whether it does what the plan decided."""
        return takes(self.kind, "decisions")

    def made(self, given: Mapping[str, Any]) -> Pass:
        """The pass itself; of what is given it takes what it has options for, and what is written goes before that."""
        options = {name: value for name, value in given.items() if takes(self.kind, name)}
        for name, value in self.options.items():
            options[name] = {**options.get(name, {}), **value} if isinstance(value, dict) else value
        made: Pass = self.kind(**options)
        return made


def takes(kind: type[Any], option: str) -> bool:
    """Whether a pass has an option of that name."""
    return any(f.name == option for f in fields(kind))


def known_pass(name: str) -> type[Any]:
    """Load a pass by its name.

    Raises
    ------
    UsageError
        If there is none.
    """
    if name not in PASSES:
        raise unknown(f"there is no pass `{printable(name)}`", name, PASSES)
    module, _, word = PASSES[name].partition(":")
    found: type[Any] = getattr(import_module(module), word)
    return found


def unknown(message: str, word: str, known: Mapping[str, Any]) -> UsageError:
    """An error about a word, with what was perhaps meant, else with all that there is."""
    return UsageError(Diagnostic(message, help=did_you_mean(word, known) or f"there is {', '.join(known) or 'none'}"))


def read_steps(text: str) -> tuple[Step, ...]:
    """Read a pipeline.

    Raises
    ------
    UsageError
        If a pass or an option is not known, a value is of the wrong kind, or the text is malformed.
    """
    found, position = [], 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            rest = printable(text[position:].strip() or text)
            raise UsageError(Diagnostic(f"cannot read `{rest}`", help="a pipeline is `pass,pass{option=1},...`"))
        found.append(_step(match[1], match[2] or ""))
        position = match.end()
    return tuple(found)


def _step(name: str, written: str) -> Step:
    kind = known_pass(name)
    options: dict[str, Any] = {}
    for item in written.split():
        key, equals, value = item.partition("=")
        option, dot, entry = key.partition(".")
        shown = f"`{printable(item)}` of `{name}`"
        if not equals or not key:
            raise UsageError(Diagnostic(f"{shown} is no option", help="an option is `name=value`"))
        hints = {f.name: get_type_hints(kind)[f.name] for f in fields(kind) if _readable(get_type_hints(kind)[f.name])}
        if option not in hints:
            raise unknown(f"`{name}` has no option `{printable(option)}` to be written", option, hints)
        wanted, mapping = hints[option], get_origin(hints[option]) is not None
        if mapping != bool(dot and entry):
            form = f"{option}.NAME=value" if mapping else f"{option}=value"
            raise UsageError(Diagnostic(f"{shown} is no option", help=f"it is written `{form}`"))
        if mapping:
            options.setdefault(option, {})[entry] = _scalar(get_args(wanted)[1], value, shown)
        else:
            options[option] = _scalar(wanted, value, shown)
    return Step(name, kind, options)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _readable(hint: Any) -> bool:
    """Whether a value of the type can be written: one word, or one for each name."""
    return hint in _SCALARS or (get_origin(hint) is Mapping and get_args(hint)[1] in _SCALARS)


def _scalar(kind: type[Any], text: str, shown: str) -> Any:
    try:
        if kind is bool:
            return {"true": True, "false": False}[text]
        value = kind(text)
        if kind is int and value < 0:
            raise ValueError(text)
    except (KeyError, ValueError) as error:
        wanted = "an integer from 0 on" if kind is int else _SCALARS[kind]
        raise UsageError(f"{shown}: the value is not {wanted}") from error
    return value
