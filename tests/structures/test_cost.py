"""What the cost model counts is what the lowered ONNX graph does, by onnx's own shape inference."""

from math import prod

import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.shape_inference import infer_shapes
from qtnc.passes.lower_to_onnx import LowerToOnnx

from qtnc.planner.alone import Chain, model_of
from qtnc.quantum.circuit import Circuit
from qtnc.quantum.layout import layers
from qtnc.quantum.schedule import fuse, kernels
from qtnc.quantum.schedule import schedule as blocks_for
from qtnc.structures.cost import Product, choose_order, dense_seconds, flops_of, seconds_of
from qtnc.structures.lowrank import LowRank
from qtnc.structures.mpo import Mpo
from qtnc.tensor.kernels import kernels as kernels_of
from qtnc.tensor.order import every_path

DRAWN = layers("cross", [0, 0, 1, 1], 3)
CIRCUIT = Circuit(4, tuple(pair for layer in DRAWN for pair in layer), (13, 11))
"""Four qubits around 13 and 11 features: x is padded, y is cut."""

PRODUCTS: dict[str, Product] = {
    "low rank": LowRank(rank=3).network((8, 12)),
    "two sites": Mpo(sites=((4, 3), (2, 5)), bonds=(4,)).network((8, 15)),
    "padded": Mpo(sites=((2, 3), (4, 5)), bonds=(3,)).network((7, 13)),
    "three sites": Mpo(sites=((2, 3), (3, 2), (2, 2)), bonds=(4, 4)).network((12, 12)),
    "modes of one": Mpo(sites=((8, 1), (1, 12)), bonds=(5,)).network((8, 12)),
    "circuit": CIRCUIT,
}


def per_row(chain: Chain, shape: tuple[int, int], rows: int) -> tuple[int, int]:
    """Flops of all MatMul that read x, and elements that Transpose moves on the way, from the graph's own shapes."""
    model = LowerToOnnx().run(model_of(chain, shape, ir.DataType.FLOAT, 18)).model
    proto = ir.to_proto(model)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = rows
    graph = infer_shapes(proto, strict_mode=True, data_prop=True).graph
    known = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.value_info, *graph.output)}
    known |= {t.name: list(t.dims) for t in graph.initializer}
    known["x"] = [rows, shape[0]]
    alive, flops, moved = {"x"}, 0, 0
    for node in graph.node:
        if not alive & set(node.input):
            continue
        alive |= set(node.output)
        if node.op_type == "MatMul":
            flops += 2 * prod(known[node.output[0]]) * known[node.input[0]][-1]
        elif node.op_type == "Transpose" and _moves(node, known[node.input[0]]):
            moved += prod(known[node.input[0]])
    return flops, moved


def _moves(node: onnx.NodeProto, shape: list[int]) -> bool:
    """Whether axes longer than 1 change their order."""
    (perm,) = (list(a.ints) for a in node.attribute if a.name == "perm")
    long = [axis for axis in perm if shape[axis] > 1]
    return long != sorted(long)


def counted(product: Product, order: tuple[tuple[int, ...], ...], rows: int) -> tuple[int, int]:
    """The same by the cost model."""
    if isinstance(product, Circuit):
        found = kernels(product, order, rows)
        padding = 2 * rows * product.amplitudes
    else:
        found = kernels_of(product, tuple((a, b) for a, b in order), rows, folded=True)
        whole = [prod(product.sizes(axes)) for axes in (product.inputs[0], product.output)]
        padding = sum(rows * w for w, f in zip(whole, product.features, strict=True) if w > f)
    copied = sum(k.bytes // 8 for k in found if not k.flops)
    return sum(k.flops for k in found), copied - padding


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("rows", [1, 6])
def test_the_model_counts_what_the_graph_does(name: str, rows: int) -> None:
    product = PRODUCTS[name]
    if isinstance(product, Circuit):
        orders = [fuse(product, width) for width in (2, 3, 4)]
    else:
        orders = list(every_path(len(product.inputs)))
    for order in orders:
        assert counted(product, order, rows) == per_row([(product, order)], product.features, rows)


@given(rows=st.integers(1, 5000), threads=st.integers(1, 4), name=st.sampled_from(sorted(PRODUCTS)))
@settings(max_examples=60, deadline=None)
def test_seconds_grow_with_rows_and_add_up(rows: int, threads: int, name: str) -> None:
    product = PRODUCTS[name]
    order = choose_order(product, rows)
    once = seconds_of([(product, order)], rows, threads)
    assert 0.0 < once <= seconds_of([(product, order)], rows + 1, threads)
    assert seconds_of([(product, order)] * 3, rows, threads) == pytest.approx(3 * once)
    assert seconds_of([], rows, threads) == 0.0
    assert dense_seconds((8, 12), rows) <= dense_seconds((8, 12), rows + 1)


def test_orders_and_flops_of_either_kind() -> None:
    assert choose_order(CIRCUIT, 64) == blocks_for(CIRCUIT, 64)
    # 64 rows of 16 amplitudes by one matrix of 16 x 16.
    assert flops_of(CIRCUIT, fuse(CIRCUIT, 4), 64) == 2 * 64 * 16 * 16
    network = LowRank(rank=3).network((8, 12))
    rebuilt = ((1, 2), (0, 3))
    assert flops_of(network, rebuilt, 10) == 2 * (8 * 3 * 12 + 10 * 8 * 12)
    assert flops_of(network, rebuilt, 10, folded=True) == 2 * 10 * 8 * 12
