"""What flows inside a model on data: intermediate values, streamed through onnxruntime."""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.calibrate.data import DataSet
from qtnc.calibrate.session import check_fits, run, session_of
from qtnc.errors import DataError


def activations(
    model: ir.Model, names: Sequence[str], data: DataSet, size: int
) -> Iterator[tuple[NDArray[np.generic], ...]]:
    """Values of the main graph by name, for ``size`` samples of the data at a time.

    Raises
    ------
    DataError
        If onnxruntime cannot run the data.
    """
    check_fits(model)
    session = session_of(_with_outputs(model, names))
    for feed in data.batches(size):
        try:
            values = run(session, names, feed)
        except Exception as error:  # onnxruntime's errors share no base class
            raise DataError(f"data `{data.name}` does not run through the model: {str(error)[:300]}") from error
        yield tuple(values)


def _with_outputs(model: ir.Model, names: Sequence[str]) -> ir.Model:
    """A copy of the model whose outputs are the named values."""
    copy = model.clone()
    values = {str(v.name): v for node in copy.graph for v in node.outputs} | {str(v.name): v for v in copy.graph.inputs}
    copy.graph.outputs.clear()
    copy.graph.outputs.extend(values[name] for name in names)
    return copy
