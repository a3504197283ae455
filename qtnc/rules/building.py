"""What a rule puts into a graph: nodes with types, shapes and the names of where they come from."""

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.ir.bodies import bodies, detach, inside
from qtnc.ir.dialect import DOMAIN, is_qtn
from qtnc.ir.names import NAME_SCOPES, FreeNames
from qtnc.rules.found import Match, decline
from qtnc.rules.measures import is_const
from qtnc.rules.operands import Operand, Schema, attribute_for, fitted, in_type, wanted_type
from qtnc.rules.results import infer_results
from qtnc.rules.schemas import schema_of, since
from qtnc.tensor.mapped import set_aside

MADE_BY: Final = "qtnc.rule"
"""Metadata of a node: the rule that made it."""


class Builder:
    """Makes the nodes of one replacement. Nothing of it is in the model before the whole has been made.

    A new node takes over the metadata, and so the layer's name, of the node that it stands for: the matched one of its
    operator, else the root.
    """

    def __init__(self, model: ir.Model, found: Match, rule: str, names: FreeNames) -> None:
        self.nodes: list[ir.Node] = []
        self.constants: dict[ir.Value, str] = {}
        self.left_out: list[ir.Value] = []
        self._model, self._found, self._rule, self._names = model, found, rule, names
        self._arrays: dict[int, tuple[ir.Value, Any]] = {}
        self._sources: dict[int, tuple[str, Any]] = {}
        self._stood_for: set[ir.Node] = set()

    def __call__(self, op: str, *inputs: Operand, **attributes: Any) -> ir.Value:
        """Make a node of one result: ``build("MatMul", x, scaled)``, ``build("com.microsoft.Gelu", x)``."""
        return self.several(op, 1, *inputs, **attributes)[0]

    def several(self, op: str, results: int, *inputs: Operand, **attributes: Any) -> tuple[ir.Value, ...]:
        """Make a node of several results."""
        domain, _, op_type = op.rpartition(".")
        if domain == DOMAIN:
            decline(f"no rule makes a new {op}: a network comes of a `rewrite`, or is one done again")
        schema = schema_of(domain, op_type, self._model.graph.opset_imports.get(domain, 1))
        if schema is None and domain == "":
            came = f", which came with {since(op_type)}" if since(op_type) else ""
            decline(f"opset {self._model.graph.opset_imports['']} has no operator `{op_type}`{came}")
        made = {name: attribute_for(name, value, schema) for name, value in attributes.items()}
        read = self._operands((domain, op_type, ""), inputs, schema)
        return self._add(ir.node(op_type, read, made, domain=domain, num_outputs=results))

    def again(self, node: ir.Node, *inputs: Operand, **attributes: Any) -> tuple[ir.Value, ...]:
        """Make a node that does to other inputs what a matched one does."""
        schema = schema_of(node.domain, node.op_type, self._model.graph.opset_imports.get(node.domain, 1))
        made = dict(node.attributes) | {name: attribute_for(name, value, schema) for name, value in attributes.items()}
        overload = self._names.take(node.overload) if is_qtn(node) else node.overload
        made = {name: self._own(attribute) for name, attribute in made.items()}
        read = self._operands(node.op_identifier(), inputs, schema)
        new = ir.node(node.op_type, read, made, domain=node.domain, overload=overload, num_outputs=len(node.outputs))
        self.left_out += [output for old, output in zip(node.outputs, new.outputs, strict=True) if old.name == ""]
        return self._add(new)

    def constant(self, array: NDArray[Any], name: str | None = None) -> ir.Value:
        """Make a constant; ``name`` is what it is called where that is free once the rule is done."""
        held = self._arrays.get(id(array))
        if held is not None:
            return held[0]
        called = self._names.take(name or f"{self._rule}.constant")
        text = array.dtype.kind in "OSU"
        tensor = ir.StringTensor(array, name=called) if text else ir.Tensor(set_aside(array), name=called)
        value = ir.Value(name=called, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor)
        self.constants[value] = name or called
        self._arrays[id(array)] = value, array
        return value

    def made_from(self, array: NDArray[Any], name: str) -> None:
        """Remember the constant that an array is computed from; its name is free where nothing reads it any more."""
        self._sources[id(array)] = name, array  # held, so that no other array has its id

    def constant_of(self, result: Any, name: str | None = None) -> ir.Value:
        """Make a constant of what a computation came to, a number as the element type of what the root makes."""
        if isinstance(result, np.ndarray | np.generic):
            return self.constant(np.asarray(result), name)
        made = self._found.root.outputs[0].dtype
        return self.constant(in_type(result, made or ir.DataType.FLOAT), name)

    def forget(self) -> None:
        """Take back what was made: values that it reads have one reader less each."""
        for node in self.nodes:
            detach(node)

    def _own(self, attribute: ir.Attr) -> ir.Attr:
        """An attribute of a node that is done again: bodies are copied, values in them under names of their own."""
        if attribute.type == ir.AttributeType.GRAPH:
            return ir.AttrGraph(attribute.name, self._copy(attribute.as_graph()))
        if attribute.type == ir.AttributeType.GRAPHS:
            return ir.AttrGraphs(attribute.name, [self._copy(body) for body in attribute.as_graphs()])
        return attribute

    def _copy(self, body: ir.Graph) -> ir.Graph:
        copy = body.clone(allow_outer_scope_values=True)
        within = [copy, *(graph for node in copy for one in (*inside(node), node) for graph in bodies(one))]
        for graph in within:
            for value in (*graph.inputs, *graph.initializers.values(), *(v for node in graph for v in node.outputs)):
                if value.name:
                    value.name = self._names.take(value.name)
        return copy

    def _operands(
        self, op: ir.OperatorIdentifier, inputs: Sequence[Operand], schema: Schema | None
    ) -> list[ir.Value | None]:
        read: list[ir.Value | None] = []
        like = self._like(op, [not isinstance(operand, ir.Value) or is_const(operand) for operand in inputs])
        for k, operand in enumerate(inputs):
            if isinstance(operand, ir.Value) and operand.name == "":
                decline("a new node would read a result that the matched one leaves out", operand)
            if operand is None or isinstance(operand, ir.Value):
                read.append(operand)
            elif isinstance(operand, np.ndarray | np.generic):
                name = _constant_at(like, k) or self._sources.get(id(operand), (None,))[0]
                read.append(self.constant(fitted(np.asarray(operand), k, inputs, schema), name))
            else:
                read.append(self.constant(in_type(operand, wanted_type(k, inputs, schema))))
        return read

    def _like(self, op: ir.OperatorIdentifier, constant: Sequence[bool]) -> ir.Node | None:
        """The matched node that a new one stands for: of its operator, constants in the same places, none twice."""
        alike = [node for node in self._found.nodes if node.op_identifier() == op]
        free = [node for node in alike if node not in self._stood_for] or alike

        def agreement(node: ir.Node) -> int:
            return sum(is_const(value) == flag for value, flag in zip(node.inputs, constant, strict=False))

        return max(free, key=agreement, default=None)

    def _add(self, node: ir.Node) -> tuple[ir.Value, ...]:
        like = self._like(node.op_identifier(), [is_const(value) for value in node.inputs]) or self._found.root
        stands_for = like.op_identifier() == node.op_identifier() and like not in self._stood_for
        self._stood_for.add(like)
        root = self._found.root
        title = _first_name(like, like.name) if like.name else _first_name(root, root.outputs[0].name)
        node.name = like.name if stands_for else f"{title}.{self._rule}_{len(self.nodes)}"
        node.metadata_props.update(like.metadata_props)
        if NAME_SCOPES not in like.metadata_props and NAME_SCOPES in self._found.root.metadata_props:
            node.metadata_props[NAME_SCOPES] = self._found.root.metadata_props[NAME_SCOPES]
        node.metadata_props[MADE_BY] = self._rule
        for output in node.outputs:
            output.name = self._names.take(f"{_first_name(root, root.outputs[0].name)}.{self._rule}")
        infer_results(node, self._model.graph.opset_imports)
        self.nodes.append(node)
        return tuple(node.outputs)


def _first_name(node: ir.Node, name: str | None) -> str:
    """A name without what the rule that made it put behind it: rules on rules would make names without end."""
    rule = node.metadata_props.get(MADE_BY)
    found = re.fullmatch(rf"(.+)\.{re.escape(rule)}(_[0-9]+)?(:[0-9]+)?", name or "", re.DOTALL) if rule else None
    return found[1] if found else name or ""


def _constant_at(node: ir.Node | None, k: int) -> str | None:
    """Name of the constant that a node reads in a place."""
    value = node.inputs[k] if node is not None and k < len(node.inputs) else None
    return value.name if is_const(value) and value is not None else None
