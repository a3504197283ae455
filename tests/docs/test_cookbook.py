"""Every rule of the cookbook reads, and does to its example what the example says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "cookbook.md").read_text(encoding="utf-8")
RULES = re.findall(r"^```qtn\n(rule (\w+) \{\n.*?^\}\n)```", PAGE, re.MULTILINE | re.DOTALL)
WITHOUT = {"join_qkv", "into_the_core"}
"""Rules that hang on names of layers, or on operations of `qtn`: examples have neither."""


def test_there_are_ten_at_least() -> None:
    assert len({name for _, name in RULES}) == len(RULES) == PAGE.count("```qtn\n") >= 10


@pytest.mark.parametrize(("text", "name"), [pytest.param(*rule, id=rule[1]) for rule in RULES])
def test_recipe(text: str, name: str, qtnc: Callable[..., Any], tmp_path: Path) -> None:
    spec = tmp_path / "spec.qtn"
    spec.write_text(f"qtn 1\n{text}emit onnx\n")
    done = qtnc("check", spec)
    assert done.code == 0, done.err
    assert ("1 example of rules" in done.out) == (name not in WITHOUT)


def test_queries_keys_and_values_are_found_by_name(qtnc: Callable[..., Any], tmp_path: Path) -> None:
    text = next(text for text, name in RULES if name == "join_qkv")
    spec = tmp_path / "spec.qtn"
    spec.write_text(f"qtn 1\n{text}emit onnx\n")
    done = qtnc("check", Path(__file__).parents[2] / "examples" / "tinylm" / "tinylm.onnx", spec)
    assert "rule join_qkv (spec.qtn:2): applied 6 times" in done.out
