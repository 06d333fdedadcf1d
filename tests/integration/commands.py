# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run ansible-core's real commands, those of the Python that runs the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPTS = Path(sysconfig.get_path("scripts"))
HANDED_ON = ("COVERAGE_", "ANSIBLE_COLLECTIONS_PATH", "PHALA_CLOUD_")
SECONDS = 60  # after which a command hangs


@dataclass(frozen=True)
class Completed:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.stderr
        return json.loads(self.stdout)

    @property
    def said(self) -> str:
        """All that was printed, without the white space: core breaks long lines anywhere."""
        return squeeze(self.stdout + self.stderr)


def squeeze(text: str) -> str:
    return "".join(text.split())


def run(command: str, *arguments: str | Path, folder: Path, env: Mapping[str, str] | None = None, typed: str = "") -> Completed:
    """Run a command in a folder, with a home of its own there and no settings but these."""
    handed_on = {name: value for name, value in os.environ.items() if name.startswith(HANDED_ON)}
    completed = subprocess.run(
        [str(SCRIPTS / command), *map(str, arguments)],
        cwd=folder,
        env={"PATH": f"{SCRIPTS}:{os.environ['PATH']}", "HOME": str(folder), "LC_ALL": "C.UTF-8", **handed_on, **(env or {})},
        input=typed,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert "[DEPRECATION WARNING]" not in completed.stderr, completed.stderr
    return Completed(completed.returncode, completed.stdout, completed.stderr)
