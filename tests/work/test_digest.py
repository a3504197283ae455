"""The digest of a unit: the same for what is the same, another for everything else."""

import sys
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtnc.structures.circuit import Circuits
from qtnc.structures.mpo import Mpo
from qtnc.structures.structure import Problem
from qtnc.work import digest as module
from qtnc.work.digest import code_of, digest

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(plain, lambda inner: st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3))


def told(value: Any) -> Any:
    """What tells values apart: Python has ``1 == 1.0 == True`` and ``0.0 == -0.0``."""
    if isinstance(value, tuple | list):
        return ("row", *map(told, value))
    if isinstance(value, dict):
        return ("row", *(("row", told(k), told(v)) for k, v in sorted(value.items())))
    return (type(value).__name__, value.hex() if isinstance(value, float) else value)


@given(values, values)
def test_values_have_one_digest_exactly_where_they_are_one(a: Any, b: Any) -> None:
    assert (digest(a) == digest(b)) == (told(a) == told(b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(2, np.float32), np.zeros(2, np.int32)),
        (np.zeros(2, np.float16), np.zeros(2, ml_dtypes.bfloat16)),
        (np.array([1.0, 2.0]), np.array([2.0, 1.0])),
        (np.zeros(0), np.zeros((0, 1))),
        (np.float32([0.0]), np.float32([-0.0])),
    ],
)
def test_arrays_are_told_apart(a: Any, b: Any) -> None:
    assert digest(a) != digest(b)


def test_how_an_array_lies_in_memory_is_no_matter() -> None:
    array = np.arange(12.0).reshape(3, 4)
    assert digest(array) == digest(np.asfortranarray(array)) == digest(np.repeat(array, 2, axis=1)[:, ::2])
    assert digest(np.broadcast_to(np.float64(3.0), (2, 2))) == digest(np.full((2, 2), 3.0))


def test_every_field_of_a_structure_counts() -> None:
    problem = Problem(np.eye(4))
    of = [(problem, structure) for structure in (Mpo(2), Mpo(3), Mpo(2, max_bond=2), Circuits(2, inner=Mpo(2)))]
    of += [(Problem(np.eye(4), np.eye(4)), Mpo(2)), (problem, Circuits(2, inner=Mpo(3)))]
    assert len({digest(x) for x in of}) == len(of)
    assert digest((problem, replace(Mpo(3), sites=2))) == digest((problem, Mpo(2)))


def test_what_was_computed_from_the_fields_does_not_count() -> None:
    seen, fresh = Problem(np.eye(4)), Problem(np.eye(4))
    _ = seen.spectrum
    assert digest(seen) == digest(fresh)


def test_classes_of_one_form_are_told_apart() -> None:
    @dataclass(frozen=True)
    class One:
        x: int

    @dataclass(frozen=True)
    class Other:
        x: int

    assert digest(One(1)) != digest(Other(1))


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", digest, Mpo, 1j])
def test_what_cannot_be_told_apart_has_no_digest(value: Any) -> None:
    with pytest.raises(TypeError, match="has no digest"):
        digest((value,))


def test_a_change_of_code_is_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the whole package: of what a structure calls, too."""
    package = tmp_path / "third_party"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "numerics.py").write_text("FACTOR = 1\n")
    text = "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Theirs:\n    k: int\n"
    (package / "structure.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    from third_party.structure import Theirs

    before = digest(Theirs(3)), code_of("qtnc.work")
    (package / "numerics.py").write_text("FACTOR = 2\n")
    module._source_hash.cache_clear()
    assert digest(Theirs(3)) != before[0]
    assert code_of("qtnc.work") == before[1]
    del sys.modules["third_party"], sys.modules["third_party.structure"]


def test_the_code_of_a_namespace_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "space").mkdir()
    source = tmp_path / "space" / "part.py"
    source.write_text("x = 1")
    monkeypatch.syspath_prepend(tmp_path)
    import_module("space.part")
    try:
        before = module._source_hash.__wrapped__("space")
        source.write_text("x = 2")
        assert module._source_hash.__wrapped__("space") != before
    finally:
        del sys.modules["space"], sys.modules["space.part"]
