"""What a structure hands over and may not, found where it does so: later it would look like a fault of qtnc."""

from typing import Any

from qtnc.structures.structure import Part, Proposal
from qtnc.tensor.network import TensorNetwork


def breach(proposal: Any, shape: tuple[int, int]) -> tuple[str, str] | None:
    """The member that is wrong, and how, for what ``propose`` returned of a weight (M, N); None where nothing is."""
    if not isinstance(proposal, Proposal):
        return "propose", f"returns a {type(proposal).__name__}, and is to return a Proposal"
    parts = proposal.structure.parts(shape)
    if not isinstance(parts, tuple) or not parts or not all(isinstance(part, Part) for part in parts):
        return "parts", "returns no tuple of one Part or more"
    lonely = next((wrong for part in parts if (wrong := _lonely(part.product)) is not None), None)
    return None if lonely is None else ("parts", lonely)


def _lonely(product: Any) -> str | None:
    """An index that no second tensor has: no node of ONNX or torch that is made of a network sums it."""
    if not isinstance(product, TensorNetwork):
        return None
    places = [index for indices in (*product.inputs, product.output) for index in {*indices}]
    lonely = next((index for index in places if places.count(index) == 1), None)
    if lonely is None:
        return None
    return f"has an index `{lonely}` that is in one tensor of `{product.equation}` alone, where nothing sums it"
