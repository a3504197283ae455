"""A pass as others offer it, unwrapped: a pass of qtnc's kind, one of onnx-ir, or a rewrite rule of onnxscript."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any, Final

import onnx_ir as ir
from onnx_ir.passes import PassBase

from qtnc.errors import printable
from qtnc.pipeline import Pass, PassResult, is_exact

GIVEN: Final = frozenset({"binds", "folded", "work", "decisions", "rules", "listen"})
"""Options that a compile gives to a pass that has them."""

KINDS: Final = "a pass is a dataclass with `name` and `run`, a pass of onnx-ir, or a rewrite rule of onnxscript"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")


@dataclass(frozen=True)
class Offer:
    """One pass, by the name that pipelines have for it.

    Attributes
    ----------
    kind : the class, whose fields are its options.
    origin : what it comes from, as messages call it: ``mine.py``, or ``package 1.0``; "" for qtnc's own.
    ready : the pass where it is made already, and takes no options.
    place : where a spec uses it, ``spec.qtn:2:1``; "" where none does.
    package, module : of one that a package offers.
    """

    name: str
    kind: type[Any]
    origin: str = ""
    ready: Pass | None = None
    place: str = ""
    package: str = ""
    module: str = ""

    @cached_property
    def options(self) -> frozenset[str]:
        """Names of its options."""
        return frozenset() if self.ready is not None else frozenset(f.name for f in fields(self.kind))

    def made(self, options: Mapping[str, Any]) -> Pass:
        """The pass with options."""
        if self.ready is not None:
            return self.ready
        made: Pass = self.kind(**options)
        return made

    @property
    def exact(self) -> bool:
        """Whether it says that it leaves what a model computes."""
        return is_exact(self.ready if self.ready is not None else self.kind)


@dataclass(frozen=True)
class Wrapped:
    """A pass of onnx-ir among passes of qtnc; a rewrite rule is one by :class:`onnxscript.rewriter.RewritePass`.

    ``summary`` is the documentation of what is wrapped.
    """

    name: str
    inner: PassBase
    summary: str = field(default="", compare=False)

    def run(self, model: ir.Model) -> PassResult:
        """Run it, its own conditions included."""
        result = self.inner(model)
        return PassResult(result.model, result.modified)


class NotAPassError(ValueError):
    """What is offered is no pass; the message says what it lacks."""


def offers_of(things: Sequence[Any], origin: str) -> Iterator[Offer]:
    """Passes that a file or a package lists, in order; of two of one name the second gets a number.

    Raises
    ------
    NotAPassError
        If one of them is none.
    """
    seen: dict[str, int] = {}
    for thing in things:
        offer = offer_of(thing, origin)
        seen[offer.name] = seen.get(offer.name, 0) + 1
        count = seen[offer.name]
        yield offer if count == 1 else Offer(f"{offer.name}-{count}", offer.kind, origin, offer.ready)


def offer_of(thing: Any, origin: str, name: str | None = None) -> Offer:
    """What one thing offers, under its own name or another.

    Raises
    ------
    NotAPassError
        If it is no pass.
    """
    inner = _of_onnx_ir(thing)
    if inner is not None:
        found = _named(name or _called(thing))
        summary = (thing if isinstance(thing, type) else type(thing)).__doc__ or ""
        return Offer(found, Wrapped, origin, Wrapped(found, inner, summary))
    kind: Any = thing if isinstance(thing, type) else type(thing)
    shown = f"`{printable(kind.__qualname__)}`"
    if not _is_dataclass(kind) or not callable(getattr(kind, "run", None)):
        raise NotAPassError(f"{shown} is no pass: {KINDS}")
    if not isinstance(getattr(kind, "name", None), str):
        raise NotAPassError(f"{shown} is no pass: it has no `name`")
    found = _named(name or kind.name)
    if not isinstance(thing, type):
        return Offer(found, kind, origin, thing)
    for option in fields(kind):
        if option.default is MISSING and option.default_factory is MISSING and option.name not in GIVEN:
            raise NotAPassError(f"{shown}: option `{printable(option.name)}` has no default; list an instance instead")
    return Offer(found, kind, origin)


def _of_onnx_ir(thing: Any) -> PassBase | None:
    """A pass of onnx-ir, or one made of rewrite rules; None for anything else."""
    if isinstance(thing, PassBase):
        return thing
    if isinstance(thing, type) and issubclass(thing, PassBase):
        inner: PassBase = _instance(thing)
        return inner
    rules = _rules_of(thing)
    made: PassBase | None = None if rules is None else sys.modules["onnxscript.rewriter"].RewritePass(rules)
    return made


def _rules_of(thing: Any) -> Any:
    """Rules of onnxscript, which is there only where whoever offers them imported it."""
    rewriter: Any = sys.modules.get("onnxscript.rewriter")
    if rewriter is None:
        return None
    by_class = rewriter.RewriteRuleClassBase
    if isinstance(thing, type) and issubclass(thing, by_class):
        by_rule: Any = thing
        return [_instance(by_rule.rule)]
    if isinstance(thing, by_class):
        raise NotAPassError(f"list `{printable(type(thing).__qualname__)}.rule()`, or the class, not its instance")
    if isinstance(thing, rewriter.RewriteRuleSet):
        return thing
    return [thing] if isinstance(thing, rewriter.RewriteRule) else None


def _instance(make: Any) -> Any:
    try:
        return make()
    except TypeError as error:
        shown = printable(getattr(make, "__qualname__", ""))
        raise NotAPassError(f"`{shown}` takes arguments; list an instance instead: {printable(str(error))}") from error


def _called(thing: Any) -> str:
    """A rule's own name, else that of its class: ``RemoveUnusedNodesPass`` is ``remove-unused-nodes``."""
    kind = thing if isinstance(thing, type) else type(thing)
    own = None if isinstance(thing, type | PassBase) else getattr(thing, "name", None)
    name = own if isinstance(own, str) and own else kind.__name__.removesuffix("Pass") or kind.__name__
    name = name.replace("_", "-").replace(" ", "-")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def _is_dataclass(kind: Any) -> bool:
    return is_dataclass(kind)


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        message = f"`{printable(name)}` is no name of a pass: letters, digits, `-`, `_` and `.`, 80 at most"
        raise NotAPassError(message)
    return name
