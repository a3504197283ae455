"""Canonical layer names: one name a layer, whatever exporter wrote the model.

torch's dynamo exporter calls its nodes ``node_linear_3`` and its weights ``val_146``; the module path is in the node's
metadata. The legacy exporter writes the path into node names (``/layers.0/attn/q_proj/MatMul``) and loses it from
weights that it transposes (``onnx::MatMul_123``).
"""

import ast
import re
from collections.abc import Iterable

import onnx_ir as ir

from qtnc.ir.bodies import bodies

NAME_SCOPES = "pkg.torch.onnx.name_scopes"
ANONYMOUS = re.compile(r"^(val_\d+|onnx::\w+|_?\d+|.*_output_\d+|)$")
"""Names that exporters make up for values."""

QUANTISED = "_quantized"
"""What onnxruntime's quantiser writes behind the name of a weight."""

SURROGATE = re.compile("[\ud800-\udfff]")
"""What no file can hold; damaged metadata can spell it."""

NUMBER = re.compile("[0-9]+")
AGAIN = re.compile("(:[0-9]+)+")
"""What ``unique`` writes after a name that is there already, perhaps again."""

LONGEST_NUMBER = 18
"""Digits of a number in a name that is taken for one; names are hostile, and Python reads no number of any length."""


def module_path(node: ir.Node) -> str | None:
    """Deepest module path of a node, from name scopes, else from a path in its name; None when neither is there."""
    scopes = _name_scopes(node)
    if scopes:
        return scopes[-1]
    name = node.name or ""
    if name.startswith("/") and name.count("/") >= 2:
        return ".".join(part for part in name.split("/")[1:-1] if part)
    return None


def weight_path(weight: ir.Value) -> str | None:
    """Module path in a weight's own name, e.g. ``head`` of ``head.weight``; None for names made up by exporters."""
    name = weight.name or ""
    if ANONYMOUS.match(name):
        return None
    path, dot, last = name.removesuffix(QUANTISED).rpartition(".")
    return path if dot and last in ("weight", "weight_t", "kernel") else name


def layer_name(node: ir.Node, weight: ir.Value) -> str:
    """Canonical name of the layer that ``node`` computes with ``weight``, not yet made unique."""
    return module_path(node) or weight_path(weight) or node.name or f"{node.op_type}_{weight.name}"


def unique(names: Iterable[str], known: Iterable[str] = ()) -> list[str]:
    """Make names unique in order and apart from ``known``: the second ``mlp`` becomes ``mlp:2``."""
    taken = Taken(known)
    return [taken.take(name) for name in names]


class Taken:
    """Names that are in use, and how far each has been counted, so that many of one name take no longer each."""

    def __init__(self, names: Iterable[str | None]) -> None:
        self._names = set(names)
        self._counts: dict[str, int] = {}

    def __contains__(self, name: object) -> bool:
        """Whether a name is taken."""
        return name in self._names

    def take(self, name: str) -> str:
        """Return ``name``, or ``name:2`` and so on where that is taken; it is taken from now on."""
        free, count = name, self._counts.get(name, 1)
        while free in self._names:
            count += 1
            free = f"{name}:{count}"
        self._names.add(free)
        self._counts[name] = count
        return free


def block_of(name: str) -> int | None:
    """First number in a layer's name: 3 of ``layers.3.mlp.up``; None without one. The 2 of ``mlp:2`` is none."""
    found = NUMBER.search(name)
    if found is None or len(found[0]) > LONGEST_NUMBER or AGAIN.fullmatch(name, max(found.start() - 1, 0)):
        return None
    return int(found[0])


class FreeNames(Taken):
    """Names of values that a model does not use yet, in its branches neither: ONNX forbids to reuse any.

    With ``nodes`` names of nodes are taken too: onnxruntime loads no graph in which two nodes have one.
    """

    def __init__(self, model: ir.Model, *, nodes: bool = False) -> None:
        all_nodes = list(ir.traversal.RecursiveGraphIterator(model.graph))
        graphs = (model.graph, *(body for node in all_nodes for body in bodies(node)))
        held = (value.name for graph in graphs for value in _values(graph))
        made = (value.name for node in all_nodes for value in node.outputs)
        super().__init__((*held, *made, *(node.name for node in all_nodes if nodes)))


def _values(graph: ir.Graph) -> Iterable[ir.Value]:
    """Values that a graph has without computing them."""
    return (*graph.inputs, *graph.initializers.values())


def _name_scopes(node: ir.Node) -> list[str]:
    """Module paths of a dynamo export from outside in, the node's own name left out."""
    text = node.metadata_props.get(NAME_SCOPES)
    if text is None:
        return []
    try:
        scopes = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return []  # metadata is a hint: a damaged one leaves the other sources of names
    if not isinstance(scopes, list):
        return []
    return [scope for scope in scopes[:-1] if isinstance(scope, str) and scope and not SURROGATE.search(scope)]
