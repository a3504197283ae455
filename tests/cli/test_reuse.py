"""Specs of several files, values by name and values set, through the commands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

MAIN = """qtn 1
bind batch = 4
let most = 3
include "more/house.qtn"
stage last {
    rewrite up -> lowrank(rank: most)
}
emit onnx
"""
HOUSE = """qtn 1

select all = MatMul
select up  = all where name ~ "up"
rewrite all -> lowrank(rank: 1)
"""


@pytest.fixture
def home(place: Any) -> Any:
    place.spec.write_text(MAIN)
    (place.folder / "more").mkdir()
    (place.folder / "more" / "house.qtn").write_text(HOUSE)
    return place


def test_plan_shows_the_file_of_a_rule_and_what_it_wins_over(qtnc: Run, home: Any) -> None:
    done = qtnc("plan", home.model, home.spec, "--json")
    assert (done.code, done.err) == (0, "")
    layers = {entry["layer"]: entry for entry in json.loads(done.out)["layers"]}
    assert (layers["up"]["rule"], layers["up"]["overruled"]) == ("spec.qtn:6", ["house.qtn:5"])
    assert layers["up"]["settled"] == {"rank": 3}
    assert (layers["down"]["rule"], layers["down"]["overruled"]) == ("house.qtn:5", [])
    assert "spec.qtn:6 wins over house.qtn:5" in qtnc("plan", home.model, home.spec).out


def test_why_goes_through_the_files_in_the_order_of_the_text(qtnc: Run, home: Any) -> None:
    done = qtnc("why", home.model, home.spec, "up", "--format", "json")
    answers = json.loads(done.out)["answers"]
    house = home.folder / "more" / "house.qtn"
    assert [answer["place"] for answer in answers] == [
        f"{house}:3:1",
        f"{house}:4:1",
        f"{house}:5:1",
        f"{home.spec}:6:5",
    ]
    assert [answer["reason"] for answer in answers] == ["", "", f"{home.spec}:6 comes later and wins", "it wins"]


def test_check_names_the_file(qtnc: Run, home: Any) -> None:
    done = qtnc("check", home.model, home.spec)
    assert "house.qtn:5: rewrite all -> lowrank(rank: 1): 2 layers\nspec.qtn:6: rewrite up" in done.out
    assert qtnc("check", home.spec).out == "spec.qtn: 2 selectors, 2 rewrites, 1 stage; no mistakes\n"
    (home.folder / "more" / "house.qtn").write_text(HOUSE + "select none = Gather\n")
    done = qtnc("check", home.model, home.spec)
    assert (done.code, done.out) == (1, "")
    assert "more/house.qtn:6:15: error: `none` selects nothing\n  6 | select none = Gather" in done.err
    assert done.err.endswith(f"= included at {home.spec}:4:1\n")


def test_check_says_which_selectors_of_a_recipe_are_empty(qtnc: Run, home: Any) -> None:
    home.spec.write_text("qtn 1\nbind batch = 4\ninclude <cnn>\nemit onnx\n")
    done = qtnc("check", home.model, home.spec)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[:3] == [f"{x}: none of 2 layers" for x in ("pointwise", "spatial", "head")]


def test_a_value_that_is_set_is_recorded_and_obeyed(qtnc: Run, home: Any) -> None:
    done = qtnc("compile", home.model, home.spec, "-o", home.out, "--set", "most=2")
    assert done.code == 0, done.err
    plan = json.loads((home.out / "plan.json").read_text())
    manifest = json.loads((home.out / "manifest.json").read_text())
    assert plan["settings"] == manifest["settings"] == {"most": "2"}
    assert {entry["layer"]: entry["settled"]["rank"] for entry in plan["layers"]} == {"up": 2, "down": 1}
    again = home.folder / "again"
    recorded = home.out / "plan.json"
    replayed = qtnc("compile", home.model, home.spec, "-o", again, "--plan", recorded)
    assert (replayed.code, "--set is" in replayed.err) == (1, True)
    replayed = qtnc("compile", home.model, home.spec, "-o", again, "--plan", recorded, "--set", "most=2")
    assert replayed.code == 0, replayed.err
    assert (again / "onnx" / "model.onnx").read_bytes() == (home.out / "onnx" / "model.onnx").read_bytes()
    wrong = qtnc("plan", home.model, home.spec, "--set", "most=50%")
    assert (wrong.code, wrong.out) == (2, "")
    assert "= help: `most` is `50%`, a percentage, by --set; " in wrong.err


def test_the_manifest_keeps_what_was_included(qtnc: Run, home: Any) -> None:
    (home.folder / "more" / "house.qtn").write_text(f"{HOUSE}include <llama>\n")
    done = qtnc("compile", home.model, home.spec, "-o", home.out)
    assert done.code == 0, done.err
    text = (home.out / "manifest.json").read_text()
    includes = json.loads(text)["includes"]
    assert list(includes) == ["more/house.qtn", "<llama>"]
    assert includes["more/house.qtn"] == f"{HOUSE}include <llama>\n"
    assert "select attn" in includes["<llama>"]
    assert str(home.folder) not in text
    assert qtnc("verify", home.out).code == 0


def test_a_folder_that_holds_an_included_file_is_not_replaced(qtnc: Run, home: Any) -> None:
    house = home.folder / "more" / "house.qtn"
    done = qtnc("compile", home.model, home.spec, "-o", house.parent, "--force")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"{house}: error: lies in the folder to be replaced")
    assert house.read_text() == HOUSE


def test_a_spec_reads_no_other_file(qtnc: Run, home: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.qtn"
    secret.write_text("password\n")
    (home.folder / "more" / "link.qtn").symlink_to(secret)
    for path in (secret, Path("more/link.qtn"), Path("more") / ".." / ".." / secret.parent.name / secret.name):
        home.spec.write_text(f'qtn 1\ninclude "{path}"\nemit onnx\n')
        done = qtnc("check", home.spec)
        assert (done.code, done.out) == (1, "")
        assert "lies outside of the folder of the spec" in done.err
        assert "password" not in done.err
