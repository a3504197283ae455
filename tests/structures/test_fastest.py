"""Where speed counts, the shape of fewest seconds within the error is taken, else the smallest."""

import numpy as np
import pytest
from numpy.typing import NDArray

from qtnc.structures.cost import choose_order, seconds_of
from qtnc.structures.mpo import Mpo
from qtnc.structures.structure import Problem, Proposal

ROWS = 256


def planted(seed: int) -> NDArray[np.float64]:
    """A few Kronecker products of 8x8 matrices and noise: an operator holds it in less than an SVD does."""
    rng = np.random.default_rng(seed)
    whole = sum(np.kron(rng.standard_normal((8, 8)), rng.standard_normal((8, 8))) for _ in range(4))
    noise = rng.standard_normal((64, 64))
    return np.asarray(whole / np.linalg.norm(whole) + 0.2 * noise / np.linalg.norm(noise))


def seconds(proposal: Proposal, rows: int = ROWS) -> float:
    (part,) = proposal.structure.parts((64, 64))
    return seconds_of([(part.product, choose_order(part.product, rows))], rows)


def parameters(proposal: Proposal) -> int:
    (part,) = proposal.structure.parts((64, 64))
    return part.product.parameters


@pytest.mark.parametrize("error", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_the_fastest_within_the_error(error: float, seed: int) -> None:
    weight, asked = planted(seed), Mpo(sites="auto", error=error)
    smallest, fastest = asked.propose(Problem(weight)), asked.propose(Problem(weight, rows=ROWS))
    low_rank = Mpo(sites=((64, 1), (1, 64)), error=error).propose(Problem(weight))
    assert max(smallest.predicted_error, fastest.predicted_error) <= error
    assert parameters(smallest) <= parameters(fastest)
    assert seconds(fastest) == min(seconds(smallest), seconds(low_rank))
    assert smallest.reason.startswith("fewest bytes of ")
    assert fastest.reason.startswith("fastest by the cost model, ")


def test_they_are_not_the_same_everywhere() -> None:
    """A planted operator is smaller and slower than low rank here."""
    asked = Mpo(sites="auto", error=0.7)
    smallest, fastest = (asked.propose(Problem(planted(0), rows=rows)) for rows in (None, ROWS))
    assert smallest.structure.settled() != fastest.structure.settled()
    assert seconds(fastest) < seconds(smallest)


@pytest.mark.parametrize(
    "asked", [Mpo(sites="auto", bytes=0.3), Mpo(sites="auto", max_bond=4), Mpo(sites=2, error=0.5)]
)
def test_speed_changes_nothing_where_bytes_or_sites_are_given(asked: Mpo) -> None:
    plain, fast = asked.propose(Problem(planted(1))), asked.propose(Problem(planted(1), rows=ROWS))
    assert (plain.structure, plain.predicted_error, plain.reason) == (fast.structure, fast.predicted_error, fast.reason)
