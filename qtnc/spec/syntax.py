"""Text to tree. All syntax errors of a source are found at once; the only file that knows the parser generator."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer_NonRecursive, UnexpectedToken
from lark.lexer import PatternStr
from lark.parsers.lalr_interactive_parser import InteractiveParser
from lark.tree import Meta

from qtnc.errors import Diagnostic, SpecError
from qtnc.source import Source, Span
from qtnc.spec import tree, wording
from qtnc.spec.layout import Lexeme, Stretch, Vocabulary, stretches

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
    statements: list[tree.Statement] = []
    errors: list[Diagnostic] = []
    lost: set[str] = set()
    inside: dict[int, list[tree.Statement]] = {}  # what stands in a stage, by where the stage begins
    for stretch in stretches(source, lexemes(source.text), vocabulary()):
        outcome = _statement(source, stretch)
        if isinstance(outcome, tree.Header) and outcome.version.text != "1":
            # Another version has another grammar: no further complaint would make sense.
            return tree.SpecTree(source, ()), (wording.other_version(outcome),)
        if isinstance(outcome, list):
            errors += outcome
            lost.update(lexeme.text for lexeme in stretch.lexemes)
        else:
            # Where the first line of a stage is lost, what stands in it is still worth checking.
            around = inside.get(stretch.stage.start, statements) if stretch.stage else statements
            around.append(outcome)
            if isinstance(outcome, tree.Stage):
                inside[stretch.start] = []
        if len(errors) > wording.MAX_ERRORS:
            break
    whole = tuple(
        replace(s, statements=tuple(inside[s.span.start])) if isinstance(s, tree.Stage) else s for s in statements
    )
    return tree.SpecTree(source, whole, frozenset(lost)), tuple(wording.in_order(errors))


def read_value(source: Source) -> tree.Value | None:
    """Read a text that is one value as it stands after ``let NAME =``, and nothing else; None where it is none."""
    found, errors = recover(Source(source.name, f"let x = {source.text}"))
    let = found.statements[0] if len(found.statements) == 1 and not errors else None
    if not isinstance(let, tree.Let):
        return None
    return replace(let.value, span=Span(source, 0, len(source.text)))


def _statement(source: Source, stretch: Stretch) -> tree.Statement | list[Diagnostic]:
    """Parse one statement, or say what is wrong with it."""
    words = vocabulary()
    first = stretch.lexemes[0]
    place = Span(source, first.start, first.end)
    if first.text in words.reserved:
        return [wording.not_yet(first.text, place)]
    if stretch.problems:
        return stretch.problems
    if first.text not in words.statements:
        return [wording.unknown_statement(first, place, words, within=stretch.stage is not None)]
    if stretch.stage and first.text not in words.inside:
        return [wording.outside(first.text, place, words)]
    built = _parse(source, stretch)
    if isinstance(built, tree.Rewrite):
        later = [call.name for call in built.chain if call.name.text in words.reserved]
        return [wording.not_yet(name.text, name.span) for name in later] or built
    return [built] if isinstance(built, Diagnostic) else built


def _parse(source: Source, stretch: Stretch) -> tree.Statement | Diagnostic:
    """Feed the parser lexeme by lexeme.

    A word of the language is a name where the parser would take a name and not the word. The contextual lexer would
    know that too, but where it expects ``on`` it sees one in ``once``.
    """
    parser = begin()
    read: list[Lexeme] = []
    token = Token("", "")
    for lexeme in stretch.lexemes:
        token = token_for(parser, lexeme)
        try:
            parser.feed_token(token)
        except UnexpectedToken:
            # A reserved word may have passed for a name: `-> best of {...}`.
            if read[-1].text in vocabulary().reserved:
                return wording.not_yet(read[-1].text, Span(source, read[-1].start, read[-1].end))
            return _expected(parser, Span(source, lexeme.start, lexeme.end), read)
        read.append(replace(lexeme, kind=token.type))
    try:
        parsed = parser.feed_eof(token)  # type: ignore[no-untyped-call]
    except UnexpectedToken:
        return _expected(parser, Span(source, read[-1].end, read[-1].end), read)
    return build(source, parsed)


def begin() -> InteractiveParser:
    """Parser at the beginning of a statement."""
    return _parser().parse_interactive("", start="statement")


def token_for(parser: InteractiveParser, lexeme: Lexeme) -> Token:
    """A lexeme as the parser takes it where it stands: for a name, where a name may come and not the word."""
    choices: dict[str, Any] = parser.choices()  # type: ignore[no-untyped-call]
    word = lexeme.text.isidentifier() and lexeme.kind not in vocabulary().operators
    kind = "NAME" if word and lexeme.kind not in choices and "NAME" in choices else lexeme.kind
    return Token(kind, lexeme.text, lexeme.start, end_pos=lexeme.end)


def build(source: Source, parsed: Any) -> tree.Statement:
    """What a parse of a whole statement of ``source`` stands for."""
    built: tree.Statement = _Build(source).transform(parsed)
    return built


def _expected(parser: InteractiveParser, place: Span, read: list[Lexeme]) -> Diagnostic:
    accepted: set[str] = parser.accepts()  # type: ignore[no-untyped-call]
    return wording.expected(place, read, accepted, spelling())


@cache
def _parser() -> Lark:
    grammar = files("qtnc.grammar").joinpath("qtn.lark").read_text(encoding="utf-8")
    starts = ["statement", "inside", "operator", "opening", "closing", "reserved", "mistake"]
    return Lark(grammar, parser="lalr", lexer="basic", start=starts, propagate_positions=True)


def lexemes(text: str) -> list[Lexeme]:
    """Everything in a text but space and comments, each under the kind that the grammar has for its spelling."""
    return [Lexeme(t.type, str(t), t.start_pos or 0, t.line or 1) for t in _parser().lex(text)]


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

    def words(rule: str, last: str | None = None) -> tuple[str, ...]:
        """Words that begin the statements of a rule; with ``last``, those of them that end so."""
        expansions = [r.expansion for r in _parser().rules if r.origin.name in kinds(rule)]
        begin = {spelling()[e[0].name] for e in expansions if last in (None, e[-1].name)}
        return tuple(word for word in wording.FORMS if word in begin)

    return Vocabulary(
        operators=kinds("operator"),
        openings=kinds("opening"),
        closings=kinds("closing"),
        mistakes=kinds("mistake"),
        statements=words("statement"),
        stages=words("statement", last="LBRACE"),
        inside=words("inside"),
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


_LEAVES: dict[str, Callable[[str, Span], Any]] = {
    "NAME": tree.Name,
    "NUMBER": tree.Number,
    "SHAPE": tree.Number,
    "STRING": lambda text, span: tree.String(text[1:-1], span),
    "REGEX": lambda text, span: tree.Regex(text[3:-1], span),
    "RECIPE": lambda text, span: tree.Recipe(text[1:-1], span),
    "COMPARATOR": tree.Comparator,
    "TOP": tree.Name,
    "BOTTOM": tree.Name,
    "UPSTREAM": tree.Name,
    "DOWNSTREAM": tree.Name,
}

_NODES: dict[str, Callable[..., Any]] = {
    "header": tree.Header,
    "include": tree.Include,
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
}
"""What each rule's children, and last the span, become."""
