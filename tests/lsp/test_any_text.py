"""Whatever the text is, and wherever the cursor, everything that is asked has an answer."""

from contextlib import suppress
from pathlib import Path

import onnx_ir as ir
from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol.types import PositionEncodingKind

from qtnc.ir.form import Form, WeightForm
from qtnc.lsp.completion import items, offers
from qtnc.lsp.diagnostics import diagnostics
from qtnc.lsp.edits import RefusedEditError, form_edits, rename
from qtnc.lsp.hover import hover, named_at
from qtnc.lsp.outline import folds, symbols
from qtnc.lsp.place import place_at
from qtnc.lsp.positions import Positions
from qtnc.lsp.reading import read
from qtnc.lsp.told import ToldLayer, ToldModel
from qtnc.source import Source
from qtnc.spec.file import read_text

NOWHERE = Path(__file__).parent / "nowhere"
FLAT = WeightForm((0, 1))
MODEL = ToldModel(
    tuple(
        ToldLayer(name, "MatMul", (4, 4), ir.DataType.FLOAT, 64, Form((0, 1), (0, 1), FLAT), FLAT, number)
        for number, name in enumerate(("layers.0.attn.q", "layers.1.attn.q", "head"))
    ),
    ((0, 1), (1, 2)),
)
GOOD = r"""qtn 1
# a comment "with a quote
let half = 50%
let ends = [0, 11]
bind batch = 1
data calib = npz("calib.npz") take 64
include <llama>
select some = MatMul where name ~ "layers.*.attn.*" and weight.elements >= 1
select more = (some or Gemm) - head where name ~ re"layers\.\d+\.a" and block in ends
select hard = top 2 of (some and MatMul) by error of lowrank(bytes: half)
select late = downstream of hard
stage first {
    rewrite some -> circuit(depth: 4, layout: cross) | mpo(sites: [8x16, 16x24], max_bond: 64) on calib
}
stage second extends first {
    rewrite hard -> mpo(max_bond: 8)
}
emit qiskit(target: "line-9q", shots: 100_000) for hard
emit onnx
verify outputs within half on calib
"""
PIECES = [
    "",
    " ",
    "\n",
    "\r\n",
    "\r",
    '"',
    're"',
    "(",
    ")",
    "{",
    "}",
    "[",
    "#",
    "|",
    "->",
    "~",
    "\0",
    "\N{ROCKET}",
    "select ",
    "top ",
]


def ask(text: str, offset: int) -> None:
    reading = read(Source("a.qtn", text), NOWHERE, read_text).on(MODEL)
    positions = Positions(text, PositionEncodingKind.Utf16)
    shown = [*diagnostics(reading, positions)]
    assert all(d.message.replace("\n", "").isprintable() for d in shown)
    place = place_at(text, offset)
    if place is not None:
        assert 0 <= place.start <= offset
        for item in items(offers(place, reading), place, positions):
            assert item.label.isprintable()
            assert item.text_edit is not None
            assert positions.offset(item.text_edit.range.end) == positions.offset(positions.position(offset))
    found = hover(reading, offset)
    assert found is None or found[1].start <= offset <= found[1].end
    mention = named_at(reading, offset)
    with suppress(RefusedEditError):
        form_edits(Source("", text), positions)
    if mention is not None:
        with suppress(RefusedEditError):
            assert mention.span in [place.span for place in rename(reading, mention, "other_name")]
    symbols(reading, positions)
    assert all(fold.end_line > fold.start_line for fold in folds(reading, positions))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_change_of_a_good_spec(data: st.DataObject) -> None:
    text = GOOD
    for _ in range(data.draw(st.integers(0, 3), label="edits")):
        start = data.draw(st.integers(0, len(text)), label="start")
        length = data.draw(st.integers(0, 12), label="cut")
        text = text[:start] + data.draw(st.sampled_from(PIECES) | st.text(max_size=3)) + text[start + length :]
    ask(text, data.draw(st.integers(0, len(text)), label="cursor"))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.data())
def test_any_text(text: str, data: st.DataObject) -> None:
    ask(text, data.draw(st.integers(0, len(text))))


def test_every_word_of_a_good_spec_is_offered_where_it_stands() -> None:
    reading = read(Source("a.qtn", GOOD), NOWHERE, read_text).on(MODEL)
    assert not reading.found.errors
    missing = []
    for lexeme in reading.lexemes:
        place = place_at(GOOD, lexeme.end) if lexeme.text.isidentifier() else None
        if place is not None:
            offered = {offer.label for offer in offers(place, reading)}
            known = (
                offered | {label.rpartition(".")[2] for label in offered} | {label.split(".")[0] for label in offered}
            )
            missing += [] if lexeme.text in known else [lexeme.text]
        hover(reading, lexeme.end)
    # Names that are declared there, and an op that the model lacks.
    declared = ["half", "ends", "batch", "calib", "some", "more", "Gemm", "hard", "late", "first", "second"]
    assert missing == declared
