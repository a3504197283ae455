"""Rules: from their text to patterns and terms."""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtnc.backends.options import BACKENDS
from qtnc.errors import SpecError
from qtnc.rules.functions import FUNCTIONS
from qtnc.rules.operators import CLASSES
from qtnc.rules.pattern import Attribute, Axes, Capture, Either, Equation, Kind, Literal, Operation
from qtnc.rules.rule import SpecRule
from qtnc.rules.terms import Apply, Binary, Call, Items, Matches, Negative, Not, Number, Ref, Step, Term, Text
from qtnc.source import Source, Span
from qtnc.spec.program import Spec
from qtnc.spec.read import read_source, read_spec
from qtnc.structures.registry import STRUCTURES

Read = Callable[[str], Spec]
Said = Callable[[str], list[str]]

FLOATS = frozenset({"float16", "bfloat16", "float", "double"})
X, W, S, Y = (Ref(name) for name in "xwsy")


def bare(node: Any) -> Any:
    """A rule without its places."""
    if isinstance(node, tuple):
        return tuple(map(bare, node))
    if not is_dataclass(node) or isinstance(node, type):
        return node
    parts = {f.name: bare(getattr(node, f.name)) for f in fields(node) if f.name != "span"}
    return type(node)(**parts, **({"span": None} if any(f.name == "span" for f in fields(node)) else {}))


def rule(read: Read, body: str, above: str = "") -> SpecRule:
    (found,) = read(f"qtn 1\n{above}\nrule r {{\n{body}\n}}\nemit torch\n").rules
    return found


def pattern(read: Read, text: str) -> Operation:
    (equation,) = rule(read, f"match y = {text}\nreplace y = 0").equations
    found: Operation = bare(equation.operation)
    return found


def value(read: Read, text: str) -> Term:
    (step,) = rule(
        read, f"match y = Sum(x, w: const, s: const, v: const vector [n])\nreplace y = {text}", "let rate = 5%"
    ).steps
    found: Term = bare(step.term)
    return found


def condition(read: Read, text: str) -> Term:
    (found,) = rule(read, f"match y = Sum(x, w: const, s: const)\nwhere {text}\nreplace y = x").conditions
    term: Term = bare(found)
    return term


def test_a_rule(read: Read) -> None:
    found = rule(
        read,
        """
        match   y = Mul(MatMul(x, w: const), s: const scalar)
        where   s > 0 and uses(w) == 1
        replace y = MatMul(x, w * s)
        within  1%
        example {
            before y = Mul(MatMul(x: float[2, 3], w: const float[3, 4]), 2)
            after  y = MatMul(x, w * 2)
        }
        example { before y = Relu(x: float32 [2]) }
        """,
    )
    inner = Operation(("MatMul",), (Capture("x"), Capture("w", Kind(const=True))))
    assert (found.name, found.within) == ("r", 0.01)
    assert bare(found.equations) == (
        Equation(("y",), Operation(("Mul",), (inner, Capture("s", Kind(const=True, size=1))))),
    )
    assert bare(found.conditions) == (
        Binary("and", Binary(">", S, Number(0)), Binary("==", Call("uses", (W,)), Number(1))),
    )
    assert bare(found.steps) == (Step(("y",), Apply("MatMul", (X, Binary("*", W, S))), True),)
    first, second = found.examples
    two = Capture("x", Kind(dtypes=FLOATS, axes=Axes((2, 3))))
    three = Capture("w", Kind(const=True, dtypes=FLOATS, axes=Axes((3, 4))))
    assert bare(first.before) == (
        Equation(("y",), Operation(("Mul",), (Operation(("MatMul",), (two, three)), Literal(2)))),
    )
    assert bare(first.after) == (Step(("y",), Apply("MatMul", (X, Binary("*", W, Number(2)))), True),)
    assert second.after == ()


def test_rules_come_in_order_of_the_text(tmp_path: Path) -> None:
    body = "{\n    match y = Neg(Neg(x))\n    replace y = x\n}\n"
    (tmp_path / "house.qtn").write_text(f"qtn 1\nrule c {body}rule a {body}")
    (tmp_path / "spec.qtn").write_text(f'qtn 1\nrule b {body}include "house.qtn"\nrule d {body}emit torch\n')
    spec = read_spec(tmp_path / "spec.qtn", STRUCTURES, BACKENDS)
    assert [found.name for found in spec.rules] == ["b", "c", "a", "d"]
    assert [Path(found.span.source.name).name for found in spec.rules] == ["spec.qtn", *["house.qtn"] * 2, "spec.qtn"]
    assert spec.at(None).rules == spec.rules


def test_results_and_what_is_let(read: Read) -> None:
    found = rule(
        read,
        """
        match   a = MatMul(x, v: const float[m, n])
        match   b = MatMul(x, w: const float[m, k])
        let     both = MatMul(x, concat(1, v, w))
        let     _, z = Split(x){num_outputs = 2}
        replace a, b = Split(both, [n, k]){axis = -1}
        """,
    )
    assert [equation.outputs for equation in found.equations] == [("a",), ("b",)]
    assert bare(found.steps) == (
        Step(("both",), Apply("MatMul", (X, Call("concat", (Number(1), Ref("v"), W)))), False),
        Step(("_", "z"), Apply("Split", (X,), (("num_outputs", Number(2)),)), False),
        Step(("a", "b"), Apply("Split", (Ref("both"), Items((Ref("n"), Ref("k")))), (("axis", Number(-1)),)), True),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Relu(_)", Operation(("Relu",), (Capture("_"),))),
        ("(Mul | Div)(x, 2)", Operation(("Mul", "Div"), (Capture("x"), Literal(2)))),
        ("(Gelu | com.microsoft.Gelu)(x)", Operation(("Gelu", "com.microsoft.Gelu"), (Capture("x"),))),
        ("qtn.MPO(x, cores...)", Operation(("qtn.MPO",), (Capture("x"), Capture("cores", rest=True)))),
        ("Sum(xs...: const)", Operation(("Sum",), (Capture("xs", Kind(const=True), rest=True),))),
        ("ai.onnx.Relu(x)", Operation(("Relu",), (Capture("x"),))),
        ("f: unary(g: Relu(x))", Operation(("unary",), (Operation(("Relu",), (Capture("x"),), (), "g"),), (), "f")),
        ("_: Relu(x)", Operation(("Relu",), (Capture("x"),))),
        (
            "Gemm(x, w, b?){transB = 1, alpha = a, beta = 1}",
            Operation(
                ("Gemm",),
                (Capture("x"), Capture("w"), Capture("b", optional=True)),
                (Attribute("transB", 1), Attribute("alpha", bound="a"), Attribute("beta", 1)),
            ),
        ),
        ('Gelu(x){approximate = "tanh"}', Operation(("Gelu",), (Capture("x"),), (Attribute("approximate", "tanh"),))),
        ("Transpose(x){perm = [1, 0]}", Operation(("Transpose",), (Capture("x"),), (Attribute("perm", (1, 0)),))),
        ("Cast(x){to = float16}", Operation(("Cast",), (Capture("x"),), (Attribute("to", onnx.TensorProto.FLOAT16),))),
        (
            "Mul(Relu(x) | Clip(x, 0), -1.5)",
            Operation(
                ("Mul",),
                (
                    Either((Operation(("Relu",), (Capture("x"),)), Operation(("Clip",), (Capture("x"), Literal(0))))),
                    Literal(-1.5),
                ),
            ),
        ),
        ("Reshape(x, [0, -1, 2Ki])", Operation(("Reshape",), (Capture("x"), Literal((0, -1, 2048))))),
        ("Mul(x, 50%)", Operation(("Mul",), (Capture("x"), Literal(0.5)))),
        ("Add(x, -3.4028234663852886e+38)", Operation(("Add",), (Capture("x"), Literal(-3.4028234663852886e38)))),
    ],
)
def test_patterns(text: str, expected: Operation, read: Read) -> None:
    assert pattern(read, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("const", Kind(const=True)),
        ("scalar", Kind(size=1)),
        ("const vector", Kind(const=True, rank=1)),
        ("matrix rank 2", Kind(rank=2)),
        ("rank 0", Kind(rank=0)),
        ("float", Kind(dtypes=FLOATS)),
        ("float float32", Kind(dtypes=frozenset({"float"}))),
        ("float64", Kind(dtypes=frozenset({"double"}))),
        ("int uint8", Kind(dtypes=frozenset({"uint8"}))),
        ("bool", Kind(dtypes=frozenset({"bool"}))),
        ("[m, 64, _]", Kind(axes=Axes(("m", 64, None)))),
        ("[..., d]", Kind(axes=Axes(("d",), 0))),
        ("[b, ..., d, 2]", Kind(axes=Axes(("b", "d", 2), 1))),
        ("[...]", Kind(axes=Axes((), 0))),
        ("[]", Kind(axes=Axes(()))),
        ("const float32 matrix [m, n]", Kind(True, frozenset({"float"}), 2, None, Axes(("m", "n")))),
        ("scalar [1, 1]", Kind(size=1, axes=Axes((1, 1)))),
    ],
)
def test_kinds(text: str, expected: Kind, read: Read) -> None:
    (capture,) = pattern(read, f"Relu(x: {text})").inputs
    assert capture == Capture("x", expected)


def test_kinds_of_one_value_add_up(read: Read) -> None:
    found = rule(read, "match y = Mul(MatMul(x, w: const), Neg(w: float))\nlet k = w * 2\nreplace y = k")
    assert bare(found.steps[0].term) == Binary("*", W, Number(2))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("w + s * 2", Binary("+", W, Binary("*", S, Number(2)))),
        ("(w + s) * 2", Binary("*", Binary("+", W, S), Number(2))),
        ("w - s - 2", Binary("-", Binary("-", W, S), Number(2))),
        ("w / s // 2 % 3 @ s", Binary("@", Binary("%", Binary("//", Binary("/", W, S), Number(2)), Number(3)), S)),
        ("-w ** 2", Negative(Binary("**", W, Number(2)))),
        ("-2 ** 2", Negative(Binary("**", Number(2), Number(2)))),
        ("2 ** -1", Binary("**", Number(2), Number(-1))),
        ("w ** -s", Binary("**", W, Negative(S))),
        ("w * -s", Binary("*", W, Negative(S))),
        ("w-1", Binary("-", W, Number(1))),
        ("w -1", Binary("-", W, Number(1))),
        ("w - -1", Binary("-", W, Number(-1))),
        ("w+1", Binary("+", W, Number(1))),
        ("2-1-w", Binary("-", Binary("-", Number(2), Number(1)), W)),
        ("w*s", Binary("*", W, S)),
        ("w *s", Binary("*", W, S)),
        ("(w)*n", Binary("*", W, Ref("n"))),
        ("w**2", Binary("**", W, Number(2))),
        ("w@s", Binary("@", W, S)),
        ("n%2", Binary("%", Ref("n"), Number(2))),
        ("w * rate", Binary("*", W, Number(0.05))),
        ("w +\n s *\n 2", Binary("+", W, Binary("*", S, Number(2)))),
        ("transpose(w, [1, 0])", Call("transpose", (W, Items((Number(1), Number(0)))))),
        ("reshape(w, v)", Call("reshape", (W, Ref("v")))),
        ("cast(w, float16)", Call("cast", (W, Ref("float16")))),
        ("cast(w, dtype(x))", Call("cast", (W, Call("dtype", (X,))))),
        ("full([n, 2], max(s))", Call("full", (Items((Ref("n"), Number(2))), Call("max", (S,))))),
        ("Clip(x, _, 6)", Apply("Clip", (X, None, Number(6)))),
        ('Gelu(x){approximate = "tanh"}', Apply("Gelu", (X,), (("approximate", Text("tanh")),))),
        ("Cast(x){to = dtype(w)}", Apply("Cast", (X,), (("to", Call("dtype", (W,))),))),
        ("com.microsoft.Anything(x){n = n}", Apply("com.microsoft.Anything", (X,), (("n", Ref("n")),))),
        ("Squeeze(x, [0])", Apply("Squeeze", (X, Items((Number(0),))))),
    ],
)
def test_values(text: str, expected: Term, read: Read) -> None:
    assert value(read, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("w > 0", Binary(">", W, Number(0))),
        ("w", W),
        (
            "not w > 0 and s < 1 or is_const(x)",
            Binary(
                "or", Binary("and", Not(Binary(">", W, Number(0))), Binary("<", S, Number(1))), Call("is_const", (X,))
            ),
        ),
        ("not (w > 0 and s < 1)", Not(Binary("and", Binary(">", W, Number(0)), Binary("<", S, Number(1))))),
        (
            "rank(x) - 1 == 2 * 3",
            Binary("==", Binary("-", Call("rank", (X,)), Number(1)), Binary("*", Number(2), Number(3))),
        ),
        ("shape(x) == [2, 3]", Binary("==", Call("shape", (X,)), Items((Number(2), Number(3))))),
        ("dtype(x) != float16", Binary("!=", Call("dtype", (X,)), Ref("float16"))),
        ('op(x) == "Relu"', Binary("==", Call("op", (X,)), Text("Relu"))),
        ("all(w > s)", Call("all", (Binary(">", W, S),))),
    ],
)
def test_conditions(text: str, expected: Term, read: Read) -> None:
    assert condition(read, text) == expected


def test_names_are_matched(read: Read) -> None:
    for text, hit in (('"*.mlp"', "a.mlp"), ('re"m.p"', "xmlpx")):
        found = condition(read, f"name(y) ~ {text}")
        assert isinstance(found, Matches)
        assert found.part == Call("name", (Y,))
        assert found.pattern.matches(hit)  # type: ignore[attr-defined]
        assert not found.pattern.matches("b.attn")  # type: ignore[attr-defined]


def test_an_operation_is_done_again(read: Read) -> None:
    found = rule(read, "match y = Reshape(f: unary(x), shape: const)\nreplace y = f(Reshape(x, shape)){alpha = 2}")
    assert bare(found.steps[0].term) == Apply(
        "f", (Apply("Reshape", (X, Ref("shape"))),), (("alpha", Number(2)),), again=True
    )


def test_all_inputs_that_are_left(read: Read) -> None:
    found = rule(read, "match y = Concat(x, xs...){axis = k}\nreplace y = Concat(xs..., x){axis = k}")
    assert bare(found.steps[0].term) == Apply("Concat", (Ref("xs"), X), (("axis", Ref("k")),))


def test_words_of_the_language_are_names(read: Read) -> None:
    words = ["match", "replace", "within", "rule", "before", "after", "example", "let", "data", "top", "on", "qtn"]
    names = ", ".join(words)
    found = rule(read, f"match y = Sum({names})\nreplace y = Sum({names})")
    assert bare(found.steps[0].term) == Apply("Sum", tuple(map(Ref, words)))


def test_values_of_the_spec(read: Read) -> None:
    above = (
        'let eps = 1e-5\nlet order = [0, 2, 1]\nlet kind = float16\nlet mode = "tanh"\nlet name = re"mlp"\nlet d = 64'
    )
    found = rule(
        read,
        "match y = Add(Transpose(x: [d, n]){perm = order}, eps)\nwhere name(y) ~ name\n"
        "let z = cast(full([2], eps), kind)\nreplace y = Gelu(Cast(z){to = kind}){approximate = mode}",
        above,
    )
    (equation,) = bare(found.equations)
    inner = Operation(("Transpose",), (Capture("x", Kind(axes=Axes((64, "n")))),), (Attribute("perm", (0, 2, 1)),))
    assert equation.operation == Operation(("Add",), (inner, Literal(1e-5)))
    assert bare(found.steps[0].term) == Call(
        "cast", (Call("full", (Items((Number(2),)), Number(1e-5))), Ref("float16"))
    )
    assert bare(found.steps[1].term) == Apply(
        "Gelu", (Apply("Cast", (Ref("z"),), (("to", Ref("float16")),)),), (("approximate", Text("tanh")),)
    )


def test_what_includes_a_rule_does_not_change_it(tmp_path: Path) -> None:
    (tmp_path / "rules.qtn").write_text(
        'qtn 1\nlet two = 2\ninclude "values.qtn"\nrule a {\n    match y = Sum(x, two, three)\n    replace y = x\n}\n'
    )
    (tmp_path / "values.qtn").write_text("qtn 1\nlet three = 3\n")
    (tmp_path / "spec.qtn").write_text('qtn 1\nlet x = 7\ninclude "rules.qtn"\nemit torch\n')
    (found,) = read_spec(tmp_path / "spec.qtn", STRUCTURES, BACKENDS).rules
    assert bare(found.equations[0].operation) == Operation(("Sum",), (Capture("x"), Literal(2), Literal(3)))
    (tmp_path / "rules.qtn").write_text("qtn 1\nrule a {\n    match y = Neg(x)\n    replace y = Mul(x, z)\n}\n")
    (tmp_path / "spec.qtn").write_text('qtn 1\nlet z = 7\ninclude "rules.qtn"\nemit torch\n')
    with pytest.raises(SpecError, match="a rule sees what its own file lets"):
        read_spec(tmp_path / "spec.qtn", STRUCTURES, BACKENDS)


def test_a_setting_stands_for_a_value_of_a_rule(tmp_path: Path) -> None:
    (tmp_path / "spec.qtn").write_text(
        "qtn 1\nlet most = 2\nrule a {\n    match y = Mul(x, most)\n    replace y = x\n}\nemit torch\n"
    )
    (found,) = read_spec(tmp_path / "spec.qtn", STRUCTURES, BACKENDS, ["most=3"]).rules
    assert bare(found.equations[0].operation.inputs[1]) == Literal(3)


def spans(node: Any) -> Iterator[tuple[Any, Span]]:
    if isinstance(node, tuple):
        for part in node:
            yield from spans(part)
    elif is_dataclass(node) and not isinstance(node, Span | Source | type):
        held = getattr(node, "span", None)
        if held is not None:
            yield node, held
        for part in fields(node):
            yield from spans(getattr(node, part.name))


def test_everything_has_its_place(read: Read) -> None:
    found = rule(read, "match y = Mul(MatMul(x, w: const), f: Neg(s))\nwhere norm(w) > 1 + 2\nreplace y = f(-w * 2)")
    texts = {(type(node).__name__, span.text) for node, span in spans(found)}
    assert {
        ("SpecRule", "rule r {"),
        ("Equation", "match y = Mul(MatMul(x, w: const), f: Neg(s))"),
        ("Operation", "Mul(MatMul(x, w: const), f: Neg(s))"),
        ("Operation", "Neg(s)"),
        ("Capture", "w: const"),
        ("Binary", "norm(w) > 1 + 2"),
        ("Binary", "1 + 2"),
        ("Call", "norm(w)"),
        ("Step", "replace y = f(-w * 2)"),
        ("Apply", "f(-w * 2)"),
        ("Binary", "-w * 2"),
        ("Negative", "-w"),
    } <= texts


NAMES = st.sampled_from(["w", "s", "n", "2", "0.5", "64Ki", "max(w)"])
SIGNS = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "%": 2, "@": 2}


@given(st.lists(st.tuples(st.sampled_from(sorted(SIGNS)), NAMES), max_size=8), NAMES)
def test_precedence_is_that_of_python(rest: list[tuple[str, str]], first: str) -> None:
    text = first + "".join(f" {sign} {name}" for sign, name in rest)
    body = f"match y = Sum(x, w: const [n], s: const)\nreplace y = {text}"
    (found,) = read_source(Source("s", f"qtn 1\nrule r {{\n{body}\n}}\nemit torch"), STRUCTURES, BACKENDS, Path()).rules
    numbers = {"64Ki": 65536, "0.5": 0.5, "2": 2}

    def written(term: Term) -> str:
        match term:
            case Binary(sign, left, right):
                return f"({written(left)} {sign} {written(right)})"
            case Number(number):
                return repr(number)
            case Ref(name):
                return name
            case Call(name, (argument,)):
                return f"{name}({written(argument)})"
        raise AssertionError(term)

    import ast

    plain = first if first not in numbers else repr(numbers[first])
    plain += "".join(f" {sign} {repr(numbers[name]) if name in numbers else name}" for sign, name in rest)
    assert ast.dump(ast.parse(written(found.steps[0].term))) == ast.dump(ast.parse(plain))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_counts_its_arguments(name: str, said: Said) -> None:
    many = ", ".join("1" for _ in range(20))
    errors = said(f"qtn 1\nrule r {{\nmatch y = Neg(x)\nreplace y = {name}({many})\n}}\nemit torch")
    few = said(f"qtn 1\nrule r {{\nmatch y = Neg(x)\nreplace y = {name}()\n}}\nemit torch")
    assert any(f"`{name}` takes" in error for error in few)
    assert any(f"`{name}` takes" in error for error in errors) or name == "concat"


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_class_may_be_looked_for(name: str, read: Read) -> None:
    inputs = "x" if name in ("unary", "reduction", "elementwise") else "x, z"
    assert pattern(read, f"{name}({inputs})").ops == (name,)
    assert all(onnx.defs.has(op) for op in CLASSES[name])


def hostile(body: str) -> str:
    return f"qtn 1\nrule a {{\nmatch y = Sum(x, s: const)\n{body}\n}}\nemit torch"


def test_hostile_rules_end(said: Said) -> None:
    deep = "more than 100 operations are nested or in a row"
    assert said(hostile("replace y = s * 2 ** (9 ** 9)")) == []
    assert said(hostile("replace y = " + "s + " * 90 + "1")) == []
    assert said(hostile("replace y = " + "s + " * 50_000 + "1")) == [f"4:1 {deep}"]
    assert said(hostile("replace y = s" + "*x" * 50_000)) == [f"4:1 {deep}"]
    assert said(hostile("replace y = s " + "*x " * 50_000)) == [f"4:1 {deep}"]
    assert said(hostile("replace y = s" + "-1" * 50_000)) == [f"4:1 {deep}"]
    assert said(hostile("where " + "s > 0 and " * 20_000 + "s > 1\nreplace y = x")) == [f"4:1 {deep}"]
    assert said(hostile("where " + "not " * 100 + "s\nreplace y = x"))[0].startswith("4:11 expected")
    for piece in ("(", "-(", "Neg(", "abs(", "[", "1 + (", "not ("):
        for count in (40, 99, 50_000):
            errors = said(hostile("let k = " + piece * count + "s"))
            assert errors
    nested = "1 + 2 * (" * 99 + "1" + ")" * 99
    assert said(hostile(f"replace y = s * {nested}")) == [f"4:1 {deep}"]
    nested = "abs(" * 90 + "s" + ")" * 90
    assert said(hostile(f"replace y = {nested}")) == []


def test_many_of_everything(said: Said) -> None:
    names = ", ".join(f"x{k}" for k in range(20_000))
    many = "2:1 a rule looks for 150 operations and values at most, not"
    assert said(f"qtn 1\nrule a {{\nmatch y = Sum({names})\nreplace y = x1\n}}\nemit torch") == [f"{many} 20,001"]
    rules = "".join(f"rule r{k} {{\nmatch y = Neg(Neg(x))\nreplace y = x\n}}\n" for k in range(3000))
    assert said(f"qtn 1\n{rules}emit torch") == []
    lets = "let many = [" + "1, " * 20_000 + "1]"
    uses = ", ".join(["many"] * 20_000)
    (error,) = said(f"qtn 1\n{lets}\nrule a {{\nmatch y = Sum({uses})\nreplace y = 0\n}}\nemit torch")[:1]
    assert "names stand for more than 262,144 characters in all" in error
    matches = "".join(f"match y{k} = Neg(y{k - 1})\n" for k in range(1, 3000))
    assert said(f"qtn 1\nrule a {{\n{matches}replace y2999 = y0\n}}\nemit torch") == [f"{many} 5,998"]
