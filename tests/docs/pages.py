# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read Markdown pages: their fenced blocks, links, headings and tables."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
TOP_PAGES = ("README.md", "CONTRIBUTING.md", "MAINTAINERS.md", "SECURITY.md")

REPOSITORY = str(yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["repository"])

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[^\s`]*)(?P<rest>.*)$")
_FILE_NAME = re.compile(r"# (?P<name>[\w./-]+\.(?:ya?ml|cfg|j2|py|txt|toml))$")
_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)(?: \"[^\"]*\")?\)")
_OWN_FILE = re.compile(rf"^{re.escape(REPOSITORY)}/(?:blob|raw)/main/")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$")


@dataclass(frozen=True)
class Block:
    """A fenced block: `line` is where its text begins, `section` its heading, `label` says where it is for messages."""

    page: Path
    section: str
    line: int
    language: str
    text: str

    @property
    def label(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def typed(self) -> str:
        """What the block has you type: the lines after a prompt, and those that continue one."""
        if self.language != "console":
            return self.text
        lines = self.text.splitlines()
        for before, line in itertools.pairwise(["", *lines]):
            assert line.startswith("$ ") or before.endswith("\\"), f"{self.label}: {line!r} is output, not a command"
        return "".join(f"{line.removeprefix('$ ')}\n" for line in lines)

    @property
    def file_name(self) -> str | None:
        """The file that the block shows: its first line is a comment with the name."""
        match = _FILE_NAME.match(self.text.partition("\n")[0])
        return match["name"] if match else None


def all_pages() -> list[Path]:
    """Return the pages of the top folder and every guide; what the site's generator writes is none of them."""
    folders = (DOCS, DOCS / "howto", EXAMPLES)
    return [*(ROOT / name for name in TOP_PAGES), *(page for folder in folders for page in sorted(folder.glob("*.md")))]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
    opened: tuple[str, str, int] | None = None
    text: list[str] = []
    section = ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        match = _FENCE.match(line)
        if opened is None and match:
            assert not match["indent"], f"{page}:{number}: an indented fence is not read by the tests"
            opened, text = (match["fence"], match["language"], number + 1), []
        elif opened is not None and line.strip() == opened[0]:
            yield Block(page, section, opened[2], opened[1], "".join(f"{line}\n" for line in text))
            opened = None
        elif opened is not None:
            text.append(line)
        elif heading := _HEADING.match(line):
            section = heading["text"]
    assert opened is None, f"{page}:{opened}: the fence is not closed"


def prose(page: Path) -> str:
    """Return a page with empty lines in the place of its fenced blocks and comments."""
    inside = False
    kept = []
    for line in page.read_text(encoding="utf-8").splitlines():
        is_fence = _FENCE.match(line) is not None
        inside ^= is_fence
        kept.append("" if inside or is_fence else line)
    return re.sub(r"<!--.*?-->", lambda comment: "\n" * comment[0].count("\n"), "\n".join(kept), flags=re.DOTALL)


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures; of absolute ones to files of the repository, the path in it."""
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    return [_OWN_FILE.sub("", match["target"]) for match in _LINK.finditer(text)]


def anchors(page: Path) -> list[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    seen: dict[str, int] = {}
    found = []
    for line in prose(page).splitlines():
        if match := _HEADING.match(line):
            text = re.sub(r"`([^`]*)`", r"\1", match["text"]).lower()
            slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            turn = seen.get(slug, 0)
            seen[slug] = turn + 1
            found.append(f"{slug}-{turn}" if turn else slug)
    return found


def rows(page: Path, *headings: str) -> list[list[str]]:
    """Return the rows of the page's tables whose first column has one of these headings."""
    return [row for table in tables(page) if table[0][0] in headings for row in table[1:]]


def tables(page: Path) -> Iterator[list[list[str]]]:
    """Yield the tables of a page, each as rows of cells, the heading first and its rule left out."""
    rows: list[list[str]] = []
    for line in [*prose(page).splitlines(), ""]:
        if line.startswith("|"):
            cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]
            if not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                rows.append(cells)
        elif rows:
            yield rows
            rows = []
