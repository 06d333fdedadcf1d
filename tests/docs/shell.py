# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A reader's shell: a home of its own, and variables and a working folder that stay from block to block."""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from .fleet import KEY

SCRIPTS = sysconfig.get_path("scripts")
HANDED_ON = ("COVERAGE_", "ANSIBLE_COLLECTIONS_PATH")
SECONDS = 120  # after which a command hangs
SILENCE = 3  # seconds after which a command at a terminal waits for what somebody types
END_OF_INPUT = "\x04\x04"  # Ctrl-D, twice because no new line goes before
VAULT_PASSWORD = "example"
SERVICE = "https://cloud-api.phala.com"  # what pages show where the stand-in's address comes out
HOME = "/home/you"  # likewise for the home of the test
NOBODY = "http://127.0.0.1:9"  # for what would ask a server on the network


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str


class Shell:
    """Run blocks of commands one after the other, as somebody does who follows a page."""

    def __init__(self, home: Path, origin: str, **variables: str) -> None:
        self.home = home
        self.folder = home / "project"
        self.folder.mkdir(parents=True)
        self._origin = origin
        self._state = home / ".environment"
        handed_on = {name: value for name, value in os.environ.items() if name.startswith(HANDED_ON)}
        self._environment = {
            **handed_on,
            "PATH": f"{home}/bin:{SCRIPTS}:{os.environ['PATH']}",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "80",
            "ANSIBLE_FORKS": "1",  # hosts answer in order
            "ANSIBLE_GALAXY_SERVER": NOBODY,
            "PHALA_CLOUD_API_PREFIX": f"{origin}/api/v1",
            **variables,
        }

    def add_command(self, name: str, script: str) -> None:
        """Install a command that the reader has, and the machine that tests has not."""
        path = self.home / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def run(self, commands: str) -> Ran:
        """Run commands, each of which must succeed, where and with the variables that the ones before have left."""
        before = f'[ ! -e "{self._state}" ] || . "{self._state}"'
        after = f"""trap '{{ export -p; echo "cd $PWD"; }} > "{self._state}"' EXIT"""
        done = subprocess.run(
            ["bash", "-ec", f"{before}\n{after}\n{commands}"],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        self.folder = Path(self._state.read_text(encoding="utf-8").rstrip().rpartition("\ncd ")[2])
        return Ran(done.returncode, self._public(done.stdout), self._public(done.stderr))

    def run_at_terminal(self, command: str) -> Ran:
        """Run a command at a terminal, and answer what it asks for: a password, or else, where it waits in silence, the key."""
        controller, terminal = os.openpty()
        process = subprocess.Popen(
            ["bash", "-ec", command], cwd=self.folder, env=self._environment, stdin=terminal, stdout=terminal, stderr=terminal
        )
        os.close(terminal)
        said = ""
        with open(controller, "r+b", buffering=0) as screen:
            while process.poll() is None:
                if not select.select([screen], [], [], SILENCE)[0]:
                    screen.write(f"{KEY}{END_OF_INPUT}".encode())
                    continue
                with contextlib.suppress(OSError):  # as Linux tells that the other side has closed the terminal
                    text = screen.read(4096).decode()
                    said += text
                    if "assword" in text:
                        screen.write(f"{VAULT_PASSWORD}\n".encode())
        return Ran(process.returncode, self._public(said), "")

    def _public(self, text: str) -> str:
        return text.replace(self._origin, SERVICE).replace(str(self.home), HOME)


def same(shown: str, real: str) -> bool:
    """Tell whether a page shows what came out; a line of three dots stands for any lines, and seconds are not compared."""
    # Before 2.19 core breaks the lines of a warning, so white space is not compared where there is one.
    space = "" if "[WARNING]" in real else "\n"
    lines = [re.escape(_settled(line, space)) for line in shown.strip("\n").splitlines()]
    pattern = "".join(r"(?s:.*?)" if line == re.escape("...") else line + space for line in lines)
    return re.fullmatch(pattern, "".join(_settled(line, space) + space for line in real.strip("\n").splitlines())) is not None


def _settled(line: str, space: str) -> str:
    line = re.sub(r"\b\d+(\.\d+)? s\b", "N s", line.rstrip())
    return line if space else "".join(line.split())
