"""Units that other processes can import."""

import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def sums() -> ModuleType:
    """The module ``sums`` beside, by a name under which workers find it."""
    folder = str(Path(__file__).parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", folder)
        import sums

        yield sums
        sys.modules.pop("sums")
