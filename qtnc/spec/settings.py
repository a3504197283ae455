"""What a spec settles once and the command line may settle otherwise: bound sizes, values, what plan optimises."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast, get_args

from qtnc.errors import Diagnostic, UsageError, did_you_mean
from qtnc.source import Source, Span
from qtnc.spec import tree
from qtnc.spec.lets import SETTING
from qtnc.spec.program import Goal, Spec
from qtnc.spec.syntax import read_value
from qtnc.spec.values import RefusedError, count, listing
from qtnc.spec.wording import clip

OPTION = SETTING
OPTIMIZE = "optimize"
GOALS: tuple[str, ...] = get_args(Goal)

Setting = int | str | tree.Value
"""A bound size, what plan optimises, or a value that the spec lets."""


def override(spec: Spec, settings: Sequence[str]) -> Spec:
    """Settle what ``--set KEY=VALUE`` says instead of what the spec says.

    What the spec lets is in effect already, where it was checked with what is :func:`given`; here it is noted.

    Raises
    ------
    UsageError
        With every setting that is unknown, given twice or of a wrong value.
    """
    found = _settings(spec, settings)
    binds = {key: value for key, value in found.items() if isinstance(value, int)}
    goal = cast("Goal", found.get(OPTIMIZE, spec.optimize))
    said = {key: value.span.text if isinstance(value, tree.Value) else value for key, value in found.items()}
    return replace(spec, binds={**spec.binds, **binds}, optimize=goal, settings=said)


def given(spec: Spec, settings: Sequence[str]) -> Mapping[str, tree.Value]:
    """Read the values that settings put in place of those that a spec lets; errors are those of :func:`override`."""
    return {key: value for key, value in _settings(spec, settings).items() if isinstance(value, tree.Value)}


def _settings(spec: Spec, settings: Sequence[str]) -> Mapping[str, Setting]:
    found: dict[str, Setting] = {}
    errors = []
    for setting in settings:
        try:
            key, value = _setting(setting, spec, found)
            found[key] = value
        except RefusedError as refused:
            said = refused.diagnostic
            errors.append(Diagnostic(said.message, None, said.help, f"{OPTION} {clip(setting)}"))
    if errors:
        raise UsageError(*errors)
    return found


def counted(option: str, text: str, example: str) -> int:
    """Read the count, with units as in a spec, that an option of the command line takes.

    Raises
    ------
    UsageError
        If it is none.
    """
    try:
        return count(f"`{option}`", tree.Number(text, Span(Source(option, text), 0, len(text))), doc=example)
    except RefusedError as refused:
        said = refused.diagnostic
        raise UsageError(Diagnostic(said.message, None, said.help, f"{option} {clip(text)}")) from refused


def goal(name: tree.Name) -> Goal:
    """Read the word after ``optimize``."""
    if name.text not in GOALS:
        message = f"`{OPTIMIZE}` takes {listing(GOALS, 'or')}, not `{clip(name.text)}`"
        raise RefusedError(message, name.span, did_you_mean(name.text, GOALS))
    return cast("Goal", name.text)


def _setting(setting: str, spec: Spec, found: Mapping[str, Setting]) -> tuple[str, Setting]:
    span = Span(Source(OPTION, setting), 0, len(setting))
    key, _, value = (part.strip() for part in setting.partition("="))
    known = dict.fromkeys((*spec.binds, *spec.lets, OPTIMIZE))
    if not value:
        raise RefusedError("a setting has a value", span, f"as in `{OPTION} {_example(key, spec)}`")
    if key not in known:
        way_out = " ".join(filter(None, (did_you_mean(key, known), f"what can be set: {listing(known)}")))
        raise RefusedError(f"unknown setting `{clip(key)}`", span, way_out)
    if key in found:
        raise RefusedError(f"`{key}` is set twice", span, "drop one of the two")
    if key == OPTIMIZE:
        return key, goal(tree.Name(value, span))
    text = Source(OPTION, value)
    example = f"as in `{OPTION} {_example(key, spec)}`"
    if key in spec.lets:
        return key, _value(spec.lets[key], text, example)
    return key, count(f"`{key}`", tree.Number(value, Span(text, 0, len(value))), doc=example)


def _value(let: tree.Let, text: Source, example: str) -> tree.Value:
    """Read a value as a spec writes it; a string in place of another needs no quotes, which shells take away."""
    span = Span(text, 0, len(text.text))
    value = read_value(text)
    if isinstance(let.value, tree.String) and not isinstance(value, tree.String | tree.Regex):
        return tree.String(text.text, span)
    if value is None:
        raise RefusedError(f"`{clip(text.text)}` is no value", span, example)
    return value


def _example(key: str, spec: Spec) -> str:
    if key in spec.lets:
        return f"{key}={clip(spec.lets[key].value.span.text)}"
    return f"{key}={spec.binds[key]}" if key in spec.binds else f"{OPTIMIZE}={spec.optimize}"
