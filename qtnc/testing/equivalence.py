"""Whether two models compute the same, in onnxruntime."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.backends.onnx import write_onnx
from qtnc.calibrate.data import Feed
from qtnc.errors import BackendError, DataError, printable
from qtnc.verify.compare import Runner, relative_errors
from qtnc.verify.runners import onnx_runner, said
from qtnc.verify.seeded import WAY_OUT, seeded_feed

Model = Path | str | ir.Model | onnx.ModelProto
Data = Mapping[str, NDArray[np.generic]]

RTOL = 1e-5
"""How far outputs may move, ``|y' - y|_F / |y|_F``: float32 leaves 1e-6 where sums change their order."""

SEEDS = (0, 1, 2)


def assert_equivalent(
    before: Model,
    after: Model,
    data: Data | Sequence[Data] | None = None,
    *,
    rtol: float = RTOL,
    binds: Mapping[str, int] | None = None,
    limits: Mapping[str, int] | None = None,
    seeds: Sequence[int] = SEEDS,
) -> None:
    """Fail unless two models have the same inputs and outputs and compute the same, on random and on given data.

    Parameters
    ----------
    before, after : files, or models in memory.
    data : arrays by graph input, or several such feeds; none for random data alone.
    rtol : largest relative Frobenius distance of an output. Outputs of other than floating-point type may differ in
        that share of their elements. An output of another shape or dtype, or with NaN, is infinitely far.
    binds : sizes of symbolic axes; of those that are not named the first is 2.
    limits : below which integers of an input are drawn; where nothing is said, below the size of the table that they
        are looked up in.
    seeds : of random data, floats being standard normal; none for given data alone.

    Raises
    ------
    AssertionError
        Naming the output, the distance and the data; or where a model is not valid ONNX or does not run.
    ValueError
        If there is neither data nor a seed.
    """
    given = [data] if isinstance(data, Mapping) else list(data or ())
    if not given and not seeds:
        raise ValueError("nothing to run the models on: give data, or a seed")
    first, second = _model(before), _model(after)
    for word, was, now in (
        ("inputs", _ends(first.graph.inputs), _ends(second.graph.inputs)),
        ("outputs", _ends(first.graph.outputs), _ends(second.graph.outputs)),
    ):
        assert was == now, f"the {word} were {was}, and are {now}"  # noqa: S101 - what test runners show
    with _running(first, "before") as old, _running(second, "after") as new:
        for name, feed in (*_random(first, binds or {}, limits or {}, seeds), *_named(given)):
            _compare(old, new, feed, name, rtol)


def _compare(old: Runner, new: Runner, feed: Feed, name: str, rtol: float) -> None:
    try:
        errors = relative_errors(old, {"after": new}, [feed])["after"]
    except Exception as error:  # onnxruntime's errors share no base class
        raise AssertionError(f"a model does not run on {name}: {said(error)}") from error
    for output, far in errors.items():
        message = f"`{printable(output)}` differs by {far:.3g} on {name} (allowed {rtol:.3g})"
        assert far <= rtol, message  # noqa: S101


def _model(given: Model) -> ir.Model:
    if isinstance(given, ir.Model):
        return given
    return ir.from_proto(given) if isinstance(given, onnx.ModelProto) else ir.load(given)


@contextmanager
def _running(model: ir.Model, word: str) -> Iterator[Runner]:
    """Run a model from a file: in memory it may be larger than a message can be."""
    with TemporaryDirectory(prefix="qtnc-") as folder:
        path = Path(folder) / "model.onnx"
        try:
            write_onnx(model, path)
            runner = onnx_runner(path)
        except BackendError as error:
            raise AssertionError(f"the model {word} is not valid ONNX: {said(error.__cause__ or error)}") from error
        except (OSError, MemoryError):
            raise
        except Exception as error:  # onnxruntime's errors share no base class
            raise AssertionError(f"onnxruntime cannot load the model {word}: {said(error)}") from error
        yield runner


def _random(
    model: ir.Model, binds: Mapping[str, int], limits: Mapping[str, int], seeds: Sequence[int]
) -> Iterator[tuple[str, Feed]]:
    for seed in seeds:
        try:
            yield f"seed {seed}", seeded_feed(model, binds, seed, limits=limits)
        except DataError as error:
            reason = error.diagnostics[0].message.removesuffix(f": {WAY_OUT}")
            raise AssertionError(f"{reason}: give `limits`, or data and `seeds=()`") from error


def _named(given: Sequence[Data]) -> Iterator[tuple[str, Feed]]:
    for place, feed in enumerate(given):
        yield f"feed {place}" if len(given) > 1 else "the data", dict(feed)


def _ends(values: Sequence[ir.Value]) -> list[tuple[str, str]]:
    return [(str(value.name), str(value.dtype).lower()) for value in values]
