"""Round trips of graphs that nobody thought of."""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import onnx_ir as ir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qtnc.errors import ImportModelError
from qtnc.ir.text.printer import Printer, print_model
from qtnc.ir.text.reader import parse_model
from qtnc.ir.text.tensors import to_side_file

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WORDS = TEXTS.filter(bool) | st.sampled_from(
    [
        "a.b",
        "/layers.0/up/MatMul",
        "onnx::MatMul_1",
        'q"uote',
        "new\nline",
        "\0",
        "_",
        "weight",
        "as",
        "0",
        "-",
        "/",
        "//",
    ]
)
FLOATS = st.floats(width=32).map(lambda x: math.nan if math.isnan(x) else x)  # text has one NaN
TYPES = st.sampled_from(
    [
        None,
        ir.TensorType(ir.DataType.FLOAT),
        ir.TensorType(ir.DataType.INT4, denotation="IMAGE"),
        ir.SequenceType(ir.OptionalType(ir.TensorType(ir.DataType.BOOL))),
        ir.SparseTensorType(ir.DataType.DOUBLE),
    ]
)
DTYPES = st.sampled_from([d for d in ir.DataType if d not in (ir.DataType.UNDEFINED, ir.DataType.STRING)])
METADATA = st.dictionaries(
    TEXTS | st.just("pkg.torch.onnx.name_scopes"), TEXTS | st.just("['a', 'b.c', 'd']"), max_size=2
)


@st.composite
def tensors(draw: st.DrawFn, name: str) -> ir.TensorProtocol:
    dtype, shape = draw(DTYPES), draw(st.lists(st.integers(0, 3), max_size=3))
    array = np.random.default_rng(draw(st.integers(0, 9))).normal(size=shape) * draw(st.sampled_from([1, 100]))
    with np.errstate(all="ignore"):
        return ir.Tensor(np.asarray(abs(array)).astype(dtype.numpy()), dtype, name=name)


@st.composite
def shapes(draw: st.DrawFn) -> ir.Shape | None:
    return draw(st.none() | st.lists(st.integers(-1, 9) | TEXTS | st.none(), max_size=3).map(ir.Shape))


def described(draw: st.DrawFn, value: ir.Value) -> ir.Value:
    value.type = draw(TYPES)
    value.shape = draw(shapes()) if value.type else None
    value.metadata_props.update(draw(METADATA))
    value.doc_string = draw(TEXTS) or None
    return value


@st.composite
def attributes(draw: st.DrawFn, name: str, seen: list[ir.Value], depth: int, taken: set[str]) -> ir.Attr:
    kinds: dict[ir.AttributeType, Any] = {
        ir.AttributeType.INT: st.integers(-(2**63), 2**63 - 1),
        ir.AttributeType.FLOAT: FLOATS,
        ir.AttributeType.STRING: TEXTS,
        ir.AttributeType.INTS: st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
        ir.AttributeType.FLOATS: st.lists(FLOATS, max_size=3),
        ir.AttributeType.STRINGS: st.lists(TEXTS, max_size=3),
        ir.AttributeType.TENSOR: tensors(draw(TEXTS)),
        ir.AttributeType.TYPE_PROTO: st.builds(ir.TypeAndShape, TYPES.filter(bool), shapes()),
    }
    if depth:
        kinds[ir.AttributeType.GRAPH] = graphs(seen, depth - 1, taken)
    kind = draw(st.sampled_from(list(kinds)))
    return ir.Attr(name, kind, draw(kinds[kind]), doc_string=draw(TEXTS) or None)


@st.composite
def graphs(draw: st.DrawFn, outer: list[ir.Value], depth: int, taken: set[str]) -> ir.Graph:
    def fresh() -> str:
        name = draw(WORDS)
        while name in taken:
            name += "'"
        taken.add(name)
        return name

    inputs = [described(draw, ir.Value(name=fresh())) for _ in range(draw(st.integers(0, 2)))]
    weights = []
    for _ in range(draw(st.integers(0, 2))):
        tensor = draw(tensors(fresh()))
        value = described(draw, ir.Value(name=tensor.name, const_value=tensor))
        value.type, value.shape = ir.TensorType(tensor.dtype), ir.Shape(tensor.shape)
        weights.append(value)
    own = [*inputs, *weights]
    nodes = []
    for _ in range(draw(st.integers(1, 3))):
        seen = [*outer, *own]
        outputs = [described(draw, ir.Value(name=fresh())) for _ in range(draw(st.integers(1, 2)))]
        if draw(st.booleans()):
            outputs.insert(0, ir.Value(name=""))
        names = draw(st.lists(WORDS, max_size=2, unique=True))
        nodes.append(
            ir.Node(
                draw(st.sampled_from(["", "d", "a.b", "a b", "1"])),
                draw(WORDS),
                draw(st.lists(st.none() | st.sampled_from(seen), max_size=3)) if seen else [],
                [draw(attributes(name, seen, depth, taken)) for name in names],
                outputs=outputs,
                overload=draw(TEXTS),
                name=draw(TEXTS | WORDS),
                doc_string=draw(TEXTS) or None,
                metadata_props=draw(METADATA),
            )
        )
        own += [value for value in outputs if value.name]
    results = draw(st.lists(st.sampled_from(own), min_size=1, max_size=2, unique=True))
    return ir.Graph(inputs, results, nodes=nodes, initializers=weights, name=draw(TEXTS), metadata_props=draw(METADATA))


@st.composite
def models(draw: st.DrawFn) -> ir.Model:
    graph = draw(graphs([], 2, set()))
    graph.opset_imports.update({"": 18, draw(TEXTS): 3})
    graph.opset_imports[""] = 18
    return ir.Model(graph, ir_version=10, producer_name=draw(TEXTS) or None, metadata_props=draw(METADATA))


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(models())
def test_round_trip(file_of: Callable[[ir.Model], bytes], model: ir.Model) -> None:
    printer = Printer(model, metadata=True)
    text = printer.text()
    weights = {key: to_side_file(tensor) for key, tensor in printer.tensors.items()}
    again = parse_model(text, weights)
    assert file_of(again) == file_of(model)
    assert print_model(again, metadata=True) == text
    short = print_model(model)
    assert print_model(parse_model(short, weights)) == short
    assert all(char.isprintable() or char == "\n" for char in text)


VALID = """qir 1
model opset {"": 18} ir 10
graph g(%x: f32[n, 4]) -> (%y: f32[n, 4]) {
  weight %w: f32[4, 4] = normal(0)
  %y, _ = d.Op["o"](%x, _, %w) {a = [1, 2], b = tensor i4[2] = [1, -1], c = graph () -> (%q) {
    %q = Neg(%x)
  }} : f32[n, 4], _ @"a.b" as "n" meta {"k": "v"}
}
"""


@settings(deadline=None, max_examples=150)
@given(
    st.integers(0, len(VALID)),
    st.integers(0, 6),
    TEXTS | st.sampled_from(['"', "{", "%", "#0", "1e9", "normal", "=", "]"]),
)
def test_damaged_text_is_refused_in_words(place: int, cut: int, put: str) -> None:
    text = VALID[:place] + put + VALID[place + cut :]
    with suppress(ImportModelError):
        parse_model(text)
