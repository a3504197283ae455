"""What each pass does, told by cases: a model as text, the passes to run, and what the model is like afterwards.

A case is one `.qir` file; docs/testing.md says what may stand in it.
"""

from pathlib import Path
from typing import Any

import pytest
from qtnc.passes import PASSES

from qtnc.ir.text.printer import Printer, print_model
from qtnc.ir.text.reader import parse_model
from qtnc.ir.text.tensors import to_side_file
from qtnc.testing import check_file

HERE = Path(__file__).parent
CASES = sorted(HERE.rglob("*.qir"))


@pytest.mark.parametrize("path", CASES, ids=[str(path.relative_to(HERE).with_suffix("")) for path in CASES])
def test_case(path: Path, monarch: type[Any]) -> None:
    model = check_file(path, structures=[monarch])
    printer = Printer(model, metadata=True)
    whole = printer.text()
    weights = {key: to_side_file(tensor) for key, tensor in printer.tensors.items()}
    assert print_model(parse_model(whole, weights), metadata=True) == whole


def test_every_pass_has_cases() -> None:
    assert {path.parent.name for path in CASES} >= set(PASSES)
