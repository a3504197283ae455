"""Pipelines as text: what they mean, and what is refused with the nearest word beside it."""

import pytest
from qtnc.passes.choose_contraction_order import ChooseContractionOrder
from qtnc.passes.fold_constants import FoldConstants

from qtnc.errors import UsageError
from qtnc.road.road import DEFAULT, read_road
from qtnc.road.steps import read_steps


def test_options_and_blanks() -> None:
    steps = read_steps(
        " fold-constants{max_growth=7} , choose-contraction-order{binds.batch=3 binds.seq=5},canonicalize"
    )
    assert [step.name for step in steps] == ["fold-constants", "choose-contraction-order", "canonicalize"]
    assert steps[0].made({"binds": {"batch": 1}}) == FoldConstants(7)
    assert steps[1].made({"binds": {"batch": 1, "head": 2}}) == ChooseContractionOrder(
        {"batch": 3, "head": 2, "seq": 5}
    )
    assert read_steps("") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("canonicalise", "there is no pass `canonicalise`\n  = help: did you mean `canonicalize`?"),
        ("fold-constants{max_grow=1}", "no option `max_grow` to be written\n  = help: did you mean `max_growth`?"),
        ("canonicalize{x=1}", "no option `x` to be written\n  = help: there is none"),
        ("matmul-to-mpo{decisions=1}", "no option `decisions` to be written"),
        ("fold-constants{max_growth=-1}", "the value is not an integer from 0 on"),
        ("fold-constants{max_growth=1.5}", "the value is not an integer from 0 on"),
        ("fold-constants{max_growth}", "`max_growth` of `fold-constants` is no option"),
        ("fold-constants{max_growth.x=1}", "it is written `max_growth=value`"),
        ("choose-contraction-order{binds=1}", "it is written `binds.NAME=value`"),
        ("canonicalize fold-constants", "cannot read `canonicalize fold-constants`"),
        ("canonicalize,,fold-constants", "cannot read `,fold-constants`"),
        ("fold-constants{max_growth=1", "cannot read `fold-constants{max_growth=1`"),
        ("a\x1b[31m", "there is no pass `a\\x1b[31m`"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_steps(text)
    assert said in str(caught.value)


def test_the_text_of_a_pipeline_reads_back() -> None:
    text = "fold-constants{max_growth=7},choose-contraction-order{binds.batch=3 binds.seq=5},lower-to-onnx"
    assert read_road(f" {text.replace(',', ' , ')} ").text == text
    assert read_road(text).steps == read_road(read_road(text).text).steps
    assert read_road().text == DEFAULT


def test_the_default_has_three_parts() -> None:
    road = read_road()
    assert ",".join(road.names) == DEFAULT
    parts = [[step.name for step in part({})] for part in (road.prepare, road.rewrite, road.lower)]
    assert parts[0] == ["canonicalize", "fold-constants"]
    assert parts[1][-1] == "choose-contraction-order"
    assert parts[2] == ["lower-to-onnx"]
    assert [name for part in parts for name in part] == list(road.names)


def test_without_a_lowering_all_that_follows_the_plan_is_rewriting() -> None:
    road = read_road(without=["lower-to-onnx", "canonicalize"])
    assert [step.name for step in road.prepare({})] == ["fold-constants"]
    assert road.lower({}) == ()
    assert [step.name for step in read_road("canonicalize,choose-contraction-order").prepare({})] == [
        "canonicalize",
        "choose-contraction-order",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "matmul-to-mpo,canonicalize,matmul-to-lowrank",
        "matmul-to-mpo,matmul-to-mpo",
        "lower-to-onnx,matmul-to-mpo",
    ],
)
def test_what_the_plan_decides_is_done_at_once(text: str) -> None:
    with pytest.raises(UsageError, match="must stand together, each once, before lower-to-onnx"):
        read_road(text)


def test_only_what_is_there_is_left_out() -> None:
    with pytest.raises(UsageError, match="there is no pass `canonicalise`"):
        read_road(without=["canonicalise"])
    with pytest.raises(UsageError, match="the pipeline has no pass `fold-constants`"):
        read_road("canonicalize", ["fold-constants"])
