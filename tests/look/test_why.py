"""Why a layer becomes what it becomes: every answer is the one that a selection gives, with the reason in words."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qtnc.backends.options import BACKENDS
from qtnc.compiler import prepare
from qtnc.importers.onnx import read_model
from qtnc.ir.layers import find_layers
from qtnc.ir.paths import LayerPaths
from qtnc.look.why import why
from qtnc.source import Source
from qtnc.spec.read import read_source
from qtnc.spec.select import settle
from qtnc.structures.registry import STRUCTURES

Run = Callable[..., Any]

TINYLM = Path(__file__).parents[2] / "examples" / "tinylm" / "tinylm.onnx"
QUERY = "layers.2.attn.q_proj"

# What is asked, and what is said of the query product of layer 2, 128 x 128; None where it is in.
CASES: list[tuple[str, str | None]] = [
    ("MatMul", None),
    ("Gather", "`Gather`: it is a `MatMul`"),
    ('* where name ~ "*.attn.*"', None),
    ('MatMul where name ~ "*.mlp.*"', f'`name ~ "*.mlp.*"`: its name is `{QUERY}`'),
    (r'* where name ~ re"layers\.[01]\."', rf'`name ~ re"layers\.[01]\."`: its name is `{QUERY}`'),
    ("* where weight.elements >= 64Ki", "`weight.elements >= 64Ki`: it has 16,384"),
    ("* where block in [0, 1]", "`block in [0, 1]`: it has 2"),
    ("* where weight.rows divisible by 3", "`weight.rows divisible by 3`: it has 128"),
    ("* where weight.shape == *x256", "`weight.shape == *x256`: it is stored as 128x128"),
    ("* where weight.dtype == float16", "`weight.dtype == float16`: it is float32"),
    ("* where not weight.elements == 16384", "`not weight.elements == 16384`: it is in `weight.elements == 16384`"),
    ("* where block == 1 or block == 3", "`block == 1 or block == 3`: `block == 1`: it has 2; `block == 3`: it has 2"),
    ("MatMul - attn", "`- attn`: it is in `attn`"),
    ("below and MatMul", f'`below`: it is not in `below`, for `name ~ "*.mlp.*"`: its name is `{QUERY}`'),
    ("top 2 of below by elements", f'`name ~ "*.mlp.*"`: its name is `{QUERY}`'),
    ("upstream of attn", "`upstream of attn`: it is in `attn` itself"),
    ('upstream of (* where name ~ "*.1.*")', "no path leads from it to that"),
    ('downstream of (* where name ~ "*.3.*")', "no path leads to it from that"),
    (
        "top 1 of attn by elements",
        "`top 1 of attn by elements`: its elements is 16384, those chosen have at least 16384",
    ),
    ("bottom 1 of * by elements", "those chosen have at most"),
]


def spec_of(selection: str) -> Any:
    text = (
        'qtn 1\nselect attn = MatMul where name ~ "*.attn.*"\nselect below = MatMul where name ~ "*.mlp.*"\n'
        f"select asked = {selection}\nrewrite asked -> lowrank(rank: 2)\nemit onnx\n"
    )
    return read_source(Source("spec.qtn", text), STRUCTURES, BACKENDS, Path())


@pytest.fixture(scope="module")
def model() -> Any:
    return prepare(read_model(TINYLM))


@pytest.mark.parametrize(("selection", "said"), CASES)
def test_what_is_said_of_one_layer(selection: str, said: str | None, model: Any) -> None:
    answer = next(a for a in why(model, spec_of(selection), QUERY).answers if "select asked" in a.statement.text)
    assert answer.holds == (said is None)
    assert (said or "") in answer.reason


@pytest.mark.parametrize("selection", [selection for selection, _ in CASES])
def test_every_answer_is_that_of_the_selection(selection: str, model: Any) -> None:
    spec, layers = spec_of(selection), find_layers(model)
    chosen = settle(spec, layers, LayerPaths(model, layers)).chosen
    for layer in layers[:12]:
        for answer, select in zip(why(model, spec, layer.name).answers, spec.selects.values(), strict=False):
            assert answer.holds == (layer.name in chosen[select.name])
            assert answer.holds == (answer.reason == "")


SPEC = """qtn 1
bind batch = 4
select all = MatMul
select up  = MatMul where name ~ "up"
rewrite all -> lowrank(rank: 2)
rewrite up  -> lowrank(
    rank: 3)
emit onnx
"""


@pytest.fixture
def home(place: Any) -> Any:
    place.spec.write_text(SPEC)
    return place


def test_the_command_says_it(qtnc: Run, home: Any) -> None:
    done = qtnc("why", home.model, home.spec, "up")
    assert (done.code, done.err) == (0, "")
    spec = home.spec
    assert done.out == (
        "up: MatMul, 16x24, float32, 384 elements\n\n"
        f"{spec}:3:1: select all = MatMul\n    yes\n"
        f'{spec}:4:1: select up  = MatMul where name ~ "up"\n    yes\n'
        f"{spec}:5:1: rewrite all -> lowrank(rank: 2)\n    yes: line 6 comes later and wins\n"
        f"{spec}:6:1: rewrite up  -> lowrank(\n    yes: it wins\n\n"
        "`lowrank` is asked for; `qtnc plan` settles it, or says why not\n"
    )
    told = json.loads(qtnc("why", home.model, home.spec, "down", "--format", "json").out)
    assert [a["holds"] for a in told["answers"]] == [True, False, True, False]
    assert told["answers"][1]["reason"] == '`name ~ "up"`: its name is `down`'
    assert told["answers"][3]["reason"] == "the layer is not in `up`"


def test_ignored_unclaimed_and_declined_layers(qtnc: Run, home: Any, toys: Any) -> None:
    def outcome(layer: str) -> str:
        return str(json.loads(qtnc("why", home.model, home.spec, layer, "--format", "json").out)["outcome"])

    home.spec.write_text(SPEC.replace("emit", "ignore up\nemit"))
    assert outcome("up") == "it stays dense: it is ignored"
    home.spec.write_text(SPEC.replace("rewrite all -> lowrank(rank: 2)\n", ""))
    assert outcome("down") == "it stays dense: no rewrite claims it"
    toys.write(toys.reader(), home.model)
    home.spec.write_text("qtn 1\nbind batch = 1, seq = 1\nselect all = *\nrewrite all -> lowrank(rank: 2)\nemit onnx\n")
    assert outcome("table").startswith("it stays dense all the same: ")


def test_a_layer_that_is_none(qtnc: Run, home: Any) -> None:
    done = qtnc("why", home.model, home.spec, "upp")
    assert done.code == 2
    assert "the model has no layer `upp`\n  = help: did you mean `up`?" in done.err


def test_an_empty_selector_is_no_reason_to_say_nothing(qtnc: Run, home: Any) -> None:
    """It is what one asks about."""
    home.spec.write_text(SPEC.replace('"up"', '"upp"'))
    done = qtnc("why", home.model, home.spec, "up")
    assert done.code == 0
    assert 'no: `name ~ "upp"`: its name is `up`' in done.out


def test_a_layer_that_a_rule_may_have_renamed(qtnc: Run, home: Any) -> None:
    home.spec.write_text(SPEC.replace("emit", "rule none {\n match y = Relu(Relu(x))\n replace y = Relu(x)\n}\nemit"))
    done = qtnc("why", home.model, home.spec, "nowhere_near")
    assert done.code == 2
    assert (
        "= help: what the spec does to the graph runs before; `qtnc plan` lists the layers that it leaves" in done.err
    )
