# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the pages say of ansible-core is true: where relative paths start, what shows the key, and what outputs lose."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .fleet import API, KEY
from .shell import Shell

REFRESH = "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - ansible.builtin.meta: refresh_inventory\n"
TEMPLATE = "{{ lookup('ansible.builtin.pipe', 'echo ran') }}"
JSONFILE = "cache: true\ncache_plugin: ansible.builtin.jsonfile\n"

Write = Callable[..., None]


@pytest.fixture
def shell(reader_home: Path, simulator: Simulator) -> Shell:
    return Shell(reader_home, simulator.origin, PHALA_CLOUD_API_KEY=KEY, ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="true")


@pytest.fixture
def write(shell: Shell) -> Write:
    """Return a function that writes a file of the project."""

    def write_file(name: str, content: str) -> None:
        path = shell.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")

    return write_file


def source(options: str) -> str:
    return f"plugin: phala.cloud.phala\n{options}"


@pytest.mark.parametrize("option", ["ca_path", "gateway_ca_path"])
def test_paths_of_the_file_start_in_its_folder_and_those_of_the_environment_in_the_working_folder(
    option: str, shell: Shell, write: Write
) -> None:
    variable = f"PHALA_CLOUD_{option.upper()}"
    write("of-folder/ca.pem", "")
    write("of-work.pem", "")
    for path, in_file, in_environment in (("ca.pem", True, False), ("of-work.pem", False, True)):
        write("of-folder/phala.yml", source(f"{option}: {path}\n"))
        assert (lists(shell) == 0) == in_file
        write("of-folder/phala.yml", source(""))
        assert (lists(shell, f"{variable}={path}") == 0) == in_environment


def test_folder_of_the_cache_starts_in_the_working_folder(shell: Shell, write: Write) -> None:
    write("of-folder/phala.yml", source(f"{JSONFILE}cache_connection: kept\n"))
    assert lists(shell) == 0
    assert (shell.folder / "kept").is_dir()
    write("ansible.cfg", f"[inventory]\n{JSONFILE.replace(':', ' =')}cache_connection = configured\n")
    write("of-folder/phala.yml", source(""))
    assert lists(shell) == 0
    assert (shell.folder / "configured").is_dir()


def test_lookup_starts_in_the_working_folder_and_after_a_refresh_in_that_of_the_playbook(shell: Shell, write: Write) -> None:
    write("of-folder/phala.yml", source("""api_key: "{{ lookup('ansible.builtin.file', 'key') }}"\n"""))
    write("plays/refresh.yml", REFRESH)
    write("key", KEY)
    assert lists(shell) == 0
    play = "ansible-playbook -i of-folder/phala.yml plays/refresh.yml"
    assert shell.run(play).status != 0
    write("plays/key", KEY)
    assert shell.run(play).status == 0


def test_command_that_shows_the_configuration_shows_the_key(shell: Shell) -> None:
    assert KEY in shell.run("ansible-config dump --type inventory phala.cloud.phala").stdout


def test_output_in_yaml_loses_what_keeps_a_text_from_being_run(shell: Shell, write: Write, simulator: Simulator) -> None:
    simulator.fleet = (dataclasses.replace(API, name=TEMPLATE),)
    write("phala.yml", source(""))
    assert '"__ansible_unsafe"' in shell.run("ansible-inventory -i phala.yml --list").stdout
    shown = "-m ansible.builtin.debug -a var=phala_app_name"
    assert TEMPLATE in shell.run(f"ansible api -i phala.yml {shown}").stdout
    shell.run("ansible-inventory -i phala.yml --list --yaml > saved.yml")
    assert '"ran"' in shell.run(f"ansible api -i saved.yml {shown}").stdout
    assert shell.run("ansible-inventory -i phala.yml --list --toml").status


def lists(shell: Shell, variable: str = "") -> int:
    return shell.run(f"{variable} ansible all -i of-folder/phala.yml --list-hosts").status
