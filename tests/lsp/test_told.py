"""What a model tells by JSON is enough to select by: as `qtnc check` does with the model itself."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from onnx import helper, numpy_helper

from qtnc.compiler import check, prepare
from qtnc.errors import InternalError
from qtnc.importers.onnx import read_model
from qtnc.ir.layers import find_layers
from qtnc.lsp.reading import Reading, read
from qtnc.lsp.told import LONGEST_NAME, ToldModel, told
from qtnc.source import Source
from qtnc.spec.file import read_text

ROOT = Path(__file__).parents[2]

SPEC = """qtn 1
select all   = *
select some  = MatMul where weight.rows divisible by 16 and not depth >= 90%
select big   = top 3 of some by bytes
select after = downstream of big
select front = upstream of (top 1 of MatMul by elements)
select typed = * where weight.dtype == float32 and weight.shape != *x128 and block in [1, 2]
select hard  = top 2 of some by entropy
select hope  = hard - big
emit onnx
"""


def told_of(path: Path) -> ToldModel:
    model = prepare(read_model(path))
    return ToldModel.decoded(told(model, find_layers(model)).encoded())


def on(text: str, path: Path) -> Reading:
    return read(Source("a.qtn", text), path.parent, read_text).on(told_of(path))


def test_what_is_selected_is_what_check_says() -> None:
    path = ROOT / "examples" / "tinylm" / "tinylm.onnx"
    checked = check(Source("a.qtn", SPEC), path).checked
    assert checked is not None
    found = on(SPEC, path)
    assert found.chosen == {name: names for name, names in checked.selected.items() if names is not None}
    assert found.chosen.keys() == {"all", "some", "big", "after", "front", "typed"}
    assert not found.empty


def test_selectors_that_are_wrong_say_nothing_and_others_do(tmp_path: Path, toys: ModuleType) -> None:
    text = """qtn 1
select fine = MatMul
select odd  = MatMul where nam ~ "x"
select more = odd and fine
select lost = none or fine
select last = fine where name ~ "up"
select void = fine where name ~ "x"
rewrite fine -> mpo(max_bond
"""
    found = on(text, toys.write(toys.mlp(), tmp_path / "m.onnx"))
    assert found.chosen == {"fine": ("up", "down"), "last": ("up",), "void": ()}
    assert [said.message for said in found.empty] == ["`void` selects nothing"]


def test_no_weight_is_told(tmp_path: Path, toys: ModuleType) -> None:
    model = told_of(toys.write(toys.mlp(), tmp_path / "m.onnx"))
    assert len(model.encoded()) < 2000
    with pytest.raises(InternalError, match="not told"):
        model.layers[0].matrix()


def test_layers_with_endless_names_are_left_out(tmp_path: Path, toys: ModuleType) -> None:
    proto = toys.mlp()
    proto.graph.initializer[0].name = proto.graph.node[0].input[1] = "x" * (LONGEST_NAME + 1)
    assert [layer.name for layer in told_of(toys.write(proto, tmp_path / "m.onnx")).layers] == ["down"]


def test_layers_in_branches_are_told(tmp_path: Path, toys: ModuleType) -> None:
    weight = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    branches = {
        side: helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], [side], name=side)], side, [], [toys.value(side, [1, 4])]
        )
        for side in ("then_branch", "else_branch")
    }
    node = helper.make_node("If", ["c"], ["y"], **branches)
    inputs = [toys.value("x", [1, 4]), toys.value("c", [], toys.BOOL)]
    path = toys.write(toys.model([node], inputs, [toys.value("y", [1, 4])], [weight]), tmp_path / "m.onnx")
    found = on("qtn 1\nselect a = MatMul\nselect b = upstream of a or a\nemit onnx\n", path)
    assert [len(names) for names in (found.chosen or {}).values()] == [2, 2]
