"""Specs damaged at random, by a seed: bytes, tokens, statements, letters, nesting, expressions and values."""

import random
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from qtnc.backends.options import BACKENDS
from qtnc.errors import SpecError
from qtnc.source import Source
from qtnc.spec.read import read_source
from qtnc.spec.syntax import lexemes
from qtnc.structures.registry import STRUCTURES

ROOT = Path(__file__).parents[2]

SPECIAL = "\0\x1b\x7f\t\r\f\x0b\x85\xa0\u00ad\u0301\u200b\u200f\u2028\u202e\u2066\ufeff\ufffe\ufffd\U0001f600\ud800é٣Ⅷ"
"""Characters that something splits, hides, turns around or refuses."""

EXPRESSIONS = (
    "(a*)*b",
    "(x+x+)+y",
    "(.*)*(.*)*(.*)*$",
    "((((a?){30}){30}){30}){30}",
    "a{1000}{1000}",
    "(a|aa)+$",
    "(" * 400,
    "(" * 400 + ")" * 400,
    "[" + "a-z" * 300,
    r"(?<=a)b\1",
    r"\p{Greek}\pN\x{10FFFF}\x{FFFFFFFF}",
    r"\C\Q\E\z\8",
    "(?P<n>a)(?P<n>b)",
    "a**",
    "*",
    "?" * 900,
    "*a" * 450,
    "[^\\]",
    "é" * 999,
    "(?i)" * 200,
    "a" * 1001,
)
"""Patterns that backtrack, that grow as they are compiled, or that are none."""

VALUES = (
    *("0", "1", "-1", "2", "1e400", "1e-400", "1e999999999", "9" * 4000, "0x10", "1_", "64Ki", "9Ti", "9999999999Ti"),
    *("0%", "100%", "101%", "1e-300%", ".5", "5.", "auto", "[]", "[[]]", "[1, [2]]", "[8x16, 2x2]", "1x", "*x*", "4x*"),
    *('""', '"x"', 're""', 're"a"', "true", "float16", "nan", "inf", "None", "__class__", "{}", "() -> x"),
)

LETTERS = "()[]{}<>|\\*+?.^$-,:=~!%@#\"'0123456789azAZ_ &/;`"


@cache
def corpus() -> tuple[str, ...]:
    """Every spec that there is: examples, recipes, blocks of the pages, and the table of bad ones."""
    files = [*sorted((ROOT / "examples").glob("*/*.qtn")), *sorted((ROOT / "grammar" / "recipes").glob("*.qtn"))]
    texts = [path.read_text(encoding="utf-8") for path in files]
    for page in sorted((ROOT / "docs").rglob("*.md")):
        texts += re.findall(r"^```qtn\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    table = Path(__file__).with_name("bad_specs.txt").read_text(encoding="utf-8")
    return (*texts, *re.findall(r"^=== .+\n((?s:.*?))\n---\n", table, re.MULTILINE))


@cache
def whole() -> tuple[str, ...]:
    """Those that mean something."""
    return tuple(text for text in corpus() if _holds(text))


def _holds(text: str) -> bool:
    try:
        read_source(Source("spec.qtn", text), STRUCTURES, BACKENDS, Path())
    except SpecError:
        return False
    return True


def mutant(seed: int) -> bytes:
    """The spec of a seed, as bytes of a file."""
    rng = random.Random(seed)  # noqa: S311 - a sequence that anyone can repeat
    text = rng.choice(whole() if rng.random() < 0.7 else corpus())
    for _ in range(rng.choice([1, 1, 1, 1, 2, 5])):
        text = LEVELS[rng.choice(tuple(LEVELS))](text, rng)
    content = text.encode("utf-8", "surrogatepass")
    return _bytes(content, rng) if rng.random() < 0.1 else content


def _bytes(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content or b"qtn 1\n")
    for _ in range(rng.choice([1, 2, 5, 20])):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + rng.randrange(1, 20)]
            case 2:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            case _:
                data[at:at] = data[at : at + rng.randrange(1, 200)]
    return bytes(data)


def _cut(text: str, rng: random.Random) -> str:
    """Some characters out, some of another place in."""
    at, source = rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)
    return text[:at] + text[source : source + rng.randrange(12)] + text[at + rng.randrange(12) :]


def _tokens(text: str, rng: random.Random) -> str:
    """A token out, twice, in the place of another, or in from another spec."""
    found, others = lexemes(text), lexemes(rng.choice(corpus()))
    if not found or not others:
        return text
    one, near = rng.choice(found), rng.choice([found, others])
    alike = [lexeme for lexeme in near if lexeme.kind == one.kind]
    other = rng.choice(alike if alike and rng.random() < 0.7 else near)
    if other.kind == one.kind:
        return text[: one.start] + other.text + text[one.end :]
    new = rng.choice(
        ["", other.text, f"{one.text} {one.text}", f"{one.text} {other.text}", f"{one.text}\n{other.text}"]
    )
    return text[: one.start] + new + text[one.end :]


def _statements(text: str, rng: random.Random) -> str:
    """Lines out, twice, moved, in from another spec, or within a stage."""
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    match rng.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines[at:at] = [lines[at]] * rng.choice([1, 2, 200])
        case 2:
            lines.insert(rng.randrange(len(lines)), lines.pop(at))
        case 3:
            lines.insert(at, rng.choice(rng.choice(corpus()).split("\n")))
        case 4:
            lines[at : at + 2] = [f"stage s{at} {{", *lines[at : at + 2], "}"]
        case _:
            lines.insert(
                at, rng.choice(['include "spec.qtn"', 'include "other.qtn"', "include <bert>", "let rows = rows"])
            )
    return "\n".join(lines)


def _special(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + "".join(rng.choices(SPECIAL, k=rng.choice([1, 1, 3]))) + text[at:]


def _nested(text: str, rng: random.Random) -> str:
    """A token within very many brackets, or after very many words."""
    found = lexemes(text)
    if not found:
        return text
    one, depth = rng.choice(found), rng.choice([2, 90, 99, 101, 3000])
    pairs = [
        ("(", ")"),
        ("[", "]"),
        ("{", "}"),
        ("(not ", ")"),
        ("mpo(", ")"),
        ("not ", ""),
        ("a | ", ""),
        ("s {\n", "\n}"),
    ]
    before, after = rng.choice(pairs[:1] if one.text[0].isupper() else pairs)
    return (
        text[: one.start]
        + before * depth
        + one.text
        + after * rng.choice([depth, depth, depth, depth - 1])
        + text[one.end :]
    )


def _expressions(text: str, rng: random.Random) -> str:
    """Another pattern in the place of one, or in a selector of its own."""
    pattern = rng.choice([rng.choice(EXPRESSIONS), "".join(rng.choices(LETTERS, k=rng.randrange(40)))])
    written = rng.choice(["", "re"]) + f'"{pattern}"'
    found = [lexeme for lexeme in lexemes(text) if lexeme.kind in ("STRING", "REGEX")]
    if not found or rng.random() < 0.3:
        return f"{text}\nselect p{rng.randrange(9)} = * where name ~ {written} or name ~ {written}\n"
    one = rng.choice(found)
    return text[: one.start] + written + text[one.end :]


def _values(text: str, rng: random.Random) -> str:
    """Another value in the place of one, or let and used."""
    found = [lexeme for lexeme in lexemes(text) if lexeme.kind in ("STRING", "REGEX", "NUMBER", "NAME", "SHAPE")]
    if not found:
        return text
    one, value = rng.choice(found), rng.choice(VALUES)
    if rng.random() < 0.3:
        return (
            f"qtn 1\nlet v = {value}\nlet w = [v, v]\n"
            + text[: one.start].removeprefix("qtn 1")
            + "v"
            + text[one.end :]
        )
    return text[: one.start] + value + text[one.end :]


LEVELS: Mapping[str, Callable[[str, random.Random], str]] = {
    "characters": _cut,
    "tokens": _tokens,
    "statements": _statements,
    "letters": _special,
    "nesting": _nested,
    "expressions": _expressions,
    "values": _values,
}
