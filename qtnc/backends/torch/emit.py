"""Torch out: ``model.py`` and ``model.safetensors``."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from qtnc.backends.identifiers import comment
from qtnc.backends.metadata import facts_of
from qtnc.backends.torch import linear, table
from qtnc.backends.torch.control import Body
from qtnc.backends.torch.emission import Emission, UnsupportedError
from qtnc.backends.torch.expression import Expr, literal, local, member
from qtnc.backends.torch.facts import infer
from qtnc.backends.torch.host import FLOATS
from qtnc.backends.torch.node_view import Call, Unpacked
from qtnc.backends.torch.program import divide, live
from qtnc.backends.torch.requirements import requirements
from qtnc.backends.torch.shape_arithmetic import evaluate
from qtnc.backends.torch.source import Source, shape_text
from qtnc.backends.torch.weights import Weights, save
from qtnc.errors import BackendError, Diagnostic
from qtnc.ir.branches import tell_apart
from qtnc.ir.dialect import DOMAIN, is_qtn


def emit_torch(model: ir.Model, folder: Path) -> None:
    """Write ``model`` as a standalone torch module into a folder.

    That is ``model.py``, ``model.safetensors``, in which the model's metadata is kept, and ``requirements.txt``.

    Parameters
    ----------
    model : standard ONNX operations and nodes of the ``qtn`` dialect; it is not changed.
    folder : an existing folder.

    Raises
    ------
    BackendError
        If nodes cannot be written in torch: one error that lists all of them.
    """
    source = compose(model)
    code = source.text()
    (folder / "model.py").write_text(code, encoding="utf-8")
    (folder / "requirements.txt").write_text(requirements(code), encoding="utf-8")
    save(source.weights.values(), folder / "model.safetensors", facts_of(model))


def compose(model: ir.Model) -> Source:
    """Everything that the two files will hold."""
    flat = _flatten(model)
    opset, weights = flat.opset_imports.get("", 1), Weights(flat.graph)
    emission = Emission(flat.graph, infer(flat), opset, weights, lambda graph: _emit_nodes(emission, graph))
    emission.model_dtype = _float_dtype(emission)
    inputs = _define_inputs(emission)
    _emit_nodes(emission, flat.graph)
    outputs = [(v.name or "output", emission.output(v)) for v in flat.graph.outputs]
    results = [expr for _, expr in outputs]
    statements = live(emission.statements, results)
    read = {u for s in statements for u in s.expr.uses} | {u for e in results for u in e.uses}
    bodies = _called(emission.bodies, read)
    read |= {u for body in bodies for u in body.uses}
    return Source(
        inputs=inputs,
        outputs=outputs,
        output_shapes=[shape_text(v) for v in flat.graph.outputs],
        locals=emission.locals,
        parts=divide(statements, results),
        weights={name: w for name, w in emission.weights.by_name.items() if name in read},
        tables={name: pairs for pairs, name in emission.tables.items()},
        bodies=bodies,
        dtype=emission.model_dtype,
    )


def _called(bodies: Sequence[Body], read: set[int | str]) -> list[Body]:
    """Bodies that are called, in the order of the calls: one written later may call those before it."""
    found: list[Body] = []
    for body in reversed(bodies):
        if body.name in read or any(body.name in other.uses for other in found):
            found.append(body)
    return found[::-1]


def _flatten(model: ir.Model) -> ir.Model:
    """A copy whose only functions are those of ``qtn`` nodes, and in which no two values have one name."""
    flat = model.clone()
    if any(f.domain != DOMAIN for f in flat.functions.values()):
        InlinePass(lambda f: f.domain != DOMAIN)(flat)
    tell_apart(flat)
    return flat


def _float_dtype(emission: Emission) -> ir.DataType | None:
    """The one floating-point dtype of the weights and inputs, or float16 where products have it and little else."""
    values = [*emission.graph.inputs, *emission.graph.initializers.values()]
    found = {emission.fact(v).dtype for v in values} & FLOATS
    matrices = {v.dtype for v in emission.graph.initializers.values() if v.shape is not None and len(v.shape) > 1}
    if len(found) > 1 and matrices & FLOATS == {ir.DataType.FLOAT16}:
        return ir.DataType.FLOAT16
    return found.pop() if len(found) == 1 else None


def _define_inputs(emission: Emission) -> list[tuple[ir.Value, int]]:
    """Name the inputs of ``forward``, and the dimensions that they alone settle."""
    inputs = []
    for value in emission.graph.inputs:
        if value.is_initializer():
            continue
        number = emission.new_local(value.name or "input")
        x = local(number)
        emission.define(value, x)
        inputs.append((value, number))
        sizes: list[int | None] = []
        for dim in emission.fact(value).dims or ():
            new = isinstance(dim, str) and dim and dim not in emission.dimensions
            sizes.append(emission.new_local(str(dim), "int") if new else None)
            if sizes[-1] is not None:
                emission.dimensions[str(dim)] = local(sizes[-1], natural=True)
        if sizes:
            emission.add_statement(tuple(sizes), member(x, "shape"), "")
    return inputs


def _emit_nodes(emission: Emission, graph: ir.Graph) -> None:
    refused: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for node in graph:
        try:
            _emit_node(emission, node)
        except UnsupportedError as error:
            key = (f"{node.domain}.{node.op_type}" if node.domain else node.op_type, str(error))
            refused[key] += 1
            first.setdefault(key, node.name or "unnamed")
            for output in node.outputs:
                emission.define(output, literal(None))
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            what = f"{comment(node.op_type)} `{comment(node.name or 'unnamed')}`"
            raise BackendError(f"{what} is malformed: {comment(str(error))}") from error
    if refused:
        raise BackendError(*(_diagnostic(key, count, first[key]) for key, count in refused.items()))


def _diagnostic(key: tuple[str, str], count: int, name: str) -> Diagnostic:
    op, why = key
    times = f"{count} time{'s' if count > 1 else ''}"
    # ONNX is emitted in standard operators, and so no way out for one of another domain
    others = "or rewrite it with a rule" if "." in op else "rewrite it with a rule, or emit onnx instead of torch"
    return Diagnostic(
        f"torch cannot express {comment(op)} ({times}, first `{comment(name)}`): {why}",
        help=f"export the model without it, {others}",
    )


def _emit_node(emission: Emission, node: ir.Node) -> None:
    path = emission.record_path(node)
    call = Call(emission, node, path)
    call.settle_facts()
    if node.op_type == "Constant" and not node.domain:
        return
    if is_qtn(node):
        emission.assign(node.outputs[0], linear.product(call), path)
        return
    if node.domain not in ("", "ai.onnx"):
        raise UnsupportedError(f"operations of domain `{comment(node.domain)}` are not known")
    if node.op_type == "Identity":
        _alias(call)
        return
    numbers = evaluate(call)
    if numbers is not None:
        emission.define_host(node.outputs[0], numbers)
        return
    _assign(call, _written(call))


def _written(call: Call) -> Expr | Unpacked:
    emit = table.OPS.get(call.node.op_type)
    if emit is None:
        raise UnsupportedError("there is no torch form of it here yet")
    return emit(call)


def _assign(call: Call, result: Expr | Unpacked) -> None:
    if isinstance(result, Unpacked):
        call.emission.unpack(call.node.outputs, result.expr, call.path, result.hints)
        return
    call.require_defined_outputs()
    if result.depth == 0 and len(result.uses) == 1:
        call.emission.define(call.node.outputs[0], result)
    else:
        call.emission.assign(call.node.outputs[0], result, call.path)


def _alias(call: Call) -> None:
    host = call.host(0)
    output = call.node.outputs[0]
    if host is not None:
        call.emission.define_host(output, host)
    call.emission.define(output, call.emission.atom(call.value(0), call.node))
