"""Spectra beside numpy's SVD."""

from pathlib import Path
from types import ModuleType

import numpy as np
import onnx_ir as ir
import pytest

from qtnc.ir.layers import find_layers
from qtnc.look.spectra import ERRORS, Spectrum, spectrum_of
from qtnc.tensor.entropy import operator_entropy


def spectrum(toys: ModuleType, weight: np.ndarray) -> Spectrum:
    rows, columns = weight.shape
    nodes = [toys.helper.make_node("MatMul", ["x", "w"], ["y"], name="up")]
    tensor = toys.numpy_helper.from_array(weight, "w")
    proto = toys.model(nodes, [toys.value("x", ["batch", rows])], [toys.value("y", ["batch", columns])], [tensor])
    (layer,) = find_layers(ir.from_proto(proto))
    return spectrum_of(layer)


@pytest.mark.parametrize("shape", [(12, 20), (20, 12), (16, 16), (1, 9)])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_beside_numpy(shape: tuple[int, int], scale: float, toys: ModuleType) -> None:
    weight = (np.random.default_rng(0).standard_normal(shape) * scale).astype(np.float32)
    found = spectrum(toys, weight)
    exact = weight.astype(np.float64) / scale
    values = np.linalg.svd(exact, compute_uv=False)
    assert found.stable_rank == pytest.approx((values**2).sum() / values[0] ** 2, abs=1e-6)
    assert found.entropy == pytest.approx(operator_entropy(exact), abs=1e-6)
    assert found.ranks is not None
    left, singular, right = np.linalg.svd(exact, full_matrices=False)
    for rank, error in zip(found.ranks, ERRORS, strict=True):
        off = [np.linalg.norm(exact - (left[:, :r] * singular[:r]) @ right[:r]) for r in (rank, rank - 1)]
        assert off[0] <= error * np.linalg.norm(exact) < off[1]


def test_of_what_has_structure(toys: ModuleType) -> None:
    rng = np.random.default_rng(1)
    thin = (rng.standard_normal((16, 1)) @ rng.standard_normal((1, 16))).astype(np.float32)
    found = spectrum(toys, thin)
    assert found.ranks == (1, 1, 1)
    assert found.stable_rank == pytest.approx(1.0, abs=1e-6)
    product = np.kron(rng.standard_normal((4, 4)), rng.standard_normal((4, 4))).astype(np.float32)
    assert spectrum(toys, product).entropy == pytest.approx(0.0, abs=1e-5)  # float32 leaves a second term of 1e-14
    zero = spectrum(toys, np.zeros((4, 4), np.float32))
    assert (zero.stable_rank, zero.ranks, zero.entropy) == (0.0, (0, 0, 0), 0.0)


def test_of_what_has_none(toys: ModuleType, tmp_path: Path) -> None:
    weight = np.ones((4, 4), np.float32)
    weight[0, 0] = np.nan
    assert spectrum(toys, weight) == Spectrum()
    assert spectrum(toys, weight).to_json() == {
        "stable_rank": None,
        "ranks": {"10%": None, "20%": None, "30%": None},
        "entropy": None,
    }
