"""What every structure promises, tried on weights of given shapes; docs/structures.md has the list."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import pairwise
from math import isfinite, prod
from typing import Any, Final

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from qtnc.quantum import circuit as circuits
from qtnc.quantum.circuit import Circuit
from qtnc.structures.breach import breach
from qtnc.structures.plugins import structure_fault
from qtnc.structures.structure import (
    Arrays,
    MisfitError,
    Part,
    Problem,
    Proposal,
    Stack,
    Structure,
    parameters_of,
    told_apart,
)
from qtnc.tensor.network import TensorNetwork
from qtnc.testing.backends import check_backends
from qtnc.work.digest import digest

SHAPES: Final = ((16, 24), (24, 16), (16, 16))
SLACK: Final = 1e-6
"""Rounding of errors, and of matrices that are computed in two ways, relative to them."""

GARBAGE: Final[tuple[Any, ...]] = (None, -1, 0, 10**9, "x", [], 1.5)
"""What a plan that was changed by hand may say of an option."""


def check_structure(
    structure: Structure, shapes: Sequence[tuple[int, int]] = SHAPES, *, seed: int = 0, backends: bool = True
) -> None:
    """Fail unless a structure keeps what it promises for random weights of some shapes, plain and weighed by data.

    Parameters
    ----------
    structure : with its options, as a spec would have it: ``BlockDiagonal(blocks=4)``.
    shapes : (M, N) of the weights. What does not fit one may raise a MisfitError; one of them must fit.
    seed : of weights and data.
    backends : whether its ONNX and torch code are run too.

    Raises
    ------
    AssertionError
        Naming the member, the shape and what it does instead.
    """
    kind = type(structure)
    _check_class(kind, structure)
    fitting = 0
    for shape in shapes:
        for word, problem in _problems(shape, seed):
            try:
                proposal = structure.propose(problem)
            except MisfitError:
                continue
            fitting += 1
            if (wrong := breach(proposal, problem.shape)) is not None:
                member, said = wrong
                _must(False, member, f"at {shape[0]}x{shape[1]}, {word}", said)
            _Trial(structure, problem, f"at {shape[0]}x{shape[1]}, {word}").all(proposal)
        if getattr(kind, "stacks", False):
            _check_stack(structure, shape, seed)
    _must(fitting > 0, "propose", "", "fits none of the shapes")
    if backends:
        check_backends(structure, shapes, seed)


def _must(holds: bool, member: str, where: str, said: str) -> None:
    """Fail, naming the member that breaks its promise."""
    if not holds:
        raise AssertionError(f"`{member}`{f' {where}' if where else ''}: {said}")


def _check_class(kind: type[Any], structure: Structure) -> None:
    fault = structure_fault(kind)
    _must(fault is None, kind.__name__, "", str(fault))
    _must(kind.__dataclass_params__.frozen, kind.__name__, "", "is no frozen dataclass")
    _must(isinstance(kind.name, str) and kind.name.isidentifier(), "name", "", "is no word of letters, digits and _")
    said = structure.check()
    _must(said is None, "check", "", f"refuses these options: {said}")
    _must(isinstance(structure.leaves_choice, bool), "leaves_choice", "", "is neither True nor False")
    try:
        digest(structure)
    except TypeError as error:
        raise AssertionError(f"`{kind.__name__}`: fits cannot be kept: {error}") from error
    again = cloudpickle.loads(cloudpickle.dumps(structure))  # what a worker is sent, by us to ourselves
    _must(_same(again, structure), kind.__name__, "", "is another after it was sent to a worker")


def _problems(shape: tuple[int, int], seed: int) -> Iterator[tuple[str, Problem]]:
    rng = np.random.default_rng([seed, *shape])
    weight = rng.standard_normal(shape)
    x = rng.standard_normal((4 * shape[0], shape[0])) * 10.0 ** rng.uniform(-1, 1, shape[0])
    few = rng.standard_normal((max(1, shape[0] // 3), shape[0]))
    yield "without data", Problem(weight)
    yield "with data", Problem(weight, x.T @ x / len(x))
    yield "with few rows of data", Problem(weight, few.T @ few / len(few))
    yield "a weight of rank 1", Problem(np.outer(weight[:, 0], weight[0]))


class _Trial:
    """One problem, and what a structure makes of it."""

    def __init__(self, asked: Structure, problem: Problem, where: str) -> None:
        self.asked, self.problem, self.where = asked, problem, where

    def must(self, holds: bool, member: str, said: str) -> None:
        """Fail, naming member and place."""
        _must(holds, member, self.where, said)

    def all(self, proposal: Proposal) -> None:
        """Try every member."""
        self.must(isinstance(proposal, Proposal), "propose", "returns no Proposal")
        proposed, predicted = proposal.structure, proposal.predicted_error
        self.must(isfinite(predicted) and predicted >= 0, "propose", f"predicts an error of {predicted}")
        self.must(isinstance(proposal.reason, str) and bool(proposal.reason), "propose", "gives no reason")
        again = self.asked.propose(self.problem)
        same = _same(again.structure, proposed) and again.predicted_error == predicted
        self.must(same, "propose", "says something else when it is asked again")
        settled = self.settle(proposed)
        parts, cores = self.parts(settled), self.cores(settled)
        self.counts(parts, cores)
        self.dense(settled, parts, cores, predicted)
        self.project(settled)

    def parts(self, settled: Structure) -> tuple[Part, ...]:
        """Factors, the first of which takes M features, the last gives N."""
        parts = settled.parts(self.problem.shape)
        self.must(bool(parts) and all(isinstance(part, Part) for part in parts), "parts", "returns no tuple of Parts")
        roles = [part.role for part in parts]
        self.must(told_apart(parts), "parts", f"has the roles {roles}: each once, one of them ''")
        ends = [part.product.features for part in parts]
        chained = all(a[1] == b[0] for a, b in pairwise(ends))
        whole = (ends[0][0], ends[-1][1]) == self.problem.shape and chained
        self.must(whole, "parts", f"has the features {ends}, which do not lead from M to N")
        return parts

    def cores(self, settled: Structure) -> Arrays:
        """Arrays in float64, the same each time."""
        cores = settled.fit(self.problem)
        good = all(isinstance(c, np.ndarray) and c.dtype == np.float64 and np.isfinite(c).all() for c in cores)
        self.must(good, "fit", "returns what are no finite arrays of float64")
        again = settled.fit(self.problem)
        self.must(_equal(cores, again), "fit", "returns other cores when it is asked again")
        return cores

    def counts(self, parts: tuple[Part, ...], cores: Arrays) -> None:
        """Shapes of the cores are those of the parts, and so are the stored numbers."""
        wanted = [shape for part in parts for shape in part.product.core_shapes]
        shapes = [core.shape for core in cores]
        same = len(wanted) == len(shapes) and all(prod(a) == prod(b) for a, b in zip(wanted, shapes, strict=True))
        self.must(same, "fit", f"returns cores of shapes {shapes}, the parts have {wanted}")
        stored = sum(core.size for core in cores)
        self.must(
            parameters_of(parts) == stored, "parts", f"counts {parameters_of(parts)} numbers, {stored} are stored"
        )

    def dense(self, settled: Structure, parts: tuple[Part, ...], cores: Arrays, predicted: float) -> None:
        """The matrix is what the networks multiply to, and no further from the weight than was said."""
        matrix = settled.dense(cores, self.problem.shape)
        self.must(matrix.shape == self.problem.shape, "dense", f"is a matrix of {matrix.shape}")
        far = _distance(matrix, _product(parts, cores))
        self.must(far <= SLACK, "dense", f"is {far:.2g} from what the parts multiply to")
        error = self.problem.error(matrix)
        said = f"predicts an error of {predicted:.6g}, and that of what `fit` returns is {error:.6g}"
        self.must(error <= predicted * (1 + SLACK) + SLACK, "propose", said)

    def project(self, settled: Structure) -> None:
        """A matrix of the same shape and dtype that is nearer than zero is."""
        for dtype in (np.float64, np.float32):
            weight = self.problem.weight.astype(dtype)
            found = settled.project(weight)
            alike = found.shape == weight.shape and found.dtype == weight.dtype and bool(np.isfinite(found).all())
            self.must(alike, "project", f"of {weight.dtype} {weight.shape} is {found.dtype} {found.shape}")
            self.must(_distance(weight, found) <= 1 + 1e-3, "project", "is further from the weight than nothing is")

    def settle(self, proposed: Structure) -> Structure:
        """What a plan says of it is enough to have it again; what it cannot say is refused."""
        said, shape = proposed.settled(), self.problem.shape
        try:
            read = json.loads(json.dumps(said, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise AssertionError(f"`settled` {self.where}: is not what JSON holds: {error}") from error
        settled = self.asked.settle(read, shape, proposed.kept())
        named = f"is called `{settled.name}`, and `{self.asked.name}` was asked"
        self.must(settled.name == self.asked.name, "settle", named)
        for word, kept in (("`kept()`", proposed.kept()), ("the problem", self.problem)):
            again = self.asked.settle(read, shape, kept)
            same = again.settled() == said and again.parts(shape) == proposed.parts(shape)
            same = same and _equal(again.fit(self.problem), proposed.fit(self.problem))
            self.must(same, "settle", f"with {word} is another than was proposed, or fits otherwise")
        for broken in _broken(read):
            try:
                self.asked.settle(broken, shape, proposed.kept()).parts(shape)
            except MisfitError:
                continue
            except Exception as error:
                said_of = f"of {broken} raises {type(error).__name__}: {error}; it is to be a MisfitError"
                raise AssertionError(f"`settle` {self.where}: {said_of}") from error
        return settled


def _check_stack(structure: Structure, shape: tuple[int, int], seed: int) -> None:
    weights = np.random.default_rng([seed, *shape, 1]).standard_normal((3, *shape))
    where = f"at a stack of 3 {shape[0]}x{shape[1]}"
    try:
        found, single = structure.propose(Stack(weights)), structure.propose(Stack(weights[:1]))
        alone = structure.propose(Problem(weights[0]))
    except MisfitError:
        return
    error = Stack(weights).error_of(lambda one: found.structure.dense(found.structure.fit(one), one.shape))
    said = f"predicts an error of {found.predicted_error:.6g}, and that of the fits is {error:.6g}"
    _must(error <= found.predicted_error * (1 + SLACK) + SLACK, "propose", where, said)
    _must(single.structure == alone.structure, "propose", where, "takes a stack of one for another than a matrix")


def _product(parts: Sequence[Part], cores: Arrays) -> NDArray[np.float64]:
    """What the parts multiply to, by einsum, from their definitions alone."""
    left = iter(cores)
    matrix: NDArray[np.float64] | None = None
    for part in parts:
        product = part.product
        given = [np.reshape(next(left), shape) for shape in product.core_shapes]
        found = circuits.matrix(product, given[0]) if isinstance(product, Circuit) else _contracted(product, given)
        matrix = found if matrix is None else matrix @ found
    return np.asarray(matrix)


def _contracted(network: TensorNetwork, cores: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    inputs, letters = network.inputs, {name: place for place, name in enumerate(network.size_dict)}
    modes = network.sizes(inputs[0])
    x = np.zeros((network.features[0], prod(modes)))
    x[:, : network.features[0]] = np.eye(network.features[0])
    rows = len(letters)
    operands: list[Any] = [x.reshape(-1, *modes), [rows, *(letters[i] for i in inputs[0])]]
    for core, indices in zip(cores, inputs[1:], strict=True):
        operands += [core, [letters[i] for i in indices]]
    y = np.einsum(*operands, [rows, *(letters[i] for i in network.output)], optimize=True)
    return np.asarray(y.reshape(len(x), -1)[:, : network.features[1]])


def _broken(said: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a plan may say instead: nothing, or one option as it cannot be."""
    yield {}
    for name in said:
        yield {other: value for other, value in said.items() if other != name}
        for value in GARBAGE:
            yield {**said, name: value}


def _distance(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.linalg.norm(a - b) / (np.linalg.norm(a) or 1.0))


def _equal(a: Arrays, b: Arrays) -> bool:
    return len(a) == len(b) and all(map(np.array_equal, a, b))


def _same(a: Any, b: Any) -> bool:
    """Whether two structures are one, arrays in them to the bit."""
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if is_dataclass(a) and not isinstance(a, type):
        return type(a) is type(b) and all(_same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)
