"""Stacks of weights, as mixtures of experts have them, through the whole road: forms, errors, sharing."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from qtnc.planner.plan import LayerPlan

Array = NDArray[Any]
Load = Callable[[Path], torch.nn.Module]

EXACT = ["lowrank", "mpo(sites: 2)", "mpo(sites: 3)"]

SLACK = 1e-6
"""What rounding cores to float32 adds to a relative error; measured 1e-7."""

EQUATIONS = {
    # Equation, order of the letters of the weight that make (stack, M, N), whether the weight comes first.
    "bsd,df->bsf": ("df", 0),
    "ebd,edf->ebf": ("edf", 1),
    "td,edf->tef": ("edf", 1),
    "td,efd->tef": ("edf", 1),
    "tef,efd->ted": ("efd", 1),
    "tef,edf->ted": ("efd", 1),
    "btd,efd->betf": ("edf", 1),
    "fed,ted->etf": ("edf", 1),
    "ed,edf->ef": ("edf", 1),
    "gtd,egdf->tgef": ("egdf", 2),
    "bsd,dhk->bshk": ("dhk", 0),
    "bshk,hkd->bsd": ("hkd", 0),
    "td,edf": ("edf", 1),
    "...d,df->...f": ("df", 0),
}

node = helper.make_node


@dataclass(frozen=True)
class Case:
    """One product with a stack of weights: its nodes, what is stored, x, y in float64, and |x| |W|."""

    nodes: list[onnx.NodeProto]
    stored: dict[str, Array]
    x: Array
    y: Array
    scale: float
    symbolic: frozenset[int]
    shape: tuple[int, int]
    count: int

    def save(self, path: Path) -> Path:
        kind = helper.np_dtype_to_tensor_dtype(self.x.dtype)
        axes = [f"axis_{k}" if k in self.symbolic else size for k, size in enumerate(self.x.shape)]
        inputs = [helper.make_tensor_value_info("x", kind, axes)]
        outputs = [helper.make_tensor_value_info("y", kind, [None] * self.y.ndim)]
        tensors = [numpy_helper.from_array(array, name) for name, array in self.stored.items()]
        graph = helper.make_graph(self.nodes, "stack", inputs, outputs, tensors)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
        return path


def behind(how: str, weight: Array) -> tuple[list[onnx.NodeProto], dict[str, Array], Array]:
    """Nodes that make a weight, what they read, and the weight that they make."""
    rank = weight.ndim
    if how == "transpose":
        perm = [*range(rank - 2), rank - 1, rank - 2]
        return [node("Transpose", ["v"], ["w"], perm=perm)], {"v": weight.swapaxes(-1, -2).copy()}, weight
    if how == "reshape":
        stored = {"v": weight.reshape(-1, weight.shape[-1]), "shape": np.array(weight.shape)}
        return [node("Reshape", ["v", "shape"], ["w"])], stored, weight
    if how == "dequantised":
        whole = np.clip(np.round(weight.astype(np.float64) * 40), -127, 127).astype(np.int8)
        scale = np.linspace(0.01, 0.05, weight.shape[-1]).astype(weight.dtype)
        made = [node("DequantizeLinear", ["v", "scale"], ["w"], axis=rank - 1)]
        return made, {"v": whole, "scale": scale}, (whole * scale).astype(weight.dtype)
    if how == "slice":  # one of two stacks
        stored = {"v": np.stack([np.ones_like(weight), weight]), "one": np.array(1)}
        return [node("Gather", ["v", "one"], ["w"])], stored, weight
    return [], {"w": weight}, weight


sizes = st.sampled_from([1, 2, 3, 4, 6, 7, 11])
HOWS = ["stored", "transpose", "reshape", "slice", "dequantised"]


def hows_of(dtype: type[np.floating[Any]]) -> list[str]:
    """Where a weight may stand; ONNX has no scales of 64 bits."""
    return HOWS[: -1 if dtype is np.float64 else None]


def size_of(x: Array, weight: Array) -> float:
    """A bound on |x W|."""
    return float(np.linalg.norm(x.astype(np.float64)) * np.linalg.norm(weight.astype(np.float64)))


@st.composite
def matmuls(draw: st.DrawFn, dtype: type[np.floating[Any]]) -> Case:
    """MatMul with a stack on either side; x has axes for the stack, ones, or none, and others before them."""
    stack = draw(st.sampled_from([(1,), (2,), (5,), (2, 3), (1, 4), (3, 1), (1, 1)]))
    m, n, rows = draw(sizes), draw(sizes), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    left, meeting = draw(st.booleans()), draw(st.sampled_from(["own", "ones", "none", "outer", "vector"]))
    lead = {"own": stack, "ones": (1,) * len(stack), "none": (), "outer": (2, *stack), "vector": ()}[meeting]
    weight = rng.standard_normal((*stack, n, m) if left else (*stack, m, n)).astype(dtype)
    x = rng.standard_normal((*lead, m, rows) if left else (*lead, rows, m)).astype(dtype)
    x = x.reshape(-1)[:m].copy() if meeting == "vector" else x
    nodes, stored, weight = behind(draw(st.sampled_from(hows_of(dtype))), weight)
    nodes.append(node("MatMul", ["w", "x"] if left else ["x", "w"], ["y"], name="experts"))
    operands = (weight, x) if left else (x, weight)
    row = x.ndim - (1 if left else 2)
    symbolic = frozenset({row, *range(x.ndim - 2 - len(stack))}) if x.ndim > 1 else frozenset[int]()
    y = np.matmul(*(operand.astype(np.float64) for operand in operands))
    return Case(nodes, stored, x, y, size_of(x, weight), symbolic, (m, n), int(np.prod(stack)))


@st.composite
def einsums(draw: st.DrawFn, dtype: type[np.floating[Any]]) -> Case:
    """Einsum with a weight, its stack among the letters."""
    equation = draw(st.sampled_from(sorted(EQUATIONS)))
    order, stacked = EQUATIONS[equation]
    terms = equation.partition("->")[0].split(",")
    position = next(k for k, term in enumerate(terms) if set(term) == set(order))
    size = {letter: draw(sizes) for letter in set(order)} | dict.fromkeys("bst" if "b" in equation else "t", 2)
    size |= {letter: draw(st.sampled_from([1, 2, 3])) for letter in order[:stacked]}
    named = terms[1 - position].replace("...", "bs")
    size |= {letter: 2 for letter in named if letter not in size}
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weight = rng.standard_normal([size[letter] for letter in terms[position]]).astype(dtype)
    x = rng.standard_normal([size[letter] for letter in named]).astype(dtype)
    nodes, stored, weight = behind(draw(st.sampled_from(hows_of(dtype))), weight)
    nodes.append(node("Einsum", ["w", "x"] if position == 0 else ["x", "w"], ["y"], equation=equation, name="experts"))
    operands = (weight, x) if position == 0 else (x, weight)
    y = np.einsum(equation, *(operand.astype(np.float64) for operand in operands))
    symbolic = frozenset(k for k, letter in enumerate(named) if letter not in order)
    summed = [letter for letter in order if letter in named][-1]
    joined = order[stacked : order.index(summed) + 1]
    m, n = (int(np.prod([size[a] for a in letters])) for letters in (joined, order[stacked + len(joined) :]))
    return Case(
        nodes, stored, x, y, size_of(x, weight), symbolic, (m, n), int(np.prod([size[a] for a in order[:stacked]]))
    )


def check(case: Case, structure: str, folder: Path, compiled: ModuleType, load: Load) -> None:
    """Fail unless the layer is rewritten and both forms compute the same within rounding."""
    model = case.save(folder / "model.onnx")
    done = compiled.build(model, folder / "out", "optimize memory", "select all = *", f"rewrite all -> {structure}")
    (entry,) = done.plan.layers
    assert (entry.structure, entry.reason.startswith("declined")) == (structure.partition("(")[0], False)
    m, n = case.shape
    assert entry.original_parameters == case.count * m * n
    assert entry.parameters % case.count == 0
    ops = {made.op_type for made in onnx.load(done.out / "onnx" / "model.onnx").graph.node}
    assert not ops & {"Einsum", "DequantizeLinear", "Gather"}
    for form in compiled.cores(done.out, entry.layer):
        assert sum(core.size for core in form) == entry.parameters
        assert sum(core.nbytes for core in form) == entry.bytes
    # Three products at most, of cores some times larger than the weight; rounding errors of a sum grow as its root.
    allowed = 8 * np.finfo(case.x.dtype).eps * np.sqrt(m + n) * case.scale
    for y in compiled.outputs(done.out, {"x": case.x}, load):
        assert (y[0].shape, y[0].dtype) == (case.y.shape, case.x.dtype)
        assert np.linalg.norm(y[0] - case.y) <= allowed


@given(case=matmuls(np.float32), structure=st.sampled_from(EXACT))
@settings(max_examples=40, deadline=None)
def test_stacks_in_matmul(
    case: Case, structure: str, compiled: ModuleType, load_emitted: Load, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(case, structure, tmp_path_factory.mktemp("matmul"), compiled, load_emitted)


@given(case=einsums(np.float32), structure=st.sampled_from(EXACT))
@settings(max_examples=40, deadline=None)
def test_stacks_in_einsum(
    case: Case, structure: str, compiled: ModuleType, load_emitted: Load, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(case, structure, tmp_path_factory.mktemp("einsum"), compiled, load_emitted)


@given(data=st.data(), dtype=st.sampled_from([np.float16, np.float64]), structure=st.sampled_from(EXACT))
@settings(max_examples=20, deadline=None)
def test_stacks_keep_their_precision(
    data: st.DataObject,
    dtype: type[np.floating[Any]],
    structure: str,
    compiled: ModuleType,
    load_emitted: Load,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    case = data.draw(st.one_of(matmuls(dtype), einsums(dtype)))
    check(case, structure, tmp_path_factory.mktemp("precision"), compiled, load_emitted)


COUNT, M, N = 4, 12, 10


def experts(folder: Path) -> tuple[Path, Array, Array]:
    """A model of one stack, its weights (COUNT, M, N) of very different sizes, and rows (64, COUNT, 3, M)."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((COUNT, M, N)) * np.geomspace(0.1, 4.0, COUNT)[:, None, None]
    scales = np.stack([rng.permutation(np.geomspace(0.05, 3.0, M)) for _ in range(COUNT)])
    x = rng.standard_normal((64, COUNT, 3, M)) * scales[:, None, :]
    weight, x = weight.astype(np.float32), x.astype(np.float32)
    case = Case(
        [node("MatMul", ["x", "experts.weight"], ["y"])],
        {"experts.weight": weight},
        x,
        x @ weight,
        0.0,
        frozenset({0, 2}),
        (M, N),
        COUNT,
    )
    np.savez(folder / "calib.npz", x=x)
    return case.save(folder / "model.onnx"), weight.astype(np.float64), x.astype(np.float64)


def rebuilt(entry: LayerPlan, cores: list[Array]) -> Array:
    """Weights that stacked cores stand for, in float64, padding cut off."""
    whole = [core.astype(np.float64) for core in cores]
    if entry.structure == "lowrank":
        return whole[0] @ whole[1]
    ends = [1, *entry.settled["bonds"], 1]
    found = np.ones((COUNT, 1, 1, 1))
    for k, (m, n) in enumerate(entry.settled["sites"]):
        core = whole[k].reshape(COUNT, ends[k], m, n, ends[k + 1])
        found = np.einsum("exyr,ermns->exmyns", found, core)
        found = found.reshape(COUNT, found.shape[1] * m, found.shape[3] * n, ends[k + 1])
    return found[:, :M, :N, 0]


def relative(by: Array, weight: Array, other: Array) -> float:
    """``sqrt(sum |X_e (W_e - W'_e)|^2 / sum |X_e W_e|^2)``."""
    return float(np.linalg.norm(by @ (weight - other)) / np.linalg.norm(by @ weight))


@pytest.mark.parametrize("data", ["", " on calib"])
@pytest.mark.parametrize(
    "structure",
    [
        "lowrank(rank: 3)",
        "lowrank(error: 40%)",
        "lowrank(bytes: 50%)",
        "mpo(sites: 2, max_bond: 4)",
        "mpo(sites: auto, bytes: 60%)",
        "mpo(sites: auto, error: 45%)",
        "mpo(sites: 3, cutoff: 0.3)",
    ],
)
def test_errors_are_those_of_the_whole_stack(
    structure: str, data: str, compiled: ModuleType, load_emitted: Load, tmp_path: Path
) -> None:
    model, weight, x = experts(tmp_path)
    statements = ('data calib = npz("calib.npz")', "optimize memory", "select s = *", f"rewrite s -> {structure}{data}")
    done = compiled.build(model, tmp_path / "out", *statements)
    (entry,) = done.plan.layers
    by = x if data else np.eye(M)
    (note,) = json.loads((done.out / "report.json").read_text())["layers"]
    for cores in compiled.cores(done.out, "experts"):
        other = rebuilt(entry, cores)
        error = relative(by, weight, other)
        assert error <= entry.predicted_error + SLACK
        assert note["error"] == pytest.approx(error, abs=SLACK)
        y = compiled.outputs(done.out, {"x": x.astype(np.float32)}, load_emitted)
        for form in y:
            np.testing.assert_allclose(form[0], x @ other, atol=1e-4)  # float32, sums of 12 numbers up to 10
    if "error" in structure:
        asked = float(structure.partition("error: ")[2].partition("%")[0]) / 100
        assert entry.predicted_error <= asked
    if "bytes" in structure:
        asked = float(structure.partition("bytes: ")[2].partition("%")[0]) / 100
        assert entry.bytes <= asked * weight.size * 4
    assert (entry.shape, entry.original_parameters, entry.rows) == ((COUNT, M, N), weight.size, COUNT)


def test_low_rank_is_the_best_for_the_rows_of_each_expert(compiled: ModuleType, tmp_path: Path) -> None:
    model, weight, x = experts(tmp_path)
    rules = (
        'data calib = npz("calib.npz")',
        "optimize memory",
        "select s = *",
        "rewrite s -> lowrank(rank: 3) on calib",
    )
    (entry,) = compiled.build(model, tmp_path / "out", *rules).plan.layers
    outputs = np.moveaxis(x @ weight, 1, 0).reshape(COUNT, -1, N)
    values = np.linalg.svd(outputs, compute_uv=False)
    best = np.sqrt((values[:, 3:] ** 2).sum() / (values**2).sum())
    assert entry.predicted_error == pytest.approx(best, rel=1e-3)  # the ridge of the metric


def test_an_asked_error_takes_the_smallest_rank_of_the_stack(compiled: ModuleType, tmp_path: Path) -> None:
    model, weight, _ = experts(tmp_path)
    rules = ("optimize memory", "select s = *", "rewrite s -> lowrank(error: 40%)")
    (entry,) = compiled.build(model, tmp_path / "out", *rules).plan.layers
    values = np.linalg.svd(weight, compute_uv=False)
    tails = [np.sqrt((values[:, r:] ** 2).sum() / (values**2).sum()) for r in range(N + 1)]
    assert entry.settled == {"rank": next(r for r in range(1, N + 1) if tails[r] <= 0.4)}


@pytest.mark.parametrize(
    "structure", ["lowrank(rank: 3)", "mpo(sites: 2, max_bond: 4)", "mpo(sites: auto, bytes: 60%)"]
)
def test_a_stack_of_one_is_a_matrix(structure: str, compiled: ModuleType, tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((M, N)).astype(np.float32)
    x = np.ones((2, 3, M), np.float32)
    stored = []
    for name, array in (("matrix", weight), ("stack", weight[None])):
        nodes, folder = [node("MatMul", ["x", "w"], ["y"])], tmp_path / name
        folder.mkdir()
        case = Case(nodes, {"w": array}, x, x @ array, 0.0, frozenset({0}), (M, N), 1)
        done = compiled.build(case.save(folder / "model.onnx"), folder / "out", *compiled.every(structure))
        stored.append([core.tobytes() for form in compiled.cores(done.out, "w") for core in form])
    assert stored[0] == stored[1]


def test_a_stack_read_twice_is_fitted_once(compiled: ModuleType, load_emitted: Load, tmp_path: Path) -> None:
    """Once as it is and once transposed, from the left, too large to be folded."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((3, 90, 90)).astype(np.float32)
    x = rng.standard_normal((3, 2, 90)).astype(np.float32)
    nodes = [
        node("MatMul", ["x", "w"], ["a"], name="/first/MatMul"),
        node("Transpose", ["w"], ["t"], perm=[0, 2, 1]),
        node("Transpose", ["a"], ["b"], perm=[0, 2, 1]),
        node("MatMul", ["t", "b"], ["y"], name="/second/MatMul"),
    ]
    y = weight.swapaxes(1, 2) @ (x @ weight).swapaxes(1, 2)
    model = Case(nodes, {"w": weight}, x, y, 0.0, frozenset({1}), (90, 90), 3).save(tmp_path / "model.onnx")
    done = compiled.build(model, tmp_path / "out", *compiled.every("lowrank"))
    assert [entry.shares for entry in done.plan.layers] == [None, "first"]
    for form in compiled.stored(done.out):
        floats = sum(array.size for array in form.values() if array.dtype.kind == "f")
        assert floats == done.plan.layers[0].parameters
    compiled.check_same([y], done.out, {"x": x}, load_emitted)


def test_one_expert_that_is_not_finite_is_refused_by_name(
    qtnc: Callable[..., Any], compiled: ModuleType, tmp_path: Path
) -> None:
    weight = np.ones((COUNT, M, N), np.float32)
    weight[2, 3, 4] = np.nan
    nodes = [node("MatMul", ["x", "w"], ["y"], name="/block/experts/MatMul")]
    case = Case(nodes, {"w": weight}, np.ones((1, M), np.float32), weight, 0.0, frozenset({0}), (M, N), COUNT)
    model, spec = case.save(tmp_path / "model.onnx"), tmp_path / "spec.qtn"
    spec.write_text("qtn 1\nselect s = *\nrewrite s -> lowrank(rank: 2)\nemit onnx\n")
    done = qtnc("plan", model, spec)
    assert done.code == 1
    assert "the weight of layer `block.experts` holds NaN or infinity" in done.err


@pytest.mark.parametrize("structure", ["circuit(depth: 2) | mpo(max_bond: 4)"])
def test_what_takes_one_matrix_leaves_a_stack(structure: str, compiled: ModuleType, tmp_path: Path) -> None:
    model, _, _ = experts(tmp_path)
    done = compiled.build(model, tmp_path / "out", *compiled.every(structure))
    (entry,) = done.plan.layers
    assert entry.structure == "dense"
    assert entry.reason == "declined: its weight is a stack of 4 matrices, and `circuit` takes a single one"
    assert entry.dense_flops == 2 * COUNT * M * N


def test_zero_and_thin_experts(compiled: ModuleType, load_emitted: Load, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((COUNT, M, N)).astype(np.float32)
    weight[0] = 0.0
    weight[1, :, 2:] = 0.0
    x = rng.standard_normal((COUNT, 3, M)).astype(np.float32)
    case = Case([node("MatMul", ["x", "w"], ["y"])], {"w": weight}, x, x @ weight, 0.0, frozenset({1}), (M, N), COUNT)
    for k, structure in enumerate(EXACT):
        done = compiled.build(case.save(tmp_path / f"{k}.onnx"), tmp_path / str(k), *compiled.every(structure))
        assert done.plan.layers[0].predicted_error <= SLACK
        compiled.check_same([case.y], done.out, {"x": x}, load_emitted)


def test_a_plan_for_a_stack_is_replayed_to_the_byte(
    qtnc: Callable[..., Any], compiled: ModuleType, tmp_path: Path
) -> None:
    """By one process and by two, from the cache and without."""
    model, _, _ = experts(tmp_path)
    spec, plan = tmp_path / "spec.qtn", tmp_path / "plan.json"
    rules = 'data calib = npz("calib.npz")\nselect s = *\noptimize memory\nrewrite s -> mpo(bytes: 60%) on calib'
    spec.write_text(f"qtn 1\n{rules}\nemit torch\nemit onnx\n")
    plan.write_text(qtnc("plan", model, spec, "--json", "--no-cache").out)
    made = []
    for k, options in enumerate((["--no-cache"], ["--jobs", 2], ["--plan", plan, "--no-cache"])):
        assert qtnc("compile", model, spec, "-o", tmp_path / str(k), *options).code == 0
        made.append([core.tobytes() for form in compiled.cores(tmp_path / str(k), "experts") for core in form])
    assert made[1:] == made[:1] * 2
