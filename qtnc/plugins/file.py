"""A Python file that a spec uses: read once, run once, and what it offers taken from its own lists."""

import ast
import hashlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from traceback import walk_tb
from types import CodeType, MappingProxyType, ModuleType
from typing import Any, Final

import cloudpickle

from qtnc.errors import Diagnostic, PluginError, printable
from qtnc.plugins.loaded import LOADED
from qtnc.plugins.offer import NotAPassError, Offer, offers_of
from qtnc.structures.plugins import LONGEST_REASON, structure_fault
from qtnc.structures.registry import STRUCTURES
from qtnc.structures.structure import Structure

ENDING: Final = ".py"
LARGEST: Final = 1 << 20
"""Bytes of a file that a person wrote."""

LISTS: Final = ("PASSES", "STRUCTURES")
"""What a file may list, by the names of the lists."""


@dataclass(frozen=True)
class PythonFile:
    """What a file offers.

    Attributes
    ----------
    sha256 : of its text.
    passes : in the order of its list.
    structures : by the word of the language.
    """

    path: Path
    sha256: str
    passes: tuple[Offer, ...]
    structures: Mapping[str, type[Structure]]


def load_file(path: Path) -> PythonFile:
    """Run a file as a module of its own, once a process for the same text, and take what it lists.

    Nothing is written beside it, and no folder is added to those that imports look in.

    Raises
    ------
    PluginError
        If it cannot be read, fails as it runs, lists nothing, or lists what is neither a pass nor a structure.
    """
    content = read_file(path)
    return _loaded(path, hashlib.sha256(content).hexdigest(), content)


def read_file(path: Path) -> bytes:
    """Read the text of a file without running it.

    Raises
    ------
    PluginError
        If it cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise _wrong(path, f"cannot be read: {(error.strerror or str(error)).lower()}") from error
    if len(content) > LARGEST:
        raise _wrong(path, f"is larger than {LARGEST:,} bytes")
    return content


def line_of(error: BaseException) -> tuple[Path, int] | None:
    """The innermost line of a used file in which an error arose, here or in a worker; None where it was in none."""
    found: BaseException | None = error
    while found is not None:
        lines = [
            (LOADED[module], line)
            for frame, line in walk_tb(found.__traceback__)
            if (module := str(frame.f_globals.get("__name__"))) in LOADED
        ]
        if lines:
            return lines[-1]
        if told := _told(str(found)):  # a worker's traceback comes as text
            return told
        found = found.__cause__
    return None


def _told(text: str) -> tuple[Path, int] | None:
    """The same in what a worker tells, where code that came by value has lost the name of its file."""
    lines = re.findall(r'File "<dynamic-code>", line ([0-9]+), in (\w+)', text)
    if not lines:
        return None
    line, function = int(lines[-1][0]), lines[-1][1]
    return next(((path, line) for path in reversed(LOADED.values()) if _holds(path, line, function)), None)


def _holds(path: Path, line: int, function: str) -> bool:
    """Whether a file has that function at that line; one that was changed meanwhile may have none."""
    try:
        nodes = ast.walk(ast.parse(path.read_bytes()))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef))
    return any(f.name == function and f.lineno <= line <= (f.end_lineno or line) for f in functions)


@cache
def _loaded(path: Path, sha256: str, content: bytes) -> PythonFile:
    module = _run(path, sha256, content)
    if not any(hasattr(module, name) for name in LISTS):
        raise _wrong(path, "lists nothing", "give it `PASSES = [...]`, or `STRUCTURES = [...]`")
    listed = {name: _listed(path, module, name) for name in LISTS}
    try:
        passes = tuple(offers_of(listed["PASSES"], path.name))
    except NotAPassError as error:
        raise _wrong(path, f"lists in `PASSES` what is none: {error}") from error
    except Exception as error:  # whatever a stranger's class does as it is made
        raise _failed(path, error) from error
    return PythonFile(path, sha256, passes, MappingProxyType(_structures(path, listed["STRUCTURES"])))


def _run(path: Path, sha256: str, content: bytes) -> ModuleType:
    # The name follows from the text: cached fits are found by it, and only while the text is the same.
    name = f"qtnc_used_{sha256[:16]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    before = sys.modules.get(name)
    sys.modules[name] = module
    LOADED.pop(name, None)
    LOADED[name] = path
    try:
        code: CodeType = compile(content, str(path), "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - the spec names the file, and whoever compiles it allows that
    except (Exception, SystemExit) as error:  # whatever a stranger's module does as it is run
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
        raise _failed(path, error) from error
    cloudpickle.register_pickle_by_value(module)  # workers have no such module
    return module


def _listed(path: Path, module: ModuleType, name: str) -> tuple[Any, ...]:
    found = getattr(module, name, ())
    if not isinstance(found, list | tuple):
        raise _wrong(path, f"has a `{name}` that is no list")
    return tuple(found)


def _structures(path: Path, listed: tuple[Any, ...]) -> dict[str, type[Structure]]:
    found: dict[str, type[Structure]] = {}
    for kind in listed:
        shown = f"lists `{printable(str(getattr(kind, '__qualname__', kind)))}` in `STRUCTURES`, which"
        if fault := structure_fault(kind):
            raise _wrong(path, f"{shown} {fault}")
        name = kind.name
        if not isinstance(name, str) or not name.isidentifier():
            raise _wrong(path, f"{shown} calls itself `{printable(str(name))}`: that is no word")
        if name in STRUCTURES:
            raise _wrong(path, f"{shown} calls itself `{name}`, a word of qtnc's own", "give it another name")
        if name in found:
            raise _wrong(path, f"{shown} has the name `{printable(name)}`, as another has")
        found[name] = kind
    return found


def _failed(path: Path, error: BaseException) -> PluginError:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        at, said = error.lineno, f"SyntaxError: {error.msg}"
    else:
        at, said = (line_of(error) or (path, None))[1], f"{type(error).__name__}: {error}"
    where = f" at line {at}" if at else ""
    return _wrong(path, f"cannot be run: {printable(said, LONGEST_REASON)}{where}")


def _wrong(path: Path, message: str, way_out: str | None = None) -> PluginError:
    return PluginError(Diagnostic(f"`{printable(path.name)}` {message}", help=way_out or "repair the file"))
