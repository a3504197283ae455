"""What a statement names and is not there, in words."""

from collections.abc import Container, Mapping

from qtnc.errors import did_you_mean
from qtnc.source import Span
from qtnc.spec import program, tree
from qtnc.spec.values import RefusedError, listing
from qtnc.spec.wording import clip


def unknown_base(
    base: tree.Name, name: str, stages: Mapping[str, program.Stage], places: Mapping[str, Span]
) -> RefusedError:
    """Say why the stage ``name`` cannot extend ``base``; ``places`` has all stages, ``stages`` those above."""
    if base.text == name:
        return RefusedError(f"stage `{name}` extends itself", base.span)
    if base.text in places:
        message = f"stage `{base.text}` is declared only at {places[base.text].seen_from(base.span)}"
        return RefusedError(message, base.span, f"move `stage {base.text}` above this line")
    declared = f"stages above are {listing(stages)}" if 0 < len(stages) <= 10 else None
    way_out = did_you_mean(base.text, stages) or declared
    return RefusedError(f"unknown stage `{clip(base.text)}`", base.span, way_out)


def path_of(reader: tree.Call, used: Container[Span]) -> str:
    """The path that a reader of data is given; ``used`` are places where a name stands for a value.

    Raises
    ------
    RefusedError
        If it is given anything else.
    """
    values = [a.value for a in reader.arguments if a.name is None]
    value = values[0] if len(values) == len(reader.arguments) == 1 else None
    if not isinstance(value, tree.String) or not value.text:
        span = value.span if value and value.span in used else reader.span
        raise RefusedError("a reader takes the path of a file", span, 'as in `npz("calib.npz")`')
    return value.text
