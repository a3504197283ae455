"""What belongs to a model is carried along; nothing else is, and nothing from outside the model's folder."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtnc.output import beside
from qtnc.output.beside import PATTERN, files_beside

Run = Callable[..., Any]

CARRIED = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "LICENSE",
    "LICENCE.txt",
    "LICENSE-APACHE",
    "license.md",
    "NOTICE",
]

LEFT = [
    "model.py",
    "README.md",
    "pytorch_model.bin",
    "config.json.bak",
    "LICENSE.py",
    "license.so",
    "LICENSE\n",
    "NOTICE\x1b[31m",
    ".model",
    "-rf.model",
    "tokenizer.JSON",
]


def put(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(f"{name}\n")


def test_files_by_name(tmp_path: Path) -> None:
    put(tmp_path, *CARRIED, *LEFT)
    found = files_beside(tmp_path / "model.onnx")
    assert found.names == tuple(sorted(CARRIED))
    assert found.left == ()


def test_one_folder_up_where_the_model_lies_in_onnx(tmp_path: Path) -> None:
    put(tmp_path, "config.json", "tokenizer.json")
    put(tmp_path / "onnx", "config.json")
    put(tmp_path / "other")
    files = files_beside(tmp_path / "onnx" / "model.onnx").files
    assert files == (tmp_path / "onnx" / "config.json", tmp_path / "tokenizer.json")
    assert files_beside(tmp_path / "other" / "model.onnx").files == ()


def test_links_stay_inside(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    put(tmp_path, "secret")
    home = tmp_path / "home"
    put(home, "real.json")
    (home / "config.json").symlink_to("real.json")
    (home / "tokenizer.json").symlink_to(secret)
    (home / "vocab.txt").symlink_to("../secret")
    (home / "vocab.json").symlink_to("vocab.json")
    (home / "merges.txt").symlink_to("gone")
    (home / "LICENSE").mkdir()
    os.mkfifo(home / "NOTICE")
    found = files_beside(home / "model.onnx")
    assert found.names == ("config.json",)
    said = dict(line.split(" is not carried along: ") for line in found.left)
    assert set(said) == {"tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "LICENSE", "NOTICE"}
    assert said["tokenizer.json"] == said["vocab.txt"] == "a link leads out of the model's folder"
    assert said["LICENSE"] == said["NOTICE"] == "it is not a file"
    assert said["merges.txt"] == "it cannot be read (No such file or directory)"


def test_a_large_file_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "LARGEST", 13)
    (tmp_path / "config.json").write_bytes(b"x" * 13)
    (tmp_path / "tokenizer.json").write_bytes(b"x" * 14)
    found = files_beside(tmp_path / "model.onnx")
    assert found.names == ("config.json",)
    assert found.left == ("tokenizer.json is not carried along: it has 14 bytes, more than 13",)


def test_many_files_stay_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "ALTOGETHER", 20)
    for name in ("a.model", "b.model", "c.model"):
        (tmp_path / name).write_bytes(b"x" * 9)
    found = files_beside(tmp_path / "model.onnx")
    assert found.names == ("a.model", "b.model")
    assert found.left == ("c.model is not carried along: with it all such files have more than 20 bytes",)


@given(st.text(max_size=30))
def test_names_that_match_are_plain(name: str) -> None:
    if PATTERN.fullmatch(name):
        assert name.isascii()
        assert name.isprintable()
        assert not set(name) & set("/\\ \"'`$")
        assert not name.startswith((".", "-"))


def test_each_folder_is_complete_and_hashed(place: Any, qtnc: Run) -> None:
    put(place.folder, "tokenizer.json", "LICENSE")
    (place.folder / "tokenizer.json").chmod(0o4755)
    assert qtnc("compile", place.model, place.spec, "-o", place.out).code == 0
    files = json.loads((place.out / "manifest.json").read_text())["files"]
    report = json.loads((place.out / "report.json").read_text())
    for backend in ("torch", "onnx"):
        for name in ("tokenizer.json", "LICENSE"):
            copy = place.out / backend / name
            assert copy.read_text() == f"{name}\n"
            assert not copy.stat().st_mode & (stat.S_ISUID | stat.S_IXUSR)
            assert f"{backend}/{name}" in files
        own = [path for path in (place.out / backend).iterdir() if path.name.startswith(("model", "requirements"))]
        assert report["bytes_on_disk"][backend] == sum(path.stat().st_size for path in own)
    assert qtnc("verify", place.out).code == 0
    (place.out / "onnx" / "LICENSE").write_text("All rights reserved.\n")
    done = qtnc("verify", place.out)
    assert done.code == 1
    assert "onnx/LICENSE: error: missing, or changed since it was compiled" in done.err


def test_what_stays_behind_is_told(place: Any, qtnc: Run) -> None:
    (place.folder / "tokenizer.json").symlink_to("/etc/hostname")
    done = qtnc("compile", place.model, place.spec, "-o", place.out)
    assert done.code == 0
    assert "note: tokenizer.json is not carried along: a link leads out of the model's folder" in done.out
    assert not (place.out / "torch" / "tokenizer.json").exists()


def test_only_models_get_them(place: Any, qtnc: Run) -> None:
    put(place.folder, "config.json")
    place.spec.write_text("qtn 1\nemit onnx\n")
    assert qtnc("compile", place.model, place.spec, "-o", place.out).code == 0
    assert sorted(path.name for path in (place.out / "onnx").iterdir()) == ["config.json", "model.onnx"]
