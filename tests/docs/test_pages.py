# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follow each page word for word: write the files that it shows, run its commands, compare what comes out."""

from __future__ import annotations

import configparser
import shutil
from pathlib import Path

import pytest
import yaml

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .fleet import KEY
from .pages import ROOT, Block, all_pages, blocks
from .shell import Shell, same

# Pages whose commands other tests run, because they need more than the stand-in service.
FOLLOWED_ELSEWHERE = {"connecting.md": "tests/e2e", "performance.md": "tests/benchmarks", "security.md": "tests/security"}

# What no test of a page runs, and why.
INDEX = "takes packages from an index on the network"
NOT_RUN = {
    "make demo": INDEX,
    "make test": "would run this very test",
    "make docs": INDEX,
    "make lint": INDEX,
    "python -m pip install -r tests/simulator/requirements.txt": INDEX,
    "python -m tests.simulator --port 8000 --cvms 50": "runs until it is stopped",
    "ansible-galaxy collection install git+https://example.org/phala.cloud.git": "there is no such repository",
    "python3 -m venv ~/ansible": "the test runs in a virtual environment already",
    ". ~/ansible/bin/activate": "the test runs in a virtual environment already",
    "python3 -m pip install ansible-core requests": INDEX,
    "ansible-builder build --tag registry.example.org/phala:1.0.0": "builds a container image",
}

LANGUAGES = ("sh", "yaml", "ini", "text", "json", "jinja")


def followed_pages() -> list[Path]:
    return [page for page in all_pages() if page.name not in FOLLOWED_ELSEWHERE]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", followed_pages(), ids=name_of)
def test_page_is_true_when_followed_word_for_word(page: Path, reader_home: Path, simulator: Simulator) -> None:
    reader = Reader(Shell(reader_home, simulator.origin, PHALA_CLOUD_API_KEY=KEY))
    for block in blocks(page):
        reader.follow(block)


@pytest.mark.parametrize("page", all_pages(), ids=name_of)
def test_every_block_of_page_is_of_a_kind_that_is_checked(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= set(LANGUAGES)


@pytest.mark.parametrize("page", all_pages(), ids=name_of)
def test_every_yaml_block_of_page_is_yaml(page: Path) -> None:
    for block in blocks(page):
        if block.language == "yaml":
            assert list(yaml.compose_all(block.text)), block.label


def test_everything_that_is_not_run_is_still_in_a_page() -> None:
    lines = {line for page in all_pages() for block in blocks(page) for line in block.text.splitlines()}
    assert not set(NOT_RUN) - lines


class Reader:
    """Somebody who does what a page says, block by block."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.printed: str | None = None

    def follow(self, block: Block) -> None:
        if block.language == "sh":
            self.run(block)
        elif block.language in ("text", "json"):
            self.compare(block)
        elif block.language in ("yaml", "ini", "jinja"):
            self.write(block)

    def run(self, block: Block) -> None:
        commands = "".join(f"{line}\n" for line in block.text.splitlines() if line not in NOT_RUN)
        if "collection build" in commands:
            self.clone()
        ran = self.shell.run(commands)
        assert ran.status == 0, f"{block.label}: {ran.stdout}{ran.stderr}"
        self.printed = ran.stderr + ran.stdout  # warnings come first on a terminal

    def clone(self) -> None:
        """Give the reader the clone that a page speaks of, and no other copy of the collection."""
        clone = self.shell.home / "clone"
        shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(".*", "__pycache__", "tests"))
        only_here = "ANSIBLE_COLLECTIONS_PATH=~/.ansible/collections ANSIBLE_COLLECTIONS_SCAN_SYS_PATH=false"
        self.shell.run(f"export {only_here}; cd {clone}")

    def compare(self, block: Block) -> None:
        assert self.printed is not None, f"{block.label}: no command of this page printed this"
        assert same(block.text, self.printed), f"{block.label} shows\n{block.text}\nand this came out\n{self.printed}"

    def write(self, block: Block) -> None:
        name = block.file_name
        assert name, f"{block.label}: the first line must be a comment with the file's name"
        if block.language == "ini":
            configparser.ConfigParser().read_string(block.text)
        path = self.shell.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        self.printed = None
