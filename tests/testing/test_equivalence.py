"""Two models that compute the same, and every way in which they may not."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from qtnc.testing import assert_equivalent


def scaled(toys: Any, factor: float) -> onnx.ModelProto:
    proto = toys.mlp()
    weight = proto.graph.initializer[0]
    array = onnx.numpy_helper.to_array(weight) * np.float32(factor)
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    return proto


def test_files_protos_and_models_in_memory(toys: Any, tmp_path: Path) -> None:
    path = toys.write(toys.mlp(), tmp_path / "a.onnx")
    for other in (path, str(path), toys.mlp(), ir.from_proto(toys.mlp())):
        assert_equivalent(path, other)
        assert_equivalent(other, path, {"x": np.ones((4, 16), np.float32)})


def test_the_distance_is_that_of_numpy(toys: Any) -> None:
    with pytest.raises(AssertionError, match=r"`y` differs by 0.01 on seed 0 \(allowed 1e-05\)"):
        assert_equivalent(toys.mlp(), scaled(toys, 1.01))
    assert_equivalent(toys.mlp(), scaled(toys, 1.01), rtol=0.0101)


def test_given_data_count_too(toys: Any) -> None:
    """A model that differs only far from where random data is."""
    clipped = toys.mlp()
    clipped.graph.node.insert(0, helper.make_node("Clip", ["x", "", "most"], ["x_"]))
    clipped.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(50), "most"))
    clipped.graph.node[1].input[0] = "x_"
    assert_equivalent(toys.mlp(), clipped)
    near, far = {"x": np.ones((2, 16), np.float32)}, {"x": np.full((2, 16), 100, np.float32)}
    assert_equivalent(toys.mlp(), clipped, near, seeds=())
    with pytest.raises(AssertionError, match="`y` differs by 0.5 on the data"):
        assert_equivalent(toys.mlp(), clipped, far)
    with pytest.raises(AssertionError, match="`y` differs by 0.5 on feed 1"):
        assert_equivalent(toys.mlp(), clipped, [near, far], seeds=())


def test_ends_must_be_the_same(toys: Any) -> None:
    other = toys.mlp()
    other.graph.output[0].name = other.graph.node[-1].output[0] = "z"
    with pytest.raises(AssertionError, match=r"the outputs were \[\('y', 'float'\)\], and are \[\('z', 'float'\)\]"):
        assert_equivalent(toys.mlp(), other)


def test_what_is_not_valid_or_does_not_run_is_said(toys: Any) -> None:
    broken = toys.mlp()
    broken.graph.node[1].op_type = "Nonsense"
    with pytest.raises(AssertionError, match="the model after is not valid ONNX: No Op registered for Nonsense"):
        assert_equivalent(toys.mlp(), broken)
    with pytest.raises(AssertionError, match="a model does not run on the data"):
        assert_equivalent(toys.mlp(), toys.mlp(), {"x": np.ones((4, 3), np.float32)}, seeds=())
    with pytest.raises(ValueError, match="give data, or a seed"):
        assert_equivalent(toys.mlp(), toys.mlp(), seeds=())


def test_integers_are_in_range(toys: Any) -> None:
    assert_equivalent(toys.reader(), toys.reader(), binds={"batch": 3, "seq": 4})
    counts = toys.model(
        [helper.make_node("Add", ["n", "n"], ["m"])],
        [toys.value("n", ["batch"], toys.INT64)],
        [toys.value("m", ["batch"], toys.INT64)],
    )
    with pytest.raises(AssertionError, match="the range of the integer input `n` cannot be told .*: give `limits`, or"):
        assert_equivalent(counts, counts)
    assert_equivalent(counts, counts, limits={"n": 5})
