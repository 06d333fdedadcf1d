# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pages have from the code is current; `make pages` writes it."""

from __future__ import annotations

import re

import pytest

from .generate import OPTIONS, PARTS, Load, options_page
from .pages import DOCS, tables
from .reader import settle


@pytest.mark.parametrize("part", PARTS)
def test_part_of_page_is_what_the_code_gives(part: str, inventory: Load) -> None:
    page, write = PARTS[part]
    before = (DOCS / page).read_text(encoding="utf-8")
    marked = rf"(<!-- begin {part} -->\n).*?(\n<!-- end {part} -->)"
    after, count = re.subn(marked, lambda match: match[1] + write(inventory) + match[2], before, flags=re.DOTALL)
    assert count == 1
    settle(DOCS / page, after)


def test_page_of_options_is_what_the_plugin_documents() -> None:
    settle(DOCS / "options.md", options_page())
    assert OPTIONS


@pytest.mark.parametrize("page", sorted({page for page, _write in PARTS.values()}))
def test_every_row_has_a_meaning(page: str) -> None:
    assert [row for table in tables(DOCS / page) for row in table if "" in row] == []
