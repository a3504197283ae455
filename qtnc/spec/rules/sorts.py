"""Sorts of terms: what may stand where, and the way out where it may not."""

from typing import Final

from qtnc.rules.functions import Sort
from qtnc.spec import atoms
from qtnc.spec.rules import tree as rule_tree
from qtnc.spec.rules.names import Known
from qtnc.spec.values import RefusedError
from qtnc.spec.wording import clip

RUNTIME: Final = {
    "+": "Add({}, {})",
    "-": "Sub({}, {})",
    "*": "Mul({}, {})",
    "/": "Div({}, {})",
    "//": "Floor(Div({}, {}))",
    "%": "Mod({}, {})",
    "**": "Pow({}, {})",
    "@": "MatMul({}, {})",
}
"""How signs are written of values that are known at run time only."""

COMPUTED: Final = (Sort.NUMBER, Sort.CONST)
"""What arithmetic is about."""


def fits(sort: Sort | None, wanted: Sort) -> bool:
    """Whether something of a sort may stand where another is wanted."""
    if sort is None or sort == wanted:
        return True
    if wanted == Sort.VALUE:
        return sort in (Sort.CONST, Sort.NUMBER, Sort.LIST)
    return wanted == Sort.CONST and sort == Sort.NUMBER


def joined(
    sign: str,
    left: tuple[rule_tree.Formula, str, Sort | None],
    right: tuple[rule_tree.Formula, str, Sort | None],
) -> Sort | None:
    """The sort of two parts with a sign between them, each given with its text.

    Raises
    ------
    RefusedError
        If the sign does not stand between such parts.
    """
    sorts = {left[2], right[2]}
    if sign in ("==", "!=") and sorts <= {Sort.LIST, None} | {Sort.TEXT, Sort.DTYPE} and len(sorts - {None}) == 1:
        return Sort.TRUTH
    if sign in ("==", "!=") and None not in sorts and sorts & {Sort.LIST, Sort.TEXT, Sort.DTYPE, Sort.TRUTH}:
        told = [f"`{clip(text)}` is {sort.value}" for _, text, sort in (left, right) if sort is not None]
        raise RefusedError(f"`{sign}` compares what is alike, and {' and '.join(told)}", right[0].span)
    for node, text, sort in (left, right):
        if sort is None or sort in COMPUTED:
            continue
        if sort == Sort.VALUE:
            form = RUNTIME.get(sign)
            written = form.format(clip(left[1]), clip(right[1])) if form else None
            way_out = f"write `{written}`" if written else f"look for a constant: `{clip(text)}: const`"
            raise RefusedError(f"`{clip(text)}` is known at run time only", node.span, way_out)
        raise RefusedError(unfit(sign, node, sort), node.span)
    if None in sorts:
        return None
    if sign in RUNTIME:
        return Sort.NUMBER if sorts == {Sort.NUMBER} else Sort.CONST
    return Sort.TRUTH if sorts == {Sort.NUMBER} else Sort.CONST


def way_to(wanted: Sort, sort: Sort, node: rule_tree.Formula) -> str | None:
    """How something is made of the sort that is wanted."""
    if wanted == Sort.CONST and sort == Sort.VALUE:
        return f"look for a constant: `{text_of(node)}: const`" if isinstance(node, atoms.Name) else None
    if wanted == Sort.NUMBER and sort == Sort.CONST:
        return f"of a constant of one element write `max({text_of(node)})`"
    if wanted == Sort.LIST and sort == Sort.CONST and isinstance(node, atoms.Name):
        return f"a constant of one axis is a list too: `{text_of(node)}: const vector`"
    if wanted == Sort.LIST and sort == Sort.CONST:
        return "a list is written in brackets, of numbers: `[item(p, 0), 1]`"
    if wanted == Sort.CONST and sort == Sort.LIST and isinstance(node, atoms.Name):
        return f"a list is no constant; one of its numbers is `item({text_of(node)}, 0)`"
    if wanted == Sort.LIST and sort in (Sort.NUMBER, Sort.VALUE):
        return "a list is written in brackets: `[0, 1]`"
    return None


def is_vector(known: Known) -> bool:
    """Whether a value is surely of one axis."""
    axes = known.kind.axes
    return known.kind.rank == 1 or (axes is not None and axes.rest is None and len(axes.sizes) == 1)


def unfit(sign: str, node: rule_tree.Formula, sort: Sort) -> str:
    """Say that a sign is not about something."""
    takes = "texts" if sign == "~" else "numbers and constants"
    return f"`{sign}` takes {takes}, and `{text_of(node)}` is {sort.value}"


def text_of(node: rule_tree.Formula) -> str:
    """A formula as messages show it."""
    return clip(node.span.text)
