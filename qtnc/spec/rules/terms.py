"""What a rule computes, from tree to term: every name known, every part of the sort that is wanted there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import onnx

from qtnc.errors import did_you_mean
from qtnc.rules import terms
from qtnc.rules.functions import FUNCTIONS, Function, Sort
from qtnc.rules.operators import CLASSES
from qtnc.rules.pattern import ANY
from qtnc.rules.terms import Term
from qtnc.source import Span
from qtnc.spec import atoms
from qtnc.spec.comparisons import pattern_of
from qtnc.spec.rules import tree as rule_tree
from qtnc.spec.rules.attributes import WANTED
from qtnc.spec.rules.kinds import ELEMENTS
from qtnc.spec.rules.names import MATCHED, ROLES, Known, Names, number_of
from qtnc.spec.rules.operators import ANYTHING, SORTS, Operator, in_capitals, is_operator, known_attribute, operator
from qtnc.spec.rules.problems import Problems
from qtnc.spec.rules.sorts import COMPUTED, fits, is_vector, joined, text_of, unfit, way_to
from qtnc.spec.values import RefusedError
from qtnc.spec.wording import clip

Sorted = tuple[Term, Sort | None]
"""A term and its sort; None where only the model tells, or something in it is wrong."""

_NOTHING: Final[Sorted] = (terms.Number(0), None)
"""In the place of what is wrong."""


@dataclass
class Terms:
    """Reads formulas over ``names``; what is wrong is added to ``problems``.

    Attributes
    ----------
    replaced : names that the rule replaces: no new node reads them.
    later : names that the rule lets: those that are not known yet are let further down.
    """

    names: Names
    problems: Problems
    replaced: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()

    def condition(self, node: rule_tree.Formula) -> Term:
        """A condition: a truth, or a constant all of whose elements must be true."""
        before = len(self.problems)
        term, sort = self.term(node)
        for part in terms.parts_of(term) if len(self.problems) == before else ():
            if isinstance(part, terms.Apply):
                title = clip(part.span.text if part.span else part.op)
                self.refuse(f"a condition makes no nodes: `{title}`", part.span or node.span, "ask of what is there")
                return term
        if sort in (Sort.VALUE, Sort.NUMBER, Sort.LIST, Sort.TEXT, Sort.DTYPE):
            way_out = "compare it, as in `s > 0`"
            self.refuse(f"`{text_of(node)}` is {sort.value} and no condition", node.span, way_out)
        return term

    def term(self, node: rule_tree.Formula) -> Sorted:
        """Read a formula and say of which sort it is."""
        try:
            match node:
                case atoms.Number():
                    return terms.Number(number_of(node), node.span), Sort.NUMBER
                case atoms.String(text):
                    return terms.Text(text, node.span), Sort.TEXT
                case atoms.Regex():
                    raise RefusedError("a pattern stands on the right of `~`", node.span, 'as in `name(y) ~ re"mlp"`')
                case atoms.Name():
                    return self.name(node)
                case rule_tree.Items():
                    return self.items(node)
                case rule_tree.Infix():
                    return self.infix(node)
                case rule_tree.Junction():
                    return self.junction(node)
                case rule_tree.Negative():
                    return self.negative(node)
                case rule_tree.Negated():
                    part, sort = self.term(node.part)
                    self.truth(node.part, sort, "not")
                    return terms.Not(part, node.span), Sort.TRUTH
                case rule_tree.Others():
                    raise RefusedError("`...` stands among what an operator reads", node.span, "as in `Concat(xs...)`")
                case rule_tree.Invocation():
                    return self.invocation(node)
        except RefusedError as problem:
            self.problems.append(problem)
            return _NOTHING

    def refuse(self, message: str, span: Span, way_out: str | None = None) -> None:
        """Note a mistake and go on."""
        self.problems.append(RefusedError(message, span, way_out))

    def name(self, node: atoms.Name) -> Sorted:
        """A name of the rule, a value that the spec lets, or an element type."""
        known = self.names.known.get(node.text)
        if known is not None and known.role == "others":
            way_out = f"write `{node.text}...` among what an operator reads"
            raise RefusedError(f"`{clip(node.text)}` is several values", node.span, way_out)
        if known is not None:
            return terms.Ref(node.text, node.span), known.sort
        if self.names.sees(node):
            return self.value(self.names.lets.value(node))
        if node.text in ELEMENTS:
            return terms.Ref(node.text, node.span), Sort.DTYPE
        if node.text == ANY:
            raise RefusedError("`_` names nothing", node.span, "name what is looked for, and write the name here")
        if node.text in self.later:
            raise RefusedError(f"`{clip(node.text)}` is let further down", node.span, "move the `let` up")
        if node.text in self.names.lost:
            return terms.Ref(node.text, node.span), None
        raise self.names.unknown(node)

    def value(self, node: atoms.Value) -> Sorted:
        """What a name that is let stands for."""
        if isinstance(node, atoms.Sequence):
            items = tuple(self.value(item)[0] for item in node.items)
            return terms.Items(items, node.span), Sort.LIST
        if isinstance(node, atoms.Name) and node.text not in ELEMENTS:
            raise RefusedError(f"`{clip(node.span.text)}` is a word that means nothing in a rule", node.span)
        return self.term(node)

    def items(self, node: rule_tree.Items) -> Sorted:
        """A list."""
        read = [self.term(item) for item in node.items]
        sorts = {sort for _, sort in read if sort is not None}
        for item, (_, sort) in zip(node.items, read, strict=True):
            if sort not in (Sort.NUMBER, Sort.TEXT, None):
                way_out = f"of a constant of one element write `max({text_of(item)})`" if sort == Sort.CONST else None
                self.refuse(f"a list holds numbers or texts, not {sort.value}", item.span, way_out)
        if sorts == {Sort.NUMBER, Sort.TEXT}:
            self.refuse("a list holds numbers or texts, not both", node.span)
        return terms.Items(tuple(term for term, _ in read), node.span), Sort.LIST

    def negative(self, node: rule_tree.Negative) -> Sorted:
        """``-a``."""
        part, sort = self.term(node.part)
        if isinstance(node.part, atoms.Number) and isinstance(part, terms.Number):
            return terms.Number(-part.value, node.span), sort
        if sort is not None and sort not in COMPUTED:
            way_out = f"write `Neg({text_of(node.part)})`" if sort == Sort.VALUE else None
            self.refuse(unfit("-", node.part, sort), node.part.span, way_out)
            sort = None
        return terms.Negative(part, node.span), sort

    def junction(self, node: rule_tree.Junction) -> Sorted:
        """``a and b``, ``a or b``."""
        whole: Term | None = None
        for part in node.parts:
            term, sort = self.term(part)
            self.truth(part, sort, node.sign)
            whole = term if whole is None else self.binary(node.sign, whole, term)
        assert whole is not None  # noqa: S101 - the grammar has two parts at least
        return whole, Sort.TRUTH

    def truth(self, node: rule_tree.Formula, sort: Sort | None, sign: str) -> None:
        """Refuse what `and`, `or` and `not` do not join."""
        if sort not in (Sort.TRUTH, Sort.CONST, None):
            self.refuse(f"`{sign}` takes conditions, and `{text_of(node)}` is {sort.value}", node.span)

    def infix(self, node: rule_tree.Infix) -> Sorted:
        """Parts with signs between them, from left to right."""
        left, sort = self.term(node.parts[0])
        text = text_of(node.parts[0])
        if node.signs[0].text == "~":
            return self.matches(node, left, sort)
        for sign, part in zip(node.signs, node.parts[1:], strict=True):
            right, other = self.term(part)
            try:
                sort = joined(sign.text, (node.parts[0], text, sort), (part, text_of(part), other))
            except RefusedError as problem:
                self.problems.append(problem)
                sort = None
            left = self.binary(sign.text, left, right)
            text = f"{text} {sign.text} {text_of(part)}"
        return left, sort

    def binary(self, sign: str, left: Term, right: Term) -> terms.Binary:
        """Two terms with a sign between them, at the place of both."""
        span = None
        if left.span and right.span and left.span.source is right.span.source:
            span = Span(left.span.source, left.span.start, right.span.end)
        return terms.Binary(cast("terms.Sign", sign), left, right, span)

    def matches(self, node: rule_tree.Infix, part: Term, sort: Sort | None) -> Sorted:
        """``name(y) ~ "glob"``."""
        pattern: rule_tree.Formula | atoms.Value = node.parts[1]
        if self.names.sees(pattern):
            pattern = self.names.lets.value(pattern)
        if sort not in (Sort.TEXT, None):
            self.refuse(unfit("~", node.parts[0], sort), node.parts[0].span, 'as in `name(y) ~ "*.mlp.*"`')
        if not isinstance(pattern, atoms.String | atoms.Regex):
            message = f'`~` takes a glob or `re"..."`, not `{text_of(node.parts[1])}`'
            raise RefusedError(message, node.parts[1].span)
        return terms.Matches(part, pattern_of(pattern), node.span), Sort.TRUTH

    def invocation(self, node: rule_tree.Invocation) -> Sorted:
        """A function, an operation done again, or a new node."""
        name, known = node.name.text, self.names.known.get(node.name.text)
        if known is not None and known.role == "operation":
            if name in FUNCTIONS:
                message = f"`{name}` is a function, and an operation that this rule names"
                raise RefusedError(message, node.name.span, "name the operation otherwise")
            return self.apply(node, known.operators, again=True)
        if "." in name or is_operator(name):
            return self.apply(node, (operator(name, node.name.span),), again=False)
        if name in FUNCTIONS:
            return self.call(node, FUNCTIONS[name])
        for argument in node.arguments:  # what is wrong in it is worth saying too
            if not isinstance(argument, rule_tree.Others):
                self.term(argument)
        raise self.unknown(node.name, known)

    def unknown(self, name: atoms.Name, known: Known | None) -> RefusedError:
        """Say that there is no such function or operator."""
        text = name.text
        if known is not None:
            way_out = "an operation is done again by a name that stands before it: `f: Relu(x)`, then `f(...)`"
            return RefusedError(f"`{clip(text)}` is {ROLES[known.role]}, and does nothing", name.span, way_out)
        if text in CLASSES:
            way_out = f"name what is found, `f: {text}(x)`, and write `f(...)`"
            return RefusedError(f"`{text}` is a class of operators", name.span, way_out)
        if text[0].isupper():
            try:
                operator(text, name.span)
            except RefusedError as problem:
                return problem
        operations = [n for n, k in self.names.known.items() if k.role == "operation"]
        near = in_capitals(text) or did_you_mean(text, (*FUNCTIONS, *operations))
        way_out = near or "operators begin with a capital letter"
        return RefusedError(f"unknown function `{clip(text)}`", name.span, way_out)

    def call(self, node: rule_tree.Invocation, function: Function) -> Sorted:
        """A function of the closed set."""
        name = node.name.text
        if node.settings:
            self.refuse(f"`{name}` is a function and has no attributes", node.settings[0].span)
        most, least = len(function.parameters), len(function.parameters) - function.optional
        wanted = function.parameters + (function.rest,) * (len(node.arguments) - most) if function.rest else None
        wanted = wanted or function.parameters
        arguments = tuple(
            self.argument(node.name, argument, sort) for argument, sort in zip(node.arguments, wanted, strict=False)
        )
        given = len(node.arguments)
        if given < least or given > len(wanted):
            few = str(least) if most == least else f"{least} to {most}"
            few = f"{least} or more" if function.rest else few
            self.refuse(
                f"`{name}` takes {few} argument{'' if few == '1' else 's'}, not {given}",
                node.span,
                self.form(name, function),
            )
        return terms.Call(name, arguments, node.span), function.result

    def form(self, name: str, function: Function) -> str:
        """What a function takes, in words."""
        taken = [sort.value for sort in function.parameters]
        return f"`{name}`: {function.meaning}; it takes {', '.join(taken)}"

    def argument(self, name: atoms.Name, node: rule_tree.Formula, wanted: Sort) -> Term:
        """What a function takes."""
        if wanted == Sort.VALUE:
            return self.measured(name, node)
        term, sort = self.term(node)
        known = self.names.known.get(node.text) if isinstance(node, atoms.Name) else None
        is_list = wanted == Sort.LIST and sort == Sort.CONST and known is not None and is_vector(known)
        if not fits(sort, wanted) and not is_list:
            assert sort is not None  # noqa: S101 - it fits everything
            message = f"`{name.text}` takes {wanted.value} here, and `{text_of(node)}` is {sort.value}"
            self.refuse(message, node.span, way_to(wanted, sort, node))
        return term

    def measured(self, name: atoms.Name, node: rule_tree.Formula) -> Term:
        """What a function asks of a value: one that the match found."""
        known = self.names.known.get(node.text) if isinstance(node, atoms.Name) else None
        if isinstance(node, atoms.Name) and known is not None and known.role in MATCHED:
            return terms.Ref(node.text, node.span)
        lost = isinstance(node, atoms.Name) and known is None and node.text in self.names.lost
        before = len(self.problems)
        term, _ = _NOTHING if lost else self.term(node)
        if not lost and len(self.problems) == before:
            way_out = "name what is looked for, as in `y = Mul(x, s)`, and ask of `x`, `s` or `y`"
            self.refuse(f"`{name.text}` asks of a value of the match, not of `{text_of(node)}`", node.span, way_out)
        return term

    def apply(self, node: rule_tree.Invocation, found: Sequence[Operator], *, again: bool) -> Sorted:
        """A new node."""
        inputs = tuple(self.input(argument) for argument in node.arguments)
        title, rest = node.name.text, any(isinstance(one, rule_tree.Others) for one in node.arguments)
        if found and len(inputs) > (most := max(one.most for one in found)):
            self.refuse(f"`{title}` reads {most} input{'' if most == 1 else 's'} at most", node.arguments[most].span)
        if found and len(inputs) < (least := min(one.least for one in found)) and not rest:
            self.refuse(f"`{title}` reads {least} input{'' if least == 1 else 's'}, not {len(inputs)}", node.span)
        attributes = tuple((one.name.text, self.setting(one, found, title)) for one in node.settings)
        said: set[str] = set()
        for one in node.settings:
            if one.name.text in said:
                self.refuse(f"`{clip(one.name.text)}` is said twice", one.name.span)
            said.add(one.name.text)
        for missing in () if again else sorted(found[0].required - said):
            self.refuse(
                f"`{title}` needs its attribute `{missing}`", node.name.span, f"write `{title}(...){{{missing} = ...}}`"
            )
        op = title.removeprefix("ai.onnx.") if is_operator(title.removeprefix("ai.onnx.")) else title
        return terms.Apply(op, inputs, attributes, again, node.span), Sort.VALUE

    def input(self, node: rule_tree.Formula) -> Term | None:
        """What a new node reads; None where it leaves an input out."""
        if isinstance(node, atoms.Name) and node.text == ANY:
            return None
        if isinstance(node, rule_tree.Others):
            known = self.names.known.get(node.name.text)
            if known is not None and known.role == "others":
                return terms.Ref(node.name.text, node.name.span)
            if known is None and node.name.text not in self.names.lost:
                self.problems.append(self.names.unknown(node.name))
            elif known is not None:
                self.refuse(
                    f"`{clip(node.name.text)}` is {ROLES[known.role]}, and not several",
                    node.span,
                    f"write `{clip(node.name.text)}`",
                )
            return _NOTHING[0]
        term, sort = self.term(node)
        if isinstance(term, terms.Ref) and term.name in self.replaced:
            way_out = "read what it reads, or name a new value by `let`"
            self.refuse(f"`{clip(term.name)}` is replaced, and no new node reads it", node.span, way_out)
        elif not fits(sort, Sort.VALUE):
            assert sort is not None  # noqa: S101 - it fits everything
            self.refuse(f"an operator reads values, and `{text_of(node)}` is {sort.value}", node.span)
        return term

    def setting(self, node: rule_tree.Setting, found: Sequence[Operator], title: str) -> Term:
        """The value of an attribute of a new node."""
        kind = None
        if found:
            try:
                kind = known_attribute(found, node.name.text, title, node.name.span)
            except RefusedError as problem:
                self.problems.append(problem)
        term, sort = self.term(node.value)
        if sort is None:
            return term
        types = onnx.defs.OpSchema.AttrType
        wanted = SORTS[kind] if kind is not None else None
        is_type = sort == Sort.DTYPE and kind in (None, types.INT)
        whole = kind != types.INT or not isinstance(term, terms.Number) or term.value == int(term.value)
        if not is_type and (
            sort in (Sort.VALUE, Sort.CONST, Sort.DTYPE, Sort.TRUTH) or wanted not in (None, sort) or not whole
        ):
            takes = WANTED[kind] if kind is not None else "a number, a text or a list of them"
            way_out = way_to(wanted or Sort.NUMBER, sort, node.value) if sort == Sort.CONST else None
            self.refuse(
                f"`{clip(node.name.text)}` takes {takes}, not `{text_of(node.value)}`", node.value.span, way_out
            )
        return term


def results_of(term: Term, names: Names) -> int:
    """How many results a term has at most."""
    if not isinstance(term, terms.Apply):
        return 1
    if term.again:
        known = names.known.get(term.op)
        return max((one.results for one in known.operators), default=ANYTHING) if known else ANYTHING
    return operator(term.op, term.span or names.place).results
