"""Rewrite the networks and circuits that layers became by the rules of a spec."""

from dataclasses import dataclass
from typing import ClassVar

from qtnc.passes.apply_rules import ApplyRules


@dataclass(frozen=True)
class ApplyNetworkRules(ApplyRules):
    """Rules of the spec that look for operations of the ``qtn`` dialect, until none applies any more."""

    name: ClassVar[str] = "apply-network-rules"
    networks: ClassVar[bool] = True
