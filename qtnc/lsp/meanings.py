"""What words of a spec mean, in a line or two of Markdown; names of strangers only where they cannot be mark-up."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from qtnc.errors import PluginError, printable
from qtnc.ir.dtypes import dtype_word
from qtnc.lsp.told import ToldLayer
from qtnc.spec.comparisons import COUNTED, MEANINGS, ways
from qtnc.spec.facts import axes
from qtnc.spec.values import UNITS, WANTED, listing
from qtnc.spec.wording import FORMS, FULLER, INSIDE
from qtnc.structures.listing import first_paragraph
from qtnc.structures.options import Option, options_of
from qtnc.structures.plugins import Structures

SHOWN: Final = 5
"""Layers that are named, and shapes."""


def fenced(lines: Iterable[str], language: str = "text") -> str:
    """Lines that Markdown leaves alone, for what stands in models and specs."""
    # No line begins with what would end the fence.
    return "\n".join([f"```{language}", *(line.replace("`", "'") for line in lines), "```"])


def of_statement(word: str, block: str | None = None) -> str | None:
    """The forms of a statement by the word it begins with, and that of the block that it stands in."""
    known = INSIDE.get(block, FORMS) if block else FORMS
    forms = [known[word]] if word in known else []
    forms += [form for (keyword, _), form in FULLER.items() if keyword == word and form not in forms]
    return "\n".join(["```qtn", *forms, "```"]) if forms else None


def of_owner(kind: type[Any]) -> str:
    """What has options: a structure or a backend."""
    rows = [f"- `{option.name}`: {option.takes}. {option.doc}" for option in options_of(kind).values()]
    return "\n".join([first_paragraph(kind.__doc__ or ""), "", *rows])


def of_structure(name: str, structures: Structures) -> str:
    """A structure; of one of another package, where it is from."""
    try:
        return of_owner(structures[name])
    except PluginError as error:
        said = error.diagnostics[0]
        return fenced([said.message, said.help or ""])


def of_option(option: Option) -> str:
    """What an option means, what it takes and what is taken where it is not written."""
    takes = listing(option.words, "or") if option.words else WANTED[option.kind]
    units = f"; units are {listing(UNITS)}" if option.kind == "count" else ""
    default = "" if option.default is None else f" Without it: `{option.default}`."
    return f"{option.doc}\n\nTakes {takes}{units}.{default}"


def of_field(field: str) -> str:
    """What a condition compares."""
    return MEANINGS[field] if field in COUNTED else f"{MEANINGS[field]}; {ways(field)}"


def of_layers(layers: Sequence[ToldLayer], total: int) -> str:
    """How many layers of a model, their shapes and elements, and the first names."""
    if not layers:
        return f"no layer of {total:,}"
    shapes = dict.fromkeys(f"{layer.op} {axes(layer.shape)} {dtype_word(layer.dtype)}" for layer in layers)
    elements = sum(layer.elements for layer in layers)
    noun = "layer" if total == 1 else "layers"
    lines = [f"{len(layers):,} of {total:,} {noun}, {elements:,} elements", "", *_first(shapes), ""]
    return fenced([*lines, *_first([printable(layer.name) for layer in layers])])


def _first(texts: Iterable[str]) -> list[str]:
    every = list(texts)
    more = [f"and {len(every) - SHOWN:,} more"] if len(every) > SHOWN else []
    return [*(f"  {text}" for text in every[:SHOWN]), *(f"  {text}" for text in more)]
