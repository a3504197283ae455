"""Networks applied to rows, against einsum over all indices at once and against the matrix of a chain."""

import numpy as np
import pytest

from qtnc.tensor.contract import contract
from qtnc.tensor.mpo import dense
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import choose_path, x_first

CLOSE = 1e-12


def test_a_chain_is_its_matrix():
    rng = np.random.default_rng(0)
    network = TensorNetwork.parse("m0 m1, m0 n0 r, r m1 n1 -> n0 n1", (3, 4, 2, 3, 5), (12, 10))
    cores = [rng.standard_normal(shape) for shape in network.core_shapes]
    x = rng.standard_normal((6, 12))
    matrix = dense((cores[0][None], cores[1][..., None]), (12, 10))
    for path in (x_first(network), choose_path(network, 1), choose_path(network, 1000)):
        assert np.allclose(contract(network, path, cores, x), x @ matrix, atol=CLOSE)


@pytest.mark.parametrize(("features", "given"), [((7, 9), 7), ((8, 10), 8), ((8, 3), 5)])
def test_x_is_padded_and_y_is_cut(features, given):
    rng = np.random.default_rng(1)
    network = TensorNetwork.parse("m, m r, r n -> n", (8, 3, 10), features)
    a, b = (rng.standard_normal(shape) for shape in network.core_shapes)
    x = rng.standard_normal((4, given))
    expected = (x @ (a @ b)[:given])[:, : features[1]]
    assert np.allclose(contract(network, choose_path(network, 4), (a, b), x), expected, atol=CLOSE)


def test_without_cores_axes_are_turned():
    network = TensorNetwork.parse("a b -> b a", (2, 3), (6, 6))
    x = np.arange(12.0).reshape(2, 6)
    expected = x.reshape(2, 2, 3).transpose(0, 2, 1).reshape(2, 6)
    assert np.array_equal(contract(network, (), (), x), expected)


def test_cores_apart_from_each_other():
    rng = np.random.default_rng(2)
    network = TensorNetwork.parse("a b, a c, b d, e -> d c e", (2, 3, 4, 5, 2), (6, 40))
    cores = [rng.standard_normal(shape) for shape in network.core_shapes]
    x = rng.standard_normal((3, 6))
    expected = np.einsum("zab,ac,bd,e->zdce", x.reshape(3, 2, 3), *cores).reshape(3, 40)
    for rows in (1, 500):
        assert np.allclose(contract(network, choose_path(network, rows), cores, x), expected, atol=CLOSE)
