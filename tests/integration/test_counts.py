# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What speed rests on, counted instead of timed: requests, imports, and calls of what is slow; fast ways end as slow ones do."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from ansible.inventory.data import InventoryData
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.template import Templar

from ansible_collections.phala.cloud.plugins.plugin_utils._build import Built
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator, make_fleet

CORE_VARIABLES_OF_GROUP = 3  # ansible_port, ansible_user, ansible_ssh_common_args
SET_FOR_EACH_HOST = 2  # inventory_file and inventory_dir, which ansible-core sets whenever a host is added


@pytest.mark.parametrize(("apps", "requests"), [(0, 1), (100, 1), (101, 4), (600, 12)])
def test_makes_two_requests_per_page_and_one_for_a_single_page(
    apps: int, requests: int, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = tuple(App(name=f"app-{number}", cvms=(Cvm(name=f"cvm-{number}"),)) for number in range(apps))
    assert len(inventory().hosts) == apps
    assert len(simulator.requests) == requests


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the calls of what is slow."""
    counts: Counter[str] = Counter()

    def count(owner: type, name: str) -> None:
        method = getattr(owner, name)

        def counting(*arguments: Any, **options: Any) -> Any:
            counts[name] += 1
            return method(*arguments, **options)

        monkeypatch.setattr(owner, name, counting)

    count(InventoryData, "set_variable")
    count(Templar, "template")
    for name in ("evaluate_expression", "evaluate_conditional"):
        if hasattr(Templar, name):
            count(Templar, name)
    for name in ("_compose", "_set_composite_vars"):
        if hasattr(BaseInventoryPlugin, name):
            count(BaseInventoryPlugin, name)
    return counts


@pytest.mark.parametrize("cvms", [20, 120])
def test_sets_no_variable_of_a_host_one_by_one(
    cvms: int, calls: Counter[str], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = make_fleet(cvms=cvms)
    assert len(inventory().hosts) == cvms
    assert calls["set_variable"] == SET_FOR_EACH_HOST * cvms + CORE_VARIABLES_OF_GROUP


def test_sets_just_the_composed_variables_one_by_one(
    calls: Counter[str], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = make_fleet(cvms=20)
    inventory({"connect_with": "none", "compose": {"one": "1", "two": "phala_name"}})
    assert calls["set_variable"] == (SET_FOR_EACH_HOST + 2) * 20


@pytest.mark.parametrize("cvms", [20, 120])
def test_runs_no_template_for_a_host_without_one(
    cvms: int, calls: Counter[str], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = make_fleet(cvms=cvms)
    inventory()
    options_only = Counter(calls)
    calls.clear()
    simulator.fleet = ()
    inventory()
    del options_only["set_variable"], calls["set_variable"]
    assert options_only == calls  # what is left has to do with the options, however many hosts there are


OPTIONS: list[dict[str, Any]] = [
    {},
    {"connect_with": "none", "group_by": []},
    {"group_by": ["region", "app", "os_type"], "group_prefix": "p_"},
    {
        "compose": {"one": "1 + 1"},
        "groups": {"big": "(phala_vcpu or 0) > 2"},
        "keyed_groups": [{"key": "phala_status", "prefix": "s"}],
    },
]


@pytest.mark.parametrize("options", OPTIONS)
def test_publishes_what_the_slow_way_publishes(
    options: dict[str, Any],
    calls: Counter[str],
    simulator: Simulator,
    inventory: Callable[..., Loaded],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator.fleet = make_fleet(cvms=40)
    fast = inventory(options)
    calls.clear()
    monkeypatch.setattr(_plugin_module(), "publish", publish_slowly)
    assert whole(inventory(options)) == whole(fast)
    assert calls["set_variable"] > 30 * 40


@pytest.mark.parametrize("options", OPTIONS)
def test_leaves_no_host_ungrouped_and_every_host_in_all(
    options: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = make_fleet(cvms=40)
    manager = inventory(options).manager
    assert manager.groups["ungrouped"].get_hosts() == []
    assert sorted(host.name for host in manager.groups["all"].get_hosts()) == sorted(manager.hosts)
    assert len(manager.hosts) == 40
    for host in manager.hosts.values():
        assert manager.groups["all"] in host.get_groups()


def publish_slowly(inventory: InventoryData, built: Built) -> None:
    """Do what publish() does by ansible-core's usual methods alone."""
    inventory.add_group(built.group)
    for parent, group in built.families:
        for name in filter(None, (group, parent)):
            inventory.add_group(name)
        if parent is not None:
            inventory.add_child(parent, group)
    if built.gateway:
        for name, value in built.gateway.variables.items():
            inventory.set_variable(built.gateway.name, name, value)
    for host in built.hosts:
        inventory.add_host(host.name)
        inventory.add_child(built.group, host.name)
        for name, value in {**host.variables, **host.address, **host.composed}.items():
            inventory.set_variable(host.name, name, value)
        for group in host.groups:
            inventory.add_child(group, host.name)


def whole(loaded: Loaded) -> dict[str, Any]:
    """Return all that an inventory holds, groups in the order in which each host has them too."""
    manager = loaded.manager
    return {
        "hosts": {name: dict(host.vars) for name, host in manager.hosts.items()},
        "groups of hosts": {name: [group.name for group in host.get_groups()] for name, host in manager.hosts.items()},
        "members": {name: [host.name for host in group.get_hosts()] for name, group in manager.groups.items()},
        "families": {
            name: (
                [child.name for child in group.child_groups],
                sorted(parent.name for parent in group.parent_groups),
                group.depth,
            )
            for name, group in manager.groups.items()
        },
        "group variables": {name: dict(group.vars) for name, group in manager.groups.items()},
    }


def _plugin_module() -> Any:
    """Return the module in which ansible-core has the plugin, which is not the one that Python imports."""
    from ansible.plugins.loader import inventory_loader

    return sys.modules[type(inventory_loader.get("phala.cloud.phala")).__module__]
