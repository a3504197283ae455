"""Rules and what a spec uses, as they are typed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RULE = """qtn 1
let least = 1%
rule fold {
    match   y = Mul(MatMul(x, w: const), s: const scalar)
    where   ¦
}
emit onnx
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {"match", "where", "let", "replace", "within", "example"}),
        ("match z = ", {"MatMul", "Gemm", "elementwise"}),
        ("match z = Mul(a, b: ", {"const", "scalar", "float32", "rank"}),
        ("where ", {"not", "rank", "close", "x", "w", "s", "y"}),
        ("replace y = MatMul(x, ", {"w", "s", "transpose"}),
        ("within ", {"least"}),
        ("example {\n        ", {"before", "after"}),
    ],
)
def test_what_may_follow_in_a_rule_is_offered(bound_editor: Any, line: str, expected: set[str]) -> None:
    offered = bound_editor.completions(RULE.replace("where   ¦", f"{line}¦" + ("\n    }" if "{" in line else "")))
    assert expected <= offered.keys()
    assert "select" not in offered


def test_functions_say_what_they_give(bound_editor: Any) -> None:
    found = bound_editor.hover(RULE.replace("where   ¦", "where   ra¦nk(x) == 2\n    replace y = MatMul(x, w * s)"))
    assert "how many axes a value has" in found
    assert "rank(a value of the graph): a number" in found


def test_no_python_of_a_spec_runs(editors: Callable[..., Any], tmp_path: Path) -> None:
    home = tmp_path / "site"
    (home / "evil-1.0.dist-info").mkdir(parents=True)
    (home / "evil-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (home / "evil-1.0.dist-info" / "entry_points.txt").write_text("[qtnc.passes]\nevil-pass = evil:Evil\n")
    (home / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    editor = editors(None, {**os.environ, "PYTHONPATH": str(home)})
    (editor.folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    text = 'qtn 1\nuse "mine.py"\nselect all = MatMul\nrewrite all -> own(k: 3)\nemit onnx\n'
    editor.write(text)
    assert editor.diagnostics() == []  # `own` may be a structure of the file
    editor.write(text.replace("select", "use evil_pass(size: 3)\nselect"))
    (said,) = editor.diagnostics()
    assert "evil 1.0, which is not imported while you type" in said.message
    assert said.severity == 3
    assert {"mine.py"} <= editor.completions('qtn 1\nuse "').keys()
    assert {"evil_pass", "mine.py"} <= editor.completions("qtn 1\nuse ").keys()
    assert not (tmp_path / "ran").exists()
