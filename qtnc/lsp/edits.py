"""What the server writes: a spec in its one form, and names by other names."""

from collections.abc import Sequence
from dataclasses import replace

from lsprotocol.types import TextEdit

from qtnc.errors import SpecError
from qtnc.lsp.names import Mention
from qtnc.lsp.positions import Positions
from qtnc.lsp.reading import Reading
from qtnc.source import Source
from qtnc.spec import tree
from qtnc.spec.conditions import is_op
from qtnc.spec.form import formatted
from qtnc.spec.syntax import parse


class RefusedEditError(Exception):
    """It cannot be written; the message says why."""


def form_edits(source: Source, positions: Positions) -> list[TextEdit]:
    """What brings a spec into its one form: an edit of the lines that change, or none.

    Raises
    ------
    RefusedEditError
        Its syntax is wrong.
    """
    try:
        form = formatted(source)
    except SpecError as error:
        raise RefusedEditError("a spec is not formatted before its syntax is right") from error
    if "\r\n" in source.text:
        form = form.replace("\n", "\r\n")
    if form == source.text:
        return []
    old, new = source.text.splitlines(keepends=True), form.splitlines(keepends=True)
    ahead = _alike(old, new)
    behind = _alike(old[ahead:][::-1], new[ahead:][::-1])
    start = sum(map(len, old[:ahead]))
    end = len(source.text) - sum(map(len, old[len(old) - behind :]))
    return [TextEdit(positions.range(start, end), "".join(new[ahead : len(new) - behind]))]


def rename(reading: Reading, mention: Mention, name: str) -> tuple[Mention, ...]:
    """The places at which a name is written, where it may be replaced by another.

    Raises
    ------
    RefusedEditError
        It may not, or not everywhere.
    """
    found = tuple(m for m in reading.mentions if m.kind is mention.kind and m.name == mention.name)
    if not any(m.declares for m in found):
        raise RefusedEditError(f"nothing declares `{mention.name}`")
    if any(m.span.source.name.startswith("<") for m in found):
        raise RefusedEditError("a name of a recipe cannot be changed")
    if reading.found.whole.lost:
        raise RefusedEditError("a name is not changed before all statements can be read")
    if not _is_name(name) or (mention.kind is tree.Select and is_op(name)):
        raise RefusedEditError(f"`{name[:40]}` is no name for it")
    if any(m.kind is mention.kind and m.name == name and m.declares for m in reading.mentions):
        raise RefusedEditError(f"`{name}` is declared already")
    return tuple(replace(m, name=name) for m in found)


def _is_name(name: str) -> bool:
    try:
        (statement,) = parse(Source("", f"ignore {name}")).statements
    except (SpecError, ValueError):
        return False
    return isinstance(statement, tree.Ignore) and statement.selector.text == name


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines are the same at the beginning."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(old), len(new)))
