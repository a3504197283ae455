"""`use`: what a file or a package offers becomes part of a spec, what cannot be used is said at its place."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qtnc.backends.options import BACKENDS
from qtnc.errors import SpecError
from qtnc.plugins.allowed import Allowed, Python
from qtnc.spec.program import Spec
from qtnc.spec.read import read_spec
from qtnc.structures.registry import STRUCTURES

Install = Callable[..., Path]

OWN = frozenset({"canonicalize"})

SOURCE = """
from dataclasses import dataclass
from typing import ClassVar
from qtnc.pipeline import PassResult

@dataclass(frozen=True)
class {kind}:
    name: ClassVar[str] = "{name}"
    largest: int = 3
    share: float = 0.5
    word: str = "a"
    loud: bool = False

    def __post_init__(self):
        if self.largest == 13:
            raise ValueError("13 is unlucky")

    def run(self, model):
        return PassResult(model, False)
"""

THIN = """
from dataclasses import dataclass
from typing import ClassVar
from qtnc.structures.lowrank import LowRank

@dataclass(frozen=True)
class Thin(LowRank):
    name: ClassVar[str] = "{name}"
"""


def passes(*names: str) -> str:
    """A file of passes of these names."""
    kinds = [name.title().replace("-", "").replace(" ", "") for name in names]
    classes = [SOURCE.format(kind=kind, name=name) for kind, name in zip(kinds, names, strict=True)]
    return "".join(classes) + f"PASSES = [{', '.join(kinds)}]\n"


def structures(name: str, *, listed: str = "Thin") -> str:
    return THIN.format(name=name) + f"STRUCTURES = [{listed}]\n"


def write(folder: Path, **texts: str) -> Path:
    """A folder of files: ``b__c_py`` is ``b/c.py``; the spec is ``main.qtn``."""
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_py", ".py").replace("_qtn", ".qtn")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder / "main.qtn"


def read(path: Path, python: Python = "run", settings: tuple[str, ...] = ()) -> Spec:
    allowed = Allowed(python=python, own=OWN)
    return read_spec(path, allowed.structures, BACKENDS, settings, allowed)


def said(path: Path, python: Python = "run") -> list[str]:
    with pytest.raises(SpecError) as caught:
        read(path, python)
    folder = f"{path.parent}/"
    return [d.render().replace(folder, "").replace("error: ", "") for d in caught.value.diagnostics]


def first(path: Path, python: Python = "run") -> str:
    """The first line of the one thing that is wrong."""
    (only,) = said(path, python)
    return only.splitlines()[0]


def spec(*statements: str) -> str:
    return "\n".join(["qtn 1", *statements, "emit onnx", ""])


def test_passes_come_in_the_order_of_the_spec(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main_qtn=spec('use "b/two.py"', 'include "b/more.qtn"', 'use "one.py"'),
        b__more_qtn='qtn 1\nuse "three.py"\n',
        one_py=passes("one"),
        b__two_py=passes("two", "too"),
        b__three_py=passes("three"),
    )
    uses = read(main).uses
    assert [(use.name, [offer.name for offer, _ in use.passes]) for use in uses] == [
        ("b/two.py", ["two", "too"]),
        ("b/three.py", ["three"]),
        ("one.py", ["one"]),
    ]
    assert [use.path for use in uses] == [tmp_path / use.name for use in uses]
    assert uses[0].passes[0][0].place == f"{main}:2:1"


def test_a_structure_of_a_file_is_a_word_below(tmp_path: Path) -> None:
    rewrite = "rewrite all -> thin(rank: 2)"
    main = write(tmp_path, main_qtn=spec('use "mine.py"', "select all = *", rewrite), mine_py=structures("thin"))
    (made,) = read(main).rewrites
    assert (made.structure.name, made.structure.rank) == ("thin", 2)
    main.write_text(spec("select all = *", rewrite, 'use "mine.py"'))
    assert first(main).startswith("main.qtn:3:16: unknown structure `thin`")
    main.write_text(spec('use "mine.py"', "select all = *", "rewrite all -> thn(rank: 2)"))
    assert said(main)[0].endswith("= help: did you mean `thin`?")


def test_a_file_runs_once_though_the_spec_is_checked_twice(tmp_path: Path) -> None:
    count = f"""
import pathlib
path = pathlib.Path({str(tmp_path / "runs")!r})
path.write_text("x" + (path.read_text() if path.exists() else ""))
"""
    main = write(tmp_path, main_qtn=spec('use "mine.py"', "let k = 3"), mine_py=count + passes("mine"))
    read(main, settings=("k=4",))
    read(main)
    assert (tmp_path / "runs").read_text() == "x"
    (tmp_path / "mine.py").write_text(count + passes("mine", "more"))
    assert len(read(main).uses[0].passes) == 2
    assert (tmp_path / "runs").read_text() == "xx"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["main.qtn", "mine.py", "runs"]


def test_nothing_runs_that_is_left_or_refused(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main_qtn=spec('use "mine.py"', "select all = *", "rewrite all -> unheard(of: 3)"),
        mine_py=f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n" + passes("mine"),
    )
    (use,) = read(main, "leave").uses
    assert (use.left, use.passes, use.sha256) == (True, (), None)
    errors = said(main, "refuse")
    assert errors[0].splitlines() == [
        "main.qtn:2:5: `mine.py` is Python, which is not allowed to run",
        '  2 | use "mine.py"',
        "    |     ^^^^^^^^^",
        "  = help: leave `--no-python` out to run it, if you trust it",
    ]
    assert errors[1].startswith("main.qtn:4:16: unknown structure `unheard`")
    assert not (tmp_path / "ran").exists()


RUNS = {
    "raise ValueError('\\x1b[2J')": r"`mine.py` cannot be run: ValueError: \x1b[2J at line 1",
    "import sys\nsys.exit(3)": "`mine.py` cannot be run: SystemExit: 3 at line 2",
    "x = (": "`mine.py` cannot be run: SyntaxError: '(' was never closed at line 1",
    "import absent_module": "`mine.py` cannot be run: ModuleNotFoundError: No module named 'absent_module' at line 1",
    "x = '\0'": "`mine.py` cannot be run: SyntaxError: source code string cannot contain null bytes",
    "": "`mine.py` lists nothing",
    "passes = []": "`mine.py` lists nothing",
    "PASSES = 3": "`mine.py` has a `PASSES` that is no list",
    "PASSES = [3]": "`mine.py` lists in `PASSES` what is none: `int` is no pass: a pass is a dataclass",
    "class A: pass\nPASSES = [A]": "`mine.py` lists in `PASSES` what is none: `A` is no pass",
    passes("a b"): "`mine.py` lists in `PASSES` what is none: `a b` is no name of a pass",
    passes("mine").replace("= 3\n", "\n"): "`mine.py` lists in `PASSES` what is none: `Mine`: option `largest` has no",
    passes("canonicalize"): "`canonicalize` is a name of qtnc's own",
    "STRUCTURES = [3]": "`mine.py` lists `3` in `STRUCTURES`, which is no dataclass",
    structures("lowrank"): "`mine.py` lists `Thin` in `STRUCTURES`, which calls itself `lowrank`, a word of qtnc's own",
    structures("a b"): "`mine.py` lists `Thin` in `STRUCTURES`, which calls itself `a b`: that is no word",
    structures("x", listed="Thin, Thin"): "`mine.py` lists `Thin` in `STRUCTURES`, which has the name `x`, as another",
    "#" * (1 << 20) + "\n": "`mine.py` is larger than 1,048,576 bytes",
}


@pytest.mark.parametrize("source", RUNS, ids=range(len(RUNS)))
def test_what_cannot_be_used_is_said_at_its_place(source: str, tmp_path: Path) -> None:
    main = write(tmp_path, main_qtn=spec('use "mine.py"'), mine_py=source)
    answer = first(main)
    assert answer.split(" ")[0] in ("main.qtn:2:1:", "main.qtn:2:5:")
    assert answer.split(": ", 1)[1].startswith(RUNS[source])
    assert answer.count("\x1b") == 0


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (['use "mine.py"', 'use "./mine.py"'], "main.qtn:3:1: `mine.py` is already used at line 2"),
        (['use "mine.py"', 'use "other.py"'], "main.qtn:3:1: pass `mine` is offered by `mine.py` too, used at line 2"),
        (['use "out.py"'], "main.qtn:2:5: `out.py` lies outside of the folder of the spec"),
        (['use "folder.py"'], "main.qtn:2:5: `folder.py` is no file"),
        (['use "pipe.py"'], "main.qtn:2:5: `pipe.py` is no file"),
        (['use "loop.py"'], "main.qtn:2:5: there is no `loop.py`"),
        (['use "mne.py"'], "main.qtn:2:5: there is no `mne.py`"),
        (['include "more.qtn"', 'use "mine.py"'], "main.qtn:3:1: `mine.py` is already used at more.qtn:2"),
    ],
)
def test_files_that_cannot_be_had(statements: list[str], expected: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    main = write(
        home,
        main_qtn=spec(*statements),
        more_qtn='qtn 1\nuse "mine.py"\n',
        mine_py=passes("mine"),
        other_py="# another\n" + passes("mine"),
    )
    (tmp_path / "outside.py").write_text("raise SystemExit")
    (home / "out.py").symlink_to(tmp_path / "outside.py")
    (home / "folder.py").mkdir()
    os.mkfifo(home / "pipe.py")
    (home / "loop.py").symlink_to("loop.py")
    assert first(main) == expected


def test_a_pass_of_a_package_takes_options(install: Install, tmp_path: Path) -> None:
    install("other-fold", {"fold-scale": "other_fold:FoldScale"}, passes("anything", "fold-scale"), group="passes")
    statement = 'use fold_scale(largest: 2Ki, share: 30%, word: "b", loud: true)'
    (use,) = read(write(tmp_path, main_qtn=spec(statement))).uses
    ((offer, options),) = use.passes
    assert (use.name, offer.name, offer.package, offer.origin) == ("fold-scale",) * 2 + ("other-fold", "other-fold 1.0")
    assert options == {"largest": 2048, "share": 0.3, "word": "b", "loud": True}
    main = write(tmp_path, main_qtn=spec("let k = 4", "use fold_scale(largest: k)"))
    assert read(main).uses[0].passes[0][1] == {"largest": 4}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("use fold_scal", "5: unknown pass `fold_scal`\n  = help: did you mean `fold-scale`?"),
        ("use fold_scale(3)", "16: an option needs its name, as in `OPTION: VALUE`"),
        ("use fold_scale(larges: 3)", "16: `fold_scale` has no option `larges`\n  = help: did you mean `largest`?"),
        ("use fold_scale(largest: 3, largest: 4)", "28: `largest` is given twice"),
        ("use fold_scale(largest: 3.5)", "25: `largest`: the value is not an integer from 0 on"),
        ("use fold_scale(largest: -1)", "25: `largest`: the value is not an integer from 0 on"),
        ("use fold_scale(largest: [3])", "25: `largest`: a list is no such value"),
        ("use fold_scale(loud: 3)", "22: `loud`: the value is not `true` or `false`"),
        ("use fold_scale(largest: 13)", "5: `fold_scale` cannot be made: ValueError: 13 is unlucky"),
        ("use fold_scale\nuse fold-scale", "9: unexpected `-` after `fold`"),
    ],
)
def test_options_that_are_refused(statement: str, expected: str, install: Install, tmp_path: Path) -> None:
    install("other-fold", {"fold-scale": "other_fold:FoldScale"}, passes("fold-scale"), group="passes")
    (answer,) = said(write(tmp_path, main_qtn=spec(statement)))
    place, message = answer.splitlines()[0].split(": ", 1)
    way_out = "".join(f"\n{line}" for line in answer.splitlines() if "= help" in line)
    assert f"{place.rsplit(':', 1)[1]}: {message}{way_out}".startswith(expected)


def test_packages_that_cannot_be_had(install: Install, tmp_path: Path) -> None:
    for package in ("one", "two"):
        install(package, {"twice": f"{package}:Twice"}, passes("twice"), group="passes")
    install("broken", {"broken": "broken:Broken"}, "raise RuntimeError('no')", group="passes")
    install("empty", {"empty": "empty:Empty"}, "Empty = 3", group="passes")
    for word, expected in (
        ("twice", "pass `twice` is offered by one 1.0 and two 1.0"),
        ("broken", "pass `broken` of broken 1.0 cannot be imported: RuntimeError: no"),
        ("empty", "pass `empty` of empty 1.0 cannot be used: `int` is no pass"),
    ):
        assert first(write(tmp_path, main_qtn=spec(f"use {word}"))).startswith(f"main.qtn:2:5: {expected}")
    refused = first(write(tmp_path, main_qtn=spec("use twice")), "refuse")
    assert refused == "main.qtn:2:5: `twice` is code of another package, which is not allowed"


def test_a_package_is_imported_only_when_it_is_named(install: Install, tmp_path: Path) -> None:
    install("other-fold", {"fold-scale": "other_fold:FoldScale"}, passes("fold-scale"), group="passes")
    read(write(tmp_path, main_qtn=spec()))
    assert "other_fold" not in sys.modules


def test_the_table_of_structures_is_left_alone(tmp_path: Path) -> None:
    main = write(tmp_path, main_qtn=spec('use "mine.py"'), mine_py=structures("thin"))
    read(main)
    assert "thin" not in STRUCTURES
    main.write_text(spec("select a = *", "rewrite a -> thin"))
    assert "unknown structure `thin`" in first(main)


def test_a_recipe_uses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qtnc.spec.include._recipe", lambda recipe: 'qtn 1\nuse "mine.py"\n')
    main = write(tmp_path, main_qtn=spec("include <bert>"), mine_py=passes("mine"))
    assert first(main) == "<bert>:2:1: a recipe uses no code of others"
