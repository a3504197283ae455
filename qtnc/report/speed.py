"""The table of `qtnc bench`."""

from collections.abc import Mapping, Sequence
from typing import Any

from qtnc.report.text import table
from qtnc.tensor.memory import size

LEGEND = """\
median of calls in alternation, quartiles in brackets. ratio: time over the original's, below 1 is faster. int8: the
original by onnxruntime's dynamic quantiser, for speed and bytes only; its error is another matter."""


def speed_table(cases: Sequence[Mapping[str, Any]], missing: Mapping[str, str]) -> str:
    """One table for each case, as :meth:`qtnc.bench.cases.Case.to_json` gives it."""
    text = []
    for case in cases:
        unit = "tokens/s" if case["tokens"] else "rows/s"
        rows = [
            [
                form,
                f"{found['milliseconds']:.3f}",
                f"[{found['quartiles'][0]:.3f} {found['quartiles'][1]:.3f}]",
                f"{found['per_second']:,.0f}",
                f"{found['ratio']:.2f}x",
                size(found["bytes"]),
            ]
            for form, found in case["forms"].items()
        ]
        text += [_heading(case), table(["form", "ms", "quartiles", unit, "ratio", "bytes"], rows), ""]
    text += [f"{form}: not there: {reason}" for form, reason in missing.items()]
    return "\n".join([*text, LEGEND])


def _heading(case: Mapping[str, Any]) -> str:
    tokens = f" of {case['tokens']:,} tokens" if case["tokens"] else ""
    past = f" one by one after {case['past']:,}" if case["past"] else ""
    return f"{case['case']}: {case['rows']:,} row{'s' * (case['rows'] != 1)}{tokens}{past}"
