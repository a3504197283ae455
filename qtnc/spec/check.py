"""Tree to program: every name known, every value of its kind, or all that is wrong at once."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from qtnc.errors import Diagnostic, PluginError, did_you_mean
from qtnc.plugins.allowed import Allowed
from qtnc.rules.rule import SpecRule
from qtnc.source import Span
from qtnc.spec import program, tree
from qtnc.spec.conditions import Scope, is_op, predicate, unknown_selector
from qtnc.spec.facts import DTYPES
from qtnc.spec.lets import Lets
from qtnc.spec.options import checked, values_of
from qtnc.spec.outcome import nothing_emitted, nothing_to_verify
from qtnc.spec.rules.problems import EnoughError, Problems
from qtnc.spec.rules.rule import spec_rule
from qtnc.spec.rules.tree import Rule
from qtnc.spec.settings import OPTIMIZE, goal
from qtnc.spec.unknown import path_of, unknown_base
from qtnc.spec.used import Uses
from qtnc.spec.values import RefusedError, count, fraction, listing
from qtnc.spec.wording import MAX_ERRORS, clip
from qtnc.structures.options import options_of
from qtnc.structures.plugins import at_hand

READER = "npz"
"""What reads data; its files end so too."""


def check(
    spec: tree.SpecTree,
    structures: Mapping[str, type[Any]],
    backends: Mapping[str, type[Any]],
    folder: Path,
    given: Mapping[str, tree.Value] | None = None,
    allowed: Allowed | None = None,
) -> tuple[program.Spec, list[Diagnostic]]:
    """Check a spec and give it its meaning.

    Parameters
    ----------
    spec
        What was read.
    structures
        What a rewrite may name. Options are the fields of each; one with a ``check()`` may refuse their combination.
        One with ``wraps`` stands before another, which it is given as ``inner``.
    backends
        What may be emitted, by the options of each, which may have a ``check()`` too. With ``selects`` it may be about
        the layers of a selector.
    folder
        Where relative paths start, but for those of included files.
    given
        Values that stand in place of those that the spec lets.
    allowed
        What code of others may run; anything where nothing is said.

    Returns
    -------
    Spec, list of Diagnostic
        What it means, as far as it means anything, and every mistake.
    """
    checker = _Checker(spec, structures, backends, folder, given or {}, allowed or Allowed())
    checker.errors += nothing_emitted(spec, backends)
    checker.every(spec.statements)
    checker.errors += nothing_to_verify(spec, backends, checker.emits.values(), checker.verifies.values())
    return checker.result(), checker.errors


@dataclass
class _Checker:
    """One reading of a tree, from the first statement to the last."""

    spec: tree.SpecTree
    structures: Mapping[str, type[Any]]
    backends: Mapping[str, type[Any]]
    folder: Path
    given: Mapping[str, tree.Value]
    allowed: Allowed
    errors: list[Diagnostic] = field(default_factory=list)
    binds: dict[str, int] = field(default_factory=dict)
    bind_spans: dict[str, Span] = field(default_factory=dict)
    data: dict[str, program.DataDecl] = field(default_factory=dict)
    optimize: tree.Optimize | None = None
    selects: dict[str, program.Select] = field(default_factory=dict)
    rewrites: list[program.Rewrite] = field(default_factory=list)
    ignores: dict[str, program.Ignore] = field(default_factory=dict)
    stages: dict[str, program.Stage] = field(default_factory=dict)
    emits: dict[str, program.Emit] = field(default_factory=dict)
    verifies: dict[str | None, program.Verify] = field(default_factory=dict)
    rules: dict[str, SpecRule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Backwards, so that of two declarations the first counts.
        backwards = self.spec.statements[::-1]
        self.places = {s.name.text: s.name.span for s in backwards if isinstance(s, tree.Select)}
        self.stage_places = {s.name.text: s.name.span for s in backwards if isinstance(s, tree.Stage)}
        let = {s.name.text: s.name.span for s in backwards if isinstance(s, tree.Let)}
        self.lets = Lets(let, self.given, self.spec.lost)
        self.folders = {i.source: i.path.parent for i in self.spec.includes if i.path}
        self.shipped = {i.source for i in self.spec.includes if i.path is None}
        self.uses = Uses(self.allowed, self.folder, self.shipped)

    def result(self) -> program.Spec:
        """Return what was gathered."""
        aim = cast("program.Goal", self.optimize.goal.text) if self.optimize else "balanced"
        return program.Spec(
            source=self.spec.source,
            includes=self.spec.includes,
            lets=self.lets.above,
            binds=self.binds,
            bind_spans=self.bind_spans,
            data=self.data,
            optimize=aim,
            selects=self.selects,
            rewrites=tuple(self.rewrites),
            ignores=tuple(self.ignores.values()),
            stages=self.stages,
            emits=tuple(self.emits.values()),
            verifies=tuple(self.verifies.values()),
            uses=tuple(self.uses.found.values()),
            rules=tuple(self.rules.values()),
        )

    def complain(self, message: str, span: Span | None, way_out: str | None = None) -> None:
        """Note a mistake and go on."""
        self.errors.append(Diagnostic(message, span, way_out, self.spec.source.name))

    def refuse(self, problems: Iterable[RefusedError]) -> None:
        """Note mistakes that were found elsewhere."""
        explained = (self.lets.explained(problem.diagnostic) for problem in problems)
        self.errors += [said for said in explained if said]

    def every(self, statements: Sequence[tree.Statement]) -> None:
        """Check statements until there is more wrong with them than is shown."""
        for statement in statements:
            if len(self.errors) > MAX_ERRORS:
                break
            try:
                self.statement(statement)
            except RefusedError as refused:
                self.refuse([refused])

    def statement(self, node: tree.Statement) -> None:
        """Check one statement and keep what it means."""
        if not isinstance(node, tree.Stage | tree.Let | Rule):
            node = self.lets.resolved(node)
        match node:
            case tree.Header() | tree.Include():
                pass  # what is included stands in its place already
            case tree.Use():
                self.uses.take(node, self.folders.get(node.span.source, self.folder))
            case tree.Let():
                self.let(node)
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
            case tree.Ignore():
                self.ignore(node)
            case tree.Stage():
                self.stage(node)
            case Rule():
                self.rule(node)
            case tree.Emit():
                self.emit(node)
            case tree.Verify():
                self.verify(node)

    def let(self, node: tree.Let) -> None:
        """``let name = value``."""
        name, place = node.name.text, node.name.span
        if name in self.words():
            self.complain(f"`{name}` is a word of the language where values stand", place, "let another name")
        elif name in self.bind_spans:
            bound = self.bind_spans[name].seen_from(place)
            self.complain(f"`{clip(name)}` is already bound at {bound}", place, "let another name")
        self.lets.declare(node)

    def words(self) -> Collection[str]:
        """Words that values are, which no name may hide."""
        owners = (*self.at_hand().values(), *self.backends.values())
        return {OPTIMIZE, "auto", *DTYPES, *(w for x in owners for o in options_of(x).values() for w in o.words)}

    def at_hand(self) -> Mapping[str, type[Any]]:
        """Structures that are there without importing another package."""
        return {**at_hand(self.structures), **self.uses.structures}

    def bind(self, node: tree.Binding) -> None:
        """``name = value``."""
        name = node.name.text
        if name in self.bind_spans:
            bound = self.bind_spans[name].seen_from(node.span)
            self.complain(f"`{name}` is already bound at {bound}", node.name.span)
            return
        if name in self.lets.above:
            let = self.lets.above[name].span.seen_from(node.span)
            self.complain(f"`{clip(name)}` is already let at {let}", node.name.span, "let another name")
        self.bind_spans[name] = node.span
        try:
            self.binds[name] = count(f"`{name}`", node.value)
        except RefusedError as refused:
            self.refuse([refused])

    def declare_data(self, node: tree.Data) -> None:
        """``data name = npz("path") take rows``."""
        name, reader = node.name.text, node.reader
        if name in self.data:
            self.complain(
                f"data `{name}` is already declared at {self.data[name].span.seen_from(node.span)}", node.name.span
            )
            return
        # Known from here on whatever else is wrong with it, so that its uses are no further errors.
        self.data[name] = program.DataDecl(name, self.folder, None, node.span)
        if reader.name.text != READER:
            way_out = did_you_mean(reader.name.text, [READER]) or f'data is read by `{READER}("PATH")`'
            self.complain(f"unknown reader `{clip(reader.name.text)}`", reader.name.span, way_out)
        path = self.folders.get(reader.span.source, self.folder) / path_of(reader, self.lets.used)
        take = None if node.take is None else count("`take`", node.take)
        self.data[name] = program.DataDecl(name, path, take, node.span)

    def set_goal(self, node: tree.Optimize) -> None:
        """``optimize goal``."""
        if self.optimize:
            self.complain(f"`optimize` is already said at {self.optimize.span.seen_from(node.span)}", node.span)
            return
        self.optimize = node
        goal(node.goal)

    def select(self, node: tree.Select) -> None:
        """``select name = selection``."""
        name = node.name.text
        scope = Scope(name, self.selects, self.places, self.spec.lost, self.chain)
        problems: list[RefusedError] = []
        selected = predicate(node.selection, scope, problems)
        self.refuse(problems)
        if is_op(name):
            way_out = f"write `{name.lower()}`: a name with a capital letter is an op"
            self.complain(f"a selector begins with a small letter, unlike `{clip(name)}`", node.name.span, way_out)
        if name in self.selects:
            self.complain(f"`{name}` is already selected at {self.places[name].seen_from(node.span)}", node.name.span)
        else:
            self.selects[name] = program.Select(name, selected, node.span, node.span.source in self.shipped)

    def rewrite(self, node: tree.Rewrite) -> None:
        """``rewrite selector -> structure | ... on data``."""
        selector = self.known_selector(node.selector, "rewrite")
        structure = self.chain(node.chain)
        self.rewrites.append(program.Rewrite(selector, structure, self.known_data(node.data), node.span))

    def ignore(self, node: tree.Ignore) -> None:
        """``ignore selector``."""
        selector = self.known_selector(node.selector, "ignore")
        if selector in self.ignores:
            place = self.ignores[selector].span.seen_from(node.span)
            self.complain(f"`{selector}` is already ignored at {place}", node.span, "drop one of the two")
        self.ignores.setdefault(selector, program.Ignore(selector, node.span))

    def known_selector(self, name: tree.Name, statement: str) -> str:
        """Resolve the name of the layers that a statement is about."""
        if name.text not in self.selects and name.text in self.places:
            message = f"`{name.text}` is selected only at {self.places[name.text].seen_from(name.span)}"
            self.complain(message, name.span, f"move the {statement} below it")
        elif name.text not in self.selects and name.text not in self.spec.lost:
            self.refuse([unknown_selector(name, self.selects)])
        return name.text

    def chain(self, calls: Sequence[tree.Call]) -> Any:
        """Build structures from the last to the first, each around the one after it; None where one does not hold."""
        built = None
        for call, after in zip(calls[::-1], (None, *calls[:0:-1]), strict=True):
            built = self.structure(call, after, built)
        return built

    def structure(self, call: tree.Call, after: tree.Call | None, inner: Any) -> Any:
        """Build a structure from its options, around what was built of the one after it."""
        name, kind = call.name.text, self.known_structure(call.name)
        if kind is None:
            return None
        wraps = getattr(kind, "wraps", False)
        if wraps and after is None:
            self.complain(f"`{name}` needs a structure after it, as in `{name}(...) | mpo(...)`", call.span)
        elif after is not None and not wraps:
            wrapping = [word for word, other in self.at_hand().items() if getattr(other, "wraps", False)]
            may = f"only {listing(wrapping)} may" if wrapping else "no structure may"
            self.complain(f"`{name}` takes no structure after it", after.span, f"{may} stand before another")
        problems: list[RefusedError] = []
        values = values_of(call, kind, problems)
        built = None
        # What could not be built itself, or has nothing to be built around, was complained of.
        if values is not None and (inner is not None or not wraps):
            around = {"inner": inner} if wraps else {}
            built = checked(kind(**values, **around), call, problems)
        self.refuse(problems)
        return built

    def known_structure(self, name: tree.Name) -> type[Any] | None:
        """Resolve the name of a structure; one of another package is imported."""
        if name.text in self.uses.structures:
            return self.uses.structures[name.text]
        if name.text not in self.structures:
            if self.uses.left:
                return None  # it may be one of a file that was not run
            known = [*self.structures, *self.uses.structures]
            way_out = did_you_mean(name.text, known) or f"structures are {listing(known)}"
            self.complain(f"unknown structure `{clip(name.text)}`", name.span, way_out)
            return None
        try:
            return self.structures[name.text]
        except PluginError as error:
            self.errors += [replace(diagnostic, span=name.span) for diagnostic in error.diagnostics]
            return None

    def stage(self, node: tree.Stage) -> None:
        """``stage name extends base { ... }``."""
        name = node.name.text
        base = self.known_base(node.base, name)
        outside, self.rewrites = self.rewrites, []
        self.every(node.statements)
        if name in self.stages:
            place = self.stage_places[name].seen_from(node.span)
            self.complain(f"stage `{name}` is already declared at {place}", node.name.span)
        else:
            self.stages[name] = program.Stage(name, base, tuple(self.rewrites), node.span)
        self.rewrites = outside

    def known_base(self, base: tree.Name | None, name: str) -> str | None:
        """Resolve the name after ``extends``, in the stage ``name``."""
        if base is None:
            return None
        lost = base.text in self.spec.lost and base.text not in (name, *self.stage_places)
        if base.text not in self.stages and not lost:
            self.refuse([unknown_base(base, name, self.stages, self.stage_places)])
        return base.text

    def known_data(self, name: tree.Name | None) -> str | None:
        """Resolve the name after ``on``."""
        if name is None:
            return None
        if name.text not in self.data and name.text not in self.spec.lost:
            declared = f"data are {listing(self.data)}" if self.data else None
            way_out = did_you_mean(name.text, self.data) or declared or f'declare it: `data {name.text} = npz("PATH")`'
            self.complain(f"unknown data `{clip(name.text)}`", name.span, way_out)
        return name.text

    def rule(self, node: Rule) -> None:
        """``rule name { ... }``."""
        name, problems = node.name.text, Problems()
        with suppress(EnoughError):
            found = spec_rule(node, self.lets, self.spec.lost, problems)
            if name in self.rules:
                place = self.rules[name].span.seen_from(node.span)
                self.complain(f"rule `{clip(name)}` is already declared at {place}", node.name.span)
            self.rules.setdefault(name, found)
        self.refuse(problems)

    def emit(self, node: tree.Emit) -> None:
        """``emit backend(option: value, ...) for selector``."""
        backend = node.backend.name.text
        selector = None if node.selector is None else self.known_selector(node.selector, "emit")
        if backend not in self.backends:
            way_out = did_you_mean(backend, self.backends) or f"targets are {listing(sorted(self.backends))}"
            self.complain(f"unknown target `{clip(backend)}`", node.backend.name.span, way_out)
            return
        if backend in self.emits:
            place = self.emits[backend].span.seen_from(node.span)
            self.complain(f"`{backend}` is already emitted at {place}", node.span)
            return
        kind = self.backends[backend]
        problems: list[RefusedError] = []
        values = values_of(node.backend, kind, problems)
        options = None if values is None else checked(kind(**values), node.backend, problems)
        self.refuse(problems)
        if node.selector and not getattr(kind, "selects", False):
            way_out = f"write `emit {clip(node.backend.span.text)}`: it is always about the whole model"
            self.complain(f"`{backend}` takes no `for`", node.selector.span, way_out)
        places = {a.name.text: a.span for a in node.backend.arguments if a.name}
        self.emits[backend] = program.Emit(backend, options, selector, node.span, places)

    def verify(self, node: tree.Verify) -> None:
        """``verify outputs within tolerance on data``."""
        data = self.known_data(node.data)
        tolerance = fraction("`within`", node.tolerance)
        if data in self.verifies:
            where = f"on `{data}`" if data else "without data"
            place = self.verifies[data].span.seen_from(node.span)
            self.complain(f"the outputs are already verified {where} at {place}", node.span)
        else:
            self.verifies[data] = program.Verify(tolerance, data, node.span)
