# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put a report into the page about performance."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .services import ROOT

PAGE = ROOT / "docs" / "performance.md"


def update_page(folder: Path) -> Path:
    """Replace the tables and the picture of the page by those of the newest ansible-core that was measured."""
    report = max(folder.glob("ansible-core-*.md"), key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)])
    heading, conditions, targets, figures = report.read_text(encoding="utf-8").strip().split("\n\n")
    page = PAGE.read_text(encoding="utf-8")
    page = _between_marks(page, "targets", targets)
    page = _between_marks(page, "figures", f"{heading.removeprefix('# ')}, {conditions}\n\n{figures}")
    PAGE.write_text(page, encoding="utf-8")
    shutil.copyfile(report.with_suffix(".svg"), PAGE.with_suffix(".svg"))
    return PAGE


def _between_marks(page: str, name: str, text: str) -> str:
    begin, end = f"<!-- begin {name} -->\n", f"\n<!-- end {name} -->"
    before, _begin, rest = page.partition(begin)
    _old, _end, after = rest.partition(end)
    return f"{before}{begin}{text}{end}{after}"
