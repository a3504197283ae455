"""What is wrong with a spec, as editors show it: at its place, or at the `include` through which it comes."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

from lsprotocol.types import Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, Location, Range
from pygls.uris import from_fs_path

from qtnc.errors import Diagnostic as Said
from qtnc.errors import visible
from qtnc.lsp.positions import Positions
from qtnc.lsp.reading import NotImported, Reading
from qtnc.source import Source, Span
from qtnc.spec import tree
from qtnc.spec.include import ENDING

SOURCE: Final = "qtnc"

DECLARING: Final = (tree.Header, tree.Include, tree.Bind, tree.Optimize)
"""Statements that do nothing by themselves, beside those that declare a name."""


def diagnostics(reading: Reading, positions: Positions) -> Iterator[Diagnostic]:
    """All that is wrong with a spec and what it includes."""
    for said in (*reading.found.errors, *reading.empty):
        yield _shown(said, reading, positions)


def warning(message: str, span: Span | None, positions: Positions) -> Diagnostic:
    """Something else that the author should know, at the first line where it has no place."""
    place = positions.of(span) if span else _first_line(positions)
    return Diagnostic(place, visible(message), DiagnosticSeverity.Warning, source=SOURCE)


def location(span: Span, encoding: str) -> Location | None:
    """Where a span is, for an editor; None where its source is no file."""
    uri = uri_of(span.source)
    return Location(uri, Positions(span.source.text, encoding).of(span)) if uri else None


def uri_of(source: Source) -> str | None:
    """Where a source is: a file, or a recipe that ships; None where the system does not have it as a file."""
    path = Path(source.name)
    if source.included is not None and source.name.startswith("<"):
        path = Path(str(files("qtnc.grammar").joinpath("recipes", source.name.strip("<>") + ENDING)))
    return from_fs_path(str(path.absolute())) if path.is_file() else None


def _shown(said: Said, reading: Reading, positions: Positions) -> Diagnostic:
    text = visible(said.message) + (f"\nhelp: {visible(said.help)}" if said.help else "")
    severity = DiagnosticSeverity.Error
    if isinstance(said, NotImported) or (said.span is None and _only_declares(reading)):
        severity = DiagnosticSeverity.Information
    if said.span is None:
        return Diagnostic(_first_line(positions), text, severity, source=SOURCE)
    if said.span.source is reading.source:
        return Diagnostic(positions.of(said.span), text, severity, source=SOURCE)
    outermost = said.span.chain[-1]
    where = location(said.span, positions.encoding)
    related = [DiagnosticRelatedInformation(where, text)] if where else None
    text = f"{visible(said.span.place())}: {text}"
    return Diagnostic(positions.of(outermost), text, severity, source=SOURCE, related_information=related)


def _only_declares(reading: Reading) -> bool:
    """Whether a spec is there to be included: something that it lacks as a whole is no mistake then."""
    statements = reading.found.tree.statements
    named = all(isinstance(s, DECLARING) or isinstance(getattr(s, "name", None), tree.Name) for s in statements)
    return named and not any(isinstance(s, tree.Stage) for s in statements) and len(statements) > 1


def _first_line(positions: Positions) -> Range:
    end = positions.text.find("\n")
    return positions.range(0, end if end >= 0 else len(positions.text))
