"""Specs damaged at random are read, checked against a model and formatted, or refused; none crashes, none hangs."""

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODEL = HERE.parents[1] / "examples" / "tinylm" / "tinylm.onnx"


def attempt(first: int, end: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Try seeds in a process: what came of them, and what is wrong; after one that ends the process, the next go on."""
    came: Counter[str] = Counter()
    faults = []
    folder.mkdir()
    while first < end:
        command = [sys.executable, str(HERE / "fuzzing.py"), str(MODEL), str(folder), str(first), str(end)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        last = None
        for line in map(json.loads, done.stdout.splitlines()):
            last = line.get("seed", last)
            came.update([line["came"]] if "came" in line else [])
            faults += [f"seed {last}: {line['fault']}"] if "fault" in line else []
        if not done.returncode:
            break
        assert last is not None, done.stderr
        faults.append(f"seed {last}: ended by {done.returncode} {done.stderr[-2000:]}")
        first = last + 1
    return came, faults


def shown(fault: str) -> str:
    """A fault beside the spec that it is of, which `mutant` of tests/spec/mutants.py makes again from the seed."""
    seed = fault.split(":")[0].removeprefix("seed ")
    command = [sys.executable, "-c", f"import mutants; print(ascii(mutants.mutant({seed})))"]
    return f"{fault}\n{subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True).stdout[:4000]}"


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.conformance)])
def test_mutants(count: int, tmp_path: Path) -> None:
    bounds = [0, count // 2, count]
    with ThreadPoolExecutor(2) as pool:
        halves = [pool.submit(attempt, *ends, tmp_path / str(ends[0])) for ends in pairwise(bounds)]
        outcomes = [half.result() for half in halves]
    faults = [fault for _, found in outcomes for fault in found]
    assert not faults, f"{len(faults)} of {count}:\n" + "\n".join(map(shown, faults[:3]))
    came = outcomes[0][0] + outcomes[1][0]
    assert came.total() == count
    assert min(came[kind] for kind in ("refused", "selects nothing", "selects")) >= count // 50
