"""`include`: statements of other files in place of it, each with its own place, and no file outside of the folder."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from qtnc.backends.options import BACKENDS
from qtnc.errors import SpecError
from qtnc.spec.include import MAX_DEPTH
from qtnc.spec.program import Spec
from qtnc.spec.read import read_spec
from qtnc.spec.syntax import MAX_LENGTH
from qtnc.structures.registry import STRUCTURES

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A folder of specs from their texts; the first is returned."""

    def make(**texts: str) -> Path:
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('__', '/')}.qtn"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return tmp_path / f"{next(iter(texts))}.qtn"

    return make


def read(path: Path) -> Spec:
    return read_spec(path, STRUCTURES, BACKENDS)


def said(path: Path) -> str:
    """What is wrong, without the folder."""
    with pytest.raises(SpecError) as caught:
        read(path)
    return str(caught.value).replace(f"{path.parent}/", "")


def test_statements_stand_in_place_of_the_include(write: Write) -> None:
    main = write(
        main='qtn 1\nselect a = MatMul\nrewrite a -> lowrank(rank: 1)\ninclude "more/b.qtn"\n'
        "rewrite b -> lowrank(rank: top_rank)\nemit onnx\n",
        more__b='qtn 1\nlet top_rank = 4\ninclude "c.qtn"\nselect b = a\nrewrite b -> lowrank(rank: 3)\n',
        more__c="# nothing but this\nqtn 1\nrewrite a -> lowrank(rank: 2)\n",
    )
    spec = read(main)
    assert [rewrite.structure.rank for rewrite in spec.rewrites] == [1, 2, 3, 4]
    folder = main.parent
    places = [rewrite.span.place() for rewrite in spec.rewrites]
    assert places == [f"{folder}/{x}" for x in ("main.qtn:3:1", "more/c.qtn:3:1", "more/b.qtn:5:1", "main.qtn:5:1")]
    assert [rewrite.span.text for rewrite in spec.rewrites][1] == "rewrite a -> lowrank(rank: 2)"
    assert sorted(spec.rewrites, key=lambda rewrite: rewrite.span.order) == list(spec.rewrites)
    assert [(i.name, i.path) for i in spec.includes] == [
        ("more/b.qtn", folder / "more/b.qtn"),
        ("more/c.qtn", folder / "more/c.qtn"),
    ]


def test_stages_of_a_file_may_be_extended(write: Write) -> None:
    base = "qtn 1\nselect a = MatMul\nstage first {\n    rewrite a -> lowrank(rank: 1)\n}\n"
    last = 'qtn 1\ninclude "base.qtn"\nstage last extends first {\n    rewrite a -> lowrank(rank: 2)\n}\nemit onnx\n'
    spec = read(write(main=last, base=base)).at(None)
    assert spec.stage == "last"
    assert [rewrite.structure.rank for rewrite in spec.rewrites] == [1, 2]


def test_data_lie_beside_the_file_that_names_them(write: Write) -> None:
    main = write(
        main='qtn 1\ninclude "more/d.qtn"\ndata here = npz("x.npz")\nemit onnx\n',
        more__d='qtn 1\ndata there = npz("x.npz")\ndata up = npz("../x.npz")\n',
    )
    folder = main.parent
    data = read(main).data
    assert [(n, os.path.normpath(d.path)) for n, d in data.items()] == [
        ("there", str(folder / "more/x.npz")),
        ("up", str(folder / "x.npz")),
        ("here", str(folder / "x.npz")),
    ]


def test_a_path_may_go_up_within_the_folder(write: Write) -> None:
    main = write(
        main='qtn 1\ninclude "a/x.qtn"\nemit onnx\n', a__x='qtn 1\ninclude "../b/y.qtn"\n', b__y="qtn 1\nlet n = 1\n"
    )
    assert list(read(main).lets) == ["n"]


def test_errors_show_the_file_and_the_includes(write: Write) -> None:
    main = write(
        main='qtn 1\nselect a = MatMul\ninclude "b.qtn"\nrewrite nothing -> lowrank\nemit onnx\n',
        b='qtn 1\ninclude "c.qtn"\n',
        c="qtn 1\n\nselect a = Gemm\nselect =\nrewrite a -> mpo(max_bond: 0)\n",
    )
    assert (
        said(main)
        == """\
c.qtn:3:8: error: `a` is already selected at main.qtn:2
  3 | select a = Gemm
    |        ^
  = included at b.qtn:2:1
  = included at main.qtn:3:1
c.qtn:4:8: error: expected a name after `select`
  4 | select =
    |        ^
  = help: the form is `select NAME = OP where name ~ "GLOB" and weight.elements >= 64Ki`
  = included at b.qtn:2:1
  = included at main.qtn:3:1
c.qtn:5:28: error: `max_bond` takes a whole number from 1, not `0`
  5 | rewrite a -> mpo(max_bond: 0)
    |                            ^
  = help: `max_bond`: largest bond
  = included at b.qtn:2:1
  = included at main.qtn:3:1
main.qtn:4:9: error: unknown selector `nothing`
  4 | rewrite nothing -> lowrank
    |         ^^^^^^^
  = help: selectors are `a`"""
    )


def test_a_let_of_another_file_is_named(write: Write) -> None:
    main = write(
        main='qtn 1\ninclude "b.qtn"\nselect a = MatMul\nrewrite a -> mpo(max_bond: n)\nlet n = 3\nemit onnx\n',
        b="qtn 1\nlet n = 30%\n",
    )
    assert [line for line in said(main).splitlines() if line.startswith(("main", "  ="))] == [
        "main.qtn:4:28: error: `max_bond` takes a whole number from 1, not `n`",
        "  = help: `n` is `30%`, a percentage, let at b.qtn:2; `max_bond`: largest bond",
        "main.qtn:5:5: error: `n` is already let at b.qtn:2",
        "  = help: drop one of the two",
    ]


HEAD = "qtn 1\nemit onnx\n"


@pytest.mark.parametrize(
    ("main", "other", "expected"),
    [
        ('include "main.qtn"', "qtn 1", 'main.qtn:3:1: error: `"main.qtn"` includes itself'),
        ('include "other.qtn"', 'qtn 1\ninclude "main.qtn"', 'other.qtn:2:1: error: `"main.qtn"` includes itself'),
        (
            'include "other.qtn"',
            'qtn 1\ninclude "./other.qtn"',
            'other.qtn:2:1: error: `"./other.qtn"` includes itself',
        ),
        (
            'include "other.qtn"\ninclude "x/../other.qtn"',
            "qtn 1",
            'main.qtn:4:1: error: `"x/../other.qtn"` is already included at line 3',
        ),
        ('include "oter.qtn"', "qtn 1", "main.qtn:3:9: error: there is no `oter.qtn`"),
        ('include "folder.qtn"', "qtn 1", "main.qtn:3:9: error: `folder.qtn` is no file"),
        ('include "pipe.qtn"', "qtn 1", "main.qtn:3:9: error: `pipe.qtn` is no file"),
        ('include "out.qtn"', "qtn 1", "main.qtn:3:9: error: `out.qtn` lies outside of the folder of the spec"),
        ('include "loop.qtn"', "qtn 1", "main.qtn:3:9: error: there is no `loop.qtn`"),
        (f'include "{"x" * 300}.qtn"', "qtn 1", f"main.qtn:3:9: error: there is no `{'x' * 39}…`"),
        ('include "other.qtn"', "", "other.qtn: error: the spec is empty"),
        ('include "other.qtn"', "let a = 1", "other.qtn:1:1: error: a spec begins with `qtn 1`"),
        ('include "other.qtn"', "qtn 1\nqtn 1", "other.qtn:2:1: error: `qtn 1` is already said at line 1"),
        ('include "other.qtn"', "qtn 2\n???", "other.qtn:1:5: error: this qtnc reads `qtn 1`, not `qtn 2`"),
        ('include "other.qtn"', "qtn 1\n\udcff", "main.qtn:3:9: error: the spec is not UTF-8: byte 0xff at offset 6"),
        (
            'include "other.qtn"',
            "qtn 1" + " " * MAX_LENGTH,
            f"main.qtn:3:9: error: a spec and what it includes have at most {MAX_LENGTH:,} characters",
        ),
    ],
)
def test_what_cannot_be_included(main: str, other: str, expected: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "main.qtn").write_text(f"{HEAD}{main}\n")
    (home / "other.qtn").write_text(other, errors="surrogateescape")
    (home / "folder.qtn").mkdir()
    (home / "x").mkdir()
    os.mkfifo(home / "pipe.qtn")
    (home / "loop.qtn").symlink_to("loop.qtn")
    (tmp_path / "outside.qtn").write_text("qtn 1\nsecret\n")
    (home / "out.qtn").symlink_to(tmp_path / "outside.qtn")
    answer = said(home / "main.qtn")
    assert answer.startswith(expected)
    assert answer.count("error: ") == 1
    assert "secret" not in answer
    if "oter" in main:
        assert "did you mean `other.qtn`" in answer


def test_includes_have_a_depth(write: Write) -> None:
    texts = {f"f{i}": f'qtn 1\ninclude "f{i + 1}.qtn"\n' for i in range(MAX_DEPTH + 1)}
    main = write(**texts, **{f"f{MAX_DEPTH + 1}": "qtn 1\n"})
    answer = said(main)
    assert answer.startswith(f"f{MAX_DEPTH}.qtn:2:1: error: includes are nested deeper than {MAX_DEPTH}\n")
    assert answer.count("= included at") == MAX_DEPTH
    (main.parent / f"f{MAX_DEPTH}.qtn").write_text("qtn 1\nemit onnx\n")
    assert len(read(main).includes) == MAX_DEPTH


def test_a_lost_statement_of_a_file_is_no_second_error(write: Write) -> None:
    main = write(
        main='qtn 1\ninclude "b.qtn"\nrewrite a -> mpo(max_bond: n)\nemit onnx\n', b="qtn 1\nselect a =\nlet n =\n"
    )
    assert [line.split(" error:")[0] for line in said(main).splitlines() if "error:" in line] == [
        "b.qtn:2:11:",
        "b.qtn:3:8:",
    ]
