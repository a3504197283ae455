"""Breaking long lines of generated code."""

from collections.abc import Iterator
from itertools import pairwise

WIDTH = 110
_OPEN, _CLOSE = "([{", ")]}"
_LOOSEST_FIRST = (("==", "<=", ">=", "<", ">"), ("|",), ("^",), ("&",), ("+", "-"), ("*", "/", "%", "@"))


def wrap(line: str) -> list[str]:
    """The line; or when it is wider than ``WIDTH``, one operand or one argument a line."""
    if len(line) <= WIDTH or line.lstrip().startswith("#"):
        return [line]
    return _at_operators(line) or _at_arguments(line) or [line]


def _at_operators(line: str) -> list[str] | None:
    """Break an assignment before its loosest operators."""
    target, equals, value = line.partition(" = ")
    if not equals or "(" in target:
        return None
    indent = " " * (len(line) - len(line.lstrip()))
    spaced = [(k, c) for k, c, depth in _plain(value) if depth == 0 and value[k - 1 : k] == " "]
    for level in _LOOSEST_FIRST:
        cuts = [k for k, _ in spaced if any(value.startswith(f"{op} ", k) for op in level)]
        if cuts:
            rows = [value[a:b].strip() for a, b in pairwise([0, *cuts, len(value)])]
            inner = (part for row in rows for part in wrap(f"{indent}    {row}"))
            return [f"{target} = (", *inner, f"{indent})"]
    return None


def _at_arguments(line: str) -> list[str] | None:
    """Break the longest call, one argument a line."""
    found = _longest_call(line)
    if found is None:
        return None
    start, end, commas = found
    indent = " " * (len(line) - len(line.lstrip()))
    items = [line[a + 1 : b].strip() for a, b in pairwise([start, *commas, end])]
    inner = (part for item in items if item for part in wrap(f"{indent}    {item},"))
    return [line[: start + 1], *inner, f"{indent}{line[end:]}"]


def _longest_call(line: str) -> tuple[int, int, list[int]] | None:
    """Where the longest bracket with commas of its own opens and closes, and its commas."""
    best: tuple[int, int, list[int]] | None = None
    stack: list[tuple[int, list[int]]] = []
    for k, c, _ in _plain(line):
        if c in _OPEN:
            stack.append((k, []))
        elif c == "," and stack:
            stack[-1][1].append(k)
        elif c in _CLOSE:
            start, commas = stack.pop()
            if line[start] == "(" and commas and (best is None or k - start > best[1] - best[0]):
                best = (start, k, commas)
    return best


def _plain(line: str) -> Iterator[tuple[int, str, int]]:
    """Characters outside of string literals, with their place and the brackets around them."""
    quoted = False
    depth = 0
    for k, c in enumerate(line):
        if c == '"':
            quoted = not quoted
        if quoted:
            continue
        depth -= c in _CLOSE
        yield k, c, depth
        depth += c in _OPEN
