# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the page about security has you type works at a terminal; what it promises is proved in the tests that it names."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .pages import DOCS, ROOT, blocks
from .reader import Reader
from .shell import Shell

PAGE = DOCS / "security.md"


def test_page_is_true_when_followed_word_for_word(reader_home: Path, simulator: Simulator) -> None:
    shell = Shell(reader_home, simulator.origin)
    (shell.folder / "phala.yml").write_text("plugin: phala.cloud.phala\n", encoding="utf-8")
    reader = Reader(shell)
    for block in blocks(PAGE):
        reader.follow(block)
    assert "@region_US_WEST_1:" in (reader.printed or ""), reader.printed


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:[\w/]+/)?test_\w+\.py)`", PAGE.read_text(encoding="utf-8")))
    assert named
    assert [name for name in named if not (ROOT / name if "/" in name else ROOT / "tests" / "security" / name).is_file()] == []
