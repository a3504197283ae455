"""Arrays in files without names, against those in memory."""

from mmap import mmap
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from qtnc.tensor import mapped

DTYPES = (np.float32, np.int64, np.bool_, np.float16, ml_dtypes.bfloat16, ml_dtypes.int4, np.complex64)


def owner(array: Any) -> Any:
    """What holds the bytes of an array."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array.obj if isinstance(array, memoryview) else array


@given(
    arrays(np.int8, array_shapes(max_dims=4, min_side=0), elements=st.integers(0, 1)),
    st.sampled_from(DTYPES),
    st.data(),
)
def test_what_is_set_aside_is_the_same(array: NDArray[np.int8], dtype: Any, data: st.DataObject) -> None:
    given = np.transpose(array.astype(dtype), data.draw(st.permutations(range(array.ndim))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapped, "MAPPED", 1)
        moved = mapped.set_aside(given)
    assert moved.dtype == given.dtype
    assert moved.flags.c_contiguous
    np.testing.assert_array_equal(moved, given)
    assert isinstance(owner(moved), mmap) is (given.size > 0)


def test_small_ones_and_objects_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    small = np.ones(3)
    assert mapped.set_aside(small) is small
    monkeypatch.setattr(mapped, "MAPPED", 1)
    words = np.array(["a", "b"], object)
    assert mapped.set_aside(words) is words
    assert not isinstance(owner(mapped.zeros((2, 3), object)), mmap)


def test_zeros_are_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "MAPPED", 1)
    made = mapped.zeros((3, 4))
    assert isinstance(owner(made), mmap)
    made += 2.0
    np.testing.assert_array_equal(made, np.full((3, 4), 2.0))
