"""What is said of a bad spec: a table of texts and of every word that answers them."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from qtnc.errors import SpecError
from qtnc.source import Source
from qtnc.spec.program import Spec
from qtnc.spec.read import read_spec
from qtnc.spec.syntax import MAX_LENGTH, parse, vocabulary
from qtnc.spec.wording import FORMS, INSIDE, MAX_ERRORS

TABLE = Path(__file__).with_name("bad_specs.txt").read_text(encoding="utf-8")
CASES = re.findall(r"^=== (.+)\n((?s:.*?))\n---\n((?s:.*?))\n(?=\n===|\Z)", TABLE, re.MULTILINE)

Said = Callable[[str], list[str]]


def test_the_table_is_read_whole() -> None:
    assert len(CASES) == TABLE.count("=== ") >= 100
    assert len({name for name, _, _ in CASES}) == len(CASES)


@pytest.mark.parametrize(("text", "expected"), [pytest.param(text, said, id=name) for name, text, said in CASES])
def test_bad_spec(text: str, expected: str, read: Callable[[str], Spec]) -> None:
    with pytest.raises(SpecError) as caught:
        read(text)
    assert str(caught.value).replace("spec.qtn:", "bad.qtn:") == expected


def test_diagnostics_come_in_order_of_place(said: Said) -> None:
    lines = [
        int(error.split(":")[0]) for error in said("qtn 1\nrewrite a -> b\nemit\nrewrite c -> d\nemit e\nselect\n")
    ]
    assert lines == sorted(lines) == [2, 2, 3, 4, 4, 5, 6]


def test_a_bad_declaration_is_no_second_error_where_it_is_used(said: Said) -> None:
    errors = said(
        "qtn 1\nselect a = MatMul where\ndata d = npz(\nselect b = a and MatMul\nrewrite a -> mpo on d\nemit torch\n"
    )
    assert [error.split(" ")[0] for error in errors] == ["2:24", "3:13"]


@pytest.mark.parametrize("inside", ["[", "mpo(", "(", "mpo(max_bond:", "mpo(sites: [8x8,"])
def test_an_open_bracket_hides_no_later_statement(inside: str, said: Said) -> None:
    errors = said(f"qtn 1\nselect a = MatMul\nrewrite a -> {inside}\nrewrite b -> mpo\nemit troch\n")
    assert [error.split(":")[0] for error in errors] == ["3", "4", "5"]


def test_too_many_errors_are_cut_off(said: Said) -> None:
    for line in ("§§", "emit", "rewrite a -> b"):
        errors = said("qtn 1\nemit torch\n" + f"{line}\n" * 1000)
        assert len(errors) == MAX_ERRORS + 1
        assert errors[-1].endswith("more than 100 errors; this one and the rest are not shown")


def test_nesting_has_a_limit_that_python_does_not_set(read: Callable[[str], Spec], said: Said) -> None:
    def nested(depth: int) -> str:
        return "qtn 1\nemit torch\nselect a = " + "(" * depth + "MatMul" + ")" * depth + " where name ~ " + '"*"'

    assert read(nested(100)).selects
    assert said(nested(101)) == ["3:112 brackets are nested deeper than 100"]
    assert said(nested(50_000)) == ["3:112 brackets are nested deeper than 100"]


def test_nested_conditions(read: Callable[[str], Spec]) -> None:
    condition = 'name ~ "a" and not (' * 100 + 'name ~ "b"' + ")" * 100
    assert read(f"qtn 1\nemit torch\nselect a = MatMul where {condition}").selects


def test_long_statements_do_not_recurse(read: Callable[[str], Spec], said: Said) -> None:
    assert read("qtn 1\nemit torch\nselect a = MatMul" + " or MatMul" * 5000).selects
    assert read("qtn 1\nemit torch\nselect a = * where " + " and ".join(['name ~ "a"'] * 5000)).selects
    assert said("qtn 1\nemit torch\nselect a = " + "not " * 5000 + "MatMul") == [
        "3:16 expected an op, a selector, `*` or `(` after `not`"
    ]


def test_a_spec_has_a_limit(said: Said) -> None:
    assert said("#" * MAX_LENGTH) == ["the spec is empty"]
    assert said("(" * 10_000_000) == ["the spec is longer than 262,144 characters"]


def test_a_pattern_has_a_limit(said: Said) -> None:
    for kind in ("", "re"):
        (error,) = said(f'qtn 1\nemit torch\nselect a = * where name ~ {kind}"{"a" * 1001}"')
        assert error.endswith("1,001 characters, and 1,000 at most")


@pytest.mark.parametrize(
    ("char", "name"), [("\0", "U+0000 (a control character)"), ("\x1b", "U+001B (a control character)")]
)
def test_control_characters(char: str, name: str, said: Said) -> None:
    assert said(f"qtn 1\nemit torch\nselect{char} a = MatMul") == [f"3:7 stray character {name}"]
    assert said(f'qtn 1\nemit torch\ndata d = npz("a{char}b")') == [f"3:16 {name} in a string"]


def test_a_diagnostic_is_safe_to_print() -> None:
    text = 'qtn 1\nemit torch\ndata d = npz("\x1b[2J\ud800")' + " " * 1000 + "§"
    with pytest.raises(SpecError) as caught:
        parse(Source("spec.qtn", text))
    said = str(caught.value)
    assert said.encode("utf-8")
    assert "\x1b" not in said
    assert max(len(line) for line in said.splitlines()) < 200


def test_every_statement_of_the_grammar_has_a_form() -> None:
    assert set(vocabulary().statements) == set(FORMS)
    assert {block: set(words) for block, words in vocabulary().blocks.items()} == {b: set(f) for b, f in INSIDE.items()}
    assert vocabulary().reserved == ("best", "budget", "heal")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.qtn").write_bytes(b"qtn 1\n# caf\xe9\n")
    (tmp_path / "mark.qtn").write_bytes(b"\xef\xbb\xbf")
    (tmp_path / "long.qtn").write_text("#" * 10_000_000)
    for path, message in (
        (tmp_path / "none.qtn", "cannot read the spec: no such file or directory"),
        (tmp_path / "mark.qtn", "the spec is empty\n  = help: begin with `qtn 1`"),
        (tmp_path, "cannot read the spec: is a directory"),
        (tmp_path / "latin.qtn", "the spec is not UTF-8: byte 0xe9 at offset 11"),
        (tmp_path / "long.qtn", "the spec is longer than 262,144 characters"),
        (Path("a\0b"), "cannot read the spec: embedded null byte"),
    ):
        with pytest.raises(SpecError) as caught:
            read_spec(path, {}, {})
        shown = str(path).replace("\0", r"\x00")  # a terminal gets no control characters
        assert str(caught.value) == f"{shown}: error: {message}"
