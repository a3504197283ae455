"""What is decided for each layer: whose rule, what it counts, and why a layer stays dense."""

from collections.abc import Callable, Iterable
from math import prod
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from qtnc.passes.matmul_to_lowrank import MatmulToLowrank
from qtnc.passes.matmul_to_mpo import MatmulToMpo

from qtnc.calibrate.data import DataSet
from qtnc.errors import PassError, SpecError
from qtnc.pipeline import Pipeline
from qtnc.planner.plan import MARGIN, Ignored, LayerPlan, Plan
from qtnc.planner.planner import Planned
from qtnc.report.text import plan_table

Planning = Callable[..., Planned]
Canonical = Callable[[onnx.ModelProto], ir.Model]

node = helper.make_node


def named(plan: Plan) -> dict[str, LayerPlan]:
    return {entry.layer: entry for entry in plan.layers}


def test_the_last_rule_in_the_text_wins(planned: Planning, toys: ModuleType) -> None:
    plan = planned(
        toys.mlp(),
        'select up = MatMul where name ~ "up"\n'
        "select every = MatMul\n"
        "optimize memory\n"
        "rewrite up -> lowrank(rank: 2)\n"
        "rewrite every -> lowrank(rank: 4)\n"
        "rewrite up -> lowrank(rank: 3)\n",
    ).plan
    found = [(e.layer, e.settled, e.rule, e.overruled) for e in plan.layers]
    assert found == [
        ("up", {"rank": 3}, "spec.qtn:7", ("spec.qtn:6", "spec.qtn:5")),
        ("down", {"rank": 4}, "spec.qtn:6", ()),
    ]
    assert (plan.optimize, plan.unclaimed, plan.model, plan.spec) == ("memory", 0, "model.onnx", "spec.qtn")


def test_a_losing_rule_gives_neither_structure_nor_data(planned: Planning, toys: ModuleType) -> None:
    text = (
        'data calib = npz("calib.npz")\noptimize memory\nselect up = MatMul where name ~ "up"\n'
        "rewrite up -> mpo(sites: 2, max_bond: 2) on calib\nrewrite up -> lowrank(rank: 2)\n"
    )
    # Data that only a losing rule names is not run: this would be refused.
    data = DataSet("calib", {"x": np.ones((3, 5), np.float32)})
    planning = planned(toys.mlp(), text, {"calib": data})
    (entry,) = planning.plan.layers
    (decision,) = planning.decisions
    assert (entry.structure, entry.metric, decision.covariance) == ("lowrank", "weights", None)
    assert entry.predicted_error == planned(toys.mlp(), text.replace("on calib", "")).plan.layers[0].predicted_error


def test_what_no_rule_claims_is_counted(planned: Planning, toys: ModuleType) -> None:
    planning = planned(toys.mlp(), 'optimize memory\nselect up = * where name ~ "up"\nrewrite up -> lowrank(rank: 2)\n')
    assert (len(planning.plan.layers), planning.plan.unclaimed) == (1, 1)
    planning = planned(toys.mlp(), "")
    assert (planning.plan.layers, planning.decisions, planning.plan.unclaimed) == ((), (), 2)
    assert planning.plan.optimize == "balanced"


ODD: dict[str, tuple[str, dict[str, int], list[int | str] | None, tuple[int, ...]]] = {
    "`bi,ij->bij` sums over no axis": ("Einsum", {"equation": "bi,ij->bij"}, ["b", 5], (5, 4)),
    "its kernel is 3; a product over channels has kernels of size 1": ("Conv", {}, ["b", 3, 8], (4, 3, 3)),
    "its channels are in 2 groups; a product has one": ("Conv", {"group": 2}, ["b", 6, 8], (4, 3, 1)),
    "its strides skip places; those of a product are 1": ("Conv", {"strides": [2]}, ["b", 3, 8], (4, 3, 1)),
    "its input is padded; that of a product is not": ("Conv", {"pads": [1, 1]}, ["b", 3, 8], (4, 3, 1)),
    "Gather is not a product x . W with a constant matrix W (MatMul, Gemm, Einsum or Conv of 1x1 kernels)": (
        "Gather",
        {},
        ["b", 3],
        (7, 5),
    ),
    "the rank of its input is unknown": ("MatMul", {}, None, (5, 4)),
    "its weight is empty": ("MatMul", {}, ["b", 5], (5, 0)),
}
"""Reasons for which a layer is declined: its op, attributes, shape of x, shape of the weight."""


@pytest.mark.parametrize("goal", ["memory", "balanced"])
@pytest.mark.parametrize("reason", ODD)
def test_what_is_no_product_is_declined_with_the_reason(
    reason: str, goal: str, planned: Planning, toys: ModuleType
) -> None:
    op, attributes, shape, weight = ODD[reason]
    inputs, dtype = (["w", "x"], toys.INT64) if op == "Gather" else (["x", "w"], toys.FLOAT)
    made = node(op, inputs, ["y"], **attributes)
    proto = toys.model([made], [toys.value("x", shape, dtype)], [toys.value("y", None)], [toys.weight("w", *weight)])
    text = f'data calib = npz("calib.npz")\noptimize {goal}\nselect all = *\nrewrite all -> lowrank(rank: 1) on calib\n'
    # Nothing is run on data for a layer that stays as it is.
    planning = planned(proto, text, {"calib": DataSet("calib", {})})
    (entry,) = planning.plan.layers
    assert entry.reason == f"declined: {reason}"
    assert planning.decisions == ()
    size = prod(weight)
    assert (entry.structure, entry.settled, entry.predicted_error) == ("dense", {}, 0.0)
    assert (entry.parameters, entry.original_parameters) == (size, size)
    assert (entry.bytes, entry.original_bytes) == (4 * size, 4 * size)
    assert (entry.latency, entry.baselines) == (None, None)
    assert (entry.share, entry.flops_share) == (1.0, 1.0)
    assert (planning.plan.parameters, planning.plan.bytes) == (size, 4 * size)


def test_data_is_not_followed_into_bodies(planned: Planning, toys: ModuleType) -> None:
    text = 'data calib = npz("calib.npz")\nselect s = * where name ~ "left"\nrewrite s -> lowrank(rank: 2) on calib\n'
    (entry,) = planned(toys.branching(), text, {"calib": DataSet("calib", {})}).plan.layers
    assert entry.reason.startswith("declined: it is in the body of another node, where data is not followed")


@pytest.mark.parametrize("structure", ["lowrank(error: 1%)", "lowrank(bytes: 100%)", "mpo(sites: 2, error: 1%)"])
def test_dense_stays_where_it_is_smaller(structure: str, planned: Planning, toys: ModuleType) -> None:
    """A weight of full rank within 1 % needs more numbers than it has; 100 % of the bytes is no saving."""
    proto = toys.model(
        [node("MatMul", ["x", "w"], ["y"])],
        [toys.value("x", ["b", 4])],
        [toys.value("y", ["b", 4])],
        [toys.weight("w", 4, 4)],
    )
    planning = planned(proto, f"optimize memory\nselect all = *\nrewrite all -> {structure}\n")
    (entry,) = planning.plan.layers
    assert (entry.structure, entry.parameters, planning.decisions) == ("dense", 16, ())
    word = structure.split("(")[0]
    assert entry.reason.startswith(f"dense is smaller: {word} needs ")
    assert entry.reason.endswith(" of 16 parameters")
    assert int(entry.reason.split()[5]) >= 16


def test_what_the_spec_fixes_is_obeyed_where_it_is_larger(planned: Planning, toys: ModuleType) -> None:
    text = 'optimize memory\nselect up = * where name ~ "up"\nrewrite up -> lowrank(rank: 16)\n'
    planning = planned(toys.mlp(), text)
    (entry,) = planning.plan.layers
    assert (entry.structure, entry.parameters, entry.original_parameters) == ("lowrank", 16 * (16 + 24), 16 * 24)
    assert planning.plan.parameters == planning.plan.model_parameters + 16 * 40 - 16 * 24
    assert planning.plan.share > 1.0


@pytest.mark.parametrize("goal", ["", "optimize memory\n", "optimize balanced\n", "optimize latency\n"])
@pytest.mark.parametrize("ratio", [0.5, 1.0 - MARGIN, 1.0, 1.0 + MARGIN, 1.2, 5.0])
def test_what_is_kept_depends_on_the_goal(goal: str, ratio: float, planned: Planning, toys: ModuleType) -> None:
    text = f'bind batch = 4\n{goal}select up = * where name ~ "up"\nrewrite up -> lowrank(rank: 2)\n'
    planning = planned(toys.mlp(), text, ratio=ratio)
    (entry,) = planning.plan.layers
    most = 1.0 - MARGIN if "latency" in goal else 1.0 + MARGIN
    if "memory" in goal or ratio < most or (ratio == most > 1.0):
        assert (entry.structure, entry.reason) == ("lowrank", "rank as asked")
        assert entry.latency is not None
        assert entry.latency.ratio == ratio
        assert len(planning.decisions) == 1
    else:
        measured = f"lowrank measured {ratio:.2f}x dense at 4 rows in onnxruntime"
        if ratio > 1.0 + MARGIN:
            assert entry.reason == f"dense is faster: {measured} (`optimize memory` keeps it)"
        else:
            assert entry.reason == f"dense is as fast: {measured}, within noise (`optimize balanced` keeps it)"
        assert (entry.structure, entry.parameters, planning.decisions) == ("dense", 16 * 24, ())
        assert planning.plan.parameters == planning.plan.model_parameters


def test_axes_that_the_spec_does_not_bind_are_noted(planned: Planning, toys: ModuleType) -> None:
    text = "optimize memory\nselect all = MatMul\nrewrite all -> lowrank(rank: 2)\n"
    for binds, notes, rows in (
        ("", ["batch", "seq"], 1),
        ("bind seq = 6\n", ["batch"], 6),
        ("bind seq = 6, batch = 5, other = 9\n", [], 30),
    ):
        plan = planned(toys.reader(), binds + text).plan
        said = [f"symbolic axis `{axis}` is not bound; 1 is assumed (bind {axis} = ...)" for axis in notes]
        assert list(plan.notes) == said
        assert plan.layers[0].rows == rows


def test_a_note_cannot_act_on_the_terminal(planned: Planning, toys: ModuleType) -> None:
    (note,) = planned(toys.mlp(batch="\x1b[2J\nbatch" * 100), "").plan.notes
    assert note.isprintable()
    assert len(note) < 300


@pytest.mark.parametrize(("shape", "rows"), [([3, 7, 16], 21), (["b", 16], 5), ([0, 16], 1), ([16], 1)])
def test_rows_are_the_leading_axes(shape: list[int | str], rows: int, planned: Planning, toys: ModuleType) -> None:
    proto = toys.model(
        [node("MatMul", ["x", "w"], ["y"])],
        [toys.value("x", shape)],
        [toys.value("y", [*shape[:-1], 8])],
        [toys.weight("w", 16, 8)],
    )
    (entry,) = planned(
        proto, "bind b = 5\noptimize memory\nselect all = *\nrewrite all -> lowrank(rank: 2)\n"
    ).plan.layers
    assert (entry.rows, entry.dense_flops) == (rows, 2 * rows * 16 * 8)


def single(toys: ModuleType, rows: int, columns: int, batch: int, dtype: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """One product, its weight in float32 or float16."""
    weight = numpy_helper.to_array(toys.weight("w", rows, columns)).astype(helper.tensor_dtype_to_np_dtype(dtype))
    x, y = toys.value("x", [batch, rows], dtype), toys.value("y", [batch, columns], dtype)
    return toys.model([node("MatMul", ["x", "w"], ["y"])], [x], [y], [numpy_helper.from_array(weight, "w")])


widths = st.integers(2, 20)


@given(M=widths, N=widths, rank=st.integers(1, 24), R=st.integers(1, 300), half=st.booleans())
@settings(max_examples=40, deadline=None)
def test_low_rank_is_counted(
    planned: Planning, toys: ModuleType, M: int, N: int, rank: int, R: int, half: bool
) -> None:
    proto = single(toys, M, N, R, TensorProto.FLOAT16 if half else TensorProto.FLOAT)
    (entry,) = planned(proto, f"optimize memory\nselect all = *\nrewrite all -> lowrank(rank: {rank})\n").plan.layers
    r, size = min(rank, M, N), 2 if half else 4
    assert entry.settled == {"rank": r}
    assert (entry.shape, entry.rows) == ((M, N), R)
    assert (entry.parameters, entry.original_parameters) == (r * (M + N), M * N)
    assert (entry.bytes, entry.original_bytes) == (size * r * (M + N), size * M * N)
    # x A B from the left, or A B first, which onnxruntime does once and not in a call.
    assert entry.flops in (2 * R * (M * r + r * N), 2 * R * M * N)
    assert entry.dense_flops == 2 * R * M * N
    assert entry.share == pytest.approx(r * (M + N) / (M * N))
    assert entry.flops_share == pytest.approx(entry.flops / (2 * R * M * N))


@given(
    modes=st.tuples(*[st.integers(1, 5)] * 4),
    less=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    bond=st.integers(1, 30),
    R=st.integers(1, 300),
)
@settings(max_examples=60, deadline=None)
def test_an_operator_is_counted_with_its_padding(
    planned: Planning, toys: ModuleType, modes: tuple[int, ...], less: tuple[int, int], bond: int, R: int
) -> None:
    m0, n0, m1, n1 = modes
    M, N = max(1, m0 * m1 - less[0]), max(1, n0 * n1 - less[1])
    rule = f"mpo(sites: [{m0}x{n0}, {m1}x{n1}], max_bond: {bond})"
    (entry,) = planned(single(toys, M, N, R), f"optimize memory\nselect all = *\nrewrite all -> {rule}\n").plan.layers
    r = min(bond, m0 * n0, m1 * n1)
    assert entry.settled == {"sites": [[m0, n0], [m1, n1]], "bonds": [r]}
    assert (entry.parameters, entry.original_parameters) == (r * (m0 * n0 + m1 * n1), M * N)
    assert entry.bytes == 4 * entry.parameters
    # Two steps of a product of three: x with one core or the other first, or with the weight that is rebuilt once.
    orders = (
        R * m0 * m1 * n0 * r + R * n0 * r * m1 * n1,
        R * m0 * m1 * n1 * r + R * m0 * r * n1 * n0,
        R * m0 * m1 * n0 * n1,
    )
    assert entry.flops in [2 * flops for flops in orders]
    assert entry.dense_flops == 2 * R * M * N


def test_sites_that_do_not_hold_a_layer_are_told_at_the_rule(planned: Planning, toys: ModuleType) -> None:
    text = 'select up = * where name ~ "up"\nrewrite up -> mpo(sites: [2x2, 2x2], max_bond: 2)\n'
    with pytest.raises(SpecError) as caught:
        planned(toys.mlp(), text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message == "layer `up`: sites span 4x4, less than the weight's 16x24"
    assert diagnostic.span is not None
    assert diagnostic.span.place() == "spec.qtn:3:1"


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_told_by_layer(number: float, planned: Planning, toys: ModuleType) -> None:
    proto = toys.mlp()
    weight = np.array(numpy_helper.to_array(proto.graph.initializer[0]))
    weight[3, 5] = number
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "up.weight"))
    with pytest.raises(PassError, match="the weight of layer `up` holds NaN or infinity"):
        planned(proto, "select all = *\nrewrite all -> lowrank(rank: 2)\n")


def tensors(graph: onnx.GraphProto) -> Iterable[TensorProto]:
    """Initialisers of a graph and its branches."""
    yield from graph.initializer
    for inner in (a.g for n in graph.node for a in n.attribute if a.HasField("g")):
        yield from tensors(inner)


def counted(proto: onnx.ModelProto) -> tuple[int, int]:
    """Floating-point elements, and bytes of all initialisers."""
    arrays = [numpy_helper.to_array(tensor) for tensor in tensors(proto.graph)]
    return sum(a.size for a in arrays if a.dtype.kind == "f"), sum(a.nbytes for a in arrays)


def shared(toys: ModuleType) -> onnx.ModelProto:
    """Two products by one weight, and a table that is the weight of a third."""
    nodes = [
        node("Gather", ["t", "ids"], ["e"], name="table"),
        node("MatMul", ["e", "w"], ["a"], name="first"),
        node("MatMul", ["a", "w"], ["b"], name="second"),
        node("MatMul", ["b", "t"], ["y"], name="head"),
    ]
    ids, y = toys.value("ids", ["batch", "seq"], toys.INT64), toys.value("y", ["batch", "seq", 12])
    return toys.model(nodes, [ids], [y], [toys.weight("t", 12, 12), toys.weight("w", 12, 12)])


def biased(toys: ModuleType) -> onnx.ModelProto:
    nodes = [node("Gemm", ["x", "w", "c"], ["y"], transB=1)]
    weights = [toys.weight("w", 24, 16), toys.weight("c", 24)]
    return toys.model(nodes, [toys.value("x", ["batch", 16])], [toys.value("y", ["batch", 24])], weights)


def returned(toys: ModuleType) -> onnx.ModelProto:
    """A weight that the model also returns."""
    proto = toys.mlp()
    proto.graph.output.append(toys.value("up.weight", [16, 24]))
    return proto


@pytest.mark.parametrize("make", ["mlp", "branching", shared, biased, returned])
@pytest.mark.parametrize("select", ["*", 'MatMul where name ~ "w" or name ~ "up"'])
@pytest.mark.parametrize("rule", ["lowrank(rank: 2)", "mpo(sites: 2, max_bond: 2)"])
def test_totals_are_those_of_the_weights_before_and_after(
    make: Any, select: str, rule: str, planned: Planning, canonical: Canonical, toys: ModuleType
) -> None:
    if make is biased and "MatMul" in select:
        select = "Gemm"
    proto = make(toys) if callable(make) else getattr(toys, make)()
    planning = planned(proto, f"optimize memory\nselect s = {select}\nrewrite s -> {rule}\n")
    plan = planning.plan
    assert (plan.model_parameters, plan.model_bytes) == counted(proto)
    assert planning.decisions
    model = Pipeline([MatmulToLowrank(planning.decisions), MatmulToMpo(planning.decisions)]).run(canonical(proto)).model
    assert (plan.parameters, plan.bytes) == counted(ir.to_proto(model))
    assert plan.share == plan.parameters / plan.model_parameters


CALIBRATED = 'data calib = npz("calib.npz")\noptimize memory\nselect s = *\nrewrite s -> lowrank(rank: 3) on calib\n'


def test_an_error_is_in_the_metric_that_is_named(planned: Planning, toys: ModuleType) -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((50, 16)) * 10.0 ** rng.uniform(-1, 1, 16)).astype(np.float32)
    proto = toys.mlp()
    up, down = (numpy_helper.to_array(t).astype(np.float64) for t in proto.graph.initializer)
    hidden = np.maximum(x @ up.astype(np.float32), 0.0)

    def best(matrix: NDArray[Any]) -> float:
        """Least relative error of any matrix of rank 3."""
        values = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
        return float(np.linalg.norm(values[3:]) / np.linalg.norm(values))

    weighted = named(planned(proto, CALIBRATED, {"calib": DataSet("calib", {"x": x})}).plan)
    plain = named(planned(proto, CALIBRATED.replace(" on calib", "")).plan)
    assert {e.metric for e in weighted.values()} == {"calib"}
    assert {e.metric for e in plain.values()} == {"weights"}
    for name, weight, inputs in (("up", up, x), ("down", down, hidden)):
        # The closest W' to XW is its SVD; what is fitted has a ridge of 1e-6 of the mean variance.
        assert weighted[name].predicted_error == pytest.approx(best(inputs @ weight), rel=1e-4)
        assert plain[name].predicted_error == pytest.approx(best(weight), rel=1e-12)
        ours, theirs = weighted[name].baselines, plain[name].baselines
        assert ours is not None
        assert theirs is not None
        assert ours.whitened_svd == weighted[name].predicted_error
        assert theirs.whitened_svd is None
        assert theirs.svd == pytest.approx(plain[name].predicted_error, rel=1e-12)
        assert ours.svd > weighted[name].predicted_error


def test_data_is_run_for_the_layers_that_read_it_alone(planned: Planning, toys: ModuleType) -> None:
    text = CALIBRATED.replace("s = *", 's = * where name ~ "down"') + 'select up = * where name ~ "up"\n'
    data = {"calib": DataSet("calib", {"x": np.ones((3, 16), np.float32)})}
    decisions = planned(toys.mlp(), text + "rewrite up -> lowrank(rank: 2)\n", data).decisions
    shapes = {d.layer: None if d.covariance is None else d.covariance.shape for d in decisions}
    assert shapes == {"up": None, "down": (24, 24)}


def test_a_decision_leaves_nothing_open(planned: Planning, toys: ModuleType) -> None:
    text = "optimize memory\nselect s = *\nrewrite s -> mpo(sites: auto, bytes: 40%)\n"
    planning = planned(toys.mlp(), text)
    for entry, decision in zip(planning.plan.layers, planning.decisions, strict=True):
        assert entry.layer == decision.layer
        assert entry.settled == decision.structure.settled()
        assert entry.parameters == decision.structure.network(entry.shape).parameters
        assert entry.share <= 0.4
        assert entry.reason.startswith("least error of ")


def test_the_estimate_holds_what_the_weights_take(planned: Planning, toys: ModuleType) -> None:
    plan = planned(toys.mlp(), "").plan
    assert plan.estimate.memory_bytes >= plan.model_bytes
    assert plan.estimate.seconds >= 0.0


@pytest.mark.parametrize(
    ("selection", "layers"),
    [
        ('upstream of (* where name ~ "down")', ("up",)),
        ('downstream of (* where name ~ "up")', ("down",)),
        ("bottom 1 of * by error of lowrank(rank: 8)", ("down",)),  # of rank 8 itself
        ("* - bottom 1 of * by bytes", ("up",)),
    ],
)
def test_sets_that_ask_for_the_graph_or_for_weights(
    selection: str, layers: tuple[str, ...], planned: Planning, toys: ModuleType
) -> None:
    assert planned(toys.mlp(), f"select it = {selection}\n").selected["it"] == layers


def test_an_ignored_layer_is_planned_by_nobody_and_shown(planned: Planning, toys: ModuleType) -> None:
    text = (
        'optimize memory\nselect all = *\nselect head = * where name ~ "down"\n'
        "rewrite head -> lowrank(rank: 1)\nignore head\nrewrite all -> lowrank(rank: 2)\n"
    )
    plan = planned(toys.mlp(), text).plan
    assert [(entry.layer, entry.overruled) for entry in plan.layers] == [("up", ())]
    assert plan.ignored == (Ignored("down", "spec.qtn:6"),)
    assert plan.unclaimed == 0
    assert "down: ignored by spec.qtn:6" in plan_table(plan).splitlines()


def test_rows_reach_the_search_under_latency_alone(planned: Planning, toys: ModuleType) -> None:
    """A sum of Kronecker products, which an operator holds in less than low rank does, and slower."""
    rng = np.random.default_rng(0)
    whole = sum(np.kron(rng.standard_normal((8, 8)), rng.standard_normal((8, 8))) for _ in range(4))
    proto = single(toys, 64, 64, 256)
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.asarray(whole, np.float32), "w"))
    text = "select all = *\nrewrite all -> mpo(sites: auto, error: 70%)\n"
    found = {}
    for goal in ("memory", "balanced", "latency"):
        (found[goal],) = planned(proto, f"optimize {goal}\n{text}", ratio=0.5).plan.layers
    assert found["memory"].settled == found["balanced"].settled != found["latency"].settled
    assert found["memory"].parameters < found["latency"].parameters < 64 * 64
    assert found["latency"].reason.startswith("fastest by the cost model")
