"""File stems: what layers are called on disk."""

import sys
from collections.abc import Iterable
from typing import Final

from qtnc.backends.identifiers import Namespace, words

RESERVED: Final = sys.stdlib_module_names | words(
    "antlr4 cython_runtime dateutil dill matplotlib numpy openqasm3 pbr psutil pylatexenc qiskit qiskit_aer "
    "qiskit_ibm_runtime qiskit_qasm3_import qtnc rustworkx scipy setuptools six stevedore symengine sympy torch "
    "typing_extensions aux con nul prn com1 com2 com3 com4 com5 com6 com7 com8 com9 lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 "
    "lpt7 lpt8 lpt9"
)
"""Modules that an emitted file would hide from the one beside it, and what Windows keeps for itself."""


def stems(layers: Iterable[str]) -> list[str]:
    """One identifier a layer, near its name; distinct also where a disk does not tell ``A`` from ``a``."""
    names = Namespace(RESERVED)
    return [names.claim(layer.lower(), "layer") for layer in layers]
