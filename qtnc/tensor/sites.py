"""How a matrix is cut into sites: mode sizes, padding, and the shapes worth comparing."""

from functools import cache
from itertools import pairwise
from math import log, log2, prod

Sites = tuple[tuple[int, int], ...]
"""Input and output mode of each site: ``((m_1, n_1), ..., (m_K, n_K))``."""


def features(sites: Sites) -> tuple[int, int]:
    """Rows and columns of the matrix that the sites span, padding included."""
    return prod(m for m, _ in sites), prod(n for _, n in sites)


def full_bonds(sites: Sites) -> tuple[int, ...]:
    """Bonds at which the operator can hold any matrix: the lesser side of every cut."""
    sizes = [m * n for m, n in sites]
    return tuple(min(prod(sizes[:k]), prod(sizes[k:])) for k in range(1, len(sizes)))


def clip_bonds(sites: Sites, bonds: tuple[int, ...]) -> tuple[int, ...]:
    """Cut bonds that no operator can fill, by the full bond and by the neighbours' reach."""
    clipped = [min(a, b) for a, b in zip(bonds, full_bonds(sites), strict=True)]
    for k, (m, n) in enumerate(sites[:-1]):
        clipped[k] = min(clipped[k], (clipped[k - 1] if k else 1) * m * n)
    for k in range(len(clipped) - 1, -1, -1):
        m, n = sites[k + 1]
        clipped[k] = min(clipped[k], (clipped[k + 1] if k + 1 < len(clipped) else 1) * m * n)
    return tuple(clipped)


def parameters(sites: Sites, bonds: tuple[int, ...]) -> int:
    """Elements of all cores."""
    ends = (1, *bonds, 1)
    return sum(a * m * n * b for (m, n), (a, b) in zip(sites, pairwise(ends), strict=True))


def uniform_bonds(sites: Sites, bond: int) -> tuple[int, ...]:
    """The same bond everywhere, clipped to what can be filled."""
    return clip_bonds(sites, (bond,) * (len(sites) - 1))


def largest_bond(sites: Sites, budget: int) -> int:
    """Largest uniform bond whose cores hold at most ``budget`` elements; 0 when not even bond 1 fits."""
    low, high = 0, max(full_bonds(sites), default=1)
    while low < high:
        middle = (low + high + 1) // 2
        if parameters(sites, uniform_bonds(sites, middle)) <= budget:
            low = middle
        else:
            high = middle - 1
    return low


def balanced(rows: int, columns: int, count: int) -> Sites:
    """``count`` sites of nearly equal size; rows fall where columns rise, so that ``m_k n_k`` stays even."""
    return tuple(zip(modes(rows, count), reversed(modes(columns, count)), strict=True))


def modes(size: int, count: int) -> tuple[int, ...]:
    """``count`` mode sizes, falling, whose product is ``size`` or a little more.

    An exact factorisation is taken when its largest mode is at most twice its smallest. Otherwise (primes, above
    all) sizes up to a quarter larger are weighed: one per cent of padding costs as much as four of imbalance.
    """
    exact = _most_even(size, count)
    if exact[0] <= 2 * exact[-1]:
        return exact
    return min(
        (_most_even(padded, count) for padded in range(size, size + size // 4 + 2)),
        key=lambda m: (4 * log(prod(m) / size) + log(m[0] / m[-1]), prod(m)),
    )


@cache
def _most_even(size: int, count: int) -> tuple[int, ...]:
    """Factorisation of ``size`` into ``count`` falling factors with the least ratio of ends."""
    if count == 1:
        return (size,)
    candidates = []
    for factor in _divisors(size):
        # The first factor is the largest, so it is at least the geometric mean.
        if factor**count >= size:
            rest = _most_even(size // factor, count - 1)
            candidates.append(tuple(sorted((factor, *rest), reverse=True)))
    return min(candidates, key=lambda m: (m[0] / m[-1], m))


@cache
def _divisors(size: int) -> tuple[int, ...]:
    small = [d for d in range(1, int(size**0.5) + 1) if size % d == 0]
    return tuple(sorted({*small, *(size // d for d in small)}))


def matrix_sites(rows: int, columns: int) -> Sites:
    """The two sites (M, 1), (1, N): an operator of this shape *is* a low-rank product."""
    return ((rows, 1), (1, columns))


def is_matrix(sites: Sites) -> bool:
    """Whether the shape is that of a low-rank product."""
    return len(sites) == 2 and sites[0][1] == 1 and sites[1][0] == 1


def candidates(rows: int, columns: int) -> tuple[Sites, ...]:
    """Shapes worth comparing: low rank, two sites from even to lopsided, three, four and about log2 sites."""
    found = [matrix_sites(rows, columns)]
    for share in (2, 3, 4):
        for m, n in ((rows, columns // share), (rows // share, columns)):
            if m and n and rows % m == 0 and columns % n == 0:
                found.append(((m, n), (rows // m, columns // n)))
    longest = int(log2(max(2, min(rows, columns))))
    for count in sorted({2, 3, 4, longest}):
        if 2 <= count <= longest or count == 2:
            found.append(balanced(rows, columns, count))
    return tuple(dict.fromkeys(found))
