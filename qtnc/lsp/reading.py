"""A spec as it is typed: what can be read of it, what is wrong with it, what it selects of its model."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from qtnc.backends.options import BACKENDS
from qtnc.errors import Diagnostic, PluginError, printable
from qtnc.lsp.names import Mention, flat, mentions
from qtnc.lsp.told import ToldModel
from qtnc.passes import PASSES
from qtnc.plugins.allowed import Allowed
from qtnc.plugins.entry import Passes, PassPlugin
from qtnc.plugins.offer import Offer
from qtnc.source import Source
from qtnc.spec import program, tree
from qtnc.spec.layout import Lexeme, Stretch, stretches
from qtnc.spec.read import Examined, examine
from qtnc.spec.select import decided_by_weights, settle
from qtnc.spec.syntax import MAX_LENGTH, lexemes, vocabulary
from qtnc.structures.plugins import Plugin, Structures
from qtnc.structures.registry import STRUCTURES
from qtnc.structures.structure import Structure


@dataclass(frozen=True)
class NotImported(Diagnostic):
    """What cannot be said without importing another package. It is no mistake."""


class KnownStructures(Structures):
    """All structures by name; none of another package is imported."""

    def __getitem__(self, name: str) -> type[Structure]:
        if name in STRUCTURES or name not in self:
            return super().__getitem__(name)
        raise _not_imported(name, self.offers(name))


class KnownPasses(Passes):
    """All passes of other packages by name; none is imported."""

    def __getitem__(self, name: str) -> Offer:
        raise _not_imported(name, self.offers(name))


class NothingRuns(Allowed):
    """No code of others runs, and what cannot be known without is no mistake."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "python", "leave")
        object.__setattr__(self, "passes", KnownPasses())
        object.__setattr__(self, "structures", KnownStructures())


def _not_imported(name: str, plugins: Iterable[Plugin | PassPlugin]) -> PluginError:
    packages = " and ".join(f"{plugin.package} {plugin.version}" for plugin in plugins)
    message = f"`{printable(name)}` comes from {packages}, which is not imported while you type"
    return PluginError(NotImported(message, help="`qtnc check` checks its options"))


@dataclass(frozen=True)
class Reading:
    """One reading of a text in a folder.

    Attributes
    ----------
    found : what could be read of it.
    model : what its model tells, where there is one.
    chosen : layer names by selector; those of which nothing can be said without weights, or at all, are left out.
    empty : what is wrong with selectors that select nothing.
    """

    source: Source
    folder: Path
    found: Examined
    structures: KnownStructures
    model: ToldModel | None = None
    chosen: Mapping[str, tuple[str, ...]] | None = None
    empty: tuple[Diagnostic, ...] = ()

    @property
    def passes(self) -> tuple[PassPlugin, ...]:
        """Passes that other packages offer."""
        return KnownPasses().plugins

    @cached_property
    def lexemes(self) -> tuple[Lexeme, ...]:
        """Lexemes of the text; none of one that is too long."""
        return tuple(lexemes(self.source.text)) if len(self.source.text) <= MAX_LENGTH else ()

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """Statements of the text, whether they can be read or not."""
        return tuple(stretches(self.source, self.lexemes, vocabulary()))

    @cached_property
    def statements(self) -> tuple[tree.Statement, ...]:
        """Statements of the text itself that could be read, those in stages after their stage."""
        return tuple(flat(self.found.tree.statements))

    @cached_property
    def mentions(self) -> tuple[Mention, ...]:
        """Names that it and what it includes declare and use."""
        return tuple(mentions(self.found.whole.statements))

    def declared(self, kind: type, name: str) -> Mention | None:
        """Where a name is declared first."""
        return next((m for m in self.mentions if m.declares and m.kind is kind and m.name == name), None)

    def on(self, model: ToldModel | None) -> "Reading":
        """The same with what is selected of a model, where there is one."""
        spec = self.found.spec
        if spec is None or model is None:
            return replace(self, model=model, chosen=None, empty=())
        staged = tuple(rewrite for stage in spec.stages.values() for rewrite in stage.rewrites)
        whole = replace(spec, rewrites=(*spec.rewrites, *staged))
        settled = settle(whole, model.layers, model.paths, without=_unsettled(whole, self.found.errors))
        return replace(self, model=model, chosen=settled.chosen, empty=settled.errors)


def read(source: Source, folder: Path, open_text: Callable[[Path], str]) -> Reading:
    """Read a text in a folder; ``open_text`` gives the texts of files that it includes."""
    structures, allowed = KnownStructures(), NothingRuns(own=frozenset(PASSES))
    found = examine(source, structures, BACKENDS, folder, open_text, allowed=allowed)
    return Reading(source, folder, found, structures)


def _unsettled(spec: program.Spec, errors: Collection[Diagnostic]) -> frozenset[str]:
    """Selectors of which nothing is known without weights, in which something is wrong, or that name such a one."""
    spans = [error.span for error in errors if error.span and not isinstance(error, NotImported)]
    found = set(decided_by_weights(spec))
    for name, select in spec.selects.items():
        parts = program.walk(select.predicate)
        named = {part.selector for part in parts if isinstance(part, program.InSelector)}
        wrong = any(s.source is select.span.source and select.span.start <= s.start <= select.span.end for s in spans)
        if wrong or named & found or not named <= spec.selects.keys():
            found.add(name)
    return frozenset(found)
