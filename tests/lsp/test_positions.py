"""Offsets to positions and back, beside Python's own encoders."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol.types import Position

from qtnc.lsp.positions import Positions

TEXTS = st.text(st.sampled_from("ab\r\n\N{ROCKET}é\u2028\x0b\x85"), max_size=30)
WIDTH = {"utf-8": 1, "utf-16": 2, "utf-32": 4}
CODEC = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}


@pytest.mark.parametrize("encoding", WIDTH)
@given(text=TEXTS, data=st.data())
def test_a_position_is_the_units_of_an_encoder(encoding: str, text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    if text[offset - 1 : offset + 1] == "\r\n":
        return  # no position is between the two
    lines = re.split(r"\r\n|\r|\n", text[:offset])
    units = len(lines[-1].encode(CODEC[encoding])) // WIDTH[encoding]
    positions = Positions(text, encoding)
    assert positions.position(offset) == Position(len(lines) - 1, units)
    assert positions.offset(Position(len(lines) - 1, units)) == offset


@given(text=TEXTS, line=st.integers(0, 2**31 - 1), character=st.integers(0, 2**31 - 1))
def test_any_position_is_somewhere(text: str, line: int, character: int) -> None:
    assert 0 <= Positions(text).offset(Position(line, character)) <= len(text)


def test_half_a_character_is_its_beginning() -> None:
    assert Positions("a\N{ROCKET}b").offset(Position(0, 2)) == 1
