"""The plan: what will be done to each layer and why, as data that prints and serialises."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True)
class Latency:
    """Median milliseconds in onnxruntime at ``rows`` rows, measured in alternation."""

    rows: int
    dense_ms: float
    ours_ms: float

    @property
    def ratio(self) -> float:
        """Ours over dense; above 1 is slower."""
        return self.ours_ms / self.dense_ms


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
    reason: str


@dataclass(frozen=True)
class Estimate:
    """What the compile will take: seconds from the planner's own fits, bytes from the sizes it met."""

    seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class Plan:
    """All decisions of a compile."""

    model: str
    spec: str
    optimize: str
    binds: Mapping[str, int]
    layers: tuple[LayerPlan, ...]
    unclaimed: int
    model_parameters: int
    model_bytes: int
    notes: tuple[str, ...]
    estimate: Estimate

    @property
    def parameters(self) -> int:
        """Parameters of the whole model after the rewrites."""
        return self.model_parameters - sum(entry.original_parameters - entry.parameters for entry in self.layers)

    @property
    def bytes(self) -> int:
        """Bytes of the whole model's weights after the rewrites."""
        return self.model_bytes - sum(entry.original_bytes - entry.bytes for entry in self.layers)

    def to_json(self) -> dict[str, Any]:
        """Plain data for plan.json."""
        data = asdict(self)
        return {"format": FORMAT, **data, "parameters": self.parameters, "bytes": self.bytes}
