# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check the English of the pages: proselint, words that have a plainer one, and sentences that are too long.

python -m tests.tools.prose [PAGE ...]
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from proselint.checks import __register__
from proselint.config import DEFAULT, Config
from proselint.registry import CheckRegistry
from proselint.tools import LintFile

from tests.docs.pages import DOCS, ROOT, all_pages, prose

MOST_WORDS = 40  # of a sentence
# What the pages show is typed as it stands, and keyboards have straight quotes and three dots.
AS_TYPED = {f"typography.symbols.{name}": False for name in ("curly_quotes", "ellipsis")}
CONFIG: Config = {**DEFAULT, "checks": {**AS_TYPED, **DEFAULT["checks"]}}  # the first that fits a check decides

_TIME = r"(?:about |at least |at most |up to |no )?(?:[\w.,]+ )?(?:ms|s|seconds?|minutes?|hours?|longer|long)"
PLAINER: Mapping[str, str] = {
    r"had": "got, fetched",
    r"told": "reported, warned",
    r"tells": "says, shows, reports",
    r"whereby": "by which",
    r"none": "does not, no",
    r"(?<!there )(?:is|are) no": "is not a, are not",
    r"lest": "so that ... not",
    r"thus": "so",
    r"(?:goes|go) before": "takes precedence over",
    r"on a way": "in a way",
    r"wants": "expects, needs",
    rf"(?<!how long it )takes(?! (?:precedence|place|effect|{_TIME})\b)": "accepts, needs, uses",
    r"in silence": "without a message",
    r"likewise": "the text itself",
    r"e\.g\.|i\.e\.|etc\.|via|vs\.": "for example, that is, and so on, through, or",
}

_CODE = re.compile(r"(`+)(?:(?!\1).)+\1")
_LINK = re.compile(r"!?\[((?:[^\]\[]|\[[^\]]*\])*)\]\([^)\s]*(?: \"[^\"]*\")?\)|<https?://[^>]*>")
_BREAK = re.compile(r"^\s*(?:[-*#|:]|\d+\. |$)")  # a line that does not go on with the sentence of the one before
_SENTENCE_END = re.compile(r"[.?!][\"')*]*\s+|\s\|\s|\n\n")


def main(*names: str) -> int:
    CheckRegistry().register_many(__register__)
    pages = [Path(name).resolve() for name in names] or [*all_pages(), DOCS / "docsite/index.md"]
    faults = [f"{page.relative_to(ROOT)}:{fault}" for page in pages for fault in sorted(set(check(page)))]
    sys.stdout.write("".join(f"{fault}\n" for fault in faults))
    return 1 if faults else 0


def check(page: Path) -> Iterator[str]:
    """Yield the faults of a page, each after the number of its line."""
    text = plain(prose(page))
    for result in LintFile(page.name, text).lint(CONFIG):
        yield f"{result.pos[0]}: {result.check_result.check_path}: {result.check_result.message}"
    for pattern, plainer in PLAINER.items():
        for match in re.finditer(rf"\b(?:{pattern})(?!\w)", text, re.IGNORECASE):
            yield f"{line_of(text, match.start())}: '{match[0]}': write {plainer}"
    for start, sentence in sentences(text):
        if (words := len(re.findall(r"[\w'`-]+", sentence))) > MOST_WORDS:
            yield f"{line_of(text, start)}: a sentence of {words} words, and {MOST_WORDS} are the most"


def plain(text: str) -> str:
    """Replace each piece of code by a word of its own and each link by its text, and end headings; lines stay where they are."""
    text = re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)  # indented code
    text = _LINK.sub(lambda link: link[1] or "", re.sub(r"^(#.*)$", r"\1.", text, flags=re.MULTILINE))
    return _CODE.sub(lambda code: f"Code{code.start()}n" + "\n" * code[0].count("\n"), text)


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield each sentence, cell and heading, and where it begins."""
    joined = re.sub(r"\n(?=(.*))", lambda end: "\n\n" if _BREAK.match(end[1]) else " ", text)
    start = taken = 0
    for sentence in _SENTENCE_END.split(joined):
        found = re.search(r"\s+".join(map(re.escape, sentence.split())), text[taken:]) if sentence.strip() else None
        if found:
            start, taken = taken + found.start(), taken + found.end()
            yield start, sentence


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
