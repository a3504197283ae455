"""All that the author of a pass needs, in one place; see docs/passes.md."""

from qtnc.authoring.rewrite import Rewrite
from qtnc.pipeline import Pass, PassResult
from qtnc.rules.building import Builder
from qtnc.rules.found import Match, decline

__all__ = ["Builder", "Match", "Pass", "PassResult", "Rewrite", "decline"]
