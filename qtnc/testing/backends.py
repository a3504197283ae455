"""What ONNX and torch compute of a structure, beside the matrix that it says it is."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.backends.torch.emit import compose
from qtnc.backends.torch.load import load_source
from qtnc.calibrate.session import run, session_of
from qtnc.ir.layers import find_layers
from qtnc.passes.choose_contraction_order import ChooseContractionOrder
from qtnc.passes.lower_to_onnx import LowerToOnnx
from qtnc.pipeline import Pipeline
from qtnc.rewrite.decision import Decision, Rewritten
from qtnc.rewrite.products import replace_products
from qtnc.structures.structure import MisfitError, Problem, Structure
from qtnc.work.work import Work

WITHIN: Final = 1e-4
"""Relative distance of what is computed in float32, and of cores that are rounded to it."""

ROWS: Final = (1, 7)


def check_backends(structure: Structure, shapes: Sequence[tuple[int, int]], seed: int = 0) -> None:
    """Fail unless ``y = x . W``, rewritten to the structure, computes ``x . dense`` in onnxruntime and in torch.

    Raises
    ------
    AssertionError
        Naming the backend and the shape.
    """
    for shape in shapes:
        rng = np.random.default_rng([seed, *shape, 2])
        weight = rng.standard_normal(shape).astype(np.float32)
        problem = Problem(weight.astype(np.float64))
        try:
            settled = structure.propose(problem).structure
        except MisfitError:
            continue
        dense = settled.dense(settled.fit(problem), shape)
        model = _product(weight)
        (layer,) = find_layers(model)
        result = replace_products(model, (Decision(layer.name, settled),), {settled.name}, "rewrite", Work())
        (note,) = result.notes
        assert isinstance(note, Rewritten)  # noqa: S101 - what replacing leaves
        for rows in ROWS:
            ordered = Pipeline([ChooseContractionOrder({"rows": rows})]).run(model.clone()).model
            x = rng.standard_normal((rows, shape[0])).astype(np.float32)
            wanted = x.astype(np.float64) @ dense
            for backend, found in (("torch", _in_torch(ordered, x)), ("ONNX", _in_onnx(ordered, x))):
                far = float(np.linalg.norm(found - wanted) / (np.linalg.norm(wanted) or 1.0))
                if not far <= WITHIN:
                    where = f"at {shape[0]}x{shape[1]}, {rows} rows"
                    raise AssertionError(f"{backend} {where}: y is {far:.2g} from x . dense (allowed {WITHIN:.2g})")


def _product(weight: NDArray[np.float32]) -> ir.Model:
    x = ir.val("x", ir.DataType.FLOAT, ["rows", weight.shape[0]])
    held = ir.val("w", ir.DataType.FLOAT, weight.shape, const_value=ir.tensor(weight, name="w"))
    node = ir.node("MatMul", [x, held], name="product")
    y = node.outputs[0]
    y.name, y.dtype, y.shape = "y", ir.DataType.FLOAT, ir.Shape(["rows", weight.shape[1]])
    graph = ir.Graph([x], [y], nodes=[node], initializers=[held], opset_imports={"": 18}, name="product")
    return ir.Model(graph, ir_version=10)


def _in_onnx(model: ir.Model, x: NDArray[np.float32]) -> NDArray[Any]:
    session = session_of(LowerToOnnx().run(model.clone()).model)
    return run(session, ["y"], {"x": x})[0]


def _in_torch(model: ir.Model, x: NDArray[np.float32]) -> NDArray[Any]:
    import torch

    with torch.inference_mode():
        return np.asarray(load_source(compose(model))(torch.from_numpy(x)).numpy())
