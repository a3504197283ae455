"""Every block of code on every page is run, read or compared: here, or by a test that is named here."""

import ast
import re
import runpy
import shlex
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from qtnc.backends.options import BACKENDS
from qtnc.cli import _parser
from qtnc.errors import SpecError
from qtnc.source import Source
from qtnc.spec.read import read_source
from qtnc.spec.syntax import recover, vocabulary
from qtnc.structures.registry import STRUCTURES

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MODEL = ROOT / "examples" / "tinylm" / "tinylm.onnx"
FOUND = runpy.run_path(str(HERE / "blocks.py"))
BLOCKS = [block for page in FOUND["pages"]() for block in FOUND["blocks"](page)]
ANSWER = re.compile(r"The spec above is wrong(?: where [^,]+)?, and the answer is:")

ELSEWHERE = {
    ("docs/api.md", "python"): "tests/test_api.py::test_the_page_runs",
    ("docs/structures.md", "python"): "tests/structures/test_structures_page.py::test_the_class_compiles_by_the_spec",
    ("docs/structures.md", "toml"): "tests/structures/test_structures_page.py::test_the_class_compiles_by_the_spec",
    ("docs/structures.md", "qtn"): "tests/structures/test_structures_page.py::test_the_class_compiles_by_the_spec",
    **{
        ("docs/passes.md", language): "tests/plugins/test_passes_page.py::test_a_file_is_used"
        for language in ("python", "qtn")
    },
    ("docs/passes.md", "toml"): "tests/plugins/test_passes_page.py::test_a_package_is_used",
    ("docs/testing.md", "python"): "tests/testing/test_testing_page.py::test_every_block_runs",
    ("docs/cookbook.md", "qtn"): "tests/docs/test_cookbook.py::test_recipe",
    ("docs/ir.md", "qir"): "tests/ir/text/test_ir_page.py::test_examples",
    **{
        ("docs/tutorial.md", language): "tests/docs/test_tutorial.py::test_it_can_be_followed"
        for language in ("sh", "python", "toml", "qtn", "text")
    },
    ("docs/reference.md", "qtn"): "tests/docs/test_reference.py::test_every_example_on_the_page_is_read",
    ("docs/reference.md", "text"): "tests/docs/test_reference.py::test_the_page_is_fresh",
}
"""Blocks of a page and a language, and the test that they are for."""

OUTPUT = {
    "layers.0.attn.q_proj: spec.qtn:": "tests/spec/test_language_page.py::test_who_wins_is_what_plan_shows",
    "error: `down.weight` holds 100000": "tests/test_compile_float16.py::test_a_weight_beyond_half_is_named",
    "hybrid.qtn:13:1: select hard": "tests/docs/test_blocks.py::test_why_says_what_the_page_says",
}
"""What is printed, by its beginning, and the test that compares it."""

SHOWN = {
    "spec -> plan -> passes": "a figure",
    "y = x . C_in . K": "a formula",
    "seconds = max(": "a formula",
    '%y, _ = domain.Op["overload"]': "the form of a node; examples of it are read",
    "rewrite mlp -> blockdiag": "a line of the spec further down",
    "canonicalize: logits differs": "figures of a compile that takes minutes",
    "error: pass choose-contraction-order breaks": "of a pass that was broken for it",
    "compile: 0.95 GB": "figures of a model of 3 GB",
    "compile: 1.80 GB": "figures of a model of 1 GB",
    "spec.qtn:3:1: rule fold_scale": "of a model of the reader's own; tests/cli/test_rules.py holds the form",
    "fold_scale at node_mul_1206": "of a model of the reader's own; tests/cli/test_rules.py holds the form",
    "vim.filetype.add": "settings of an editor",
    "[language-server.qtnc]": "settings of an editor",
    "(define-derived-mode": "settings of an editor",
    "my_passes.py:12: error": "of a pass that fails; tests of `use` compare such",
    "@pytest.mark.parametrize": "a test of the reader's own",
    "before: 329 nodes": "figures of a model that fails",
    "out/\n": "a folder, whose files tests of compile look for",
    "qiskit/<layer>.py": "a folder, whose files tests of the backend look for",
}
"""Blocks that nothing runs, by their beginning, and why."""


def checker(block: Any) -> Callable[..., None] | None:
    """What holds a block to the truth; None where nothing does."""
    if (block.page, block.language) in ELSEWHERE or any(block.text.startswith(begin) for begin in (*OUTPUT, *SHOWN)):
        return lambda *_: None
    if block.language == "text":
        if re.match(r"\w+\.qtn:\d", block.text):
            return is_answer_of_above if ANSWER.fullmatch(block.before) else is_answer_to_a_model
        return are_forms if re.match(rf"(?:{'|'.join(vocabulary().statements)})\b", block.text) else None
    if block.language == "":
        return are_commands
    return {"qtn": is_spec, "sh": are_commands}.get(block.language)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_block(block: Any, qtnc: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = checker(block)
    assert check, f"{block}: nothing runs or reads this {block.language} block"
    monkeypatch.chdir(tmp_path)
    check(block, qtnc)


def above(block: Any, language: str = "qtn") -> str:
    """Text of the last block of a language above one."""
    found = [b for b in BLOCKS if b.page == block.page and b.language == language and b.line < block.line]
    return str(found[-1].text)


def is_spec(block: Any, _: Any) -> None:
    """A spec reads, unless the page says that it is wrong."""
    wrong = any(ANSWER.fullmatch(b.before) and b.page == block.page and above(b) == block.text for b in BLOCKS)
    try:
        read_source(Source("spec.qtn", block.text), STRUCTURES, BACKENDS, Path())
    except SpecError:
        assert wrong
    else:
        assert not wrong


def is_answer_of_above(block: Any, _: Any) -> None:
    with pytest.raises(SpecError) as caught:
        read_source(Source("spec.qtn", above(block)), STRUCTURES, BACKENDS, Path())
    assert f"{caught.value}\n" == block.text


def is_answer_to_a_model(block: Any, qtnc: Callable[..., Any]) -> None:
    """A spec with the line that the answer shows, against the example's model."""
    name, number = re.match(r"(\w+\.qtn):(\d+)", block.text).groups()  # type: ignore[union-attr]
    lines = above(block).splitlines() if name == "deploy.qtn" else ["qtn 1", "", "", "", "emit onnx"]
    lines[int(number) - 1] = re.search(rf"^  {number} \| (.*)$", block.text, re.MULTILINE)[1]  # type: ignore[index]
    Path(name).write_text("\n".join(lines) + "\n")
    done = qtnc("check", MODEL, name)
    assert (done.code, done.err) == (1, block.text)


def are_forms(block: Any, _: Any) -> None:
    """Forms of statements, with names in capitals, of which the dots and the alternatives are left out."""
    text = re.sub(r",? ?\.\.\.", "", block.text.replace("rewrite ...", ""))
    text = re.sub(r"^(\w+ \w+)( \| \w+)+$", r"\1", text, flags=re.MULTILINE)
    text = text.replace("<RECIPE>", "<bert>").replace("CONDITION", 'name ~ "GLOB"')
    assert recover(Source("form", text))[1] == ()


def are_commands(block: Any, _: Any) -> None:
    """Commands, one a line: of `qtnc` and its options, of `make` and its targets, of files that are there."""
    for line in block.text.splitlines():
        words = shlex.split(line.replace("> plan.json", ""), comments=True)
        if words:
            assert words[0].startswith("--") or words[0] in COMMANDS, f"{block}: {line}"
            COMMANDS.get(words[0], options_of_compile)(words)


def options_of_compile(words: list[str]) -> None:
    of_qtnc(["qtnc", "compile", "model.onnx", "spec.qtn", "-o", "out", *words])


def of_qtnc(words: list[str]) -> None:
    place = ["model.onnx", "spec.qtn", "-o", "out"]
    _parser().parse_args([word for each in words[1:] for word in (place if each == "..." else [each])])


def of_make(words: list[str]) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(words[1:]) <= set(targets)


def of_python(words: list[str]) -> None:
    ast.parse(words[2] if words[1] == "-c" else (ROOT / words[1]).read_text())


def of_pip(words: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert words[1] == "install"
    for what in words[2:]:
        assert set(re.findall(r"\[(.*)\]", what)) <= set(project["optional-dependencies"])


COMMANDS: Mapping[str, Callable[[list[str]], None]] = {
    "qtnc": of_qtnc,
    "make": of_make,
    "python": of_python,
    "pip": of_pip,
    ".": lambda words: None,
    "cd": lambda words: next((ROOT / words[1]).iterdir()),
    "npm": lambda words: None,
    "code": lambda words: None,
}


@pytest.mark.parametrize("test", sorted({*ELSEWHERE.values(), *OUTPUT.values()}))
def test_what_is_tested_elsewhere_is(test: str) -> None:
    path, name = test.split("::")
    assert f"\ndef {name}(" in (ROOT / path).read_text()


def test_no_entry_is_left_over() -> None:
    kinds = {(block.page, block.language) for block in BLOCKS}
    assert set(ELSEWHERE) <= kinds
    for begin in (*OUTPUT, *SHOWN):
        assert any(block.text.startswith(begin) for block in BLOCKS), begin


def test_why_says_what_the_page_says(qtnc: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    (said,) = (block.text for block in BLOCKS if block.text.startswith("hybrid.qtn:13:1"))
    monkeypatch.chdir(ROOT / "examples" / "hybrid")
    done = qtnc("why", MODEL, "hybrid.qtn", "layers.2.attn.q_proj")
    assert said in done.out


def test_formats_of_files_are_those_of_the_page() -> None:
    from qtnc.output import manifest
    from qtnc.planner import plan

    page = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    for file, number in (("plan.json", plan.FORMAT), ("manifest.json", manifest.FORMAT)):
        assert f'| `{file}` | `"format": {number}`' in page
