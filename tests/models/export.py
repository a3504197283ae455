"""Export torch modules by either exporter of torch.onnx."""

import contextlib
import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch

Exporter = Literal["dynamo", "legacy"]


def export(
    module: torch.nn.Module,
    inputs: Mapping[str, torch.Tensor],
    axes: Mapping[str, Mapping[int, str]],
    exporter: Exporter,
    path: Path,
    opset: int | None = None,
    outputs: Sequence[str] | None = None,
) -> Path:
    """Write ``module`` to ``path`` and return the path.

    Parameters
    ----------
    inputs : example inputs by name, in the order of ``forward``.
    axes : per input and output, the dynamic axes and their names.
    opset : None is dynamo's own default, and 17 for the legacy exporter.
    """
    module.eval()
    with warnings.catch_warnings(), torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
        # Both exporters warn about their own internals; nothing here is about the module.
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            dynamic = tuple(dict(axes[name]) if name in axes else None for name in inputs)
            torch.onnx.export(
                module,
                tuple(inputs.values()),
                path,
                input_names=list(inputs),
                output_names=outputs,
                opset_version=opset,
                dynamic_shapes=dynamic,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        else:
            torch.onnx.export(
                module,
                tuple(inputs.values()),
                path,
                input_names=list(inputs),
                output_names=outputs,
                opset_version=opset or 17,
                dynamic_axes={name: dict(dims) for name, dims in axes.items()},
                dynamo=False,
            )
    return path
