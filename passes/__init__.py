"""The standard library of rewrites: one pass a file, named alike in text, file and class.

Nothing registers itself: :data:`PASSES` is the table, by name, and a pass is loaded when it is asked for.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PASSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "canonicalize": "qtnc.passes.canonicalize:Canonicalize",
        "fold-constants": "qtnc.passes.fold_constants:FoldConstants",
        "apply-rules": "qtnc.passes.apply_rules:ApplyRules",
        "matmul-to-lowrank": "qtnc.passes.matmul_to_lowrank:MatmulToLowrank",
        "matmul-to-circuit": "qtnc.passes.matmul_to_circuit:MatmulToCircuit",
        "matmul-to-mpo": "qtnc.passes.matmul_to_mpo:MatmulToMpo",
        "matmul-to-network": "qtnc.passes.matmul_to_network:MatmulToNetwork",
        "apply-network-rules": "qtnc.passes.apply_network_rules:ApplyNetworkRules",
        "choose-contraction-order": "qtnc.passes.choose_contraction_order:ChooseContractionOrder",
        "to-float16": "qtnc.passes.to_float16:ToFloat16",
        "lower-to-onnx": "qtnc.passes.lower_to_onnx:LowerToOnnx",
    }
)
