"""Conditions on shapes, types and places, against the same said in Python; and what is nearest where none is met."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtnc.errors import SpecError
from qtnc.ir.form import Form, WeightForm
from qtnc.ir.names import block_of, unique
from qtnc.source import Source
from qtnc.spec.facts import DTYPES
from qtnc.spec.program import Spec
from qtnc.spec.read import read_source
from qtnc.spec.select import select_layers

Read = Callable[[str], Spec]

F16, F32, F64, F8 = ir.DataType.FLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT8E5M2


@dataclass(frozen=True)
class Layer:
    name: str
    op: str
    shape: tuple[int, ...]
    dtype: ir.DataType = F32
    turned: bool = False

    @property
    def elements(self) -> int:
        elements = 1
        for side in self.shape:
            elements *= side
        return elements

    @property
    def bytes(self) -> int:
        return int(self.elements * self.dtype.itemsize)

    @property
    def form(self) -> Form | str:
        axes = tuple(range(len(self.shape)))
        return Form(axes, axes, WeightForm(axes)) if self.op in ("MatMul", "Gemm") else "no product"

    @property
    def matrix_shape(self) -> tuple[int, int]:
        *_, rows, columns = self.shape
        return (columns, rows) if self.turned else (rows, columns)


LAYERS = [
    Layer("embed", "Gather", (100, 48), F16),
    Layer("layers.0.q", "MatMul", (48, 48)),
    Layer("layers.0.up", "MatMul", (48, 192)),
    Layer("layers.0.down", "Gemm", (48, 192), turned=True),
    Layer("layers.1.q", "MatMul", (48, 48), F64),
    Layer("layers.1.up", "MatMul", (48, 192), ir.DataType.BFLOAT16),
    Layer("layers.10.conv2", "Conv", (8, 3, 5, 5), F8),
    Layer("head:2", "MatMul", (2, 48, 100)),
    Layer("empty", "MatMul", (0, 7)),
]
BLOCKS = [None, 0, 0, 0, 1, 1, 10, None, None]


def rows(x: Layer) -> int | None:
    return x.matrix_shape[0] if x.op in ("MatMul", "Gemm") else None


def block(x: Layer) -> int | None:
    return BLOCKS[LAYERS.index(x)]


def chosen(read: Read, condition: str) -> list[str]:
    spec = read(f"qtn 1\nselect it = * where {condition}\nemit torch")
    try:
        return list(select_layers(spec, LAYERS)["it"])
    except SpecError:
        return []


@pytest.mark.parametrize(
    ("condition", "reference"),
    [
        ("weight.bytes >= 36Ki", lambda x: x.bytes >= 36 * 1024),
        ("weight.bytes < 9_600", lambda x: x.bytes < 9600),
        ("weight.rows == 48", lambda x: rows(x) == 48),
        ("weight.rows == 192", lambda x: x.name == "layers.0.down"),
        ("weight.rows != 48", lambda x: rows(x) not in (48, None)),
        ("not weight.rows == 48", lambda x: rows(x) != 48),
        ("weight.columns <= 48", lambda x: rows(x) is not None and x.matrix_shape[1] <= 48),
        ("weight.columns > 100 or weight.columns < 10", lambda x: rows(x) is not None and x.name[-1] in "py"),
        ("weight.rows divisible by 64", lambda x: rows(x) in (0, 192)),
        ("weight.columns divisible by 1", lambda x: rows(x) is not None),
        ("weight.elements divisible by 1Ki and weight.elements > 0", lambda x: x.elements in (9216,)),
        ("not weight.columns divisible by 2", lambda x: rows(x) is None or x.matrix_shape[1] % 2 == 1),
        ("weight.rows in [192, 0]", lambda x: rows(x) in (0, 192)),
        ("weight.shape == 48x192", lambda x: x.shape == (48, 192)),
        ("weight.shape != 48x192", lambda x: x.shape != (48, 192)),
        ("weight.shape == *x48", lambda x: len(x.shape) == 2 and x.shape[1] == 48),
        ("weight.shape == 48x*", lambda x: len(x.shape) == 2 and x.shape[0] == 48),
        ("weight.shape == *x*", lambda x: len(x.shape) == 2),
        ("weight.shape != *x*", lambda x: len(x.shape) != 2),
        ("weight.shape == *x3x*x*", lambda x: x.op == "Conv"),
        ("weight.shape == 2x*x100", lambda x: x.name == "head:2"),
        ("(weight.shape == *x48) and not weight.shape==100x*", lambda x: x.shape == (48, 48)),
        *((f"weight.dtype == {word}", lambda x, dtype=dtype: x.dtype == dtype) for word, dtype in DTYPES.items()),
        ("weight.dtype != float32", lambda x: x.dtype != F32),
        ("block == 1", lambda x: block(x) == 1),
        ("block >= 1", lambda x: block(x) in (1, 10)),
        ("block != 0", lambda x: block(x) in (1, 10)),
        ("not block == 0", lambda x: block(x) != 0),
        ("block in [0, 10]", lambda x: block(x) in (0, 10)),
        ("block in [7, 10,]", lambda x: block(x) == 10),
        ("block in [\n0,\n1\n]", lambda x: block(x) in (0, 1)),
        ("block divisible by 5", lambda x: block(x) in (0, 10)),
        ("depth < 3", lambda x: LAYERS.index(x) < 3),
        ("depth == 0", lambda x: x.name == "embed"),
        ("depth in [0, 8]", lambda x: x.name in ("embed", "empty")),
        ("depth < 50%", lambda x: LAYERS.index(x) <= 4),
        ("depth >= 50%", lambda x: LAYERS.index(x) > 4),
        ("depth >= 90%", lambda x: False),
        ("depth < 100%", lambda x: True),
        ("depth <= 0%", lambda x: x.name == "embed"),
        ("depth < 1%", lambda x: x.name == "embed"),
    ],
)
def test_conditions(condition: str, reference: Callable[[Layer], bool], read: Read) -> None:
    assert chosen(read, condition) == [layer.name for layer in LAYERS if reference(layer)]


@given(st.integers(1, 60), st.decimals(0, 100, places=2))
def test_a_share_of_the_depth_is_exact(total: int, percent: Decimal) -> None:
    layers = [Layer(f"x{k}", "MatMul", (2, 2)) for k in range(total)]
    text = f'qtn 1\nselect it = * where depth < {percent}% or name ~ "x0"\nselect all = *\nemit torch'
    spec = read_source(Source("spec.qtn", text), {}, {"torch": int}, Path())
    share = Fraction(percent) / 100
    expected = tuple(f"x{k}" for k in range(total) if k < share * total or k == 0)
    assert select_layers(spec, layers)["it"] == expected


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("layers.3.mlp.up", 3),
        ("transformer.h.11.attn.2", 11),
        ("layer1.0.conv2", 1),
        ("encoder/layer_._07/dense", 7),
        ("mlp:2", None),
        ("layers.4:2", 4),
        ("mlp:2:3", None),
        (":1" * 50_000 + "x", 1),
        ("0", 0),
        (":0", None),
        ("lm_head", None),
        ("", None),
        ("x" + "9" * 18, 10**18 - 1),
        ("x" + "9" * 5000 + ".3", None),
        ("x\u0663", None),  # a digit of another script
    ],
)
def test_the_block_is_the_first_number_of_the_name(name: str, number: int | None) -> None:
    assert block_of(name) == number


@given(st.lists(st.sampled_from(["up", "layers.3.up", "x:2", "0"]), max_size=8))
def test_a_name_made_unique_stays_in_its_block(names: list[str]) -> None:
    assert [block_of(name) for name in unique(names)] == [block_of(name) for name in names]


@given(st.text(max_size=40))
def test_any_name_has_a_block_or_none(name: str) -> None:
    found = block_of(name)
    assert found is None or str(found) in name


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("weight.bytes > 1Mi", "of 9 layers, none has weight.bytes > 1Mi; the largest is `head:2` with 38,400"),
        ("weight.rows == 50", "of 9 layers, none has weight.rows == 50; the nearest is `layers.0.q` with 48"),
        ("weight.columns < 7", "of 9 layers, none has weight.columns < 7; the smallest is `empty` with 7"),
        (
            "weight.columns divisible by 11",
            "of 9 layers, none has weight.columns divisible by 11; the numbers are `7`, `48`, `100` and 1 more",
        ),
        (
            "(not MatMul) where weight.elements divisible by 7",
            (
                "of 3 layers that meet the conditions before, none has weight.elements divisible by 7; "
                "the numbers are `600`, `4,800` and `9,216`"
            ),
        ),
        ("Gather where weight.rows > 1", "of 1 Gather layer that meets the conditions before, none is a product x . W"),
        ("block == 5", "of 9 layers, none has block == 5; the nearest is `layers.1.q` with 1"),
        ("block in [7, 8]", "of 9 layers, none has block in [7, 8]; the nearest is `layers.10.conv2` with 10"),
        (
            '(* where not name ~ re"layers") where block >= 0',
            "of 3 layers that meet the conditions before, none has a number in its name",
        ),
        ("depth > 8", "of 9 layers, none has depth > 8; the largest is `empty` with 8"),
        ("depth >= 90%", "of 9 layers, none has depth >= 90%; the last is `empty` with 88.9%"),
        ("depth < 0%", "of 9 layers, none has depth < 0%; the first is `embed` with 0.0%"),
        ("weight.shape == 192x48", "of 9 layers, none has weight.shape == 192x48; `layers.0.up` is stored as 48x192"),
        (
            "weight.shape == 48x47",
            "of 9 layers, none has weight.shape == 48x47; they are `100x48`, `48x48`, `48x192` and 3 more",
        ),
        (
            "Gemm where weight.shape != 48x192",
            "of 1 Gemm layer that meets the conditions before, none has weight.shape != 48x192; they are `48x192`",
        ),
        (
            "(MatMul where block == 0) where weight.dtype == float16",
            "of 2 MatMul layers that meet the conditions before, none has weight.dtype == float16; they are `float32`",
        ),
        (
            "Conv where weight.dtype == float64",
            "none has weight.dtype == float64; they are `float8e5m2`",
        ),
        ("Gemm where weight.rows != 192", "none has weight.rows != 192; all have just that"),
    ],
)
def test_what_is_nearest(condition: str, said: str, read: Read) -> None:
    selection = condition if " where " in condition else f"* where {condition}"
    spec = read(f"qtn 1\nselect it = {selection}\nemit torch")
    with pytest.raises(SpecError) as caught:
        select_layers(spec, LAYERS)
    (error,) = caught.value.diagnostics
    assert said in (error.help or "")
