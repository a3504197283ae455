"""The text of a layer's Python file."""

from collections.abc import Iterable
from importlib.resources import files
from textwrap import wrap
from typing import Final

from qtnc.backends.identifiers import comment
from qtnc.ir.circuit_layer import CircuitLayer
from qtnc.quantum.circuit import Circuit
from qtnc.quantum.gates import Angles

WIDTH: Final = 110
"""Columns of prose."""


def text(layer: CircuitLayer, stem: str) -> str:
    """Standalone code of both circuits; of the layer's name, only ``stem`` and a comment's worth reach it."""
    here = files("qtnc.backends.qiskit").joinpath("circuits.py").read_text(encoding="utf-8")
    top = [
        _docstring(layer, stem),
        _IMPORTS,
        _table("INPUT", layer.input, layer.input_angles),
        _table("OUTPUT", layer.output, layer.output_angles),
    ]
    chunks = [
        "\n\n".join(top),
        _factory("input", "C_in", stem, layer.input),
        _factory("output", "C_out", stem, layer.output),
        _BOUND,
        here[here.index("def ") :].rstrip(),
        _MAIN,
    ]
    return "\n\n\n".join(chunks) + "\n"


def _docstring(layer: CircuitLayer, stem: str) -> str:
    rows, columns = layer.features
    c_in, c_out = layer.input, layer.output
    words = (
        f"y = x . C_in . K . C_out. The {rows:,} features of x, scaled to norm 1, are amplitudes of {c_in.qubits} "
        f"qubits, zeros after them, and C_in acts on those. K, a tensor network, takes them to {c_out.amplitudes:,} "
        f"amplitudes of {c_out.qubits} qubits, on which C_out acts; the first {columns:,} that come out are y. The "
        f"cores of K are in {stem}.safetensors. Run this file to see both circuits."
    )
    lines = [
        f'"""Circuits of layer `{comment(layer.name)}`.',
        "",
        _row("", "qubits", "gates", "angles", "CX"),
        _row("C_in", c_in.qubits, c_in.gates, c_in.parameters, c_in.cx),
        _row("C_out", c_out.qubits, c_out.gates, c_out.parameters, c_out.cx),
        "",
        *wrap(words, WIDTH, break_long_words=False),
        '"""',
    ]
    return "\n".join(lines)


def _row(name: str, *cells: object) -> str:
    return f"{name:6}" + "".join(f"{cell:>9}" for cell in cells)


def _table(name: str, circuit: Circuit, angles: Angles) -> str:
    lines = [f"{name}_QUBITS = {circuit.qubits}", f"{name}: Table = ["]
    for pair, six in zip(circuit.pairs, angles, strict=True):
        start = f"    ({pair}, ("
        lines += [f"{start}{_numbers(six[:3])}),", f"{' ' * (len(start) - 1)}({_numbers(six[3:])})),"]
    return "\n".join([*lines, "]"])


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(repr(float(x)) for x in values)


def _factory(side: str, name: str, stem: str, circuit: Circuit) -> str:
    return "\n".join(
        [
            f"def {side}_circuit() -> QuantumCircuit:",
            f'    """{name}, its {circuit.parameters} angles open."""',
            f'    return compose("{stem}.{side}", {side.upper()}_QUBITS, [pair for pair, _, _ in {side.upper()}])',
        ]
    )


_IMPORTS = """from collections.abc import Iterable, Sequence

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

Angles = tuple[float, float, float]
# Each gate, in the order in which they act: its pair of qubits, the angles of the first, those of the second.
Table = list[tuple[tuple[int, int], Angles, Angles]]"""

_BOUND = '''def bound() -> tuple[QuantumCircuit, QuantumCircuit]:
    """C_in and C_out with their angles."""
    tables = ((input_circuit(), INPUT), (output_circuit(), OUTPUT))
    c_in, c_out = (bind(circuit, [first + second for _, first, second in table]) for circuit, table in tables)
    return c_in, c_out'''

_MAIN = """if __name__ == "__main__":
    for circuit in bound():
        gates = ", ".join(f"{count} {name}" for name, count in circuit.count_ops().items()) or "no gates"
        print(f"{circuit.name}: {circuit.num_qubits} qubits, depth {circuit.depth()}, {gates}")
        print(circuit.draw("text"))"""
