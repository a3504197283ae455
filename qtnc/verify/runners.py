"""Models as functions from feeds to outputs: ONNX files by onnxruntime, emitted torch modules by themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.backends.torch.load import load_emitted
from qtnc.calibrate.data import Feed
from qtnc.calibrate.session import BFLOAT16, session_at
from qtnc.calibrate.session import run as run_feed
from qtnc.errors import DataError, Diagnostic, ImportModelError
from qtnc.verify.compare import Outputs, Runner


def onnx_runner(path: Path, threads: int = 0) -> Runner:
    """Run an ONNX file in onnxruntime; ``threads`` 0 leaves their number to it."""
    session = session_at(path, threads)
    names = [output.name for output in session.get_outputs()]

    def run(feed: Feed) -> Outputs:
        return dict(zip(names, run_feed(session, names, feed), strict=True))

    return run


def original_runner(path: Path, threads: int = 0) -> Runner:
    """Run the model that was compiled; where it does not run, it is the model or the inputs that are wrong."""
    try:
        run = onnx_runner(path, threads)
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


def emitted_runner(out: Path, backend: str, model: ir.Model, threads: int = 0) -> Runner:
    """Run what ``torch`` or ``onnx`` wrote of a model into a compiled folder; ``threads`` are those of onnxruntime."""
    if backend == "onnx":
        return onnx_runner(out / "onnx" / "model.onnx", threads)
    return torch_runner(out / "torch", *ends_of(model))


def ends_of(model: ir.Model) -> tuple[list[str], list[str]]:
    """Names of the inputs and of the outputs, in the order of the graph."""
    return [str(v.name) for v in model.graph.inputs], [str(v.name) for v in model.graph.outputs]


def torch_runner(folder: Path, inputs: list[str], outputs: list[str]) -> Runner:
    """Run an emitted ``model.py``, outputs named in the order of the graph."""
    return module_runner(load_emitted(folder), inputs, outputs)


def module_runner(model: Callable[..., Any], inputs: list[str], outputs: list[str]) -> Runner:
    """Run a torch module that takes and gives what a graph does, in its order."""
    import torch

    def tensor(given: NDArray[np.generic]) -> torch.Tensor:
        if given.dtype == BFLOAT16:  # torch takes no such array
            return torch.from_numpy(given.astype(np.float32)).to(torch.bfloat16)
        return torch.from_numpy(np.asarray(given, order="C"))

    def array(value: torch.Tensor) -> NDArray[np.generic]:
        wide = value.detach().float() if value.dtype == torch.bfloat16 else value.detach()
        return np.asarray(wide.numpy())

    def run(feed: Feed) -> Outputs:
        with torch.inference_mode():
            found = model(*(tensor(feed[name]) for name in inputs))
        values = [found] if isinstance(found, torch.Tensor) else list(found)
        return {name: array(value) for name, value in zip(outputs, values, strict=True)}

    return run
