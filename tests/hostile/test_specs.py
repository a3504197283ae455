"""Specs that ask for more than there is: answered, or refused with one error at its place."""

from types import ModuleType
from typing import Any

import pytest

REWRITE = "select it = MatMul\nrewrite it -> "
BOTH = "circuit(depth: 1) | mpo(sites: 2, max_bond: 2)\n"

REFUSED = {
    "sites": f"{REWRITE}mpo(sites: 1000000000, max_bond: 2)\n",
    "many sites": f"{REWRITE}mpo(sites: [{', '.join(['2x2'] * 100)}], max_bond: 2)\n",
    "depth": f"{REWRITE}circuit(depth: 1000000000) | mpo(sites: 2, max_bond: 2)\n",
    "a long number": f"bind batch = {'9' * 5000}\n{REWRITE}lowrank(rank: 2)\n",
    "a number beyond floats": f"{REWRITE}mpo(cutoff: 1e400)\n",
    "count": "select it = top 1000000000000000000000 of MatMul by bytes\nrewrite it -> lowrank(rank: 2)\n",
    "device": f'{REWRITE}{BOTH}emit qiskit(target: "grid-100000x100000", shots: 1)\n',
    "shots": f"{REWRITE}{BOTH}emit qiskit(shots: 1000000000000000000000)\n",
    "expression": f'select it = * where name ~ re"{"(a*)*" * 300}"\n',
    "brackets": f"select it = {'(' * 50_000}MatMul{')' * 50_000}\n",
    "lists of lists": "let a0 = [1, 1]\n"
    + "".join(f"let a{i} = [a{i - 1}, a{i - 1}]\n" for i in range(1, 100))
    + f"select it = * where block in a99\n{REWRITE}lowrank(rank: 2)\n",
    "long lists": f"let a = [{'1, ' * 30_000}1]\n"
    + "".join(f"select s{i} = * where block in a\n" for i in range(5000)),
    "patterns": f'let p = re"{"a?" * 450}"\n' + "".join(f"select s{i} = * where name ~ p\n" for i in range(6000)),
    "include of itself": 'include "spec.qtn"\n',
    "include above": 'include "../../../../../../dev/zero.qtn"\n',
    "include of a device": 'include "/dev/zero"\n',
    "use above": 'use "../../../../../../dev/zero.py"\n',
    "use of a device": 'use "/dev/zero"\n',
    "use of a link to a device": 'use "zero.py"\n',
    "use of what is too large": 'use "large.py"\n',
    "use of what nests too deep": 'use "deep.py"\n',
    "data above": 'data d = npz("/dev/zero")\n' + REWRITE + "lowrank(rank: 2) on d\n",
    "data with nul": 'data d = npz("a\0b")\n' + REWRITE + "lowrank(rank: 2) on d\n",
}

ANSWERED = {
    "batch": f"bind batch = 1000000000000000000\n{REWRITE}lowrank(rank: 2)\n",
    "rank": f"{REWRITE}lowrank(rank: 1000000000000000000)\n",
    "bond": f"{REWRITE}mpo(sites: 2, max_bond: 1000000000000000000)\n",
}


@pytest.fixture
def box(sandbox: Any, toys: ModuleType) -> Any:
    toys.write(toys.mlp(), sandbox.work / "model.onnx")
    (sandbox.work / "zero.py").symlink_to("/dev/zero")
    (sandbox.work / "large.py").write_text("#" * (2 << 20))
    (sandbox.work / "deep.py").write_text(f"PASSES = {'[' * 10_000}{']' * 10_000}\n")
    return sandbox


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(kind: str, box: Any) -> None:
    (box.work / "spec.qtn").write_text(f"qtn 1\noptimize memory\n{REFUSED[kind]}emit onnx\n")
    done = box.run("compile", "model.onnx", "spec.qtn", "-o", "out", memory=512 << 20)
    assert done.code == 1
    assert done.errors[0].startswith("spec.qtn")
    assert not (box.work / "out").exists()


@pytest.mark.parametrize("kind", ANSWERED)
def test_what_is_answered(kind: str, box: Any) -> None:
    (box.work / "spec.qtn").write_text(f"qtn 1\noptimize memory\n{ANSWERED[kind]}emit onnx\n")
    done = box.run("compile", "model.onnx", "spec.qtn", "-o", "out", memory=512 << 20)
    assert (done.code, done.errors) == (0, [])


@pytest.mark.parametrize("command", [("check", "spec.qtn"), ("check", "model.onnx", "spec.qtn"), ("fmt", "spec.qtn")])
def test_what_reads_a_spec_runs_no_python(command: tuple[str, ...], box: Any) -> None:
    """The sandbox fails where a process is started or anything outside is touched; the file would do both."""
    (box.work / "foe.py").write_text("import os\nos.system('true')\nopen('/tmp/foe', 'w')\nPASSES = []\n")
    (box.work / "spec.qtn").write_text(f'qtn 1\nuse "foe.py"\n{REWRITE}lowrank(rank: 2)\nemit onnx\n')
    assert box.run(*command, memory=512 << 20).code == 0
    if command[0] == "check":
        with pytest.raises(AssertionError):
            box.run(*command, "--python", memory=512 << 20)
