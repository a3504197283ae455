"""Alternating least squares: polish the cores of an operator one by one, in the metric of the data.

The error ``tr((W - W')^T C (W - W'))`` is quadratic in each core. Its normal equations need C itself, never an
inverse of its root. Small systems are solved by Cholesky, large ones by conjugate gradients that start from the
present core; both only ever lower the error of the regularised and padded problem. The error that counts knows neither
ridge nor padding and may rise a little on the way, so the best sweep is kept. (ALS for tensor trains: Holtz, Rohwedder
and Schneider, SIAM J. Sci. Comput. 34 (2012) A683; the data metric enters as a quadratic form on the input modes.)
"""

from math import prod

import numpy as np
import opt_einsum
import scipy.linalg
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, cg

from qtnc.tensor.metric import Matrix, norm, regularise
from qtnc.tensor.mpo import Core, Cores, dense
from qtnc.tensor.sites import Sites, features

DIRECT_LIMIT = 1500
"""Largest normal matrix that is built and factorised."""

CG_STEPS = 12
"""Steps of one solve; sweeps come back to every core, so a solve need not be finished."""


def polish(weight: Matrix, cores: Cores, covariance: Matrix | None, sweeps: int = 6) -> Cores:
    """Sweep the cores of an operator for a weight (M, N) towards the least error.

    The result is the best of the start and all sweeps: more sweeps are never worse, nor is any worse than the start.

    Parameters
    ----------
    weight : (M, N), M and N at most the products of the cores' modes.
    cores : (r_{k-1}, m_k, n_k, r_k) each; the start, by TT-SVD where there are two sites and no covariance.
    covariance : (M, M) or None for the plain Frobenius error.
    sweeps : passes over all cores, there and back alternately.
    """
    if len(cores) == 1 or (len(cores) == 2 and covariance is None):
        return cores  # nothing to choose, or an SVD, which is best already
    problem = _Problem(weight, tuple((c.shape[1], c.shape[2]) for c in cores), covariance)
    shape = (weight.shape[0], weight.shape[1])
    found, best = list(cores), cores
    least = norm(weight - dense(cores, shape), covariance)
    order = list(range(len(cores)))
    for sweep in range(sweeps):
        for k in order if sweep % 2 == 0 else order[::-1]:
            _orthogonalise(found, k)
            found[k] = problem.solve(found, k)
        error = norm(weight - dense(tuple(found), shape), covariance)
        if error < least:
            best, least = tuple(found), error
    return best


def _orthogonalise(cores: list[Core], centre: int) -> None:
    """Make the cores left and right of ``centre`` isometries: the matrix stays, the systems become well posed."""
    for k in range(centre):
        left, m, n, right = cores[k].shape
        q, r = np.linalg.qr(cores[k].reshape(left * m * n, right))
        cores[k] = q.reshape(left, m, n, -1)
        cores[k + 1] = np.tensordot(r, cores[k + 1], 1)
    for k in range(len(cores) - 1, centre, -1):
        left, m, n, right = cores[k].shape
        q, r = np.linalg.qr(cores[k].reshape(left, m * n * right).T)
        cores[k] = q.T.reshape(-1, m, n, right)
        cores[k - 1] = np.tensordot(cores[k - 1], r.T, 1)


class _Problem:
    """The quadratic form of one weight: padded weight, padded covariance, and their product."""

    def __init__(self, weight: Matrix, sites: Sites, covariance: Matrix | None) -> None:
        rows, columns = features(sites)
        self.sites = sites
        self.weighted = covariance is not None
        padded = np.zeros((rows, columns))
        padded[: weight.shape[0], : weight.shape[1]] = weight
        if covariance is None:
            self.target, self.covariance = padded, np.zeros((0, 0))
        else:
            # Padded rows of x are always zero; the ridge keeps their cores from drifting.
            size = len(covariance)
            full = regularise(covariance)
            grown = np.eye(rows) * full[0, 0] * 1e-6 if rows > size else np.zeros((rows, rows))
            grown[:size, :size] = full
            self.covariance, self.target = grown, grown @ padded

    def solve(self, cores: list[Core], k: int) -> Core:
        """Best core k for the other cores as they are."""
        left, right = _environments(cores, k)
        right_side = self._project(self.target, left, right)
        if not self.weighted:
            # The environments are isometries, so the normal matrix is the identity.
            return right_side
        a, p, n, b = right_side.shape
        size = a * p * b
        columns = right_side.transpose(0, 1, 3, 2).reshape(size, n)
        if size <= DIRECT_LIMIT:
            solution = _cholesky_solve(self._normal_matrix(left, right, size), columns)
        else:
            solution = self._descend(cores[k], right_side, left, right)
        return np.ascontiguousarray(solution.reshape(a, p, b, n).transpose(0, 1, 3, 2))

    def _project(self, matrix: Matrix, left: Core, right: Core) -> Core:
        """Contract a matrix (M, N) with both environments: (a, m_k, n_k, b)."""
        (x, u, _), (_, y, v) = left.shape, right.shape
        p, q = matrix.shape[0] // (x * y), matrix.shape[1] // (u * v)
        split = matrix.reshape(x, p, y, u, q, v)
        return np.asarray(opt_einsum.contract("xpyuqv,xua,byv->apqb", split, left, right))

    def _normal_matrix(self, left: Core, right: Core, size: int) -> Matrix:
        """Build ``(a, m_k, b), (a', m_k', b')``; the output mode does not mix."""
        x, y = left.shape[0], right.shape[1]
        p = self.covariance.shape[0] // (x * y)
        form = self.covariance.reshape(x, p, y, x, p, y)
        normal = opt_einsum.contract("xpyXPY,xua,XuA,byv,BYv->apbAPB", form, left, left, right, right)
        return np.asarray(normal).reshape(size, size)

    def _descend(self, core: Core, right_side: Core, left: Core, right: Core) -> Matrix:
        """Lower the error by conjugate gradients from the present core: (a, m_k, b) by n_k."""
        shape = right_side.shape

        def apply(flat: NDArray[np.float64]) -> NDArray[np.float64]:
            a_core = flat.reshape(shape)
            spread = opt_einsum.contract("xua,apqb,byv->xpyuqv", left, a_core, right)
            rows = prod(np.shape(spread)[:3])
            return self._project(self.covariance @ np.asarray(spread).reshape(rows, -1), left, right).ravel()

        operator = LinearOperator((core.size, core.size), matvec=apply, dtype=np.float64)
        solution, _ = cg(operator, right_side.ravel(), x0=core.ravel(), rtol=1e-8, maxiter=CG_STEPS)
        return np.asarray(solution).reshape(shape).transpose(0, 1, 3, 2).reshape(-1, shape[2])


def _environments(cores: list[Core], k: int) -> tuple[Core, Core]:
    """Everything left of core k as (rows, columns, bond), everything right of it as (bond, rows, columns)."""
    left = np.ones((1, 1, 1))
    for core in cores[:k]:
        joined = np.tensordot(left, core, 1)
        x, u, m, n, b = joined.shape
        left = joined.transpose(0, 2, 1, 3, 4).reshape(x * m, u * n, b)
    right = np.ones((1, 1, 1))
    for core in cores[:k:-1]:
        joined = np.tensordot(core, right, 1)
        b, m, n, y, v = joined.shape
        right = joined.transpose(0, 1, 3, 2, 4).reshape(b, m * y, n * v)
    return left, right


def _cholesky_solve(normal: Matrix, columns: Matrix) -> Matrix:
    """Solve a positive semidefinite system; a relative ridge of 1e-12 stands in where it is singular.

    The normal matrix is overwritten: symmetric, its transpose is what LAPACK takes without a copy.
    """
    normal.flat[:: len(normal) + 1] += 1e-12 * float(np.trace(normal)) / len(normal)
    factor = scipy.linalg.cho_factor(normal.T, lower=True, overwrite_a=True, check_finite=False)
    return np.asarray(scipy.linalg.cho_solve(factor, columns, check_finite=False))
