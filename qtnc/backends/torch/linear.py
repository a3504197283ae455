"""Emission of products: MatMul, Gemm, Einsum, Conv, tensor networks and circuits."""

import re
import string
from collections.abc import Callable
from math import prod
from typing import Final

from qtnc.backends.identifiers import comment
from qtnc.backends.torch.expression import Expr, binary, call, member, method, quoted, span, subscript
from qtnc.backends.torch.names import leaf, role_of
from qtnc.backends.torch.node_view import Call
from qtnc.ir.dialect import circuit_of, is_circuit, leading_axes, network_of, path_of
from qtnc.ir.einsum import equation_of
from qtnc.tensor.network import TensorNetwork, X
from qtnc.tensor.order import Step, steps

Emit = Callable[[Call], Expr]

ROWS: Final = "rows"
"""Name of the axis of rows; no index of a network is called so."""


def _matmul(node: Call) -> Expr:
    return binary("@", node.tensor(0), node.tensor(1))


def _gemm(node: Call) -> Expr:
    alpha, beta = node.attr_float("alpha", 1.0), node.attr_float("beta", 1.0)
    a = member(node.tensor(0), "T") if node.attr_int("transA", 0) else node.tensor(0)
    if alpha == beta == 1 and node.attr_int("transB", 0) and node.has(2) and node.rank(2) == 1:
        return call("F.linear", a, node.tensor(1), node.tensor(2))
    b = member(node.tensor(1), "T") if node.attr_int("transB", 0) else node.tensor(1)
    product = binary("@", a, b)
    if alpha != 1:
        product = binary("*", alpha, product)
    if not node.has(2) or beta == 0:
        return product
    bias = node.operand(2)
    return binary("+", product, bias if beta == 1 else binary("*", beta, bias))


def _einsum(node: Call) -> Expr:
    equation = equation_of(node.node)
    if equation is None:
        node.refuse("its equation is not one of letters")
    return call("torch.einsum", quoted(equation), *(node.tensor(k) for k in node))


def _conv(node: Call) -> Expr:
    rank = node.need_rank(1) - 2
    if rank not in (1, 2, 3):
        node.refuse(f"convolutions over {rank} axes have no torch function")
    if node.attr_text("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        node.refuse("auto_pad needs explicit pads")
    x = node.tensor(0)
    pads = node.attr_ints("pads") or (0,) * (2 * rank)
    padding = pads[:rank]
    if pads[:rank] != pads[rank:]:
        padding = (0,) * rank
        flat = [p for axis in reversed(range(rank)) for p in (pads[axis], pads[axis + rank])]
        x = call("F.pad", x, tuple(flat))
    options = {
        "stride": (node.attr_ints("strides") or (1,) * rank, (1,) * rank),
        "padding": (padding, (0,) * rank),
        "dilation": (node.attr_ints("dilations") or (1,) * rank, (1,) * rank),
    }
    keyed: dict[str, tuple[int, ...] | int] = {k: v for k, (v, usual) in options.items() if v != usual}
    if node.attr_int("group", 1) != 1:
        keyed["groups"] = node.attr_int("group", 1)
    affine = [node.tensor(k) for k in (1, 2) if node.has(k)]
    return call(f"F.conv{rank}d", x, *affine, **keyed)


OPS: Final[dict[str, Emit]] = {"MatMul": _matmul, "Gemm": _gemm, "Einsum": _einsum, "Conv": _conv}


def _describe_circuit(node: Call) -> str:
    """One line: layer, sizes, gates and angles."""
    circuit = circuit_of(node.node)
    counts = f"{circuit.gates} gates in {circuit.depth} layers on {circuit.qubits} qubits"
    sizes = "{} -> {}".format(*circuit.features)
    return comment(f"Circuit{_title(node)}: {sizes}, {counts}, {circuit.parameters:,} angles", 110)


def _describe_network(node: Call) -> str:
    """One line: structure, layer, stack, sizes, bonds and parameters."""
    network = network_of(node.node)
    modes = f"{_sizes(network, network.inputs[X])} -> {_sizes(network, network.output)}"
    free = {*network.inputs[X], *network.output}
    bonds = sorted({size for index, size in network.size_dict.items() if index not in free}, reverse=True)
    held = f"{len(network.inputs) - 1} cores"
    if bonds:
        held += f" with bonds {', '.join(map(str, bonds))}"
    if network.stack:
        modes = f"{'x'.join(map(str, network.stack))} of {modes}"
    structure = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", node.node.op_type)
    return comment(f"{structure}{_title(node)}: {modes}, {held}, {network.parameters:,} parameters", 110)


def _title(node: Call) -> str:
    """Layer and role, as far as they are known."""
    role = role_of(node.node, node.path)
    title = ".".join(word for word in (node.path, role) if word)
    return f" {title}" if title else ""


def _sizes(network: TensorNetwork, indices: tuple[str, ...]) -> str:
    return "x".join(str(s) for s in network.sizes(indices)) or "1"


def product(node: Call) -> Expr:
    """What a ``qtn`` node computes."""
    return _circuit(node) if is_circuit(node.node) else _network(node)


def _circuit(node: Call) -> Expr:
    """Apply the gates one by one to x, padded with zeros to the register and cut to the features."""
    circuit = circuit_of(node.node)
    x = node.atom(0)
    node.emission.say(_describe_circuit(node))
    if circuit.amplitudes > circuit.features[0]:
        x = call("F.pad", x, (0, circuit.amplitudes - circuit.features[0]))
    if circuit.gates:
        x = call("rotate", x, node.tensor(1), node.emission.table(circuit.pairs))
    return x if circuit.features[1] == circuit.amplitudes else subscript(x, "...", span(None, circuit.features[1]))


def _network(node: Call) -> Expr:
    """Contract x with the cores along the stored path."""
    net, path = network_of(node.node), path_of(node.node)
    lead = leading_axes(node.node) if net.stack else 0
    node.emission.say(_describe_network(node))
    alive = {X: _unfold(node, net)}
    alive.update({k: node.tensor(k) for k in range(1, len(net.inputs))})
    todo = steps(net, path)
    if not todo:
        alive[X] = _rearrange(node, alive[X], net)
    for k, step in enumerate(todo):
        equation = quoted(_spell(node, step, len(net.stack), lead))
        made = call("torch.einsum", equation, alive.pop(step.left), alive.pop(step.right))
        last = k == len(todo) - 1
        alive[len(net.inputs) + k] = (
            made if last else node.bind(made, f"{leaf(node.path) or node.node.op_type}_{k}".lower())
        )
    (y,) = alive.values()
    return _fold(y, net)


def _unfold(node: Call, network: TensorNetwork) -> Expr:
    """Split the features of x into modes, padded with zeros where the modes hold more."""
    sizes = network.sizes(network.inputs[X])
    x = node.tensor(X)
    if prod(sizes) > network.features[0]:
        x = call("F.pad", x, (0, prod(sizes) - network.features[0]))
    if len(sizes) == 1:
        return x
    return method(x, "unflatten", -1, sizes) if sizes else method(x, "squeeze", -1)


def _fold(y: Expr, network: TensorNetwork) -> Expr:
    """Join the modes of y into features, cut where the modes hold more."""
    sizes = network.sizes(network.output)
    if len(sizes) > 1:
        y = method(y, "flatten", -len(sizes))
    elif not sizes:
        y = method(y, "unsqueeze", -1)
    return y if prod(sizes) == network.features[1] else subscript(y, "...", span(None, network.features[1]))


def _rearrange(node: Call, x: Expr, network: TensorNetwork) -> Expr:
    if network.inputs[X] == network.output:
        return x
    letters = _letters(node, (*network.inputs[X], *network.output))
    left, right = ("".join(letters[i] for i in part) for part in (network.inputs[X], network.output))
    return call("torch.einsum", quoted(f"...{left}->...{right}"), x)


def _spell(node: Call, step: Step, stack: int, lead: int) -> str:
    """The equation of a step.

    Parameters
    ----------
    stack : axes that count networks, which every operand has.
    lead : axes before the features of x, the first of which it may lack where it is broadcast along the stack.
    """
    counted = tuple(f"stack {k}" for k in range(stack))
    axes = (*counted, ROWS) if stack else ()
    letters = _letters(node, (*axes, *step.left_indices, *step.right_indices))
    names, rows = "".join(letters[i] for i in counted), "..." + "".join(letters[i] for i in axes)
    entering = rows if lead > stack or not stack else "".join(letters[i] for i in axes[-lead:])
    left, right, out = (
        (before if carries else names) + "".join(letters[i] for i in indices)
        for before, indices, carries in (
            (entering if step.left == X else rows, step.left_indices, step.left_rows),
            (rows, step.right_indices, step.right_rows),
            (rows, step.out_indices, step.out_rows),
        )
    )
    return f"{left},{right}->{out}"


def _letters(node: Call, indices: tuple[str, ...]) -> dict[str, str]:
    names = list(dict.fromkeys(indices))
    if len(names) > len(string.ascii_letters):
        node.refuse(f"a step of {len(names)} indices cannot be written as einsum")
    return dict(zip(names, string.ascii_letters, strict=False))
