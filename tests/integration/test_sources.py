# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A source beside others, and read again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

from ansible_collections.phala.cloud.tests.commands import Completed
from ansible_collections.phala.cloud.tests.loading import Loaded, load
from ansible_collections.phala.cloud.tests.simulator import Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import Status

from .fleets import API, DB, FLEET, NAMES, WEB, one_cvm


@pytest.fixture(autouse=True)
def fleet(simulator: Simulator) -> None:
    simulator.fleet = FLEET


def test_two_accounts_side_by_side(simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]) -> None:
    simulator.fleet = (WEB,)
    simulator.add_account("phak_other", (API, DB))
    other = {"api_key": "phak_other", "group": "others", "group_prefix": "other_", "gateway_port": 8443}
    loaded = load_all(write(), write(other, name="other.phala.yml"))
    assert (loaded.groups["phala"], loaded.groups["others"]) == (["web-1", "web-2", "web-3"], ["api-1", "api-2", "db"])
    assert loaded.children["phala"] == [name for name in sorted(loaded.groups) if "_" in name and not name.startswith("other_")]
    assert loaded.children["others"] == [name for name in sorted(loaded.groups) if name.startswith("other_")]
    ports = {group: variables["ansible_port"] for group, variables in loaded.group_variables.items()}
    assert ports == {"phala_gateway": 443, "others_gateway": 8443}


def test_two_sources_may_share_groups(simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]) -> None:
    sources = [
        write({"filters": {"region": region}}, name=f"{region}.phala.yml") for region in ("US-WEST-1", "US-EAST-1", "EU-WEST-1")
    ]
    assert load_all(*sources).groups == load_all(write()).groups
    assert len(simulator.requests) == 4


def test_hosts_that_come_under_the_group_of_another_account_are_told(
    simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = (WEB,)
    simulator.add_account("phak_other", (API, DB))
    other = {"api_key": "phak_other", "group": "others"}
    warnings = load_all(write(), write(other, name="other.phala.yml")).warnings
    (warning,) = [text for text in warnings if "another source" in text]
    shared = ("region_EU_WEST_1", "node_prod12", "base_image_dstack_0_5_7", "status_running")
    assert [word for word in ("'others'", "group_prefix", *shared) if word not in warning] == []


@pytest.mark.parametrize(
    "first", ["[region_US_WEST_1]\n[americas:children]\nregion_US_WEST_1\n", "[region_US_WEST_1]\nweb-1\n", "[static]\nmy-host\n"]
)
def test_groups_that_bring_no_host_of_another_source_are_shared_silently(
    write: Callable[..., Path], load_all: Callable[..., Loaded], first: str
) -> None:
    webs = {"filters": {"search": "web"}}
    sources = [write(first, name="hosts"), write(), write(webs, name="webs.phala.yml")]
    assert load_all(*sources).warnings == []


def test_namesakes_of_two_accounts_are_two_hosts(
    simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(name="web", vm_uuid="1" * 8, region="US-WEST-1")
    simulator.add_account("phak_other", one_cvm(name="web", vm_uuid="2" * 8, region="EU-WEST-1"))
    sources = [write(), write({"api_key": "phak_other"}, name="other.phala.yml")]
    for order in (sources, sources[::-1]):
        regions = {loaded["phala_vm_uuid"]: loaded["phala_region"] for loaded in load_all(*order).hosts.values()}
        assert regions == {"1" * 8: "US-WEST-1", "2" * 8: "EU-WEST-1"}


def test_cvm_of_two_sources_is_one_host(
    simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = FLEET
    loaded = load_all(write(), write({"filters": {"search": "web"}, "group": "webs", "group_by": []}, name="webs.phala.yml"))
    assert sorted(loaded.hosts) == NAMES
    assert loaded.groups["webs"] == ["web-1", "web-2", "web-3"]


def test_source_that_fails_takes_nothing_from_the_others(simulator: Simulator, write: Callable[..., Path]) -> None:
    simulator.add_account("phak_other", FLEET)
    good, bad = write(), write({"api_key": "phak_wrong", "group": "bad"}, name="bad.phala.yml")
    alone = load([good])
    for sources in ([good, bad], [bad, good]):
        loaded = load(sources)
        assert "401 from" in loaded.failures[0]
        assert loaded.hosts == alone.hosts
        assert loaded.groups == alone.groups


def test_folder_of_sources(write: Callable[..., Path], load_all: Callable[..., Loaded], tmp_path: Path) -> None:
    (tmp_path / "inventory").mkdir()
    write({"filters": {"status": "exited"}}, name="inventory/10.phala.yml")
    write("[static]\nmy-host\n", name="inventory/20-static")
    loaded = load_all(tmp_path / "inventory")
    assert sorted(loaded.hosts) == ["db", "my-host"]


STATIC = """
all:
  hosts:
    db:
      owner: me
      phala_status: by hand
      ansible_host: db.example.org
  children:
    mine:
      hosts:
        db:
"""


@pytest.mark.parametrize("last", ["phala", "static"])
def test_host_of_a_static_inventory_is_added_to(
    last: str, simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = (DB,)
    sources = [write(STATIC, name="static.yml"), write()]
    loaded = load_all(*(sources if last == "phala" else sources[::-1]))
    variables = loaded.hosts["db"]
    assert list(loaded.hosts) == ["db"]
    assert (loaded.groups["mine"], loaded.groups["phala"]) == (["db"], ["db"])
    assert (variables["owner"], variables["phala_region"]) == ("me", "US-EAST-1")
    assert (variables["phala_status"] == "exited") == (last == "phala")
    assert (variables["ansible_host"] == "db.example.org") == (last == "static")


def test_host_filters_and_expressions_do_not_see_a_static_inventory(
    simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = (DB,)
    ours = {"hostnames": ["name"], "host_filters": ["owner is not defined"]}
    assert load_all(write(STATIC, name="static.yml"), write(ours)).groups["phala"] == ["db"]


def test_refresh_reads_again(simulator: Simulator, write: Callable[..., Path]) -> None:
    manager = InventoryManager(DataLoader(), sources=[str(write())])
    assert sorted(manager.hosts) == NAMES
    simulator.fleet = one_cvm()
    manager.refresh_inventory()
    assert list(manager.hosts) == ["solo"]


def test_refresh_that_fails_shows_no_host(simulator: Simulator, write: Callable[..., Path]) -> None:
    manager = InventoryManager(DataLoader(), sources=[str(write({"retries": 0}))])
    simulator.misbehave(Status(503), times=None)
    manager.refresh_inventory()
    assert list(manager.hosts) == []


def test_hosts_are_chosen_by_patterns(write: Callable[..., Path]) -> None:
    manager = InventoryManager(DataLoader(), sources=[str(write())])
    chosen: dict[str, list[Any]] = {
        pattern: sorted(host.name for host in manager.get_hosts(pattern))
        for pattern in ("region_US_WEST_1:&status_running", "phala:!status_running", "web-*")
    }
    assert chosen == {
        "region_US_WEST_1:&status_running": ["web-1"],
        "phala:!status_running": ["db", "web-2"],
        "web-*": ["web-1", "web-2", "web-3"],
    }


def test_playbook_runs_over_the_groups(write: Callable[..., Path], command: Callable[..., Completed]) -> None:
    write({"connect_with": "none"})
    playbook = write(
        """
- hosts: region_US_WEST_1:&status_running
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.assert:
        that:
          - phala_region == 'US-WEST-1'
          - phala_vcpu == 1
          - phala_is_dev is false
          - phala_kms_slug is none
          - phala_app.name == 'web'
          - group_names == ['base_image_dstack_0_5_7', 'node_prod7', 'phala', 'region_US_WEST_1', 'status_running']
""",
        name="site.yml",
    )
    completed = command("ansible-playbook", "-i", "phala.yml", playbook)
    assert completed.status == 0, completed.stdout
    assert "web-1" in completed.stdout
    assert "ok=1" in completed.stdout
