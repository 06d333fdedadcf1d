# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory in plays and at the other commands of Ansible, beside what else a project has."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.phala.cloud.tests.commands import Completed
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import Simulator

from .fleets import API, DB, FLEET, WEB, one_cvm

LOCALLY = {"ANSIBLE_PYTHON_INTERPRETER": sys.executable, "ANSIBLE_NOCOLOR": "true"}

Play = Callable[..., Completed]


@pytest.fixture(autouse=True)
def fleet(simulator: Simulator) -> None:
    simulator.fleet = FLEET


@pytest.fixture
def play(write: Callable[..., Path], command: Callable[..., Completed]) -> Play:
    """Return a function that plays the text, which must succeed, with these arguments."""

    def play_text(text: str, *arguments: str | Path) -> Completed:
        completed = command("ansible-playbook", write(text, name="site.yml"), *arguments, env=LOCALLY)
        assert completed.status == 0, completed.stdout + completed.stderr
        return completed

    return play_text


def variables_of(loaded: Loaded, *names: str, hosts: str = "all") -> dict[str, dict[str, Any]]:
    """Return these variables of each of the hosts."""
    return {
        host: {name: variables[name] for name in names if name in variables}
        for host, variables in loaded.seen_in_plays(hosts).items()
    }


# Beside other sources and files


STATIC = """
[mine]
my-host owner=me
db owner=us

[region_EU_WEST_1]

[shop:children]
mine
region_EU_WEST_1
"""


def test_static_inventory_shares_its_groups(write: Callable[..., Path], load_all: Callable[..., Loaded]) -> None:
    loaded = load_all(write(STATIC, name="static"), write())
    assert variables_of(loaded, "owner", "phala_region", hosts="shop") == {
        "my-host": {"owner": "me"},
        "db": {"owner": "us", "phala_region": "US-EAST-1"},
        "web-3": {"phala_region": "EU-WEST-1"},
        "api-2": {"phala_region": "EU-WEST-1"},
    }


def test_constructed_inventory_goes_on_top(write: Callable[..., Path], load_all: Callable[..., Loaded]) -> None:
    constructed = {
        "plugin": "ansible.builtin.constructed",
        "strict": True,
        "compose": {"place": "phala_region | lower ~ '/' ~ phala_app.name"},
        "groups": {"european": "phala_region is search('^EU-')"},
        "keyed_groups": [{"key": "phala_team_slug | default('nobody', true)", "prefix": "team"}],
    }
    loaded = load_all(write(), write(yaml.safe_dump(constructed), name="top.yml"))
    assert variables_of(loaded, "place", hosts="team_research:team_nobody:!european") == {
        "api-1": {"place": "us-east-1/api"},
        "db": {"place": "us-east-1/db"},
    }


def test_group_vars_next_to_the_file_win_by_depth(
    write: Callable[..., Path], inventory: Callable[..., Loaded], tmp_path: Path
) -> None:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "host_vars").mkdir()
    write("ansible_user: admin\nshop: all\n", name="group_vars/phala.yml")
    write("shop: west\n", name="group_vars/region_US_WEST_1.yml")
    write("shop: mine\n", name="host_vars/web-2.yml")
    assert variables_of(inventory(), "ansible_user", "ansible_port", "shop", hosts="web-*:db") == {
        "web-1": {"ansible_user": "admin", "ansible_port": 443, "shop": "west"},
        "web-2": {"ansible_user": "admin", "ansible_port": 443, "shop": "mine"},
        "web-3": {"ansible_user": "admin", "ansible_port": 443, "shop": "all"},
        "db": {"ansible_user": "admin", "ansible_port": 443, "shop": "all"},
    }


def test_folder_holds_several_accounts(
    simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded], tmp_path: Path
) -> None:
    simulator.fleet = (WEB,)
    simulator.add_account("phak_other", (API,))
    simulator.add_account("phak_third", (DB,))
    (tmp_path / "inventory/group_vars").mkdir(parents=True)
    write(name="inventory/10-shop.phala.yml")
    write({"api_key": "phak_other", "group": "research", "group_prefix": "research_"}, name="inventory/20-research.phala.yml")
    write({"api_key": "phak_third", "group": "data", "group_prefix": "data_"}, name="inventory/30-data.phala.yaml")
    write("owner: somebody\n", name="inventory/group_vars/all.yml")
    write("owner: research\n", name="inventory/group_vars/research.yml")
    assert variables_of(load_all(tmp_path / "inventory"), "owner") == {
        **{name: {"owner": "somebody"} for name in ("web-1", "web-2", "web-3", "db")},
        **{name: {"owner": "research"} for name in ("api-1", "api-2")},
    }


# In a play


def test_added_host_is_in_the_groups_also_when_the_inventory_is_read_again(write: Callable[..., Path], play: Play) -> None:
    completed = play(
        """
- hosts: db
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.add_host:
        name: db-new
        groups: [phala_gateway, status_exited]
        made_of: "{{ phala_vm_uuid }}"

- hosts: status_exited
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.assert:
        that:
          - groups.status_exited == ['db', 'db-new']
          - hostvars['db-new'].made_of == hostvars['db'].phala_vm_uuid
          - hostvars['db-new'].ansible_user == 'root'

    - ansible.builtin.meta: refresh_inventory

- hosts: status_exited
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.assert:
        that: groups.status_exited == ['db', 'db-new']
""",
        *("-i", write()),
    )
    ran = [line.split()[:3] for line in completed.stdout.splitlines() if "unreachable=" in line]
    assert ran == [["db", ":", "ok=3"], ["db-new", ":", "ok=2"]]


@pytest.fixture
def stoppable(simulator: Simulator, tmp_path: Path) -> Iterator[None]:
    """Have the CVM ``solo``, and stop it when the play makes a file ``stop``; a file ``stopped`` tells that it is done."""
    simulator.fleet = one_cvm(status="running")
    over = threading.Event()

    def stop_when_asked() -> None:
        while not (tmp_path / "stop").exists() and not over.wait(0.02):
            pass
        simulator.fleet = one_cvm(status="stopped")
        (tmp_path / "stopped").touch()

    thread = threading.Thread(target=stop_when_asked)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.usefixtures("stoppable")
def test_refresh_shows_a_status_that_has_changed_between_two_tasks(
    simulator: Simulator, write: Callable[..., Path], play: Play
) -> None:
    play(
        """
- hosts: phala
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.file: {path: "{{ playbook_dir }}/stop", state: touch, mode: u=rw}
    - ansible.builtin.wait_for: {path: "{{ playbook_dir }}/stopped", timeout: 30, sleep: 1}
    - ansible.builtin.assert:
        that: [phala_status == 'running', "groups.status_running == ['solo']", "'status_stopped' not in groups"]

    - ansible.builtin.meta: refresh_inventory

    - ansible.builtin.assert:
        that: [phala_status == 'stopped', "groups.status_stopped == ['solo']", "'status_running' not in groups"]
""",
        *("-i", write()),
    )
    assert len(simulator.requests) == 2


# At other commands


def test_console_walks_through_the_groups(write: Callable[..., Path], command: Callable[..., Completed]) -> None:
    typed = "list\ncd region_US_EAST_1:&status_exited\nlist\ndebug msg={{phala_region}}\nlist groups\nexit\n"
    completed = command("ansible-console", "phala", "-i", write(), env=LOCALLY, typed=typed)
    assert completed.status == 0, completed.stderr
    lines = [re.split(r"[#$] ", line)[-1].strip() for line in completed.stdout.splitlines()]  # what is typed is not printed
    assert [line for line in lines if line in ("web-1", "db")] == ["db", "web-1", "db"]
    assert '"msg": "US-EAST-1"' in lines
    assert "node_prod9" in lines
