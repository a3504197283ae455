"""A small model with one hostile name at every place that a file has for names."""

from types import ModuleType

import onnx
from onnx import helper

PLACES = ("node", "weight", "input", "output", "inner", "graph", "dim", "scope", "metadata", "producer", "function")

NASTY = {
    "quote": "a\"b'c`d",
    "code": '"""; import os; os.system("touch planted")  #',
    "newline": "a\nimport os\r\n",
    "backslash": "\\\nexec(1)",
    "braces": "{0}{x}{{y}}%s%n",
    "nul": "a\0b",
    "keyword": "class",
    "soft keyword": "match",
    "attribute": "load_state_dict",
    "up": "../../up",
    "absolute": "/etc/passwd",
    "drive": "C:\\con",
    "unicode": "变量",
    "turned": "\u202eabc",
    "separator": "\u2028import os",
    "terminal": "\x1b[31m\x1b]0;title\x07",
    "markup": "</td><script>alert(1)</script>&amp;<!--",
    "template": "{{ 7 * 7 }}{% raw %}",
    "blank": " ",
    "emoji": "\U0001f600",
    "composed": "\u00e9",
    "decomposed": "e\u0301",
    "long": "x" * 10_000,
    "long unicode": "变" * 10_000,
}
"""Names that something might take for code, a path, markup, or orders to a terminal."""


def named(toys: ModuleType, place: str, name: str) -> onnx.ModelProto:
    """Two products, Relu between them, with ``name`` at one place, or with variants of it at ``every`` place."""
    places = PLACES if place == "every" else (place,)
    model = toys.mlp()
    for at in places:
        _put(model, at, f"{name}{at}" if place == "every" else name)
    return model


def _put(model: onnx.ModelProto, place: str, name: str) -> None:
    graph = model.graph
    match place:
        case "node":
            graph.node[0].name = name
        case "weight" | "input" | "output" | "inner":
            _rename(graph, {"weight": "up.weight", "input": "x", "output": "y", "inner": "a"}[place], name)
        case "graph":
            graph.name = name
        case "dim":
            for value in (graph.input[0], graph.output[0]):
                value.type.tensor_type.shape.dim[0].dim_param = name
        case "scope":
            for node in graph.node:
                node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=repr(["", name, "n"]))
        case "metadata":
            model.metadata_props.add(key=name, value=name)
            graph.node[0].metadata_props.add(key=name, value=name)
        case "producer":
            model.producer_name = model.producer_version = model.domain = model.doc_string = name
            graph.doc_string = graph.node[0].doc_string = name
        case "function":
            inner = helper.make_node("Relu", ["p"], ["q"], name=name)
            model.functions.append(helper.make_function(name, name, ["p"], ["q"], [inner], model.opset_import))
            graph.node[1].op_type = graph.node[1].domain = name
            model.opset_import.append(helper.make_opsetid(name, 1))


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = new if value.name == old else value.name
