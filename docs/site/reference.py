"""Write docs/reference.md: every construct of the spec language, from the grammar, options and tables that define it.

``python docs/site/reference.py`` writes the page, ``make reference`` calls it, and a test holds the page to it.
"""

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from constructs import Entry, entries

from qtnc.backends.options import BACKENDS
from qtnc.rules.functions import FUNCTIONS, Function
from qtnc.rules.operators import CLASSES
from qtnc.source import Source
from qtnc.spec import include, layout, pattern, syntax, tree
from qtnc.spec.check import READER
from qtnc.spec.comparisons import FIELDS, MEANINGS, SIGNS
from qtnc.spec.facts import DTYPES, LACKING
from qtnc.spec.kinds import KINDS as VALUE_KINDS
from qtnc.spec.rank import AT_STRUCTURE, KEYS, TOLD
from qtnc.spec.settings import GOALS
from qtnc.spec.values import LARGEST, UNITS, listing
from qtnc.spec.wording import FORMS, FULLER, MAX_ERRORS
from qtnc.structures.listing import first_paragraph
from qtnc.structures.options import KINDS, Option, options_of
from qtnc.structures.registry import STRUCTURES

PAGE = Path(__file__).parents[1] / "reference.md"

HEAD = """\
# Language reference

<!-- Written by `make reference` from grammar/qtn.lark and the tables beside the code. Do not edit. -->

Every construct of `qtn 1`, from what defines it: the rules of the grammar, the options of structures and backends,
and the tables of fields, keys, values and words. What they mean together is told in [the language](language.md), and
what `since` promises in [versions](versions.md).

In the rules, words in quotes stand for themselves, `[x]` and `x?` may be left out, `x*` is any number of x, `x+` one or
more, and `a | b` either. Names in capitals are [pieces of text](#pieces-of-text)."""


def page() -> str:
    """The whole page."""
    found = entries()
    statements = [entry for entry in found if entry.word]
    return "\n\n".join([HEAD, *_statements(statements), *_parts(found), *_tables()]) + "\n"


def _statements(statements: Sequence[Entry]) -> Iterator[str]:
    yield "## Statements"
    for entry in sorted(statements, key=lambda entry: syntax.vocabulary().statements.index(str(entry.word))):
        word = str(entry.word)
        forms = dict.fromkeys([FORMS[word], *(form for (first, _), form in FULLER.items() if first == word)])
        yield f"### `{word}`"
        yield f"{entry.prose} Since qtnc {entry.since}. [More of it](language.md#{word})."
        yield _block("text", *forms)
        yield "For example:"
        yield _block("qtn", *entry.examples)
        yield "In the grammar:"
        yield _block("text", entry.rules)


def _parts(found: Sequence[Entry]) -> Iterator[str]:
    """What statements are made of, then single pieces of text, then lines and words."""
    names = [entry.name for entry in found]
    lists = names.index("operator")
    yield "## Parts of statements"
    for entry in found[:lists]:
        if entry.word or not entry.name.islower() or not entry.since:
            continue
        yield f"### `{entry.name}`"
        yield f"{entry.prose} Since qtnc {entry.since}.".lstrip()
        if entry.examples:
            yield _block("text", *entry.examples)
        yield _block("text", entry.rules)
        yield from _BESIDE[entry.name]() if entry.name in _BESIDE else ()
    yield "## Pieces of text"
    for entry in found:
        if not entry.name.islower():
            yield f"{entry.prose}\n\n{_block('text', entry.rules)}".lstrip()
    yield "## Lines"
    for entry in found[lists:]:
        if entry.name.islower() and entry.name not in ("reserved", "mistake"):
            yield entry.prose.removeprefix("Lines. ")
            yield _block("text", entry.rules)


def _tables() -> Iterator[str]:
    yield "## Values"
    yield "What a value is, and what takes it. A `let` names a value of any of these kinds."
    yield _table(
        ["value", "as in", "taken by"],
        ([kind.name, ", ".join(f"`{x}`" for x in kind.examples), kind.taken_by] for kind in VALUE_KINDS),
    )
    yield _table(["unit", "times"], ([f"`{unit}`", f"{factor:,}"] for unit, factor in UNITS.items()))
    yield "Options say which values they take:"
    yield _table(["option takes", "which is"], KINDS.values())
    yield "## Structures"
    yield "What a `rewrite` may name. `qtnc structures` lists those of [other packages](structures.md) too."
    yield from _owners(STRUCTURES)
    yield "## Backends"
    yield "What an `emit` may name."
    yield from _owners(BACKENDS)
    yield "## Readers of data"
    yield f"`{READER}` takes the path of a NumPy `.{READER}` file, in quotes: an array for each input of the model."
    yield "## Goals"
    yield f"`optimize` takes {listing(GOALS, 'or')}; without it, it is `balanced`."
    yield "## Recipes"
    yield "What `include <...>` may name. Each declares these selectors:"
    yield _table(["recipe", "for", "selectors"], map(_recipe, include.recipes()))
    yield "## Reserved words"
    reserved = listing(syntax.vocabulary().reserved)
    yield f"Later releases begin statements or structures with {reserved}; a spec that does is told so today."
    yield "## Limits"
    yield _table(["of a spec", "at most"], [[what, f"{most:,}"] for what, most in _LIMITS.items()])


_LIMITS = {
    "characters, with all that it includes": syntax.MAX_LENGTH,
    "characters that names of values stand for": syntax.MAX_LENGTH,
    "characters of a pattern": pattern.MAX_LENGTH,
    "brackets within brackets": layout.MAX_DEPTH,
    "includes within includes": include.MAX_DEPTH,
    "any number": LARGEST,
    "errors shown at once": MAX_ERRORS,
}


def _fields() -> Iterator[str]:
    yield "A `field` is one of these. A layer that lacks a number meets no condition on it."
    ways = {
        "name": ("`~`", 'a glob in quotes, which the whole name matches, or `re"..."`, which finds something in it'),
        "weight.shape": ("`==`, `!=`", "its shape as stored"),
        "weight.dtype": ("`==`, `!=`", f"its type: {listing(DTYPES, 'or')}"),
    }
    numbers = ", ".join(f"`{sign}`" for sign in SIGNS) + ", `in`, `divisible by`"
    rows = []
    for field in FIELDS:
        signs, meaning = ways.get(field, (numbers, MEANINGS.get(field, "")))
        rows.append([f"`{field}`", signs, f"{meaning}; some layers lack it" if field in LACKING else meaning])
    yield _table(["field", "compared by", "what it is"], rows)


def _keys() -> Iterator[str]:
    yield f"`top` and `bottom` rank by one of these keys; {listing(AT_STRUCTURE)} stands before `of` and a structure."
    yield _table(
        ["key", "of a layer", "reads weights"],
        ([f"`{key}`", doc, "no" if key in TOLD else "yes"] for key, doc in KEYS.items()),
    )


def _classes() -> Iterator[str]:
    yield "An operator is one of ONNX, one of another domain with dots before it, or a class of operators:"
    yield _table(["class", "operators"], ([f"`{name}`", ", ".join(sorted(ops))] for name, ops in CLASSES.items()))


def _functions() -> Iterator[str]:
    yield "What is called is an operator, a captured operation, or one of these functions:"
    yield _table(
        ["function", "gives", "which is"], ([_call(n, f), f.result.value, f.meaning] for n, f in FUNCTIONS.items())
    )


def _call(name: str, function: Function) -> str:
    words = [sort.name.lower() for sort in function.parameters]
    sure = len(words) - function.optional
    words[sure:] = [f"[{word}]" for word in words[sure:]]
    return f"`{name}({', '.join([*words, *(['...'] if function.rest else [])])})`"


_BESIDE: Mapping[str, Callable[[], Iterator[str]]] = {
    "selection": _keys,
    "condition": _fields,
    "pattern": _classes,
    "formula": _functions,
}
"""What stands beside a rule and is defined by a table."""


def _owners(owners: Mapping[str, type[Any]]) -> Iterator[str]:
    for name, owner in owners.items():
        yield f"### `{name}`"
        notes = [first_paragraph(owner.__doc__ or "")]
        if getattr(owner, "wraps", False):
            notes.append("Stands before another structure, after `|`.")
        if getattr(owner, "selects", False):
            notes.append("Takes `for SELECTOR`.")
        yield " ".join(notes)
        options = options_of(owner).values()
        header = ["option", "value", "default", "meaning", *(["since"] if any(o.since for o in options) else [])]
        yield _table(header, (_option(option)[: len(header)] for option in options))


def _option(option: Option) -> list[str]:
    return [f"`{option.name}`", option.takes, _default(option), option.doc, option.since or ""]


def _default(option: Option) -> str:
    """As a spec would write it."""
    match option.kind, option.default:
        case _, None:
            return ""
        case "fraction", share:
            return f"`{share * 100:g}%`"
        case _, int(number):
            return f"`{number:_}`"
        case _, other:
            return f"`{other}`"


def _recipe(name: str) -> list[str]:
    text = files("qtnc.grammar").joinpath("recipes", f"{name}{include.ENDING}").read_text(encoding="utf-8")
    comment = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    models = " ".join(line.removeprefix("# ") for line in comment).split(". ")[0].rstrip(".")
    spec = syntax.parse(Source(f"<{name}>", text))
    return [f"`<{name}>`", models, listing(s.name.text for s in spec.statements if isinstance(s, tree.Select))]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _block(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
