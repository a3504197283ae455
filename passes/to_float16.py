"""Store weights and compute in float16, with full precision where float16 would spoil the result."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from qtnc.errors import PassError, printable
from qtnc.ir.names import NAME_SCOPES, FreeNames
from qtnc.ir.precision import TAKES_ANY, Precision, is_float, is_stored
from qtnc.pipeline import PassResult

HALF = ir.DataType.FLOAT16


@dataclass(frozen=True)
class ToFloat16:
    """Weights and arithmetic become float16; inputs and outputs of the model keep their types.

    Statistics, exponentials, positions and what reads numbers beyond float16 stay as they are
    (:mod:`qtnc.ir.precision`), but for bfloat16, which becomes float32 there.
    """

    name: ClassVar[str] = "to-float16"
    exact: ClassVar[bool] = False

    def run(self, model: ir.Model) -> PassResult:
        """Convert in graph order."""
        values = (v for graph in model.graphs() for v in graph.initializers.values())
        if not any(is_float(v) and v.dtype != HALF for v in values):
            return PassResult(model, False)
        _refuse_sequences(model)
        _Conversion(model).run()
        return PassResult(model, True)


class _Conversion:
    """One conversion: types as they were, and the casts made so far."""

    def __init__(self, model: ir.Model) -> None:
        self.model = model
        self.names = FreeNames(model, nodes=True)
        self.full = Precision(model).full
        self.own = {v: v.dtype for v in _values(model) if is_float(v)}
        self.kept = {v for v in model.graph.outputs if v.is_initializer()}
        self.casts: dict[tuple[ir.Graph, ir.Value, ir.DataType], ir.Value] = {}

    def run(self) -> None:
        nodes = list(ir.traversal.RecursiveGraphIterator(self.model.graph))
        graphs = list(self.model.graphs())
        for graph in graphs:
            for value in graph.initializers.values():
                self._settle_weight(value)
            for value in graph.inputs if graph is not self.model.graph else ():
                self._retype(value, HALF)
        for node in nodes:
            for output in node.outputs:
                self._retype(output, self._full_type(output) if node in self.full else HALF)
        for node in nodes:
            self._convert(node)
        for graph in graphs:
            self._settle_outputs(graph)

    def _full_type(self, value: ir.Value) -> ir.DataType:
        """The type in which a value is computed in full: its own, or float32 where that is no more than float16."""
        own, node = self.own.get(value) or HALF, value.producer()
        narrow = own in (ir.DataType.BFLOAT16, HALF) and (node is None or node.op_type != "Constant")
        return ir.DataType.FLOAT if narrow else own

    def _retype(self, value: ir.Value, dtype: ir.DataType) -> None:
        if value in self.own:
            value.type = ir.TensorType(dtype)

    def _settle_weight(self, value: ir.Value) -> None:
        """Store a weight in float16 where anything reads it so; a single number read both ways is stored both ways."""
        if value not in self.own or not is_stored(value) or value in self.kept:
            return
        readers = [use.node in self.full for use in value.uses()]
        full = all(readers) or (any(readers) and _is_number(value))
        dtype = self._full_type(value) if full else HALF
        if dtype != value.dtype:
            value.const_value = _rounded(value, dtype, str(value.name))
            value.type = ir.TensorType(dtype)

    def _convert(self, node: ir.Node) -> None:
        takes_any = node.op_type in TAKES_ANY and not node.domain
        for k, value in enumerate(node.inputs):
            if value is None or value not in self.own:
                continue
            wanted = self._full_type(value) if node in self.full else HALF
            if value.dtype != wanted and not takes_any:
                node.replace_input_with(k, self._as(value, wanted, node))
        if node.op_type == "Cast" and not node.domain and node.outputs[0] in self.own:
            node.attributes["to"] = ir.AttrInt64("to", int(node.outputs[0].dtype or HALF))

    def _as(self, value: ir.Value, wanted: ir.DataType, reader: ir.Node) -> ir.Value:
        """The value in another type, made once in each graph."""
        graph = reader.graph
        assert graph is not None  # noqa: S101 - the reader was found in one
        key = (graph, value, wanted)
        if key not in self.casts:
            name = self.names.take(f"{value.name}.{wanted.name.lower()}")
            self.casts[key] = _copy(value, wanted, name, graph) if _is_number(value) else _cast(value, wanted, name)
            node = self.casts[key].producer()
            if node is not None:
                node.metadata_props.update({k: v for k, v in reader.metadata_props.items() if k == NAME_SCOPES})
                graph.insert_before(reader, node)
        return self.casts[key]

    def _settle_outputs(self, graph: ir.Graph) -> None:
        """Outputs of the model keep name and type; those of bodies are float16, as what the nodes around them make."""
        whole = graph is self.model.graph
        for k, value in enumerate(graph.outputs):
            wanted = self.own.get(value) if whole else HALF
            if value not in self.own or wanted is None or value.dtype == wanted:
                continue
            name = str(value.name)
            free = self.names.take(f"{name}.{(value.dtype or HALF).name.lower()}" if whole else f"{name}.float16")
            called = free  # the node's name: the output's may be that of the node that made it
            if whole:
                value.name, free = free, name
            graph.outputs[k] = _cast(value, wanted, free, called)
            graph.extend(node for node in [graph.outputs[k].producer()] if node is not None)


def _is_number(value: ir.Value) -> bool:
    return is_stored(value) and value.const_value is not None and value.const_value.size == 1


def _cast(value: ir.Value, wanted: ir.DataType, name: str, called: str | None = None) -> ir.Value:
    made = ir.node("Cast", [value], {"to": int(wanted)}, name=called or name).outputs[0]
    made.name, made.type, made.shape = name, ir.TensorType(wanted), value.shape
    return made


def _copy(value: ir.Value, wanted: ir.DataType, name: str, graph: ir.Graph) -> ir.Value:
    made = ir.Value(name=name, type=ir.TensorType(wanted), shape=value.shape)
    made.const_value = _rounded(value, wanted, name)
    graph.register_initializer(made)
    return made


def _rounded(value: ir.Value, dtype: ir.DataType, name: str) -> ir.LazyTensor:
    """A weight in another type, computed when it is written, so that memory never holds all of them twice."""
    tensor = value.const_value
    assert tensor is not None  # noqa: S101 - asked before
    shape = ir.Shape(tensor.shape.numpy())
    return ir.LazyTensor(lambda: ir.tensor(tensor.numpy().astype(dtype.numpy()), name=name), dtype, shape, name=name)


def _values(model: ir.Model) -> list[ir.Value]:
    found: list[ir.Value] = []
    for graph in model.graphs():
        found += [*graph.inputs, *graph.initializers.values(), *(v for node in graph for v in node.outputs)]
    return found


def _refuse_sequences(model: ir.Model) -> None:
    for value in _values(model):
        name = printable(str(value.name))
        if value.type is not None and not isinstance(value.type, ir.TensorType):
            raise PassError(f"`{name}` is no tensor: float16 does not reach into it")
        if value.type is None and (value.uses() or value.is_graph_output()):
            raise PassError(f"the type of `{name}` is unknown, so that it cannot become float16")
