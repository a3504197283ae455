"""The page on the text form tells the truth."""

import re
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest

from qtnc.ir.text.printer import print_model
from qtnc.ir.text.reader import parse_model
from qtnc.ir.text.tensors import DIGITS, INLINE

PAGE = (Path(__file__).parents[3] / "docs" / "ir.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```qir\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
DECLARED = re.compile(r"^ *weight .*\n", re.MULTILINE)


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples(text: str) -> None:
    model = parse_model(text)
    onnx.checker.check_model(ir.to_proto(model))
    # But for weights and comments, the page shows what is printed.
    code = re.sub(r"^//.*\n", "", text, flags=re.MULTILINE)
    assert DECLARED.sub("", print_model(model)) == DECLARED.sub("", code)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("spelled", re.findall(r"`([a-z0-9]+(?:\([a-z0-9\[\]]+\))?\[[^`]*\]|seq\(f32\[8\]\))`", PAGE))
def test_types(spelled: str) -> None:
    parse_model(f'qir 1 model opset {{"": 18}} ir 10 graph g(%x: {spelled}) -> (%y) {{ %y = Neg(%x) }}')


def test_numbers() -> None:
    assert f"first {DIGITS} digits" in PAGE
    assert f"{INLINE} elements or fewer" in PAGE
