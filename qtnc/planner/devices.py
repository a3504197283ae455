"""Circuits and the device that a spec names for them: whether they fit, asked before any is searched for, and which."""

from collections.abc import Iterable, Mapping

import onnx_ir as ir

from qtnc.backends.qiskit.options import QiskitOptions
from qtnc.backends.qiskit.target import Target
from qtnc.errors import Diagnostic, SpecError
from qtnc.ir.circuit_layer import CircuitLayer, find_circuit_layers
from qtnc.ir.layers import Layer
from qtnc.quantum.circuit import qubits_for
from qtnc.rewrite.products import declined
from qtnc.spec.program import Rewrite, Spec
from qtnc.spec.select import Selected


def qiskit_options(spec: Spec) -> QiskitOptions:
    """What the spec says of devices and shots, or what is meant where it says nothing."""
    return next((e.options for e in spec.emits if isinstance(e.options, QiskitOptions)), QiskitOptions())


def circuits_to_emit(spec: Spec, selected: Selected, model: ir.Model) -> tuple[CircuitLayer, ...]:
    """Circuit layers that `emit qiskit` is about: all, or those of the selector that it names.

    Raises
    ------
    SpecError
        If there are none, in a spec without stages; a stage may well come before the circuits.
    """
    emit = next(e for e in spec.emits if isinstance(e.options, QiskitOptions))
    wanted = None if emit.selector is None else set(selected[emit.selector])
    found = tuple(x for x in find_circuit_layers(model) if wanted is None or x.name in wanted)
    if not found and not spec.stages:
        which = f"no layer of `{emit.selector}`" if emit.selector else "no layer"
        way_out = "rewrite layers to `circuit(...) | mpo(...)`, or drop the statement"
        raise SpecError(Diagnostic(f"{which} is made of circuits, so there is nothing to write", emit.span, way_out))
    return found


def check_devices(spec: Spec, layers: Iterable[Layer], claimed: Mapping[str, tuple[Rewrite, ...]]) -> None:
    """Refuse a target with fewer qubits than a layer's circuits act on.

    Raises
    ------
    SpecError
        At the `emit` that names the target.
    """
    span = next((e.span for e in spec.emits if isinstance(e.options, QiskitOptions)), None)
    target = Target.parse(qiskit_options(spec).target)
    for layer in layers:
        rules = claimed.get(layer.name)
        if span is None or not rules or not getattr(rules[0].structure, "wraps", False):
            continue
        if declined(layer, rules[0].structure):
            continue
        needed = max(map(qubits_for, layer.matrix_shape))
        if target.qubits and target.qubits < needed:
            message = f"layer `{layer.name}` takes {needed} qubits and target `{target}` has {target.qubits}"
            raise SpecError(
                Diagnostic(
                    f"{message}: there would be gates on qubits that do not exist", span=span, help=_way_out(target)
                )
            )


def _way_out(target: Target) -> str:
    return f"say `{target.kind}` for the smallest that holds the layer, or name a larger one"
