"""What is timed of a model: one call of it, or the two phases of a decoder."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from qtnc.bench.alternation import Timed, alternate
from qtnc.bench.forms import ORIGINAL, Forms
from qtnc.bench.generation import Generation
from qtnc.errors import DataError
from qtnc.ir.decoder import decoder_of, symbol
from qtnc.planner.stopwatch import Run
from qtnc.verify.seeded import seeded_feed


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes
    ----------
    name : ``call`` of the whole model, ``prefill`` with all tokens at once, or ``decode`` of one token a call.
    rows : sequences or samples in a call.
    tokens : tokens of each row that the time is for; None for models that read none.
    past : keys and values that the first of these tokens finds.
    timed, bytes : by form, the original first.
    """

    name: str
    rows: int
    tokens: int | None
    past: int
    timed: Mapping[str, Timed]
    bytes: Mapping[str, int]

    def ratio(self, form: str) -> float:
        """Time of a form over that of the original; below 1 is faster."""
        return self.timed[form].seconds / self.timed[ORIGINAL].seconds

    def speed(self, form: str) -> float:
        """Tokens a second, or rows where there are none."""
        return self.rows * (self.tokens or 1) / self.timed[form].seconds

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        forms = {
            form: {
                "milliseconds": 1e3 * timed.seconds,
                "quartiles": [1e3 * timed.low, 1e3 * timed.high],
                "runs": timed.runs,
                "per_second": self.speed(form),
                "ratio": self.ratio(form),
                "bytes": self.bytes[form],
            }
            for form, timed in self.timed.items()
        }
        return {"case": self.name, "rows": self.rows, "tokens": self.tokens, "past": self.past, "forms": forms}


@dataclass(frozen=True)
class Asked:
    """What to time: sequences or samples in a call, tokens of a prompt, and that follow it, threads and seconds."""

    rows: int = 1
    tokens: int = 128
    new: int = 32
    threads: int = 1
    budget: float = 5.0


def cases_of(forms: Forms, decode: Forms | None, asked: Asked) -> tuple[Case, ...]:
    """Time a model, or a pair of which ``decode`` takes the past that ``forms`` leaves.

    Raises
    ------
    DataError
        If inputs cannot be made up, or ``decode`` has no past.
    """
    last = decode or forms
    decoder = decoder_of(last.model)
    if decoder is None or not decoder.cache:
        if decode is not None:
            raise DataError("the model of --decode takes no past: name the one with past_key_values among its inputs")
        return (_call(forms, asked),)
    if decode is not None and (first := decoder_of(forms.model)) and first.cache:
        raise DataError("the model of OUT takes a past itself, and begins without one: leave --decode out")
    generation = Generation(last.model, decoder, asked.rows)
    if decode is None:
        prefill = _case("prefill", forms, forms.each(generation.prompt(asked.tokens)), asked, asked.tokens)
    else:
        prefill = _call(forms, asked, "prefill")
    steps = {name: generation.timed(run, asked.tokens, asked.new) for name, run in last.runners.items()}
    return prefill, _case("decode", last, steps, asked, asked.new, past=asked.tokens)


def _call(forms: Forms, asked: Asked, name: str = "call") -> Case:
    """One call on seeded inputs."""
    decoder = decoder_of(forms.model)
    length = symbol(decoder.ids, 1) if decoder else None
    batch = {s: asked.rows for value in forms.model.graph.inputs if (s := symbol(value, 0))}
    binds = {**forms.binds, **({length: asked.tokens} if length else {}), **batch}
    feed = seeded_feed(forms.model, binds, samples=asked.rows)
    ids = feed[str(decoder.ids.name)] if decoder else None
    rows = next((len(array) for array in feed.values() if array.ndim), 1)
    fixed = replace(asked, rows=rows)  # a model may take no other number
    return _case(name, forms, forms.each(feed), fixed, None if ids is None else ids.shape[1])


def _case(name: str, forms: Forms, runs: Mapping[str, Run], asked: Asked, tokens: int | None, past: int = 0) -> Case:
    return Case(name, asked.rows, tokens, past, alternate(runs, asked.budget, asked.threads), forms.bytes)
