"""`top N of SET by KEY`: which layers it means, and that each is measured once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtnc.backends.options import BACKENDS
from qtnc.errors import SpecError
from qtnc.ir.form import Form, WeightForm
from qtnc.source import Source, Span
from qtnc.spec.program import AllOf, AnyLayer, NameIs, OpIs, Spec, Top, walk
from qtnc.spec.rank import Ranking
from qtnc.spec.read import read_source
from qtnc.spec.select import select_layers
from qtnc.structures.registry import STRUCTURES

Read = Callable[[str], Spec]

SPAN = Span(Source("spec.qtn", ""), 0, 0)


@dataclass
class Layer:
    name: str
    op: str
    weight: np.ndarray = field(repr=False)
    reads: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.weight.shape

    @property
    def form(self) -> Form | str:
        axes = tuple(range(len(self.shape)))
        return Form(axes, axes, WeightForm(axes)) if self.op in ("MatMul", "Gemm") else "no product"

    @property
    def matrix_shape(self) -> tuple[int, ...]:
        return self.shape

    @property
    def elements(self) -> int:
        return self.weight.size

    @property
    def bytes(self) -> int:
        return self.weight.nbytes

    def matrix(self) -> np.ndarray:
        self.reads += 1
        return self.weight.astype(np.float64)


@pytest.fixture
def layers() -> list[Layer]:
    """Weights of many kinds; the entropy of a product is 0, that of noise is near the most there is, log2 16."""
    rng = np.random.default_rng(0)
    product = np.kron(rng.standard_normal((4, 4)), rng.standard_normal((4, 4)))
    return [
        Layer("a", "MatMul", product),
        Layer("b", "MatMul", rng.standard_normal((16, 16)).astype(np.float32)),
        Layer("c", "Gemm", rng.standard_normal((4, 4))),
        Layer("d", "MatMul", -3 * product),
        Layer("e", "Gather", rng.standard_normal((32, 32)).astype(np.float16)),
        Layer("f", "MatMul", rng.standard_normal((2, 4, 4))),
    ]


def chosen(read: Read, selection: str, layers: list[Layer]) -> str:
    spec = read(f'qtn 1\nselect odd = * where name ~ "a" or name ~ "c"\nselect it = {selection}\nemit torch')
    return "".join(select_layers(spec, layers)["it"])


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("top 1 of * by elements", "e"),
        ("top 2 of * by elements", "ae"),  # a, b and d have as many, and a comes first
        ("top 3 of * by elements", "abe"),
        ("top 2 of * by bytes", "ad"),  # e has half as wide elements, but four times as many
        ("top 1_000 of * by bytes", "abcdef"),
        ("top 1 of odd by bytes", "a"),
        ("top 1 of (odd and not MatMul) by bytes", "c"),
        ('top 1 of (* where name ~ "b" or name ~ "c") by bytes', "b"),
        ('top 2 of * by elements where name ~ "e"', "e"),
        ("MatMul and top 2 of * by elements", "a"),
        ("MatMul and not top 2 of * by elements", "bdf"),
        ("top 1 of (top 3 of * by elements) by bytes", "a"),
        ("top 1 of odd by bytes or top 1 of * by elements", "ae"),
        ('top 1 of (* where name ~ "z") by bytes or Gemm', "c"),
        ("top 1 of odd by entropy", "c"),
        ('top 3 of (MatMul where not name ~ "f") by entropy', "abd"),
        ('top 2 of (MatMul where not name ~ "f") by entropy', "ab"),  # d differs from a by rounding alone
        ("bottom 1 of * by elements", "c"),
        ("bottom 3 of * by elements", "acf"),  # the first of equals, as for `top`
        ("bottom 1_000 of * by bytes", "abcdef"),
        ('bottom 1 of (* where not name ~ re"[ef]") by entropy', "a"),
        ("bottom 1 of (top 3 of * by elements) by bytes", "b"),
        ("* - bottom 2 of * by bytes", "abde"),
        ("top 1 of odd by decay", "a"),
        ('bottom 2 of (* where not name ~ re"[ef]") by decay', "ac"),
    ],
)
def test_top(selection: str, names: str, layers: list[Layer], read: Read) -> None:
    assert chosen(read, selection, layers) == names


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 14))
def test_the_largest_are_chosen_and_the_first_of_equals(sizes: list[int], count: int) -> None:
    layers = [Layer(f"x{k}", "MatMul", np.zeros(size)) for k, size in enumerate(sizes)]
    found = Ranking().top(Top(count, AnyLayer(SPAN), "elements", SPAN), layers)
    assert found == {f"x{k}" for k in sorted(range(len(sizes)), key=lambda k: (-sizes[k], k))[:count]}


def test_what_is_written_is_what_is_meant(read: Read) -> None:
    spec = read('qtn 1\nselect it = Gemm or top 2 of (MatMul where name ~ "a") by entropy\nemit torch')
    (top,) = [part for part in walk(spec.selects["it"].predicate) if isinstance(part, Top)]
    assert (top.count, top.key) == (2, "entropy")
    assert top.span.text == 'top 2 of (MatMul where name ~ "a") by entropy'
    match top.base:
        case AllOf((OpIs("MatMul"), NameIs())):
            pass
        case other:
            pytest.fail(str(other))


@pytest.mark.parametrize("name", ["top", "of", "by", "bottom", "upstream", "downstream", "in", "divisible"])
def test_its_words_are_names_elsewhere(name: str, layers: list[Layer], read: Read) -> None:
    spec = read(
        f"qtn 1\nselect {name} = MatMul\nselect a = {name} and not (Gemm or {name} where weight.elements > 256)\n"
        f"select b = ({name}) or {name}\nselect it = top 1 of {name} by elements\nselect c = {name}\nemit torch"
    )
    found = select_layers(spec, layers)
    assert (found["a"], found["it"]) == (("a", "b", "d", "f"), ("a",))
    assert found["b"] == found["c"] == found[name]


@pytest.mark.parametrize("share", [10, 40])
def test_the_error_is_that_of_what_the_structure_proposes(share: int, layers: list[Layer]) -> None:
    """Against the tail of numpy's singular values: a rank of (share of M N) / (M + N) is what those bytes buy."""

    def tail(layer: Layer) -> float:
        values = np.linalg.svd(layer.weight.astype(np.float64), compute_uv=False)
        rank = max(1, layer.weight.size * share // 100 // sum(layer.shape))
        return float(np.sqrt(np.sum(values[rank:] ** 2) / np.sum(values**2)))

    products = [layer for layer in layers if layer.op != "Gather" and layer.name != "f"]
    ranked = sorted(products, key=lambda layer: -round(tail(layer), 9))
    text = f'of ((MatMul or Gemm) where not name ~ "f") by error of lowrank(bytes: {share}%)'
    for count in range(1, 5):
        spec = shipped(f"select it = top {count} {text}\nselect low = bottom {count} {text}")
        found = select_layers(spec, layers)
        assert set(found["it"]) == {layer.name for layer in ranked[:count]}
        assert len(found["low"]) == count
    assert set(select_layers(shipped(f"select it = bottom 1 {text}"), layers)["it"]) == {
        min(products, key=lambda layer: round(tail(layer), 9)).name
    }


def shipped(statements: str) -> Spec:
    """A spec with the structures that ship."""
    return read_source(Source("spec.qtn", f"qtn 1\n{statements}\nemit torch"), STRUCTURES, BACKENDS, Path())


def test_an_error_is_asked_at_chains_too_and_found_once(layers: list[Layer]) -> None:
    spec = shipped(
        'select a = top 1 of (* where name ~ re"[ab]") by error of circuit(depth: 1) | mpo(sites: 2, max_bond: 1)\n'
        'select b = bottom 1 of (* where name ~ re"[ab]") by error of circuit(depth: 1) | mpo(sites: 2, max_bond: 1)\n'
        'select c = top 1 of (* where name ~ re"[ab]") by error of mpo(max_bond: 1)'
    )
    assert [*select_layers(spec, layers).values()] == [("b",), ("a",), ("b",)]
    assert [layer.reads for layer in layers[:3]] == [2, 2, 0]


def test_a_structure_that_does_not_fit(layers: list[Layer]) -> None:
    spec = shipped('select it = top 1 of (* where name ~ re"[ac]") by error of mpo(sites: [2x2, 2x2])')
    with pytest.raises(SpecError) as caught:
        select_layers(spec, layers)
    (error,) = caught.value.diagnostics
    assert error.message == "`a` has no error: sites span 4x4, less than the weight's 16x16"
    assert error.help == "narrow the set, or give `mpo` options that fit all of it"


@pytest.mark.parametrize("scale", [0.0, 1e-300, 1e300])
def test_the_scale_of_a_weight_is_nothing_to_its_error(scale: float, layers: list[Layer]) -> None:
    text = 'select it = top 2 of (* where name ~ re"[abd]") by error of lowrank(rank: 1)'
    assert select_layers(shipped(text), layers)["it"] == ("a", "b")
    layers[0].weight = scale * layers[0].weight
    assert select_layers(shipped(text), layers)["it"] == (("a", "b") if scale else ("b", "d"))


def test_what_is_not_ranked_by_numerics_reads_no_weight(layers: list[Layer], read: Read) -> None:
    assert chosen(read, "top 1 of * by bytes - bottom 1 of * by elements where weight.elements > 0", layers)
    assert not any(layer.reads for layer in layers)


def test_an_entropy_is_found_once(layers: list[Layer], read: Read) -> None:
    spec = read(
        'qtn 1\nselect a = top 1 of (* where name ~ re"[ab]") by entropy\n'
        'select b = top 1 of (* where name ~ re"[abc]") by entropy or top 2 of (a or Gemm) by entropy\n'
        "select c = top 1 of MatMul by bytes\nemit torch"
    )
    assert select_layers(spec, layers)["b"] == ("b", "c")
    assert [layer.reads for layer in layers] == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("selection", "place", "said"),
    [
        ("top 1 of e by entropy", "e", "`e` has no entropy: a Gather of 32x32 is no product x . W with a matrix W"),
        ("top 1 of f by entropy", "f", "`f` has no entropy: a MatMul of 2x4x4 is no product x . W with a matrix W"),
        (
            "not top 1 of (* where weight.elements > 16) by entropy",
            "* where weight.elements > 16",
            "`e` has no entropy: a Gather of 32x32 is no product x . W with a matrix W (1 more of the set has none)",
        ),
        ("top 1 of nan by entropy", "nan", "`nan` has no entropy: its weight holds NaN or infinity"),
        (
            "top 1 of none by entropy",
            "none",
            "`none` has no entropy: a Gemm of 0x4 is no product x . W with a matrix W",
        ),
    ],
)
def test_layers_without_an_entropy(selection: str, place: str, said: str, layers: list[Layer], read: Read) -> None:
    layers += [Layer("nan", "MatMul", np.full((4, 4), np.nan)), Layer("none", "Gemm", np.zeros((0, 4)))]
    sets = "".join(f'select {name} = * where name ~ "{name}"\n' for name in ("e", "f", "nan", "none"))
    spec = read(f"qtn 1\n{sets}select it = {selection}\nselect lost = Conv\nemit torch")
    with pytest.raises(SpecError) as caught:
        select_layers(spec, layers)
    assert [(d.span.text, d.message) for d in caught.value.diagnostics if d.span] == [
        (place, said),
        ("Conv", "`lost` selects nothing"),
    ]
    assert caught.value.diagnostics[0].help == "narrow the set, as in `(SET and (MatMul or Gemm))`"


@pytest.mark.parametrize(
    ("selection", "place"),
    [
        ('top 3 of (MatMul where name ~ "z") by elements', 'name ~ "z"'),
        ("top 3 of Conv by entropy where weight.elements > 0", "Conv"),
        ("top 1 of * by elements where weight.elements < 1Ki", "weight.elements < 1Ki"),
        ("Gemm and top 1 of * by elements", "top 1 of * by elements"),
    ],
)
def test_an_empty_set_is_the_usual_error(selection: str, place: str, layers: list[Layer], read: Read) -> None:
    with pytest.raises(SpecError) as caught:
        chosen(read, selection, layers)
    (error,) = caught.value.diagnostics
    assert error.span
    assert (error.message, error.span.text) == ("`it` selects nothing", place)


def test_a_selector_that_is_empty_above_is_no_second_error(layers: list[Layer], read: Read) -> None:
    with pytest.raises(SpecError) as caught:
        select_layers(read("qtn 1\nselect a = Conv\nselect b = top 2 of a by bytes\nemit torch"), layers)
    assert len(caught.value.diagnostics) == 1
