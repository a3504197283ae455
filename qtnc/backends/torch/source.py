"""The text of model.py."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

import onnx_ir as ir

from qtnc.backends.identifiers import Namespace, comment, identifier
from qtnc.backends.torch.control import Body
from qtnc.backends.torch.emission import Local, Statement
from qtnc.backends.torch.expression import Expr
from qtnc.backends.torch.layout import wrap
from qtnc.backends.torch.names import FIELDS, LOCALS, section_of
from qtnc.backends.torch.program import Block
from qtnc.backends.torch.weights import Weight, torch_dtype
from qtnc.quantum.layout import Pair

_LOCAL = re.compile("\0(\\d+)\0")


@dataclass
class Scope:
    """Names of the locals of one function."""

    locals: Sequence[Local]
    names: Namespace = field(default_factory=lambda: Namespace(LOCALS))
    chosen: dict[int, str] = field(default_factory=dict)

    def name(self, number: int) -> str:
        """Name of a local; made on first use."""
        if number not in self.chosen:
            self.chosen[number] = self.names.claim(self.locals[number].hint)
        return self.chosen[number]

    def render(self, expr: Expr) -> str:
        """Text of an expression with its locals named."""
        return _LOCAL.sub(lambda found: self.name(int(found.group(1))), expr.text)


@dataclass(frozen=True)
class Source:
    """Everything that model.py says."""

    inputs: Sequence[tuple[ir.Value, int]]
    outputs: Sequence[tuple[str, Expr]]
    output_shapes: Sequence[str]
    locals: Sequence[Local]
    parts: Sequence[Statement | Block]
    weights: Mapping[str, Weight]
    tables: Mapping[str, tuple[Pair, ...]] = field(default_factory=dict)
    bodies: Sequence[Body] = ()
    dtype: ir.DataType | None = None

    def text(self) -> str:
        """The whole file."""
        body = [self._forward(), *(self._method(p) for p in self.parts if isinstance(p, Block))]
        body += [self._body(b) for b in self.bodies]
        chunks = [self._docstring() + "\n\n" + self._imports("\n".join(body)), *self._named_tuple()]
        chunks += [self._class("\n\n".join(body)), *self._circuits(), *self._loops("\n".join(body)), _LOAD]
        return "\n\n\n".join(chunks) + "\n"

    def _docstring(self) -> str:
        count = sum(w.tensor.size for w in self.weights.values() if w.parameter)
        lines = ['"""A model in plain torch: ``model = load()``, then call it.', "", "Inputs", "------"]
        scope = self._top()
        lines += [f"{scope.name(number)} : {shape_text(value)}" for value, number in self.inputs]
        lines += ["", "Outputs", "-------"]
        names = self._fields()
        lines += [f"{name} : {shape}" for name, shape in zip(names, self.output_shapes, strict=True)]
        tensors = sum(w.parameter for w in self.weights.values())
        lines += ["", f"{count:,} parameters in {tensors} tensor{'s' * (tensors != 1)}.", '"""']
        return "\n".join(lines)

    def _fields(self) -> list[str]:
        names = Namespace(FIELDS)
        return [names.claim(name, "output") for name, _ in self.outputs]

    def _imports(self, body: str) -> str:
        loops = any(b.always_tuple for b in self.bodies)
        lines = ["from collections.abc import Callable, Sequence"] if loops else []
        lines += ["from collections.abc import Sequence"] if self.tables and not loops else []
        lines += ["from functools import partial"] if "partial(" in body else []
        lines += ["from pathlib import Path"]
        if len(self.outputs) != 1:
            lines.append("from typing import NamedTuple")
        lines += ["", "import torch"]
        if "F." in body:
            lines.append("import torch.nn.functional as F")
        return "\n".join([*lines, "from safetensors.torch import load_file", "from torch import Tensor, nn"])

    def _named_tuple(self) -> list[str]:
        if len(self.outputs) == 1:
            return []
        lines = ["class Outputs(NamedTuple):", '    """What the model returns."""', ""]
        return ["\n".join([*lines, *(f"    {name}: Tensor" for name in self._fields())])]

    def _circuits(self) -> list[str]:
        """Which qubits gates act on, and the functions of circuits."""
        if not self.tables:
            return []
        tables = ["# Qubits that gates act on; gates in one line act at the same time."]
        for name, pairs in self.tables.items():
            rows = (", ".join(f"({a}, {b})" for a, b in row) + "," for row in _rows(pairs))
            tables += [f"{name} = (", *(f"    {row}" for row in rows), ")"]
        here = files("qtnc.backends.torch").joinpath("rotation.py").read_text(encoding="utf-8")
        return ["\n".join(tables), here[here.index("def ") :].rstrip()]

    def _loops(self, body: str) -> list[str]:
        """The functions of loops, those that are called."""
        here = files("qtnc.backends.torch").joinpath("iteration.py").read_text(encoding="utf-8")
        functions = here[here.index("def ") :].rstrip().split("\n\n\n")
        return [f for f in functions if f" {f[4 : f.index('(')]}(" in body] if self.bodies else []

    def _class(self, body: str) -> str:
        used = {u for p in self.parts for u in _attributes(p)} | {u for _, e in self.outputs for u in e.uses}
        used |= {u for b in self.bodies for u in b.uses}
        lines = [
            "class Model(nn.Module):",
            '    """The network; its attributes are the entries of the state_dict."""',
            "",
        ]
        lines += ["    def __init__(self) -> None:", "        super().__init__()"]
        lines += [f"        {_declare(w)}" for w in self.weights.values()]
        anchor = self._anchor(used)
        if anchor is None:
            lines.append('        self.register_buffer("anchor", torch.empty(0), persistent=False)')
        for name in ("device", "dtype"):
            if name in used:
                lines += ["", "    @property", f"    def {name}(self) -> torch.{name}:"]
                lines += [f"        return self.{anchor or 'anchor'}.{name}"]
        return "\n".join([*lines, "", body])

    def _anchor(self, used: set[int | str]) -> str | None:
        """The weight whose dtype and device stand for the model's; "" when nothing asks."""
        if not used & {"device", "dtype"}:
            return ""
        parameters = [w for w in self.weights.values() if w.parameter]
        same = [w for w in (*parameters, *self.weights.values()) if w.dtype == self.dtype] if parameters else []
        return next((w.name for w in (*same, *parameters)), None)

    def _top(self) -> Scope:
        scope = Scope(self.locals)
        for _, number in self.inputs:
            scope.name(number)
        return scope

    def _forward(self) -> str:
        scope = self._top()
        arguments = "".join(f", {scope.name(number)}: Tensor" for _, number in self.inputs)
        kind = "Tensor" if len(self.outputs) == 1 else "Outputs"
        lines = [f"    def forward(self{arguments}) -> {kind}:"]
        lines += _body(self.parts, scope, relative=False)
        values = ", ".join(scope.render(expr) for _, expr in self.outputs)
        lines.append(f"        return {values}" if len(self.outputs) == 1 else f"        return Outputs({values})")
        return "\n".join(part for line in lines for part in wrap(line))

    def _body(self, body: Body) -> str:
        """The method of a graph within a node."""
        scope = Scope(self.locals)
        arguments = "".join(f", {scope.name(n)}: {self.locals[n].kind}" for n in body.takes)
        single = len(body.results) == 1 and not body.always_tuple
        kind = "Tensor" if single else f"tuple[{', '.join(['Tensor'] * len(body.results)) or '()'}]"
        lines = [f"    def {body.name}(self{arguments}) -> {kind}:"]
        lines += _body(body.statements, scope, relative=True)
        values = ", ".join(scope.render(expr) for expr in body.results)
        lines.append(f"        return {values}" if len(body.results) != 1 or single else f"        return ({values},)")
        return "\n".join(part for line in lines for part in wrap(line))

    def _method(self, block: Block) -> str:
        scope = Scope(self.locals)
        arguments = "".join(f", {scope.name(n)}: {self.locals[n].kind}" for n in block.takes)
        kinds = [self.locals[n].kind for n in block.gives]
        kind = kinds[0] if len(kinds) == 1 else f"tuple[{', '.join(kinds)}]"
        lines = [f"    def {method_name(block.path)}(self{arguments}) -> {kind}:"]
        lines += _body(block.statements, scope, relative=True)
        lines.append(f"        return {', '.join(scope.name(n) for n in block.gives)}")
        return "\n".join(part for line in lines for part in wrap(line))


def _rows(pairs: Iterable[Pair]) -> Iterable[list[Pair]]:
    """Cut pairs, in order, where a qubit would come twice."""
    row: list[Pair] = []
    for pair in pairs:
        if any(qubit in other for other in row for qubit in pair):
            yield row
            row = []
        row.append(pair)
    yield row


def method_name(path: str) -> str:
    """Name of the method of a block: ``model.layers.0`` is ``_model_layers_0``."""
    return "_" + identifier(path, "block")


def shape_text(value: ir.Value) -> str:
    """Dtype and shape for the docstring."""
    kind = value.dtype.name.lower() if value.dtype is not None else "tensor"
    if value.shape is None:
        return kind
    dims = ", ".join(str(d) if isinstance(d, int) else comment(str(d.value or "?"), 30) for d in value.shape.dims)
    return f"{kind} ({dims})"


def _attributes(part: Statement | Block) -> Iterable[int | str]:
    statements = part.statements if isinstance(part, Block) else (part,)
    return (u for s in statements for u in s.expr.uses if isinstance(u, str))


def _declare(weight: Weight) -> str:
    shape = ", ".join(map(str, weight.shape)) if weight.shape else "()"
    dtype = torch_dtype(weight.dtype)
    empty = f"torch.empty({shape})" if dtype == "torch.float32" else f"torch.empty({shape}, dtype={dtype})"
    if weight.parameter:
        return f"self.{weight.name} = nn.Parameter({empty})"
    return f'self.register_buffer("{weight.name}", {empty})'


def _body(parts: Iterable[Statement | Block], scope: Scope, relative: bool) -> list[str]:
    lines: list[str] = []
    heading = ""
    for part in parts:
        section = "" if isinstance(part, Block) else section_of(part.path)
        if section != heading:
            heading = section
            if heading:
                lines += [""] * bool(lines) + [f"        # {comment(heading)}"]
            elif lines and not relative:
                lines.append("")
        if isinstance(part, Block):
            lines.append(f"        {_call(part, scope)}")
        else:
            lines += [f"        # {line}" for line in part.comments]
            lines.append(f"        {_targets(part.targets, scope)} = {scope.render(part.expr)}")
    return lines


def _call(block: Block, scope: Scope) -> str:
    arguments = ", ".join(scope.name(n) for n in block.takes)
    return f"{_targets(block.gives, scope)} = self.{method_name(block.path)}({arguments})"


def _targets(targets: Sequence[int | None], scope: Scope) -> str:
    if len(targets) == 1 and targets[0] is not None and scope.locals[targets[0]].kind == "int":
        return f"({scope.name(targets[0])},)"  # the only axis of an input
    return ", ".join("_" if t is None else scope.name(t) for t in targets)


_LOAD = '''def load(weights: str | Path | None = None, device: str | torch.device = "cpu") -> Model:
    """Model in eval mode with its weights, by default those in model.safetensors beside this file."""
    path = Path(__file__).with_name("model.safetensors") if weights is None else weights
    model = Model()
    model.load_state_dict(load_file(path, device=str(device)), assign=True)
    return model.to(device).eval()'''
