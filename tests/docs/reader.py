# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A reader of a page, who does what it says and compares what comes out."""

from __future__ import annotations

import configparser
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from .pages import ROOT, Block
from .shell import Shell, same

# What no test runs, and why; the targets of make are looked up.
INDEX = "takes packages from an index on the network"
RECIPE = "is tried in test_examples.py"
NOT_RUN = {
    "make demo": INDEX,
    "make test": "would run this very test",
    "make docs": INDEX,
    "make lint": INDEX,
    "python -m pip install -r tests/simulator/requirements.txt": INDEX,
    "python -m tests.simulator --port 8000 --cvms 50": "runs until it is stopped; its options are checked",
    "ansible-galaxy collection install -r requirements.yml": "tests/packaging installs from a repository",
    "ansible-navigator inventory --ee false -m stdout -i phala.yml --list": "is tried in tests/packaging",
    "ansible-playbook -i apps-and-teams.phala.yml roll-compose.yml --extra-vars app=web": RECIPE,
    "ansible-playbook -i apps-and-teams.phala.yml rolling-update.yml --extra-vars app=web": RECIPE,
    "ansible-playbook -i apps-and-teams.phala.yml restart.yml --extra-vars target=app_web": RECIPE,
    "ansible-playbook -i dev-images.phala.yml temporary-cvm.yml --extra-vars cvm_name=job-1": RECIPE,
    "ansible-galaxy collection install git+https://example.org/phala.cloud.git": "tests/packaging installs from a real one",
    "git clone https://example.org/phala.cloud.git": "there is no public home yet",
    "cd phala.cloud": "as above",
    "python3 -m pip install requests": INDEX,
    "python3 -m venv ~/ansible": "the test runs in a virtual environment already",
    ". ~/ansible/bin/activate": "the test runs in a virtual environment already",
    "python3 -m pip install ansible-core requests": INDEX,
    "ansible-builder build --tag registry.example.org/phala:2.0.0": "builds a container image; tests/packaging has the file read",
}

WRITES = "PHALA_PAGES_WRITE" in os.environ  # what came out becomes what the page shows; `make pages` sets it

LANGUAGES = ("console", "yaml", "ini", "text", "json", "jinja")
ASK = ("--ask-vault-pass", "ansible-vault encrypt")  # commands with one of these wait for what somebody types


def settle(path: Path, content: str) -> None:
    """Compare a file with what it should be, or write it."""
    if WRITES:
        path.write_text(content, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == content, f"{path} is not current: run make pages"


class Reader:
    """Somebody who does what a page says, block by block."""

    def __init__(self, shell: Shell, replacing: Mapping[str, str] | None = None) -> None:
        """Take a shell; `replacing` maps names that a page makes up to real ones, for the files that it shows."""
        self.shell = shell
        self.printed: str | None = None
        self.replacing = dict(replacing or {})

    def follow(self, block: Block) -> None:
        if block.language == "console":
            self.run(block)
        elif block.language in ("text", "json"):
            self.compare(block)
        elif block.language in ("yaml", "ini", "jinja"):
            self.write(block)

    def run(self, block: Block) -> None:
        """Run what a block has you type: in a block of the kind ``console``, a command follows each prompt."""
        commands = "".join(f"{line}\n" for line in block.typed.splitlines() if line not in NOT_RUN)
        if any(word in commands for word in ASK):
            self.type(block)
            return
        if "collection build" in commands:
            self.clone()
        ran = self.shell.run(commands)
        assert ran.status == 0, f"{block.label}: {ran.stdout}{ran.stderr}"
        self.printed = ran.stderr + ran.stdout  # warnings come first on a terminal

    def type(self, block: Block) -> None:
        """Type the commands at a terminal, one after the other."""
        for line in block.typed.splitlines():
            ran = self.shell.run_at_terminal(line)
            assert ran.status == 0, f"{block.label}: {ran.stdout}"
            self.printed = ran.stdout

    def clone(self) -> None:
        """Give the reader the clone that a page speaks of, and no other copy of the collection."""
        clone = self.shell.home / "clone"
        shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(".*", "__pycache__", "tests"))
        only_here = "ANSIBLE_COLLECTIONS_PATH=~/.ansible/collections ANSIBLE_COLLECTIONS_SCAN_SYS_PATH=false"
        self.shell.run(f"export {only_here}; cd {clone}")

    def compare(self, block: Block) -> None:
        assert self.printed is not None, f"{block.label}: no command of this page printed this"
        if WRITES and not same(block.text, self.printed):
            before, begin, end = block.page.read_text(encoding="utf-8"), f"```{block.language}\n", "```\n"
            after = before.replace(f"{begin}{block.text}{end}", f"{begin}{self.printed.rstrip()}\n{end}", 1)
            block.page.write_text(after, encoding="utf-8")
            return
        assert same(block.text, self.printed), f"{block.label} shows\n{block.text}\nand this came out\n{self.printed}"

    def write(self, block: Block) -> None:
        name = block.file_name
        assert name, f"{block.label}: the first line must be a comment with the file's name"
        if block.language == "ini":
            configparser.ConfigParser().read_string(block.text)
        path = self.shell.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = block.text
        for made_up, real in self.replacing.items():
            text = text.replace(made_up, real)
        path.write_text(text, encoding="utf-8")
        self.printed = None
