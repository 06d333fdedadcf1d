# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page about performance names what can be run, and its figures are whole; measuring takes minutes and is not done here."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .pages import DOCS, ROOT, rows, tables

PAGE = DOCS / "performance.md"
DEVELOPMENT = DOCS / "development.md"
NUMBER = re.compile(r"-?[\d,]+(\.\d+)?")


def commands() -> Iterator[str]:
    """Yield the commands of the table."""
    for command, _does in rows(DEVELOPMENT, "Command"):
        yield command.strip("`")


@pytest.mark.parametrize("command", commands())
def test_command_is_one_that_the_makefile_and_the_benchmarks_know(command: str) -> None:
    subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, capture_output=True, check=True)
    variables = dict(word.split("=", 1) for word in shlex.split(command)[2:])
    arguments = shlex.split(variables.pop("ARGS", ""))
    assert not variables
    parse = "import sys; from tests.benchmarks.__main__ import _parser; _parser().parse_args(sys.argv[1:])"
    subprocess.run([sys.executable, "-c", parse, *arguments], cwd=ROOT, capture_output=True, check=True)


def test_stages_that_the_benchmarks_time_exist() -> None:
    look = "from tests.benchmarks.stages import STAGES; [getattr(owner, name) for _label, owner, name, _level in STAGES]"
    subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, check=True)


def test_figures_are_numbers_under_their_headings() -> None:
    figures = [table for table in tables(PAGE) if table[0][0] == "subject"]
    assert figures
    for heading, *measured in figures:
        for row in measured:
            assert len(row) == len(heading)
            assert [cell for cell in (*row[1:3], *row[4:]) if cell and not NUMBER.fullmatch(cell)] == [], row


def test_targets_are_those_of_the_benchmarks_and_say_whether_they_are_met() -> None:
    listed = (
        "from tests.benchmarks.targets import PROMISES; print(*(f'{name}|≤ {limit:g}' for name, limit, _ in PROMISES), sep='\\n')"
    )
    promises = subprocess.run([sys.executable, "-c", listed], cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout
    targets = rows(DEVELOPMENT, "target")
    assert [f"{name}|{limit}" for name, limit, _measured, _met in targets] == promises.splitlines()
    for name, limit, measured, met in targets:
        if measured == "not measured":
            assert met == "", name
        else:
            over = float(measured) - float(limit.removeprefix("≤ "))
            assert over == 0 or met == ("yes" if over < 0 else "no"), name  # what is equal was rounded


def test_report_replaces_what_is_between_the_marks(tmp_path: Path) -> None:
    sections = ["# ansible-core 2.99", "Conditions.", "| target |", "| subject |"]
    (tmp_path / "ansible-core-2.99.md").write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    (tmp_path / "ansible-core-2.9.md").write_text("older", encoding="utf-8")
    (tmp_path / "ansible-core-2.99.svg").write_text("<svg/>", encoding="utf-8")
    pages = [Path(shutil.copy(page, tmp_path)) for page in (PAGE, DEVELOPMENT)]
    put = "page.PAGE, page.TARGETS_PAGE = map(Path, sys.argv[1:]); page.update_page(page.PAGE.parent)"
    update = f"import sys; from pathlib import Path; from tests.benchmarks import page; {put}"
    subprocess.run([sys.executable, "-c", update, *pages], cwd=ROOT, check=True)
    assert (tmp_path / "performance.svg").read_text(encoding="utf-8") == "<svg/>"
    text, development = (page.read_text(encoding="utf-8") for page in pages)
    assert "<!-- begin targets -->\n| target |\n<!-- end targets -->" in development
    assert "<!-- begin figures -->\nansible-core 2.99, Conditions.\n\n| subject |\n<!-- end figures -->" in text
    assert text.endswith(PAGE.read_text(encoding="utf-8").partition("<!-- end figures -->")[2])
