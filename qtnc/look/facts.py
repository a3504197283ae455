"""What a model says of its layers before anything is decided."""

from dataclasses import dataclass

import onnx_ir as ir

from qtnc.ir.layers import find_layers
from qtnc.look.spectra import Spectrum, spectrum_of


@dataclass(frozen=True)
class LayerFacts:
    """One layer of a model.

    Attributes
    ----------
    name : canonical; what specs select by.
    op : operator of ONNX.
    shape : of the weight as the node reads it.
    dtype : of the weight, as ONNX writes it.
    elements, bytes : of the weight; bytes as it is stored.
    spectrum : what tells whether it will compress, where that was asked for.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    dtype: str
    elements: int
    bytes: int
    spectrum: Spectrum | None = None


def layer_facts(model: ir.Model, *, spectra: bool = False) -> tuple[LayerFacts, ...]:
    """Layers of a canonical model, in graph order; ``spectra`` takes an SVD a layer."""
    return tuple(
        LayerFacts(x.name, x.op, x.shape, x.dtype.name, x.elements, x.bytes, spectrum_of(x) if spectra else None)
        for x in find_layers(model)
    )
