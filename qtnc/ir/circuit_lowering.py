"""The lowering of circuits: (circuit, blocks) to standard nodes, the angles being the only weight.

Gates are built from their angles by Sin and Cos and one product with the kernel of :mod:`qtnc.quantum.gates`, then
multiplied into the matrices of their blocks, which act on x. All of that but the last is constant where the angles are,
so that onnxruntime computes it once, when it opens the model.
"""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from qtnc.ir.building import NodeBuilder
from qtnc.quantum.circuit import Circuit
from qtnc.quantum.gates import ANGLES, KERNEL
from qtnc.quantum.schedule import Blocks, qubits_of


class CircuitLowering(NodeBuilder):
    """Builds the nodes of one circuit."""

    def __init__(
        self, circuit: Circuit, blocks: Blocks, lead: int, prefix: str = "", dtype: ir.DataType = ir.DataType.FLOAT
    ) -> None:
        """``lead``: number of leading axes of x. ``prefix``: start of new names. ``dtype``: of x and the angles."""
        super().__init__(prefix)
        self.circuit, self.blocks, self.lead, self.dtype = circuit, blocks, lead, dtype
        # onnxruntime has no Sin and Cos of less than 32 bits.
        self.working = dtype if dtype == ir.DataType.DOUBLE else ir.DataType.FLOAT

    def build(self, x: ir.Value, cores: Sequence[ir.Value]) -> ir.Value:
        """Compute y of shape (..., N) from x of shape (..., M) and the angles, (gates, 6)."""
        (angles,) = cores
        size = self.circuit.amplitudes
        state = self.pad(x, self.lead, size - self.circuit.features[0])
        if self.blocks:
            gates = self._gates(angles)
            order = list(range(self.circuit.qubits))
            for block in self.blocks:
                state, order = self._apply(state, order, block, gates)
            state = self._arrange(state, order, list(range(self.circuit.qubits)))
        y = self.cut(state, size, self.circuit.features[1])
        return y if y is not x else self.node("Identity", [x])

    def _gates(self, angles: ir.Value) -> ir.Value:
        """Transposed gates (gates, 4, 4), so that rows are multiplied from the right."""
        dtype, count = self.working.numpy(), self.circuit.gates
        if self.working != self.dtype:
            angles = self.node("Cast", [angles], {"to": self.working.value})
        halves = self.node("Mul", [angles, self.constant("half", np.array(0.5, dtype))])
        last = self.ints("axis", [2])
        both = [self.node("Unsqueeze", [self.node(op, [halves]), last]) for op in ("Cos", "Sin")]
        pairs = self.node("Concat", both, {"axis": 2})
        products = self._pick(pairs, 0, axis=1)
        for k in range(1, ANGLES):
            grown = self.node("Unsqueeze", [products, last])
            factor = self.node("Unsqueeze", [self._pick(pairs, k, axis=1), self.ints("axis", [1])])
            spread = self.node("Mul", [grown, factor])
            products = self.node("Reshape", [spread, self.ints("shape", [count, 2 ** (k + 1)])])
        kernel = KERNEL.reshape(-1, 4, 4).transpose(0, 2, 1).reshape(-1, 16).astype(dtype)
        flat = self.node("MatMul", [products, self.constant("kernel", np.ascontiguousarray(kernel))])
        return self.node("Reshape", [flat, self.ints("shape", [count, 4, 4])])

    def _pick(self, value: ir.Value, number: int, axis: int) -> ir.Value:
        return self.node("Gather", [value, self.constant("number", np.array(number, np.int64))], {"axis": axis})

    def _matrix(self, block: tuple[int, ...], gates: ir.Value) -> ir.Value:
        """Matrix (2^k, 2^k) of a block as rows read it: its gates applied to the rows of the identity."""
        qubits = qubits_of(self.circuit, block)
        size = 1 << len(qubits)
        zeros = self.node("ConstantOfShape", [self.ints("shape", [size, size])])
        rows = self.node("EyeLike", [zeros], {"dtype": self.working.value})
        order = list(range(len(qubits)))
        for number in block:
            pair = [qubits.index(qubit) for qubit in self.circuit.pairs[number]]
            wanted = [qubit for qubit in order if qubit not in pair] + pair
            rows = self._move(rows, 1, [size], order, wanted)
            split = self.reshape(rows, [size, size], [size * size // 4, 4])
            turned = self.node("MatMul", [split, self._pick(gates, number, axis=0)])
            rows, order = self.reshape(turned, [size * size // 4, 4], [size, size]), wanted
        matrix = self._move(rows, 1, [size], order, list(range(len(qubits))))
        return matrix if self.working == self.dtype else self.node("Cast", [matrix], {"to": self.dtype.value})

    def _apply(
        self, state: ir.Value, order: list[int], block: tuple[int, ...], gates: ir.Value
    ) -> tuple[ir.Value, list[int]]:
        """Multiply by one block; its qubits come last."""
        qubits = list(qubits_of(self.circuit, block))
        wanted = [qubit for qubit in order if qubit not in qubits] + qubits
        matrix = self._matrix(block, gates)
        state = self._arrange(state, order, wanted)
        size, all_of = 1 << len(qubits), self.circuit.amplitudes
        flat, split = [0] * self.lead + [all_of], [0] * self.lead + [all_of // size, size]
        if size == all_of:
            return self.node("MatMul", [state, matrix]), wanted
        product = self.node("MatMul", [self.reshape(state, flat, split), matrix])
        return self.reshape(product, split, flat), wanted

    def _arrange(self, state: ir.Value, order: list[int], wanted: list[int]) -> ir.Value:
        return self._move(state, self.lead, [0] * self.lead, order, wanted)

    def _move(self, value: ir.Value, lead: int, leading: list[int], order: list[int], wanted: list[int]) -> ir.Value:
        """Bring qubits, the last axis of a value, from one order into another."""
        if order == wanted:
            return value
        flat, split = [*leading, 1 << len(order)], [*leading, *(2,) * len(order)]
        axes = [*range(lead), *(lead + order.index(qubit) for qubit in wanted)]
        value = self.node("Transpose", [self.reshape(value, flat, split)], {"perm": axes})
        return self.reshape(value, split, flat)
