"""What the calls return: frozen, typed, and shown as a table in a notebook."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from qtnc.look.facts import LayerFacts
from qtnc.output.single import write_text
from qtnc.planner.plan import LayerPlan, Plan
from qtnc.report.text import inspect_columns, inspect_table, plan_columns, plan_table
from qtnc.report.tools import spectra_table
from qtnc.verify.verdict import Verdict


@dataclass(frozen=True)
class Inspection(Sequence[LayerFacts]):
    """The layers of a model, in graph order."""

    layers: tuple[LayerFacts, ...]

    def __getitem__(self, place: Any) -> Any:
        return self.layers[place]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[LayerFacts]:
        return iter(self.layers)

    def __str__(self) -> str:
        return spectra_table(self) if any(layer.spectrum for layer in self) else inspect_table(self)

    def _repr_html_(self) -> str:
        return html_table(*inspect_columns(self))


@dataclass(frozen=True)
class Planning:
    """What a compile would do."""

    plan: Plan

    @property
    def layers(self) -> tuple[LayerPlan, ...]:
        """What is decided for each layer that a rewrite claims."""
        return self.plan.layers

    def save(self, path: str | Path) -> None:
        """Write plan.json, which ``qtnc.compile(..., plan=path)`` obeys.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        write_text(Path(path), json.dumps(self.plan.to_json(), indent=2) + "\n")

    def __str__(self) -> str:
        return plan_table(self.plan)

    def _repr_html_(self) -> str:
        return html_table(*plan_columns(self.plan))


@dataclass(frozen=True)
class Compilation:
    """A compiled folder, the plan that it obeys, and what was measured.

    Attributes
    ----------
    holds : whether every ``verify`` of the spec holds; the folder is written either way.
    """

    out: Path
    plan: Plan
    verdicts: tuple[Verdict, ...]
    holds: bool

    @cached_property
    def report(self) -> dict[str, Any]:
        """What ``report.json`` says."""
        found: dict[str, Any] = json.loads((self.out / "report.json").read_text(encoding="utf-8"))
        return found

    @property
    def onnx(self) -> Path:
        """The emitted ONNX model."""
        return self.out / "onnx" / "model.onnx"

    @property
    def torch(self) -> Path:
        """The folder of the emitted torch code."""
        return self.out / "torch"

    def __str__(self) -> str:
        verdicts = (line for verdict in self.verdicts for line in verdict.lines())
        return "\n".join([plan_table(self.plan), *verdicts, f"in {self.out}"])

    def _repr_html_(self) -> str:
        lines = (line for verdict in self.verdicts for line in verdict.lines())
        return html_table(*plan_columns(self.plan)) + "".join(f"<p>{escape(line)}</p>" for line in lines)


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table; names from a model are text in it and nothing else."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
