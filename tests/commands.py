# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run ansible-core's real commands, those of the Python that runs the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPTS = Path(sysconfig.get_path("scripts"))
HANDED_ON = ("ANSIBLE_COLLECTIONS_PATH", "PHALA_CLOUD_")
SECONDS = 300  # after which a command hangs, also on a busy machine


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
    def printed(self) -> str:
        return self.stdout + self.stderr

    @property
    def said(self) -> str:
        """All that was printed, without the white space: core breaks long lines anywhere."""
        return squeeze(self.printed)


def squeeze(text: str) -> str:
    return "".join(text.split())


def run(
    command: str,
    *arguments: str | Path,
    folder: Path,
    env: Mapping[str, str] | None = None,
    typed: str = "",
    before: str | None = None,
    wrapper: Sequence[str] = (),
) -> Completed:
    """Run a command to its end.

    :param before: shell text that is run first in the process of the command, such as a limit
    :param wrapper: words to put before the command
    """
    words = [*wrapper, str(SCRIPTS / command), *map(str, arguments)]
    completed = subprocess.run(
        ["/bin/sh", "-c", f'{before}; exec "$@"', "sh", *words] if before else words,
        cwd=folder,
        env={**environment(folder), **(env or {})},
        input=typed.encode(),
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    ended = Completed(completed.returncode, decoded(completed.stdout), decoded(completed.stderr))
    assert "[DEPRECATION WARNING]" not in ended.stderr, ended.stderr
    return ended


def start(command: str, *arguments: str | Path, folder: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a command that a terminal could interrupt, even where this process itself was started to ignore that."""
    take_interrupts = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", take_interrupts, str(SCRIPTS / command), *map(str, arguments)],
        cwd=folder,
        env={**environment(folder), **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a command: a home of its own and no settings."""
    handed_on = {name: value for name, value in os.environ.items() if name.startswith(HANDED_ON)}
    return {
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_NOCOLOR": "1",
        **handed_on,
    }


def decoded(output: bytes) -> str:
    return output.decode("utf-8", "backslashreplace")
