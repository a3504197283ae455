"""The page about structures of one's own: its class, its entry point and its spec work as they stand."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file

from qtnc.structures.options import KINDS, option
from qtnc.structures.plugins import MEMBERS, Structures
from qtnc.structures.structure import MisfitError, Problem
from qtnc.testing import check_structure

PAGE = (Path(__file__).parents[2] / "docs" / "structures.md").read_text(encoding="utf-8")
FOUND = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
BLOCKS = dict(FOUND) | {"python": "\n".join(text for language, text in FOUND if language == "python")}


@pytest.fixture
def kind(install: Callable[..., Path]) -> Any:
    """The class of the page, installed as its entry point says."""
    project = tomllib.loads(BLOCKS["toml"])["project"]
    words = project["entry-points"]["qtnc.structures"]
    install(project["name"], words, BLOCKS["python"], project["version"])
    return Structures()[next(iter(words))]


def test_the_class_compiles_by_the_spec(kind: Any, qtnc: Callable[..., Any], place: Any, load_emitted: Any) -> None:
    place.spec.write_text(BLOCKS["qtn"])
    done = qtnc("compile", place.model, place.spec, "-o", place.out)
    assert done.code == 0, done.err
    assert "blockdiag blocks 4" in done.out
    cores = load_file(place.out / "torch" / "model.safetensors")
    x = np.random.default_rng(0).standard_normal((5, 16)).astype(np.float32)

    def multiply(rows: Any, core: Any) -> Any:
        return np.concatenate([a @ b for a, b in zip(np.split(rows, 4, axis=1), core, strict=True)], axis=1)

    wanted = multiply(np.maximum(multiply(x, cores["up_core_0"]), 0), cores["down_core_0"])
    session = onnxruntime.InferenceSession(place.out / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    # float32 in another order of sums
    np.testing.assert_allclose(session.run(None, {"x": x})[0], wanted, rtol=1e-4, atol=1e-4)
    torch = pytest.importorskip("torch")
    emitted = load_emitted(place.out / "torch")(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(emitted, wanted, rtol=1e-4, atol=1e-4)


def test_what_does_not_fit_is_said_at_the_spec(kind: Any, qtnc: Callable[..., Any], place: Any) -> None:
    place.spec.write_text(BLOCKS["qtn"].replace("blocks: 4", "blocks: 5"))
    done = qtnc("plan", place.model, place.spec)
    assert (done.code, done.out) == (1, "")
    assert f"{place.spec}:4:1: error:" in done.err
    assert "5 blocks do not divide a weight of 16x24" in done.err


def test_the_fit_is_the_best_there_is(kind: Any, make_covariance: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    for covariance in (None, make_covariance("full", 8, 0)):
        problem = Problem(rng.standard_normal((8, 12)), covariance)
        (core,) = kind(2).fit(problem)
        best = problem.error(kind(2).dense((core,), problem.shape))
        assert kind(2).propose(problem).predicted_error == best
        for size in (1e-2, 1.0):
            moved = kind(2).dense((core + size * rng.standard_normal(core.shape),), problem.shape)
            assert problem.error(moved) > best
    np.testing.assert_array_equal(kind(2).project(np.ones((4, 4))), np.kron(np.eye(2), np.ones((2, 2))))


@pytest.mark.parametrize(
    ("options", "blocks"), [("blocks: 2", 2), ("bytes: 30%", 4), ("bytes: 50%", 2), ("error: 95%", 8), ("error: 1%", 1)]
)
def test_what_is_left_open_is_settled(
    options: str, blocks: int, install: Callable[..., Path], qtnc: Callable[..., Any], place: Any
) -> None:
    install("qtnc-blocks", {"blocks": "qtnc_blocks:Blocks"}, BLOCKS["python"])
    place.spec.write_text(
        f'qtn 1\noptimize memory\nselect up = MatMul where name ~ "up"\nrewrite up -> blocks({options})\nemit onnx\n'
    )
    done = qtnc("plan", place.model, place.spec)
    assert done.code == 0, done.err
    assert (
        "dense is smaller: blocks needs 384 of 384 parameters" if blocks == 1 else f"  blocks blocks {blocks}  "
    ) in done.out


def test_what_is_left_open_keeps_its_promises(install: Callable[..., Path]) -> None:
    install("qtnc-open", {"blocks": "qtnc_open:Blocks"}, BLOCKS["python"])
    kind: Any = Structures()["blocks"]
    for asked in (kind(bytes=0.3), kind(error=0.9)):
        check_structure(asked, ((16, 24), (8, 12)))
    assert kind(blocks=2, error=0.1).check() == "give one of `blocks`, `bytes` and `error`"
    with pytest.raises(MisfitError, match="4 blocks, the most there can be, take 25.0% of the bytes"):
        kind(bytes=0.2).propose(Problem(np.ones((8, 12))))


def test_a_plan_is_read_back_or_refused(kind: Any) -> None:
    assert kind(1).settle(kind(4).settled(), (8, 12), ()) == kind(4)
    with pytest.raises(MisfitError, match="5 blocks do not divide a weight of 8x12"):
        kind(1).settle({"blocks": 5}, (8, 12), ())


def test_every_member_is_listed() -> None:
    table = PAGE.split("| member |")[1].split("\n\n")[0]
    listed = re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in table.splitlines()[2:]))
    assert sorted([*listed, "name"]) == sorted(MEMBERS)


def test_kinds_of_options_are_listed() -> None:
    table = PAGE.split("| kind | in a spec |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(KINDS)
    with pytest.raises(ValueError, match="no kind of option `percentage`: kinds are count, fraction"):
        option("percentage", None, "a share")  # type: ignore[arg-type]
