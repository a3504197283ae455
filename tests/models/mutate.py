"""Models damaged at random, at three levels: bytes, fields of the file, and the graph that they mean."""

import random
from collections.abc import Callable, Mapping

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import TensorProto


def mutated_bytes(whole: bytes, rng: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(rng.choice([1, 2, 5, 20])):
        at = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + rng.randrange(1, 20)]
            case 2:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 3:
                start = rng.randrange(len(data))
                data[at : at + 16] = data[start : start + 16]
            case 4:
                data[at:at] = b"\xff" * 8 + b"\x7f"  # a varint near 2**63
    return bytes(data)


NUMBERS = [0, 1, -1, 2, 3, 1000, 2**31 - 1, -(2**31), 2**40, 10**18, 2**63 - 1, -(2**63)]
WORDS = ["", "x", "y", "a", "MatMul", "If", "Loop", "Constant", "Gather", "a\0b", "../up", "ai.onnx", "to", "\u202e"]


def any_value(field: FieldDescriptor, rng: random.Random) -> object:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return rng.choice(WORDS)
        case FieldDescriptor.TYPE_BYTES:
            return rng.randbytes(rng.randrange(12))
        case FieldDescriptor.TYPE_FLOAT | FieldDescriptor.TYPE_DOUBLE:
            return rng.choice([0.0, -1.0, float("nan"), float("inf"), 1e30])
        case FieldDescriptor.TYPE_ENUM:
            return rng.choice([v.number for v in field.enum_type.values])
        case _:
            low = -(2**31) if field.type == FieldDescriptor.TYPE_INT32 else -(2**63)
            high = 2**31 - 1 if field.type == FieldDescriptor.TYPE_INT32 else 2**63 - 1
            number = rng.choice(NUMBERS)
            number = abs(number) if field.type == FieldDescriptor.TYPE_UINT64 else number
            return min(max(number, low), high)


def messages(message: Message) -> list[Message]:
    found = [message]
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if field.is_repeated else [value]:
                found += messages(inner)
    return found


def mutated_message(whole: bytes, rng: random.Random) -> bytes:
    """Fields set, copied, moved and dropped: still protobuf, so that it comes further than noise does."""
    model = onnx.ModelProto.FromString(whole)
    for _ in range(rng.choice([1, 1, 2, 4, 10])):
        parts = messages(model)
        message = rng.choice(parts)
        field = rng.choice([f for f, _ in message.ListFields()] or list(message.DESCRIPTOR.fields))
        likes = [p for p in parts if p.DESCRIPTOR is field.message_type]
        if field.is_repeated:
            values = getattr(message, field.name)
            if values and rng.random() < 0.4:
                del values[rng.randrange(len(values))]
            elif likes:
                values.add().ParseFromString(rng.choice(likes).SerializeToString())
            elif field.type != FieldDescriptor.TYPE_MESSAGE:
                values.append(any_value(field, rng))
        elif rng.random() < 0.2 or (field.type == FieldDescriptor.TYPE_MESSAGE and not likes):
            message.ClearField(field.name)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            other = rng.choice(likes).SerializeToString()
            getattr(message, field.name).ParseFromString(other)
        else:
            setattr(message, field.name, any_value(field, rng))
    return model.SerializeToString()


def mutated_graph(whole: bytes, rng: random.Random) -> bytes:
    """Names swapped and shared, weights dropped and reshaped, cycles, other types, operators and opsets."""
    model = onnx.ModelProto.FromString(whole)
    for _ in range(rng.choice([1, 1, 2, 3])):
        graph = model.graph
        ends = [*graph.input, *graph.output]
        if not graph.node or not ends or not model.opset_import:
            break
        node, other = rng.choice(graph.node), rng.choice(graph.node)
        weight = rng.choice(graph.initializer) if graph.initializer else TensorProto()
        match rng.randrange(14):
            case 0 if node.input and other.output:
                node.input[rng.randrange(len(node.input))] = other.output[0]  # perhaps a cycle
            case 1 if node.output and other.output:
                node.output[0] = other.output[0]
            case 2 if node.input and graph.initializer:
                node.input[rng.randrange(len(node.input))] = weight.name
            case 3 if graph.initializer:
                graph.initializer.remove(weight)
            case 4 if graph.initializer:
                graph.initializer.add().CopyFrom(weight)
            case 5:
                weight.dims[:] = [rng.choice([*NUMBERS, *weight.dims]) for _ in range(rng.randrange(5))]
            case 6:
                weight.dims[:] = [*weight.dims][::-1]
            case 7:
                weight.data_type = rng.randrange(26)
            case 8:
                rng.choice(model.opset_import).version = rng.randrange(30)
            case 9:
                node.op_type = rng.choice([other.op_type, *WORDS])
            case 10:
                graph.node.remove(node)
            case 11:
                graph.node.add().CopyFrom(node)
            case 12:
                rng.choice(ends).type.tensor_type.elem_type = rng.randrange(26)
            case 13:
                shape = rng.choice(ends).type.tensor_type.shape
                shape.dim.add().dim_value = rng.choice(NUMBERS)
    return model.SerializeToString()


MUTATORS: Mapping[str, Callable[[bytes, random.Random], bytes]] = {
    "bytes": mutated_bytes,
    "fields": mutated_message,
    "graph": mutated_graph,
}
