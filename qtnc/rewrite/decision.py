"""A decision: one layer, the structure it takes with nothing left open, and the data that weighs the fit."""

from dataclasses import dataclass

from qtnc.structures.structure import Structure
from qtnc.tensor.metric import Matrix


@dataclass(frozen=True, eq=False)
class Decision:
    """What a rewrite pass is told to do.

    Attributes
    ----------
    layer : canonical name.
    structure : settled structure.
    covariance : (M, M) of the layer's inputs, (S, M, M) where each matrix of a stack reads rows of its own, or None for
        a plain fit.
    shares : an earlier layer of the same weight, decided alike, whose cores this one takes; None to fit its own.
    """

    layer: str
    structure: Structure
    covariance: Matrix | None = None
    shares: str | None = None


@dataclass(frozen=True)
class Rewritten:
    """What a rewrite pass did to one layer.

    Attributes
    ----------
    layer, structure : canonical name and the structure's word.
    parameters : stored numbers now, padding included.
    original_parameters : stored numbers before.
    error : relative output error, in the metric of the decision's data, of the cores as stored.
    shares : the layer with which it shares them, where it stores none of its own.
    """

    layer: str
    structure: str
    parameters: int
    original_parameters: int
    error: float
    shares: str | None = None
