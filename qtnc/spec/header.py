"""The first statement of every spec, and of every file that one includes."""

from collections.abc import Iterator

from qtnc.errors import Diagnostic
from qtnc.source import Span
from qtnc.spec import tree


def header_faults(spec: tree.SpecTree) -> Iterator[Diagnostic]:
    """Say that a source does not begin with `qtn 1`, or says it again."""
    statements, place = spec.statements, spec.source.name
    if not statements and not spec.lost:
        yield Diagnostic("the spec is empty", None, "begin with `qtn 1`", place)
        return
    headers = [s for s in statements if isinstance(s, tree.Header)]
    if not headers and "qtn" not in spec.lost:
        span = _first_word(statements[0].span) if statements else None
        yield Diagnostic("a spec begins with `qtn 1`", span, "add it as the first line", place)
    for header in headers:
        if header is not headers[0]:
            yield Diagnostic(f"`qtn 1` is already said at line {headers[0].span.line}", header.span)
        elif header is not statements[0]:
            yield Diagnostic("`qtn 1` comes before every other statement", header.span)


def _first_word(span: Span) -> Span:
    return Span(span.source, span.start, span.start + len(span.text.split(None, 1)[0]))
