"""What is said of a wrong text, and where."""

import pytest

from qtnc.errors import ImportModelError
from qtnc.ir.text.reader import parse_model

HEAD = 'qir 1\nmodel opset {"": 18} ir 10\ngraph g(%x: f32[4]) -> (%y: f32[4]) {\n'

WHOLE = [
    ("", "1:1 the text ends here"),
    ("qir 2\nmodel\ngraph() -> () {}", "1:5 this is version 2 of the text form"),
    ("qir 1\nmodel ir 10\ngraph() -> () {}", '2:1 the model imports no opset of the standard domain ""'),
    ('qir 1\nmodel opset {"": 18}\ngraph() -> () {}', "2:1 the model has no IR version"),
    ('qir 1\nmodel opset {"": 99999999999999999999} ir 10\ngraph() -> () {}', "2:18 this integer does not fit 64 bits"),
    ("qir 1\nmodul", "2:1 `modul` is out of place"),
    (HEAD + "%y = Neg(%x)}\nfunction d.F() -> () { weight %w: f32[] = 1.0 }", "5:24 functions hold no weights"),
]

LINES = [
    ("%y = Neg(%z)", "4:10 `%z` is not made before this place"),
    ("%y = Neg(%h) %h = Neg(%x)", "4:10 `%h` is not made before this place"),
    ("%x = Neg(%x)", "4:1 `%x` is already made"),
    ('%"" = Neg(%x)', "4:1 a value has a name"),
    (r'%y = Neg(%x) as "\q"', "4:17 an escape of this string is wrong"),
    (r'%y = Neg(%x) as "\ud800"', "4:17 an escape of this string is wrong"),
    ('%y = Neg(%x) as "open', "4:17 a quote is not closed here"),
    ("%y = Neg(%x) ?", "4:14 `?` is out of place"),
    ("%y = Neg(%x) $", "4:14 '$' begins nothing here"),
    ("%y = Neg(%x) : f32[4], f32[4]", "4:14 2 types for 1 outputs"),
    ("%y = Neg(%x) : f32[5]", "3:29 this is not the type that the value has where it is made"),
    ("%y = Neg(%x) : f33[4]", "4:16 unknown element type `f33`"),
    ("%y = Neg(%x) {a = [1, 2.0]}", "4:19 the items of a list are of one kind"),
    ("%y = Neg(%x) {a = [[1]]}", "4:20 a list holds no lists"),
    ("%y = Neg(%x) {a = int[]}", "4:19 `int` is no kind of list"),
    ("%y = Neg(%x) {a = 9223372036854775808}", "4:19 integers of attributes are signed"),
    ('%y = Neg(%x) {a = b"f"}', "4:19 bytes have two hexadecimal digits each"),
    ('%y = Neg(%x) {a = ref "b" ints2}', "4:27 unknown kind of attribute `ints2`"),
    ("weight %w: f32[2] = [1.0]", "4:21 1 elements, where the shape [2] has 2"),
    ("weight %w: f32[2] = [1.0, 2]", "4:21 2 is not a float such as 1.0"),
    ("weight %w: i64[2] = [1.0, 2]", "4:21 1.0 is not an integer"),
    ("weight %w: b8[2] = [true, 2]", "4:20 2 is not `true` or `false`"),
    ("weight %w: i4[2] = [1, 8]", "4:20 8 is outside the range of i4"),
    ("weight %w: c64[] = 1.0", "4:20 elements of type c64 are not written out"),
    ("weight %w: s[1] = [1]", "4:19 elements of a tensor of strings are strings"),
    ("weight %w: f32[1] = 1.0", "4:21 a single element, where the shape [1] has 1; put it in brackets"),
    ("weight %w: f32[n] = [1.0]", "4:12 the shape of a tensor is known"),
    ("weight %w: f32 = [1.0]", "4:12 the shape of a tensor is known"),
    ("weight %w: _[1] = [1.0]", "4:12 a tensor has an element type and a shape"),
    ("weight %w: f32[99999999999] = normal(1)", "4:31 normal() takes a seed from 0, and makes small tensors"),
    ("weight %w: i64[4] = normal(1)", "4:21 normal numbers are floats, not i64"),
    ("weight %w: f32[4] = #0123456789ab", "4:21 there is no tensor #0123456789ab beside the text"),
    ('%y = qtn.MPO["a"](%x) {equation = "m ->"}', "4:1 this node is no tensor network: "),
    (
        """%y = qtn.MPO["a"](%x, %x)
        {equation = "a b, b -> a", mode_sizes = [9999999999, 9999999999], features = [4, 4], path = [0, 1]}""",
        "4:1 this node is no tensor network: Python int too large",
    ),
    ('%y = qtn.Circuit["a"](%x) {features = [4, 4], pairs = [0, 2], qubits = 2}', "4:1 this node is no circuit: "),
    (
        """%y = Neg(%x) @"a" meta {"pkg.torch.onnx.name_scopes": "['b', '']"}""",
        "4:14 this is not the module path that the node's metadata says",
    ),
]


@pytest.mark.parametrize(("text", "said"), [*WHOLE, *((f"{HEAD}{line}\n}}", said) for line, said in LINES)])
def test_message(text: str, said: str) -> None:
    with pytest.raises(ImportModelError) as caught:
        parse_model(text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is not None
    assert f"{diagnostic.span.line}:{diagnostic.span.column} {diagnostic.message}".startswith(said)


def test_depth_is_bounded() -> None:
    deep = "%y = If(%x) {a = graph () -> () {" * 2000
    with pytest.raises(ImportModelError, match="nested too deeply"):
        parse_model(HEAD + deep + "}}" * 2000 + "}")


def test_length_of_messages_is_bounded() -> None:
    name = "x" * 100_000
    with pytest.raises(ImportModelError) as caught:
        parse_model(f"{HEAD}%y = Neg(%{name}) }}")
    assert len(str(caught.value)) < 1000
