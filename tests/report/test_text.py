"""Tables for the terminal: aligned, counted, and with nothing in them that a terminal acts on."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from qtnc.errors import LONGEST_NAME
from qtnc.look.facts import layer_facts
from qtnc.planner.plan import Baselines, Ignored, Latency, LayerPlan, Plan
from qtnc.report.text import LEGEND, becomes, inspect_table, plan_table, table
from qtnc.tensor.memory import size

Entry = Callable[..., LayerPlan]
Plans = Callable[..., Plan]

HOSTILE = ["a\x1b[2Jb", "two\nlines", "tab\there", "\u202eturned", "bell\x07", "nul\0", "long" * 100, "\ud800"]

words = st.text("abcxyz.", min_size=1, max_size=9)
numbers = st.integers(0, 10**7).map("{:,}".format) | st.floats(0, 99).map("{:.2f}x".format) | st.just("-")


@given(rows=st.lists(st.tuples(words, words, numbers, numbers), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_words_begin_and_numbers_end_in_one_place(rows: list[tuple[str, str, str, str]]) -> None:
    header = ["layer", "rule", "n", "elements"]
    lines = table(header, rows).split("\n")
    assert [line.split() for line in lines] == [header, *map(list, rows)]
    cells = [header, *rows]
    widths = [max(len(row[k]) for row in cells) for k in range(4)]
    starts = [sum(widths[:k]) + 2 * k for k in range(4)]
    for line, row in zip(lines, cells, strict=True):
        assert line == line.rstrip()
        for k in (0, 1):
            assert line[starts[k] :].startswith(row[k])
        for k in (2, 3):
            assert line[: starts[k] + widths[k]].endswith(row[k])


def test_a_table_to_look_at() -> None:
    rows = [["up", "16x24", "1.5 kB", "31.2%"], ["10", "8x9999", "12.0 MB", "-"]]
    assert table(["layer", "weight", "bytes", "share"], rows).split("\n") == [
        "layer  weight    bytes  share",
        "up     16x24    1.5 kB  31.2%",
        "10     8x9999  12.0 MB      -",
    ]
    assert table(["layer", "n"], []) == "layer  n"
    # Layers may be called as numbers are; errors may be without bound.
    assert table(["layer", "error"], [["1", "inf"], ["1000", "0.1234"]]).split("\n") == [
        "layer   error",
        "1         inf",
        "1000   0.1234",
    ]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1049, "1.0 kB"),
        (5_600_000, "5.6 MB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (10**9, "1.0 GB"),
        (10**12, "1.0 TB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@given(count=st.integers(0, 999 * 10**12))
@settings(max_examples=100, deadline=None)
def test_a_size_is_right_to_half_its_last_digit(count: int) -> None:
    number, unit = size(count).split()
    assert abs(float(number) * UNITS[unit] - count) <= 0.051 * UNITS[unit]
    assert len(number) <= len("999.9")


def test_every_layer_is_inspected(toys: ModuleType) -> None:
    proto = toys.model(
        [helper.make_node("MatMul", ["x", "up.weight"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["y"])],
        [toys.value("x", ["b", 16])],
        [toys.value("y", ["b", 8])],
        [toys.weight("up.weight", 16, 1024), numpy_helper.from_array(np.ones((1024, 8), np.float16), "w")],
    )
    assert inspect_table(layer_facts(ir.from_proto(proto))).split("\n") == [
        "layer  op      weight   dtype    elements    bytes",
        "up     MatMul  16x1024  float      16,384  65.5 kB",
        "w      MatMul  1024x8   float16     8,192  16.4 kB",
    ]


def test_a_plan_is_told_whole(entry: Entry, dense: Entry, make_plan: Plans) -> None:
    weighted = entry(
        layer="down",
        overruled=("spec.qtn:3", "spec.qtn:2"),
        structure="mpo",
        settled={"sites": [[4, 4], [4, 6]], "bonds": [12]},
        metric="calib",
        baselines=Baselines(0.3, 0.2, 0.004, 0.08),
    )
    plan = make_plan(entry(layer="up"), dense(layer="head"), weighted, notes=("an axis is loose",))
    assert plan_table(plan).split("\n") == [
        "layer  weight  rule        becomes               params   bytes   error     svd    int8    int4  flops   time",
        "up     16x24   spec.qtn:5  lowrank 3              31.2%   480 B  0.2500  0.3000  0.0040  0.0800  0.31x  0.50x",
        "head   16x24   spec.qtn:5  dense                 100.0%  1.5 kB       -       -       -       -  1.00x      -",
        "down   16x24   spec.qtn:5  mpo 4x4.4x6 bonds 12   31.2%   480 B  0.2500  0.2000  0.0040  0.0800  0.31x  0.50x",
        "",
        "head: declined: it is odd",
        "down: spec.qtn:5 wins over spec.qtn:3, spec.qtn:2",
        "note: an axis is loose",
        "parameters 1,576 -> 1,312 (83.2%), weights 6.3 kB -> 5.2 kB; 1 layer unclaimed",
        "optimize memory; the compile takes about 3 s and 26.9 kB of memory",
        *LEGEND.split("\n"),
    ]


def test_circuits_are_priced_in_a_table_of_their_own(circuits: LayerPlan, entry: Entry, make_plan: Plans) -> None:
    text = plan_table(make_plan(circuits, entry(), stage="hybrid"))
    assert "circuit cross 2 | mpo 4x4.4x8 bonds 2" in text
    assert "stage hybrid; optimize memory" in text
    (header, row) = text.splitlines()[4:6]
    assert header.split("  ")[0] == "circuits"
    assert header.endswith("shots for 5.0%  error at 100,000 shots")
    assert row.split() == ["turned", "5+6", "4+5", "2+3", "54", "8+10", "26+57", "36,812", "3.0%"]
    assert "shots" not in plan_table(make_plan(entry()))


def test_nothing_to_do_is_told_too(dense: Entry, make_plan: Plans) -> None:
    said = plan_table(make_plan(model_parameters=0, parameters=0, model_bytes=0, bytes=0))
    assert "parameters 0 -> 0 (100.0%), weights 0 B -> 0 B" in said
    counts = dict.fromkeys(("parameters", "original_parameters", "bytes", "original_bytes", "flops", "dense_flops"), 0)
    assert "head: declined: it is odd" in plan_table(make_plan(dense(layer="head", shape=(16, 0), **counts)))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_names_are_shown_and_not_acted_on(name: str, entry: Entry, dense: Entry, make_plan: Plans) -> None:
    plain = plan_table(make_plan(entry(overruled=("spec.qtn:2",)), dense())).split("\n")
    layers = (entry(layer=name, rule=name, overruled=(name,)), dense(layer=name))
    lines = plan_table(make_plan(*layers, ignored=(Ignored(name, name),))).split("\n")
    assert len(lines) == len(plain) + 1
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) <= max(map(len, plain)) + 3 * LONGEST_NAME


@pytest.mark.parametrize("name", HOSTILE[:-1], ids=ascii)
def test_names_of_a_model_are_shown(name: str, toys: ModuleType) -> None:
    proto = toys.mlp()
    proto.graph.node[0].input[1] = proto.graph.initializer[0].name = name
    lines = inspect_table(layer_facts(ir.from_proto(proto))).split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("structure", "settled", "text"),
    [
        ("dense", {}, "dense"),
        ("lowrank", {"rank": 12}, "lowrank 12"),
        ("mpo", {"sites": [[8, 16], [16, 8]], "bonds": [12]}, "mpo 8x16.16x8 bonds 12"),
        ("mpo", {"sites": [[8, 1], [2, 4], [1, 8]], "bonds": [3, 4]}, "mpo 8x1.2x4.1x8 bonds 3,4"),
        ("cp", {"rank": 6, "sites": [[4, 8], [4, 4]]}, "cp rank 6 sites [4x8, 4x4]"),
        ("other", {"ranks": [3, 4], "odd": [[1, 2, 3]], "none": []}, "other ranks [3, 4] odd [[1, 2, 3]] none []"),
    ],
)
def test_what_a_layer_becomes(structure: str, settled: dict[str, object], text: str, entry: Entry) -> None:
    assert becomes(entry(structure=structure, settled=settled)) == text


def test_times_above_dense_are_told(entry: Entry, make_plan: Plans) -> None:
    line = plan_table(make_plan(entry(latency=Latency(4, 1.0, 12.25)))).split("\n")[1]
    assert line.endswith("  12.25x")
