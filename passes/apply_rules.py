"""Rewrite a model by the rules of a spec, before anything is planned."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from qtnc.pipeline import PassResult
from qtnc.rules.driving import apply_rules
from qtnc.rules.rule import SpecRule
from qtnc.rules.trace import Listener


@dataclass(frozen=True)
class ApplyRules:
    """Rules of the spec, in its order, until none applies any more.

    Those that look for networks and circuits are left to :class:`qtnc.passes.apply_network_rules.ApplyNetworkRules`.
    """

    name: ClassVar[str] = "apply-rules"
    networks: ClassVar[bool] = False

    rules: tuple[SpecRule, ...] = ()
    listen: Listener | None = None

    @property
    def exact(self) -> bool:
        """Whether no rule says that it is approximate."""
        return all(rule.within is None for rule in self._mine)

    def run(self, model: ir.Model) -> PassResult:
        """Apply them; a note a rule says how often it was applied."""
        applied = apply_rules(model, self._mine, self.listen)
        return PassResult(model, any(rule.times for rule in applied), applied)

    @property
    def _mine(self) -> tuple[SpecRule, ...]:
        return tuple(rule for rule in self.rules if rule.on_networks is self.networks)
