"""English text that every CPython carries: the help topics and the docstrings of its standard library."""

import ast
import hashlib
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

# Not library documentation: tests, installed packages, bundled wheels, generated tables.
SKIPPED = {
    "test",
    "tests",
    "idle_test",
    "site-packages",
    "dist-packages",
    "ensurepip",
    "pydoc_data",
    "encodings",
    "__pycache__",
}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SPLITS = {"held out": range(4), "validation": range(4, 7), "training": range(7, 100)}


def normalise(text: str) -> str:
    """Reduce text to printable ASCII and newlines, without trailing blanks."""
    text = text.expandtabs(4).encode("ascii", "ignore").decode()
    text = re.sub(r"[^\x20-\x7e\n]", "", text)
    return re.sub(r" +$", "", text, flags=re.MULTILINE).strip("\n")


def docstrings(path: Path) -> Iterator[str]:
    """Yield the docstrings of one source file, outermost first."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # files that are broken on purpose
        return
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield text


def raw_documents() -> Iterator[tuple[str, str]]:
    """Yield (name, text) of every help topic, then of every top-level module or package."""
    for name in sorted(topics):
        yield f"topic {name}", topics[name]
    root = Path(sysconfig.get_path("stdlib"))
    modules: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        relative = path.relative_to(root)
        if not SKIPPED.intersection(relative.parts):
            modules.setdefault(relative.parts[0].removesuffix(".py"), []).extend(docstrings(path))
    for name in sorted(modules):
        yield f"module {name}", "\n\n".join(modules[name])


def documents() -> dict[str, str]:
    """All documents by name, in a fixed order; no paragraph occurs twice.

    Help topics include one another and modules share docstrings, so that without this the held-out documents
    would be partly known from training.
    """
    seen: set[str] = set()
    kept: dict[str, str] = {}
    for name, text in raw_documents():
        paragraphs = []
        for paragraph in re.split(r"\n{2,}", normalise(text)):
            key = " ".join(paragraph.split())
            if key and key not in seen:
                seen.add(key)
                paragraphs.append(paragraph)
        if paragraphs:
            kept[name] = "\n\n".join(paragraphs)
    return kept


def split() -> dict[str, str]:
    """Text of the training, validation and held-out parts; a whole document falls into one of them."""
    parts: dict[str, list[str]] = {part: [] for part in SPLITS}
    for name, text in documents().items():
        # The name alone decides, so that the parts stay the same when the library grows.
        lot = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % 100
        part = next(part for part, lots in SPLITS.items() if lot in lots)
        parts[part].append(text)
    return {part: "\n\n".join(texts) + "\n" for part, texts in parts.items()}


if __name__ == "__main__":
    for part, text in split().items():
        print(f"{part}: {len(text)} bytes")
