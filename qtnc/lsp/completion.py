"""What may be written at a cursor: what the parser takes there, and the names that would mean something."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any, Final

from lsprotocol.types import CompletionItem, CompletionItemKind, MarkupContent, MarkupKind, TextEdit

from qtnc.backends.options import BACKENDS
from qtnc.errors import printable
from qtnc.ir.layers import WEIGHT_INPUTS
from qtnc.lsp import meanings
from qtnc.lsp.files import files_at
from qtnc.lsp.in_rules import words_at
from qtnc.lsp.names import declarer
from qtnc.lsp.patterns import continuations
from qtnc.lsp.place import Place
from qtnc.lsp.positions import Positions
from qtnc.lsp.reading import Reading
from qtnc.source import Source, Span
from qtnc.spec import tree
from qtnc.spec.ahead import Path, paths
from qtnc.spec.check import READER
from qtnc.spec.comparisons import COUNTED, FIELDS
from qtnc.spec.facts import DTYPES
from qtnc.spec.include import recipes
from qtnc.spec.rank import KEYS
from qtnc.spec.settings import GOALS
from qtnc.spec.wording import FORMS, INSIDE, clip
from qtnc.structures.listing import first_paragraph
from qtnc.structures.options import Option, options_of
from qtnc.structures.registry import STRUCTURES

Kind = CompletionItemKind

MOST: Final = 1000
"""What is offered at once."""


@dataclass(frozen=True)
class Offer:
    """Something that may be written: ``text`` where it is more than its ``label``, ``start`` where it begins."""

    label: str
    kind: CompletionItemKind
    detail: str = ""
    doc: str = ""
    text: str | None = None
    start: int | None = None


def offers(place: Place, reading: Reading) -> list[Offer]:
    """What may be written at a place of a text."""
    found: dict[str, Offer] = {}
    for meaning in place.meanings:
        for offer in _meant(meaning, place, reading):
            found.setdefault(offer.label, offer)
    if place.leaf.kind == "NAME":
        for word in place.words:
            forms = INSIDE.get(place.block or "", FORMS)
            found.setdefault(word, Offer(word, Kind.Keyword, "" if place.before else forms.get(word, "")))
        # A file is written in quotes, which are not typed yet.
        for path in _quoted(place) if place.before else ():
            for offer in _meant(path, place, reading):
                found.setdefault(offer.label, offer)
    return list(found.values())[:MOST]


def items(offered: Iterable[Offer], place: Place, positions: Positions) -> list[CompletionItem]:
    """The same for an editor, in this order."""
    return [
        CompletionItem(
            label=printable(offer.label, 200),
            kind=offer.kind,
            detail=offer.detail or None,
            documentation=MarkupContent(MarkupKind.Markdown, offer.doc) if offer.doc else None,
            sort_text=f"{number:04}",
            filter_text=offer.text or offer.label,
            text_edit=TextEdit(
                positions.range(place.start if offer.start is None else offer.start, place.leaf.end),
                offer.label if offer.text is None else offer.text,
            ),
        )
        for number, offer in enumerate(offered)
    ]


def _quoted(place: Place) -> Iterator[Path]:
    """What a string or a recipe would mean where nothing is typed yet."""
    for kind in ("STRING", "RECIPE"):
        yield from paths(Source("", ""), place.before, replace(place.leaf, kind=kind), place.block)


def _meant(path: Path, place: Place, reading: Reading) -> Iterator[Offer]:
    """Names that mean something where a path of a statement leads."""
    node, part = path[-1].node, path[-1].field
    for word in words_at(path, reading, place.leaf.start) if place.leaf.kind == "NAME" else ():
        yield Offer(word.text, Kind.Function if word.meaning else Kind.Value, word.what, word.meaning)
    match node, part:
        case tree.Include(), "file":
            yield from _included(place, reading)
        case tree.Use(), "what" if place.leaf.kind != "RECIPE":
            yield from files_offered(tree.Use, place, reading)
        case tree.Call(), "name":
            yield from _calls(path, reading)
        case tree.Argument(), "name" | "value":
            yield from _arguments(path, place, reading)
        case tree.Comparison() | tree.Membership() | tree.Divisible(), "field":
            known = FIELDS if isinstance(node, tree.Comparison) else COUNTED
            start = node.field.span.start
            yield from (Offer(f, Kind.Field, doc=meanings.of_field(f), start=start) for f in known)
        case tree.Comparison(field=field), "value":
            yield from _compared(field.text, place, reading)
        case tree.Top(), "key":
            yield from (Offer(key, Kind.Property, doc=doc) for key, doc in KEYS.items())
        case tree.Optimize(), "goal":
            yield from (Offer(goal, Kind.EnumMember) for goal in GOALS)
        case tree.Layers(), "name":
            yield from _operators(reading)
    kind = declarer(node, part)
    # A value without the name of its option is never right.
    nameless = isinstance(node, tree.Argument) and node.name is None
    if kind is not None and place.leaf.kind == "NAME" and not nameless:
        yield from _declared(kind, place, reading)


def _included(place: Place, reading: Reading) -> Iterator[Offer]:
    if place.leaf.kind != "RECIPE":
        yield from files_offered(tree.Include, place, reading)
    if place.leaf.kind != "STRING":
        yield from (Offer(f"<{name}>", Kind.Module, "recipe") for name in recipes())


def files_offered(statement: type[Any], place: Place, reading: Reading) -> Iterator[Offer]:
    """Files that a statement may name; in quotes where none is typed yet."""
    typed = place.typed if place.leaf.kind == "STRING" else ""
    for path in files_at(statement, typed, reading.folder):
        if reading.folder / path == FilePath(reading.source.name):
            continue  # itself
        text = path if place.leaf.kind == "STRING" else f'"{path}"'
        yield Offer(path, Kind.Folder if path.endswith("/") else Kind.File, text=text)


def _calls(path: Path, reading: Reading) -> Iterator[Offer]:
    if isinstance(path[0].node, tree.Data):
        yield Offer(READER, Kind.Function, 'npz("PATH")')
    elif isinstance(path[0].node, tree.Use):
        yield from (Offer(p.name.replace("-", "_"), Kind.Module, p.package) for p in reading.passes)
    elif isinstance(path[0].node, tree.Emit):
        yield from (Offer(name, Kind.Module, doc=meanings.of_owner(kind)) for name, kind in BACKENDS.items())
    else:
        for name in reading.structures:
            plugin = "" if name in STRUCTURES else ", ".join(p.package for p in reading.structures.offers(name))
            summary = first_paragraph(STRUCTURES[name].__doc__ or "") if name in STRUCTURES else ""
            yield Offer(name, Kind.Function, plugin or summary, meanings.of_structure(name, reading.structures))


def _arguments(path: Path, place: Place, reading: Reading) -> Iterator[Offer]:
    """Options, or what one of them takes."""
    argument, call = path[-1].node, path[-2].node
    if isinstance(path[0].node, tree.Data):
        if path[-1].field == "value" and place.leaf.kind != "REGEX":
            yield from files_offered(tree.Data, place, reading)
        return
    options = options_at(path)
    if path[-1].field == "name":
        given = {a.name.text for a in call.arguments if a.name and a is not argument}
        for option in options.values():
            if option.name not in given:
                doc = meanings.of_option(option)
                yield Offer(option.name, Kind.Property, option.takes, doc, f"{option.name}: ")
    elif argument.name is not None and (wanted := options.get(argument.name.text)):
        words = wanted.words or (("auto",) if wanted.kind == "sites" else ())
        yield from (Offer(word, Kind.EnumMember, doc=wanted.doc) for word in words)


def options_at(path: Path) -> Mapping[str, Option]:
    """Options of the call that a path leads into; none of one that is not known."""
    calls = [step for step in path if isinstance(step.node, tree.Call)]
    if not calls:
        return {}
    known: Mapping[str, type[Any]] = BACKENDS if isinstance(path[0].node, tree.Emit) else STRUCTURES
    kind = known.get(calls[-1].node.name.text)
    return options_of(kind) if kind else {}


def _compared(field: str, place: Place, reading: Reading) -> Iterator[Offer]:
    if field == "weight.dtype" and place.leaf.kind == "NAME":
        yield from (Offer(word, Kind.EnumMember) for word in DTYPES)
    if field == "name" and place.leaf.kind in ("STRING", "REGEX") and reading.model:
        names = [layer.name for layer in reading.model.layers]
        for pattern, count in continuations(place.typed, place.leaf.kind, names).items():
            noun = "layer" if count == 1 else "layers"
            yield Offer(pattern, Kind.Value, f"{count:,} {noun}")


def _operators(reading: Reading) -> Iterator[Offer]:
    if reading.model is None:
        yield from (Offer(op, Kind.Class) for op in WEIGHT_INPUTS)
        return
    ops = dict.fromkeys(layer.op for layer in reading.model.layers)
    for op in ops:
        layers = [layer for layer in reading.model.layers if layer.op == op]
        doc = meanings.of_layers(layers, len(reading.model.layers))
        yield Offer(op, Kind.Class, f"{len(layers):,} of {len(reading.model.layers):,} layers", doc)


def _declared(kind: type[Any], place: Place, reading: Reading) -> Iterator[Offer]:
    """Names that a kind of statement declares above."""
    here = Span(reading.source, place.before[0].start, place.leaf.end).order
    for mention in reading.mentions:
        if mention.declares and mention.kind is kind and mention.span.order < here:
            doc = meanings.fenced([clip(mention.statement.span.text, 200)], "qtn")
            detail = ""
            if kind is tree.Select and reading.chosen is not None and mention.name in reading.chosen:
                detail = f"{len(reading.chosen[mention.name]):,} layers"
            yield Offer(mention.name, Kind.Constant if kind is tree.Let else Kind.Variable, detail, doc)
