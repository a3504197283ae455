"""What a pattern found: values, sizes, attributes and nodes under the names of the pattern."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.errors import printable
from qtnc.ir.names import module_path
from qtnc.rules.measures import is_const
from qtnc.source import Span

Bound = ir.Value | tuple[ir.Value, ...] | float | int | str | tuple[Any, ...] | ir.TensorProtocol | None
"""What a name can stand for: a value, all that are left, a size, an attribute; None is an input that is missing."""


class DeclinedError(Exception):
    """A rule does not apply here after all: why, and where in its text or in the graph."""

    def __init__(self, reason: str, at: Span | ir.Value | ir.Node | None = None) -> None:
        self.reason = reason
        self.at = at
        super().__init__(reason)


def decline(reason: str, at: Span | ir.Value | ir.Node | None = None) -> NoReturn:
    """Leave the graph as it is, for a reason that ``why`` and the trace show; ``at`` is what it is about.

    Raises
    ------
    DeclinedError
        Always.
    """
    raise DeclinedError(reason, at)


@dataclass(frozen=True, eq=False)
class Match:
    """One place in a graph where a pattern fits.

    Attributes
    ----------
    root : the node at which matching began.
    nodes : all nodes that were matched, the root first.
    bound : what the names of the pattern stand for.
    named : nodes by the names of their operations and results.
    """

    root: ir.Node
    nodes: tuple[ir.Node, ...]
    bound: Mapping[str, Bound]
    named: Mapping[str, ir.Node]

    @property
    def layer(self) -> str:
        """Where it is: the module path of the root, else its name."""
        return module_path(self.root) or self.root.name or self.root.op_type

    def __getitem__(self, name: str) -> ir.Value:
        """The value of a name; KeyError where the pattern has none, or it is missing."""
        found = self.bound[name]
        if not isinstance(found, ir.Value):
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        """Whether a name is bound, to something that is not missing."""
        return self.bound.get(cast("str", name)) is not None

    def values(self, name: str) -> tuple[ir.Value, ...]:
        """All inputs that ``name...`` took."""
        found = self.bound[name]
        return cast("tuple[ir.Value, ...]", found) if isinstance(found, tuple) else ()

    def array(self, name: str) -> NDArray[Any]:
        """Numbers of a constant.

        Raises
        ------
        DeclinedError
            If it is none.
        """
        found = self.bound[name]
        return array_of(found if isinstance(found, ir.Value) else self[name], name)

    def number(self, name: str) -> float:
        """A size, an attribute that is a number, or a constant of one element."""
        found = self.bound[name]
        if isinstance(found, ir.Value):
            array = array_of(found, name)
            if array.size != 1:
                decline(f"`{name}` holds {array.size:,} numbers, not one", found)
            return cast("float", array.reshape(-1)[0].item())
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise KeyError(name)
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        """Sizes of a value; declines where one is symbolic or the rank unknown."""
        value = self[name]
        if value.shape is None or not value.shape.is_static():
            decline(f"the shape of `{name}` is known at run time only", value)
        return tuple(value.shape.numpy())

    def node(self, name: str) -> ir.Node:
        """The node of a named operation, or of one of its results."""
        return self.named[name]

    def attribute(self, name: str) -> Any:
        """An attribute that the pattern bound."""
        return self.bound[name]


def array_of(value: ir.Value, name: str) -> NDArray[Any]:
    """Numbers of a constant; declines where the value is none."""
    if not is_const(value) or value.const_value is None:
        decline(f"`{printable(name)}` is known at run time only", value)
    tensor = value.const_value
    if isinstance(tensor, ir.StringTensor):  # numpy's own texts lose zeros at their end
        return np.array([*tensor.string_data(), None], object)[:-1].reshape(tensor.shape.numpy())
    return np.asarray(tensor.numpy())


def values_of(found: Bound) -> Sequence[ir.Value]:
    """Values of the graph among what a name stands for."""
    if isinstance(found, ir.Value):
        return (found,)
    return tuple(v for v in found if isinstance(v, ir.Value)) if isinstance(found, tuple) else ()
