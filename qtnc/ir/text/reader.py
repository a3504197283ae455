"""Text to the IR."""

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from qtnc.errors import ImportModelError, QtncError, did_you_mean
from qtnc.ir.dialect import define, is_circuit, is_qtn
from qtnc.ir.names import NAME_SCOPES, module_path
from qtnc.ir.text import literals
from qtnc.ir.text.literals import Part, Weights, phrase, phrases, refuse, word
from qtnc.ir.text.printer import VERSION
from qtnc.ir.text.spelling import LISTS, clipped, kind_word, value_name
from qtnc.ir.text.syntax import Phrase, Word, parse
from qtnc.source import Source

_KINDS = {kind_word(kind): kind for kind in ir.AttributeType}

_LITERALS = {
    "INTEGER": ir.AttributeType.INT,
    "FLOAT": ir.AttributeType.FLOAT,
    "STRING": ir.AttributeType.STRING,
    "BYTES": ir.AttributeType.STRING,
}

LONG = 200
"""Characters from which a name is not compared with others for likeness, which takes quadratic time."""

Scope = dict[str, ir.Value]


def parse_model(text: str, weights: Weights | None = None, *, source: str = "<qir>") -> ir.Model:
    """Read a model from its text form.

    Parameters
    ----------
    text
        As :func:`qtnc.ir.text.printer.print_model` writes it.
    weights
        What digests stand for: arrays by digest, or a function of name, element type, shape and digest.
    source
        Name of the text in messages, usually its path.

    Raises
    ------
    ImportModelError
        If the text is wrong, with the place; or if a tensor is missing or not what its digest says.
    """
    tree = parse(Source(source, text))
    version, model, graph = word(tree.parts[0]), phrase(tree.parts[1]), phrase(tree.parts[2])
    if literals.integer(version) != VERSION:
        refuse(f"this is version {version.text} of the text form", version.span, f"known is version {VERSION}")
    reader = _Reader(weights if weights is not None else {})
    try:
        return reader.model(model, graph, phrases(tree, "function"))
    except RecursionError:
        raise ImportModelError(f"{source}: graphs are nested too deeply") from None


class _Reader:
    """One reading. ``calls`` are the nodes of the dialect, whose functions follow from them."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.calls: list[tuple[ir.Node, Phrase]] = []

    def model(self, said: Phrase, graph: Phrase, functions: Sequence[Phrase]) -> ir.Model:
        """Read everything."""
        imports = literals.opset(said)
        if "" not in imports:
            refuse('the model imports no opset of the standard domain ""', said.span)
        numbers = {p.rule: literals.integer(p.parts[0]) for p in phrases(said, "ir_version", "version")}
        texts = {p.rule: literals.string(p.parts[0]) for p in phrases(said, "producer", "producer_version", "domain")}
        if "ir_version" not in numbers:
            refuse("the model has no IR version", said.span, "write e.g. `ir 10`")
        model = ir.Model(
            self.graph(graph, [], imports),
            ir_version=numbers["ir_version"],
            producer_name=texts.get("producer"),
            producer_version=texts.get("producer_version"),
            domain=texts.get("domain"),
            model_version=numbers.get("version"),
            doc_string=literals.doc(said),
            metadata_props=literals.remark(said, "meta"),
        )
        calls, self.calls = self.calls, []
        for function in map(self.function, functions):
            model.functions[function.identifier()] = function
        for node, place in calls:
            if node.op_identifier() not in model.functions:
                try:
                    define(model, node)
                except (QtncError, ValueError, TypeError, OverflowError) as error:
                    kind = "circuit" if is_circuit(node) else "tensor network"
                    refuse(f"this node is no {kind}: {error}", place.span)
        return model

    def graph(self, said: Phrase, scopes: Sequence[Scope], imports: dict[str, int] | None = None) -> ir.Graph:
        """Read a graph that sees the values of ``scopes``, the innermost last."""
        label, takes, gives, remarks, body = said
        scope: Scope = {}
        inputs = [self.formal(formal, scope) for formal in phrases(phrase(takes), "formal")]
        weights = [self.weight(weight, scope) for weight in phrases(phrase(body), "weight")]
        nodes = [self.node(node, [*scopes, scope]) for node in phrases(phrase(body), "node")]
        outputs = [self.output(formal, scope) for formal in phrases(phrase(gives), "formal")]
        try:
            return ir.Graph(
                inputs,
                outputs,
                nodes=nodes,
                initializers=weights,
                doc_string=literals.doc(phrase(remarks)),
                opset_imports=imports,
                name=literals.name(label) if label is not None else None,
                metadata_props=literals.remark(phrase(remarks), "meta"),
            )
        except ValueError as error:
            refuse(str(error), said.span)

    def function(self, said: Phrase) -> ir.Function:
        """Read a function, whose nodes see its own values only."""
        operator, overload, takes, declared, gives, traits, body = said
        for weight in phrases(phrase(body), "weight"):
            refuse("functions hold no weights", weight.span, "make it the value of a Constant node")
        scope: Scope = {}
        inputs = [self.formal(formal, scope) for formal in phrases(phrase(takes), "formal")]
        nodes = [self.node(node, [scope]) for node in phrases(phrase(body), "node")]
        outputs = [self.output(formal, scope) for formal in phrases(phrase(gives), "formal")]
        domain, name = _operator(phrase(operator))
        known = _overload(overload)
        graph = ir.Graph(
            inputs,
            outputs,
            nodes=nodes,
            doc_string=literals.doc(phrase(traits)),
            opset_imports=literals.opset(phrase(traits)),
            name=known or name,
            metadata_props=literals.remark(phrase(traits), "meta"),
        )
        attributes = [self.declaration(d, scope) for d in phrases(declared, "attribute", "required")]
        return ir.Function(domain, name, known, graph=graph, attributes=attributes)

    def declaration(self, said: Phrase, scope: Scope) -> ir.Attr:
        """Read an attribute that a function takes, with its default or its kind."""
        if said.rule == "attribute":
            return self.attribute(said, [scope])
        return ir.Attr(literals.name(said.parts[0]), _kind(word(said.parts[1])), None)

    def formal(self, said: Phrase, scope: Scope) -> ir.Value:
        """Read an input."""
        value = _declare(word(said.parts[0]), scope)
        if said.parts[1] is not None:
            literals.describe(value, phrase(said.parts[1]))
        return value

    def output(self, said: Phrase, scope: Scope) -> ir.Value:
        """Find an output; what its type says adds to what the node that makes it says."""
        value = _find(word(said.parts[0]), [scope])
        if said.parts[1] is not None:
            info = phrase(said.parts[1])
            type_, shape = literals.type_and_shape(phrase(info.parts[0]))
            if value.type is None and value.shape is None:
                literals.describe(value, info)
            elif (type_, shape) != (value.type, value.shape):
                refuse("this is not the type that the value has where it is made", info.span)
        return value

    def weight(self, said: Phrase, scope: Scope) -> ir.Value:
        """Read a weight; one that is an input as well is the input's default."""
        target, info, payload, notes = said
        type_ = phrase(phrase(info).parts[0])
        name = literals.name(target)
        made = literals.tensor(name, type_, payload, notes if notes is None else phrase(notes), self.weights)
        if name in scope and scope[name].const_value is None:
            value = scope[name]
        else:
            value = _declare(word(target), scope)
            literals.describe(value, phrase(info))
        value.const_value = made
        return value

    def node(self, said: Phrase, scopes: Sequence[Scope]) -> ir.Node:
        """Read a node; its outputs enter the innermost scope."""
        results, operator, overload, arguments, attributes, infos, at, called, remarks = said
        domain, op_type = _operator(phrase(operator))
        inputs = [None if _blank(p) else _find(word(p), scopes) for p in phrase(arguments)]
        attrs = [self.attribute(a, scopes) for a in phrases(attributes, "attribute")]
        targets = phrase(results).parts if results is not None else ()
        outputs = [ir.Value(name="") if _blank(p) else _declare(word(p), scopes[-1]) for p in targets]
        known = phrases(infos, "info")
        if known and len(known) != len(outputs):
            refuse(f"{len(known)} types for {len(outputs)} outputs", phrase(infos).span)
        for value, info in zip(outputs, known, strict=False):
            literals.describe(value, info)
        node = ir.Node(
            domain,
            op_type,
            inputs,
            attrs,
            overload=_overload(overload),
            outputs=outputs,
            name=literals.string(phrase(called).parts[0]) if called is not None else "",
            doc_string=literals.doc(phrase(remarks)),
            metadata_props=literals.remark(phrase(remarks), "meta"),
        )
        if at is not None:
            _place(node, phrase(at))
        if is_qtn(node):
            self.calls.append((node, said))
        return node

    def attribute(self, said: Phrase, scopes: Sequence[Scope]) -> ir.Attr:
        """Read ``name = value``."""
        name, notes, value = literals.name(said.parts[0]), said.parts[1], said.parts[2]
        text = literals.doc(phrase(notes)) if notes is not None else None
        if isinstance(value, Phrase) and value.rule == "reference":
            kind = _kind(word(value.parts[1]))
            return ir.RefAttr(name, literals.string(value.parts[0]), kind, doc_string=text)
        if isinstance(value, Phrase) and value.rule == "empty":
            kind = _kind(word(value.parts[0]))
            if kind not in LISTS.values():
                refuse(f"`{kind_word(kind)}` is no kind of list", value.span)
            return ir.Attr(name, kind, (), doc_string=text)
        if isinstance(value, Phrase) and value.rule == "sequence":
            read = [self.literal(item, scopes) for item in value]
            if len({kind for kind, _ in read}) != 1:
                refuse("the items of a list are of one kind", value.span)
            return ir.Attr(name, LISTS[read[0][0]], [item for _, item in read], doc_string=text)
        kind, found = self.literal(value, scopes)
        return ir.Attr(name, kind, found, doc_string=text)

    def literal(self, said: Part, scopes: Sequence[Scope]) -> tuple[ir.AttributeType, Any]:
        """Read one value of an attribute."""
        if isinstance(said, Phrase):
            if said.rule == "graph":
                return ir.AttributeType.GRAPH, self.graph(said, scopes)
            if said.rule == "tensor":
                called, type_, payload, notes = said
                name = literals.string(called) if called is not None else ""
                remarks = phrase(notes) if notes is not None else None
                made = literals.tensor(name, phrase(type_), payload, remarks, self.weights)
                return ir.AttributeType.TENSOR, made
            if said.rule == "type_literal":
                found = ir.TypeAndShape(*literals.type_and_shape(phrase(said.parts[0])))
                return ir.AttributeType.TYPE_PROTO, found
            refuse("a list holds no lists", said.span)
        token = word(said)
        read = literals.scalar(token)
        if isinstance(read, int) and read >= 2**63:
            refuse("integers of attributes are signed", token.span)
        return _LITERALS[token.kind], read


def _place(node: ir.Node, at: Phrase) -> None:
    """Make ``@"path"`` the module path of the node, unless its name or metadata say it already."""
    path = literals.string(at.parts[0])
    if module_path(node) == path:
        return
    if NAME_SCOPES in node.metadata_props or not path:
        refuse("this is not the module path that the node's metadata says", at.span)
    node.metadata_props[NAME_SCOPES] = repr([path, node.name])


def _declare(target: Word, scope: Scope) -> ir.Value:
    name = literals.name(target)
    if not name:
        refuse("a value has a name", target.span, "an output that is left out is written `_`")
    if name in scope:
        refuse(f"`{clipped(target.text)}` is already made", target.span)
    scope[name] = ir.Value(name=name)
    return scope[name]


def _find(target: Word, scopes: Sequence[Scope]) -> ir.Value:
    name = literals.name(target)
    for scope in reversed(scopes):
        if name in scope:
            return scope[name]
    made = [value_name(known) for scope in scopes for known in scope if len(known) < LONG]
    near = did_you_mean(target.text, made) if len(name) < LONG else None
    return refuse(f"`{clipped(target.text)}` is not made before this place", target.span, near)


def _blank(part: Part) -> bool:
    return word(part).kind == "BLANK"


def _operator(said: Phrase) -> tuple[str, str]:
    if len(said.parts) == 2:
        return literals.string(said.parts[0]), literals.string(said.parts[1])
    domain, _, op_type = word(said.parts[0]).text.rpartition(".")
    return domain, op_type


def _overload(said: Part) -> str:
    return literals.string(phrase(said).parts[0]) if said is not None else ""


def _kind(said: Word) -> ir.AttributeType:
    if said.text not in _KINDS:
        refuse(f"unknown kind of attribute `{clipped(said.text)}`", said.span, did_you_mean(said.text, _KINDS))
    return _KINDS[said.text]
