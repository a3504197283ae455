"""The state of a session: what is open, what was read of it, and the models that were read."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path
from pygls.workspace import TextDocument

from qtnc import __version__
from qtnc.lsp.bound import Models, NoModelError, bound
from qtnc.lsp.diagnostics import diagnostics, warning
from qtnc.lsp.positions import Positions
from qtnc.lsp.reading import Reading, read
from qtnc.lsp.told import ToldModel
from qtnc.source import Source, Span
from qtnc.spec.file import read_text

log = logging.getLogger("qtnc.lsp")

PAUSE: Final = 0.15
"""Seconds without a key before a text is read."""


@dataclass(frozen=True)
class Binding:
    """What is known of the model of a document: what it tells, or why there is none and where that is said."""

    model: ToldModel | None = None
    error: NoModelError | None = None
    span: Span | None = None


class SpecServer(LanguageServer):
    """A server of specs.

    Attributes
    ----------
    stopped : whether the editor has said that it is done.
    setting : the model that the editor is set to, for documents that it has none of their own for.
    """

    def __init__(self) -> None:
        # Whole texts: those that split lines elsewhere than the protocol does would lose count of parts.
        super().__init__("qtnc", __version__, text_document_sync_kind=lsp.TextDocumentSyncKind.Full)
        self.stopped = False
        self.setting: str | None = None
        self._settings: dict[str, str | None] = {}
        self._models = Models()
        self._readings: dict[str, Reading] = {}
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._bindings: dict[str, Binding] = {}

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Nothing: what fails is noted where it does, and no matter of who is typing."""

    def configure(self, settings: Any, uri: str | None = None) -> None:
        """Take the settings of an editor, `{"model": PATH}` or that under `qtnc`; others are none of ours.

        Those for ``uri`` are of this document alone: folders of a workspace may be set to different models.
        """
        if isinstance(settings, dict):
            settings = settings.get("qtnc", settings)
        model = settings.get("model") if isinstance(settings, dict) else None
        setting = model if isinstance(model, str) and model else None
        if uri is None:
            self.setting = setting
        else:
            self._settings[uri] = setting

    @property
    def documents(self) -> dict[str, TextDocument]:
        """What is open, by the names that the editor has for it. pygls keeps them decoded: `a b` for `a%20b`."""
        return {document.uri: document for document in self.workspace.text_documents.values()}

    def positions(self, uri: str) -> Positions:
        """Positions in the text of a document."""
        encoding = self.workspace.position_encoding or lsp.PositionEncodingKind.Utf16
        return Positions(self.workspace.get_text_document(uri).source, encoding)

    async def reading(self, uri: str) -> Reading:
        """What is read of a document as it is now, with its model where that was read."""
        source, folder = self._source(uri)
        known = self._readings.get(uri)
        if known is None or known.source != source:
            known = await asyncio.to_thread(read, source, folder, self._texts())
            self._readings[uri] = known
        model = self._bindings.get(uri, Binding()).model
        if known.model is not model:
            known = await asyncio.to_thread(known.on, model)
            self._readings[uri] = known
        return known

    def changed(self) -> None:
        """Read all that is open anew, after a pause: one may include the other."""
        for uri in self.documents:
            if (task := self._waiting.get(uri)) is not None:
                task.cancel()
            self._waiting[uri] = asyncio.create_task(self._look(uri))

    def closed(self, uri: str) -> None:
        """Forget a document, and what was wrong with it."""
        if (task := self._waiting.pop(uri, None)) is not None:
            task.cancel()
        self._readings.pop(uri, None)
        self._bindings.pop(uri, None)
        self._settings.pop(uri, None)
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))

    async def _look(self, uri: str) -> None:
        """Read a document, say what is wrong with it, then with what its model has of it."""
        try:
            await asyncio.sleep(PAUSE)
            self._readings.pop(uri, None)  # what it includes may be another
            self._publish(uri, await self.reading(uri))
            await self._bind(uri)
            self._publish(uri, await self.reading(uri))
        except Exception:
            log.exception("internal error in diagnostics of %s", uri)

    async def _bind(self, uri: str) -> None:
        """Find and read the model of a document."""
        source, folder = self._source(uri)
        span = None
        try:
            found = bound(source, folder, self._setting_path(uri, folder))
            span = found.span if found else None
            model = await self._models.read(found.path) if found else None
            self._bindings[uri] = Binding(model)
        except NoModelError as error:
            self._bindings[uri] = Binding(None, error, span)

    def _publish(self, uri: str, reading: Reading) -> None:
        document = self.documents.get(uri)
        if document is None or document.source != reading.source.text:
            return  # it went on meanwhile
        positions = self.positions(uri)
        found = list(diagnostics(reading, positions))
        bound_to = self._bindings.get(uri, Binding())
        if bound_to.error is not None:
            found.append(warning(str(bound_to.error), bound_to.span, positions))
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, found, document.version))

    def _source(self, uri: str) -> tuple[Source, Path]:
        """The text of a document under the name of its file, and the folder where its paths start."""
        path = _path(uri)
        text = self.workspace.get_text_document(uri).source
        if path is None:
            root = self.workspace.root_path
            return Source(uri, text), Path(root) if root else Path()
        return Source(str(path), text), path.parent

    def _texts(self) -> Callable[[Path], str]:
        """Texts of files: as they are in the editor, where they are open there."""
        documents = self.documents.items()
        typed = {path.resolve(): document.source for uri, document in documents if (path := _path(uri))}

        def text(path: Path) -> str:
            found = typed.get(path.resolve())
            return read_text(path) if found is None else found

        return text

    def _setting_path(self, uri: str, folder: Path) -> Path | None:
        """The model that is set; a relative path starts at the root of the document's folder of the workspace."""
        setting = self._settings.get(uri, self.setting)
        return self._root(folder) / Path(setting).expanduser() if setting else None

    def _root(self, folder: Path) -> Path:
        """The innermost folder of the workspace that holds another, else its first, else that other."""
        roots = [Path(path) for known in self.workspace.folders.values() if (path := to_fs_path(known.uri))]
        around = [root for root in roots if folder.is_relative_to(root)]
        first = self.workspace.root_path
        return max(around, key=lambda root: len(root.parts), default=Path(first) if first else folder)


def _path(uri: str) -> Path | None:
    """The file that a document is; None of one that is none yet."""
    path = to_fs_path(uri) if uri.startswith("file:") else None
    return Path(path) if path else None
