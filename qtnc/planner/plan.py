"""The plan: what will be done to each layer and why, as data that prints and serialises."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import inf, isfinite
from typing import Any

FORMAT = 1
"""Version of plan.json."""


@dataclass(frozen=True)
class Baselines:
    """Relative output errors of what one would do instead, in the same metric and, for SVD, at the same bytes."""

    svd: float
    whitened_svd: float | None
    int8: float
    int4: float


MARGIN = 0.1
"""Relative difference of measured times below which it is noise in any case."""


@dataclass(frozen=True)
class Latency:
    """Median milliseconds of the dense product and of ours, called in alternation in one runtime.

    Attributes
    ----------
    rows : of x, in one call.
    dtype : in which both were measured.
    noise : how far the ratio may be off, half a 95 % interval; None where the clock was too coarse to tell.
    expected : the ratio by the cost model, which is one of onnxruntime; None elsewhere.
    """

    rows: int
    dense_ms: float
    ours_ms: float
    runtime: str = "onnxruntime"
    threads: int = 1
    dtype: str = "float32"
    noise: float | None = 0.0
    expected: float | None = None

    @property
    def ratio(self) -> float:
        """Ours over dense; above 1 is slower."""
        return self.ours_ms / self.dense_ms if self.dense_ms else 1.0

    @property
    def slower(self) -> bool:
        """Whether ours is slower, beyond noise."""
        return self.ratio > 1.0 + self._margin

    @property
    def faster(self) -> bool:
        """Whether ours is faster, beyond noise."""
        return self.ratio < 1.0 - self._margin

    @property
    def _margin(self) -> float:
        return max(MARGIN, self.noise) if self.noise is not None and self.dense_ms else inf


@dataclass(frozen=True)
class CircuitCost:
    """What the circuits of a layer cost, input and output in turn, on a device that connects all qubits.

    Attributes
    ----------
    qubits : of each stage, the ancilla of its read-out among them.
    cx : of the circuits alone; ``preparation_cx`` of encoding a vector, an estimate, and far more.
    shots_for_error : shots of a row, both stages together, that leave ``error``, without noise.
    error_at_shots : relative error that ``shots`` leave.
    """

    qubits: tuple[int, int]
    gates: tuple[int, int]
    depth: tuple[int, int]
    angles: int
    cx: tuple[int, int]
    preparation_cx: tuple[int, int]
    error: float
    shots_for_error: int
    shots: int
    error_at_shots: float


@dataclass(frozen=True)
class LayerPlan:
    """One claimed layer.

    Attributes
    ----------
    rule : place of the rewrite statement that won; ``overruled`` those that lost.
    structure : the structure's word, or ``dense`` where the layer stays as it is.
    settled : sites and bonds, or the rank.
    metric : name of the data that weighs the error, or ``weights`` for the plain Frobenius error.
    predicted_error : relative output error that the fit will not exceed.
    flops, dense_flops : at ``rows`` rows, 2 per multiply-add.
    latency : by which it is kept or refused: at ``rows`` rows, in the runtime of the emitted forms where it does worst.
    times : in every runtime and at other rows too.
    shares : an earlier layer of the same weight, whose numbers this one takes; they count once in the totals.
    """

    layer: str
    op: str
    shape: tuple[int, ...]
    rule: str
    overruled: tuple[str, ...]
    structure: str
    settled: Mapping[str, Any]
    metric: str
    predicted_error: float
    parameters: int
    original_parameters: int
    bytes: int
    original_bytes: int
    rows: int
    flops: int
    dense_flops: int
    latency: Latency | None
    baselines: Baselines | None
    circuits: CircuitCost | None
    reason: str
    shares: str | None = None
    times: tuple[Latency, ...] = ()

    @property
    def share(self) -> float:
        """Parameters now over parameters before."""
        return _share(self.parameters, self.original_parameters)

    @property
    def flops_share(self) -> float:
        """Flops over those of the dense product."""
        return _share(self.flops, self.dense_flops)


@dataclass(frozen=True)
class Ignored:
    """A layer that no rewrite may claim, and the place of the statement that says so."""

    layer: str
    rule: str


@dataclass(frozen=True)
class RuleDone:
    """A rule of the spec: how often it was applied, and of one that never was where it came nearest, and why not."""

    rule: str
    place: str | None
    times: int
    nearest: str | None = None


@dataclass(frozen=True)
class Estimate:
    """What the compile will take: seconds from the planner's own fits, bytes from the sizes it met."""

    seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class Plan:
    """All decisions of a compile.

    Attributes
    ----------
    unclaimed : layers that no rewrite names; those in ``ignored`` are not counted.
    settings : what the command line settled instead of the spec; ``optimize`` and ``binds`` are those in effect.
    rules : of the spec, that were applied before anything was planned.
    inputs : hashes of the files that the model and the data come from, by their names.
    model_parameters, model_bytes : weights of the whole model before; ``parameters`` and ``bytes`` after. A weight that
        something else still reads stays beside what a layer becomes.
    """

    model: str
    spec: str
    stage: str | None
    optimize: str
    binds: Mapping[str, int]
    layers: tuple[LayerPlan, ...]
    unclaimed: int
    model_parameters: int
    model_bytes: int
    parameters: int
    bytes: int
    notes: tuple[str, ...]
    estimate: Estimate
    ignored: tuple[Ignored, ...] = ()
    settings: Mapping[str, int | str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[RuleDone, ...] = ()

    @property
    def share(self) -> float:
        """Parameters after over parameters before."""
        return _share(self.parameters, self.model_parameters)

    def to_json(self) -> dict[str, Any]:
        """Plain data for plan.json."""
        return {"format": FORMAT, **finite(asdict(self))}


def finite(data: Any) -> Any:
    """Data that JSON can hold: it has no infinity, so a number without bound is null."""
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not isfinite(data) else data


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
