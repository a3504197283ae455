"""Einsum as a product with constant matrices: ``td,edf->tef`` is a product with the e-th of a stack for each e."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from qtnc.ir.equations import plain_equation
from qtnc.ir.form import Axes, Form, WeightForm


def equation_of(node: ir.Node) -> str | None:
    """Equation of an Einsum without blanks, or None where it is none."""
    return plain_equation(node.attributes["equation"].as_string()) if "equation" in node.attributes else None


@dataclass(frozen=True)
class _Product:
    """An equation as a product: letters of x, of the weight and of y; summed ones, and what the weight adds to y."""

    x: str
    weight: str
    y: str
    summed: str
    added: str

    @property
    def stack(self) -> str:
        """Letters that count matrices, those of x as well as those that x is broadcast along."""
        return "".join(letter for letter in self.weight if letter not in self.summed + self.added)


def einsum_weight(node: ir.Node, position: int, rank: int) -> WeightForm | str:
    """How the weight of an Einsum lies, ``rank`` counting its axes, or why the Einsum is no product."""
    found = _read(node, position, rank)
    if isinstance(found, str):
        return found
    axes = tuple(found.weight.index(letter) for letter in found.stack + found.summed + found.added)
    return WeightForm(axes, len(found.summed), len(found.added))


def einsum_form(node: ir.Node, position: int, weight: WeightForm, shape: Sequence[int], rank: int) -> Form | str:
    """The form of an Einsum that is a product; ``shape`` is that of the weight, ``rank`` counts the axes of x."""
    found = _read(node, position, len(shape), rank)
    if isinstance(found, str):
        return found
    stack = found.stack if weight.stack(shape) else ""
    free = [letter for letter in found.x if letter in found.y and letter not in stack]
    if not stack:  # one matrix meets every row alike
        x = [*free, *found.summed]
        return Form(_places(x, found.x), _places(found.y, [*free, *found.added]), weight)
    *outer, row = free or [""]
    x = [*outer, *stack, row, *found.summed]
    made = [*outer, *stack, row, *found.added]
    axes = _places(x, found.x)
    while axes[0] is None and len(axes) > 1 + weight.joined:  # broadcast by the product itself
        axes = axes[1:]
    return Form(axes, _places(found.y, made), weight)


def _places(wanted: Sequence[str], among: Sequence[str]) -> Axes:
    """Where letters stand; None for those that do not."""
    where = {letter: place for place, letter in enumerate(among)}
    return tuple(where.get(letter) for letter in wanted)


def _read(node: ir.Node, position: int, rank: int, x_rank: int | None = None) -> _Product | str:
    """Sort the letters of an equation; without the rank of x, an ellipsis of x is left out."""
    equation = equation_of(node)
    if equation is None:
        return "its equation is not one of letters"
    left, arrow, y = equation.partition("->")
    terms = left.split(",")
    if len(terms) != 2 or len(node.inputs) != 2:
        return f"it has {len(terms)} operands; a product has 2"
    x, weight = terms[1 - position], terms[position].replace("...", "")
    if not arrow:
        letters = sorted(letter for letter in set(x + weight) - {"."} if (x + weight).count(letter) == 1)
        y = "..." * ("." in x) + "".join(letters)
    hidden = 0 if x_rank is None else x_rank - len(x.replace("...", ""))
    if len(weight) != rank or hidden < 0 or (hidden and "." not in x):
        return f"`{equation}` does not name each axis of its operands once"
    unnamed = "".join(chr(0x100 + k) for k in range(hidden))
    x, y = x.replace("...", unnamed), y.replace("...", unnamed)
    if any(len(set(term)) != len(term) for term in (x, weight, y)) or not set(y) <= set(x + weight):
        return f"`{equation}` does not name each axis of its operands once"
    if any(letter not in y for letter in set(x) ^ set(weight)):
        return f"`{equation}` sums over an axis of one operand alone"
    summed = "".join(letter for letter in weight if letter not in y)
    own = "".join(letter for letter in weight if letter not in x)
    if not summed or not own:
        return f"`{equation}` {'sums over no axis' if not summed else 'gives the weight no axis of its own'}"
    behind = "".join(letter for letter in own if weight.index(letter) > max(map(weight.index, summed)))
    return _Product(x, weight, y, summed, behind or own[-1])
