"""The one form of a spec: means the same, keeps every comment, and is its own form."""

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtnc.errors import SpecError
from qtnc.source import Source, Span
from qtnc.spec.form import formatted
from qtnc.spec.syntax import lexemes, recover, vocabulary

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for home in ("examples", "grammar") for path in (ROOT / home).rglob("*.qtn"))
PAGES = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "README.md", ROOT / "docs" / "language.md"))
BLOCKS = [
    b for b in re.findall(r"^```qtn\n(.*?)^```", PAGES, re.MULTILINE | re.DOTALL) if not recover(Source("b", b))[1]
]


def form(text: str) -> str:
    return formatted(Source("spec.qtn", text))


def meaning(node: Any) -> Any:
    """A tree without its places."""
    if isinstance(node, tuple | list):
        return [meaning(item) for item in node]
    if is_dataclass(node) and not isinstance(node, type):
        parts = {f.name: getattr(node, f.name) for f in fields(node)}
        return (type(node).__name__, {k: meaning(v) for k, v in parts.items() if not isinstance(v, Span | Source)})
    return node


def comments(text: str) -> list[str]:
    without = text
    for lexeme in reversed(lexemes(text)):
        without = without[: lexeme.start] + " " * (lexeme.end - lexeme.start) + without[lexeme.end :]
    return [line.strip() for line in re.findall("#[^\n]*", without)]


def check(text: str) -> None:
    found = form(text)
    assert form(found) == found
    # In a rule the sign of `s-1` is set apart from its number.
    assert "".join(x.text for x in lexemes(found)) == "".join(x.text for x in lexemes(text))
    assert meaning(recover(Source("s", found))[0].statements) == meaning(recover(Source("s", text))[0].statements)
    assert comments(found) == comments(text)
    assert not [line for line in found.split("\n") if line != line.rstrip()]
    assert "\n\n\n" not in found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_our_own_examples_are_in_it(path: Path) -> None:
    assert form(path.read_text(encoding="utf-8")) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", BLOCKS)
def test_what_the_pages_show_means_the_same(text: str) -> None:
    check(text)


SPACE = st.sampled_from(["", " ", "   ", "\t"])


@st.composite
def respaced(draw: st.DrawFn) -> str:
    """A spec of the pages with blanks, lines and comments put anywhere where they may stand."""
    text = draw(st.sampled_from(BLOCKS))
    found, brackets, last = "", 0, None
    for lexeme in lexemes(text):
        apart = last is not None and (last.text[-1] + lexeme.text[0]).replace("_", "a").isalnum()
        if last is not None and lexeme.line > last.line:
            found += draw(SPACE) + draw(st.sampled_from(["", "# why", "#"])) + "\n" * draw(st.integers(1, 4))
        elif last is not None and (brackets or last.kind in vocabulary().operators) and draw(st.booleans()):
            found += draw(SPACE) + draw(st.sampled_from(["", " # so"])) + "\n" + draw(SPACE)
        else:
            tight = not apart and last is not None and last.kind not in ("NUMBER", "SHAPE", "COMPARATOR", "MINUS")
            tight = tight and lexeme.kind not in ("NUMBER", "SHAPE", "STRING", "REGEX")
            found += draw(SPACE) if tight else " "
        found += lexeme.text
        if lexeme.text not in "{}":
            brackets += (lexeme.kind in vocabulary().openings) - (lexeme.kind in vocabulary().closings)
        last = lexeme
    return found


@given(respaced())
@settings(max_examples=150, deadline=None)
def test_any_spacing(text: str) -> None:
    if not recover(Source("s", text))[1]:  # a line may begin with a word that begins a statement
        check(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("\n\n", ""),
        ("# alone", "# alone\n"),
        ("qtn   1\n\n\n\nemit  onnx  ", "qtn 1\n\nemit onnx\n"),
        ("qtn 1\r\nemit onnx\r\n", "qtn 1\nemit onnx\n"),
        ('include   "a.qtn"\ninclude<llama>', 'include "a.qtn"\ninclude <llama>\n'),
        ("let a=[1,2 ]\nlet bcd=*x8", "let a   = [1, 2]\nlet bcd = *x8\n"),
        ("bind a=1,b =2", "bind a = 1, b = 2\n"),
        ("select a=( b or* )-c", "select a = (b or *) - c\n"),
        ("select a=*\nselect bcd=* #x\n#y", "select a   = *\nselect bcd = *  # x\n".replace("# x", "#x") + "#y\n"),
        ("emit onnx#a\nemit torch  # b", "emit onnx   #a\nemit torch  # b\n"),
        ("rewrite a->mpo(sites:[2x2,3x3],max_bond:4)|b", "rewrite a -> mpo(sites: [2x2, 3x3], max_bond: 4) | b\n"),
        ("stage a{\nrewrite b->\nc\n}", "stage a {\n    rewrite b ->\n        c\n}\n"),
        ("select a = * where weight . elements>=1", "select a = * where weight.elements >= 1\n"),
        (
            "rule a{\nmatch y=Mul( x,w :const float [2,3 ],b ? , cs ...){axis=-1,k = [ n ]}\nwhere w>0\n}",
            (
                "rule a {\n    match   y = Mul(x, w: const float[2, 3], b?, cs...){axis = -1, k = [n]}\n"
                "    where   w > 0\n}\n"
            ),
        ),
        (
            "rule a {\nlet k=w-1\nlet many=-w*-s**2 +\n(w) *x3 -k\nwithin 1%\n}",
            (
                "rule a {\n    let     k    = w - 1\n    let     many = -w * -s ** 2 +\n        (w) * x3 - k\n"
                "    within  1%\n}\n"
            ),
        ),
        (
            (
                "rule a {\nexample{before y=Relu( x:int8[2])}\nexample {\nbefore y=( A|B ) (x: const [..., d])\n"
                "after y=f(x)\n} # so\n}"
            ),
            (
                "rule a {\n    example { before y = Relu(x: int8[2]) }\n    example {\n"
                "        before y = (A | B)(x: const [..., d])\n        after  y = f(x)\n    }  # so\n}\n"
            ),
        ),
        (
            "rule a {\nmatch y = Gemm(x,\nw){\nalpha=1\n}\nreplace y = x\n}",
            "rule a {\n    match   y = Gemm(x,\n        w){\n        alpha = 1\n    }\n    replace y = x\n}\n",
        ),
        ("select a = top 2 of(b)by x", "select a = top 2 of (b) by x\n"),
    ],
)
def test_what_it_looks_like(text: str, expected: str) -> None:
    assert form(text) == expected


def test_what_cannot_be_read_is_not_touched() -> None:
    with pytest.raises(SpecError, match="is not closed"):
        form("rewrite a -> mpo(")


def test_the_command(qtnc: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    good, bad, wrong = (tmp_path / name for name in ("good.qtn", "bad.qtn", "wrong.qtn"))
    good.write_text("qtn 1\n")
    bad.write_text("qtn  1")
    wrong.write_text("qtn (")
    done = qtnc("fmt", "--check", good, bad)
    assert (done.code, done.out, done.err) == (1, "", f"{bad}: not in the form\n")
    assert bad.read_text() == "qtn  1"
    done = qtnc("fmt", good, bad)
    assert (done.code, done.err) == (0, f"{bad}: formatted\n")
    assert bad.read_text() == "qtn 1\n"
    assert qtnc("fmt", "--check", good, bad).code == 0
    assert qtnc("fmt", wrong).code == 1
    assert wrong.read_text() == "qtn ("
    assert qtnc("fmt", tmp_path / "none.qtn").code == 1
    monkeypatch.setattr("sys.stdin", io.StringIO("emit   onnx"))
    assert qtnc("fmt", "-").out == "emit onnx\n"
