"""The IR as text: one node a line, weights by digest."""

from collections.abc import Mapping
from typing import Any

import onnx_ir as ir

from qtnc.errors import ImportModelError, QtncError
from qtnc.ir.dialect import DOMAIN, define, is_qtn
from qtnc.ir.names import module_path
from qtnc.ir.text import spelling
from qtnc.ir.text.tensors import digest, written_out

VERSION = 1

QUANTISATION = "quant_parameter_tensor_names"
"""Key under which onnx_ir keeps the quantisation annotation of a value."""

_ITEMS = {of_many: of_one for of_one, of_many in spelling.LISTS.items()}


def print_model(model: ir.Model, *, metadata: bool = False) -> str:
    """Write a model as text; the same model gives the same text.

    Parameters
    ----------
    metadata
        Whether to write documentation strings and metadata too. Then nothing is lost; else only what people read is
        there, and of the exporter's metadata no more than the module path of each node.

    Raises
    ------
    ImportModelError
        If the model holds what ONNX files have no place for, e.g. a value without a name.
    """
    return Printer(model, metadata).text()


class Printer:
    """One printing of a model. ``tensors`` holds by digest what the text does not write out."""

    def __init__(self, model: ir.Model, metadata: bool) -> None:
        self.model, self.metadata = model, metadata
        self.tensors: dict[str, ir.TensorProtocol] = {}

    def text(self) -> str:
        """Print everything."""
        model = self.model
        if self.metadata and model.device_configurations:
            raise ImportModelError("the text form has no words for device configurations")
        opset = ", ".join(f"{spelling.quoted(d)}: {v}" for d, v in model.opset_imports.items())
        head = [f"model opset {{{opset}}} ir {model.ir_version}"]
        texts = {"producer": model.producer_name, "producer_version": model.producer_version, "domain": model.domain}
        head += [f"{word} {spelling.quoted(text)}" for word, text in texts.items() if text]
        head += [f"version {model.model_version}"] if model.model_version else []
        lines = [f"qir {VERSION}", " ".join(head) + self._remarks(model)]
        lines.append(self._graph(model.graph, ""))
        derived = _derived_functions(model)
        for identifier, function in model.functions.items():
            body = self._function(function)
            if identifier not in derived or body != self._function(derived[identifier]):
                lines.append(body)
        return "\n".join(lines) + "\n"

    def _graph(self, graph: ir.Graph, indent: str) -> str:
        name = f" {spelling.label(graph.name)}" if graph.name else ""
        weights = [f"{indent}  {self._weight(value)}" for value in graph.initializers.values()]
        return "\n".join(
            [
                f"graph{name}{self._signature(graph.inputs, graph.outputs)}{self._remarks(graph)} {{",
                *weights,
                *(f"{indent}  {self._node(node, indent + '  ')}" for node in graph),
                f"{indent}}}",
            ]
        )

    def _function(self, function: ir.Function) -> str:
        declared = [
            self._attribute(a, "") if a.value is not None else f"{spelling.label(a.name)}: {spelling.kind_word(a.type)}"
            for a in function.attributes.values()
        ]
        between = f" {{{', '.join(declared)}}}" if declared else ""
        opset = ", ".join(f"{spelling.quoted(d)}: {v}" for d, v in function.opset_imports.items())
        head = f"function {spelling.operator(*function.identifier())}"
        head += f"{self._signature(function.inputs, function.outputs, between)} opset {{{opset}}}"
        head += f"{self._remarks(function)} {{"
        return "\n".join([head, *(f"  {self._node(node, '  ')}" for node in function), "}"])

    def _signature(self, inputs: Any, outputs: Any, between: str = "") -> str:
        takes = ", ".join(self._formal(value, notes=True) for value in inputs)
        # What is to be said of an output is said where it is made.
        gives = ", ".join(self._formal(value, notes=False) for value in outputs)
        return f"({takes}){between} -> ({gives})"

    def _formal(self, value: ir.Value, notes: bool) -> str:
        info = self._info(value) if notes else spelling.type_text(value.type, value.shape)
        return self._name(value) + (f": {info}" if info != "_" else "")

    def _weight(self, value: ir.Value) -> str:
        tensor = value.const_value
        if tensor is None:
            raise ImportModelError(f"weight `{value.name}` has no tensor")
        notes = "" if value.is_graph_input() else self._notes(value)
        return f"weight {self._name(value)}: {self._payload(tensor, notes)}"

    def _payload(self, tensor: ir.TensorProtocol, notes: str = "") -> str:
        """``f32[64, 8] = #3f9a0c1be2d4``; ``notes`` are those of the value that holds the tensor."""
        text = written_out(tensor)
        if text is None:
            key = digest(tensor)
            known = self.tensors.setdefault(key, tensor)
            if known is not tensor and (known.dtype, known.tobytes()) != (tensor.dtype, tensor.tobytes()):
                raise ImportModelError(f"two tensors of the model share the digest #{key}")
            text = f"#{key}"
        said = spelling.type_text(ir.TensorType(tensor.dtype), tensor.shape)
        return f"{said}{notes} = {text}{self._notes(tensor)}"

    def _node(self, node: ir.Node, indent: str) -> str:
        if self.metadata and node.device_configurations:
            raise ImportModelError("the text form has no words for device configurations")
        inputs = ", ".join("_" if value is None else self._name(value) for value in node.inputs)
        line = f"{spelling.operator(*node.op_identifier())}({inputs})"
        if node.outputs:
            line = f"{', '.join(self._name(value) if value.name != '' else '_' for value in node.outputs)} = {line}"
        if node.attributes:
            line += f" {{{', '.join(self._attribute(a, indent) for a in node.attributes.values())}}}"
        infos = [self._info(value) for value in node.outputs]
        if any(info != "_" for info in infos):
            line += f" : {', '.join(infos)}"
        path = module_path(node)
        line += f" @{spelling.quoted(path)}" if path else ""
        line += f" as {spelling.quoted(node.name)}" if node.name else ""
        return line + self._remarks(node)

    def _attribute(self, attribute: ir.Attr, indent: str) -> str:
        notes = f"<doc {spelling.quoted(attribute.doc_string)}>" if self.metadata and attribute.doc_string else ""
        return f"{spelling.label(attribute.name)}{notes} = {self._literal(attribute, indent)}"

    def _literal(self, attribute: ir.Attr, indent: str) -> str:
        if attribute.is_ref():
            return f"ref {spelling.quoted(attribute.ref_attr_name or '')} {spelling.kind_word(attribute.type)}"
        kind, value = attribute.type, attribute.value
        if kind in _ITEMS:
            items = [self._item(_ITEMS[kind], item, indent) for item in value]
            return f"[{', '.join(items)}]" if items else f"{spelling.kind_word(kind)}[]"
        return self._item(kind, value, indent)

    def _item(self, kind: ir.AttributeType, value: Any, indent: str) -> str:
        match kind:
            case ir.AttributeType.INT:
                return str(value)
            case ir.AttributeType.FLOAT:
                return spelling.float32(value)
            case ir.AttributeType.STRING:
                return f'b"{value.hex()}"' if isinstance(value, bytes) else spelling.quoted(value)
            case ir.AttributeType.TENSOR:
                return f"tensor {spelling.quoted(value.name) + ' ' if value.name else ''}{self._payload(value)}"
            case ir.AttributeType.GRAPH:
                return self._graph(value, indent)
            case ir.AttributeType.TYPE_PROTO:
                return f"type {spelling.type_text(value.type, value.shape)}"
        raise ImportModelError(f"the text form has no word for attributes of type {kind.name}")

    def _name(self, value: ir.Value) -> str:
        if not value.name:
            raise ImportModelError("a value of the model has no name")
        return spelling.value_name(value.name)

    def _info(self, value: ir.Value) -> str:
        return spelling.type_text(value.type, value.shape) + self._notes(value)

    def _notes(self, about: Any) -> str:
        """What is said of a value or a tensor beside its type, in angle brackets."""
        notes = [f"quant {spelling.pairs(q)}"] if isinstance(about, ir.Value) and (q := _quantisation(about)) else []
        notes += [self._remarks(about).strip()]
        return f"<{' '.join(note for note in notes if note)}>" if any(notes) else ""

    def _remarks(self, about: Any) -> str:
        if not self.metadata:
            return ""
        doc = f" doc {spelling.quoted(about.doc_string)}" if about.doc_string else ""
        return doc + (f" meta {spelling.pairs(about.metadata_props)}" if about.metadata_props else "")


def _quantisation(value: ir.Value) -> Mapping[str, str] | None:
    found: Mapping[str, str] | None = value.meta.get(QUANTISATION)
    return found


def _derived_functions(model: ir.Model) -> Mapping[ir.OperatorIdentifier, ir.Function]:
    """Functions that follow from the attributes of ``qtn`` nodes, so that the text need not repeat them."""
    scratch = ir.Model(ir.Graph([], [], nodes=[], opset_imports=dict(model.opset_imports)), ir_version=model.ir_version)
    if not any(identifier[0] == DOMAIN for identifier in model.functions):
        return {}
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if is_qtn(node):
            try:
                define(scratch, node)
            except (QtncError, ValueError, TypeError, KeyError):
                continue  # a damaged node is shown with whatever function it has
    return scratch.functions
