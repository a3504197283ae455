"""An editor: a client of the protocol that starts the server as editors do, over stdin and stdout."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest
from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

SECONDS = 60
T = TypeVar("T")


class Editor:
    """One session. Texts are written with `¦` where the cursor stands."""

    def __init__(
        self,
        folder: Path,
        log: Path,
        settings: Any = None,
        environment: Mapping[str, str] | None = None,
        folders: Mapping[str, Any] | None = None,
    ):
        """``folders`` are those of the workspace in ``folder``, each with its settings: the server may ask for them."""
        self.folder, self.log, self.folders = folder, log, folders
        self.loop = asyncio.new_event_loop()
        self.client = LanguageClient("editor", "1")
        self.published: dict[str, lsp.PublishDiagnosticsParams] = {}
        self.shown: list[str] = []
        self.versions: dict[str, int] = {}
        self.client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(lambda p: self.published.update({p.uri: p}))
        self.client.feature(lsp.WINDOW_SHOW_MESSAGE)(lambda p: self.shown.append(p.message))
        self.client.feature(lsp.WORKSPACE_CONFIGURATION)(lambda params: self._asked(params))
        command = (sys.executable, "-m", "qtnc", "lsp", "--log", str(log))
        self.run(self.client.start_io(*command, cwd=folder, env=environment))
        self.capabilities = self.run(
            self.client.initialize_async(
                lsp.InitializeParams(
                    capabilities=lsp.ClientCapabilities(
                        workspace=lsp.WorkspaceClientCapabilities(configuration=folders is not None)
                    ),
                    root_uri=folder.as_uri(),
                    workspace_folders=[lsp.WorkspaceFolder(self.uri(name), name) for name in folders or ()] or None,
                    initialization_options=settings,
                )
            )
        ).capabilities
        self.client.initialized(lsp.InitializedParams())

    def _asked(self, params: lsp.ConfigurationParams) -> list[Any]:
        """The settings of the folder in which something is; an editor has an answer for each question."""
        homes = {self.uri(name): settings for name, settings in (self.folders or {}).items()}
        return [
            next(
                (s for home, s in homes.items() if item.scope_uri and item.scope_uri.startswith(f"{home}/")),
                {"model": ""},
            )
            for item in params.items
        ]

    def run(self, answer: "Coroutine[Any, Any, T] | asyncio.Future[T]") -> T:
        return self.loop.run_until_complete(asyncio.wait_for(answer, SECONDS))

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for what the server sends by itself."""

        async def wait() -> None:
            while not true():
                await asyncio.sleep(0.01)

        self.run(wait())

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def write(self, text: str, name: str = "a.qtn") -> tuple[str, lsp.Position]:
        """Have a text in the editor, and the cursor at its `¦`, else at its end."""
        before, bar, after = text.partition("¦")
        uri, lines = self.uri(name), before.split("\n")
        whole = before + after if bar else text
        if uri not in self.versions:
            self.versions[uri] = 1
            document = lsp.TextDocumentItem(uri, "qtn", 1, whole)
            self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(document))
        else:
            self.versions[uri] += 1
            self.client.text_document_did_change(
                lsp.DidChangeTextDocumentParams(
                    lsp.VersionedTextDocumentIdentifier(self.versions[uri], uri),
                    [lsp.TextDocumentContentChangeWholeDocument(whole)],
                )
            )
        return uri, lsp.Position(len(lines) - 1, len(lines[-1].encode("utf-16-le")) // 2)

    def diagnostics(self, name: str = "a.qtn") -> list[lsp.Diagnostic]:
        """What is wrong with the text as it is now, as it is said first."""
        uri = self.uri(name)
        self.until(lambda: uri in self.published and self.published[uri].version == self.versions[uri])
        return list(self.published[uri].diagnostics)

    def until_said(self, words: str, name: str = "a.qtn") -> lsp.Diagnostic:
        """Wait for a diagnostic that has these words."""
        uri = self.uri(name)

        def found() -> list[lsp.Diagnostic]:
            return [d for d in self.published[uri].diagnostics if words in d.message] if uri in self.published else []

        self.until(lambda: bool(found()))
        return found()[0]

    def completions(self, text: str, name: str = "a.qtn") -> dict[str, lsp.CompletionItem]:
        uri, position = self.write(text, name)
        params = lsp.CompletionParams(lsp.TextDocumentIdentifier(uri), position)
        answer = self.run(self.client.text_document_completion_async(params))
        return {item.label: item for item in answer.items} if isinstance(answer, lsp.CompletionList) else {}

    def hover(self, text: str, name: str = "a.qtn") -> str | None:
        uri, position = self.write(text, name)
        params = lsp.HoverParams(lsp.TextDocumentIdentifier(uri), position)
        answer = self.run(self.client.text_document_hover_async(params))
        if answer is None:
            return None
        assert isinstance(answer.contents, lsp.MarkupContent)
        return answer.contents.value

    def definition(self, text: str, name: str = "a.qtn") -> lsp.Location | None:
        uri, position = self.write(text, name)
        params = lsp.DefinitionParams(lsp.TextDocumentIdentifier(uri), position)
        answer = self.run(self.client.text_document_definition_async(params))
        assert answer is None or isinstance(answer, lsp.Location)
        return answer

    def close(self) -> tuple[int, str]:
        """End the session as the protocol has it, once; the exit code, and what stood on stderr."""
        if self.loop.is_closed():
            return self.end
        self.run(self.client.shutdown_async(None))
        self.client.exit(None)
        return self.left()

    def left(self) -> tuple[int, str]:
        """Wait for the server to leave."""
        server = self.client._server
        assert server is not None
        assert server.stderr is not None
        said = self.run(server.stderr.read()).decode()
        code = self.run(server.wait())
        self.run(self.client.stop())
        self.loop.close()
        self.end = code, said
        return self.end


@pytest.fixture
def editors(tmp_path: Path) -> Iterator[Callable[..., Editor]]:
    """Editors; each must leave in peace, and the server must not have failed in anything."""
    made: list[Editor] = []

    def make(
        settings: Any = None,
        environment: Mapping[str, str] | None = None,
        folders: Mapping[str, Any] | None = None,
    ) -> Editor:
        for name in ("", *(folders or ())):
            (tmp_path / "work" / name).mkdir(exist_ok=True)
        made.append(Editor(tmp_path / "work", tmp_path / f"{len(made)}.log", settings, environment, folders))
        return made[-1]

    yield make
    for editor in made:
        assert editor.close() == (0, "")
        assert editor.log.read_text(encoding="utf-8") == ""


@pytest.fixture
def editor(editors: Callable[..., Editor]) -> Editor:
    """One editor in an empty folder."""
    return editors()


@pytest.fixture(scope="module")
def bound_editor(tmp_path_factory: pytest.TempPathFactory, toys: ModuleType) -> Iterator[Editor]:
    """An editor for many questions, in a folder with a model, data and another spec; its server has read the model."""
    folder = tmp_path_factory.mktemp("bound")
    toys.write(toys.mlp(), folder / "model.onnx")
    (folder / "calib.npz").touch()
    (folder / "part.qtn").write_text("qtn 1\nlet third = 30%\nselect inner = MatMul\n", encoding="utf-8")
    editor = Editor(folder, folder / "server.log")
    editor.write('qtn 1\nselect none = MatMul where name ~ "nope"\nemit onnx\n')
    editor.until_said("`none` selects nothing")
    yield editor
    assert editor.close() == (0, "")
    assert editor.log.read_text(encoding="utf-8") == ""
