"""A ``rule`` from tree to meaning: what it looks for, what it computes, and its examples, or all that is wrong."""

from collections.abc import Collection, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from qtnc.rules.functions import Sort
from qtnc.rules.pattern import ANY, Equation, parts_of
from qtnc.rules.rule import Example, SpecRule
from qtnc.rules.terms import Ref, Step, Term, Where
from qtnc.source import Span
from qtnc.spec import atoms
from qtnc.spec.layout import MAX_DEPTH
from qtnc.spec.lets import Lets
from qtnc.spec.rules import tree as rule_tree
from qtnc.spec.rules.examples import settled
from qtnc.spec.rules.names import ROLES, Known, Names
from qtnc.spec.rules.patterns import Patterns
from qtnc.spec.rules.problems import Problems
from qtnc.spec.rules.reach import unreached
from qtnc.spec.rules.terms import Terms, results_of
from qtnc.spec.values import RefusedError, fraction, listing
from qtnc.spec.wording import clip

Statement = TypeVar("Statement")

MAX_PARTS = 150
"""Operations and values that a rule looks for: matching recurs over all of them, and stays within Python's stack."""


def spec_rule(node: rule_tree.Rule, lets: Lets, lost: Collection[str], problems: Problems) -> SpecRule:
    """Check a rule and give it its meaning.

    Parameters
    ----------
    node
        As written.
    lets
        Values that the spec lets above.
    lost
        Words of statements that could not be read: a name among them is no second error.
    problems
        What is wrong is added to these; what is returned is of no use then.

    Raises
    ------
    EnoughError
        If more is wrong than is shown.
    """
    sound = [statement for statement in node.statements if _is_shallow(statement, problems)]
    is_whole = len(sound) == len(node.statements) and not node.lost
    reader = _Reader(Names(lets, lost, node.span), problems)
    matches, replaces = _of(sound, rule_tree.Match), _of(sound, rule_tree.Replace)
    before = len(problems)
    equations = reader.patterns.equations(matches)
    if not matches and is_whole:
        reader.refuse("a rule looks for something", node.span, "add `match NAME = OP(...)`")
    if not replaces and is_whole:
        reader.refuse(
            "a rule replaces something", node.span, "add `replace NAME = ...`, the name being that of a result"
        )
    if not matches:  # nothing is known of names
        return SpecRule(node.name.text, (), (), None, (), node.span)
    reader.bounded(equations, node.span, before)
    reader.terms.replaced = reader.replaced(replaces)
    lines = reader.lines([one for one in sound if isinstance(one, rule_tree.Where | rule_tree.Assignment)])
    shares = _of(sound, rule_tree.Within)
    for again in shares[1:]:
        place = shares[0].span.seen_from(again.span)
        reader.refuse(f"`within` is already said at {place}", again.span, "drop one of the two")
    within = reader.within(shares[0], lets) if shares else None
    examples = tuple(_example(one, lets, lost, problems) for one in _of(sound, rule_tree.Example))
    return SpecRule(node.name.text, equations, lines, within, examples, node.span)


def equations_alone(node: rule_tree.Rule, lets: Lets, problems: Problems) -> tuple[Equation, ...]:
    """What a rule looks for, without the rest of it; what is wrong is added to ``problems``."""
    sound = [statement for statement in node.statements if _is_shallow(statement, problems)]
    reader = _Reader(Names(lets, (), node.span), problems)
    equations = reader.patterns.equations(_of(sound, rule_tree.Match))
    reader.bounded(equations, node.span, 0)
    return equations


def _example(node: rule_tree.Example, lets: Lets, lost: Collection[str], problems: Problems) -> Example:
    """Check an example."""
    sound = [statement for statement in node.statements if _is_shallow(statement, problems)]
    reader = _Reader(Names(lets, lost, node.span, "names are those of what is `before`"), problems)
    befores, afters = _of(sound, rule_tree.Before), _of(sound, rule_tree.After)
    known = len(problems)
    equations = reader.patterns.equations(befores)
    if not befores and not node.lost and len(sound) == len(node.statements):
        reader.refuse("an example is about a graph", node.span, "add `before NAME = OP(NAME: float[2, 3], ...)`")
    if not befores:
        return Example((), (), node.span)
    if len(problems) == known:
        problems += settled(equations)
    reader.terms.replaced = reader.replaced(afters)
    steps = tuple(line for line in reader.lines(afters) if isinstance(line, Step))
    if afters and not node.lost and not any(step.replaces for step in steps):
        reader.refuse(
            "nothing of what is `before` is replaced", afters[-1].span, "`after y = ...` says what `y` is then"
        )
    return Example(equations, steps, node.span)


class _Reader:
    """Reads one rule or one example."""

    def __init__(self, names: Names, problems: Problems) -> None:
        self.names = names
        self.problems = problems
        self.patterns = Patterns(names, problems)
        self.terms = Terms(names, problems)

    def refuse(self, message: str, span: Span, way_out: str | None = None) -> None:
        """Note a mistake and go on."""
        self.problems.append(RefusedError(message, span, way_out))

    def is_result(self, name: str) -> bool:
        """Whether a name is that of something that may be replaced."""
        return name in self.names.known and self.names.known[name].role in ("result", "operation")

    def bounded(self, equations: Sequence[Equation], place: Span, before: int) -> None:
        """Refuse more than matching can follow, and where nothing is wrong since ``before``, what is never reached."""
        parts = sum(1 for equation in equations for _ in parts_of(equation.operation))
        if parts > MAX_PARTS:
            message = f"a rule looks for {MAX_PARTS} operations and values at most, not {parts:,}"
            self.refuse(message, place, "say less of what is looked for, or write two rules")
        if len(self.problems) == before:
            self.problems += unreached(equations)

    def replaced(self, nodes: Sequence[rule_tree.Assignment]) -> frozenset[str]:
        """Results that steps replace."""
        return frozenset(name.text for node in nodes for name in node.names if self.is_result(name.text))

    def within(self, node: rule_tree.Within, lets: Lets) -> float | None:
        """The largest error that a rule may make."""
        try:
            return fraction("`within`", lets.value(node.share) if self.names.sees(node.share) else node.share)
        except RefusedError as problem:
            self.problems.append(problem)
            return None

    def lines(self, nodes: Sequence[rule_tree.Where | rule_tree.Assignment]) -> tuple[Where | Step, ...]:
        """What is asked, computed and put in place, in order."""
        found: list[Where | Step] = []
        done: dict[str, Span] = {}
        let = [name.text for node in nodes if isinstance(node, rule_tree.Given) for name in node.names]
        self.terms.later = frozenset(let)  # those read are known, and looked up before
        for node in nodes:
            if isinstance(node, rule_tree.Where):
                found.append(Where(self.terms.condition(node.condition)))
                continue
            known = len(self.problems)
            term, sort = self.terms.term(node.formula)
            if len(node.names) > 1 and len(self.problems) == known:
                self.several(node, term)
            replaces = not isinstance(node, rule_tree.Given) and self.replaces(node, done)
            if replaces:
                self.replacement(node, term, sort)
            else:
                self.made(node, term, sort)
            found.append(Step(tuple(name.text for name in node.names), term, replaces, node.span))
        return tuple(found)

    def several(self, node: rule_tree.Assignment, term: Term) -> None:
        """Check that there is a result for each of several names."""
        if (most := results_of(term, self.names)) < len(node.names):
            results = "1 result" if most == 1 else f"{most} results"
            self.refuse(f"`{clip(node.formula.span.text)}` has {results}", node.names[most].span)

    def replaces(self, node: rule_tree.Assignment, done: dict[str, Span]) -> bool:
        """Whether the names of a step are results of what is there."""
        is_after, old = isinstance(node, rule_tree.After), []
        for name in node.names:
            if name.text == ANY:
                if len(node.names) == 1:
                    self.refuse("`_` is no result", name.span, "say what is replaced")
                continue
            is_result = self.is_result(name.text)
            old.append(is_result)
            if not is_result and not is_after and name.text not in self.names.lost:
                self.no_result(name)
            if is_result and name.text in done:
                place = done[name.text].seen_from(name.span)
                self.refuse(f"`{clip(name.text)}` is already replaced at {place}", name.span)
            done.setdefault(name.text, name.span)
        if is_after and True in old and False in old:
            self.refuse("some of these are results of what is `before`, and some are not", node.span, "say them apart")
        return not is_after or True in old

    def no_result(self, name: atoms.Name) -> None:
        """Say that a name is none that may be replaced."""
        known, results = self.names.known.get(name.text), [n for n in self.names.known if self.is_result(n)]
        listed = listing(map(clip, results[:10]))
        what = f"is {ROLES[known.role]}, and no result of the match" if known else "is no result of the match"
        self.refuse(f"`{clip(name.text)}` {what}", name.span, f"results are {listed}" if results else None)

    def replacement(self, node: rule_tree.Assignment, term: Term, sort: Sort | None) -> None:
        """Check what stands in the place of a result."""
        if sort in (Sort.TEXT, Sort.DTYPE, Sort.TRUTH):
            self.refuse(f"`{clip(node.formula.span.text)}` is {sort.value}, and no value", node.formula.span)
        if isinstance(term, Ref) and term.name in (name.text for name in node.names):
            self.refuse(f"`{clip(term.name)}` is replaced by itself", node.formula.span)
        elif isinstance(term, Ref) and term.name in self.terms.replaced:
            way_out = "name a new value by `let`"
            self.refuse(f"`{clip(term.name)}` is replaced itself", node.formula.span, way_out)

    def made(self, node: rule_tree.Assignment, term: Term, sort: Sort | None) -> None:
        """Know new names by what they are let."""
        for name in node.names:
            if name.text == ANY:
                if len(node.names) == 1:
                    self.refuse("`_` names nothing", name.span)
                continue
            try:
                self.names.declare(name, Known("made", sort, name.span))
            except RefusedError as problem:
                self.problems.append(problem)


def _of(statements: Sequence[Any], kind: type[Statement]) -> list[Statement]:
    return [statement for statement in statements if isinstance(statement, kind)]


_IN_A_ROW = (rule_tree.Infix, rule_tree.Junction, rule_tree.Alternatives)


def _is_shallow(statement: Any, problems: Problems) -> bool:
    """Whether a statement is one over which recursion stays within Python's stack; refuses it where not."""
    if isinstance(statement, rule_tree.Example):
        return True
    stack: list[tuple[Any, int]] = [(statement, 0)]
    while stack:
        node, depth = stack.pop()
        if isinstance(node, tuple):
            stack += [(part, depth) for part in node]
            continue
        if not is_dataclass(node) or isinstance(node, Span | type):
            continue
        # Parts with signs between them become terms within terms; alternatives are compared with one another.
        joined = len(node.parts) - 1 if isinstance(node, _IN_A_ROW) else 1
        if depth + joined > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} operations are nested or in a row"
            is_equation = isinstance(statement, rule_tree.Equation)
            way_out = "give a part of it a `match` of its own" if is_equation else "name a part of it by `let`"
            problems.append(RefusedError(message, statement.span, way_out))
            return False
        stack += [(getattr(node, part.name), depth + joined) for part in fields(node)]
    return True
