"""What a verdict says of what was measured."""

import json
from collections.abc import Mapping

import onnx_ir as ir
import pytest

from qtnc.verify.verdict import AGREEMENT, Verdict, agreement_of

INF = float("inf")
ERRORS: Mapping[str, Mapping[str, float]] = {"torch": {"y": 0.01, "z": 0.0}, "onnx": {"y": 0.02, "z": 0.0}}


@pytest.mark.parametrize(
    ("tolerance", "errors", "disagreement", "holds"),
    [
        (0.05, ERRORS, 0.0, True),
        (0.02, ERRORS, 0.0, True),
        (0.019, ERRORS, 0.0, False),
        (0.0, {"torch": {"y": 0.0}}, 0.0, True),
        (0.05, {"torch": {"y": INF}}, 0.0, False),
        (1.0, {"torch": {"y": 0.0, "z": INF}}, 0.0, False),
        (None, ERRORS, 0.0, True),
        (None, {"torch": {"y": INF}}, 0.0, True),
        (0.05, ERRORS, AGREEMENT, True),
        (0.05, ERRORS, 2 * AGREEMENT, False),
        (None, ERRORS, 2 * AGREEMENT, False),
        (None, ERRORS, INF, False),
        (None, {}, 0.0, True),
    ],
)
def test_it_holds_within_the_tolerance_where_backends_agree(
    tolerance: float | None, errors: Mapping[str, Mapping[str, float]], disagreement: float, holds: bool
) -> None:
    verdict = Verdict("calib", tolerance, errors, disagreement)
    assert verdict.holds is holds
    assert verdict.agrees is (disagreement <= AGREEMENT)
    assert any("FAILED" in line for line in verdict.lines()) is not holds


def test_the_worst_is_that_of_any_backend_and_output() -> None:
    assert Verdict("calib", None, ERRORS, 0.0).worst == 0.02
    assert Verdict("calib", None, {"torch": {"y": 0.3, "z": INF}}, 0.0).worst == INF
    assert Verdict("seeded", None, {}, 0.0).worst == 0.0


def test_lines() -> None:
    assert Verdict("calib", 0.015, ERRORS, 0.5).lines() == [
        "torch: y differs by 1.000% on calib (allowed 1.500%)",
        "torch: z differs by 0.000% on calib (allowed 1.500%)",
        "onnx: y differs by 2.000% on calib (allowed 1.500%) FAILED",
        "onnx: z differs by 0.000% on calib (allowed 1.500%)",
        "backends differ from each other by 50.000% (allowed 0.1%) FAILED",
    ]
    assert Verdict("seeded", None, {"onnx": {"y": INF}}, 0.0).lines() == [
        "onnx: y differs by inf% on seeded (no limit asked)"
    ]


def test_what_was_not_measured_says_why() -> None:
    verdict = Verdict("seeded", None, {}, 0.0, "the range cannot be told")
    assert verdict.lines() == ["not measured: the range cannot be told"]
    assert verdict.holds
    assert verdict.to_json()["unmeasured"] == "the range cannot be told"


def test_names_cannot_act_on_the_terminal() -> None:
    (line,) = Verdict("seeded", 0.1, {"torch": {"y\x1b[2J\n" + "z" * 500: 0.0}}, 0.0).lines()
    assert line.isprintable()
    assert len(line) < 200


def test_json_has_no_infinity() -> None:
    errors = {"torch": {"y": INF, "z": 0.25}}
    content = Verdict("calib", 0.5, errors, INF).to_json()
    assert json.loads(json.dumps(content, allow_nan=False)) == {
        "data": "calib",
        "tolerance": 0.5,
        "errors": {"torch": {"y": None, "z": 0.25}},
        "disagreement": None,
        "unmeasured": None,
        "worst": None,
        "holds": False,
    }


@pytest.mark.parametrize(
    ("dtype", "narrow", "allowed"),
    [
        (ir.DataType.FLOAT, False, AGREEMENT),
        (ir.DataType.DOUBLE, False, AGREEMENT),
        (ir.DataType.FLOAT, True, 2e-2),
        (ir.DataType.FLOAT16, False, 2e-2),
        (ir.DataType.BFLOAT16, True, 8e-2),
    ],
)
def test_backends_agree_by_the_coarsest_type(dtype: ir.DataType, narrow: bool, allowed: float) -> None:
    x, w = ir.val("x", ir.DataType.FLOAT, [3]), ir.val("w", dtype, [3])
    model = ir.Model(ir.Graph([x], [], nodes=[], initializers=[w], name="g"), ir_version=10)
    agreement = agreement_of(model, narrow=narrow)
    assert agreement == allowed
    near, far = (Verdict("seeded", None, {}, share * allowed, agreement=agreement) for share in (0.9, 1.1))
    assert (near.agrees, far.agrees) == (True, False)
