"""Decoders with a cache: which inputs are the past, and which outputs come back as the next past."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

_PAST = re.compile(r"(?:past(?:_key_values?)?|cache)(?=[._])")
_PRESENT = re.compile(r"(?:present(?:_key_values?)?|new_cache)(?=[._])")


@dataclass(frozen=True, eq=False)
class Decoder:
    """A model that continues a sequence.

    Attributes
    ----------
    ids : token ids (batch, sequence).
    mask : over past and sequence, (batch, past + sequence), where the model takes one.
    positions : of the ids, (batch, sequence) or (sequence,), where the model takes them.
    logits : name of the output (batch, sequence, vocabulary).
    cache : the output that is the next past, by the input that is the past; empty for a model without a past.
    """

    ids: ir.Value
    mask: ir.Value | None
    positions: ir.Value | None
    logits: str
    cache: Mapping[ir.Value, str]

    @property
    def past_axis(self) -> int | None:
        """Axis of keys and values along which the past lies: the last symbolic one but the batch."""
        for value in self.cache:
            return max((k for k, axis in enumerate(value.shape or ()) if k and not isinstance(axis, int)), default=None)
        return None


def decoder_of(model: ir.Model) -> Decoder | None:
    """Recognise a decoder by the names that exporters give to inputs and outputs; None where it is none."""
    inputs = {str(value.name): value for value in model.graph.inputs if not value.is_initializer()}
    outputs = {str(value.name): value for value in model.graph.outputs}
    ids = inputs.get("input_ids", inputs.get("ids"))
    if ids is None or ids.shape is None or len(ids.shape) != 2:
        return None
    presents = {_PRESENT.sub("", name, count=1): name for name in outputs if _PRESENT.match(name)}
    cache = {
        value: presents[rest]
        for name, value in inputs.items()
        if _PAST.match(name) and (rest := _PAST.sub("", name, count=1)) in presents
    }
    logits = "logits" if "logits" in outputs else next((n for n in outputs if n not in presents.values()), None)
    if logits is None:
        return None
    positions = inputs.get("position_ids", inputs.get("cache_position"))
    return Decoder(ids, inputs.get("attention_mask"), positions, logits, cache)


def symbol(value: ir.Value | None, axis: int | None) -> str | None:
    """Name of a symbolic axis."""
    if value is None or value.shape is None or axis is None or axis >= len(value.shape):
        return None
    found = value.shape[axis]
    return None if isinstance(found, int) else found.value
