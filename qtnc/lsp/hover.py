"""What is under a cursor, in words."""

from collections.abc import Callable
from typing import Any

from qtnc.backends.options import BACKENDS
from qtnc.errors import visible
from qtnc.lsp import meanings
from qtnc.lsp.completion import options_at
from qtnc.lsp.in_rules import signature
from qtnc.lsp.names import Mention, declarer
from qtnc.lsp.place import leaf_at, meaning_at
from qtnc.lsp.reading import Reading
from qtnc.rules.functions import FUNCTIONS
from qtnc.source import Span
from qtnc.spec import tree
from qtnc.spec.ahead import Path
from qtnc.spec.comparisons import FIELDS
from qtnc.spec.conditions import is_op
from qtnc.spec.pattern import Pattern, PatternError
from qtnc.spec.rank import KEYS
from qtnc.spec.rules import tree as rule_tree
from qtnc.spec.wording import clip

LONGEST = 500
"""Characters of a statement that are shown."""


def hover(reading: Reading, offset: int) -> tuple[str, Span] | None:
    """What is at an offset, as Markdown, and where it stands; None where there is nothing to say."""
    found = leaf_at(reading, offset)
    if found is None:
        return None
    stretch, lexeme = found
    path = meaning_at(reading, stretch, lexeme)
    span = Span(reading.source, lexeme.start, lexeme.end)
    text = _named(path, reading) if path else None
    # `top` and its like are kept in the tree, to be told apart, and are words of the language.
    if text is None and lexeme.text.isalpha() and (not path or path[-1].field == "word"):
        text = meanings.of_statement(stretch.word, stretch.block.word if stretch.block else None)
    return (text, span) if text else None


def named_at(reading: Reading, offset: int) -> Mention | None:
    """The name at an offset, where it is one that a statement declares."""
    found = leaf_at(reading, offset)
    if found is None:
        return None
    span = Span(reading.source, found[1].start, found[1].end)
    return next((m for m in reading.mentions if m.span == span), None)


def _named(path: Path, reading: Reading) -> str | None:
    node, part = path[-1].node, path[-1].field
    match node, part:
        case tree.Call(), "name":
            return _called(path, reading)
        case tree.Argument(name=tree.Name(word)), "name":
            option = options_at(path).get(word)
            return meanings.of_option(option) if option else None
        case tree.Comparison() | tree.Membership() | tree.Divisible(), "field":
            return meanings.of_field(node.field.text) if node.field.text in FIELDS else None
        case tree.Comparison(value=tree.String() | tree.Regex() as value), "value" if node.field.text == "name":
            return _matched(value, reading)
        case rule_tree.Invocation(), "name" if node.name.text in FUNCTIONS:
            function = FUNCTIONS[node.name.text]
            return f"{function.meaning}\n\n{meanings.fenced([signature(node.name.text, function)])}"
        case tree.Top(), "key":
            return KEYS.get(node.key.text)
        case tree.Layers(), "name" if is_op(node.name.text):
            return _layers(lambda layer: layer.op == node.name.text, reading)
    kind, name = declarer(node, part), getattr(node, part)
    if kind is None and part == "name" and len(path) == 1:
        kind = type(node)
    name = next((x for x in (name if isinstance(name, tuple) else (name,)) if isinstance(x, tree.Name)), None)
    return _declared(kind, name.text, reading) if kind and name else None


def _called(path: Path, reading: Reading) -> str | None:
    name = path[-1].node.name.text
    if isinstance(path[0].node, tree.Emit):
        return meanings.of_owner(BACKENDS[name]) if name in BACKENDS else None
    if isinstance(path[0].node, tree.Data):
        return meanings.of_statement("data")
    return meanings.of_structure(name, reading.structures) if name in reading.structures else None


def _declared(kind: type[Any], name: str, reading: Reading) -> str | None:
    """The statement that declares a name, and of a selector what it selects."""
    found = reading.declared(kind, name)
    if found is None:
        return None
    said = [clip(line, LONGEST) for line in _lines(found.statement.span.text)]
    if found.span.source is not reading.source:
        said.append(f"# {visible(found.span.place())}")
    shown = meanings.fenced(said, "qtn")
    if kind is not tree.Select or reading.model is None or reading.chosen is None:
        return shown
    if name not in reading.chosen:
        return f"{shown}\n\nplan decides what it selects"
    chosen = frozenset(reading.chosen[name])
    return f"{shown}\n\n" + (_layers(lambda layer: layer.name in chosen, reading) or "")


def _lines(text: str) -> list[str]:
    """Lines of a text in which nothing is left that is not seen."""
    return [visible(line.rstrip("\r")) for line in text.split("\n")][:20]


def _layers(chosen: Callable[[Any], bool], reading: Reading) -> str | None:
    if reading.model is None:
        return None
    return meanings.of_layers([x for x in reading.model.layers if chosen(x)], len(reading.model.layers))


def _matched(value: tree.String | tree.Regex, reading: Reading) -> str | None:
    pattern = Pattern(value.text, "regex" if isinstance(value, tree.Regex) else "glob")
    try:
        pattern.matches("")
    except PatternError:
        return None  # it is said where it stands
    return _layers(lambda layer: pattern.matches(layer.name), reading)
