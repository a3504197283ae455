"""What no editor sends, editors that vanish, and an installation without the extra: no traceback, and an end."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def message(content: Any) -> bytes:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def request(number: int, method: str, params: Any) -> bytes:
    return message({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


START = request(1, "initialize", {"processId": None, "rootUri": None, "capabilities": {}})
PASSWORDS = {"textDocument": {"uri": "file:///etc/passwd"}, "position": {"line": 0, "character": 0}}


def served(folder: Path, data: bytes, environment: dict[str, str] | None = None) -> Any:
    command = [sys.executable, "-m", "qtnc", "lsp"]
    done = subprocess.run(
        command, input=data, capture_output=True, cwd=folder, timeout=120, env={**os.environ, **(environment or {})}
    )
    assert b"Traceback" not in done.stderr
    assert list(folder.iterdir()) == []  # no report of a bug either
    return done


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\xff\n" * 50,
        b"Content-Length: 100\r\n\r\n{",
        b"Content-Length: 999999999999999\r\n\r\n{}",
        b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
        message(b"{nope") + message(b"\xff\xfe\x00") + message(b"[" * 100_000),
        b"".join(map(message, ({"a": 1}, [1, 2], 3, None, "x"))),
        request(1, "textDocument/hover", PASSWORDS),
    ],
)
def test_an_editor_that_leaves_without_a_word_is_answered_by_1(tmp_path: Path, data: bytes) -> None:
    assert served(tmp_path, data).returncode == 1


def test_the_server_lives_on_after_nonsense(tmp_path: Path) -> None:
    wrong = request(2, "textDocument/hover", {"x": 1}) + request(3, "none/such", None) + message(b"{")
    open_wrong = message({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": None})
    end = request(9, "shutdown", None) + message({"jsonrpc": "2.0", "method": "exit"})
    done = served(tmp_path, START + wrong + open_wrong + request(4, "textDocument/hover", PASSWORDS) + end)
    assert done.returncode == 0
    bodies = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in done.stdout.split(b"Content-Length: ")[1:]]
    answers = {body["id"]: body for body in bodies if "id" in body}
    assert answers[1]["result"]["capabilities"]
    assert answers[3]["error"]["message"] == "Method Not Found: none/such"
    assert answers[4].get("result") is None  # a file that is not open is not read
    assert "error" not in answers[4]


def test_an_editor_that_stops_listening_ends_it(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", "qtnc", "lsp"], cwd=tmp_path, **pipes) as process:
        process.stdout.close()
        process.stdin.write(START)
        process.stdin.close()
        assert b"Traceback" not in process.stderr.read()
        assert process.wait(60) == 1


def test_without_pygls_the_extra_is_named(tmp_path: Path) -> None:
    home = tmp_path.parent / f"{tmp_path.name}-without"
    home.mkdir()
    (home / "pygls.py").write_text("raise ModuleNotFoundError('no', name='pygls')\n")
    done = served(tmp_path, b"", {"PYTHONPATH": str(home)})
    assert done.returncode == 1
    assert done.stderr.decode() == "error: the language server needs pygls: pip install 'qtnc[lsp]'\n"


def test_by_hand_the_way_out_is_told(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    try:
        command = [sys.executable, "-m", "qtnc", "lsp"]
        done = subprocess.run(command, stdin=theirs, capture_output=True, cwd=tmp_path, timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert b"this is a terminal" in done.stderr


def test_what_others_print_is_no_message(tmp_path: Path) -> None:
    home = tmp_path.parent / f"{tmp_path.name}-loud"
    home.mkdir()
    (home / "sitecustomize.py").write_text("import atexit, os\natexit.register(os.write, 1, b'noise')\n")
    done = served(tmp_path, START, {"PYTHONPATH": str(home)})
    assert b"noise" not in done.stdout
    assert b"noise" in done.stderr
