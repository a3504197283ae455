"""`upstream of SET` and `downstream of SET`: what they mean in a selection, with paths that are said."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from qtnc.errors import InternalError, SpecError
from qtnc.spec.program import Spec
from qtnc.spec.select import select_layers

Read = Callable[[str], Spec]


@dataclass(frozen=True)
class Layer:
    name: str
    op: str = "MatMul"

    @property
    def elements(self) -> int:
        return ord(self.name)


LAYERS = [Layer("a"), Layer("b"), Layer("c", "Gemm"), Layer("d"), Layer("e")]


class Paths:
    """a -> b -> d and a -> c -> d; e stands alone."""

    def __init__(self) -> None:
        self.above = {"a": "", "b": "a", "c": "a", "d": "abc", "e": ""}
        self.asked: list[str] = []

    def upstream(self, names: frozenset[str]) -> frozenset[str]:
        self.asked.append("up:" + "".join(sorted(names)))
        return frozenset("".join(self.above[name] for name in names))

    def downstream(self, names: frozenset[str]) -> frozenset[str]:
        self.asked.append("down:" + "".join(sorted(names)))
        return frozenset(x for x in self.above if set(self.above[x]) & names)


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("upstream of d", "abc"),
        ("downstream of a", "bcd"),
        ("upstream of (b or d)", "ac"),  # b leads to d, and is in the set itself
        ("downstream of *", ""),
        ("upstream of Gemm", "a"),
        ('downstream of (MatMul where name ~ "a")', "bcd"),
        ("MatMul - upstream of d", "de"),
        ("upstream of d and downstream of a", "bc"),
        ("upstream of (downstream of b)", "abc"),
        ("not downstream of a", "ae"),
        ("upstream of (top 1 of (* - e) by elements)", "abc"),
        ("bottom 1 of (upstream of d) by elements", "a"),
        ('(upstream of d or downstream of a where name ~ re"[cd]")', "cd"),
        ("downstream of (upstream of (downstream of a))", "bcd"),
    ],
)
def test_reach(selection: str, names: str, read: Read) -> None:
    sets = "".join(f'select {x} = * where name ~ "{x}"\n' for x in "abde")
    spec = read(f'qtn 1\n{sets}select it = {selection} or Conv or (* where name ~ "z")\nselect rest = *\nemit torch')
    try:
        found = select_layers(spec, LAYERS, Paths())["it"]
    except SpecError:
        found = ()
    assert "".join(found) == names


def test_without_paths_none_is_asked_for(read: Read) -> None:
    paths = Paths()
    select_layers(read("qtn 1\nselect a = MatMul\nemit torch"), LAYERS, paths)
    assert paths.asked == []
    with pytest.raises(InternalError):
        select_layers(read("qtn 1\nselect a = upstream of *\nemit torch"), LAYERS)


@pytest.mark.parametrize(
    ("selection", "place", "said"),
    [
        (
            "upstream of a",
            "upstream of a",
            "of 5 layers, none has a path to the layers of `a`; they are `a`, `b`, `c` and 2 more",
        ),
        (
            "Gemm and downstream of d",
            "downstream of d",
            "of 1 Gemm layer that meets the conditions before, none has a path from the layers of `d`; they are `c`",
        ),
        ('upstream of (* where name ~ "z")', 'name ~ "z"', "of 5 layers, none is named so; they are `a`, `b`, `c`"),
        ("downstream of (upstream of a)", "upstream of a", "none has a path to the layers of `a`"),
        ("upstream of (top 2 of Conv by elements)", "Conv", "of 5 layers, none is a `Conv`"),
        ("a - *", "- *", "of 1 MatMul layer that meets the conditions before, all are in `*`; they are `a`"),
        (
            "upstream of d where block > 3",
            "block > 3",
            "of 3 layers that meet the conditions before, none has a number",
        ),
    ],
)
def test_why_nothing_is_reached(selection: str, place: str, said: str, read: Read) -> None:
    sets = "".join(f'select {x} = * where name ~ "{x}"\n' for x in "ad")
    with pytest.raises(SpecError) as caught:
        select_layers(read(f"qtn 1\n{sets}select it = {selection}\nemit torch"), LAYERS, Paths())
    (error,) = caught.value.diagnostics
    assert error.span
    assert (error.message, error.span.text) == ("`it` selects nothing", place)
    assert said in (error.help or "")
