"""Small models made by hand, so that goldens do not move with an exporter."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from qtnc.ir.dialect import DOMAIN, attributes_of
from qtnc.quantum.circuit import Circuit
from qtnc.quantum.schedule import fuse
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import Path

OPSET = 21


def value(name: str, shape: Sequence[int | str] | None = None, dtype: ir.DataType = ir.DataType.FLOAT) -> ir.Value:
    return ir.Value(name=name, shape=None if shape is None else ir.Shape(shape), type=ir.TensorType(dtype))


def initialiser(name: str, array: np.ndarray) -> ir.Value:
    made = value(name, array.shape, ir.DataType.from_numpy(array.dtype))
    made.const_value = ir.tensor(array, name=name)
    return made


def node(op: str, inputs: Sequence[ir.Value | None], out: str, module: str = "", **attributes: object) -> ir.Node:
    """A node of one output; ``module`` is the one it comes from, written as dynamo writes it."""
    parts = module.split(".") if module else []
    scopes = ["", *(".".join(parts[: k + 1]) for k in range(len(parts))), out]
    made = ir.node(
        op,
        inputs=list(inputs),
        attributes=attributes,
        outputs=[value(out)],
        name=f"node_{out}",
        metadata_props={"pkg.torch.onnx.name_scopes": repr(scopes)},
    )
    made.outputs[0].type = None
    return made


def network(x: ir.Value, cores: Sequence[ir.Value], net: TensorNetwork, path: Path, out: str, module: str) -> ir.Node:
    made = node("Mpo", [x, *cores], out, module)
    made.domain = DOMAIN
    made.attributes.update(attributes_of(net, path))
    return made


def circuit(x: ir.Value, angles: ir.Value, held: Circuit, out: str, module: str, role: str = "") -> ir.Node:
    made = node("Circuit", [x, angles], out, module)
    made.domain, made.overload = DOMAIN, f"{module}.{role}" if role else module
    made.attributes.update(attributes_of(held, fuse(held, held.qubits)))
    return made


def model(inputs: Sequence[ir.Value], nodes: Sequence[ir.Node], outputs: Mapping[str, Sequence[int | str]]) -> ir.Model:
    made = {v.name: v for n in nodes for v in n.outputs}
    for name, shape in outputs.items():
        made[name].shape = ir.Shape(shape)
        made[name].type = made[name].type or ir.TensorType(ir.DataType.FLOAT)
    seen = {id(v): v for n in nodes for v in n.inputs if v is not None and v.const_value is not None}
    graph = ir.Graph(
        inputs,
        [made[name] for name in outputs],
        nodes=nodes,
        initializers=list(seen.values()),
        opset_imports={"": OPSET, DOMAIN: 1},
        name="made_by_hand",
    )
    return ir.Model(graph, ir_version=10)
