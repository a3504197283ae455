"""Options as written to what has them: a structure, or what a backend is told."""

from typing import Any

from qtnc.errors import did_you_mean
from qtnc.spec.tree import Argument, Call
from qtnc.spec.values import READERS, RefusedError, listing
from qtnc.spec.wording import clip
from qtnc.structures.options import options_of


def values_of(call: Call, owner: type[Any], problems: list[RefusedError]) -> dict[str, Any] | None:
    """Read the options that ``call`` gives to an ``owner``.

    Parameters
    ----------
    call
        What was written.
    owner
        A dataclass; its options are the fields made by :func:`qtnc.structures.options.option`.
    problems
        What is wrong is added here.

    Returns
    -------
    dict or None
        Values by option, or None where one does not hold.
    """
    values: dict[str, Any] = {}
    seen: set[str] = set()
    before = len(problems)
    for argument in call.arguments:
        try:
            name, value = _value(argument, call.name.text, owner, seen)
            values[name] = value
        except RefusedError as problem:
            problems.append(problem)
    return values if len(problems) == before else None


def _value(argument: Argument, owner_name: str, owner: type[Any], seen: set[str]) -> tuple[str, Any]:
    options = options_of(owner)
    takes = f"`{owner_name}` takes {listing(options) if options else 'no options'}"
    if argument.name is None:
        raise RefusedError("an option needs its name, as in `OPTION: VALUE`", argument.span, takes)
    name = argument.name.text
    if name not in options:
        way_out = did_you_mean(name, options) or takes
        raise RefusedError(f"`{owner_name}` has no option `{clip(name)}`", argument.name.span, way_out)
    if name in seen:
        raise RefusedError(f"`{name}` is given twice", argument.span)
    seen.add(name)
    option = options[name]
    value = READERS[option.kind](option, argument.value)
    if option.refuse is not None and (fault := option.refuse(value)):
        written = argument.value.span
        raise RefusedError(f"`{clip(written.text)}` {fault}", written, f"`{name}`: {option.doc}")
    return name, value


def checked(built: Any, call: Call, problems: list[RefusedError]) -> Any:
    """Ask what was built by a call whether its options can stand together."""
    explain = getattr(built, "check", None)
    conflict = explain() if callable(explain) else None
    if conflict:
        problems.append(RefusedError(f"`{call.name.text}`: {conflict}", call.span))
    return built
