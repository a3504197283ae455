"""The emitted text itself, as files a person has read."""

import numpy as np
import onnx_ir as ir
import pytest
from qtnc.passes.matmul_to_circuit import MatmulToCircuit

from qtnc.backends.torch.emit import emit_torch
from qtnc.quantum.gates import ANGLES
from qtnc.quantum.layout import layers
from qtnc.rewrite.decision import Decision
from qtnc.structures.circuit import Circuits
from qtnc.structures.mpo import Mpo
from qtnc.tensor.network import TensorNetwork

WIDTH = 8


def weights(build, *shapes):
    return [build.initialiser(name, np.zeros(shape, np.float32)) for name, shape in shapes]


def mlp_with_network(build):
    """Two residual blocks; the second has a tensor network for a layer."""
    x = build.value("hidden", ["batch", "sequence", WIDTH])
    nodes = []
    value = x
    for k in range(2):
        path = f"layers.{k}"
        scale, bias, down = weights(
            build,
            (f"{path}.norm.weight", (WIDTH,)),
            (f"{path}.norm.bias", (WIDTH,)),
            (f"val_{k + 3}", (12, WIDTH)),
        )
        normed = build.node("LayerNormalization", [value, scale, bias], f"layer_norm_{k}", f"{path}.norm", epsilon=1e-5)
        if k == 0:
            (up,) = weights(build, ("val_2", (WIDTH, 12)))
            raised = build.node("MatMul", [normed.outputs[0], up], "linear", f"{path}.mlp.up")
        else:
            net = TensorNetwork(
                (("m0", "m1"), ("m0", "n0", "r"), ("r", "m1", "n1")),
                ("n0", "n1"),
                {"m0": 2, "m1": 4, "n0": 3, "n1": 4, "r": 2},
                (WIDTH, 12),
            )
            cores = weights(build, *((f"{path}.mlp.up.core_{c}", s) for c, s in enumerate(net.core_shapes)))
            raised = build.network(normed.outputs[0], cores, net, ((0, 1), (3, 2)), "network", f"{path}.mlp.up")
        bent = build.node("Gelu", [raised.outputs[0]], f"gelu_{k}", f"{path}.mlp")
        lowered = build.node("MatMul", [bent.outputs[0], down], f"linear_{k + 4}", f"{path}.mlp.down")
        added = build.node("Add", [value, lowered.outputs[0]], f"add_{k}", path)
        nodes += [normed, raised, bent, lowered, added]
        value = added.outputs[0]
    return build.model([x], nodes, {value.name: ["batch", "sequence", WIDTH]})


def mlp_with_circuit(build):
    """Two residual blocks; the pass makes circuits around an operator of one layer of each, in the same layout."""
    x = build.value("hidden", ["batch", "sequence", WIDTH])
    nodes = []
    value = x
    for k in range(2):
        path = f"layers.{k}"
        scale, bias, up, down, offset = weights(
            build,
            (f"{path}.norm.weight", (WIDTH,)),
            (f"{path}.norm.bias", (WIDTH,)),
            (f"val_{k + 3}", (WIDTH, 12)),
            (f"{path}.mlp.down.weight", (WIDTH, 12)),
            (f"{path}.mlp.down.bias", (WIDTH,)),
        )
        normed = build.node("LayerNormalization", [value, scale, bias], f"layer_norm_{k}", f"{path}.norm", epsilon=1e-5)
        raised = build.node("MatMul", [normed.outputs[0], up], f"linear_{k}", f"{path}.mlp.up")
        bent = build.node("Gelu", [raised.outputs[0]], f"gelu_{k}", f"{path}.mlp")
        lowered = build.node("Gemm", [bent.outputs[0], down, offset], f"linear_{k + 4}", f"{path}.mlp.down", transB=1)
        added = build.node("Add", [value, lowered.outputs[0]], f"add_{k}", path)
        for node, width in ((normed, WIDTH), (raised, 12), (bent, 12), (lowered, WIDTH), (added, WIDTH)):
            node.outputs[0].shape = ir.Shape(["batch", "sequence", width])
            node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
        nodes += [normed, raised, bent, lowered, added]
        value = added.outputs[0]
    model = build.model([x], nodes, {value.name: ["batch", "sequence", WIDTH]})
    wide, narrow = (4, 4), (2, 4)
    decided = [("layers.0.mlp.up", (wide, narrow)), ("layers.1.mlp.up", (wide, narrow))]
    decided += [("layers.1.mlp.down", (wide, narrow[::-1]))]
    return MatmulToCircuit(tuple(Decision(layer, circuits(sites)) for layer, sites in decided)).run(model).model


def circuits(sites):
    """Two layers of gates on each side of an operator, all angles zero."""
    first, last = (
        layers("cross", [k for k, site in enumerate(sites) for _ in range(site[axis].bit_length() - 1)], 2)
        for axis in (0, 1)
    )
    angles = [np.zeros((sum(map(len, side)), ANGLES)) for side in (first, last)]
    inner = Mpo(sites=sites, bonds=(2,))
    return Circuits(depth=2, layout="cross", inner=inner, sides=(first, last), angles=(angles[0], angles[1]))


def shapes_and_outputs(build):
    """Shape arithmetic, a mask, a tied table and two outputs."""
    ids = build.value("ids", ["batch", "sequence"], ir.DataType.INT64)
    (table,) = weights(build, ("embed.weight", (10, WIDTH)))
    heads = build.initialiser("val_1", np.array([2, 4]))
    lowest = build.initialiser("val_2", np.array(np.finfo(np.float32).min))
    zero, one = build.initialiser("val_3", np.array(0)), build.initialiser("val_4", np.array(1))
    embedded = build.node("Gather", [table, ids], "embedding", "embed")
    shape = build.node("Shape", [ids], "val_5")
    target = build.node("Concat", [shape.outputs[0], heads], "val_6", axis=0)
    split = build.node("Reshape", [embedded.outputs[0], target.outputs[0]], "view", "attn")
    query = build.node("Transpose", [split.outputs[0]], "transpose", "attn", perm=[0, 2, 1, 3])
    key = build.node("Transpose", [split.outputs[0]], "transpose_1", "attn", perm=[0, 2, 3, 1])
    scores = build.node("MatMul", [query.outputs[0], key.outputs[0]], "matmul", "attn")
    length = build.node("Gather", [shape.outputs[0], one], "val_7", axis=0)
    steps = build.node("Range", [zero, length.outputs[0], one], "arange")
    column = build.node("Unsqueeze", [steps.outputs[0], build.initialiser("val_8", np.array([1]))], "unsqueeze")
    mask = build.node("LessOrEqual", [steps.outputs[0], column.outputs[0]], "le")
    masked = build.node("Where", [mask.outputs[0], scores.outputs[0], lowest], "where", "attn")
    weights_ = build.node("Softmax", [masked.outputs[0]], "weights", "attn", axis=-1)
    turned = build.node("Transpose", [table], "val_9", "head", perm=[1, 0])
    logits = build.node("MatMul", [embedded.outputs[0], turned.outputs[0]], "logits", "head")
    nodes = [
        embedded,
        shape,
        target,
        split,
        query,
        key,
        scores,
        length,
        steps,
        column,
        mask,
        masked,
        weights_,
        turned,
        logits,
    ]
    return build.model(
        [ids], nodes, {"logits": ["batch", "sequence", 10], "weights": ["batch", 2, "sequence", "sequence"]}
    )


@pytest.mark.parametrize("case", [mlp_with_network, mlp_with_circuit, shapes_and_outputs], ids=lambda f: f.__name__)
def test_text_is_as_agreed(build, golden, tmp_path, case):
    emit_torch(case(build), tmp_path)
    golden(f"torch/{case.__name__}/model.py", (tmp_path / "model.py").read_text())
