"""How a decoder with a cache is fed: a prompt that finds no past, then token by token."""

from collections.abc import Mapping
from time import perf_counter

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.calibrate.data import Feed
from qtnc.errors import DataError, printable
from qtnc.ir.decoder import Decoder
from qtnc.planner.stopwatch import Run
from qtnc.verify.compare import Outputs, Runner
from qtnc.verify.seeded import seeded_feed

Array = NDArray[np.generic]


class Generation:
    """Feeds of a decoder for ``rows`` sequences; the tokens are seeded, so that every form does the same work."""

    def __init__(self, model: ir.Model, decoder: Decoder, rows: int) -> None:
        """Check that all inputs are known.

        Raises
        ------
        DataError
            If the model takes what is no part of a decoder, or a past of fixed length.
        """
        self.decoder, self.rows = decoder, rows
        self.names = [str(v.name) for v in model.graph.inputs if not v.is_initializer()]
        known = {decoder.ids, decoder.mask, decoder.positions, *decoder.cache}
        self.flags = {str(v.name): v for v in model.graph.inputs if v not in known and v.dtype == ir.DataType.BOOL}
        for value in model.graph.inputs:
            if not value.is_initializer() and value not in known and str(value.name) not in self.flags:
                raise DataError(f"input `{printable(str(value.name))}` is no part of a decoder that can be timed")
        if decoder.past_axis is None:
            raise DataError("the past of the decoder has a fixed length, so that it cannot grow (export it dynamic)")
        self.empty = {str(v.name): self._empty(v) for v in decoder.cache}
        ids = seeded_feed(model, {}, samples=rows)[str(decoder.ids.name)]
        self.vocabulary = int(ids.max()) + 1

    def prompt(self, tokens: int) -> Feed:
        """The first call: all tokens, no past."""
        return self._feed(self._ids(tokens, seed=0), self.empty)

    def timed(self, run: Runner, tokens: int, new: int) -> Run:
        """Time ``new`` calls of one token each after a prompt, whose own call does not count."""
        ids = self._ids(new, seed=1)

        def once() -> float:
            past = self._past(run(self.prompt(tokens)))
            start = perf_counter()
            for k in range(new):
                past = self._past(run(self._feed(ids[:, k : k + 1], past)))
            return perf_counter() - start

        return once

    def _past(self, outputs: Outputs) -> Mapping[str, Array]:
        return {str(value.name): np.asarray(outputs[name]) for value, name in self.decoder.cache.items()}

    def _ids(self, tokens: int, seed: int) -> Array:
        found = np.random.default_rng(seed).integers(0, self.vocabulary, (self.rows, tokens))
        return found.astype(_dtype(self.decoder.ids))

    def _feed(self, ids: Array, past: Mapping[str, Array]) -> Feed:
        decoder, axis = self.decoder, self.decoder.past_axis or 0
        before = next(iter(past.values())).shape[axis]
        feed = {str(decoder.ids.name): ids, **past}
        if decoder.mask is not None:
            feed[str(decoder.mask.name)] = np.ones((self.rows, before + ids.shape[1]), _dtype(decoder.mask))
        if (positions := decoder.positions) is not None:
            counted = before + np.arange(ids.shape[1], dtype=_dtype(positions))
            rank = len(positions.shape or (0,))
            feed[str(positions.name)] = np.broadcast_to(counted, ids.shape) if rank == 2 else counted
        for name, flag in self.flags.items():
            feed[name] = np.full([1] * len(flag.shape or ()), before > 0)
        return {name: np.ascontiguousarray(feed[name]) for name in self.names}

    def _empty(self, value: ir.Value) -> Array:
        sizes = [
            axis if isinstance(axis, int) else {0: self.rows, self.decoder.past_axis: 0}.get(k)
            for k, axis in enumerate(value.shape or ())
        ]
        if value.shape is None or None in sizes:
            raise DataError(f"the shape of the past `{printable(str(value.name))}` is not known")
        return np.zeros([int(size or 0) for size in sizes], _dtype(value))


def _dtype(value: ir.Value) -> np.dtype[np.generic]:
    return (value.dtype or ir.DataType.INT64).numpy()
