"""Phrases that hold no nodes, to what they mean: names, types, tensors, remarks."""

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import NoReturn

import onnx_ir as ir

from qtnc.errors import Diagnostic, ImportModelError, did_you_mean
from qtnc.ir.text.printer import QUANTISATION
from qtnc.ir.text.spelling import clipped, unquoted
from qtnc.ir.text.syntax import Phrase, Word
from qtnc.ir.text.tensors import Array, Scalar, digest, from_numbers, from_side_file, seeded
from qtnc.source import Span

Part = Phrase | Word | None
Weights = Callable[[str, ir.DataType, tuple[int, ...], str], Array] | Mapping[str, Array]
"""Arrays by digest, or a function of name, element type, shape and digest; KeyError where there is none."""


def refuse(message: str, span: Span, way_out: str | None = None) -> NoReturn:
    """Say what is wrong with the text at one place."""
    raise ImportModelError(Diagnostic(message, span, way_out))


def phrase(part: Part) -> Phrase:
    """Narrow a part that the grammar makes a phrase."""
    assert isinstance(part, Phrase)  # noqa: S101 - the grammar says so
    return part


def word(part: Part) -> Word:
    """Narrow a part that the grammar makes a word."""
    assert isinstance(part, Word)  # noqa: S101 - the grammar says so
    return part


def phrases(parts: Iterable[Part] | Part, *rules: str) -> list[Phrase]:
    """Those parts that are phrases of the rules; none of what was left out."""
    return (
        []
        if parts is None or isinstance(parts, Word)
        else [p for p in parts if isinstance(p, Phrase) and p.rule in rules]
    )


def string(part: Part) -> str:
    """Read a quoted string."""
    token = word(part)
    try:
        return unquoted(token.text)
    except ValueError:
        refuse("an escape of this string is wrong", token.span, "strings are written as in JSON")


def name(part: Part) -> str:
    """Read the name of an attribute, an axis, a graph or a value."""
    if isinstance(part, Phrase):
        part = part.parts[0]
    token = word(part)
    if token.kind == "VALUE":
        bare = Word("STRING", token.text[1:], Span(token.span.source, token.span.start + 1, token.span.end))
        return string(bare) if bare.text.startswith('"') else bare.text
    return string(token) if token.kind == "STRING" else token.text


def integer(part: Part) -> int:
    """Read an integer of 64 bits, signed or not."""
    token = word(part)
    if len(token.text) > 40 or not -(2**63) <= int(token.text) < 2**64:
        refuse("this integer does not fit 64 bits", token.span)
    return int(token.text)


def scalar(part: Part) -> Scalar:
    """Read one element or one simple attribute."""
    token = word(part)
    match token.kind:
        case "INTEGER":
            return integer(token)
        case "FLOAT":
            return float(token.text)
        case "BOOL":
            return token.text == "true"
        case "BYTES":
            try:
                return bytes.fromhex(token.text[2:-1])
            except ValueError:
                refuse("bytes have two hexadecimal digits each", token.span)
    return string(token)


def pairs(parts: Iterable[Part]) -> dict[str, str]:
    """``"key": "value"`` entries."""
    return {string(p.parts[0]): string(p.parts[1]) for p in phrases(parts, "pair")}


def remark(parts: Iterable[Part], rule: str) -> dict[str, str] | None:
    """Entries of ``meta`` or ``quant`` among the parts."""
    found = phrases(parts, rule)
    return pairs(found[0]) if found else None


def doc(parts: Iterable[Part]) -> str | None:
    """Documentation string among the parts."""
    found = phrases(parts, "doc")
    return string(found[0].parts[0]) if found else None


def opset(parts: Iterable[Part]) -> dict[str, int]:
    """Versions by domain."""
    imports = [i for o in phrases(parts, "opset") for i in phrases(o, "opset_import")]
    return {string(i.parts[0]): integer(i.parts[1]) for i in imports}


def dtype(part: Part) -> ir.DataType:
    """Read an element type."""
    token = word(part)
    try:
        return ir.DataType.from_short_name(token.text)
    except TypeError:
        near = did_you_mean(token.text[:40], [d.short_name() for d in ir.DataType])
        refuse(f"unknown element type `{clipped(token.text)}`", token.span, near)


def type_and_shape(said: Phrase) -> tuple[ir.TypeProtocol | None, ir.Shape | None]:
    """Read what follows the colon of a value."""
    label = next((string(d.parts[0]) for d in phrases(said, "denotation")), None)
    if said.rule in ("seq_type", "optional_type"):
        inner, shape = type_and_shape(phrase(said.parts[0]))
        if inner is None:
            refuse("the type inside is missing", said.span)
        kind = ir.SequenceType if said.rule == "seq_type" else ir.OptionalType
        return kind(inner, denotation=label), shape
    shape = next((_shape(s) for s in phrases(said, "shape")), None)
    if word(said.parts[0]).kind == "BLANK":
        return None, shape
    leaf = ir.SparseTensorType if said.rule == "sparse_type" else ir.TensorType
    return leaf(dtype(said.parts[0]), denotation=label), shape


def _shape(said: Phrase) -> ir.Shape:
    sizes: list[int | ir.SymbolicDim] = []
    denotations: list[str | None] = []
    for dim in phrases(said, "dim"):
        token = word(dim.parts[0])
        denotations.append(next((string(d.parts[0]) for d in phrases(dim, "denotation")), None))
        if token.kind == "INTEGER":
            sizes.append(integer(token))
        else:
            sizes.append(ir.SymbolicDim(None if token.kind == "UNKNOWN" else name(token)))
    return ir.Shape(sizes, denotations)


def describe(value: ir.Value, info: Phrase) -> None:
    """Give a value the type, shape and notes that stand after its colon."""
    value.type, value.shape = type_and_shape(phrase(info.parts[0]))
    for notes in phrases(info, "notes"):
        value.doc_string = doc(notes)
        value.metadata_props.update(remark(notes, "meta") or {})
        if (entries := remark(notes, "quant")) is not None:
            value.meta[QUANTISATION] = entries


def tensor(called: str, type_: Phrase, payload: Part, notes: Phrase | None, weights: Weights) -> ir.TensorProtocol:
    """Make the tensor that a type and a payload stand for."""
    if type_.rule != "tensor_type" or word(type_.parts[0]).kind == "BLANK":
        refuse("a tensor has an element type and a shape", type_.span)
    element, (_, shape) = dtype(type_.parts[0]), type_and_shape(type_)
    if shape is None or not shape.is_static() or any(n < 0 for n in shape.numpy()):
        refuse("the shape of a tensor is known", type_.span)
    assert payload is not None  # noqa: S101 - the grammar says so
    try:
        made = _payload(called, element, tuple(shape.numpy()), payload, weights)
    except (ValueError, TypeError) as error:
        refuse(str(error), payload.span)
    made.name = called
    if notes is not None:
        made.doc_string = doc(notes)
        made.metadata_props.update(remark(notes, "meta") or {})
    return made


def _payload(
    called: str, element: ir.DataType, shape: tuple[int, ...], payload: Phrase | Word, weights: Weights
) -> ir.TensorProtocol:
    if isinstance(payload, Phrase) and payload.rule == "normal":
        return seeded(integer(payload.parts[0]), element, shape)
    if isinstance(payload, Word) and payload.kind == "DIGEST":
        key = payload.text[1:]
        try:
            array = weights[key] if isinstance(weights, Mapping) else weights(called, element, shape, key)
        except KeyError:
            refuse(f"there is no tensor {payload.text} beside the text", payload.span)
        found = from_side_file(array, element, shape)
        if digest(found) != key:
            refuse(f"the tensor beside the text is not {payload.text}; its digest is #{digest(found)}", payload.span)
        return found
    if isinstance(payload, Word) and shape:
        raise ValueError(f"a single element, where the shape {list(shape)} has {prod(shape)}; put it in brackets")
    elements = payload.parts if isinstance(payload, Phrase) else (payload,)
    return from_numbers([scalar(e) for e in elements], element, shape)
