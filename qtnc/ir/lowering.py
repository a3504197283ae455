"""The lowering of tensor networks: (network, path) to Reshape, Transpose and MatMul nodes.

The same nodes are the body of a ``qtn`` function and what the ONNX backend writes in place of the call. Leading
dimensions are copied by ``0`` in Reshape, so batch and sequence stay symbolic. The networks of a stack are multiplied
by one MatMul a step, which broadcasts x; the rows before each of its matrices are one axis, written ``-1``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from qtnc.ir.building import NodeBuilder
from qtnc.tensor.network import TensorNetwork, X
from qtnc.tensor.order import Path, Step, steps


@dataclass(frozen=True)
class _Operand:
    """A value whose axes are: ``lead`` axes, of rows and of the stack, then the named indices."""

    value: ir.Value
    indices: tuple[str, ...]
    lead: int
    rows: bool


class NetworkLowering(NodeBuilder):
    """Builds the nodes of one network product."""

    def __init__(self, network: TensorNetwork, path: Path, lead: int, prefix: str = "") -> None:
        """``lead``: number of leading axes of x. ``prefix``: start of the names of new values and nodes."""
        super().__init__(prefix)
        self.network, self.path, self.lead = network, path, lead

    def build(self, x: ir.Value, cores: Sequence[ir.Value]) -> ir.Value:
        """Compute y of shape (..., N) from x of shape (..., M)."""
        network, stack = self.network, len(self.network.stack)
        operands = {X: _Operand(self._enter(x), network.inputs[X], self.lead, True)}
        operands |= {
            k + 1: _Operand(core, indices, stack, False)
            for k, (core, indices) in enumerate(zip(cores, network.inputs[1:], strict=True))
        }
        result = operands[X]
        for number, step in enumerate(steps(network, self.path)):
            result = self._contract(operands[step.left], operands[step.right], step)
            operands[len(network.inputs) + number] = result
        return self._leave(result)

    def _enter(self, x: ir.Value) -> ir.Value:
        """Pad the features of x to the product of its modes and split them."""
        modes, rows = self.network.sizes(self.network.inputs[X]), self._rows(self.lead)
        x = self.pad(x, self.lead, prod(modes) - self.network.features[0])
        return self.reshape(x, [*rows, prod(modes)], [*rows, *modes])

    def _leave(self, y: _Operand) -> ir.Value:
        """Join the modes of y and cut the padding off."""
        modes, rows = self.network.sizes(self.network.output), self._rows(y.lead)
        arranged = self._arrange(y, self.network.output)
        value = self.reshape(arranged, [*rows, *modes], [*rows, prod(modes)])
        return self.cut(value, prod(modes), self.network.features[1])

    def _contract(self, left: _Operand, right: _Operand, step: Step) -> _Operand:
        """One step as a matrix product: (lead..., shared, left's own, summed) x (shared, summed, right's own)."""
        kept = set(step.out_indices)
        shared = tuple(i for i in left.indices if i in right.indices and i in kept)
        summed = tuple(i for i in left.indices if i in right.indices and i not in kept)
        left_own = tuple(i for i in left.indices if i not in right.indices)
        right_own = tuple(i for i in right.indices if i not in left.indices)
        stack, sizes = list(self.network.stack), self.network.sizes
        a = self._arrange(left, shared + left_own + summed)
        b = self._arrange(right, shared + summed + right_own)
        batch = list(sizes(shared))
        inner, outer = prod(sizes(summed)), prod(sizes(right_own))
        lead = max(left.lead, len(stack) + 1) if left.rows and stack else left.lead
        before, after = (self._rows(n) if left.rows else stack for n in (left.lead, lead))
        # A left operand without own modes needs none in the product, unless shared modes sit between. In a stack they
        # join the rows, so that each matrix is met by one product.
        joins = bool(stack or not left_own) and not shared and left.rows and left.lead > 0
        middle = [] if joins else [prod(sizes(left_own))]
        apart = [1] if stack and left.rows and shared else []  # the axis of rows, which the cores lack
        a = self.reshape(a, [*before, *sizes(shared + left_own + summed)], [*before, *batch, *middle, inner])
        b = self.reshape(b, [*stack, *sizes(shared + summed + right_own)], [*stack, *apart, *batch, inner, outer])
        product = self.node("MatMul", [a, b])
        natural = shared + left_own + right_own
        split = self.reshape(product, [*after, *batch, *middle, outer], [*after, *sizes(natural)])
        return _Operand(split, natural, lead, left.rows)

    def _arrange(self, operand: _Operand, indices: tuple[str, ...]) -> ir.Value:
        """Transpose the named axes into the asked order."""
        if operand.indices == indices:
            return operand.value
        order = [*range(operand.lead), *(operand.lead + operand.indices.index(i) for i in indices)]
        return self.node("Transpose", [operand.value], {"perm": order})

    def _rows(self, lead: int) -> list[int]:
        """Leading axes in a Reshape."""
        return [0] * (lead - 1) + [-1] if self.network.stack else [0] * lead
