"""``use``: files of Python in the folder of the spec, and passes of other packages, with their options."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from qtnc.errors import PluginError, did_you_mean
from qtnc.plugins.allowed import Allowed
from qtnc.plugins.file import ENDING, load_file, read_file
from qtnc.plugins.offer import Offer
from qtnc.plugins.written import is_mapping, read_scalar, writable
from qtnc.source import Source, Span
from qtnc.spec import program, tree
from qtnc.spec.inside import found_inside
from qtnc.spec.values import RefusedError, listing, quantity
from qtnc.spec.wording import clip
from qtnc.structures.structure import Structure

REFUSED = "leave `--no-python` out to run it, if you trust it"


NO_OPTIONS: Final[Mapping[str, Any]] = MappingProxyType({})
"""Those of a file's passes: it lists them as they are to run."""


@dataclass
class Uses:
    """What the statements of one spec use, in order.

    Attributes
    ----------
    root : the folder of the spec, which no file may leave.
    shipped : sources of recipes, which use nothing.
    structures : of the files above, by their words.
    """

    allowed: Allowed
    root: Path
    shipped: Collection[Source]
    found: dict[str, program.Use] = field(default_factory=dict)
    structures: dict[str, type[Structure]] = field(default_factory=dict)

    @property
    def left(self) -> bool:
        """Whether a file was not run: a word that nothing knows may be one of its structures."""
        return any(use.left for use in self.found.values())

    def take(self, node: tree.Use, folder: Path) -> None:
        """Take what a statement of a source in ``folder`` uses.

        Raises
        ------
        RefusedError
            If it is not there, cannot be used, or may not be.
        """
        if node.span.source in self.shipped:
            raise RefusedError("a recipe uses no code of others", node.span)
        what = node.what
        use = self._file(what, node.span, folder) if isinstance(what, tree.String) else self._pass(what, node.span)
        mine = {offer.name for offer, _ in use.passes}
        for other in self.found.values():
            if both := sorted(mine & {offer.name for offer, _ in other.passes}):
                message = f"pass {listing(both)} is offered by `{clip(other.name)}` too, used at "
                raise RefusedError(message + other.span.seen_from(node.span), node.span, "give one another name")
        if ours := sorted(mine & self.allowed.own):
            raise RefusedError(f"{listing(ours)} is a name of qtnc's own", node.span, "give the pass another name")
        self.found[use.name] = use

    def _file(self, file: tree.String, span: Span, folder: Path) -> program.Use:
        root = Path(os.path.realpath(self.root))
        path = found_inside(file, Path(os.path.realpath(folder)), root, ENDING, "use")
        name = path.relative_to(root).as_posix()
        self._once(name, span)
        if self.allowed.python == "refuse":
            raise RefusedError(f"`{clip(name)}` is Python, which is not allowed to run", file.span, REFUSED)
        if self.allowed.python == "leave":
            _told(file.span, read_file, path)
            return program.Use(name, (), span, path, None, left=True)
        found = _told(file.span, load_file, path)
        for word in found.structures:
            if word in self.structures or self.allowed.structures.offers(word):
                raise RefusedError(f"structure `{clip(word)}` of `{clip(name)}` is offered by another too", file.span)
        self.structures.update(found.structures)
        offers = [replace(offer, origin=name, place=span.place()) for offer in found.passes]
        return program.Use(name, tuple((offer, NO_OPTIONS) for offer in offers), span, self.root / name, found.sha256)

    def _pass(self, call: tree.Call, span: Span) -> program.Use:
        offered = self.allowed.passes
        name = offered.written(call.name.text)
        if name not in offered:
            known = f"passes of packages are {listing(offered)}" if offered else "no installed package offers one"
            way_out = did_you_mean(name, offered) or f'{known}; a file is used by its path, as in `use "mine.py"`'
            raise RefusedError(f"unknown pass `{clip(call.name.text)}`", call.name.span, way_out)
        self._once(name, span)
        if self.allowed.python == "refuse":
            raise RefusedError(f"`{clip(name)}` is code of another package, which is not allowed", call.span, REFUSED)
        offer = replace(_told(call.name.span, offered.__getitem__, name), place=span.place())
        return program.Use(name, ((offer, _options(call, offer)),), span)

    def _once(self, name: str, span: Span) -> None:
        if name in self.found:
            place = self.found[name].span.seen_from(span)
            raise RefusedError(f"`{clip(name)}` is already used at {place}", span, "drop one of the two")


def _options(call: tree.Call, offer: Offer) -> Mapping[str, Any]:
    """Options as written; the pass is made of them once, to hear what it says."""
    hints = {} if offer.ready is not None else writable(offer.kind)
    hints = {name: hint for name, hint in hints.items() if not is_mapping(hint)}
    takes = f"`{call.name.text}` takes {listing(hints) if hints else 'no options'}"
    values: dict[str, Any] = {}
    for argument in call.arguments:
        if argument.name is None:
            raise RefusedError("an option needs its name, as in `OPTION: VALUE`", argument.span, takes)
        name = argument.name.text
        if name not in hints:
            way_out = did_you_mean(name, hints) or takes
            raise RefusedError(f"`{call.name.text}` has no option `{clip(name)}`", argument.name.span, way_out)
        if name in values:
            raise RefusedError(f"`{name}` is given twice", argument.span)
        try:
            values[name] = read_scalar(hints[name], _word(argument.value, hints[name]))
        except ValueError as error:
            raise RefusedError(f"`{name}`: {error}", argument.value.span, takes) from error
    try:
        offer.made(values)
    except Exception as error:  # whatever a stranger's class does as it is made
        message = f"`{call.name.text}` cannot be made: {clip(f'{type(error).__name__}: {error}', 200)}"
        raise RefusedError(message, call.span) from error
    return values


def _word(value: tree.Value, hint: Any) -> str:
    """A value as pipelines write it, units multiplied in."""
    if isinstance(value, tree.Number) and hint in (int, float):
        read = quantity(value)
        number = read.value / 100 if read.percent else read.value
        return str(int(number)) if number == int(number) and hint is int else str(number)
    if isinstance(value, tree.Name | tree.String | tree.Number):
        return value.text
    raise ValueError("a list is no such value")


def _told(span: Span, ask: Any, about: Any) -> Any:
    """Ask, and show what is wrong at the place in the spec."""
    try:
        return ask(about)
    except PluginError as error:
        raise RefusedError.of(replace(error.diagnostics[0], span=span)) from error
