# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put a report into the page about performance, and its targets into the one about development."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .services import ROOT

PAGE = ROOT / "docs" / "performance.md"
TARGETS_PAGE = ROOT / "docs" / "development.md"


def update_page(folder: Path) -> Path:
    """Replace the tables and the picture of the pages by those of the newest ansible-core that was measured."""
    report = max(folder.glob("ansible-core-*.md"), key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)])
    heading, conditions, targets, figures = report.read_text(encoding="utf-8").strip().split("\n\n")
    _put(TARGETS_PAGE, "targets", targets)
    _put(PAGE, "figures", f"{heading.removeprefix('# ')}, {conditions}\n\n{figures}")
    shutil.copyfile(report.with_suffix(".svg"), PAGE.with_suffix(".svg"))
    return PAGE


def _put(page: Path, name: str, text: str) -> None:
    """Replace what a page has between its marks of this name."""
    begin, end = f"<!-- begin {name} -->\n", f"\n<!-- end {name} -->"
    before, _begin, rest = page.read_text(encoding="utf-8").partition(begin)
    _old, _end, after = rest.partition(end)
    page.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")
