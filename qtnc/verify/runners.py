"""Models as functions from feeds to outputs: ONNX files by onnxruntime, emitted torch modules by themselves."""

import importlib.util
import sys
from pathlib import Path

import numpy as np

from qtnc.calibrate.data import Feed
from qtnc.calibrate.session import run as run_feed
from qtnc.calibrate.session import session_at
from qtnc.errors import DataError, Diagnostic, ImportModelError, VerifyError
from qtnc.verify.compare import Outputs, Runner


def onnx_runner(path: Path) -> Runner:
    """Run an ONNX file in onnxruntime."""
    session = session_at(path)
    names = [output.name for output in session.get_outputs()]

    def run(feed: Feed) -> Outputs:
        return dict(zip(names, run_feed(session, names, feed), strict=True))

    return run


def original_runner(path: Path) -> Runner:
    """Run the model that was compiled; where it does not run, it is the model or the inputs that are wrong."""
    try:
        run = onnx_runner(path)
    except Exception as error:  # onnxruntime's errors share no base class
        raise ImportModelError(
            Diagnostic(f"onnxruntime cannot load the model: {said(error)}", place=str(path))
        ) from error

    def attempt(feed: Feed) -> Outputs:
        try:
            return run(feed)
        except Exception as error:
            way_out = "verify on data that the model takes (verify ... on DATA)"
            raise DataError(
                Diagnostic(f"the inputs do not run through the model: {said(error)}", place=str(path), help=way_out)
            ) from error

    return attempt


def said(error: BaseException) -> str:
    """Beginning of what an error says."""
    return str(error).strip()[:300] or type(error).__name__


def torch_runner(folder: Path, inputs: list[str], outputs: list[str]) -> Runner:
    """Run an emitted ``model.py``, outputs named in the order of the graph."""
    import torch

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
    model = module.load()

    def run(feed: Feed) -> Outputs:
        with torch.inference_mode():
            found = model(*(torch.from_numpy(np.asarray(feed[name], order="C")) for name in inputs))
        values = [found] if isinstance(found, torch.Tensor) else list(found)
        return {name: value.detach().numpy() for name, value in zip(outputs, values, strict=True)}

    return run
