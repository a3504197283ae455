"""Text to tree. All syntax errors of a source are found at once; the only file that knows the parser generator."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from lark import Lark, Token, Transformer_NonRecursive, UnexpectedToken
from lark.lexer import PatternStr
from lark.parsers.lalr_interactive_parser import InteractiveParser
from lark.tree import Meta

from qtnc.errors import Diagnostic, SpecError
from qtnc.source import Source, Span
from qtnc.spec import tree, wording
from qtnc.spec.layout import Lexeme, Stretch, Vocabulary, stretches
from qtnc.spec.rules import tree as rule_tree

MAX_LENGTH = 1 << 18
"""Characters of a spec: far above any written by hand, and read in seconds."""


def parse(source: Source) -> tree.SpecTree:
    """Read a spec.

    Raises
    ------
    SpecError
        With one diagnostic for every statement that is wrong.
    """
    found, errors = recover(source)
    if errors:
        raise SpecError(*errors)
    return found


def recover(source: Source) -> tuple[tree.SpecTree, tuple[Diagnostic, ...]]:
    """Read what can be read of a spec, and say what is wrong with the rest."""
    if len(source.text) > MAX_LENGTH:
        return tree.SpecTree(source, ()), (wording.too_long(source.name, MAX_LENGTH),)
    found: list[tuple[Stretch, Any]] = []
    errors: list[Diagnostic] = []
    lost: set[str] = set()
    for stretch in stretches(source, lexemes(source.text), vocabulary()):
        outcome = _statement(source, stretch)
        if isinstance(outcome, tree.Header) and outcome.version.text != "1":
            # Another version has another grammar: no further complaint would make sense.
            return tree.SpecTree(source, ()), (wording.other_version(outcome),)
        if isinstance(outcome, list):
            errors += outcome
            lost.update(lexeme.text for lexeme in stretch.lexemes)
        found.append((stretch, outcome))
        if len(errors) > wording.MAX_ERRORS:
            break
    return tree.SpecTree(source, _nested(found), frozenset(lost)), tuple(wording.in_order(errors))


def _nested(found: Sequence[tuple[Stretch, Any]]) -> tuple[tree.Statement, ...]:
    """Put statements into the blocks that they stand in: from the last to the first, so that blocks are whole."""
    inside: defaultdict[Stretch | None, list[Any]] = defaultdict(list)
    lost: defaultdict[Stretch | None, set[str]] = defaultdict(set)
    for stretch, outcome in reversed(found):
        around, within = inside[stretch.block], inside.pop(stretch, [])
        if isinstance(outcome, list):
            lost[stretch.block].update(lexeme.text for lexeme in stretch.lexemes)
            # Where the first line of a stage is lost, what stands in it is still worth checking.
            around += [statement for statement in within if isinstance(statement, tree.Rewrite)]
        elif isinstance(outcome, tree.Stage):
            around.append(replace(outcome, statements=tuple(within[::-1])))
        elif isinstance(outcome, rule_tree.Rule | rule_tree.Example):
            parts: Any = tuple(within[::-1])
            around.append(replace(outcome, statements=parts, lost=frozenset(lost[stretch])))
        else:
            around.append(outcome)
    return tuple(inside[None][::-1])


def read_value(source: Source) -> tree.Value | None:
    """Read a text that is one value as it stands after ``let NAME =``, and nothing else; None where it is none."""
    found, errors = recover(Source(source.name, f"let x = {source.text}"))
    let = found.statements[0] if len(found.statements) == 1 and not errors else None
    if not isinstance(let, tree.Let):
        return None
    return replace(let.value, span=Span(source, 0, len(source.text)))


def _statement(source: Source, stretch: Stretch) -> tree.Statement | rule_tree.Part | list[Diagnostic]:
    """Parse one statement, or say what is wrong with it."""
    words = vocabulary()
    first = stretch.lexemes[0]
    place = Span(source, first.start, first.end)
    if first.text in words.reserved:
        return [wording.not_yet(first.text, place)]
    if stretch.problems:
        return stretch.problems
    around = stretch.block.word if stretch.block else None
    if first.text not in (words.blocks[around] if around else words.statements):
        return [wording.out_of_place(first, place, words, around)]
    built = _parse(source, stretch)
    if isinstance(built, tree.Rewrite):
        later = [call.name for call in built.chain if call.name.text in words.reserved]
        return [wording.not_yet(name.text, name.span) for name in later] or built
    return [built] if isinstance(built, Diagnostic) else built


def _parse(source: Source, stretch: Stretch) -> tree.Statement | rule_tree.Part | Diagnostic:
    """Feed the parser lexeme by lexeme.

    A word of the language is a name where the parser would take a name and not the word. The contextual lexer would
    know that too, but where it expects ``on`` it sees one in ``once``. For the same reason ``s -1`` and ``s *x3`` are
    what they are read as: where arithmetic stands, a sign is one.
    """
    block = stretch.block.word if stretch.block else None
    parser = begin(block)
    read: list[Lexeme] = []
    token = Token("", "")
    for token in tokens_for(parser, stretch.lexemes, block):
        lexeme = Lexeme(token.type, str(token), token.start_pos or 0, token.line or 1)
        try:
            parser.feed_token(token)
        except UnexpectedToken:
            # A reserved word may have passed for a name: `-> best of {...}`.
            if read[-1].text in vocabulary().reserved:
                return wording.not_yet(read[-1].text, Span(source, read[-1].start, read[-1].end))
            return _expected(parser, Span(source, lexeme.start, lexeme.end), read, block)
        read.append(lexeme)
    try:
        parsed = parser.feed_eof(token)  # type: ignore[no-untyped-call]
    except UnexpectedToken:
        return _expected(parser, Span(source, read[-1].end, read[-1].end), read, block)
    return build(source, parsed)


def begin(block: str | None = None) -> InteractiveParser:
    """Parser at the beginning of a statement, in a block that begins with this word."""
    return _parser().parse_interactive("", start=f"in_{block}" if block else "statement")


def tokens_for(parser: InteractiveParser, lexemes: Iterable[Lexeme], block: str | None) -> Iterator[Token]:
    """Lexemes as the parser takes them where they stand; it is fed each before the next is asked for.

    A word is a name where a name may come and not the word; where arithmetic is taken, a sign stands alone.
    """
    left = [*lexemes][::-1]
    while left:
        lexeme = left.pop()
        choices: dict[str, Any] = parser.choices()  # type: ignore[no-untyped-call]
        if block in vocabulary().computing and _SIGNED.get((lexeme.kind, lexeme.text[:1])) in choices:
            left += signed(lexeme)[::-1]
            lexeme = left.pop()
        word = lexeme.text.isidentifier() and lexeme.kind not in vocabulary().operators
        kind = "NAME" if word and lexeme.kind not in choices and "NAME" in choices else lexeme.kind
        yield Token(kind, lexeme.text, lexeme.start, lexeme.line, end_pos=lexeme.end)


def build(source: Source, parsed: Any) -> "tree.Statement | rule_tree.Part":
    """What a parse of a whole statement of ``source`` stands for."""
    built: tree.Statement | rule_tree.Part = _Build(source).transform(parsed)
    return built


_SIGNED = {("NUMBER", "-"): "MINUS", ("NUMBER", "+"): "PLUS", ("SHAPE", "*"): "STAR"}
"""Lexemes that begin with a sign of arithmetic, by kind and sign, and the kind that the sign has alone."""


def signed(lexeme: Lexeme) -> list[Lexeme]:
    """A lexeme as its sign and what stands behind it, where it begins with a sign of arithmetic; else itself."""
    if (lexeme.kind, lexeme.text[0]) not in _SIGNED:
        return [lexeme]
    sign = Lexeme(_SIGNED[lexeme.kind, lexeme.text[0]], lexeme.text[0], lexeme.start, lexeme.line)
    rest = [replace(x, start=lexeme.start + 1 + x.start, line=lexeme.line) for x in lexemes(lexeme.text[1:])]
    return [sign, *rest]


def _expected(parser: InteractiveParser, place: Span, read: list[Lexeme], block: str | None) -> Diagnostic:
    accepted: set[str] = parser.accepts()  # type: ignore[no-untyped-call]
    return wording.expected(place, read, accepted, spelling(), block)


LISTS = ("operator", "opening", "closing", "computing", "arithmetic", "foreign", "reserved", "mistake")
"""Rules of the grammar that are lists."""


@cache
def _parser() -> Lark:
    return _lark("lalr")


@cache
def _lexer() -> Lark:
    return _lark(None)  # one with a parser would make its lexer anew for every text


def _lark(parser: Literal["lalr"] | None) -> Lark:
    grammar = files("qtnc.grammar").joinpath("qtn.lark").read_text(encoding="utf-8")
    blocks = [f"in_{block}" for block in wording.INSIDE]
    starts = ["statement", *blocks, *LISTS]
    return Lark(grammar, parser=parser, lexer="basic", start=starts, propagate_positions=True)


def lexemes(text: str) -> list[Lexeme]:
    """Everything in a text but space and comments, each under the kind that the grammar has for its spelling."""
    return [Lexeme(t.type, str(t), t.start_pos or 0, t.line or 1) for t in _lexer().lex(text)]


@cache
def spelling() -> dict[str, str]:
    """Terminals that are spelled in one way, and how."""
    spelled = {t.name: t.pattern.value for t in _parser().terminals if isinstance(t.pattern, PatternStr)}
    return {**spelled, "_ARROW": "->"}


def patterns() -> dict[str, str]:
    """Regular expressions of the terminals that are spelled in more ways than one."""
    return {t.name: t.pattern.value for t in _parser().terminals if not isinstance(t.pattern, PatternStr)}


def expansions() -> list[tuple[str, tuple[str, ...]]]:
    """The rules of the grammar: the name of each, and what it is made of."""
    return [(str(r.origin.name), tuple(symbol.name for symbol in r.expansion)) for r in _parser().rules]


@cache
def vocabulary() -> Vocabulary:
    """Read from the grammar what it says about lines and words."""

    def kinds(rule: str) -> frozenset[str]:
        return frozenset(r.expansion[0].name for r in _parser().rules if r.origin.name == rule)

    def words(rule: str, order: Iterable[str]) -> tuple[str, ...]:
        """Words that begin the statements of a rule."""
        expansions = [r.expansion for r in _parser().rules if r.origin.name in kinds(rule)]
        begin = {spelling()[e[0].name] for e in expansions}
        return tuple(word for word in order if word in begin)

    return Vocabulary(
        operators=kinds("operator"),
        openings=kinds("opening"),
        closings=kinds("closing"),
        mistakes=kinds("mistake"),
        statements=words("statement", wording.FORMS),
        blocks={block: words(f"in_{block}", forms) for block, forms in wording.INSIDE.items()},
        computing=frozenset(spelling()[kind] for kind in kinds("computing")),
        arithmetic=kinds("arithmetic"),
        foreign=kinds("foreign"),
        reserved=tuple(sorted(spelling()[kind] for kind in kinds("reserved"))),
    )


class _Build(Transformer_NonRecursive[Token, Any]):
    """Parse tree to nodes: a line for every rule of the grammar that leaves a node, by the name of the rule."""

    def __init__(self, source: Source) -> None:
        super().__init__(visit_tokens=True)
        self.source = source

    def __default__(self, data: str, children: list[Any], meta: Meta) -> Any:
        """Build the node that the rule ``data`` stands for."""
        return _NODES[data](*children, Span(self.source, meta.start_pos, meta.end_pos))

    def __default_token__(self, token: Token) -> Any:
        """Build the node that a terminal stands for."""
        return _LEAVES[token.type](str(token), Span(self.source, token.start_pos or 0, token.end_pos or 0))


SIGNS = ("PLUS", "MINUS", "STAR", "SLASH", "FLOOR", "PERCENT", "AT", "POWER", "MISSING", "REST")

_LEAVES: dict[str, Callable[[str, Span], Any]] = {
    "NAME": tree.Name,
    "NUMBER": tree.Number,
    "SHAPE": tree.Number,
    "STRING": lambda text, span: tree.String(text[1:-1], span),
    "REGEX": lambda text, span: tree.Regex(text[3:-1], span),
    "RECIPE": lambda text, span: tree.Recipe(text[1:-1], span),
    "COMPARATOR": tree.Comparator,
    **dict.fromkeys(SIGNS, rule_tree.Sign),
    "TOP": tree.Name,
    "BOTTOM": tree.Name,
    "UPSTREAM": tree.Name,
    "DOWNSTREAM": tree.Name,
}

_NODES: dict[str, Callable[..., Any]] = {
    "header": tree.Header,
    "include": tree.Include,
    "use": tree.Use,
    "let": tree.Let,
    "bind": lambda *parts: tree.Bind(parts[:-1], parts[-1]),
    "binding": tree.Binding,
    "data": tree.Data,
    "optimize": tree.Optimize,
    "select": tree.Select,
    "rewrite": tree.Rewrite,
    "ignore": tree.Ignore,
    "chain": lambda *parts: parts[:-1],
    "stage": lambda name, base, span: tree.Stage(name, base, (), span),
    "rule": lambda name, span: rule_tree.Rule(name, (), frozenset(), span),
    "match": rule_tree.Match,
    "where": rule_tree.Where,
    "given": rule_tree.Given,
    "replace": rule_tree.Replace,
    "within": rule_tree.Within,
    "example": lambda span: rule_tree.Example((), frozenset(), span),
    "before": rule_tree.Before,
    "after": rule_tree.After,
    "emit": tree.Emit,
    "verify": tree.Verify,
    "filtered": tree.Filtered,
    "either": lambda *parts: tree.Either(parts[:-1], parts[-1]),
    "both": lambda *parts: tree.Both(parts[:-1], parts[-1]),
    "complement": tree.Complement,
    "without": tree.Complement,
    "top": tree.Top,
    "reach": tree.Reach,
    "layers": tree.Layers,
    "everything": tree.Everything,
    "comparison": tree.Comparison,
    "membership": tree.Membership,
    "divisible": tree.Divisible,
    "field": lambda *parts: tree.Name(".".join(part.text for part in parts[:-1]), parts[-1]),
    "call": lambda name, *parts: tree.Call(name, parts[:-1], parts[-1]),
    "named": tree.Argument,
    "positional": lambda value, span: tree.Argument(None, value, span),
    "word": lambda name, span: name,
    "list": lambda *parts: tree.Sequence(parts[:-1], parts[-1]),
    "names": lambda *parts: parts[:-1],
    "alternatives": lambda *parts: rule_tree.Alternatives(parts[:-1], parts[-1]),
    "capture": lambda name, mark, *parts: rule_tree.Capture(name, mark, parts[:-1], parts[-1]),
    "labelled": rule_tree.Labelled,
    "operation": lambda op, inputs, held, span: rule_tree.Operation(op, inputs or (), held or (), span),
    "inputs": lambda *parts: parts[:-1],
    "attributes": lambda *parts: parts[:-1],
    "attribute": rule_tree.Attribute,
    "counted": rule_tree.Counted,
    "axes": lambda *parts: rule_tree.Axes(parts[:-1], parts[-1]),
    "dotted": lambda *parts: tree.Name(".".join(part.text for part in parts[:-1]), parts[-1]),
    "any_of": lambda *parts: rule_tree.Junction("or", parts[:-1], parts[-1]),
    "all_of": lambda *parts: rule_tree.Junction("and", parts[:-1], parts[-1]),
    "negated": rule_tree.Negated,
    "negative": rule_tree.Negative,
    "infix": lambda *parts: rule_tree.Infix(parts[:-1:2], parts[1:-1:2], parts[-1]),
    "invocation": lambda name, read, held, span: rule_tree.Invocation(name, read or (), held or (), span),
    "arguments": lambda *parts: parts[:-1],
    "others": rule_tree.Others,
    "settings": lambda *parts: parts[:-1],
    "setting": rule_tree.Setting,
    "items": lambda *parts: rule_tree.Items(parts[:-1], parts[-1]),
}
"""What each rule's children, and last the span, become."""
