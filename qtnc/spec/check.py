"""Tree to program: every name known, every value of its kind, or all that is wrong at once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

from qtnc.errors import Diagnostic, SpecError, did_you_mean
from qtnc.source import Span
from qtnc.spec import program, tree
from qtnc.spec.conditions import Scope, is_op, predicate, unknown_selector
from qtnc.spec.values import READERS, RefusedError, count, fraction, listing
from qtnc.spec.wording import MAX_ERRORS, clip, in_order
from qtnc.structures.options import options_of


def check(
    spec: tree.SpecTree, structures: Mapping[str, type[Any]], backends: Collection[str], folder: Path
) -> program.Spec:
    """Check a spec and give it its meaning.

    Parameters
    ----------
    spec
        What was read.
    structures
        What a rewrite may name. Options are the fields of each; one with a ``check()`` may refuse their combination.
    backends
        What may be emitted.
    folder
        Where relative paths start.

    Raises
    ------
    SpecError
        With every mistake, in order of place.
    """
    checker = _Checker(spec, structures, backends, folder)
    checker.whole()
    for statement in spec.statements:
        if len(checker.errors) > MAX_ERRORS:
            break
        try:
            checker.statement(statement)
        except RefusedError as refused:
            checker.errors.append(refused.diagnostic)
    if checker.errors:
        raise SpecError(*in_order(checker.errors))
    return checker.result()


@dataclass
class _Checker:
    """One reading of a tree, from the first statement to the last."""

    spec: tree.SpecTree
    structures: Mapping[str, type[Any]]
    backends: Collection[str]
    folder: Path
    errors: list[Diagnostic] = field(default_factory=list)
    binds: dict[str, int] = field(default_factory=dict)
    bind_spans: dict[str, Span] = field(default_factory=dict)
    data: dict[str, program.DataDecl] = field(default_factory=dict)
    optimize: tree.Optimize | None = None
    selects: dict[str, program.Select] = field(default_factory=dict)
    rewrites: list[program.Rewrite] = field(default_factory=list)
    emits: dict[str, program.Emit] = field(default_factory=dict)
    verifies: dict[str | None, program.Verify] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Backwards, so that of two declarations the first counts.
        declared = [s for s in reversed(self.spec.statements) if isinstance(s, tree.Select)]
        self.lines = {s.name.text: s.name.span.line for s in declared}

    def result(self) -> program.Spec:
        """Return what was gathered."""
        goal = cast("program.Goal", self.optimize.goal.text) if self.optimize else "balanced"
        return program.Spec(
            source=self.spec.source,
            binds=self.binds,
            bind_spans=self.bind_spans,
            data=self.data,
            optimize=goal,
            selects=self.selects,
            rewrites=tuple(self.rewrites),
            emits=tuple(self.emits.values()),
            verifies=tuple(self.verifies.values()),
        )

    def complain(self, message: str, span: Span | None, way_out: str | None = None) -> None:
        """Note a mistake and go on."""
        self.errors.append(Diagnostic(message, span, way_out, self.spec.source.name))

    def whole(self) -> None:
        """Check what no single statement shows: the header, and that something comes out."""
        statements, lost = self.spec.statements, self.spec.lost
        if not statements and not lost:
            self.complain("the spec is empty", None, "begin with `qtn 1`")
            return
        headers = [s for s in statements if isinstance(s, tree.Header)]
        if not headers and "qtn" not in lost:
            place = _first_word(statements[0].span) if statements else None
            self.complain("a spec begins with `qtn 1`", place, "add it as the first line")
        for header in headers:
            if header is not headers[0]:
                self.complain(f"`qtn 1` is already said at line {headers[0].span.line}", header.span)
            elif header is not statements[0]:
                self.complain("`qtn 1` comes before every other statement", header.span)
        if not any(isinstance(s, tree.Emit) for s in statements) and not lost:
            forms = " or ".join(f"`emit {backend}`" for backend in sorted(self.backends))
            self.complain("the spec emits nothing", None, f"add {forms}")

    def statement(self, node: tree.Statement) -> None:
        """Check one statement and keep what it means."""
        match node:
            case tree.Header():
                pass
            case tree.Bind(bindings):
                for binding in bindings:
                    self.bind(binding)
            case tree.Data():
                self.declare_data(node)
            case tree.Optimize():
                self.set_goal(node)
            case tree.Select():
                self.select(node)
            case tree.Rewrite():
                self.rewrite(node)
            case tree.Emit():
                self.emit(node)
            case tree.Verify():
                self.verify(node)

    def bind(self, node: tree.Binding) -> None:
        """``name = value``."""
        name = node.name.text
        if name in self.bind_spans:
            self.complain(f"`{name}` is already bound at line {self.bind_spans[name].line}", node.name.span)
            return
        self.bind_spans[name] = node.span
        try:
            self.binds[name] = count(f"`{name}`", node.value)
        except RefusedError as refused:
            self.errors.append(refused.diagnostic)

    def declare_data(self, node: tree.Data) -> None:
        """``data name = npz("path") take rows``."""
        name, reader = node.name.text, node.reader
        if name in self.data:
            self.complain(f"data `{name}` is already declared at line {self.data[name].span.line}", node.name.span)
            return
        # Known from here on whatever else is wrong with it, so that its uses are no further errors.
        self.data[name] = program.DataDecl(name, self.folder, None, node.span)
        if reader.name.text != "npz":
            way_out = did_you_mean(reader.name.text, ["npz"]) or 'data is read by `npz("PATH")`'
            self.complain(f"unknown reader `{clip(reader.name.text)}`", reader.name.span, way_out)
        path = self.path(reader)
        take = None if node.take is None else count("`take`", node.take)
        self.data[name] = program.DataDecl(name, path, take, node.span)

    def path(self, reader: tree.Call) -> Path:
        """Resolve the one argument of a reader against the spec's folder."""
        values = [a.value for a in reader.arguments if a.name is None]
        value = values[0] if len(values) == len(reader.arguments) == 1 else None
        if not isinstance(value, tree.String) or not value.text:
            raise RefusedError("a reader takes the path of a file", reader.span, 'as in `npz("calib.npz")`')
        return self.folder / value.text

    def set_goal(self, node: tree.Optimize) -> None:
        """``optimize goal``."""
        goals: tuple[str, ...] = get_args(program.Goal)
        if self.optimize:
            self.complain(f"`optimize` is already said at line {self.optimize.span.line}", node.span)
        elif node.goal.text not in goals:
            way_out = did_you_mean(node.goal.text, goals)
            message = f"`optimize` takes {listing(goals, 'or')}, not `{clip(node.goal.text)}`"
            self.complain(message, node.goal.span, way_out)
        self.optimize = self.optimize or node

    def select(self, node: tree.Select) -> None:
        """``select name = selection``."""
        name = node.name.text
        scope = Scope(name, self.selects, self.lines, self.spec.lost)
        problems: list[RefusedError] = []
        selected = predicate(node.selection, scope, problems)
        self.errors += [problem.diagnostic for problem in problems]
        if is_op(name):
            way_out = f"write `{name.lower()}`: a name with a capital letter is an op"
            self.complain(f"a selector begins with a small letter, unlike `{clip(name)}`", node.name.span, way_out)
        if name in self.selects:
            self.complain(f"`{name}` is already selected at line {self.lines[name]}", node.name.span)
        else:
            self.selects[name] = program.Select(name, selected, node.span)

    def rewrite(self, node: tree.Rewrite) -> None:
        """``rewrite selector -> structure on data``."""
        name = node.selector.text
        if name not in self.selects and name in self.lines:
            way_out = "move the rewrite below it"
            self.complain(f"`{name}` is selected only at line {self.lines[name]}", node.selector.span, way_out)
        elif name not in self.selects and name not in self.spec.lost:
            self.errors.append(unknown_selector(node.selector, self.selects).diagnostic)
        structure = self.structure(node.chain[0])
        if len(node.chain) > 1:
            way_out = f"rewrite to one structure: `rewrite {name} -> {clip(node.chain[0].span.text)}`"
            self.complain("chains are not supported yet", node.chain[1].span, way_out)
        data = self.known_data(node.data)
        self.rewrites.append(program.Rewrite(name, structure, data, node.span))

    def structure(self, call: tree.Call) -> Any:
        """Build a structure from its options, or None where they do not hold."""
        name = call.name.text
        if name not in self.structures:
            way_out = did_you_mean(name, self.structures) or f"structures are {listing(self.structures)}"
            self.complain(f"unknown structure `{clip(name)}`", call.name.span, way_out)
            return None
        options = options_of(self.structures[name])
        values: dict[str, Any] = {}
        seen: set[str] = set()
        before = len(self.errors)
        takes = f"`{name}` takes {listing(options)}" if options else f"`{name}` takes no options"
        for argument in call.arguments:
            if argument.name is None:
                self.complain("an option needs its name, as in `OPTION: VALUE`", argument.span, takes)
            elif argument.name.text not in options:
                way_out = did_you_mean(argument.name.text, options) or takes
                message = f"`{name}` has no option `{clip(argument.name.text)}`"
                self.complain(message, argument.name.span, way_out)
            elif argument.name.text in seen:
                self.complain(f"`{argument.name.text}` is given twice", argument.span)
            else:
                seen.add(argument.name.text)
                option = options[argument.name.text]
                try:
                    values[option.name] = READERS[option.kind](option, argument.value)
                except RefusedError as refused:
                    self.errors.append(refused.diagnostic)
        if len(self.errors) > before:
            return None
        built = self.structures[name](**values)
        explain = getattr(built, "check", None)
        conflict = explain() if callable(explain) else None
        if conflict:
            self.complain(f"`{name}`: {conflict}", call.span)
        return built

    def known_data(self, name: tree.Name | None) -> str | None:
        """Resolve the name after ``on``."""
        if name is None:
            return None
        if name.text not in self.data and name.text not in self.spec.lost:
            declared = f"data are {listing(self.data)}" if self.data else None
            way_out = did_you_mean(name.text, self.data) or declared or f'declare it: `data {name.text} = npz("PATH")`'
            self.complain(f"unknown data `{clip(name.text)}`", name.span, way_out)
        return name.text

    def emit(self, node: tree.Emit) -> None:
        """``emit backend``."""
        backend = node.backend.text
        if backend not in self.backends:
            way_out = did_you_mean(backend, self.backends) or f"targets are {listing(sorted(self.backends))}"
            self.complain(f"unknown target `{clip(backend)}`", node.backend.span, way_out)
        elif backend in self.emits:
            self.complain(f"`{backend}` is already emitted at line {self.emits[backend].span.line}", node.span)
        else:
            self.emits[backend] = program.Emit(backend, node.span)

    def verify(self, node: tree.Verify) -> None:
        """``verify outputs within tolerance on data``."""
        data = self.known_data(node.data)
        tolerance = fraction("`within`", node.tolerance)
        if data in self.verifies:
            where = f"on `{data}`" if data else "without data"
            line = self.verifies[data].span.line
            self.complain(f"the outputs are already verified {where} at line {line}", node.span)
        else:
            self.verifies[data] = program.Verify(tolerance, data, node.span)


def _first_word(span: Span) -> Span:
    return Span(span.source, span.start, span.start + len(span.text.split(None, 1)[0]))
