"""Inputs made up from a seed are such that the model takes them; where that cannot be known, the way out is said."""

from types import ModuleType

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto, TensorProto, helper, numpy_helper

from qtnc.errors import DataError
from qtnc.verify.seeded import LENGTH, SAMPLES, seeded_feed

node = helper.make_node


def read(proto: onnx.ModelProto) -> ir.Model:
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def constant(name: str, *numbers: int) -> TensorProto:
    return numpy_helper.from_array(np.array(numbers), name)


def number(name: str, value: float, dtype: type[np.generic] = np.int64) -> TensorProto:
    return numpy_helper.from_array(np.array(value, dtype), name)


@pytest.mark.parametrize("vocabulary", [1, 2, 11])
def test_ids_stay_in_their_table(vocabulary: int, toys: ModuleType) -> None:
    proto = toys.reader(vocabulary)
    feed = seeded_feed(read(proto), {"seq": 200})
    assert set(feed) == {"ids"}
    assert feed["ids"].dtype == np.int64
    assert set(np.unique(feed["ids"])) == set(range(vocabulary))
    (y,) = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, feed)
    assert np.isfinite(y).all()


HANDED_ON = {
    "cast": [node("Cast", ["ids"], ["k"], to=TensorProto.INT64)],
    "unsqueeze": [node("Unsqueeze", ["ids", "one"], ["k"])],
    "reshape": [node("Reshape", ["ids", "flat"], ["k"])],
    "flatten": [node("Flatten", ["ids"], ["k"])],
    "transpose": [node("Transpose", ["ids"], ["k"])],
    "expand": [node("Expand", ["ids", "wide"], ["k"])],
    "chain": [
        node("Cast", ["ids"], ["a"], to=TensorProto.INT64),
        node("Unsqueeze", ["a", "one"], ["b"]),
        node("Identity", ["b"], ["c"]),
        node("Squeeze", ["c", "one"], ["k"]),
    ],
}


def looked_up(toys: ModuleType, nodes: list[NodeProto], dtype: int) -> onnx.ModelProto:
    """Ids that some nodes hand on to a table of 5 rows."""
    weights = [toys.weight("table", 5, 3), constant("one", 1), constant("flat", -1), constant("wide", 2, 1, 1)]
    inputs, outputs = [toys.value("ids", ["batch", "seq"], dtype)], [toys.value("y", None)]
    return toys.model([*nodes, node("Gather", ["table", "k"], ["y"])], inputs, outputs, weights)


@pytest.mark.parametrize("way", HANDED_ON)
def test_a_table_is_found_behind_what_hands_ids_on(way: str, toys: ModuleType) -> None:
    dtype = TensorProto.INT32 if way == "cast" else TensorProto.INT64
    ids = seeded_feed(read(looked_up(toys, HANDED_ON[way], dtype)), {"seq": 100})["ids"]
    assert ids.dtype == (np.int32 if way == "cast" else np.int64)
    assert set(np.unique(ids)) == set(range(5))


def test_the_smallest_table_and_the_axis_count(toys: ModuleType) -> None:
    nodes = [
        node("Gather", ["wide", "ids"], ["a"], axis=1),
        node("Gather", ["tall", "ids"], ["b"], axis=-2),
        node("Gather", ["ids", "first"], ["c"]),  # reads ids as a table: says nothing of their range
    ]
    weights = [toys.weight("wide", 3, 7), toys.weight("tall", 9, 2), constant("first", 0)]
    outputs = [toys.value(name, None, toys.INT64 if name == "c" else toys.FLOAT) for name in "abc"]
    model = read(toys.model(nodes, [toys.value("ids", ["batch", "seq"], toys.INT64)], outputs, weights))
    assert set(np.unique(seeded_feed(model, {"seq": 100})["ids"])) == set(range(7))


MASKS = {
    "made boolean": [node("Cast", ["mask"], ["y"], to=TensorProto.BOOL)],
    "compared with 0": [node("Greater", ["mask", "zero"], ["y"])],
    "compared with 1": [node("Equal", ["one", "mask"], ["y"])],
    "taken from 1": [node("Sub", ["one", "mask"], ["y"])],
    "cast, then taken from 1.0": [
        node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT),
        node("Sub", ["one.0", "m"], ["y"]),
    ],
    "compared with a Constant": [
        node("Constant", [], ["c"], value=number("c", 0)),
        node("Unsqueeze", ["mask", "axis"], ["m"]),
        node("Equal", ["m", "c"], ["y"]),
    ],
}


def masked(toys: ModuleType, nodes: list[NodeProto]) -> ir.Model:
    out = {"Sub": toys.FLOAT if len(nodes) > 1 else toys.INT64}.get(nodes[-1].op_type, toys.BOOL)
    weights = [
        number("zero", 0),
        number("one", 1),
        number("one.0", 1, np.float32),
        number("two", 2),
        constant("axis", 1),
    ]
    inputs = [toys.value("mask", ["batch", "seq"], toys.INT64)]
    return read(toys.model(nodes, inputs, [toys.value("y", None, out)], weights))


@pytest.mark.parametrize("way", MASKS)
def test_masks_are_zeros_and_ones_and_let_the_first_through(way: str, toys: ModuleType) -> None:
    mask = seeded_feed(masked(toys, MASKS[way]), {"seq": 50})["mask"]
    assert mask.dtype == np.int64
    assert set(np.unique(mask)) == {0, 1}
    assert (mask[:, 0] == 1).all()


@pytest.mark.parametrize("last", [node("Equal", ["mask", "two"], ["y"]), node("Sub", ["mask", "one"], ["y"])])
def test_what_is_no_mask_is_no_mask(last: NodeProto, toys: ModuleType) -> None:
    with pytest.raises(DataError, match="range of the integer input `mask`"):
        seeded_feed(masked(toys, [last]), {})


def test_flags_and_boolean_masks(toys: ModuleType) -> None:
    inputs = [toys.value("go", [], toys.BOOL), toys.value("each", ["batch"], toys.BOOL)]
    inputs.append(toys.value("mask", ["batch", "seq"], toys.BOOL))
    feed = seeded_feed(read(toys.model([], inputs, [inputs[0]])), {"seq": 50})
    assert {name: array.dtype for name, array in feed.items()} == dict.fromkeys(["go", "each", "mask"], np.bool_)
    assert feed["go"].shape == ()
    assert feed["go"]
    assert feed["each"].all()
    assert 0 < feed["mask"].mean() < 1


@pytest.mark.parametrize(("dtype", "low", "high"), [("UINT8", 0, 255), ("INT8", -128, 127)])
def test_bytes_are_images(dtype: str, low: int, high: int, toys: ModuleType) -> None:
    image = toys.value("image", ["batch", 3, 32, 32], getattr(TensorProto, dtype))
    found = seeded_feed(read(toys.model([], [image], [image])), {})["image"]
    assert found.shape == (SAMPLES, 3, 32, 32)
    # 12,288 draws miss a value of 256 with a chance of 1e-21.
    assert (found.min(), found.max()) == (low, high)
    assert found.dtype == np.dtype(dtype.lower())


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_floats_are_standard_normal(dtype: int, toys: ModuleType) -> None:
    x = toys.value("x", [100, 100], dtype)
    found = seeded_feed(read(toys.model([], [x], [x])), {})["x"]
    assert found.dtype == helper.tensor_dtype_to_np_dtype(dtype)
    # Mean and deviation of 10,000 draws are off by 0.01: 0.05 is five of that.
    assert abs(float(found.astype(np.float64).mean())) < 0.05
    assert float(found.astype(np.float64).std()) == pytest.approx(1.0, abs=0.05)


@given(bound=st.integers(1, 40), other=st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_a_symbol_has_one_size(toys: ModuleType, bound: int, other: int) -> None:
    shapes = {"a": ["batch", "seq", 3], "b": ["seq", "batch"], "c": [2, "batch"], "d": ["free", "loose"]}
    inputs = [toys.value(name, shape) for name, shape in shapes.items()]
    model = read(toys.model([], inputs, [inputs[0]]))
    feed = seeded_feed(model, {"batch": bound, "seq": other, "unused": 5})
    # More than one sample, whatever batch the plan assumes; a symbol's first place settles its size.
    batch = max(bound, SAMPLES)
    assert {name: array.shape for name, array in feed.items()} == {
        "a": (batch, other, 3),
        "b": (other, batch),
        "c": (2, batch),
        "d": (SAMPLES, LENGTH),
    }


def test_axes_without_a_name(toys: ModuleType) -> None:
    x = toys.value("x", [None, None, 3])
    assert seeded_feed(read(toys.model([], [x], [x])), {})["x"].shape == (SAMPLES, LENGTH, 3)


def test_weights_among_the_inputs_are_left_alone(toys: ModuleType) -> None:
    proto = toys.mlp()
    proto.graph.input.append(toys.value("up.weight", [16, 24]))
    assert set(seeded_feed(read(proto), {})) == {"x"}


@pytest.mark.parametrize("kind", ["no shape", "no range", "a table of no rows", "a name that acts on terminals"])
def test_what_cannot_be_made_up_is_told_with_the_way_out(kind: str, toys: ModuleType) -> None:
    name = "in\x1b[31m" if "terminals" in kind else "in"
    value = toys.value(name, None if kind == "no shape" else ["batch", 2], toys.INT64)
    nodes = [node("Gather", ["table", name], ["y"])] if "table" in kind else [node("Add", [name, name], ["y"])]
    model = ir.from_proto(toys.model(nodes, [value], [toys.value("y", None)], [toys.weight("table", 0, 3)]))
    with pytest.raises(DataError) as caught:
        seeded_feed(model, {})
    said = str(caught.value)
    assert "input `in" in said
    assert "has no known shape" in said if kind == "no shape" else "range of the integer input" in said
    assert said.endswith("name data to verify on (verify ... on DATA)")
    assert said.isprintable()


def test_a_seed_is_a_feed(toys: ModuleType) -> None:
    model = read(toys.mlp())
    first, again, other = (seeded_feed(model, {}, seed)["x"] for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(seeded_feed(model, {})["x"], seeded_feed(read(toys.mlp()), {}, 0)["x"])
