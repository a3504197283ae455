"""What one emission knows: values, statements, locals, and the view of one node that emission functions get."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import onnx_ir as ir

from qtnc.backends.identifiers import words
from qtnc.backends.torch.expression import Expr, Part, attribute, call, literal, local, member
from qtnc.backends.torch.facts import Fact
from qtnc.backends.torch.host import FLOATS, Axes, Host, Item, from_tensor
from qtnc.backends.torch.names import block_of, is_learned_scalar, leaf, module_path, role_of, value_hint
from qtnc.backends.torch.weights import Weights, torch_dtype
from qtnc.ir.dialect import is_qtn
from qtnc.quantum.layout import Pair

if TYPE_CHECKING:
    from qtnc.backends.torch.control import Body

NESTED = 3
"""Operations that may share one line."""

WIDEST = 90
"""Characters beyond which an expression gets a line of its own."""


_VIEWS = words("Reshape Transpose Unsqueeze Squeeze Expand Flatten Cast Identity")


class UnsupportedError(Exception):
    """A node cannot be written in torch; the message says why, and all of them are reported together."""


@dataclass
class Local:
    """A local variable of the emitted code."""

    hint: str
    kind: str = "Tensor"


@dataclass
class Statement:
    """``targets = expr`` in the module ``path``; a target of None is not used."""

    targets: tuple[int | None, ...]
    expr: Expr
    path: str
    comments: tuple[str, ...] = ()


@dataclass
class Emission:
    """State of one run of the emitter."""

    graph: ir.Graph
    facts: dict[str, Fact]
    opset: int
    weights: Weights
    emit_graph: Callable[[ir.Graph], None]
    """Writes the nodes of a graph within a node."""
    locals: list[Local] = field(default_factory=list)
    bodies: "list[Body]" = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    dimensions: dict[str, Expr] = field(default_factory=dict)
    _axes: dict[ir.Value, Axes] = field(default_factory=dict)
    last_nodes: dict[str, ir.Node] = field(default_factory=dict)
    tables: dict[tuple[Pair, ...], str] = field(default_factory=dict)
    model_dtype: ir.DataType | None = None
    _said: tuple[str, ...] = ()
    _exprs: dict[ir.Value, Expr] = field(default_factory=dict)
    _hints: dict[ir.Value | None, str] = field(default_factory=dict)
    _pending: dict[ir.Value, Statement] = field(default_factory=dict)
    _hosts: dict[ir.Value, Host] = field(default_factory=dict)
    _paths: dict[ir.Value, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.graph:
            path = module_path(node) if node.op_type != "Constant" else None
            parts = path.split(".") if path else []
            for k in range(len(parts)):
                self.last_nodes[".".join(parts[: k + 1])] = node

    def fact(self, value: ir.Value) -> Fact:
        """Dtype and axes of a value."""
        return self.facts.get(value.name or "", Fact(value.dtype))

    def axes(self, value: ir.Value) -> Axes | None:
        """Sizes of the axes of a value, each a number, an expression, or None when unknown."""
        if value in self._axes:
            return self._axes[value]
        dims = self.fact(value).dims
        if dims is None:
            host = self.host(value)
            return None if host is None else (len(host.items),) * host.vector
        return tuple(d if isinstance(d, int) else self.dimensions.get(d or "") for d in dims)

    def settle_axes(self, value: ir.Value, followed: Axes | None) -> None:
        """Remember sizes: those that are inferred as numbers, then those that were followed."""
        inferred = self.axes(value)
        if followed is None:
            return
        if inferred is None or len(inferred) != len(followed):
            inferred = (None,) * len(followed)
        self._axes[value] = tuple(b if a is None else a for a, b in zip(inferred, followed, strict=True))

    def new_local(self, hint: str, kind: str = "Tensor") -> int:
        """Make a local variable."""
        self.locals.append(Local(hint, kind))
        return len(self.locals) - 1

    def define(self, value: ir.Value, expr: Expr) -> None:
        """Let ``value`` be written as ``expr``, an atom."""
        self._exprs[value] = expr

    def defined(self, value: ir.Value) -> bool:
        """Whether ``value`` can be written."""
        return value in self._exprs or value in self._hosts

    def define_host(self, value: ir.Value, host: Host) -> None:
        """Let ``value`` be Python numbers."""
        self._hosts[value] = host

    def host(self, value: ir.Value | None) -> Host | None:
        """``value`` as Python numbers, if it can be had so."""
        if value is None:
            return None
        if value not in self._hosts:
            tensor = constant_tensor(value)
            found = from_tensor(tensor) if tensor is not None and not self._is_weight(value, tensor) else None
            if found is None:
                return None
            self._hosts[value] = found
        return self._hosts[value]

    def _is_weight(self, value: ir.Value, tensor: ir.TensorProtocol) -> bool:
        """A learned float is a weight, even when it is one number."""
        return tensor.dtype in FLOATS and value.is_initializer() and is_learned_scalar(value.name or "")

    def expr(self, value: ir.Value, reader: ir.Node | None) -> Expr:
        """``value`` in code, inlined when it was waiting for its only reader."""
        if value in self._pending:
            return self._pending.pop(value).expr
        return self.atom(value, reader)

    def atom(self, value: ir.Value, reader: ir.Node | None) -> Expr:
        """``value`` as a name or a literal, so that it may be written more than once."""
        if value in self._pending:
            statement = self._pending.pop(value)
            self._bind(value, statement)
        if value not in self._exprs:
            self._exprs[value] = self._constant(value, reader)
        return self._exprs[value]

    @contextmanager
    def apart(self) -> Iterator[list[Statement]]:
        """Write into a list of its own; what gets a name there is not known outside."""
        statements, exprs = self.statements, dict(self._exprs)
        self.statements = []
        yield self.statements
        self.statements, self._exprs = statements, exprs

    def output(self, value: ir.Value) -> Expr:
        """What a graph returns is a tensor, also where it is a number all the way."""
        host = self.host(value)
        return self.atom(value, None) if host is None or host.vector else self.materialise(host)

    def take_pending(self, value: ir.Value) -> Expr | None:
        """The expression that waits for the only reader of ``value``; the caller writes it in its own words."""
        waiting = self._pending.pop(value, None)
        return waiting.expr if waiting else None

    def own_dtype(self) -> Expr:
        """The floating-point dtype that the model computes in."""
        return attribute("dtype")

    def _constant(self, value: ir.Value, reader: ir.Node | None) -> Expr:
        tensor = constant_tensor(value)
        host = self.host(value)
        if host is not None and not host.vector:
            return self.number(host.scalar, host.dtype)
        if tensor is not None:
            return attribute(self.weights.name_of(value, tensor, reader))
        if host is not None:
            return self.bind(self.materialise(host), value_hint(value), self.path_of(reader) if reader else "")
        raise UnsupportedError(f"its input `{value.name}` has no value")

    def number(self, item: Item, dtype: ir.DataType | None) -> Expr:
        """Write a number; the lowest of the model's dtype by its name, so that it fits when the model is converted."""
        if isinstance(item, float) and dtype is not None and dtype == self.model_dtype and item == dtype.min:
            return member(call("torch.finfo", self.own_dtype()), "min")
        return item if isinstance(item, Expr) else literal(item)

    def materialise(self, host: Host) -> Expr:
        """Make a tensor of Python numbers."""
        data: Part = list(host.items) if host.vector else self.number(host.scalar, host.dtype)
        dtype: Part = self.own_dtype() if host.dtype == self.model_dtype else torch_dtype(host.dtype)
        return call("torch.tensor", _bracketed(data), dtype=dtype, device=self.device())

    def device(self) -> Expr:
        """The device that the model lives on."""
        return attribute("device")

    def path_of(self, node: ir.Node) -> str:
        """Module of a node; one without a name of its own belongs to the module of its input."""
        found = module_path(node)
        if found is not None:
            return found
        return next((self._paths[v] for v in node.inputs if v is not None and v in self._paths), "")

    def record_path(self, node: ir.Node) -> str:
        """Remember the module of a node for those that come after it."""
        path = self.path_of(node)
        for output in node.outputs:
            self._paths[output] = path
        return path

    def assign(self, value: ir.Value, expr: Expr, path: str) -> None:
        """Give ``value`` its code: now on a line of its own, or later inside the line of its only reader."""
        statement = Statement((), expr, path)
        self._hints[value] = self._hint(value, path)
        if self._may_wait(value, expr, path) and not self._said:
            self._pending[value] = statement
        else:
            self._bind(value, statement)

    def table(self, pairs: tuple[Pair, ...]) -> Expr:
        """The constant of the module that holds pairs of qubits; equal ones are one."""
        return Expr(self.tables.setdefault(pairs, f"_PAIRS_{len(self.tables)}"))

    def say(self, text: str) -> None:
        """Put a comment above the next line."""
        self._said = (*self._said, text)

    def add_statement(self, targets: tuple[int | None, ...], expr: Expr, path: str) -> None:
        """Write a line."""
        self.statements.append(Statement(targets, expr, path, self._said))
        self._said = ()

    def _may_wait(self, value: ir.Value, expr: Expr, path: str) -> bool:
        if value.is_graph_output() or expr.depth >= NESTED or len(expr.text) > WIDEST:
            return False
        readers = value.uses()
        if len(readers) != 1 or self._leaves(value, path) is not None:
            return False
        (reader, _index) = next(iter(readers))
        producer = value.producer()
        if producer is not None and reader.graph is not producer.graph:
            return False  # a loop would compute it again and again
        return block_of(self.path_of(reader) or path) == block_of(path)

    def _leaves(self, value: ir.Value, path: str) -> str | None:
        """The outermost module that ``value`` is a result of, if a reader lies outside of its own module."""
        if not path:
            return None
        readers = [module_path(u.node) for u in value.uses()]
        if value.is_graph_output():
            readers.append("")
        left = None
        parts = path.split(".")
        for k in range(len(parts), 0, -1):
            module = ".".join(parts[:k])
            if any(r is not None and r != module and not r.startswith(module + ".") for r in readers):
                left = module
        return left

    def _named_by_module(self, value: ir.Value, path: str) -> str | None:
        """The outermost module whose last word ``value`` is."""
        left, node = self._leaves(value, path), value.producer()
        parts = path.split(".")
        modules = [".".join(parts[:k]) for k in range(1, len(parts) + 1)]
        return next((m for m in modules if left and len(m) >= len(left) and self.last_nodes.get(m) is node), None)

    def _hint(self, value: ir.Value, path: str) -> str:
        """The module that the value is the result of; else, for another view of a value, that value's name."""
        module = self._named_by_module(value, path)
        if module:
            return leaf(module)
        node = value.producer()
        if node is not None and is_qtn(node) and path:
            return f"{leaf(path)}_{role_of(node, path) or 'product'}"
        if node is not None and node.op_type in _VIEWS and node.inputs[0] in self._hints:
            return self._hints[node.inputs[0]]
        return value_hint(value)

    def _bind(self, value: ir.Value, statement: Statement) -> None:
        number = self.new_local(self._hints[value])
        self.add_statement((number,), statement.expr, statement.path)
        self._exprs[value] = local(number)

    def bind(self, expr: Expr, hint: str, path: str) -> Expr:
        """Give an expression a line of its own."""
        number = self.new_local(hint)
        self.add_statement((number,), expr, path)
        return local(number)

    def bind_pair(self, expr: Expr, hints: tuple[str, str], path: str) -> tuple[Expr, Expr]:
        """Give the two items of an expression names."""
        left, right = self.new_local(hints[0]), self.new_local(hints[1])
        self.add_statement((left, right), expr, path)
        return local(left), local(right)

    def unpack(self, values: Sequence[ir.Value], expr: Expr, path: str, hints: Sequence[str]) -> None:
        """Assign a tuple to several values; the last hint serves all that follow."""
        numbers: list[int | None] = []
        for k, value in enumerate(values):
            if not value.uses() and not value.is_graph_output():
                numbers.append(None)
                continue
            number = self.new_local(hints[min(k, len(hints) - 1)])
            numbers.append(number)
            self._exprs[value] = local(number)
        self.add_statement(tuple(numbers), expr, path)


def constant_tensor(value: ir.Value) -> ir.TensorProtocol | None:
    """Tensor of an initialiser or of a Constant node."""
    if value.is_initializer():
        return value.const_value
    node = value.producer()
    if node is None or node.op_type != "Constant" or node.domain:
        return None
    (attr,) = node.attributes.values()
    if attr.type is ir.AttributeType.TENSOR:
        return attr.as_tensor()
    if attr.type in (ir.AttributeType.INT, ir.AttributeType.INTS):
        return ir.tensor(attr.value, ir.DataType.INT64)
    if attr.type in (ir.AttributeType.FLOAT, ir.AttributeType.FLOATS):
        return ir.tensor(attr.value, ir.DataType.FLOAT)
    return None


def _bracketed(data: Part) -> Part:
    if not isinstance(data, list):
        return data
    made = call("", *data)
    return Expr(f"[{made.text[1:-1]}]", uses=made.uses)
