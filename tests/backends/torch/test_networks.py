"""Tensor-network nodes against numpy's einsum."""

import numpy as np
import onnx_ir as ir
import pytest
import torch

from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import choose_path, x_first

TOLERANCE = 1e-5


def net(equation, features=None, **sizes):
    left, right = equation.split("->")
    inputs = tuple(tuple(p.split()) for p in left.split(","))
    output = tuple(right.split())
    names = dict.fromkeys(i for p in inputs for i in p)
    full = {n: sizes[n] for n in names}
    features = features or (
        int(np.prod([full[i] for i in inputs[0]])),
        int(np.prod([full[i] for i in output])),
    )
    return TensorNetwork(inputs, output, full, features)


NETWORKS = {
    "matrix": net("m, m n -> n", m=6, n=4),
    "low-rank": net("m, m r, r n -> n", m=6, n=4, r=2),
    "two-sites": net("m0 m1, m0 n0 r, r m1 n1 -> n0 n1", m0=2, m1=3, n0=4, n1=2, r=3),
    "three-sites": net(
        "m0 m1 m2, m0 n0 r, r m1 n1 s, s m2 n2 -> n0 n1 n2", m0=2, m1=3, m2=2, n0=2, n1=2, n2=3, r=3, s=2
    ),
    "padded": net("m0 m1, m0 n0 r, r m1 n1 -> n0 n1", (5, 7), m0=2, m1=3, n0=4, n1=2, r=3),
    "block": net("b m, b m n -> b n", b=3, m=2, n=4),
    "kept-bond": net("b m, b m r, b r n -> b n", b=3, m=2, n=4, r=2),
    "hyper": net("m, m h, h n, h k -> n k", m=4, h=3, n=2, k=2),
    "no-cores": net("a b -> b a", a=2, b=3),
}


def dense(network, x, cores):
    letters = {i: chr(97 + k) for k, i in enumerate(network.size_dict)}
    terms = ["".join(letters[i] for i in part) for part in network.inputs]
    terms[0] = "..." + terms[0]
    modes = network.sizes(network.inputs[0])
    x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, int(np.prod(modes)) - network.features[0])])
    equation = ",".join(terms) + "->..." + "".join(letters[i] for i in network.output)
    y = np.einsum(equation, x.reshape(*x.shape[:-1], *modes), *cores)
    return y.reshape(*x.shape[:-1], -1)[..., : network.features[1]]


def made(build, network, path, rng):
    arrays = [rng.standard_normal(s).astype(np.float32) for s in network.core_shapes]
    cores = [build.initialiser(f"layers.0.up.core_{k}", a) for k, a in enumerate(arrays)]
    x = build.value("x", ["batch", "sequence", network.features[0]])
    node = build.network(x, cores, network, path, "y", "layers.0.up")
    return build.model([x], [node], {"y": ["batch", "sequence", network.features[1]]}), arrays


@pytest.mark.parametrize("rows", [1, 512])
@pytest.mark.parametrize("name", NETWORKS)
def test_contracts_along_its_path(build, emit, name, rows):
    network = NETWORKS[name]
    rng = np.random.default_rng(3)
    model, cores = made(build, network, choose_path(network, rows), rng)
    module = emit(model)
    x = rng.standard_normal((2, 3, network.features[0])).astype(np.float32)
    y = module(torch.from_numpy(x))
    expected = dense(network, x, cores)
    assert y.shape == expected.shape
    assert np.linalg.norm(y.detach().numpy() - expected) <= TOLERANCE * np.linalg.norm(expected)


@pytest.mark.parametrize("name", ["two-sites", "padded", "hyper"])
def test_trains_and_exports(build, emit, name):
    network = NETWORKS[name]
    model, cores = made(build, network, x_first(network), np.random.default_rng(3))
    module = emit(model)
    x = torch.randn(2, 3, network.features[0])
    module(x).square().sum().backward()
    assert len(list(module.parameters())) == len(cores)
    assert all(p.grad.abs().sum() > 0 for p in module.parameters())
    dims = {0: torch.export.Dim("batch", min=2, max=8), 1: torch.export.Dim("sequence", min=2, max=8)}
    program = torch.export.export(module, (x,), dynamic_shapes=(dims,)).module()
    other = torch.randn(4, 5, network.features[0])
    assert torch.allclose(program(other), module(other), atol=1e-5)


def test_says_what_it_is(build, emit, tmp_path):
    network = NETWORKS["two-sites"]
    model, _ = made(build, network, x_first(network), np.random.default_rng(3))
    emit(model)
    text = (tmp_path / "model.py").read_text()
    assert "# Mpo layers.0.up: 2x3 -> 4x2, 2 cores with bonds 3, 42 parameters" in text
    assert 'torch.einsum("...ab,acd->...bcd", x.unflatten(-1, (2, 3)), self.layers_0_up_core_0)' in text


def test_does_not_change_the_model(build, emit):
    network = NETWORKS["padded"]
    model, _ = made(build, network, x_first(network), np.random.default_rng(3))
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    emit(model)
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before
