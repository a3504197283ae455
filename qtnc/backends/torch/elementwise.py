"""Emission of elementwise operations."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import onnx_ir as ir

from qtnc.backends.torch.expression import Expr, as_expr, binary, call, literal, method, quoted, unary
from qtnc.backends.torch.host import FLOATS, Item, known
from qtnc.backends.torch.node_view import Call

Emit = Callable[[Call], Expr]


def _function(name: str) -> Emit:
    def emit(node: Call) -> Expr:
        return call(name, node.tensor(0))

    return emit


def _operands(node: Call) -> tuple[Expr, Expr]:
    """Both operands; a number stays a number as long as the other is a tensor."""
    if node.number(0) is not None and node.number(1) is not None:
        return node.tensor(0), node.operand(1)
    return node.operand(0), node.operand(1)


def _operator(symbol: str) -> Emit:
    def emit(node: Call) -> Expr:
        a, b = _operands(node)
        return binary(symbol, a, b)

    return emit


def _prefix(symbol: str) -> Emit:
    def emit(node: Call) -> Expr:
        return unary(symbol, node.tensor(0))

    return emit


def _multiply(node: Call) -> Expr:
    return _silu(node) or _neutral("*", 1.0)(node)


def _silu(node: Call) -> Expr | None:
    """``x * sigmoid(x)``, as exporters spell SiLU."""
    for k in (0, 1):
        gate = node.value(1 - k).producer()
        if gate is None or gate.op_type != "Sigmoid" or gate.domain or gate.inputs[0] is not node.value(k):
            continue
        if len(gate.outputs[0].uses()) == 1 and not gate.outputs[0].is_graph_output():
            return call("F.silu", node.operand(k))
    return None


def _divide(node: Call) -> Expr:
    if node.dtype(0) in FLOATS:
        return _inverse_root(node) or _operator("/")(node)
    if node.dtype(0) is None:
        node.refuse("the dtype of its inputs is not known")
    a, b = _operands(node)
    return call("torch.div", a, b, rounding_mode=quoted("trunc"))


def _inverse_root(node: Call) -> Expr | None:
    one = node.host(0)
    return _rsqrt(node, 1) if one is not None and not one.vector and one.scalar == 1 else None


def _rsqrt(node: Call, k: int) -> Expr | None:
    """``1 / sqrt(x)`` in one word, when nothing else reads the root."""
    root = node.value(k).producer()
    if root is None or root.op_type != "Sqrt" or root.domain:
        return None
    waiting = node.emission.take_pending(node.value(k))
    return replace(waiting, text="torch.rsqrt" + waiting.text.removeprefix("torch.sqrt")) if waiting else None


def _reciprocal(node: Call) -> Expr:
    return binary("/", 1, node.tensor(0))


def _power(node: Call) -> Expr:
    exponent = node.host(1)
    base = node.tensor(0)
    if exponent is None or exponent.vector or isinstance(exponent.scalar, Expr):
        result = binary("**", base, node.operand(1))
    else:
        number = exponent.scalar
        result = binary("**", base, int(number) if float(number).is_integer() else number)
    if node.dtype(0) in FLOATS or node.dtype(0) == node.dtype(1):
        return result
    return method(result, "to", node.dtype_text(node.dtype(0)))


def _modulo(node: Call) -> Expr:
    if node.attr_int("fmod", 0):
        a, b = node.tensor(0), node.operand(1)
        return call("torch.fmod", a, b)
    return _operator("%")(node)


def _cast(node: Call) -> Expr:
    target = ir.DataType(node.attr_int("to", 0))
    x = node.tensor(0)
    if target == node.dtype(0):
        return x
    return method(x, "to", _cast_target(node, target))


def _cast_target(node: Call, target: ir.DataType | None) -> Expr | str:
    """The model's own float dtype where it has only one, so that ``.to(torch.float64)`` moves casts along."""
    if target is not None and target == node.emission.model_dtype:
        return node.emission.own_dtype()
    return node.dtype_text(target)


def _cast_like(node: Call) -> Expr:
    target = node.dtype(1)
    if target is None:
        node.refuse("the dtype of its second input is not known")
    x = node.tensor(0)
    return x if target == node.dtype(0) else method(x, "to", _cast_target(node, target))


def _where(node: Call) -> Expr:
    test = node.tensor(0)
    if node.number(1) is None or node.number(2) is None:
        return call("torch.where", test, node.operand(1), node.operand(2))
    a, b = node.operand(1), node.operand(2)
    if a.uses or b.uses:
        return call("torch.where", test, node.as_tensor(1), node.as_tensor(2))
    chosen = call("torch.where", test, a, b)
    plain = node.dtype(1) in (ir.DataType.INT64, ir.DataType.BOOL)
    return chosen if plain else method(chosen, "to", _cast_target(node, node.dtype(1)))


def _neutral(symbol: str, neutral: Item) -> Emit:
    """An operator that changes nothing where an operand is ``neutral``."""

    def emit(node: Call) -> Expr:
        for k in (0, 1):
            if type(node.number(k)) is type(neutral) and node.number(k) == neutral and node.number(1 - k) is None:
                return node.tensor(1 - k)
        return _operator(symbol)(node)

    return emit


def _extreme(function: str, bound: str) -> Emit:
    """Min and Max of any number of inputs; a number becomes a bound of ``clamp``."""

    def emit(node: Call) -> Expr:
        order = sorted(node, key=lambda k: node.host(k) is not None)
        result = node.tensor(order[0])
        for k in order[1:]:
            number = node.number(k)
            if number is not None:
                result = method(result, "clamp", **{bound: number})
            else:
                result = call(function, result, node.operand(k))
        return result

    return emit


def _mean(node: Call) -> Expr:
    total = node.operand(0)
    for k in list(node)[1:]:
        total = binary("+", total, node.operand(k))
    return binary("/", total, len(node.node.inputs))


def _sum(node: Call) -> Expr:
    total = node.tensor(0)
    for k in list(node)[1:]:
        total = binary("+", total, node.operand(k))
    return total


def _clip(node: Call) -> Expr:
    x = node.tensor(0)
    bounds = {}
    numbers = True
    for k, name in ((1, "min"), (2, "max")):
        if node.has(k):
            host = node.host(k)
            numbers = numbers and host is not None
            bounds[name] = as_expr(host.scalar) if host is not None else node.tensor(k)
    if not bounds:
        return x
    if numbers:
        return method(x, "clamp", **bounds)
    for name, bound in bounds.items():
        x = call("torch.maximum" if name == "min" else "torch.minimum", x, _as_tensor(node, bound))
    return x


def _as_tensor(node: Call, bound: Expr) -> Expr:
    return bound if bound.uses else call("torch.tensor", bound, dtype=node.dtype_text(node.dtype(0)))


def _gelu(node: Call) -> Expr:
    if node.attr_text("approximate", "none") == "tanh":
        return call("F.gelu", node.tensor(0), approximate=quoted("tanh"))
    return call("F.gelu", node.tensor(0))


def _with_float(function: str, name: str, default: float, keyword: str) -> Emit:
    def emit(node: Call) -> Expr:
        return call(function, node.tensor(0), **{keyword: node.attr_float(name, default)})

    return emit


def _hard_sigmoid(node: Call) -> Expr:
    scaled = binary("*", node.tensor(0), node.attr_float("alpha", 0.2))
    return method(binary("+", scaled, node.attr_float("beta", 0.5)), "clamp", 0, 1)


def _selu(node: Call) -> Expr:
    alpha = node.attr_float("alpha", 1.6732632)
    gamma = node.attr_float("gamma", 1.050701)
    return binary("*", gamma, call("F.elu", node.tensor(0), alpha=alpha))


def _swish(node: Call) -> Expr:
    alpha = node.attr_float("alpha", 1.0)
    if alpha == 1:
        return call("F.silu", node.tensor(0))
    x = node.atom(0)
    return binary("*", x, call("torch.sigmoid", binary("*", x, alpha)))


def _prelu(node: Call) -> Expr:
    x = node.atom(0)
    return call("torch.where", binary("<", x, 0), binary("*", x, node.operand(1)), x)


def _thresholded_relu(node: Call) -> Expr:
    x = node.atom(0)
    return call("torch.where", binary(">", x, node.attr_float("alpha", 1.0)), x, 0)


def _is_infinite(node: Call) -> Expr:
    up, down = node.attr_int("detect_positive", 1), node.attr_int("detect_negative", 1)
    if not up and not down:
        return call("torch.zeros_like", node.tensor(0), dtype="torch.bool")
    name = "torch.isinf" if up and down else "torch.isposinf" if up else "torch.isneginf"
    return call(name, node.tensor(0))


def _shift(node: Call) -> Expr:
    return _operator("<<" if node.attr_text("direction", "LEFT") == "LEFT" else ">>")(node)


def _dropout(node: Call) -> Expr:
    node.only_first_output()
    if node.has(2):
        training = node.host(2)
        if training is None or known(_only(node, training.items)):
            node.refuse("it drops at random (training_mode)")
    return node.tensor(0)


def _only(node: Call, items: tuple[Item, ...]) -> Item:
    if len(items) != 1:
        node.refuse("its training_mode is not one number")
    return items[0]


def _log_of(function: str) -> Emit:
    def emit(node: Call) -> Expr:
        return call(function, node.tensor(0), dim=literal(node.attr_int("axis", -1)))

    return emit


_SAME_NAME: Final = (
    "Sqrt Abs Exp Log Erf Tanh Sigmoid Relu Floor Ceil Round Sign Sin Cos Tan Sinh Cosh Asin Acos Atan Asinh Acosh "
    "Atanh IsNaN"
)

OPS: Final[dict[str, Emit]] = {
    **{op: _function(f"torch.{op.lower()}") for op in _SAME_NAME.split()},
    "Add": _operator("+"),
    "Sub": _operator("-"),
    "Mul": _multiply,
    "Div": _divide,
    "Mod": _modulo,
    "Pow": _power,
    "Neg": _prefix("-"),
    "Not": _prefix("~"),
    "BitwiseNot": _prefix("~"),
    "Reciprocal": lambda node: _rsqrt(node, 0) or _reciprocal(node),
    "Equal": _operator("=="),
    "Less": _operator("<"),
    "LessOrEqual": _operator("<="),
    "Greater": _operator(">"),
    "GreaterOrEqual": _operator(">="),
    **dict.fromkeys(("And", "BitwiseAnd"), _neutral("&", True)),
    **dict.fromkeys(("Or", "BitwiseOr"), _neutral("|", False)),
    **dict.fromkeys(("Xor", "BitwiseXor"), _operator("^")),
    "BitShift": _shift,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Where": _where,
    "Min": _extreme("torch.minimum", "max"),
    "Max": _extreme("torch.maximum", "min"),
    "Sum": _sum,
    "Mean": _mean,
    "Clip": _clip,
    "Gelu": _gelu,
    "Elu": _with_float("F.elu", "alpha", 1.0, "alpha"),
    "Celu": _with_float("F.celu", "alpha", 1.0, "alpha"),
    "LeakyRelu": _with_float("F.leaky_relu", "alpha", 0.01, "negative_slope"),
    "Selu": _selu,
    "PRelu": _prelu,
    "ThresholdedRelu": _thresholded_relu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _function("F.hardswish"),
    "Mish": _function("F.mish"),
    "Softplus": _function("F.softplus"),
    "Softsign": _function("F.softsign"),
    "Swish": _swish,
    "IsInf": _is_infinite,
    "Dropout": _dropout,
    "Softmax": _log_of("torch.softmax"),
    "LogSoftmax": _log_of("torch.log_softmax"),
}
