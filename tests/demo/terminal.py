# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run commands in front of an audience."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BOLD, CYAN, PLAIN = ("\033[1m", "\033[36m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "", "")


@dataclass(frozen=True)
class Terminal:
    """A folder and an environment to run commands in."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *command: str) -> str:
        """Show a command and then its output, which is returned too; end the demo if it fails."""
        show_command(shlex.join(command))
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as process:
            lines = []
            for line in process.stdout or ():
                lines.append(line)
                print(line, end="", flush=True)
        print()
        if process.returncode:
            sys.exit(process.returncode)
        return "".join(lines)


def show_title(text: str) -> None:
    print(f"{BOLD}{text}{PLAIN}\n", flush=True)


def show_command(text: str) -> None:
    print(f"{CYAN}$ {text}{PLAIN}", flush=True)


def say(text: str) -> None:
    print(f"{text}\n", flush=True)
