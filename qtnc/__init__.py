"""A declarative compiler from ONNX models to tensor networks and quantum circuits, counted honestly.

``inspect``, ``plan`` and ``compile`` are the command line's, for Python; what they need is loaded when they are used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qtnc.api.calls import compile, inspect, plan  # noqa: A004
    from qtnc.api.results import Compilation, Inspection, Planning
    from qtnc.errors import QtncError
    from qtnc.work.work import Progress

__version__ = "0.1.0"

__all__ = [
    "Compilation",
    "Inspection",
    "Planning",
    "Progress",
    "QtncError",
    "__version__",
    "compile",
    "inspect",
    "plan",
]

_HOMES = {
    "compile": "qtnc.api.calls",
    "inspect": "qtnc.api.calls",
    "plan": "qtnc.api.calls",
    "Compilation": "qtnc.api.results",
    "Inspection": "qtnc.api.results",
    "Planning": "qtnc.api.results",
    "QtncError": "qtnc.errors",
    "Progress": "qtnc.work.work",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for; an import of the package loads nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
