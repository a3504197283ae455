"""What releases of onnxruntime load: the newest opset and IR version, beside what qtnc's table says of them.

    python benchmarks/releases.py 1.15.1 1.17.3 1.32.0

Each release is installed from the package index into a folder that is removed again. Releases that have no build for
this Python are named.
"""

import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

from qtnc.backends.releases import RELEASES, minor
from qtnc.report.text import table

PROBE = """
import numpy, onnx, onnxruntime
from onnx import helper
def loads(opset, ir_version):
    value = [helper.make_tensor_value_info(name, 1, [2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    except Exception:
        return False
    return True
print(max(k for k in range(7, 40) if loads(k, 7)), max(k for k in range(3, 30) if loads(13, k)))
"""


def probed(release: str, folder: Path) -> list[str]:
    """One line of the table: release, what it loads, what is said of it."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", f"onnxruntime=={release}", "onnx", "numpy<2"]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        return [release, "no build for this Python", "", ""]
    found = subprocess.run([python, "-c", PROBE], capture_output=True, check=True, text=True).stdout.split()
    known = RELEASES.get(minor(release))
    said = [str(known.opset), str(known.ir_version)] if known else ["-", "-"]
    return [release, *found, "same" if found == said else f"the table says {' and '.join(said)}"]


def main() -> None:
    """Probe the releases that are named."""
    rows = []
    for release in sys.argv[1:]:
        with TemporaryDirectory() as folder:
            rows.append(probed(release, Path(folder)))
    print(table(["onnxruntime", "opset", "IR version", "table"], rows))


if __name__ == "__main__":
    main()
