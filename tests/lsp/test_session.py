"""A spec as it is typed: what is wrong with it, which model it is about, and what else an editor asks."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from lsprotocol import types as lsp
from pygls.uris import to_fs_path

GOOD = "qtn 1\nselect all = MatMul\nrewrite all -> lowrank(rank: 2)\nemit onnx\n"


def place(found: lsp.Range) -> tuple[int, int, int, int]:
    return (found.start.line, found.start.character, found.end.line, found.end.character)


def test_what_it_can_do_is_said(editor: Any) -> None:
    can = editor.capabilities
    assert can.position_encoding == "utf-16"
    assert can.completion_provider.trigger_characters
    for provider in ("hover", "definition", "references", "rename", "document_symbol", "folding_range"):
        assert getattr(can, f"{provider}_provider")
    assert can.document_formatting_provider


def test_all_mistakes_show_as_they_are_typed_and_go_as_they_are_mended(editor: Any) -> None:
    editor.write("qtn 1\nselect all = MatMul\nrewrite al -> lowrank(rnk: 2)\nemit\n")
    found = editor.diagnostics()
    assert [(place(d.range), d.severity) for d in found] == [
        ((2, 8, 2, 10), lsp.DiagnosticSeverity.Error),
        ((2, 22, 2, 25), lsp.DiagnosticSeverity.Error),
        ((3, 4, 3, 4), lsp.DiagnosticSeverity.Error),
    ]
    assert found[0].message == "unknown selector `al`\nhelp: did you mean `all`?"
    editor.write(GOOD)
    assert editor.diagnostics() == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "#",
        "qtn",
        "qtn 1\nselect",
        "qtn 1\nselect a = (MatMul",
        'qtn 1\nselect a = M where name ~ "x',
        "{",
        "\0",
    ],
)
def test_what_is_half_typed_is_answered(editor: Any, text: str) -> None:
    editor.write(text)
    assert editor.diagnostics()
    assert editor.hover(text) is None or "```" in editor.hover(text)
    editor.completions(text)
    document = lsp.TextDocumentIdentifier(editor.uri("a.qtn"))
    editor.run(editor.client.text_document_document_symbol_async(lsp.DocumentSymbolParams(document)))
    editor.run(editor.client.text_document_folding_range_async(lsp.FoldingRangeParams(document)))


def test_places_count_units_of_utf16_and_lines_of_the_protocol(editor: Any) -> None:
    editor.write('qtn 1\r\ndata a = npz("\N{ROCKET}\u2028") tak 3\r\nselect b = $\r\nemit onnx\r\n')
    found = editor.diagnostics()
    assert [place(d.range)[:2] for d in found] == [(1, len('data a = npz("') + 2 + 1 + 3), (2, 11)]


def test_a_long_spec_is_read(editor: Any) -> None:
    line = 'select s{0} = MatMul where name ~ "layers.*.attn.{0}" and weight.elements >= 64Ki\n'
    text = "qtn 1\n" + "".join(line.format(number) for number in range(2500)) + "emit onnx\nrewrite s9 -> "
    assert len(text) > 200_000
    assert {"mpo", "lowrank"} <= editor.completions(text).keys()
    assert [d.message.split("\n")[0] for d in editor.diagnostics()] == ["expected a name after `->`"]
    editor.write(text * 2)
    assert "longer than" in editor.diagnostics()[0].message


def test_what_is_wrong_in_an_included_file_shows_at_its_include(editor: Any) -> None:
    part = editor.folder / "part.qtn"
    part.write_text('qtn 1\nselect inner = MatMul where nam ~ "x"\n')
    editor.write('qtn 1\ninclude "part.qtn"\nrewrite inner -> lowrank(rank: 2)\nemit onnx\n')
    (found,) = editor.diagnostics()
    assert place(found.range) == (1, 0, 1, 18)
    assert "unknown field `nam`" in found.message
    (related,) = found.related_information
    assert related.location.uri == part.as_uri()
    assert place(related.location.range) == (1, 28, 1, 31)


def test_an_included_file_counts_as_it_is_in_the_editor(editor: Any) -> None:
    (editor.folder / "part.qtn").write_text("qtn 1\nselect inner = MatMul\n")
    editor.write('qtn 1\ninclude "part.qtn"\nrewrite inner -> lowrank(rank: 2)\nemit onnx\n')
    assert editor.diagnostics() == []
    editor.write("qtn 1\nselect other = MatMul\n", "part.qtn")
    editor.until_said("unknown selector `inner`")
    (said,) = editor.diagnostics("part.qtn")
    assert said.severity == lsp.DiagnosticSeverity.Information  # it is there to be included
    editor.write("qtn 1\nselect inner = MatMul\n", "part.qtn")
    editor.until(lambda: editor.published[editor.uri("a.qtn")].diagnostics == ())


def test_the_only_model_beside_a_spec_is_its_model(editor: Any, toys: ModuleType) -> None:
    toys.write(toys.mlp(), editor.folder / "m.onnx")
    editor.write('qtn 1\nselect none = MatMul where name ~ "upp"\nemit onnx\n')
    found = editor.until_said("`none` selects nothing")
    assert place(found.range) == (1, 27, 1, 39)
    assert "did you mean `up`?" in found.message


def test_of_two_models_the_setting_or_a_comment_names_one(editors: Callable[..., Any], toys: ModuleType) -> None:
    editor = editors({"model": "mlp.onnx"})
    toys.write(toys.mlp(), editor.folder / "mlp.onnx")
    toys.write(toys.reader(), editor.folder / "reader.onnx")
    text = "qtn 1\nselect table = Gather\nemit onnx\n"
    editor.write(text)
    editor.until_said("`table` selects nothing")
    editor.write("# model: reader.onnx\n" + text)
    editor.until(lambda: editor.published[editor.uri("a.qtn")].diagnostics == ())
    editor.write(text)
    editor.until_said("`table` selects nothing")
    editor.client.workspace_did_change_configuration(
        lsp.DidChangeConfigurationParams({"qtnc": {"model": "reader.onnx"}})
    )
    editor.until(lambda: editor.published[editor.uri("a.qtn")].diagnostics == ())


def test_each_folder_of_a_workspace_has_its_model(editors: Callable[..., Any], toys: ModuleType) -> None:
    settings = {"model": "m/model.onnx"}
    editor = editors(None, None, {"one": settings, "two two": settings})
    for name, model in {"one": toys.mlp(), "two two": toys.reader()}.items():
        (editor.folder / name / "m").mkdir()
        toys.write(model, editor.folder / name / "m" / "model.onnx")
    text = 'qtn 1\nselect table = Gather\nselect up = MatMul where name ~ "up"\nemit onnx\n'
    for name in ("one/a.qtn", "two two/a.qtn"):
        editor.write(text, name)
    editor.until_said("`table` selects nothing", "one/a.qtn")
    assert "Gather" in editor.hover(text.replace("select table", "select ta¦ble"), "two two/a.qtn")
    editor.until_said("`up` selects nothing", "two two/a.qtn")


@pytest.mark.parametrize(
    ("comment", "content", "words"),
    [
        ("bad.onnx", b"no model", "not an ONNX model, or a damaged one"),
        ("bad.onnx", b"", "the file is empty"),
        ("none.onnx", None, "no such file or directory"),
        ("/etc/passwd", None, "a relative path that ends in `.onnx`"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}\x1b[2J.onnx", None, "\\u202e\\x1b[2J.onnx"),
    ],
)
def test_a_model_that_cannot_be_read_is_a_warning(editor: Any, comment: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (editor.folder / comment).write_bytes(content)
    editor.write(f"# model: {comment}\n{GOOD}")
    found = editor.until_said(words)
    assert found.severity == lsp.DiagnosticSeverity.Warning
    assert found.range.start.line == 0
    assert "select all = MatMul" in editor.hover(f"# model: {comment}\n" + GOOD.replace("rewrite all", "rewrite a¦ll"))


def test_a_model_that_is_written_anew_is_read_anew(editor: Any, toys: ModuleType) -> None:
    model = toys.write(toys.mlp(), editor.folder / "m.onnx")
    editor.write("qtn 1\nselect table = Gather\nemit onnx\n")
    editor.until_said("`table` selects nothing")
    toys.write(toys.reader(), model)
    os.utime(model, ns=(1, 1))
    editor.client.workspace_did_change_watched_files(lsp.DidChangeWatchedFilesParams([]))
    editor.until(lambda: editor.published[editor.uri("a.qtn")].diagnostics == ())


def test_no_package_of_others_is_imported(editors: Callable[..., Any], tmp_path: Path) -> None:
    home = tmp_path / "site"
    (home / "evil-1.0.dist-info").mkdir(parents=True)
    (home / "evil-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (home / "evil-1.0.dist-info" / "entry_points.txt").write_text("[qtnc.structures]\nevilnet = evil:Evil\n")
    (home / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    editor = editors(None, {**os.environ, "PYTHONPATH": str(home)})
    editor.write(GOOD.replace("lowrank(rank: 2)", "evilnet(rank: 2)"))
    (said,) = editor.diagnostics()
    assert said.severity == lsp.DiagnosticSeverity.Information
    assert "evil 1.0" in said.message
    assert editor.completions("qtn 1\nselect all = MatMul\nrewrite all -> ev")["evilnet"].detail == "evil"
    assert "evil 1.0" in (editor.hover("qtn 1\nselect all = MatMul\nrewrite all -> evil¦net") or "")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["a b.qtn", "wörk (1).qtn", "a%20b.qtn", "c+d@e#f.qtn"])
def test_files_have_any_names(editor: Any, name: str) -> None:
    (editor.folder / "part one.qtn").write_text("qtn 1\nselect inner = MatMul\n")
    editor.write('qtn 1\ninclude "part one.qtn"\nrewrite iner -> lowrank(rank: 2)\nemit onnx\n', name)
    assert "did you mean `inner`" in editor.diagnostics(name)[0].message
    good = 'qtn 1\ninclude "part one.qtn"\nrewrite in¦ner -> lowrank(rank: 2)\nemit onnx\n'
    assert "select inner = MatMul" in editor.hover(good, name)
    found = editor.definition(good, name)
    assert to_fs_path(found.uri) == str(editor.folder / "part one.qtn")
    assert editor.diagnostics(name) == []
    assert "select" in editor.completions("qtn 1\nsel", name)
    editor.write("qtn 1\nselect other = MatMul\n", "part one.qtn")
    editor.write(good.replace("¦", ""), name)
    editor.until_said("unknown selector `inner`", name)


def test_a_document_that_is_closed_has_no_mistakes(editor: Any) -> None:
    editor.write("nonsense")
    assert editor.diagnostics()
    document = lsp.TextDocumentIdentifier(editor.uri("a.qtn"))
    editor.client.text_document_did_close(lsp.DidCloseTextDocumentParams(document))
    editor.until(lambda: editor.published[document.uri].diagnostics == ())
    hover = editor.client.text_document_hover_async(lsp.HoverParams(document, lsp.Position(0, 0)))
    assert editor.run(hover) is None


def test_a_model_that_takes_for_ever_holds_nothing_up(
    editors: Callable[..., Any], tmp_path: Path, toys: ModuleType
) -> None:
    home, pid = tmp_path / "slow", tmp_path / "pid"
    home.mkdir()
    slow = f"open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(1000)"
    (home / "sitecustomize.py").write_text(
        f"import os, sys, time\nif 'qtnc.lsp.telling' in sys.orig_argv:\n    {slow}\n"
    )
    editor = editors(None, {**os.environ, "PYTHONPATH": str(home)})
    toys.write(toys.mlp(), editor.folder / "m.onnx")
    editor.write("nonsense")
    assert editor.diagnostics()
    editor.until(lambda: pid.exists() and pid.read_text() != "")
    assert editor.completions("qtn 1\nsel").keys() >= {"select"}
    editor.write(GOOD)
    assert editor.diagnostics() == []
    assert editor.close() == (0, "")
    with pytest.raises(ProcessLookupError):
        while True:  # it is ended, and the system may take a while to say so
            os.kill(int(pid.read_text()), 0)
            time.sleep(0.05)
