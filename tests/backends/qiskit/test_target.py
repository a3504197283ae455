"""Names of devices, read without Qiskit."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.transpiler import CouplingMap

from qtnc.backends.qiskit.options import QiskitOptions
from qtnc.backends.qiskit.target import FORMS, HEAVY_HEX, LARGEST, Target

READ = [
    ("line", Target("line"), 0),
    ("line-9q", Target("line", (9,)), 9),
    ("grid", Target("grid"), 0),
    ("grid-3x4", Target("grid", (3, 4)), 12),
    ("heavy-hex", Target("heavy-hex"), 0),
    ("heavy-hex-19q", Target("heavy-hex", (19,)), 19),
    ("all-to-all", Target("all-to-all"), 0),
    ("all-to-all-9q", Target("all-to-all", (9,)), 9),
]


@pytest.mark.parametrize(("text", "target", "qubits"), READ)
def test_every_form_is_read_and_written(text, target, qubits):
    assert Target.parse(text) == target
    assert str(target) == text
    assert target.qubits == qubits
    assert QiskitOptions(target=text).check() is None


REFUSED = [
    ("lin", "unknown target `lin`; did you mean `line`? a target is line, grid,"),
    ("heavyhex", "did you mean `heavy-hex`?"),
    ("heavy_hex_19q", "did you mean `heavy-hex`?"),
    ("Line-9q", "did you mean `line`?"),
    ("line9", "did you mean `line`?"),
    ("eagle", f"unknown target `eagle`; {FORMS}"),
    ("", f"unknown target ``; {FORMS}"),
    ("line-0q", "did you mean `line`?"),
    ("line-9q\n", r"unknown target `line-9q\x0a`"),
    ("line-\u0669q", "did you mean `line`?"),
    ("grid-9q", "the size of a `grid` is written as in `grid-3x3`, not as in `grid-9q`"),
    ("line-3x3", "the size of a `line` is written as in `line-9q`, not as in `line-3x3`"),
    ("heavy-hex-20q", "`heavy-hex-20q`: a heavy-hex lattice has 19, 57, 115,"),
    ("line-1001q", f"`line-1001q` has 1001 qubits, and {LARGEST} is the most there can be"),
    ("grid-9999x9999", "is the most there can be"),
    ("line-99999999999999999999q", "unknown target"),
    ("../" * 1000, "unknown target `../"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_target_is_refused_in_words(text, said):
    message = QiskitOptions(target=text).check()
    assert message is not None
    assert said in message
    assert len(message) < 400


@given(st.text())
def test_any_text_is_read_or_refused(text):
    if QiskitOptions(target=text).check() is None:
        assert str(Target.parse(text)) == text


@pytest.mark.parametrize("kind", ["line", "grid", "heavy-hex", "all-to-all"])
def test_an_open_size_is_the_smallest_that_holds_the_register(kind):
    for qubits in range(18):
        device = Target(kind).sized(qubits)
        assert device.qubits >= max(1, qubits)
        assert Target.parse(str(device)) == device
    assert str(Target(kind).sized(7)) == {"grid": "grid-2x4", "heavy-hex": "heavy-hex-19q"}.get(kind, f"{kind}-7q")
    assert str(Target.parse("grid-3x3").sized(40)) == "grid-3x3"


def test_heavy_hex_lattices_have_the_qubits_that_qiskit_gives_them():
    found = {CouplingMap.from_heavy_hex(distance).size(): distance for distance in HEAVY_HEX.values()}
    assert found == HEAVY_HEX


def test_options_load_without_qiskit_and_torch():
    code = (
        "import sys\n"
        "from qtnc.backends.qiskit.options import QiskitOptions\n"
        "import qtnc.backends.qiskit.emit\n"
        "QiskitOptions(target='line').check()\n"
        "print([m for m in ('qiskit', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
