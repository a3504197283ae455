"""What a compile is asked to show of itself."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtnc.look.print_ir import PrintIr, clear_folder
from qtnc.look.tracing import Trace
from qtnc.look.verify_each import VerifyEach
from qtnc.look.watch import Watch
from qtnc.planner.plan import Plan
from qtnc.road.road import Road
from qtnc.verify.check import Inputs

EVERY = "all"
"""Stands for every pass."""


@dataclass(frozen=True)
class Look:
    """What to look at on the way.

    Attributes
    ----------
    print_after : passes after which the IR is written, or :data:`EVERY`.
    ir_dir : where to, by default ``<OUT>.ir``.
    verify_each : whether every pass is verified by running the model that it left.
    say : takes a line for each error measured so.
    trace : is told of every attempt to rewrite.
    """

    print_after: tuple[str, ...] = ()
    ir_dir: Path | None = None
    verify_each: bool = False
    say: Callable[[str], None] = lambda line: None
    trace: Trace | None = None

    @property
    def given(self) -> Mapping[str, Any]:
        """What passes are given for it."""
        return {"listen": self.trace.listen} if self.trace else {}

    def tell(self, plan: Plan) -> None:
        """Show what became of the layers that rewrites claim."""
        if self.trace:
            self.trace.tell_plan(plan)

    def check(self, road: Road) -> None:
        """Refuse names of passes that will not run.

        Raises
        ------
        UsageError
            With the nearest name.
        """
        road.check_named([name for name in self.print_after if name != EVERY])

    def folder(self, out: Path) -> Path:
        """Where the IR is written, beside ``out``."""
        named = out if out.name not in ("", "..") else Path(os.path.abspath(out))
        return self.ir_dir or named.with_name(f"{named.name}.ir")

    def attach(
        self, watch: Watch, out: Path, original: Path, sources: Sequence[Path], inputs: Sequence[Inputs], *, force: bool
    ) -> None:
        """Make ``watch`` look at what is asked for. Files are written before a pass is judged, so that they are there.

        Raises
        ------
        OutputError
            If the folder for the IR cannot be written.
        DataError
            If there is nothing to verify on.
        """
        if self.print_after:
            clear_folder(self.folder(out), out, sources, force=force)
            names = None if EVERY in self.print_after else self.print_after
            watch.looks["print after"] = PrintIr(self.folder(out), names)
        if self.verify_each:
            watch.looks["verify after"] = VerifyEach(original, inputs, self.say)
