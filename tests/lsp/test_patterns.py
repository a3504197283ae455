"""Names as patterns: whatever a name is, what is offered for it can be written in a spec and matches it."""

from hypothesis import assume, given
from hypothesis import strategies as st

from qtnc.lsp.patterns import continuations, escaped
from qtnc.spec.pattern import Pattern
from qtnc.spec.syntax import lexemes

NAMES = st.text(
    st.sampled_from('ab1.*?"\\[{(^$|+\n\t`/ \N{ROCKET}\u202e') | st.characters(codec="utf-8"), min_size=1, max_size=20
)


@given(NAMES)
def test_a_name_is_matched_by_its_glob(name: str) -> None:
    glob = escaped(name, "STRING")
    assert Pattern(glob, "glob").matches(name)
    assert [x.kind for x in lexemes(f'"{glob}"')] == ["STRING"]


@given(NAMES, NAMES)
def test_a_name_alone_is_matched_by_its_expression(name: str, other: str) -> None:
    assume("\0" not in name + other)
    regex = escaped(name, "REGEX")
    assert Pattern(f"^{regex}$", "regex").matches(name)
    assert Pattern(f"^{regex}$", "regex").matches(other) == (name == other)
    assert [x.kind for x in lexemes(f're"{regex}"')] == ["REGEX"]


LAYERS = ["layers.0.attn.q", "layers.0.mlp.up", "layers.1.attn.q", "head"]


def test_patterns_go_on_segment_by_segment() -> None:
    assert continuations("", "STRING", LAYERS) == {"layers.": 3, "head": 1}
    assert continuations("layers.", "STRING", LAYERS) == {"layers.*.": 3, "layers.0.": 2, "layers.1.": 1}
    assert continuations("layers.0.a", "STRING", LAYERS) == {"layers.0.attn.": 1}
    assert continuations(r"layers\.\d+\.m", "REGEX", LAYERS) == {r"layers\.\d+\.mlp\.": 1}
    assert continuations("none.", "STRING", LAYERS) == {}
    assert continuations("((.", "REGEX", LAYERS) == {}


def test_wildcards_that_are_typed_are_wildcards() -> None:
    assert continuations("*.attn.", "STRING", LAYERS) == {"*.attn.q": 2}
    assert continuations("layers.?.m", "STRING", LAYERS) == {"layers.?.mlp.": 1}
