"""`--set KEY=VALUE`: what it settles, and what is said of every one that it cannot."""

from collections.abc import Callable

import pytest

from qtnc.errors import UsageError
from qtnc.spec.program import Spec
from qtnc.spec.settings import override

Read = Callable[[str], Spec]

TEXT = "qtn 1\nbind batch = 1, seq = 128\noptimize memory\nstage a {\n}\nemit torch\n"


@pytest.mark.parametrize(
    ("settings", "binds", "optimize"),
    [
        ([], {"batch": 1, "seq": 128}, "memory"),
        (["seq=256"], {"batch": 1, "seq": 256}, "memory"),
        (["seq = 1Ki", "batch=2"], {"batch": 2, "seq": 1024}, "memory"),
        (["optimize=latency"], {"batch": 1, "seq": 128}, "latency"),
        (["optimize= balanced ", "seq=1_0"], {"batch": 1, "seq": 10}, "balanced"),
    ],
)
def test_settings(settings: list[str], binds: dict[str, int], optimize: str, read: Read) -> None:
    spec = override(read(TEXT), settings)
    assert (spec.binds, spec.optimize) == (binds, optimize)
    assert list(spec.binds) == ["batch", "seq"]
    assert set(spec.settings) == {setting.split("=")[0].strip() for setting in settings}
    assert override(read(TEXT).at("a"), settings) == override(read(TEXT), settings).at("a")


KNOWN = "what can be set: `batch`, `seq` and `optimize`"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["sqe=256"], f"--set sqe=256: error: unknown setting `sqe`\n  = help: did you mean `seq`? {KNOWN}"),
        (["stage=a"], f"--set stage=a: error: unknown setting `stage`\n  = help: {KNOWN}"),
        (["Seq=1"], f"--set Seq=1: error: unknown setting `Seq`\n  = help: did you mean `seq`? {KNOWN}"),
        (["=3"], f"--set =3: error: unknown setting ``\n  = help: {KNOWN}"),
        (["seq"], "--set seq: error: a setting has a value\n  = help: as in `--set seq=128`"),
        ([""], "--set : error: a setting has a value\n  = help: as in `--set optimize=memory`"),
        (
            ["seq=0"],
            "--set seq=0: error: `seq` takes a whole number from 1, not `0`\n  = help: as in `--set seq=128`",
        ),
        (["seq="], "--set seq=: error: a setting has a value\n  = help: as in `--set seq=128`"),
        (["seq=64ki"], "--set seq=64ki: error: `64ki` is not a number\n  = help: did you mean `64Ki`?"),
        (
            ["seq=50%"],
            "--set seq=50%: error: `seq` takes a whole number from 1, not `50%`\n  = help: as in `--set seq=128`",
        ),
        (["seq=1", "seq=2"], "--set seq=2: error: `seq` is set twice\n  = help: drop one of the two"),
        (
            ["optimize=memroy"],
            (
                "--set optimize=memroy: error: `optimize` takes `memory`, `balanced` or `latency`, not `memroy`\n"
                "  = help: did you mean `memory`?"
            ),
        ),
        (
            ["seq=\x1b[2J" + "9" * 100, "x=1"],
            (
                "--set seq=\\x1b[2J" + "9" * 31 + "…: error: `\\x1b[2J" + "9" * 35 + "…` is not a number\n"
                "  = help: units are `Ki`, `Mi`, `Gi`, `Ti`, `K`, `M`, `G`, `T` and `%`\n"
                f"--set x=1: error: unknown setting `x`\n  = help: {KNOWN}"
            ),
        ),
    ],
)
def test_what_cannot_be_set_is_wrong_usage(settings: list[str], said: str, read: Read) -> None:
    with pytest.raises(UsageError) as caught:
        override(read(TEXT), settings)
    assert str(caught.value) == said
    assert caught.value.exit_code == 2
