"""The view of one node that emission functions get."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import onnx_ir as ir

from qtnc.backends.torch.emission import Emission, UnsupportedError
from qtnc.backends.torch.expression import Expr, member, subscript
from qtnc.backends.torch.facts import Fact, guess_dtype
from qtnc.backends.torch.flow import follow
from qtnc.backends.torch.host import Axes, Host, Item, from_tensor
from qtnc.backends.torch.weights import torch_dtype


@dataclass(frozen=True)
class Unpacked:
    """An expression that is a tuple with one item per output of the node."""

    expr: Expr
    hints: tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """One node as emission functions see it."""

    emission: Emission
    node: ir.Node
    path: str

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.node.inputs)))

    @property
    def opset(self) -> int:
        """Opset of the model."""
        return self.emission.opset

    def refuse(self, why: str) -> NoReturn:
        """Report the node as one that cannot be written."""
        raise UnsupportedError(why)

    def has(self, k: int) -> bool:
        """Whether input ``k`` is there."""
        return k < len(self.node.inputs) and self.node.inputs[k] is not None

    def value(self, k: int) -> ir.Value:
        """Input ``k``."""
        value = self.node.inputs[k] if k < len(self.node.inputs) else None
        if value is None:
            self.refuse(f"its input {k} is missing")
        return value

    def operand(self, k: int) -> Expr:
        """Input ``k`` of a broadcast, where a number does as well as a tensor."""
        number = self.number(k)
        if number is not None:
            return self.emission.number(number, self.dtype(k))
        return self.emission.expr(self.value(k), self.node)

    def number(self, k: int) -> Item | None:
        """Input ``k`` as one number, when it is one and adds no axis to what it is broadcast with."""
        host = self.host(k)
        if host is None or len(host.items) != 1:
            return None
        others = [self.rank(j) or 0 for j in self if j != k and self.has(j) and not self._one_item(j)]
        return host.scalar if not host.vector or max(others, default=0) >= 1 else None

    def _one_item(self, k: int) -> bool:
        host = self.host(k)
        return host is not None and len(host.items) == 1

    def tensor(self, k: int) -> Expr:
        """Input ``k`` as a tensor."""
        host = self.host(k)
        if host is not None and not host.vector:
            return self.emission.materialise(host)
        return self.operand(k)

    def as_tensor(self, k: int) -> Expr:
        """Input ``k``, one number, as a tensor without axes."""
        host = self.host(k)
        if host is None:
            self.refuse(f"its input {k} is no number")
        return self.emission.materialise(Host(host.items, host.dtype, vector=False))

    def atom(self, k: int) -> Expr:
        """Input ``k`` as a name, to be written more than once."""
        host = self.host(k)
        if host is not None and not host.vector:
            return self.bind(self.emission.materialise(host), "scalar")
        return self.emission.atom(self.value(k), self.node)

    def host(self, k: int) -> Host | None:
        """Input ``k`` as Python numbers, if it can be had so."""
        return self.emission.host(self.value(k)) if self.has(k) else None

    def numbers(self, k: int, what: str) -> tuple[Item, ...]:
        """Input ``k`` as Python numbers, known or not."""
        host = self.host(k)
        if host is None:
            self.refuse(f"its {what} depend on data")
        return host.items

    def ints(self, k: int, what: str) -> tuple[int, ...]:
        """Input ``k`` as known ints."""
        items = self.numbers(k, what)
        if any(isinstance(i, Expr) for i in items):
            self.refuse(f"its {what} are not constant")
        return tuple(int(i) for i in items if not isinstance(i, Expr))

    def attr_int(self, name: str, default: int) -> int:
        """Integer attribute."""
        return self.node.attributes[name].as_int() if name in self.node.attributes else default

    def attr_float(self, name: str, default: float) -> float:
        """Float attribute, with the digits that a float32 needs."""
        if name not in self.node.attributes:
            return default
        tensor = ir.tensor(self.node.attributes[name].as_float(), ir.DataType.FLOAT)
        host = from_tensor(tensor)
        return default if host is None or isinstance(host.scalar, Expr) else float(host.scalar)

    def attr_ints(self, name: str) -> tuple[int, ...] | None:
        """Integer list attribute, or None."""
        return tuple(self.node.attributes[name].as_ints()) if name in self.node.attributes else None

    def attr_text(self, name: str, default: str) -> str:
        """Text attribute."""
        return self.node.attributes[name].as_string() if name in self.node.attributes else default

    def dtype(self, k: int) -> ir.DataType | None:
        """Dtype of input ``k``."""
        return self.emission.fact(self.value(k)).dtype

    def axes(self, k: int) -> Axes | None:
        """Sizes of the axes of input ``k``, where known."""
        return self.emission.axes(self.value(k))

    def rank(self, k: int) -> int | None:
        """Number of axes of input ``k``, where known."""
        axes = self.axes(k)
        return None if axes is None else len(axes)

    def need_rank(self, k: int) -> int:
        """Number of axes of input ``k``."""
        rank = self.rank(k)
        if rank is None:
            self.refuse(f"the rank of its input {k} is not known")
        return rank

    def size(self, k: int, axis: int) -> Item:
        """Size of one axis of input ``k``: a number, a dimension of the graph's inputs, or ``x.shape[axis]``."""
        axes = self.axes(k)
        size = axes[axis] if axes is not None and -len(axes) <= axis < len(axes) else None
        if size is not None:
            return size
        shape = member(self.emission.atom(self.value(k), self.node), "shape")
        return subscript(shape, axis, natural=True)

    def used(self, output: int) -> bool:
        """Whether anything reads output ``output``."""
        if output >= len(self.node.outputs):
            return False
        value = self.node.outputs[output]
        return bool(value.uses()) or value.is_graph_output()

    def only_first_output(self) -> None:
        """Refuse a node whose further outputs are read."""
        if any(self.used(k) for k in range(1, len(self.node.outputs))):
            self.refuse("its further outputs are used")

    def require_defined_outputs(self) -> None:
        """Refuse a node whose further outputs are read and were not given."""
        if any(self.used(k) and not self.emission.defined(v) for k, v in enumerate(self.node.outputs) if k):
            self.refuse("its further outputs are used")

    def bind(self, expr: Expr, hint: str) -> Expr:
        """Give an expression a line of its own."""
        return self.emission.bind(expr, hint, self.path)

    def dtype_text(self, dtype: ir.DataType | None) -> str:
        """``torch.float32`` and so on."""
        text = torch_dtype(dtype)
        if text is None:
            self.refuse(f"torch has no dtype {dtype}")
        return text

    def settle_facts(self) -> None:
        """Fill in what inference did not know about the outputs."""
        inputs = {k: self.dtype(k) for k in self if self.has(k)}
        for output in self.node.outputs:
            fact = self.emission.fact(output)
            if fact.dtype is None and output.name:
                self.emission.facts[output.name] = Fact(guess_dtype(self.node, inputs), fact.dims)
        if len(self.node.outputs) == 1 or self.node.op_type in ("LayerNormalization", "Dropout"):
            self.emission.settle_axes(self.node.outputs[0], follow(self))
