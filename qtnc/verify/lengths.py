"""Sizes of symbolic axes that belong together, for inputs that are made up."""

from collections.abc import Mapping

import onnx_ir as ir

from qtnc.ir.decoder import decoder_of, symbol

SAMPLES = 4
"""Samples along a symbolic first axis."""

LENGTH = 16
"""Size of any other symbolic axis that the spec does not bind."""

LONGEST = 9
"""Digits of a number in the name of an axis that is taken for one."""


def sizes_of(model: ir.Model, binds: Mapping[str, int], samples: int = SAMPLES) -> dict[str, int]:
    """One size for each symbol; several samples where it is a first axis, whatever batch the plan assumes.

    What is named as a sum is one, and so is the length of a decoder's mask: past and sequence.
    """
    sizes: dict[str, int] = {}
    for value in model.graph.inputs:
        for k, axis in enumerate(value.shape or ()):
            if isinstance(axis, ir.SymbolicDim) and axis.value is not None:
                size = max(binds.get(axis.value, samples), samples) if k == 0 else binds.get(axis.value, LENGTH)
                sizes[axis.value] = sizes.get(axis.value, size)
    parts = {name: [part.strip() for part in name.split("+")] for name in sizes if "+" in name} | _mask(model, sizes)
    return sizes | {name: sum(_size(part, sizes) for part in of) for name, of in parts.items() if _known(of, sizes)}


def _mask(model: ir.Model, sizes: Mapping[str, int]) -> dict[str, list[str]]:
    """What the mask of a decoder with a cache is long, where its axis has a name of its own."""
    decoder = decoder_of(model)
    if decoder is None or not decoder.cache:
        return {}
    total, past = symbol(decoder.mask, 1), symbol(next(iter(decoder.cache)), decoder.past_axis)
    length = decoder.ids.shape[1] if decoder.ids.shape is not None else None
    parts = [str(past), str(length if isinstance(length, int) else symbol(decoder.ids, 1))]
    return {} if total is None or total in parts or "+" in total else {total: parts}


def _known(parts: list[str], sizes: Mapping[str, int]) -> bool:
    return all(part in sizes or (part.isdecimal() and len(part) <= LONGEST) for part in parts)


def _size(part: str, sizes: Mapping[str, int]) -> int:
    return sizes[part] if part in sizes else int(part)
