"""Blocks of code in a page: fenced ones with their language, indented ones without, each with what stands around it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)(?:    .*\n|\n(?=    ))+")


@dataclass(frozen=True)
class Block:
    """A block of a page, and the paragraph before it; ``language`` is empty for an indented one."""

    page: str
    line: int
    language: str
    text: str
    before: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every page that has blocks for readers."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """Every block of a page."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix()
    for found in FENCED.finditer(text):
        yield _block(name, text, found.start(), found[1] or "text", found[2])
    hidden = FENCED.sub(lambda found: re.sub(r"[^\n]", "-", found[0]), text)
    for found in INDENTED.finditer(hidden):
        lines = [line.removeprefix("    ") for line in found[0].rstrip("\n").split("\n")]
        yield _block(name, text, found.start(), "", "\n".join(lines) + "\n")


def _block(name: str, text: str, start: int, language: str, content: str) -> Block:
    before = text[:start].rstrip("\n").rpartition("\n\n")[2]
    return Block(name, text.count("\n", 0, start) + 1, language, content, before)
