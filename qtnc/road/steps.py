"""Passes by name, as text: ``fold-constants{max_growth=0},choose-contraction-order{binds.batch=8}``."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, get_args

from qtnc.errors import Diagnostic, UsageError, did_you_mean, printable
from qtnc.passes import PASSES
from qtnc.pipeline import Pass
from qtnc.plugins.entry import Passes
from qtnc.plugins.offer import Offer
from qtnc.plugins.written import is_mapping, read_scalar, writable
from qtnc.road.guard import Guarded

_STEP = re.compile(r"\s*([^\s{},]+)\s*(?:\{([^{}]*)\})?\s*(?:,|$)")


@dataclass(frozen=True)
class Step:
    """A pass with the options that were written."""

    offer: Offer
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        written = [
            f"{name}.{key}={_word(inner)}" if isinstance(value, dict) else f"{name}={_word(inner)}"
            for name, value in self.options.items()
            for key, inner in (value.items() if isinstance(value, dict) else [("", value)])
        ]
        return f"{self.name}{{{' '.join(written)}}}" if written else self.name

    @property
    def name(self) -> str:
        """What pipelines call it."""
        return self.offer.name

    @property
    def decides(self) -> bool:
        """Whether it does what the plan decided."""
        return "decisions" in self.offer.options

    def made(self, given: Mapping[str, Any]) -> Pass:
        """The pass itself; of what is given it takes what it has options for, and what is written goes before that.

        A pass of others is watched over; see :class:`qtnc.road.guard.Guarded`.
        """
        options = {name: value for name, value in given.items() if name in self.offer.options}
        for name, value in self.options.items():
            options[name] = {**options.get(name, {}), **value} if isinstance(value, dict) else value
        if self.offer.origin:
            return Guarded(self.offer, options)
        return self.offer.made(options)


@dataclass(frozen=True)
class Known:
    """Passes that a pipeline may name: ours, those that a spec uses, and those of other packages.

    ``late`` are those that a spec asks for on what layers became.
    """

    used: Sequence[Step] = ()
    packages: Passes = field(default_factory=Passes)
    late: Sequence[Step] = ()

    def step(self, name: str) -> Step:
        """The pass of a name; one that is used has the options that the spec gives it.

        Raises
        ------
        UsageError
            If there is none.
        PluginError
            If it comes from a package and cannot be had.
        """
        for step in (*self.used, *self.late):
            if step.name == name:
                return step
        if name in PASSES:
            return Step(own_pass(name))
        if name in self.packages:
            return Step(self.packages[name])
        known = [*PASSES, *(step.name for step in self.used), *self.packages]
        raise unknown(f"there is no pass `{printable(name)}`", name, known)


NOTHING_USED: Final = Known()
"""What is known without a spec."""


def own_pass(name: str) -> Offer:
    """Load one of the passes that ship."""
    module, _, word = PASSES[name].partition(":")
    return Offer(name, getattr(import_module(module), word))


def unknown(message: str, word: str, known: Collection[str]) -> UsageError:
    """An error about a word, with what was perhaps meant, else with all that there is."""
    return UsageError(Diagnostic(message, help=did_you_mean(word, known) or f"there is {', '.join(known) or 'none'}"))


def read_steps(text: str, known: Known = NOTHING_USED) -> tuple[Step, ...]:
    """Read a pipeline.

    Raises
    ------
    UsageError
        If a pass or an option is not known, a value is of the wrong kind, or the text is malformed.
    PluginError
        If a pass of another package cannot be had.
    """
    found, position = [], 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            rest = printable(text[position:].strip() or text)
            raise UsageError(Diagnostic(f"cannot read `{rest}`", help="a pipeline is `pass,pass{option=1},...`"))
        found.append(_step(known.step(match[1]), match[2] or ""))
        position = match.end()
    return tuple(found)


def _step(step: Step, written: str) -> Step:
    name, hints = step.name, {} if step.offer.ready is not None else writable(step.offer.kind)
    options: dict[str, Any] = dict(step.options)
    for item in written.split():
        key, equals, value = item.partition("=")
        option, dot, entry = key.partition(".")
        shown = f"`{printable(item)}` of `{name}`"
        if not equals or not key:
            raise UsageError(Diagnostic(f"{shown} is no option", help="an option is `name=value`"))
        if option not in hints:
            raise unknown(f"`{name}` has no option `{printable(option)}` to be written", option, hints)
        wanted, mapping = hints[option], is_mapping(hints[option])
        if mapping != bool(dot and entry):
            form = f"{option}.NAME=value" if mapping else f"{option}=value"
            raise UsageError(Diagnostic(f"{shown} is no option", help=f"it is written `{form}`"))
        if mapping:
            options[option] = {**options.get(option, {}), entry: _scalar(get_args(wanted)[1], value, shown)}
        else:
            options[option] = _scalar(wanted, value, shown)
    return Step(step.offer, options)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _scalar(kind: type[Any], text: str, shown: str) -> Any:
    try:
        return read_scalar(kind, text)
    except ValueError as error:
        raise UsageError(f"{shown}: {error}") from error
