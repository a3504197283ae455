"""Names: what no weight and no local may be called, module paths, and hints for names."""

import builtins
import re

import onnx_ir as ir

from qtnc.backends.identifiers import Namespace as Namespace
from qtnc.backends.identifiers import comment as comment
from qtnc.backends.identifiers import identifier as identifier
from qtnc.backends.identifiers import words
from qtnc.ir import names
from qtnc.ir.names import NAME_SCOPES

_OUTSIDE = "_empty_nn_module_stack"
"""What dynamo writes for nodes that belong to no module."""
LONGEST_SCOPES = 10_000


MODULE_ATTRIBUTES = words(
    "T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches "
    "eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu "
    "load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters "
    "register_backward_hook register_buffer register_forward_hook register_forward_pre_hook "
    "register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook "
    "register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook "
    "register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty "
    "train training type xpu zero_grad dtype device anchor"
)
"""Attributes of torch.nn.Module, and the two properties of the emitted class; no weight may take their names."""

LOCALS = words(
    "torch nn F Tensor NamedTuple Path Callable Sequence partial load_file Model Outputs load self "
    "so4 rotate repeat scan"
).union(dir(builtins))
"""Names that the emitted code uses; no local variable may take them."""

FIELDS = frozenset({"count", "index"})
"""Methods of tuples; no field of the named tuple may take their names."""

_ANONYMOUS = re.compile(
    r"(val_\d+|\d*|[/_].*|onnx::.*|(c_)?lifted_tensor.*|(node|const|constant|tensor|initializer)[_\d]*(_output_\d+)?)",
    re.IGNORECASE | re.DOTALL,
)
_SCALARS = words("weight bias scale gain temperature alpha beta gamma")
_NUMBERED = re.compile(r"_?\d+$")
_ROLE = re.compile(r"(?::\d+)?\.(.+)", re.DOTALL)
"""After a module path: which call of the module, where it is called again, and a role."""


def module_path(node: ir.Node) -> str | None:
    """Canonical path of the module that a node comes from; "" is the model itself, None is not known."""
    if len(node.metadata_props.get(NAME_SCOPES, "")) > LONGEST_SCOPES:
        return None
    path = names.module_path(node)
    if path is None:
        return "" if NAME_SCOPES in node.metadata_props or (node.name or "").startswith("/") else None
    return "" if path.startswith(_OUTSIDE) else path


def block_of(path: str) -> str:
    """Leading part of a path that ends with its first number, e.g. ``model.layers.0``; "" where there is none."""
    parts = path.split(".")
    for k, part in enumerate(parts):
        if part.isdigit():
            return ".".join(parts[: k + 1])
    return ""


def section_of(path: str) -> str:
    """The module below the block, or below the model: what a heading names."""
    block = block_of(path)
    rest = path[len(block) :].lstrip(".").split(".")
    return rest[0]


def is_anonymous(name: str) -> bool:
    """Whether an exporter made the name up (``val_12``, ``onnx::MatMul_7``)."""
    return not name or _ANONYMOUS.fullmatch(name) is not None


def is_learned_scalar(name: str) -> bool:
    """Whether a single number is a weight: it has a module path, or ends in a word that weights are called.

    Exporters also make initialisers of plain constants, and dynamo calls those ``scalar_tensor_default`` and the like.
    """
    last = re.split(r"[._]", name)[-1].lower()
    return not is_anonymous(name) and ("." in name or last in _SCALARS)


def weight_hint(name: str, path: str | None, fallback: str) -> str:
    """Hint for the attribute of an initialiser: its own name, or the layer that first uses it."""
    if not is_anonymous(name):
        return name
    return f"{path}.{fallback}" if path else fallback


def leaf(path: str) -> str:
    """Last word of a module path, with the word before it when it is a number: ``layers.0`` is ``layers_0``."""
    parts = path.split(".")
    return "_".join(parts[-2:]) if parts[-1].isdigit() else parts[-1]


def role_of(node: ir.Node, path: str) -> str:
    """What tells a ``qtn`` node from others of its layer: what follows the layer's name in its overload; mostly ""."""
    found = _ROLE.fullmatch(node.overload.removeprefix(path)) if path and node.overload.startswith(path) else None
    return found.group(1) if found else ""


def value_hint(value: ir.Value) -> str:
    """Short hint for a local variable: what the exporter called it, else its operation."""
    node = value.producer()
    operation = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", node.op_type).lower() if node else "value"
    name = (value.name or "").lower()
    if is_anonymous(name):
        return operation
    return _NUMBERED.sub("", name).strip("_") or operation
