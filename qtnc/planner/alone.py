"""One product as a model of its own, in the form in which the whole model is emitted, ready to be called."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Final

import numpy as np
import onnx_ir as ir

from qtnc.backends.torch.emit import compose
from qtnc.backends.torch.load import load_source
from qtnc.calibrate.session import session_of
from qtnc.ir.dialect import CIRCUIT, Order, Product, product_call
from qtnc.passes.lower_to_onnx import LowerToOnnx
from qtnc.planner.runtimes import TORCH
from qtnc.quantum.circuit import Circuit

Chain = Sequence[tuple[Product, Order]]
"""Products that x goes through in turn, each in its order; an empty one stands for the dense product."""

Call = Callable[[int], Callable[[], object]]
"""Given a number of rows, makes a call at so many rows of x."""

NATIVE: Final = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16})
"""Types in which onnxruntime multiplies matrices on a CPU."""


def measured_in(runtime: str, dtype: ir.DataType) -> ir.DataType:
    """The type in which a runtime is measured for weights of ``dtype``: theirs, or float32 where it has no kernel."""
    return dtype if runtime == TORCH or dtype in NATIVE else ir.DataType.FLOAT


def in_onnxruntime(model: ir.Model, threads: int = 1) -> Call:
    """Open a product's model in onnxruntime."""
    dtype, shape_at = _input_of(model)
    session = session_of(LowerToOnnx().run(model).model, threads)

    def at(rows: int) -> Callable[[], object]:
        feed = {"x": np.random.default_rng(0).standard_normal(shape_at(rows)).astype(dtype.numpy())}
        return lambda: session.run(None, feed)

    return at


def in_torch(model: ir.Model) -> Call:
    """Write a product's model as torch code and run that."""
    import torch

    dtype, shape_at = _input_of(model)
    module = load_source(compose(model))
    kind = getattr(torch, dtype.numpy().name)

    def at(rows: int) -> Callable[[], object]:
        x = torch.from_numpy(np.random.default_rng(0).standard_normal(shape_at(rows))).to(kind)

        def call() -> object:
            with torch.inference_mode():
                return module(x)

        return call

    return at


@contextmanager
def on_one_thread(runtime: str) -> Iterator[None]:
    """Let torch compute on one thread; the sessions of this file do anyway."""
    if runtime != TORCH:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def model_of(chain: Chain, shape: tuple[int, ...], dtype: ir.DataType, opset: int) -> ir.Model:
    """A model ``y = x . N`` of rows of x, its weights drawn at random; a stack where ``shape`` is more than (M, N)."""
    rng = np.random.default_rng(0)
    x = ir.val("x", dtype, [*shape[:-2], "rows", shape[-2]])
    graph = ir.Graph([x], [], nodes=[], opset_imports={"": opset}, name="product")
    model = ir.Model(graph, ir_version=10)

    def weight(name: str, sizes: tuple[int, ...]) -> ir.Value:
        array = rng.random(sizes, np.float32) - np.float32(0.5)
        tensor = ir.tensor(array.astype(dtype.numpy()), name=name)
        value = ir.val(name, dtype, sizes, const_value=tensor)
        graph.register_initializer(value)
        return value

    y = x
    for place, (product, order) in enumerate(chain):
        held = [weight(f"part_{place}_core_{k}", sizes) for k, sizes in enumerate(product.core_shapes)]
        op = CIRCUIT if isinstance(product, Circuit) else "Network"
        node = product_call(model, op, f"part_{place}", y, held, product, order)
        node.outputs[0].name = f"y_{place}"
        graph.append(node)
        y = node.outputs[0]
    if not chain:
        node = ir.node("MatMul", [x, weight("w", shape)])
        graph.append(node)
        y = node.outputs[0]
    y.name, y.dtype, y.shape = "y", dtype, ir.Shape([*shape[:-2], "rows", shape[-1]])
    graph.outputs.append(y)
    return model


def _input_of(model: ir.Model) -> tuple[ir.DataType, Callable[[int], tuple[int, ...]]]:
    """Type of x, and its shape at so many rows, which the matrices of a stack share evenly."""
    x = model.graph.inputs[0]
    assert x.dtype is not None  # noqa: S101 - made above with both
    assert x.shape is not None  # noqa: S101
    *stack, _, features = (axis if isinstance(axis, int) else 1 for axis in x.shape)
    return x.dtype, lambda rows: (*stack, max(1, rows // prod(stack)), features)
