"""What an editor may ask, and what answers it. What fails in an answer is noted, and the answer is none."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from lsprotocol import types as lsp

from qtnc.lsp import edits
from qtnc.lsp.completion import items, offers
from qtnc.lsp.diagnostics import location, uri_of
from qtnc.lsp.hover import hover, named_at
from qtnc.lsp.outline import folds, symbols
from qtnc.lsp.place import place_at
from qtnc.lsp.reading import Reading
from qtnc.lsp.server import SpecServer
from qtnc.source import Source, Span
from qtnc.spec import tree

log = logging.getLogger("qtnc.lsp")

TRIGGERS: Final = ['"', ".", "/", "(", ":", ",", "<", "|"]
"""Characters after which an editor asks what may follow."""

Handler = Callable[[SpecServer, Any], Awaitable[Any]]


def make_server() -> SpecServer:
    """A server that answers."""
    server = SpecServer()
    for method, (handler, options) in FEATURES.items():
        server.feature(method, options)(_guarded(method, handler, server))
    return server


def _guarded(method: str, handler: Handler, server: SpecServer) -> Callable[[Any], Awaitable[Any]]:
    async def answer(params: Any) -> Any:
        document = None if method == lsp.TEXT_DOCUMENT_DID_CLOSE else getattr(params, "text_document", None)
        if document is not None and document.uri not in server.documents:
            return None  # what is not open is not read
        try:
            return await handler(server, params)
        except Exception:
            log.exception("internal error in %s; this is a bug in qtnc", method)
            return None

    return answer


async def _initialize(server: SpecServer, params: lsp.InitializeParams) -> None:
    server.configure(params.initialization_options)


async def _initialized(server: SpecServer, _: Any) -> None:
    await _ask_settings(server)


async def _settings_changed(server: SpecServer, params: lsp.DidChangeConfigurationParams) -> None:
    if params.settings:
        server.configure(params.settings)
    await _ask_settings(server)
    server.changed()


async def _ask_settings(server: SpecServer) -> None:
    """Ask for the settings of those editors that do not send them, and of each document: folders have their own."""
    workspace = server.client_capabilities.workspace
    if workspace and workspace.configuration:
        asked = (None, *server.documents)
        items = [lsp.ConfigurationItem(uri, "qtnc") for uri in asked]
        answers = await server.workspace_configuration_async(lsp.ConfigurationParams(items))
        for uri, settings in zip(asked, answers, strict=False):
            if settings and (uri is None or uri in server.documents):
                server.configure(settings, uri)
        if any(answers):
            server.changed()


async def _opened(server: SpecServer, _: Any) -> None:
    server.changed()
    await _ask_settings(server)


async def _changed(server: SpecServer, _: Any) -> None:
    server.changed()


async def _closed(server: SpecServer, params: lsp.DidCloseTextDocumentParams) -> None:
    server.closed(params.text_document.uri)


async def _shutdown(server: SpecServer, _: Any) -> None:
    server.stopped = True


async def _complete(server: SpecServer, params: lsp.CompletionParams) -> lsp.CompletionList | None:
    uri = params.text_document.uri
    reading, positions = await server.reading(uri), server.positions(uri)

    def found() -> lsp.CompletionList | None:
        place = place_at(positions.text, positions.offset(params.position))
        if place is None:
            return None
        # What follows hangs on each character of a pattern: the editor asks again.
        return lsp.CompletionList(place.leaf.kind != "NAME", items(offers(place, reading), place, positions))

    return await asyncio.to_thread(found)


async def _hover(server: SpecServer, params: lsp.HoverParams) -> lsp.Hover | None:
    uri = params.text_document.uri
    reading, positions = await server.reading(uri), server.positions(uri)
    found = await asyncio.to_thread(hover, reading, positions.offset(params.position))
    if found is None:
        return None
    text, span = found
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text), positions.of(span))


async def _definition(server: SpecServer, params: lsp.DefinitionParams) -> lsp.Location | None:
    uri = params.text_document.uri
    reading = await server.reading(uri)
    offset = server.positions(uri).offset(params.position)
    mention = named_at(reading, offset)
    if mention is None:
        included = _included(reading, offset)
        where = uri_of(included) if included else None
        return lsp.Location(where, lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0))) if where else None
    found = reading.declared(mention.kind, mention.name)
    return _location(server, uri, found.span) if found else None


def _included(reading: Reading, offset: int) -> Source | None:
    """The source that is included where a file or recipe is named at an offset."""
    for statement in reading.statements:
        if isinstance(statement, tree.Include) and statement.file.span.start <= offset <= statement.file.span.end:
            includes = reading.found.whole.includes
            return next((i.source for i in includes if i.source.included == statement.span), None)
    return None


def _location(server: SpecServer, uri: str, span: Span) -> lsp.Location | None:
    """Where a span is: in the document, by the name that the editor has for it, or in another file."""
    if span.source.included is None:
        return lsp.Location(uri, server.positions(uri).of(span))
    return location(span, server.positions(uri).encoding)


async def _references(server: SpecServer, params: lsp.ReferenceParams) -> list[lsp.Location] | None:
    uri = params.text_document.uri
    reading = await server.reading(uri)
    mention = named_at(reading, server.positions(uri).offset(params.position))
    if mention is None:
        return None
    found = [m for m in reading.mentions if (m.kind, m.name) == (mention.kind, mention.name)]
    spans = [m.span for m in found if params.context.include_declaration or not m.declares]
    return [where for span in spans if (where := _location(server, uri, span))]


async def _highlights(server: SpecServer, params: lsp.DocumentHighlightParams) -> list[lsp.DocumentHighlight] | None:
    uri = params.text_document.uri
    reading, positions = await server.reading(uri), server.positions(uri)
    mention = named_at(reading, positions.offset(params.position))
    if mention is None:
        return None
    found = [m for m in reading.mentions if (m.kind, m.name) == (mention.kind, mention.name)]
    return [lsp.DocumentHighlight(positions.of(m.span)) for m in found if m.span.source is reading.source]


async def _prepare_rename(server: SpecServer, params: lsp.PrepareRenameParams) -> lsp.Range | None:
    uri = params.text_document.uri
    positions = server.positions(uri)
    mention = named_at(await server.reading(uri), positions.offset(params.position))
    return positions.of(mention.span) if mention else None


async def _rename(server: SpecServer, params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
    uri = params.text_document.uri
    reading = await server.reading(uri)
    mention = named_at(reading, server.positions(uri).offset(params.position))
    if mention is None:
        return None
    try:
        found = edits.rename(reading, mention, params.new_name)
    except edits.RefusedEditError as refused:
        server.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Warning, str(refused)))
        return None
    changes: dict[str, list[lsp.TextEdit]] = {}
    for place in found:
        if where := _location(server, uri, place.span):
            changes.setdefault(where.uri, []).append(lsp.TextEdit(where.range, params.new_name))
    return lsp.WorkspaceEdit(changes=changes)


async def _symbols(server: SpecServer, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
    uri = params.text_document.uri
    return await asyncio.to_thread(symbols, await server.reading(uri), server.positions(uri))


async def _folds(server: SpecServer, params: lsp.FoldingRangeParams) -> list[lsp.FoldingRange]:
    uri = params.text_document.uri
    return await asyncio.to_thread(folds, await server.reading(uri), server.positions(uri))


async def _format(server: SpecServer, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit] | None:
    positions = server.positions(params.text_document.uri)
    try:
        return await asyncio.to_thread(edits.form_edits, Source("", positions.text), positions)
    except edits.RefusedEditError:
        return None  # what is wrong is underlined already


FEATURES: Final[dict[str, tuple[Handler, Any]]] = {
    lsp.INITIALIZE: (_initialize, None),
    lsp.INITIALIZED: (_initialized, None),
    lsp.SHUTDOWN: (_shutdown, None),
    lsp.WORKSPACE_DID_CHANGE_CONFIGURATION: (_settings_changed, None),
    lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES: (_changed, None),
    lsp.TEXT_DOCUMENT_DID_OPEN: (_opened, None),
    lsp.TEXT_DOCUMENT_DID_CHANGE: (_changed, None),
    lsp.TEXT_DOCUMENT_DID_SAVE: (_changed, None),
    lsp.TEXT_DOCUMENT_DID_CLOSE: (_closed, None),
    lsp.TEXT_DOCUMENT_COMPLETION: (_complete, lsp.CompletionOptions(trigger_characters=TRIGGERS)),
    lsp.TEXT_DOCUMENT_HOVER: (_hover, None),
    lsp.TEXT_DOCUMENT_DEFINITION: (_definition, None),
    lsp.TEXT_DOCUMENT_REFERENCES: (_references, None),
    lsp.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT: (_highlights, None),
    lsp.TEXT_DOCUMENT_PREPARE_RENAME: (_prepare_rename, None),
    lsp.TEXT_DOCUMENT_RENAME: (_rename, lsp.RenameOptions(prepare_provider=True)),
    lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL: (_symbols, None),
    lsp.TEXT_DOCUMENT_FOLDING_RANGE: (_folds, None),
    lsp.TEXT_DOCUMENT_FORMATTING: (_format, None),
}
"""Handlers, and what editors are told of them, by the method."""
