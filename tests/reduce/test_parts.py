"""The parts of the search: delta debugging, smaller graphs, smaller specs, what counts as the same failure."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtnc.importers.valid import model_fault
from qtnc.ir.inference import infer_shapes
from qtnc.reduce.ddmin import smallest
from qtnc.reduce.graph import bytes_of, part_of, resized, seeded, sizes_of, weights_of
from qtnc.reduce.text import Statement, moved, shortened, statements_of, text_of
from qtnc.reduce.trial import Outcome, Sought, run
from qtnc.source import Source
from qtnc.spec.syntax import lexemes, recover

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").rglob("*.qtn"))


@given(st.sets(st.integers(0, 40)), st.integers(0, 40))
def test_what_is_needed_stays_and_nothing_else(needed: set[int], count: int) -> None:
    tried: list[tuple[int, ...]] = []

    def holds(kept: tuple[int, ...]) -> bool:
        tried.append(kept)
        return needed & {*range(count)} <= {*kept}

    assert smallest(range(count), holds) == tuple(sorted(needed & {*range(count)}))
    assert len(tried) <= 4 * count * max(1, len(needed)) + 4


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 30))
def test_no_single_one_can_go(items: list[int], least: int) -> None:
    """What holds hangs on a sum, of which many sets are the smallest."""
    if sum(items) < least:
        return
    found = smallest(items, lambda kept: sum(kept) >= least)
    assert sum(found) >= least
    assert all(sum(found) - item < least for item in found)


def model_of(proto: onnx.ModelProto) -> ir.Model:
    return infer_shapes(ir.from_proto(proto))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_part_of_a_graph_is_a_model(data: st.DataObject, toys: Any) -> None:
    name = data.draw(st.sampled_from(["mlp", "scaled", "reader", "old", "branching", "scanning"]))
    model = model_of(getattr(toys, name)())
    before = ir.to_proto(model).SerializeToString()
    kept = data.draw(st.sets(st.integers(0, len(model.graph) - 1)))
    part = part_of(model, kept)
    assert ir.to_proto(model).SerializeToString() == before
    assert (part is None) == (not kept)
    if part is not None:
        assert [node.op_type for node in part.graph] == [n.op_type for k, n in enumerate(model.graph) if k in kept]
        if "branching" not in name and "scanning" not in name:  # outputs of bodies have no shapes
            assert model_fault(part) is None


def test_a_part_computes_what_the_whole_does(toys: Any) -> None:
    model = model_of(toys.mlp())
    part = part_of(model, {1, 2})
    assert part is not None
    assert [value.name for value in part.graph.inputs] == ["a"]
    assert [value.name for value in part.graph.outputs] == ["y"]
    assert list(part.graph.initializers) == ["down.weight"]
    a = np.random.default_rng(0).standard_normal((3, 24)).astype(np.float32)
    down = model.graph.initializers["down.weight"].const_value
    assert down is not None
    session = onnxruntime.InferenceSession(ir.to_proto(part).SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"a": a})[0], np.maximum(a, 0) @ down.numpy(), rtol=1e-5)
    first = part_of(model, {0})
    assert first is not None
    assert [value.name for value in first.graph.outputs] == ["a"]


def test_sizes_become_smaller_together(toys: Any) -> None:
    model = model_of(toys.mlp())
    assert sizes_of(model) == [24, 16, 8]
    small = infer_shapes(resized(resized(model, 24, 3), 16, 2))
    shapes = [tuple(v.const_value.shape) for v in small.graph.initializers.values() if v.const_value is not None]
    assert shapes == [(2, 3), (3, 8)]
    assert model_fault(small) is None
    assert bytes_of(small) == 4 * (6 + 24)


def weights(model: ir.Model) -> dict[str, np.ndarray]:
    return {n: v.const_value.numpy() for n, v in model.graph.initializers.items() if v.const_value is not None}


def test_weights_tell_nothing(toys: Any) -> None:
    model = model_of(toys.mlp())
    assert weights_of(model) == ["up.weight", "down.weight"]
    other = seeded(model, {"up.weight"})
    before, after, again = (weights(m) for m in (model, other, seeded(model, {"up.weight"})))
    np.testing.assert_array_equal(before["down.weight"], after["down.weight"])
    assert np.linalg.norm(before["up.weight"] - after["up.weight"]) > np.linalg.norm(before["up.weight"])
    np.testing.assert_array_equal(again["up.weight"], after["up.weight"])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_statements_put_together_are_the_spec(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    again = text_of(statements_of(text))
    assert recover(Source("again", again))[1] == ()
    assert [lexeme.text for lexeme in lexemes(again)] == [lexeme.text for lexeme in lexemes(text)]


@given(st.data())
@settings(max_examples=50)
def test_any_of_them_are_a_spec(data: st.DataObject) -> None:
    statements = statements_of(data.draw(st.sampled_from(EXAMPLES)).read_text(encoding="utf-8"))
    kept = data.draw(st.sets(st.integers(0, len(statements) - 1)))
    text = text_of([s for place, s in enumerate(statements) if place in kept])
    assert recover(Source("spec", text))[1] == ()


def test_what_cannot_be_read_stays_whole() -> None:
    text = "# nothing\nqtn 1\nselect =\n"
    assert statements_of(text) == [Statement(text, whole=True)]
    assert text_of(statements_of(text)) == text
    assert moved(text) == (text, {})


def test_clauses_go() -> None:
    found = {s.text for s in shortened(Statement('select a = MatMul where name ~ "x"'))}
    assert found == {"select a = MatMul"}
    assert {s.text for s in shortened(Statement("rewrite a -> mpo(max_bond: 8) on calib"))} == {
        "rewrite a -> mpo(max_bond: 8)"
    }
    assert {s.text for s in shortened(Statement("emit qiskit(shots: 3)"))} == {"emit qiskit"}


RULE = """rule a {
    match   y = Relu(x)
    where   rank(x) == 2
    replace y = Abs(x)
    example {
        before y = Relu(x: float[2])
        after  y = Abs(x)
    }
}"""


def test_a_rule_is_one_statement_and_loses_what_it_may_do_without() -> None:
    text = f"qtn 1\n{RULE}\nemit onnx\n"
    statements = statements_of(text)
    assert [statement.text for statement in statements] == [RULE, "emit onnx"]
    assert text_of(statements) == text
    bare = RULE[: RULE.index("    example")] + "}"
    assert [s.text for s in shortened(statements[0])] == [RULE.replace("    where   rank(x) == 2\n", ""), bare]
    assert list(shortened(Statement(bare.replace("    where   rank(x) == 2\n", "")))) == []


def test_data_lie_beside_the_spec() -> None:
    text = 'qtn 1\ndata a = npz("../x/a.npz") take 3\ndata b = npz("b.npz")\n'
    found, files = moved(text)
    assert found == 'qtn 1\ndata a = npz("a.npz") take 3\ndata b = npz("b.npz")\n'
    assert files == {"a.npz": Path("../x/a.npz"), "b.npz": Path("b.npz")}


def test_the_same_failure_has_other_names_and_numbers() -> None:
    first = Outcome(1, "note: x\nspec.qtn:3:1: error: `a.b` selects 12 of 3.5\n  = help: no\n")
    assert first.reason == "`_` selects 0 of 0"
    sought = Sought(1, None, first.reason)
    assert sought.is_met(Outcome(1, "other.qtn:9:9: error: `c` selects 1 of 2"))
    assert not sought.is_met(Outcome(2, first.said))
    assert not sought.is_met(Outcome(1, "error: `c` is lost"))
    assert not sought.is_met(Outcome(None, ""))
    assert Sought(1, "help: no", "").is_met(first)
    assert Outcome(-11, "").reason == ""


def test_a_trial_ends(tmp_path: Path) -> None:
    assert run(["--version"], tmp_path, 60).code == 0
    assert run(["--version"], tmp_path, 0.0).code is None
    assert "error: cannot read the spec" in run(["check", "absent.qtn"], tmp_path, 60).shown
