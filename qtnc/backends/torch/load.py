"""Emitted torch code, loaded."""

import importlib.util
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from qtnc.backends.torch.source import Source
from qtnc.backends.torch.weights import torch_dtype
from qtnc.errors import VerifyError


def load_emitted(folder: Path) -> Any:
    """The ``torch.nn.Module`` of a ``model.py``, its weights loaded, in eval mode; the folder is left as it is.

    Raises
    ------
    VerifyError
        If there is no such file to import.
    """
    name = f"_emitted_{abs(hash(str(folder.resolve())))}"
    spec = importlib.util.spec_from_file_location(name, folder / "model.py")
    if spec is None or spec.loader is None:
        raise VerifyError(f"{folder / 'model.py'} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # The folder is to hold what was emitted, nothing more.
        before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
        del sys.modules[name]
    return module.load()


def load_source(source: Source) -> Any:
    """The ``torch.nn.Module`` that a source describes, made in memory: nothing is written, and no file is needed."""
    import torch

    found: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(source.text(), "model.py", "exec"), found)  # noqa: S102 - the text that would be imported
    model = found["Model"]()
    state = {}
    for name, weight in source.weights.items():
        data = BytesIO()
        weight.write(data)
        dtype = getattr(torch, str(torch_dtype(weight.dtype)).removeprefix("torch."))
        held = torch.frombuffer(data.getbuffer(), dtype=dtype) if weight.nbytes else torch.empty(0, dtype=dtype)
        state[name] = held.reshape(weight.shape)
    model.load_state_dict(state, assign=True)
    return model.eval()
