"""The pages as a site: built without a warning, whole without a network, every page found from the first."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """What a browser would fetch for a page, where it leads, and the kinds of tokens in its blocks."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a":
            self.links.add(str(found.get("href")))
        else:
            self.fetched += [str(found[key]) for key in ("src", "href") if found.get(key)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(ROOT / "docs/site/mkdocs.yml")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [*command, "-d", str(folder)], env=environment, capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_it_is_whole_without_a_network(site: Path) -> None:
    for path in site.glob("*.html"):
        outside = [x for x in Page(path.read_text(encoding="utf-8")).fetched if re.match("(?:[a-z]+:)?//", x)]
        assert not outside, path.name
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//", path.read_text(encoding="utf-8")), path.name


def test_every_page_is_found_from_the_first(site: Path) -> None:
    found, new = set(), {"index.html"}
    while new:
        name = new.pop()
        found.add(name)
        links = (link.partition("#")[0] for link in Page((site / name).read_text(encoding="utf-8")).links)
        new |= {link for link in links if (site / link).is_file() and link.endswith(".html")} - found
    assert found >= {f"{page.stem}.html" for page in (ROOT / "docs").glob("*.md")}


def test_specs_are_coloured(site: Path) -> None:
    text = (site / "language.html").read_text(encoding="utf-8")
    assert re.search(r'<span class="k">rewrite</span>.*<span class="nf">mpo</span>', text)


def test_its_own_sources_stay_out(site: Path) -> None:
    assert {path.suffix for path in (site / "site").iterdir()} == {".css"}
