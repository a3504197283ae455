"""The statements of a spec as an outline, and what of it can be folded."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from lsprotocol.types import DocumentSymbol, FoldingRange, FoldingRangeKind, SymbolKind

from qtnc.errors import visible
from qtnc.lsp.positions import Positions
from qtnc.lsp.reading import Reading
from qtnc.spec import tree
from qtnc.spec.layout import Stretch
from qtnc.spec.rules import tree as rule_tree
from qtnc.spec.wording import clip

KINDS = {
    tree.Select: SymbolKind.Variable,
    tree.Let: SymbolKind.Constant,
    tree.Data: SymbolKind.File,
    tree.Stage: SymbolKind.Namespace,
    rule_tree.Rule: SymbolKind.Function,
    tree.Include: SymbolKind.Module,
}
"""How editors draw statements; others as what happens."""

BEGINS: Final = re.compile(r'\w+(?:\s+(?:"[^"\n]*"|[^\s"({]+))?')
"""What stands for a statement without a name: its word, and what follows up to a bracket."""


def symbols(reading: Reading, positions: Positions) -> list[DocumentSymbol]:
    """An entry for each statement that can be read, those of a block in it."""
    ends = {block.start: end for block, end in _blocks(reading)}

    def entry(statement: tree.Statement) -> DocumentSymbol:
        span, name = statement.span, getattr(statement, "name", None)
        begins = BEGINS.match(span.text)
        title = begins[0].split(None, 1) if begins else [span.text]
        named = name if isinstance(name, tree.Name) else None
        return DocumentSymbol(
            name=visible(clip(named.text if named else " ".join(title))),
            detail=title[0] if named else None,
            kind=KINDS.get(type(statement), SymbolKind.Event),
            range=positions.range(span.start, max(span.end, ends.get(span.start, 0))),
            selection_range=positions.of(named.span if named else span),
            children=[entry(inner) for inner in getattr(statement, "statements", ())] or None,
        )

    return [entry(statement) for statement in reading.found.tree.statements]


def folds(reading: Reading, positions: Positions) -> list[FoldingRange]:
    """Stages, statements of several lines, and comments of several lines."""
    return list(_folds(reading, positions))


def _folds(reading: Reading, positions: Positions) -> Iterator[FoldingRange]:
    spans = [(block.start, end) for block, end in _blocks(reading)]
    spans += [(stretch.start, stretch.lexemes[-1].end) for stretch in reading.stretches]
    for start, end in spans:
        yield from _fold(positions.position(start).line, positions.position(end).line)
    lines = [line.lstrip().startswith("#") for line in positions.text.split("\n")]
    for comment, group in groupby(enumerate(lines), key=lambda line: line[1]):
        if comment:
            numbers = [number for number, _ in group]
            yield from _fold(numbers[0], numbers[-1], FoldingRangeKind.Comment)


def _fold(first: int, last: int, kind: FoldingRangeKind | None = None) -> Iterator[FoldingRange]:
    if last > first:
        yield FoldingRange(first, last, kind=kind)


def _blocks(reading: Reading) -> Iterator[tuple[Stretch, int]]:
    """Blocks that are closed, and the end of the `}` that does so: the first behind what stands in them."""
    closings = [lexeme for lexeme in reading.lexemes if lexeme.text == "}"]
    for block in reading.stretches:
        if block.closed:
            last = max(s.lexemes[-1].end for s in reading.stretches if s is block or s.block is block)
            closing = next((closing for closing in closings if closing.start >= last), None)
            if closing:
                yield block, closing.end
