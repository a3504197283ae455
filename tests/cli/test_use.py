"""Python that a spec uses, from the command line: it runs where it should, and what it breaks is its own."""

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import qtnc as package

Run = Callable[..., Any]
Install = Callable[..., Path]

SPEC = """qtn 1
use "mine.py"
bind batch = 4
optimize memory
select all = MatMul
rewrite all -> lowrank(rank: 8)
emit onnx
"""

RULE = """
from onnx_ir.passes.common import CommonSubexpressionEliminationPass, RemoveUnusedNodesPass
from onnxscript.rewriter import RewriteRule, RewriteRuleClassBase, RewriteRuleSet

class FoldScale(RewriteRuleClassBase):
    '''Multiply the weight instead of the product.'''
    def pattern(self, op, x, w, s):
        return op.Mul(op.MatMul(x, w), s)
    def check(self, context, x, w, s):
        return w.const_value is not None and s.const_value is not None and s.const_value.size == 1
    def rewrite(self, op, x, w, s):
        return op.MatMul(x, op.Mul(w, s), _outputs=["scaled"])
"""

PASSES = """
from dataclasses import dataclass
from typing import ClassVar
from qtnc.pipeline import PassResult

@dataclass(frozen=True)
class Mine:
    '''Does what its body says.'''
    name: ClassVar[str] = "mine"
    largest: int = 3
    def run(self, model):
        {body}
        return PassResult(model, True)

PASSES = [Mine]
"""


@pytest.fixture
def home(place: Any, toys: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model with a scale behind a product, and a spec that uses ``mine.py``."""
    toys.write(toys.scaled(), place.model)
    place.spec.write_text(SPEC)
    monkeypatch.chdir(place.folder)
    return place


LARGE = """
from dataclasses import dataclass
from typing import ClassVar
from qtnc.authoring import Rewrite, decline

@dataclass(frozen=True)
class FoldScale(Rewrite):
    '''Multiply the weight instead of the product.'''
    name: ClassVar[str] = "fold-scale"
    match: ClassVar[str] = "y = Mul(MatMul(x, w: const), s: const scalar)"
    def replace(self, found, build):
        if found.number("s") > {largest}:
            decline("it scales by more than {largest}", at=found["s"])
        return build("MatMul", found["x"], found.array("w") * found.number("s"))

PASSES = [FoldScale]
"""


def mine(home: Any, text: str) -> Path:
    path = Path(home.folder) / "mine.py"
    path.write_text(text)
    return path


def compiled(qtnc: Run, home: Any, *more: Any) -> dict[str, Any]:
    done = qtnc("compile", home.model, home.spec, "-o", home.out, "--force", *more)
    assert done.code == 0, done.err
    manifest: dict[str, Any] = json.loads((home.out / "manifest.json").read_text())
    return manifest


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ("FoldScale", ["fold-scale"]),
        ("FoldScale.rule()", ["fold-scale"]),
        ("RewriteRuleSet([FoldScale.rule()])", ["rewrite-rule-set"]),
        (
            "FoldScale, CommonSubexpressionEliminationPass(), RemoveUnusedNodesPass, RemoveUnusedNodesPass()",
            ["fold-scale", "common-subexpression-elimination", "remove-unused-nodes", "remove-unused-nodes-2"],
        ),
    ],
)
def test_rules_and_passes_of_onnx_run_unwrapped(listed: str, names: list[str], qtnc: Run, home: Any) -> None:
    mine(home, f"{RULE}\nPASSES = [{listed}]\n")
    pipeline = compiled(qtnc, home, "--verify-each")["pipeline"].split(",")
    clean = ["canonicalize", "fold-constants"]
    assert pipeline[: pipeline.index("matmul-to-lowrank")] == [*clean, *names, *clean]
    graph = onnx.load(home.out / "onnx" / "model.onnx").graph
    assert "Mul" not in {node.op_type for node in graph.node}
    # rank 8 is exact for `down`; `up` is three times what it was, cut by numpy
    original = {
        w.name: onnx.numpy_helper.to_array(w).astype(np.float64) for w in onnx.load(home.model).graph.initializer
    }
    u, s, v = np.linalg.svd(3 * original["up.weight"])
    x = np.random.default_rng(0).standard_normal((5, 16))
    wanted = np.maximum(x @ (u[:, :8] * s[:8]) @ v[:8], 0) @ original["down.weight"]
    session = onnxruntime.InferenceSession(home.out / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    # float32 in sums of 24: some 50 roundings of 6e-8
    got = session.run(None, {"x": x.astype(np.float32)})[0]
    np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())


def test_passes_stand_where_a_pipeline_names_them_and_can_be_left_out(qtnc: Run, home: Any) -> None:
    mine(home, PASSES.format(body="print('ran', self.largest)"))
    assert "ran 3" in qtnc("compile", home.model, home.spec, "-o", home.out).out
    text = "mine{largest=7},canonicalize,fold-constants,matmul-to-lowrank,choose-contraction-order,lower-to-onnx"
    assert compiled(qtnc, home, "--pass-pipeline", text)["pipeline"] == text
    assert "mine" not in compiled(qtnc, home, "--disable-pass", "mine")["pipeline"]
    done = qtnc("compile", home.model, home.spec, "-o", home.out, "--force", "--disable-pass", "mne")
    assert (done.code, done.err.splitlines()[1]) == (2, "  = help: did you mean `mine`?")
    done = qtnc("compile", home.model, home.spec, "-o", home.out, "--force", "--pass-pipeline", "mine{large=7}")
    assert (done.code, done.err.splitlines()[1]) == (2, "  = help: did you mean `largest`?")


BROKEN = {
    "raise KeyError('boom')": ("{file}:12: error: pass `mine` of mine.py failed: KeyError: 'boom'", 1),
    "raise SystemExit(0)": ("{file}:12: error: pass `mine` of mine.py failed: SystemExit: 0", 1),
    "model.graph.outputs[0].name = 'z'": ("error: pass `mine` of mine.py changes the outputs of the model", 1),
    "model.graph.inputs.clear()": ("error: pass `mine` of mine.py changes the inputs of the model", 1),
    "return model": ("error: pass `mine` of mine.py returns a Model, not a PassResult with a model", 1),
    "model.graph[0].op_type = 'Nonsense'": ("error: pass `mine` of mine.py leaves what is no valid ONNX model: ", 1),
    "model.graph.remove(model.graph[2])": ("error: pass `mine` of mine.py leaves what is no valid ONNX model: ", 1),
    "model.graph[2].attributes['a\\x1b[2J'] = __import__('onnx_ir').AttrInt64('a\\x1b[2J', 1)": (
        "error: pass `mine` of mine.py leaves what is no valid ONNX model: ",
        1,
    ),
    "from qtnc.errors import PassError; raise PassError('not for this model')": ("error: not for this model", 1),
}


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("command", ["plan", "compile"])
def test_what_a_pass_breaks_is_its_own(command: str, body: str, qtnc: Run, home: Any) -> None:
    file = mine(home, PASSES.format(body=body))
    done = qtnc(command, home.model, home.spec, *(("-o", home.out) if command == "compile" else ()))
    message, code = BROKEN[body]
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(message.format(file=file))
    assert "\x1b" not in done.err
    if "not for this" not in body:
        assert f"  = help: it is used at {home.spec}:2:1: " in done.err
    assert not home.out.exists()
    assert not list(home.folder.glob("qtnc-bug-*"))


@pytest.mark.parametrize("command", ["plan", "compile", "check", "why"])
def test_python_is_refused(command: str, qtnc: Run, home: Any, install: Install) -> None:
    mine(home, f"open({str(home.folder / 'ran')!r}, 'x')\n{PASSES.format(body='pass')}")
    more = {"compile": ("-o", home.out), "why": ("up",)}.get(command, ())
    done = qtnc(command, home.model, home.spec, *more, "--no-python")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"{home.spec}:2:5: error: `mine.py` is Python, which is not allowed to run\n")
    assert not (home.folder / "ran").exists()
    install("other", {"other": "other:Other"}, "raise SystemExit")
    home.spec.write_text(SPEC.replace('use "mine.py"', "").replace("lowrank(rank: 8)", "other"))
    done = qtnc(command, home.model, home.spec, *more, "--no-python")
    assert "structure `other` comes from other 1.0, and plug-ins are not allowed" in done.err


def test_check_leaves_files_alone_unless_told(qtnc: Run, home: Any) -> None:
    mine(home, f"{RULE}\nPASSES = [FoldScale]\nopen({str(home.folder / 'ran')!r}, 'w').close()\n")
    done = qtnc("check", home.model, home.spec)
    assert (done.code, done.out.splitlines()[0]) == (0, "all: 2 of 2 layers: up, down")
    assert done.err.startswith(f"{home.spec}:2:1: note: `mine.py` is not run\n")
    told = json.loads(qtnc("check", home.model, home.spec, "--format", "json").out)
    assert told["not_run"] == ["mine.py"]
    home.spec.write_text(SPEC.replace("= MatMul", '= MatMul where name ~ "node_*"').replace("lowrank(", "unheard("))
    done = qtnc("check", home.model, home.spec)
    assert done.code == 1
    assert "`mine.py` is not run" in done.err
    assert "unheard" not in done.err
    assert not (home.folder / "ran").exists()
    home.spec.write_text(SPEC.replace("= MatMul", '= MatMul where name ~ "node_*"'))
    done = qtnc("check", home.model, home.spec, "--python")
    assert (done.code, done.err) == (0, "")
    assert (home.folder / "ran").exists()


def test_a_plan_is_of_one_text_of_the_file(qtnc: Run, home: Any) -> None:
    file = mine(home, f"{RULE}\nPASSES = [FoldScale]\n")
    plan = home.folder / "plan.json"
    plan.write_text(qtnc("plan", home.model, home.spec, "--json").out)
    first = compiled(qtnc, home, "--plan", plan)
    assert list(first["uses"]) == ["mine.py"]
    file.write_text(file.read_text() + "# another\n")
    done = qtnc("compile", home.model, home.spec, "-o", home.out, "--force", "--plan", plan)
    assert done.code == 1
    assert "it was made from another `use mine.py`" in done.err
    assert compiled(qtnc, home)["uses"] != first["uses"]


def test_the_file_does_not_lie_in_the_folder_to_be_replaced(qtnc: Run, home: Any) -> None:
    mine(home, PASSES.format(body="pass"))
    done = qtnc("compile", home.model, home.spec, "-o", home.folder, "--force")
    assert done.code == 1
    assert f"{home.folder / 'mine.py'}: error: lies in the folder to be replaced" in done.err


STRUCTURE = """
from dataclasses import dataclass, replace
from typing import ClassVar
from qtnc.structures.lowrank import LowRank
from qtnc.structures.options import option

@dataclass(frozen=True)
class Thin(LowRank):
    '''Low rank by another name.'''
    name: ClassVar[str] = "thin"
    k: int = option("count", 1, "some number")

    def settle(self, settled, shape, kept):
        return replace(self, rank=super().settle(settled, shape, kept).rank)

    def propose(self, problem):
        {body}
        return super().propose(problem)

STRUCTURES = [Thin]
"""


def test_a_structure_of_a_file_is_fitted_in_workers(qtnc: Run, home: Any) -> None:
    mine(home, STRUCTURE.format(body="pass"))
    home.spec.write_text(SPEC.replace("lowrank(rank: 8)", "thin(rank: 2, k: 3)"))
    files = []
    for jobs in (1, 2):
        compiled(qtnc, home, "--jobs", jobs, "--no-cache")
        files.append((home.out / "onnx" / "model.onnx").read_bytes())
    assert files[0] == files[1]
    plan = json.loads((home.out / "plan.json").read_text())
    assert {layer["structure"] for layer in plan["layers"]} == {"thin"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_it_raises_is_blamed_on_the_file(jobs: int, qtnc: Run, home: Any) -> None:
    file = mine(home, STRUCTURE.format(body="raise ZeroDivisionError('mine')"))
    home.spec.write_text(SPEC.replace("lowrank(rank: 8)", "thin(rank: 2, k: 3)"))
    done = qtnc("plan", home.model, home.spec, "--jobs", jobs, "--no-cache")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"{file}:17: error: ZeroDivisionError: mine\n")
    assert not list(home.folder.glob("qtnc-bug-*"))


def test_passes_of_packages_are_listed_and_named(install: Install, qtnc: Run, home: Any) -> None:
    source = PASSES.format(body="print('ran', self.largest)").replace('"mine"', '"other"')
    install("other-pack", {"other-mine": "other_pack:Mine"}, source, group="passes")
    install("poor-pack", {"poor": "poor_pack:Mine"}, "import absent", group="passes")
    install("rival", {"canonicalize": "rival:Mine"}, "raise SystemExit", group="passes")
    entries = {(e["name"], e["package"]): e for e in json.loads(qtnc("passes", "--format", "json").out)}
    found = entries["other-mine", "other-pack"]
    assert (found["usable"], found["version"], found["summary"]) == (True, "1.0", "Does what its body says.")
    assert found["options"] == [{"name": "largest", "type": "int", "default": "3"}]
    assert entries["canonicalize", "qtnc"]["version"] == version("qtnc")
    assert not entries["canonicalize", "rival"]["usable"]
    assert not entries["poor", "poor-pack"]["usable"]
    assert "(poor)" in qtnc("passes").out
    assert not json.loads(qtnc("passes", "--no-plugins", "--format", "json").out)[-2]["usable"]

    home.spec.write_text(SPEC.replace('use "mine.py"', "use other_mine(largest: 5)"))
    done = qtnc("compile", home.model, home.spec, "-o", home.out)
    assert "ran 5" in done.out
    manifest = json.loads((home.out / "manifest.json").read_text())
    assert manifest["versions"]["other-pack"] == "1.0"
    assert "other-mine{largest=5}" in manifest["pipeline"]
    home.spec.write_text(SPEC.replace('use "mine.py"', ""))
    done = qtnc("compile", home.model, home.spec, "-o", home.out, "--force", "--pass-pipeline", "other-mine{largest=6}")
    assert "ran 6" in done.out
    done = qtnc("opt", home.model, "--pass-pipeline", "other-mine", "--no-plugins")
    assert (done.code, done.out) == (1, "")
    assert "pass `other-mine` comes from other-pack 1.0, and plug-ins are not allowed" in done.err


def test_opt_uses_a_file(qtnc: Run, home: Any) -> None:
    file = mine(home, f"{RULE}\nPASSES = [FoldScale]\n")
    done = qtnc("opt", home.model, "--use", file, "--pass-pipeline", "fold-scale,fold-constants")
    assert (done.code, done.err) == (0, "")
    assert done.out.count("MatMul(") == 2
    assert "Mul(%a" not in done.out
    other = home.folder / "other.py"
    other.write_text(PASSES.format(body="pass").replace('"mine"', '"canonicalize"'))
    done = qtnc("opt", home.model, "--use", other, "--pass-pipeline", "canonicalize")
    assert (done.code, done.err.splitlines()[0]) == (2, "error: pass `canonicalize` of other.py is qtnc's own")


def test_from_python(home: Any) -> None:
    mine(home, f"{RULE}\nPASSES = [FoldScale]\n")
    assert [layer.structure for layer in package.plan(home.model, home.spec).layers] == ["lowrank", "lowrank"]
    with pytest.raises(package.QtncError, match="which is not allowed to run"):
        package.plan(home.model, home.spec, python=False)


@pytest.mark.parametrize(
    ("source", "layer", "said"),
    [
        (LARGE.format(largest=9), "up", "yes: pass `fold-scale`: it made this layer"),
        (LARGE.format(largest=9), "down", "no: pass `fold-scale`: neither it nor what reads it is a Mul"),
        (LARGE.format(largest=2), "up", "no: pass `fold-scale`: it scales by more than 2, at node `scale`"),
        (PASSES.format(body="pass"), "up", "no: pass `mine`: no rule, so that nothing tells what it did"),
    ],
)
def test_why_tells_what_passes_are_to_a_layer(source: str, layer: str, said: str, qtnc: Run, home: Any) -> None:
    mine(home, source)
    done = qtnc("why", home.model, home.spec, layer)
    assert done.code == 0, done.err
    assert f'spec.qtn:2:1: use "mine.py"\n    {said}' in done.out
