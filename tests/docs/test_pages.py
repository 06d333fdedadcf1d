# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follow each page word for word: write the files that it shows, run its commands, compare what comes out."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from ansible.plugins.loader import inventory_loader

from ansible_collections.phala.cloud.tests.simulator import Simulator
from ansible_collections.phala.cloud.tests.simulator.__main__ import parser

from .fleet import KEY
from .pages import DOCS, ROOT, Block, all_pages, blocks
from .reader import LANGUAGES, NOT_RUN, Reader
from .shell import Shell

# Pages that need more than the stand-in service.
FOLLOWED_ELSEWHERE = {
    "connecting.md": "test_connecting.py",
    "performance.md": "test_performance.py",
    "playbooks.md": "test_connecting.py",
    "security.md": "test_security.py",
}


def followed_pages() -> list[Path]:
    return [page for page in all_pages() if page.name not in FOLLOWED_ELSEWHERE]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", followed_pages(), ids=name_of)
def test_page_is_true_when_followed_word_for_word(page: Path, reader_home: Path, simulator: Simulator) -> None:
    shell = Shell(reader_home, simulator.origin, PHALA_CLOUD_API_KEY=KEY)
    shell.add_command("phala", "exit 0")  # the official CLI
    reader = Reader(shell)
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


def test_every_page_is_followed_by_a_test() -> None:
    here = Path(__file__).parent
    assert {page for page, test in FOLLOWED_ELSEWHERE.items() if f'"{page}"' in (here / test).read_text(encoding="utf-8")} == set(
        FOLLOWED_ELSEWHERE
    )


@pytest.mark.parametrize("command", [command for command in NOT_RUN if command.startswith("make ")])
def test_command_of_make_that_is_not_run_is_a_target(command: str) -> None:
    subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, check=True)


def test_stand_in_service_takes_the_options_and_the_key_of_the_page() -> None:
    (command,) = (command for command in NOT_RUN if command.startswith("python -m tests.simulator "))
    arguments = parser().parse_args(command.split()[3:])
    shown = "\n".join(block.typed for block in blocks(DOCS / "development.md"))
    assert f"=http://127.0.0.1:{arguments.port}/api/v1\n" in shown
    assert f"={arguments.api_key}\n" in shown


def sources() -> list[Block]:
    return [block for page in all_pages() for block in blocks(page) if "plugin: phala.cloud.phala" in block.text]


@pytest.mark.parametrize("source", sources(), ids=lambda block: block.label)
def test_options_of_each_source_exist(source: Block, option_names: set[str]) -> None:
    options = yaml.load(source.text, yaml.BaseLoader)
    unknown = set(options) - option_names
    # One source is an example of a mistake, whose message the page shows.
    assert unknown == ({"filter"} if source.section == "An inventory that fails" else set())


@pytest.fixture(scope="session")
def option_names() -> set[str]:
    definitions: Mapping[str, object] = inventory_loader.get("phala.cloud.phala").option_definitions
    return set(definitions)


def test_everything_that_is_not_run_is_still_in_a_page() -> None:
    lines = {line for page in all_pages() for block in blocks(page) for line in block.typed.splitlines()}
    assert not set(NOT_RUN) - lines
