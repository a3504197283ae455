"""Attributes of what a rule looks for: of the type that their operator gives them, compared or bound to a name."""

from collections.abc import Sequence

import onnx
import onnx_ir as ir

from qtnc.rules.functions import Sort
from qtnc.rules.pattern import ANY, Attribute
from qtnc.spec import atoms
from qtnc.spec.rules import tree as rule_tree
from qtnc.spec.rules.kinds import ELEMENTS
from qtnc.spec.rules.names import Known, Names, number_of
from qtnc.spec.rules.operators import SORTS, Operator, known_attribute
from qtnc.spec.values import RefusedError
from qtnc.spec.wording import clip

_Types = onnx.defs.OpSchema.AttrType

WANTED = {
    _Types.INT: "a whole number",
    _Types.FLOAT: "a number",
    _Types.STRING: "a text",
    _Types.INTS: "a list of whole numbers",
    _Types.FLOATS: "a list of numbers",
    _Types.STRINGS: "a list of texts",
}
"""What an attribute of each type takes."""

Plain = float | int | str | tuple[float | int | str, ...]


def looked_for(node: rule_tree.Attribute, operators: Sequence[Operator], title: str, names: Names) -> Attribute:
    """``name = value``, or ``name = word`` that binds a name.

    Raises
    ------
    RefusedError
        If the operator has no such attribute, or it takes no such value.
    """
    name, value = node.name.text, node.value
    if names.sees(value):
        value = names.lets.value(value)
    try:
        kind = known_attribute(operators, name, title, node.name.span) if operators else None
    except RefusedError:
        if isinstance(value, atoms.Name) and value.text not in ELEMENTS:
            bind(value, None, names)  # one mistake is one error, and not one for every use of the name
        raise
    if isinstance(value, atoms.Name) and value.text in ELEMENTS:
        if kind not in (None, _Types.INT):
            raise _unlike(name, kind, value)
        return Attribute(name, ir.DataType[ELEMENTS[value.text].upper()].value, span=node.span)
    if isinstance(value, atoms.Name):
        bind(value, None if kind is None else SORTS[kind], names)
        return Attribute(name, bound=value.text, span=node.span)
    plain = _plain(value, names)
    if kind is not None and not _agrees(kind, plain):
        raise _unlike(name, kind, value)
    return Attribute(name, plain, span=node.span)


def bind(name: atoms.Name, sort: Sort | None, names: Names) -> None:
    """Know the value of an attribute by a name; the same name again is the same value."""
    if name.text == ANY:
        raise RefusedError("`_` names nothing", name.span, "leave out an attribute that may be anything")
    before = names.known.get(name.text)
    if before is None or before.role != "attribute" or (None not in (before.sort, sort) and before.sort != sort):
        names.declare(name, Known("attribute", sort, name.span))


def _plain(value: atoms.Value, names: Names) -> Plain:
    match value:
        case atoms.Number():
            return number_of(value)
        case atoms.String(text):
            return text
        case atoms.Sequence(items):
            return tuple(_item(item, names) for item in items)
        case _:
            raise RefusedError(f"`{clip(value.span.text)}` is no value of an attribute", value.span)


def _item(item: atoms.Value, names: Names) -> float | int | str:
    if names.sees(item):
        item = names.lets.value(item)
    plain = _plain(item, names) if isinstance(item, atoms.Number | atoms.String) else None
    if plain is None or isinstance(plain, tuple):
        message = f"`{clip(item.span.text)}` is no number and no text"
        raise RefusedError(message, item.span, "a list is compared as a whole; a name may stand for all of it")
    return plain


def _agrees(kind: _Types, value: Plain) -> bool:
    if kind in (_Types.INTS, _Types.FLOATS, _Types.STRINGS):
        one = {_Types.INTS: _Types.INT, _Types.FLOATS: _Types.FLOAT, _Types.STRINGS: _Types.STRING}[kind]
        return isinstance(value, tuple) and all(_agrees(one, item) for item in value)
    if kind == _Types.STRING:
        return isinstance(value, str)
    return isinstance(value, int | float) and (kind == _Types.FLOAT or value == int(value))


def _unlike(name: str, kind: _Types | None, value: atoms.Value) -> RefusedError:
    wanted = WANTED[kind] if kind else "a value"
    return RefusedError(f"`{name}` takes {wanted}, not `{clip(value.span.text)}`", value.span)
