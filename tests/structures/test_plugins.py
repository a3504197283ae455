"""Structures of other packages: known by name, imported when named, refused with the package and the way out."""

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from qtnc.errors import PluginError
from qtnc.structures.lowrank import LowRank
from qtnc.structures.plugins import Structures, packages_of
from qtnc.structures.registry import STRUCTURES

Run = Callable[..., Any]
Install = Callable[..., Path]

SOURCE = """
from dataclasses import dataclass, replace
from typing import ClassVar
from qtnc.structures.lowrank import LowRank
from qtnc.structures.options import option

@dataclass(frozen=True)
class Thin(LowRank):
    '''Low rank by another name.'''
    name: ClassVar[str] = "{name}"
    k: int = option("count", 1, "some number")

    def settle(self, settled, shape, kept):
        return replace(self, rank=super().settle(settled, shape, kept).rank)
"""


def spec(place: Any, rewrite: str) -> Path:
    place.spec.write_text(
        f"qtn 1\nbind batch = 4\nselect up = MatMul\nrewrite up -> {rewrite}\nemit onnx\noptimize memory\n"
    )
    return Path(place.spec)


def test_a_package_is_imported_only_when_a_spec_names_it(install: Install, qtnc: Run, place: Any) -> None:
    name = "other_thin"
    install("other-thin", {name: "other_thin:Thin"}, SOURCE.format(name=name))
    assert list(Structures()) == [*STRUCTURES, name]
    assert name in Structures()
    assert qtnc("check", spec(place, "lowrank(rank: 2)")).code == 0
    assert qtnc("check", spec(place, "other_thn(k: 2)")).err.endswith("= help: did you mean `other_thin`?\n")
    assert "other_thin" not in sys.modules
    assert qtnc("check", spec(place, f"{name}(k: 2)")).code == 0
    assert "other_thin" in sys.modules
    assert Structures()[name].name == name
    done = qtnc("check", spec(place, f"{name}(kk: 2)"))
    assert done.err.splitlines()[0].endswith(f"4:26: error: `{name}` has no option `kk`")


def test_rules_of_a_spec_that_names_one_are_applied_to_a_file(install: Install, qtnc: Run, place: Any) -> None:
    install("other-rules", {"ruled": "other_rules:Thin"}, SOURCE.format(name="ruled"))
    spec(place, "ruled(k: 2)")
    place.spec.write_text(place.spec.read_text() + "rule a {\n    match   y = Relu(x)\n    replace y = Abs(x)\n}\n")
    done = qtnc("opt", place.model, "--rules", place.spec)
    assert (done.code, done.err) == (0, "")
    assert "= Abs(" in done.out
    assert "no-plugins" in qtnc("opt", place.model, "--rules", place.spec, "--no-plugins").err


def test_it_has_no_pass_of_its_own_and_is_rewritten(install: Install, qtnc: Run, place: Any) -> None:
    install("other-kin", {"kin": "other_kin:Thin"}, SOURCE.format(name="kin"))
    done = qtnc("compile", place.model, spec(place, "kin(rank: 2, k: 3)"), "-o", place.out, "--verify-each")
    assert done.code == 0, done.err
    assert "  kin rank 2  " in done.out
    without = ("--force", "--disable-pass", "matmul-to-network")
    done = qtnc("compile", place.model, place.spec, "-o", place.folder / "dense", *without)
    assert "up stays dense: the pipeline has no pass to kin" in done.out
    assert json.loads((place.out / "manifest.json").read_text())["versions"]["other-kin"] == "1.0"
    assert packages_of(["kin", "lowrank"]) == ("other-kin",)


BROKEN = {
    "import absent_module": "cannot be imported: ModuleNotFoundError: No module named 'absent_module'",
    "raise SystemExit(3)": "cannot be imported: SystemExit: 3",
    "x = (": "cannot be imported: SyntaxError: '(' was never closed",
    "": "cannot be imported: AttributeError: module 'bad' has no attribute 'Thin'",
    "Thin = 3": "is no dataclass",
    "class Thin: name = 'bad'": "is no dataclass",
    "import dataclasses\n@dataclasses.dataclass\nclass Thin:\n  check = propose = fit = parts = dense = 0": (
        "is no structure: it has no `name`, `leaves_choice`, `project`, `settled`, `kept`, `settle`"
    ),
    SOURCE.format(name="good"): "calls itself `good`",
}


@pytest.mark.parametrize("source", BROKEN)
@pytest.mark.parametrize("command", ["check", "plan", "compile"])
def test_what_cannot_be_used_is_an_error_at_the_spec(
    command: str, source: str, install: Install, qtnc: Run, place: Any
) -> None:
    install("bad", {"bad": "bad:Thin"}, source)
    out = ("-o", place.out) if command == "compile" else ()
    done = qtnc(command, place.model, spec(place, "bad"), *out)
    assert (done.code, done.out) == (1, "")
    place_of, said, *_, way_out = done.err.split(": error: ")[0], *done.err.split(": error: ")[1].splitlines()
    assert place_of == f"{place.spec}:4:15"
    assert said.startswith(f"structure `bad` of bad 1.0 {BROKEN[source]}")
    assert way_out == "  = help: repair the package, or remove it: `pip uninstall bad`"
    assert not place.out.exists()


def test_ours_win(install: Install, qtnc: Run) -> None:
    install("rival", {"lowrank": "rival:Thin"}, "raise RuntimeError('imported')")
    assert Structures()["lowrank"] is LowRank
    assert list(Structures()) == list(STRUCTURES)
    entries = json.loads(qtnc("structures", "--format", "json").out)
    (rival,) = [entry for entry in entries if entry["package"] == "rival"]
    assert (rival["usable"], rival["summary"]) == (False, "not used: `lowrank` is qtnc's own")


def test_of_two_packages_neither_is_taken(install: Install, qtnc: Run, place: Any) -> None:
    for package in ("one", "two"):
        install(package, {"thin": f"{package}:Thin"}, SOURCE.format(name="thin"))
    done = qtnc("check", spec(place, "thin"))
    assert done.code == 1
    assert "error: structure `thin` is offered by one 1.0 and two 1.0\n" in done.err
    assert "help: uninstall all of them but one" in done.err


@pytest.mark.parametrize("command", ["check", "plan", "compile", "why"])
def test_no_plugins_runs_none(command: str, install: Install, qtnc: Run, place: Any) -> None:
    install("other-foe", {"foe": "other_foe:Thin"}, SOURCE.format(name="foe"))
    more = {"compile": ("-o", place.out), "why": ("up",)}.get(command, ())
    done = qtnc(command, place.model, spec(place, "foe"), *more, "--no-plugins")
    assert (done.code, done.out) == (1, "")
    assert "error: structure `foe` comes from other-foe 1.0, and plug-ins are not allowed\n" in done.err
    assert "other_foe" not in sys.modules
    with pytest.raises(PluginError, match="not allowed"):
        _ = Structures(allowed=False)["foe"]
    place.spec.write_text(place.spec.read_text().replace("foe", "lowrank(rank: 2)"))
    assert qtnc(command, place.model, place.spec, *more, "--no-plugins").code == 0


def test_structures_are_listed(install: Install, qtnc: Run) -> None:
    install("other-nice", {"nice": "other_nice:Thin"}, SOURCE.format(name="nice"))
    install("other-poor", {"poor": "other_poor:Thin"}, "import absent")
    done = qtnc("structures", "--format", "json")
    assert (done.code, done.err) == (0, "")
    entries = {entry["name"]: entry for entry in json.loads(done.out)}
    assert list(entries) == [*STRUCTURES, "nice", "poor"]
    assert all(entries[name]["version"] == version("qtnc") for name in STRUCTURES)
    assert (entries["nice"]["package"], entries["nice"]["summary"]) == ("other-nice", "Low rank by another name.")
    assert entries["nice"]["options"][-1] == {"name": "k", "value": "count", "doc": "some number"}
    assert not entries["poor"]["usable"]
    table = qtnc("structures").out.splitlines()
    assert [line.split()[0] for line in table[1:] if not line.startswith(" ")] == [*STRUCTURES, "nice", "(poor)"]
    refused = json.loads(qtnc("structures", "--no-plugins", "--format", "json").out)
    assert [entry["name"] for entry in refused if entry["usable"]] == list(STRUCTURES)


@pytest.mark.parametrize("member", ["check(self)", "propose(self, problem)", "fit(self, problem)"])
def test_a_failure_is_blamed_on_its_package(
    member: str, install: Install, qtnc: Run, place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    source = SOURCE.format(name="weak") + f"    def {member}:\n        raise ValueError('mine')\n"
    install("other-weak", {"weak": "other_weak:Thin"}, source)
    done = qtnc("compile", place.model, spec(place, "weak(rank: 2)"), "-o", place.out)
    assert (done.code, done.out) == (70, "")
    assert "mine" in done.err
    assert "this is a bug in other-weak; please report it" in done.err
    assert not place.out.exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_no_proposal_is_refused_at_the_spec(jobs: int, install: Install, qtnc: Run, place: Any) -> None:
    bare = "\n    def propose(self, problem):\n        return super().propose(problem).structure\n"
    install("other-bare", {"bare": "other_bare:Thin"}, SOURCE.format(name="bare") + bare)
    done = qtnc("compile", place.model, spec(place, "bare(rank: 2)"), "-o", place.out, "--jobs", jobs)
    assert (done.code, done.out) == (1, "")
    wrong = "`propose` of `bare` returns a LowRank, and is to return a Proposal"
    assert f"{place.spec}:4:1: error: layer `up`: {wrong}\n" in done.err
    assert "whoever wrote it finds this with `qtnc.testing.check_structure`" in done.err


def test_parts_that_share_a_role_are_refused_at_the_spec(install: Install, qtnc: Run, place: Any) -> None:
    twice = """
    def parts(self, shape):
        (part,) = super().parts(shape)
        return part, part
"""
    install("other-twice", {"twice": "other_twice:Thin"}, SOURCE.format(name="twice") + twice)
    done = qtnc("compile", place.model, spec(place, "twice(rank: 2)"), "-o", place.out)
    assert (done.code, done.out) == (1, "")
    assert f"{place.spec}:4:1: error: layer `up`: parts of `twice` have the roles ``, ``" in done.err
    assert "gives each `Part` a role of its own, and one of them none" in done.err
    assert not place.out.exists()
