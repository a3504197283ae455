"""The lowering of tensor networks: (network, path) to Reshape, Transpose and MatMul nodes.

The same nodes are the body of a ``qtn`` function and what the ONNX backend writes in place of the call. Leading
dimensions are copied by ``0`` in Reshape, so batch and sequence stay symbolic.
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
    """A value whose axes are: ``lead`` axes of rows when it carries them, then the named indices."""

    value: ir.Value
    indices: tuple[str, ...]
    rows: bool


class NetworkLowering(NodeBuilder):
    """Builds the nodes of one network product."""

    def __init__(self, network: TensorNetwork, path: Path, lead: int, prefix: str = "") -> None:
        """``lead``: number of leading axes of x. ``prefix``: start of the names of new values and nodes."""
        super().__init__(prefix)
        self.network, self.path, self.lead = network, path, lead

    def build(self, x: ir.Value, cores: Sequence[ir.Value]) -> ir.Value:
        """Compute y of shape (..., N) from x of shape (..., M)."""
        network = self.network
        operands = {X: _Operand(self._enter(x), network.inputs[X], True)}
        operands |= {
            k + 1: _Operand(core, indices, False)
            for k, (core, indices) in enumerate(zip(cores, network.inputs[1:], strict=True))
        }
        result = operands[X]
        for number, step in enumerate(steps(network, self.path)):
            result = self._contract(operands[step.left], operands[step.right], step)
            operands[len(network.inputs) + number] = result
        return self._leave(result)

    def _enter(self, x: ir.Value) -> ir.Value:
        """Pad the features of x to the product of its modes and split them."""
        modes = self.network.sizes(self.network.inputs[X])
        x = self.pad(x, self.lead, prod(modes) - self.network.features[0])
        return self.reshape(x, self._features(prod(modes)), self._features(*modes))

    def _leave(self, y: _Operand) -> ir.Value:
        """Join the modes of y and cut the padding off."""
        modes = self.network.sizes(self.network.output)
        arranged = self._arrange(y, self.network.output)
        value = self.reshape(arranged, self._features(*modes), self._features(prod(modes)))
        return self.cut(value, prod(modes), self.network.features[1])

    def _contract(self, left: _Operand, right: _Operand, step: Step) -> _Operand:
        """One step as a matrix product: (rows..., shared, left's own, summed) x (shared, summed, right's own)."""
        kept = set(step.out_indices)
        shared = tuple(i for i in left.indices if i in right.indices and i in kept)
        summed = tuple(i for i in left.indices if i in right.indices and i not in kept)
        left_own = tuple(i for i in left.indices if i not in right.indices)
        right_own = tuple(i for i in right.indices if i not in left.indices)
        lead = self.lead if left.rows else 0
        sizes = self.network.sizes
        a = self._arrange(left, shared + left_own + summed)
        b = self._arrange(right, shared + summed + right_own)
        batch = list(sizes(shared))
        inner, outer = prod(sizes(summed)), prod(sizes(right_own))
        # A left operand without own modes needs none in the product, unless shared modes sit between.
        middle = [prod(sizes(left_own))] if left_own or shared or not lead else []
        rows = [0] * lead
        have = rows + list(sizes(shared + left_own + summed))
        a = self.reshape(a, have, rows + batch + middle + [inner])
        b = self.reshape(b, list(sizes(shared + summed + right_own)), [*batch, inner, outer])
        product = self.node("MatMul", [a, b])
        natural = shared + left_own + right_own
        split = self.reshape(product, rows + batch + middle + [outer], rows + list(sizes(natural)))
        return _Operand(split, natural, left.rows)

    def _arrange(self, operand: _Operand, indices: tuple[str, ...]) -> ir.Value:
        """Transpose the named axes into the asked order."""
        if operand.indices == indices:
            return operand.value
        lead = self.lead if operand.rows else 0
        order = [*range(lead), *(lead + operand.indices.index(i) for i in indices)]
        return self.node("Transpose", [operand.value], {"perm": order})

    def _features(self, *sizes: int) -> list[int]:
        return [0] * self.lead + list(sizes)
