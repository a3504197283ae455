"""The command line in forks of a process that has everything imported, each bounded and watched.

``sandbox.py``: reads requests on stdin, a line of JSON each, and answers on stdout, a line of JSON each.
"""

import json
import os
import resource
import select
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime  # noqa: F401 - the forks are to have everything imported
import qiskit_aer.primitives  # noqa: F401
import torch  # noqa: F401

import qtnc.backends.qiskit.files
import qtnc.cli
import qtnc.compiler
import qtnc.look.opt
import qtnc.look.spectra
import qtnc.report.tools
import qtnc.verify.check  # noqa: F401
from qtnc.cli import main

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod")
"""Audit events whose arguments are paths of what changes."""

FORBIDDEN = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "pty.spawn", "subprocess.", "socket.")
PICKLES = ("pickle.find_class",)
FOLLOWING = (sys.executable, "-P", "-m", "qtnc.ir.following")
"""The one program that is started."""


def watch(folder: Path, secret: Path, tell: int) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that writes to ``tell`` what happens outside of ``folder``, and all that touches ``secret``."""

    cache = Path(os.environ["XDG_CACHE_HOME"])

    def inside(path: Any, root: Path) -> bool:
        real = Path(os.path.realpath(os.fsdecode(path)))
        return real.is_relative_to(root) or (root == folder and real.is_relative_to(cache))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        wrong = event.startswith(FORBIDDEN) or event in PICKLES
        if event == "subprocess.Popen":
            wrong = tuple(arguments[1][:4]) != FOLLOWING
        elif event in ("os.fork", "os.posix_spawn"):
            wrong = False  # counted as what is started by it
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike) and arguments[0] != os.devnull:
            writes = bool((arguments[2] or 0) & WRITES)
            wrong = inside(arguments[0], secret) or (writes and not inside(arguments[0], folder))
        elif event in CHANGES:
            paths = [path for path in arguments if isinstance(path, str | bytes | os.PathLike)]
            wrong = not all(inside(path, folder) for path in paths)
        if wrong:
            os.write(tell, f"{event} {arguments}\n"[:400].encode("utf-8", "backslashreplace"))

    return hook


def child(request: dict[str, Any]) -> None:
    """Run one command; never returns."""
    folder = Path(request["folder"])
    files = [os.open(folder / "said" / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for name in ("out", "err", "audit")]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(files[0], 1)
    os.dup2(files[1], 2)
    sys.stdout, sys.stderr = (os.fdopen(fd, "w", encoding="utf-8", errors="strict") for fd in (1, 2))
    tempfile.tempdir = str(folder / "tmp")
    os.chdir(folder / "work")
    limit = resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[5]) + request["memory"]
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["memory"], request["memory"]))
    sys.addaudithook(watch(folder, Path(request["secret"]), files[2]))
    code = 99
    try:
        code = main(request["arguments"])
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def serve(request: dict[str, Any]) -> dict[str, Any]:
    """Fork, wait as long as is asked, and tell how it ended; a signal is a negative code, 0 seconds left is SIGKILL."""
    begin = time.monotonic()
    process = os.fork()
    if not process:
        child(request)
    ends = os.pidfd_open(process)
    ready, _, _ = select.select([ends], [], [], request["seconds"])
    if not ready:
        os.kill(process, 9)
    _, status, usage = os.wait4(process, 0)
    os.close(ends)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "late": not ready,
        "seconds": time.monotonic() - begin,
        "peak": usage.ru_maxrss * 1024,
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), flush=True)
