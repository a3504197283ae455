"""The cache: what was put is found, whole and to the bit; what was damaged is not; what is too much goes."""

import json
import os
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qtnc.errors import WorkError
from qtnc.work.cache import LIMIT, Cache, default_cache
from qtnc.work.unit import Outcome

KEY = "ab" * 32
DTYPES = st.sampled_from(["<f8", "<f4", "<f2", "<i8"])


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def entry(cache: Cache, key: str = KEY) -> Path:
    return cache.folder / "1" / key[:2] / key


@given(array=hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, min_side=0, max_side=4)), number=st.floats())
def test_what_is_put_is_found(tmp_path_factory: pytest.TempPathFactory, array: Any, number: float) -> None:
    cache = Cache(tmp_path_factory.mktemp("cache"))
    cache.put(KEY, Outcome({"number": number, "text": "é\n"}, (array, array.T)))
    found = cache.get(KEY)
    assert found is not None
    np.testing.assert_equal(found.facts, {"number": number, "text": "é\n"})
    for ours, theirs in zip(found.arrays, (array, array.T), strict=True):
        assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())


def test_bfloat16_comes_back_as_it_was(cache: Cache) -> None:
    array = np.array([[1.0, -2.5], [3e38, 0.0]], ml_dtypes.bfloat16)
    cache.put(KEY, Outcome({}, (array,)))
    found = cache.get(KEY)
    assert found is not None
    assert found.arrays[0].dtype == ml_dtypes.bfloat16
    assert found.arrays[0].tobytes() == array.tobytes()


def test_what_is_found_outlives_its_file(cache: Cache) -> None:
    """Arrays are mapped, not read; another process may clear the cache meanwhile."""
    cache.put(KEY, Outcome({}, (np.arange(5.0),)))
    found = cache.get(KEY)
    cache.clear()
    assert found is not None
    assert not found.arrays[0].flags.writeable
    np.testing.assert_array_equal(found.arrays[0], np.arange(5.0))
    assert cache.get(KEY) is None
    assert KEY not in cache


@pytest.mark.parametrize("file", ["0.npy", "facts.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone"])
def test_a_damaged_entry_is_none(cache: Cache, file: str, damage: str) -> None:
    cache.put(KEY, Outcome({"a": 1}, (np.arange(50.0),)))
    path = entry(cache) / file
    raw = path.read_bytes()
    path.unlink()
    if damage != "gone":
        changed = {"cut": raw[:-3], "flipped": raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:], "empty": b""}
        path.write_bytes(changed[damage])
    assert cache.get(KEY) is None
    cache.put(KEY, Outcome({"a": 2}, ()))  # and its place is free again
    found = cache.get(KEY)
    assert found is not None
    assert found.facts == {"a": 2}


@pytest.mark.parametrize(
    "text", ["[]", "{}", "null", '{"facts": {}, "arrays": 3}', '{"facts": {}, "arrays": [[]]}', "[" * 9999]
)
def test_facts_of_another_form_are_none(cache: Cache, text: str) -> None:
    cache.put(KEY, Outcome())
    (entry(cache) / "facts.json").write_text(text)
    assert cache.get(KEY) is None


def test_nothing_is_unpickled(cache: Cache) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(cache.folder / "sprung"),))

    cache.put(KEY, Outcome({}, (np.zeros(2),)))
    np.save(entry(cache) / "0.npy", np.array([Trap()], object), allow_pickle=True)
    content = json.loads((entry(cache) / "facts.json").read_text())
    import hashlib

    content["arrays"][0]["sha256"] = hashlib.sha256((entry(cache) / "0.npy").read_bytes()).hexdigest()
    (entry(cache) / "facts.json").write_text(json.dumps(content))
    assert cache.get(KEY) is None
    assert not (cache.folder / "sprung").exists()


def test_the_least_recently_used_goes_first(cache: Cache) -> None:
    keys = [f"{k:02d}" * 32 for k in range(4)]
    for age, key in enumerate(keys):
        cache.put(key, Outcome({}, (np.zeros(100),)))
        os.utime(entry(cache, key), (1000 + age, 1000 + age))
    assert cache.get(keys[0]) is not None  # used just now
    each = next(iter(cache.sizes().values()))
    cache.trim(2 * each)
    assert [key in cache for key in keys] == [True, False, False, True]


def test_a_limit_is_kept(cache: Cache) -> None:
    assert cache.limit == LIMIT
    cache.put(KEY, Outcome({}, (np.zeros(100),)))
    cache.bound(10)
    assert (cache.limit, KEY in cache) == (10, False)
    (cache.folder / "limit").write_text("nonsense")
    assert cache.limit == LIMIT


def test_what_a_writer_that_was_killed_left_is_counted_and_goes(cache: Cache) -> None:
    cache.put(KEY, Outcome({}, (np.zeros(10),)))
    left = entry(cache).with_name(".half")
    left.mkdir()
    (left / "0.npy").write_bytes(b"x" * 1000)
    os.utime(left, (1, 1))
    assert left in cache.sizes()
    cache.trim(1000)
    assert not left.exists()
    assert KEY in cache


def test_a_cache_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "cache")
    cache.put(KEY, Outcome({}, (np.zeros(3),)))
    assert KEY not in cache
    assert cache.get(KEY) is None
    with pytest.raises(WorkError, match="cannot be written: Not a directory"):
        cache.bound(10)


def test_it_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QTNC_CACHE_DIR", str(tmp_path / "named"))
    assert default_cache().folder == tmp_path / "named"
    monkeypatch.delenv("QTNC_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert default_cache().folder == tmp_path / "home" / "qtnc"
