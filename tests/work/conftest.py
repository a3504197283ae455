"""Units that other processes can import."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from joblib.externals.loky import get_reusable_executor


@pytest.fixture(scope="session")
def sums() -> Iterator[ModuleType]:
    """The module ``sums`` beside. Workers that were there before would not find it; new ones are told where."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        get_reusable_executor().shutdown(wait=True)
        import sums

        yield sums
        get_reusable_executor().shutdown(wait=True)
