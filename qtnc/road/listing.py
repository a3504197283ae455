"""What there is to know of every pass without running it."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from inspect import formatannotation
from typing import Any

from qtnc.errors import PluginError
from qtnc.passes import PASSES
from qtnc.plugins.entry import Passes, PassPlugin
from qtnc.plugins.offer import Offer, Wrapped
from qtnc.road.steps import own_pass
from qtnc.structures.listing import first_paragraph


@dataclass(frozen=True)
class PassOption:
    """A field of a pass: its type and default as Python writes them."""

    name: str
    type: str
    default: str | None


@dataclass(frozen=True)
class PassEntry:
    """One pass. ``exact`` says that it leaves what a model computes, but for rounding.

    ``usable`` says whether a pipeline may name it; where it may not, ``summary`` says why.
    """

    name: str
    summary: str
    exact: bool
    options: tuple[PassOption, ...]
    package: str
    version: str | None
    usable: bool = True


def list_passes(passes: Passes) -> tuple[PassEntry, ...]:
    """Ours in the order of the table, then what other packages offer, whether it can be had or not."""
    return (*(_own(own_pass(name)) for name in PASSES), *(_foreign(plugin, passes) for plugin in passes.plugins))


def _own(offer: Offer) -> PassEntry:
    package = _distributions().get(offer.kind.__module__.partition(".")[0], "qtnc")
    return _entry(offer, package, _version(package))


def _foreign(plugin: PassPlugin, passes: Passes) -> PassEntry:
    if plugin.name in PASSES:
        reason = f"not used: `{plugin.name}` is qtnc's own"
    else:
        try:
            return _entry(passes[plugin.name], plugin.package, plugin.version)
        except PluginError as error:
            reason = error.diagnostics[0].message
    return PassEntry(plugin.name, reason, True, (), plugin.package, plugin.version, usable=False)


def _entry(offer: Offer, package: str, released: str | None) -> PassEntry:
    options = tuple(PassOption(f.name, _type(f), _default(f)) for f in fields(offer.kind) if f.name in offer.options)
    summary = offer.ready.summary if isinstance(offer.ready, Wrapped) else (offer.kind.__doc__ or "")
    return PassEntry(offer.name, first_paragraph(summary), offer.exact, options, package, released)


def _type(option: Field[Any]) -> str:
    written = option.type if isinstance(option.type, str) else formatannotation(option.type)
    return re.sub(r"(\w+\.)+", "", written)


def _default(option: Field[Any]) -> str | None:
    if option.default is not MISSING:
        return repr(option.default)
    return repr(option.default_factory()) if option.default_factory is not MISSING else None


@cache
def _distributions() -> Mapping[str, str]:
    """Distribution by top-level module, where a distribution says."""
    return {module: names[0] for module, names in packages_distributions().items()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
