"""What there is to know of every pass without running it."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from inspect import formatannotation
from typing import Any

from qtnc.passes import PASSES
from qtnc.pipeline import is_exact
from qtnc.road.steps import known_pass
from qtnc.structures.listing import summary_of


@dataclass(frozen=True)
class PassOption:
    """A field of a pass: its type and default as Python writes them."""

    name: str
    type: str
    default: str | None


@dataclass(frozen=True)
class PassEntry:
    """One pass. ``exact`` says that it leaves what a model computes, but for rounding."""

    name: str
    summary: str
    exact: bool
    options: tuple[PassOption, ...]
    package: str
    version: str | None


def list_passes() -> tuple[PassEntry, ...]:
    """Every pass, in the order of the table."""
    return tuple(_entry(name, known_pass(name)) for name in PASSES)


def _entry(name: str, kind: type[Any]) -> PassEntry:
    package = _distributions().get(kind.__module__.partition(".")[0], kind.__module__.partition(".")[0])
    options = tuple(PassOption(f.name, _type(f), _default(f)) for f in fields(kind))
    return PassEntry(name, summary_of(kind), is_exact(kind), options, package, _version(package))


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
