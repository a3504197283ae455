"""What a pass looks for, written as a rule's `match` lines are."""

from contextlib import suppress

from qtnc.errors import Diagnostic, SpecError
from qtnc.rules.pattern import Equation
from qtnc.source import Source
from qtnc.spec.lets import Lets
from qtnc.spec.rules import tree as rule_tree
from qtnc.spec.rules.problems import EnoughError, Problems
from qtnc.spec.rules.rule import equations_alone
from qtnc.spec.syntax import recover
from qtnc.spec.wording import in_order


def read_equations(name: str, text: str) -> tuple[Equation, ...]:
    """Read ``y = Mul(MatMul(x, w: const), s: const scalar)``, an equation a line, the root last.

    Parameters
    ----------
    name : what messages call the text.

    Raises
    ------
    SpecError
        If it is wrong, with lines counted from 2, for the text is read as the inside of a rule.
    """
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    source = Source(name, "\n".join(["rule looked_for {", *(f"    match {line}" for line in lines), "}\n"]))
    tree, errors = recover(source)
    rules = [node for node in tree.statements if isinstance(node, rule_tree.Rule)]
    problems = Problems()
    found: tuple[Equation, ...] = ()
    if rules and not errors:
        with suppress(EnoughError):
            found = equations_alone(rules[0], Lets({}, {}, ()), problems)
    wrong = [*errors, *(problem.diagnostic for problem in problems)]
    if wrong or not found:
        raise SpecError(*(in_order(wrong) or [Diagnostic("nothing is looked for", place=name)]))
    return found
