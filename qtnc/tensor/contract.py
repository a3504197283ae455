"""A tensor network applied to rows of x, in numpy."""

from collections.abc import Sequence
from math import prod

import numpy as np
import opt_einsum
from numpy.typing import NDArray

from qtnc.tensor.network import TensorNetwork, X
from qtnc.tensor.order import Path, steps

ROWS = ""
"""Label of the rows' axis; no index of a network is called so."""


def contract(
    network: TensorNetwork, path: Path, cores: Sequence[NDArray[np.float64]], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rows ``x`` (rows, M) to (rows, N) along a path."""
    rows, modes = len(x), network.sizes(network.inputs[X])
    padded = np.zeros((rows, prod(modes)))
    padded[:, : x.shape[1]] = x
    values = [padded.reshape(rows, *modes), *cores]
    labels: list[tuple[str, ...]] = [(ROWS, *network.inputs[X]), *network.inputs[1:]]
    for step in steps(network, path):
        labels.append(((ROWS,) if step.out_rows else ()) + step.out_indices)
        operands = values[step.left], labels[step.left], values[step.right], labels[step.right]
        values.append(opt_einsum.contract(*operands, labels[-1]))
    y = opt_einsum.contract(values[-1], labels[-1], (ROWS, *network.output))
    return np.ascontiguousarray(y.reshape(rows, -1)[:, : network.features[1]])
