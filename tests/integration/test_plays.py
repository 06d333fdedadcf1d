# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory in plays and at the other commands of Ansible, beside what else a project has."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .commands import Completed, run
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


def print_variables(*names: str, hosts: str = "all") -> str:
    """Write a play in which each of the hosts prints these variables."""
    values = ", ".join(f"'{name}': {name} | default('none')" for name in names)
    task = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} {{ {" + values + "} | to_json }}"}}
    return yaml.safe_dump([{"hosts": hosts, "connection": "local", "gather_facts": False, "tasks": [task]}], width=1000)


def printed(completed: Completed) -> dict[str, Any]:
    """Read what the play of `print_variables` had each host print."""
    lines = [json.loads(line.strip().removeprefix('"msg": ')) for line in completed.stdout.splitlines() if '"msg": ' in line]
    return {name: json.loads(values) for name, values in (line.split(" ", 1) for line in lines)}


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


def test_static_inventory_shares_its_groups(write: Callable[..., Path], play: Play) -> None:
    static = write(STATIC, name="static")
    completed = play(print_variables("owner", "phala_region", hosts="shop"), "-i", static, "-i", write())
    assert printed(completed) == {
        "my-host": {"owner": "me", "phala_region": "none"},
        "db": {"owner": "us", "phala_region": "US-EAST-1"},
        "web-3": {"owner": "none", "phala_region": "EU-WEST-1"},
        "api-2": {"owner": "none", "phala_region": "EU-WEST-1"},
    }


def test_constructed_inventory_goes_on_top(write: Callable[..., Path], play: Play) -> None:
    constructed = {
        "plugin": "ansible.builtin.constructed",
        "strict": True,
        "compose": {"place": "phala_region | lower ~ '/' ~ phala_app.name"},
        "groups": {"european": "phala_region is search('^EU-')"},
        "keyed_groups": [{"key": "phala_team_slug | default('nobody', true)", "prefix": "team"}],
    }
    sources = ("-i", write(), "-i", write(yaml.safe_dump(constructed), name="top.yml"))
    completed = play(print_variables("place", hosts="team_research:team_nobody:!european"), *sources)
    assert printed(completed) == {
        "api-1": {"place": "us-east-1/api"},
        "db": {"place": "us-east-1/db"},
    }


def test_group_vars_next_to_the_file_win_by_depth(write: Callable[..., Path], play: Play, tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "host_vars").mkdir()
    write("ansible_user: admin\nshop: all\n", name="group_vars/phala.yml")
    write("shop: west\n", name="group_vars/region_US_WEST_1.yml")
    write("shop: mine\n", name="host_vars/web-2.yml")
    variables = print_variables("ansible_user", "ansible_port", "shop", hosts="web-*")
    assert printed(play(variables, "-i", write())) == {
        "web-1": {"ansible_user": "admin", "ansible_port": 443, "shop": "west"},
        "web-2": {"ansible_user": "admin", "ansible_port": 443, "shop": "mine"},
        "web-3": {"ansible_user": "admin", "ansible_port": 443, "shop": "all"},
    }


def test_folder_holds_several_accounts(simulator: Simulator, write: Callable[..., Path], play: Play, tmp_path: Path) -> None:
    simulator.fleet = (WEB,)
    simulator.add_account("phak_other", (API,))
    simulator.add_account("phak_third", (DB,))
    (tmp_path / "inventory/group_vars").mkdir(parents=True)
    write(name="inventory/10-shop.phala.yml")
    write({"api_key": "phak_other", "group": "research", "group_prefix": "research_"}, name="inventory/20-research.phala.yml")
    write({"api_key": "phak_third", "group": "data", "group_prefix": "data_"}, name="inventory/30-data.phala.yaml")
    write("owner: somebody\n", name="inventory/group_vars/all.yml")
    write("owner: research\n", name="inventory/group_vars/research.yml")
    assert printed(play(print_variables("owner"), "-i", tmp_path / "inventory")) == {
        **{name: {"owner": "somebody"} for name in ("web-1", "web-2", "web-3", "db")},
        **{name: {"owner": "research"} for name in ("api-1", "api-2")},
    }


# In a play


@pytest.mark.parametrize(
    ("limit", "hosts"),
    [
        ("region_US_WEST_1:&status_running", ["web-1"]),
        ("!status_running", ["db", "web-2"]),
        ("web-*,!web-2", ["web-1", "web-3"]),
        ("db", ["db"]),
    ],
)
def test_limit_chooses_hosts(limit: str, hosts: list[str], write: Callable[..., Path], play: Play) -> None:
    completed = play(print_variables("phala_name", hosts="phala"), "-i", write(), "--limit", limit)
    assert printed(completed) == {name: {"phala_name": name} for name in hosts}


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


def test_ad_hoc_command_sees_the_variables(write: Callable[..., Path], command: Callable[..., Completed]) -> None:
    completed = command(
        "ansible",
        "status_exited",
        "-i",
        write(),
        "-m",
        "ansible.builtin.debug",
        "-a",
        "msg={{ phala_app.name }}/{{ phala_vcpu }}",
    )
    assert completed.status == 0, completed.stderr
    assert completed.stdout.split() == ["db", "|", "SUCCESS", "=>", "{", '"msg":', '"db/8"', "}"]


def test_console_walks_through_the_groups(write: Callable[..., Path], tmp_path: Path) -> None:
    typed = "list\ncd region_US_EAST_1:&status_exited\nlist\ndebug msg={{phala_region}}\nlist groups\nexit\n"
    completed = run("ansible-console", "phala", "-i", write(), folder=tmp_path, env=LOCALLY, typed=typed)
    assert completed.status == 0, completed.stderr
    lines = [re.split(r"[#$] ", line)[-1].strip() for line in completed.stdout.splitlines()]  # what is typed is not printed
    assert [line for line in lines if line in ("web-1", "db")] == ["db", "web-1", "db"]
    assert '"msg": "US-EAST-1"' in lines
    assert "node_prod9" in lines
