# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts and groups in, Ansible's inventory out. Loops of groups are found first, in a time that grows with their number."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.data import InventoryData

from ansible_collections.phala.cloud.plugins.plugin_utils._build import Built
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._gateway import GatewayGroup
from ansible_collections.phala.cloud.plugins.plugin_utils._hosts import Host
from ansible_collections.phala.cloud.plugins.plugin_utils._publish import GroupLoopError, _refuse_loops, publish
from ansible_collections.phala.cloud.plugins.plugin_utils._sources import Before, Listed, current_run

# Each path from the top to the bottom is one of 2**1000.
LAYERS = [(f"g{layer}_{upper}", f"g{layer + 1}_{lower}") for layer in range(1000) for upper in (0, 1) for lower in (0, 1)]
CHAIN = [(f"c{number}", f"c{number + 1}") for number in range(10_000)]
SECONDS = 20  # far more than it takes, and far less than any search of all paths


@pytest.mark.parametrize("families", [LAYERS, CHAIN], ids=["layers", "chain"])
def test_many_layers_are_searched_once(families: list[tuple[str, str]]) -> None:
    bottom, top = families[-1][1], families[0][0]
    started = time.monotonic()
    _refuse_loops(InventoryData(), families)
    with pytest.raises(GroupLoopError, match="cannot be a child of"):
        _refuse_loops(InventoryData(), [*families, (bottom, top)])
    assert time.monotonic() - started < SECONDS


def test_group_of_all_cannot_have_a_parent() -> None:
    with pytest.raises(GroupLoopError, match="the group 'all' cannot be a child of 'x'"):
        _refuse_loops(InventoryData(), [("x", "all")])


SCOPE = ("https://a.example.org", "digest")


def host(name: str, *groups: str, address: Any = None, **composed: Any) -> Host:
    return Host(name, Identity("me", name, None, None), {"a": [name]}, address or {}, composed, groups, {})


def built(*hosts: Host, path: str = "phala.yml", gateway: GatewayGroup | None = None, families: Any = ()) -> Built:
    before = Before(groups=frozenset({"all"}))
    return Built(list(hosts), "phala", gateway, dict.fromkeys(families), before, path, {"me": SCOPE})


def groups_of(inventory: InventoryData, name: str) -> list[str]:
    return sorted(group.name for group in inventory.hosts[name].get_groups())


def test_hosts_and_groups_are_in_the_inventory() -> None:
    inventory = InventoryData()
    source = built(
        host("web", "region_eu", "tagged", b=2),
        host("db", "phala_gateway"),
        gateway=GatewayGroup("phala_gateway", {"ansible_port": 443}),
        families=[("phala", "region_eu"), (None, "tagged"), ("top", "tagged"), ("phala", "phala_gateway")],
    )
    publish(inventory, source)
    assert source.hosts == []
    assert {name: shown.vars["a"] for name, shown in inventory.hosts.items()} == {"web": ["web"], "db": ["db"]}
    assert (inventory.hosts["web"].vars["b"], "b" in inventory.hosts["db"].vars) == (2, False)
    assert groups_of(inventory, "web") == ["phala", "region_eu", "tagged", "top"]
    assert groups_of(inventory, "db") == ["phala", "phala_gateway"]
    assert inventory.groups["phala_gateway"].vars == {"ansible_port": 443}
    assert [parent.name for parent in inventory.groups["region_eu"].parent_groups] == ["phala"]


def test_variables_that_a_host_has_stay_unless_the_source_sets_them(tmp_path: Path) -> None:
    inventory = InventoryData()
    inventory.current_source = str(tmp_path)
    inventory.add_host("known")
    inventory.hosts["known"].vars.update(a="old", b="kept")
    publish(inventory, built(host("known", address={"ansible_host": "x"}), host("new")))
    of_core = dict.fromkeys(("inventory_file", "inventory_dir"), str(tmp_path))
    assert inventory.hosts["known"].vars == {**of_core, "a": ["known"], "b": "kept", "ansible_host": "x"}
    assert inventory.hosts["new"].vars == {**of_core, "a": ["new"]}


def test_run_knows_what_was_published() -> None:
    inventory = InventoryData()
    gateway = GatewayGroup("phala_gateway", {})
    source = built(host("web", address={"ansible_host": "x"}), gateway=gateway, families=[("phala", "phala_gateway")])
    publish(inventory, source)
    run = current_run(inventory)
    listed = Listed("web", "phala.yml", SCOPE, Identity("me", "web", None, None), {}, {"ansible_host": "x"})
    assert (run.before, run.gateways) == ({"phala.yml": source.before}, {"phala_gateway": "phala.yml"})
    assert (run.cvms, run.listings) == ({"web": listed}, [listed])
    assert inventory.hosts["web"].vars["ansible_host"] == "x"


def test_first_source_of_a_cvm_and_of_a_gateway_group_is_remembered() -> None:
    inventory = InventoryData()
    gateway = GatewayGroup("phala_gateway", {})
    for path in ("first.yml", "second.yml"):
        families = [("phala", "phala_gateway")]
        publish(inventory, built(host("web", address={"c": path}), path=path, gateway=gateway, families=families))
    run = current_run(inventory)
    assert (run.cvms["web"].path, run.gateways) == ("first.yml", {"phala_gateway": "first.yml"})
    assert list(run.before) == ["first.yml", "second.yml"]
    publish(inventory, built(host("web", address={"c": "changed"}), path="first.yml"))
    assert run.cvms["web"].connection == {"c": "changed"}


def test_variables_of_another_source_are_kept() -> None:
    inventory = InventoryData()
    inventory.add_host("web")
    inventory.set_variable("web", "other", 1)
    publish(inventory, built(host("web")))
    assert (inventory.hosts["web"].vars["other"], inventory.hosts["web"].vars["a"]) == (1, ["web"])
    assert groups_of(inventory, "web") == ["phala"]


@pytest.mark.parametrize(
    ("known", "families", "loop"),
    [
        ([], [("a", "b"), ("b", "a")], "a|b"),
        ([("a", "b")], [("b", "a")], "a|b"),
        ([("a", "b")], [("b", "c"), ("c", "a")], "a|b|c"),
        ([], [("a", "a")], "a"),
    ],
)
def test_loop_of_groups_is_refused_before_anything_is_added(
    known: list[tuple[str, str]], families: list[tuple[str, str]], loop: str
) -> None:
    inventory = InventoryData()
    for parent, group in known:
        inventory.add_group(parent)
        inventory.add_group(group)
        inventory.add_child(parent, group)
    before = set(inventory.groups)
    text = rf"^the group '({loop})' cannot be a child of '({loop})', which is its descendant\. .* parent_group of keyed_groups\.$"
    with pytest.raises(GroupLoopError, match=text):
        publish(inventory, built(host("web"), families=families))
    assert (set(inventory.groups), inventory.hosts) == (before, {})


def test_group_may_have_two_parents_and_none() -> None:
    inventory = InventoryData()
    publish(inventory, built(families=[("a", "c"), ("b", "c"), ("a", "b"), (None, "a")]))
    assert sorted(parent.name for parent in inventory.groups["c"].parent_groups) == ["a", "b"]
