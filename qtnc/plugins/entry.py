"""Passes of other packages: their names come from metadata, and a package is imported when something names its pass."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from qtnc.errors import Diagnostic, PluginError, printable
from qtnc.plugins.offer import NotAPassError, Offer, offer_of
from qtnc.structures.plugins import LONGEST_REASON

GROUP: Final = "qtnc.passes"
"""The group of entry points by which a package offers passes: the name in pipelines, and the class or instance."""


@dataclass(frozen=True)
class PassPlugin:
    """A pass that a package offers, not imported yet."""

    name: str
    package: str
    version: str
    entry: EntryPoint

    def load(self) -> Offer:
        """Import it.

        Raises
        ------
        PluginError
            If that fails, or it is no pass.
        """
        try:
            found: Any = self.entry.load()
            offer = offer_of(found, f"{self.package} {self.version}", self.name)
            return replace(offer, package=self.package, module=self.entry.module)
        except NotAPassError as error:
            raise self._wrong(f"cannot be used: {error}") from error
        except (Exception, SystemExit) as error:  # whatever a stranger's module does as it is imported
            reason = printable(f"{type(error).__name__}: {error}", LONGEST_REASON)
            raise self._wrong(f"cannot be imported: {reason}") from error

    def _wrong(self, what: str) -> PluginError:
        message = f"pass `{printable(self.name)}` of {self.package} {self.version} {what}"
        way_out = f"repair the package, or remove it: `pip uninstall {self.package}`"
        return PluginError(Diagnostic(message, help=way_out))


@dataclass(frozen=True, eq=False)
class Passes(Mapping[str, Offer]):
    """Passes of other packages by their names, imported as they are asked for.

    Of two packages that offer one name neither is taken; where ``allowed`` is False all are refused.
    """

    allowed: bool = True

    @cached_property
    def plugins(self) -> tuple[PassPlugin, ...]:
        """What packages offer, sorted by name and package; nothing is imported."""
        found = [
            PassPlugin(entry.name, entry.dist.name, entry.dist.version, entry)
            for entry in entry_points(group=GROUP)
            if entry.dist is not None
        ]
        return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.package)))

    def written(self, word: str) -> str:
        """The name that a word of the language stands for, in which ``_`` is written for ``-``."""
        meant = (plugin.name for plugin in self.plugins if _as_word(plugin.name) == _as_word(word))
        return next(meant, word)

    def offers(self, name: str) -> tuple[PassPlugin, ...]:
        """Plug-ins of one name."""
        return tuple(plugin for plugin in self.plugins if plugin.name == name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(plugin.name for plugin in self.plugins))

    def __len__(self) -> int:
        return len({plugin.name for plugin in self.plugins})

    def __contains__(self, name: object) -> bool:
        return any(plugin.name == name for plugin in self.plugins)

    def __getitem__(self, name: str) -> Offer:
        offers = self.offers(name)
        if not offers:
            raise KeyError(name)
        shown = f"pass `{printable(name)}`"
        packages = " and ".join(f"{plugin.package} {plugin.version}" for plugin in offers)
        if not self.allowed:
            message = f"{shown} comes from {packages}, and plug-ins are not allowed"
            raise PluginError(
                Diagnostic(message, help="leave out `--no-plugins` or `--no-python`, or do without the pass")
            )
        if len(offers) > 1:
            raise PluginError(Diagnostic(f"{shown} is offered by {packages}", help="uninstall all of them but one"))
        return offers[0].load()


def _as_word(name: str) -> str:
    return name.replace("-", "_").lower()
