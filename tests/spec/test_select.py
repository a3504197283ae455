"""Which layers a selector means, against other ways to say the same; and what is said when it means none."""

import fnmatch
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtnc.errors import SpecError
from qtnc.spec.pattern import MAX_LENGTH, Pattern
from qtnc.spec.program import Spec
from qtnc.spec.select import claims, ignored, select_layers

Read = Callable[[str], Spec]


@dataclass(frozen=True)
class Layer:
    name: str
    op: str
    elements: int


LAYERS = [
    Layer(f"layers.{i}.{part}", op, elements)
    for i in range(12)
    for part, op, elements in (
        ("attn.q", "MatMul", 1024),
        ("attn.out", "Gemm", 2048),
        ("mlp.up", "MatMul", 49_152),
        ("mlp.down", "MatMul", 49_152 - i),
    )
] + [Layer("lm_head", "MatMul", 1 << 20), Layer("layers/odd [1]", "Gemm", 0)]


def chosen(read: Read, selection: str, before: str = "") -> list[Layer]:
    spec = read(f"qtn 1\n{before}\nselect it = {selection}\nemit torch")
    try:
        names = select_layers(spec, LAYERS)["it"]
    except SpecError:
        return []
    return [layer for layer in LAYERS if layer.name in names]


@pytest.mark.parametrize(
    ("selection", "reference"),
    [
        ("*", lambda x: True),
        ("MatMul", lambda x: x.op == "MatMul"),
        ("not MatMul", lambda x: x.op != "MatMul"),
        ("MatMul or Gemm", lambda x: True),
        ('* where name ~ "layers.*.attn.*"', lambda x: fnmatch.fnmatchcase(x.name, "layers.*.attn.*")),
        ('* where name ~ "layers.?.attn.q"', lambda x: fnmatch.fnmatchcase(x.name, "layers.?.attn.q")),
        ('* where name ~ "layers/odd [1]"', lambda x: x.name == "layers/odd [1]"),
        ('* where name ~ "LM_HEAD"', lambda x: False),
        ('* where name ~ "head"', lambda x: False),
        ('* where name ~ re"head"', lambda x: "head" in x.name),
        (r'* where name ~ re"^layers\.\d\."', lambda x: re.search(r"^layers\.\d\.", x.name) is not None),
        (r'* where name ~ re"(a+)+$|up$"', lambda x: x.name.endswith(("a", "up"))),
        ("* where weight.elements < 1024", lambda x: x.elements < 1024),
        ("* where weight.elements <= 1Ki", lambda x: x.elements <= 1024),
        ("* where weight.elements > 48Ki", lambda x: x.elements > 49_152),
        ("* where weight.elements >= 48Ki", lambda x: x.elements >= 49_152),
        ("* where weight.elements == 49_150", lambda x: x.elements == 49_150),
        ("* where weight.elements != 0", lambda x: x.elements != 0),
        ('MatMul where name ~ "*.q" or name ~ "*.up"', lambda x: x.name.endswith((".q", ".up"))),
        (
            'MatMul where name ~ "*.q" or name ~ "*.up" and not name ~ "*.1.*"',
            lambda x: x.name.endswith(".q") or (x.name.endswith(".up") and ".1." not in x.name),
        ),
        (
            'MatMul where (name ~ "*.q" or name ~ "*.up") and not name ~ "*.1.*"',
            lambda x: x.name.endswith((".q", ".up")) and ".1." not in x.name,
        ),
        ("MatMul or Gemm where weight.elements > 2Ki", lambda x: x.elements > 2048),
        ("MatMul or (Gemm where weight.elements > 2Ki)", lambda x: x.op == "MatMul" or x.elements > 2048),
        ("MatMul and not a", lambda x: x.op == "MatMul" and ".1" not in x.name),
        ("a and MatMul or Gemm and not a", lambda x: (x.op == "MatMul") == (".1" in x.name)),
        ("MatMul - a", lambda x: x.op == "MatMul" and ".1" not in x.name),
        ("* - a - Gemm", lambda x: x.op == "MatMul" and ".1" not in x.name),
        ("*-a-Gemm", lambda x: x.op == "MatMul" and ".1" not in x.name),
        ("* - (a - Gemm)", lambda x: x.op == "Gemm" or ".1" not in x.name),
        ("Gemm or * - a", lambda x: x.op == "Gemm" or ".1" not in x.name),
        ("* - a and Gemm", lambda x: x.op == "Gemm" and ".1" not in x.name),
        ("not a - Gemm", lambda x: x.op == "MatMul" and ".1" not in x.name),
        ("* - not a", lambda x: ".1" in x.name),
        ('* -\n a where name ~ re"q$"', lambda x: ".1" not in x.name and x.name.endswith("q")),
        (
            "* - top 2 of * by elements - a",
            lambda x: x.name not in ("lm_head", "layers.0.mlp.up") and ".1" not in x.name,
        ),
        ("bottom 1 of (* - bottom 1 of * by elements) by elements", lambda x: x.name == "layers.0.attn.q"),
        ('b where name ~ "*q"', lambda x: ".1" in x.name and x.name.endswith("q")),
    ],
)
def test_selections(selection: str, reference: Callable[[Layer], bool], read: Read) -> None:
    before = 'select a = * where name ~ "*.1*"\nselect b = a and MatMul'
    assert chosen(read, selection, before) == [layer for layer in LAYERS if reference(layer)]


names = st.text(alphabet="ab.*?[]!/\\(+\n§", max_size=12)


@given(glob=names.filter(bool), name=names)
def test_globs_match_as_those_of_the_shell_without_brackets(glob: str, name: str) -> None:
    assert Pattern(glob, "glob").matches(name) == fnmatch.fnmatchcase(name, glob.replace("[", "[[]"))


@given(name=st.text(min_size=1, max_size=30).filter(lambda s: "*" not in s and "?" not in s))
def test_a_name_without_wildcards_matches_itself_alone(name: str) -> None:
    assert Pattern(name, "glob").matches(name)
    assert not Pattern(name, "glob").matches(name + "x")


def test_a_hostile_pattern_costs_no_time() -> None:
    start = time.perf_counter()
    assert not Pattern("(a+)+$", "regex").matches("a" * 100_000 + "b")
    assert not Pattern("*a" * 200, "glob").matches("a" * 5000 + "b")
    assert time.perf_counter() - start < 5


def test_selectors_that_match_nothing_are_all_reported(read: Read) -> None:
    spec = read(
        r"""qtn 1
select a = Matmul
select b = MatMul where name ~ "head"
select c = MatMul where name ~ "layers.*" and weight.elements >= 1Gi
select d = * where name ~ re"layers\.\d+\.mpl"
select e = a and MatMul
select f = Gemm where weight.elements < 0
select g = MatMul
select h = g and not g
select i = * where name ~ "lm_haed"
select j = * where name ~ "layers.*.attention.*"
emit torch"""
    )
    with pytest.raises(SpecError) as caught:
        select_layers(spec, LAYERS)
    assert [(d.span.text, d.help) for d in caught.value.diagnostics if d.span] == [
        ("Matmul", "of 50 layers, none is a `Matmul`; did you mean `MatMul`?"),
        (
            'name ~ "head"',
            (
                "of 37 MatMul layers that meet the conditions before, none is named so; "
                "a glob matches whole names, and `*head*` would match `lm_head`"
            ),
        ),
        (
            "weight.elements >= 1Gi",
            (
                "of 36 MatMul layers that meet the conditions before, none has weight.elements >= 1Gi; "
                "the largest is `layers.0.mlp.up` with 49,152"
            ),
        ),
        (r'name ~ re"layers\.\d+\.mpl"', "of 50 layers, none is named so; did you mean `mlp`?"),
        (
            "weight.elements < 0",
            (
                "of 13 Gemm layers that meet the conditions before, none has weight.elements < 0; "
                "the smallest is `layers/odd [1]` with 0"
            ),
        ),
        (
            "not g",
            (
                "of 37 MatMul layers that meet the conditions before, all are in `g`; "
                "they are `layers.0.attn.q`, `layers.0.mlp.up`, `layers.0.mlp.down` and 34 more"
            ),
        ),
        ('name ~ "lm_haed"', "of 50 layers, none is named so; did you mean `lm_head`?"),
        ('name ~ "layers.*.attention.*"', "of 50 layers, none is named so; did you mean `attn`?"),
    ]
    assert caught.value.diagnostics[0].message == "`a` selects nothing"


def test_the_longest_glob_that_matches_nothing_is_explained(read: Read) -> None:
    """A wider one, which would be offered, is longer than patterns may be."""
    with pytest.raises(SpecError, match="selects nothing"):
        select_layers(read(f'qtn 1\nselect a = * where name ~ "{"a" * MAX_LENGTH}"\nemit torch'), LAYERS)


def test_a_model_without_layers(read: Read) -> None:
    with pytest.raises(SpecError, match="the model has no layers with weights"):
        select_layers(read("qtn 1\nselect a = *\nemit torch"), [])


def test_the_last_rewrite_that_claims_a_layer_wins_and_the_others_are_kept(read: Read) -> None:
    spec = read(
        "qtn 1\nselect all = MatMul\n"
        'select up = MatMul where name ~ "*.up"\n'
        "rewrite all -> mpo(max_bond: 1)\nrewrite up -> lowrank(rank: 2)\nrewrite all -> mpo(max_bond: 3)\nemit torch"
    )
    selected = select_layers(spec, LAYERS)
    first, second, third = spec.rewrites
    found = claims(spec, selected)
    assert found["layers.0.mlp.up"] == (third, second, first)
    assert found["lm_head"] == (third, first)
    assert set(found) == set(selected["all"])


def test_what_is_ignored_no_rewrite_claims(read: Read) -> None:
    spec = read(
        'qtn 1\nselect all = MatMul\nselect up = all where name ~ "*.up"\nselect one = all where name ~ "*.1.*"\n'
        "rewrite up -> mpo(max_bond: 1)\nignore one\nignore up\nrewrite all -> mpo(max_bond: 2)\n"
        "stage last {\nrewrite up -> mpo(max_bond: 3)\n}\nemit torch"
    )
    for stage in (None, "last"):
        at = spec.at(stage)
        selected = select_layers(at, LAYERS)
        found, alone = claims(at, selected), ignored(at, selected)
        assert set(alone) == {*selected["up"], *selected["one"]}
        assert set(found) == set(selected["all"]) - set(alone)
        assert alone["layers.1.mlp.up"].span.line == 6
        assert alone["layers.0.mlp.up"].span.text == "ignore up"
