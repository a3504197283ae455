"""What one emission knows: values, statements, locals, and the view of one node that emission functions get."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import onnx_ir as ir

from qtnc.backends.torch.expression import Expr, Part, attribute, call, literal, local, member, subscript
from qtnc.backends.torch.facts import Fact, guess_dtype
from qtnc.backends.torch.flow import Axes, follow
from qtnc.backends.torch.host import FLOATS, Host, Item, from_tensor
from qtnc.backends.torch.names import block_of, is_learned_scalar, leaf, module_path, value_hint, words
from qtnc.backends.torch.weights import Weights, torch_dtype

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
    locals: list[Local] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    dimensions: dict[str, Expr] = field(default_factory=dict)
    _axes: dict[ir.Value, Axes] = field(default_factory=dict)
    last_nodes: dict[str, ir.Node] = field(default_factory=dict)
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


@dataclass(frozen=True)
class Unpacked:
    """An expression that is a tuple with one item per output of the node."""

    expr: Expr
    hints: tuple[str, ...]


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


@dataclass(frozen=True)
class Call:
    """One node as emission functions see it."""

    emission: Emission
    node: ir.Node
    path: str

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.node.inputs)))

    @property
    def opset(self) -> int:
        """Opset of the model."""
        return self.emission.opset

    def refuse(self, why: str) -> NoReturn:
        """Report the node as one that cannot be written."""
        raise UnsupportedError(why)

    def has(self, k: int) -> bool:
        """Whether input ``k`` is there."""
        return k < len(self.node.inputs) and self.node.inputs[k] is not None

    def value(self, k: int) -> ir.Value:
        """Input ``k``."""
        value = self.node.inputs[k] if k < len(self.node.inputs) else None
        if value is None:
            self.refuse(f"its input {k} is missing")
        return value

    def operand(self, k: int) -> Expr:
        """Input ``k`` of a broadcast, where a number does as well as a tensor."""
        number = self.number(k)
        if number is not None:
            return self.emission.number(number, self.dtype(k))
        return self.emission.expr(self.value(k), self.node)

    def number(self, k: int) -> Item | None:
        """Input ``k`` as one number, when it is one and adds no axis to what it is broadcast with."""
        host = self.host(k)
        if host is None or len(host.items) != 1:
            return None
        others = [self.rank(j) or 0 for j in self if j != k and self.has(j) and not self._one_item(j)]
        return host.scalar if not host.vector or max(others, default=0) >= 1 else None

    def _one_item(self, k: int) -> bool:
        host = self.host(k)
        return host is not None and len(host.items) == 1

    def tensor(self, k: int) -> Expr:
        """Input ``k`` as a tensor."""
        host = self.host(k)
        if host is not None and not host.vector:
            return self.emission.materialise(host)
        return self.operand(k)

    def as_tensor(self, k: int) -> Expr:
        """Input ``k``, one number, as a tensor without axes."""
        host = self.host(k)
        if host is None:
            self.refuse(f"its input {k} is no number")
        return self.emission.materialise(Host(host.items, host.dtype, vector=False))

    def atom(self, k: int) -> Expr:
        """Input ``k`` as a name, to be written more than once."""
        host = self.host(k)
        if host is not None and not host.vector:
            return self.bind(self.emission.materialise(host), "scalar")
        return self.emission.atom(self.value(k), self.node)

    def host(self, k: int) -> Host | None:
        """Input ``k`` as Python numbers, if it can be had so."""
        return self.emission.host(self.value(k)) if self.has(k) else None

    def numbers(self, k: int, what: str) -> tuple[Item, ...]:
        """Input ``k`` as Python numbers, known or not."""
        host = self.host(k)
        if host is None:
            self.refuse(f"its {what} depend on data")
        return host.items

    def ints(self, k: int, what: str) -> tuple[int, ...]:
        """Input ``k`` as known ints."""
        items = self.numbers(k, what)
        if any(isinstance(i, Expr) for i in items):
            self.refuse(f"its {what} are not constant")
        return tuple(int(i) for i in items if not isinstance(i, Expr))

    def attr_int(self, name: str, default: int) -> int:
        """Integer attribute."""
        return self.node.attributes[name].as_int() if name in self.node.attributes else default

    def attr_float(self, name: str, default: float) -> float:
        """Float attribute, with the digits that a float32 needs."""
        if name not in self.node.attributes:
            return default
        tensor = ir.tensor(self.node.attributes[name].as_float(), ir.DataType.FLOAT)
        host = from_tensor(tensor)
        return default if host is None or isinstance(host.scalar, Expr) else float(host.scalar)

    def attr_ints(self, name: str) -> tuple[int, ...] | None:
        """Integer list attribute, or None."""
        return tuple(self.node.attributes[name].as_ints()) if name in self.node.attributes else None

    def attr_text(self, name: str, default: str) -> str:
        """Text attribute."""
        return self.node.attributes[name].as_string() if name in self.node.attributes else default

    def dtype(self, k: int) -> ir.DataType | None:
        """Dtype of input ``k``."""
        return self.emission.fact(self.value(k)).dtype

    def axes(self, k: int) -> Axes | None:
        """Sizes of the axes of input ``k``, where known."""
        return self.emission.axes(self.value(k))

    def rank(self, k: int) -> int | None:
        """Number of axes of input ``k``, where known."""
        axes = self.axes(k)
        return None if axes is None else len(axes)

    def need_rank(self, k: int) -> int:
        """Number of axes of input ``k``."""
        rank = self.rank(k)
        if rank is None:
            self.refuse(f"the rank of its input {k} is not known")
        return rank

    def size(self, k: int, axis: int) -> Item:
        """Size of one axis of input ``k``: a number, a dimension of the graph's inputs, or ``x.shape[axis]``."""
        axes = self.axes(k)
        size = axes[axis] if axes is not None and -len(axes) <= axis < len(axes) else None
        if size is not None:
            return size
        shape = member(self.emission.atom(self.value(k), self.node), "shape")
        return subscript(shape, axis, natural=True)

    def used(self, output: int) -> bool:
        """Whether anything reads output ``output``."""
        if output >= len(self.node.outputs):
            return False
        value = self.node.outputs[output]
        return bool(value.uses()) or value.is_graph_output()

    def only_first_output(self) -> None:
        """Refuse a node whose further outputs are read."""
        if any(self.used(k) for k in range(1, len(self.node.outputs))):
            self.refuse("its further outputs are used")

    def require_defined_outputs(self) -> None:
        """Refuse a node whose further outputs are read and were not given."""
        if any(self.used(k) and not self.emission.defined(v) for k, v in enumerate(self.node.outputs) if k):
            self.refuse("its further outputs are used")

    def bind(self, expr: Expr, hint: str) -> Expr:
        """Give an expression a line of its own."""
        return self.emission.bind(expr, hint, self.path)

    def dtype_text(self, dtype: ir.DataType | None) -> str:
        """``torch.float32`` and so on."""
        text = torch_dtype(dtype)
        if text is None:
            self.refuse(f"torch has no dtype {dtype}")
        return text

    def settle_facts(self) -> None:
        """Fill in what inference did not know about the outputs."""
        inputs = {k: self.dtype(k) for k in self if self.has(k)}
        for output in self.node.outputs:
            fact = self.emission.fact(output)
            if fact.dtype is None and output.name:
                self.emission.facts[output.name] = Fact(guess_dtype(self.node, inputs), fact.dims)
        if len(self.node.outputs) == 1 or self.node.op_type in ("LayerNormalization", "Dropout"):
            self.emission.settle_axes(self.node.outputs[0], follow(self))
