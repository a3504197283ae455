"""Python expressions as text that knows how tightly it binds and which names it uses.

All generated code is composed here. Text enters an expression in three ways only: written in this package, made by
``qtnc.backends.torch.names``, or as a Python literal made by ``literal``; nothing of a model reaches it raw.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

ATOM = 100
UNARY = 60
FACTOR = 50
TERM = 40
BINARY_LEVEL = {
    "**": 70,
    "*": FACTOR,
    "/": FACTOR,
    "//": FACTOR,
    "%": FACTOR,
    "@": FACTOR,
    "+": TERM,
    "-": TERM,
    "<<": 35,
    ">>": 35,
    "&": 30,
    "^": 25,
    "|": 20,
    "<": 15,
    "<=": 15,
    ">": 15,
    ">=": 15,
    "==": 15,
    "!=": 15,
}
CONDITION = 5

Number = bool | int | float


@dataclass(frozen=True)
class Expr:
    """A Python expression.

    Attributes
    ----------
    text : the code; a local variable is written as its number between two NUL characters, and named at the end.
    level : how tightly the outermost operator binds.
    uses : the local variables (int) and the attributes of ``self`` (str) it reads.
    depth : how many operations are nested in it.
    natural : whether it is known to be an integer that is not negative.
    """

    text: str
    level: int = ATOM
    uses: frozenset[int | str] = frozenset()
    depth: int = 0
    natural: bool = False

    def at(self, level: int) -> str:
        """The text, in parentheses where ``level`` binds tighter."""
        return self.text if self.level >= level else f"({self.text})"


Part = Expr | str | Number | None | Sequence["Part"]
"""What calls and subscripts are made of; a str is code written in this package."""


def local(number: int, natural: bool = False) -> Expr:
    """Read a local variable."""
    return Expr(f"\0{number}\0", uses=frozenset({number}), natural=natural)


def attribute(name: str) -> Expr:
    """Read an attribute of the model."""
    return Expr(f"self.{name}", uses=frozenset({name}))


def literal(value: Number | None) -> Expr:
    """Write a number."""
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return Expr("torch.nan")
        return Expr("torch.inf") if value > 0 else Expr("-torch.inf", UNARY)
    text = repr(value)
    natural = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return Expr(text, UNARY if text.startswith("-") else ATOM, natural=natural)


def quoted(text: str) -> Expr:
    """Write a string literal in double quotes; ``text`` must have been checked to be plain."""
    if not text.isascii() or not text.isprintable() or '"' in text or "\\" in text:
        raise ValueError("only plain text may be quoted")
    return Expr(f'"{text}"')


def as_expr(part: Part) -> Expr:
    """Expression of a part: numbers become literals, sequences tuples."""
    if isinstance(part, Expr):
        return part
    if isinstance(part, str):
        return Expr(part)
    if part is None or isinstance(part, (bool, int, float)):
        return literal(part)
    items = [as_expr(p) for p in part]
    text = ", ".join(i.text for i in items)
    return Expr(f"({text},)" if len(items) == 1 else f"({text})", uses=_uses(items), depth=_depth(items))


def call(function: str, *args: Part, **kwargs: Part) -> Expr:
    """``function(args, key=value)``; ``function`` is code written in this package."""
    items = [as_expr(a) for a in args]
    keyed = {key: as_expr(value) for key, value in kwargs.items()}
    text = ", ".join([i.text for i in items] + [f"{key}={value.text}" for key, value in keyed.items()])
    parts = [*items, *keyed.values()]
    return Expr(f"{function}({text})", uses=_uses(parts), depth=_depth(parts) + 1)


def method(x: Expr, name: str, *args: Part, **kwargs: Part) -> Expr:
    """``x.name(args, key=value)``."""
    made = call("", *args, **kwargs)
    return Expr(f"{x.at(ATOM)}.{name}{made.text}", uses=x.uses | made.uses, depth=max(x.depth + 1, made.depth))


def member(x: Expr, name: str, natural: bool = False) -> Expr:
    """``x.name``."""
    return Expr(f"{x.at(ATOM)}.{name}", uses=x.uses, depth=x.depth, natural=natural)


def subscript(x: Expr, *items: Part, natural: bool = False) -> Expr:
    """``x[items]``."""
    parts = [as_expr(i) for i in items]
    text = ", ".join(p.text for p in parts)
    return Expr(f"{x.at(ATOM)}[{text}]", uses=x.uses | _uses(parts), depth=x.depth + 1, natural=natural)


def span(start: Part, stop: Part, step: Part = None) -> Expr:
    """``start:stop:step`` for a subscript; None leaves a bound out."""
    bounds = [Expr("") if b is None else as_expr(b) for b in (start, stop)]
    if step is not None:
        bounds.append(as_expr(step))
    return Expr(":".join(b.text for b in bounds), uses=_uses(bounds), depth=_depth(bounds))


def listed(items: Iterable[Part]) -> Expr:
    """``[items]``."""
    parts = [as_expr(i) for i in items]
    return Expr(f"[{', '.join(p.text for p in parts)}]", uses=_uses(parts), depth=_depth(parts))


def binary(operator: str, a: Part, b: Part) -> Expr:
    """``a operator b``; comparisons are not chained, and products of matrices stand apart from those of numbers."""
    left, right = as_expr(a), as_expr(b)
    level = BINARY_LEVEL[operator]
    tight = operator in ("**", "@") or level == BINARY_LEVEL["=="]
    text = f"{left.at(level + 1 if tight else level)} {operator} {right.at(level + 1)}"
    natural = operator in ("+", "*", "//", "%") and left.natural and right.natural
    return Expr(text, level, left.uses | right.uses, max(left.depth, right.depth) + 1, natural)


def unary(operator: str, x: Expr) -> Expr:
    """``operator x`` for ``-`` and ``~``."""
    return Expr(f"{operator}{x.at(UNARY + 1)}", UNARY, x.uses, x.depth + 1)


def condition(test: Expr, yes: Part, no: Part) -> Expr:
    """``yes if test else no``."""
    a, b = as_expr(yes), as_expr(no)
    text = f"{a.at(CONDITION + 1)} if {test.at(CONDITION + 1)} else {b.at(CONDITION + 1)}"
    return Expr(text, CONDITION, a.uses | b.uses | test.uses, _depth([a, b, test]) + 1, a.natural and b.natural)


def shallow(expr: Expr) -> Expr:
    """The same expression, counted as one operation."""
    return replace(expr, depth=1)


def _uses(parts: Iterable[Expr]) -> frozenset[int | str]:
    return frozenset[int | str]().union(*(p.uses for p in parts))


def _depth(parts: Iterable[Expr]) -> int:
    return max((p.depth for p in parts), default=0)
