# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page about performance names what can be run, and its figures are whole; measuring takes minutes and is not done here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

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


def test_stages_are_those_that_the_benchmarks_time() -> None:
    shown = re.findall(r"^    +[\d.]+ s +(\S.*)$", DEVELOPMENT.read_text(encoding="utf-8"), re.MULTILINE)
    listed = "from tests.benchmarks.stages import STAGES, WHOLE; print(WHOLE, *(stage[0] for stage in STAGES), sep='\\n')"
    known = subprocess.run([sys.executable, "-c", listed], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown
    assert [stage for stage in shown if stage not in known.split("\n") and stage not in map(str.strip, known.splitlines())] == []


def test_figures_are_numbers_under_their_headings() -> None:
    figures = [table for table in tables(PAGE) if table[0][0] == "subject"]
    assert figures
    for heading, *measured in figures:
        for row in measured:
            assert len(row) == len(heading)
            assert [cell for cell in (*row[1:3], *row[4:]) if cell and not NUMBER.fullmatch(cell)] == [], row


def test_targets_say_whether_they_are_met() -> None:
    targets = rows(DEVELOPMENT, "target")
    assert targets
    for name, limit, measured, met in targets:
        sign, number = limit.split()
        over = float(measured.replace(",", "")) - float(number)
        assert over == 0 or met == ("yes" if (over < 0) == (sign == "≤") else "no"), name  # what is equal was rounded
