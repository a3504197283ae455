"""If, Loop and Scan in torch, beside onnxruntime: what is read from outside, what comes out, what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from qtnc.backends.torch.emit import emit_torch
from qtnc.errors import BackendError

Array = NDArray[Any]
Load = Callable[[Path], torch.nn.Module]

TOLERANCE = 1e-6
"""Of sums of four floats."""

BRANCHES = """
g (float[n, 4] x, bool c, bool d) => (float[n, 4] y, float[n, 4] z, float[n, 4] u)
<float[4] shift = {1.0, 2.0, 3.0, 4.0}>
{
    a = Mul(x, x)
    k = Add(a, shift)
    y, z = If (c) <
        then_branch = yes () => (float[n, 4] t, float[n, 4] s) {
            t = MatMul(a, w)
            s = If (d) <
                then_branch = inner () => (float[n, 4] i) { i = Add(t, shift) },
                else_branch = other () => (float[n, 4] o) { o = Sub(k, t) }
            >
        },
        else_branch = no () => (float[n, 4] t, float[n, 4] s) {
            h = Constant <value = float[4] {4.0, 3.0, 2.0, 1.0}> ()
            t = Mul(k, h)
            s = Identity(x)
        }
    >
    u = Add(k, y)
}
"""

LOOPS = """
g (float[n, 4] x, int64 times, bool go, float limit) => (float[n, 4] y, float last, float[m, n, 4] all)
{
    start = Constant <value = float {0.0}> ()
    y, last, all = Loop (times, go, x, start) <
        body = step (int64 k, bool going, float[n, 4] state, float sum) =>
            (bool on, float[n, 4] after, float more, float[n, 4] kept) {
            turned = MatMul(state, w)
            number = Cast <to = 1> (k)
            after = Add(turned, number)
            one = Constant <value = float {1.0}> ()
            more = Add(sum, one)
            on = Less(more, limit)
            kept = Mul(after, x)
        }
    >
}
"""

SCANS = """
g (float[n, 4] first, float count, float[m, n, 4] x, float[m, n] v) =>
    (float[n, 4] last, float total, float[m, n, 4] y, float[m, n] z)
{
    last, total, y, z = Scan (first, count, x, v) <
        num_scan_inputs = 2,
        body = step (float[n, 4] state, float sum, float[n, 4] item, float[n] weight) =>
            (float[n, 4] after, float more, float[n, 4] out, float[n] twice) {
            turned = MatMul(item, w)
            after = Add(turned, first)
            out = Sub(after, state)
            one = Constant <value = float {1.0}> ()
            more = Add(sum, one)
            twice = Add(weight, weight)
        }
    >
}
"""


def model(text: str, folder: Path) -> Path:
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> {text}')
    weight = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32) / 4
    proto.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, folder / "model.onnx")
    return folder / "model.onnx"


def check(path: Path, load: Load, *feeds: dict[str, Array]) -> None:
    out = path.parent / "torch"
    out.mkdir()
    emit_torch(ir.load(path), out)
    module = load(out)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for fed in feeds:
        with torch.no_grad():
            got = module(*map(torch.from_numpy, fed.values()))
        for expected, y in zip(session.run(None, fed), got, strict=True):
            assert (y.shape, y.numpy().dtype) == (expected.shape, expected.dtype)
            np.testing.assert_allclose(y.numpy(), expected, rtol=TOLERANCE, atol=TOLERANCE)


def floats(*shape: int) -> Array:
    return np.random.default_rng(list(shape)).standard_normal(shape).astype(np.float32)


def test_branches(load_emitted: Load, tmp_path: Path) -> None:
    flags = [(c, d, n) for c in (True, False) for d in (True, False) for n in (1, 3)]
    feeds = [{"x": floats(n, 4), "c": np.array(c), "d": np.array(d)} for c, d, n in flags]
    check(model(BRANCHES, tmp_path), load_emitted, *feeds)


@pytest.mark.parametrize(("times", "limit"), [(3, 100.0), (5, 2.0), (1, 0.0)])
def test_loops_end_by_count_or_by_condition(times: int, limit: float, load_emitted: Load, tmp_path: Path) -> None:
    fed = {"x": floats(2, 4), "times": np.array(times), "go": np.array(True), "limit": np.array(limit, np.float32)}
    check(model(LOOPS, tmp_path), load_emitted, fed)


def test_scans(load_emitted: Load, tmp_path: Path) -> None:
    feeds = [
        {"first": floats(n, 4), "count": np.array(0, np.float32), "x": floats(m, n, 4), "v": floats(m, n)}
        for m, n in ((5, 3), (1, 1))
    ]
    check(model(SCANS, tmp_path), load_emitted, *feeds)


def test_weights_of_bodies_train(load_emitted: Load, tmp_path: Path) -> None:
    out = tmp_path / "torch"
    out.mkdir()
    emit_torch(ir.load(model(SCANS, tmp_path)), out)
    module = load_emitted(out)
    last, *_ = module(*map(torch.from_numpy, (floats(3, 4), np.array(0, np.float32), floats(2, 3, 4), floats(2, 3))))
    last.sum().backward()
    (weight,) = module.parameters()
    assert weight.grad is not None
    assert float(weight.grad.abs().sum()) > 0.0


def test_a_scan_along_another_axis_is_refused(tmp_path: Path) -> None:
    text = SCANS.replace("num_scan_inputs = 2,", "num_scan_inputs = 2, scan_input_directions = [1, 1],")
    with pytest.raises(BackendError, match="Scan .*: it scans along another axis than the first, or backwards"):
        emit_torch(ir.load(model(text, tmp_path)), tmp_path)
