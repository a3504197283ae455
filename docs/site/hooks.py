"""What the site needs beside Markdown: the language's own lexer, and links that stay within the pages."""

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from pygments.lexers import LEXERS

OUTWARDS = re.compile(r"\[([^\[\]]+)\]\((\.\./[^()\s]+)\)")
"""A link, without a title."""


def on_startup(**_: Any) -> None:
    """Make the lexer known under the name that blocks have."""
    sys.path.append(str(Path(__file__).parent))
    LEXERS["QtnLexer"] = ("qtn_lexer", "qtn", ("qtn",), ("*.qtn",), ())


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Leave of links to other files of the project their text: a site has the pages alone."""

    def within(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), found[2]))
        return found[1] if target.startswith("..") else found[0]

    return OUTWARDS.sub(within, markdown)
