"""Includes to the statements that they stand for: recipes that ship, and files in the folder of the spec."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

from qtnc.errors import Diagnostic, SpecError, did_you_mean
from qtnc.source import Source, Span
from qtnc.spec import tree
from qtnc.spec.file import read_text
from qtnc.spec.header import header_faults
from qtnc.spec.inside import found_inside
from qtnc.spec.syntax import MAX_LENGTH, recover
from qtnc.spec.values import RefusedError, listing
from qtnc.spec.wording import MAX_ERRORS, clip, in_order

ENDING = ".qtn"
"""Of files that may be included: a spec makes us read no other."""

MAX_DEPTH = 16
"""Includes within includes."""


def expanded(
    spec: tree.SpecTree,
    errors: Iterable[Diagnostic],
    folder: Path,
    read: Callable[[Path], str] = read_text,
) -> tuple[tree.SpecTree, tuple[Diagnostic, ...]]:
    """Put statements in place of includes.

    Parameters
    ----------
    spec, errors
        What was read of a spec, and what is wrong with it.
    folder
        That of the spec: its includes start there, and no file outside it is read.
    read
        The text of a file.

    Returns
    -------
    SpecTree, tuple of Diagnostic
        The whole, and all that is wrong with its syntax.

    Raises
    ------
    SpecError
        With all of that, where a file cannot be read: what it declares is not known then.
    """
    reader = _Reader(folder, MAX_LENGTH - len(spec.source.text), [*errors, *header_faults(spec)], read)
    reader.places[Path(spec.source.name).name] = None
    statements = tuple(reader.statements(spec, reader.root))
    if reader.unread:
        raise SpecError(*in_order([*reader.errors, *reader.unread]))
    whole = replace(spec, statements=statements, lost=spec.lost | reader.lost, includes=tuple(reader.found))
    return whole, tuple(reader.errors)


def recipes() -> tuple[str, ...]:
    """Names of the recipes that ship."""
    names = (entry.name for entry in files("qtnc.grammar").joinpath("recipes").iterdir())
    return tuple(sorted(name.removesuffix(ENDING) for name in names if name.endswith(ENDING)))


@dataclass
class _Reader:
    """One reading of all that a spec in ``folder`` includes, in the order of the text.

    Attributes
    ----------
    left : characters that may still be read.
    errors, unread : what is wrong inside of files, and with files that could not be read.
    open : reads the text of a file.
    places : where each file or recipe is included, by its path from the folder; None for the spec itself.
    """

    folder: Path
    left: int
    errors: list[Diagnostic]
    open: Callable[[Path], str]
    unread: list[Diagnostic] = field(default_factory=list)
    lost: frozenset[str] = frozenset()
    places: dict[str, Span | None] = field(default_factory=dict)
    found: list[tree.Included] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root = Path(os.path.realpath(self.folder))

    def statements(self, spec: tree.SpecTree, folder: Path) -> Iterator[tree.Statement]:
        """Statements of a source in ``folder``, and in place of includes those of the sources included."""
        for statement in spec.statements:
            if not isinstance(statement, tree.Include):
                yield statement
            elif len(self.errors) + len(self.unread) <= MAX_ERRORS:
                try:
                    included, inner = self.read(statement, folder)
                except RefusedError as refused:
                    self.unread.append(refused.diagnostic)
                else:
                    yield from (s for s in self.statements(included, inner) if not isinstance(s, tree.Header))

    def read(self, node: tree.Include, folder: Path) -> tuple[tree.SpecTree, Path]:
        """Read what is included in a source in ``folder``, and say in which folder it is."""
        if len(node.span.order) > MAX_DEPTH:
            raise RefusedError(f"includes are nested deeper than {MAX_DEPTH}", node.span)
        if isinstance(node.file, tree.Recipe):
            name, path = f"<{node.file.name}>", None
            self.once(name, node)
            text = _recipe(node.file)
        else:
            found = self.find(node.file, folder)
            name, folder = found.relative_to(self.root).as_posix(), found.parent
            path = self.folder / name
            self.once(name, node)
            text = self.text(path, node.file)
        self.left -= len(text)
        if self.left < 0:
            raise RefusedError(f"a spec and what it includes have at most {MAX_LENGTH:,} characters", node.file.span)
        source = Source(str(path or name), text, node.span)
        spec, errors = recover(source)
        if errors and (not spec.lost or len(errors) > MAX_ERRORS):
            self.unread += errors  # another version, of which nothing was read, or too many errors to read on
        else:
            self.errors += [*errors, *header_faults(spec)]
        self.lost |= spec.lost
        self.found.append(tree.Included(name, source, path))
        return spec, folder

    def find(self, file: tree.String, folder: Path) -> Path:
        """Find a file from the folder of the source that includes it, links followed."""
        return found_inside(file, folder, self.root, ENDING, "include")

    def text(self, path: Path, file: tree.String) -> str:
        """Read the text of a file that is included."""
        try:
            return self.open(path)
        except SpecError as error:
            raise RefusedError(error.diagnostics[0].message, file.span) from error

    def once(self, name: str, node: tree.Include) -> None:
        """Refuse what is included already: its names would be declared twice, if it ever ended."""
        if name not in self.places:
            self.places[name] = node.span
            return
        place, text = self.places[name], f"`{clip(node.file.span.text)}`"
        if place is None or place in node.span.chain:
            raise RefusedError(f"{text} includes itself", node.span)
        message = f"{text} is already included at {place.seen_from(node.span)}"
        raise RefusedError(message, node.span, "drop one of the two")


def _recipe(recipe: tree.Recipe) -> str:
    known = recipes()
    if recipe.name not in known:
        way_out = " ".join(filter(None, (did_you_mean(recipe.name, known), f"recipes are {_listed(known)}")))
        raise RefusedError(f"unknown recipe `<{clip(recipe.name)}>`", recipe.span, way_out)
    return files("qtnc.grammar").joinpath("recipes", recipe.name + ENDING).read_text(encoding="utf-8")


def _listed(names: Iterable[str]) -> str:
    return listing(f"<{name}>" for name in names)
