"""Units that travel to other processes."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from joblib.externals.cloudpickle import register_pickle_by_value, unregister_pickle_by_value


@pytest.fixture(scope="session")
def sums() -> Iterator[ModuleType]:
    """The module ``sums`` beside; workers are told what is in it, for they cannot import it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        import sums

        register_pickle_by_value(sums)
        yield sums
        unregister_pickle_by_value(sums)
