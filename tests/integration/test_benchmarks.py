# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benchmarks compare the plugin with does the same work, and their switch does what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.plugins.loader import inventory_loader

from ansible_collections.phala.cloud.plugins.inventory import phala
from ansible_collections.phala.cloud.tests.benchmarks.subjects import DEFAULT_VERSION, FLAT_VERSION, READ_ONCE
from ansible_collections.phala.cloud.tests.commands import Completed
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator

from .fleets import FLEET

PLUGINS = Path(__file__).parents[1] / "benchmarks" / "inventory_plugins"
TUNNEL = "ansible_ssh_common_args"  # has a shorter text in the bare plugin


@pytest.fixture(autouse=True)
def plugins_of_the_benchmarks() -> None:
    inventory_loader.add_directory(str(PLUGINS))


def test_default_version_of_the_benchmarks_is_the_plugins() -> None:
    assert yaml.safe_load(phala.DOCUMENTATION)["options"]["api_version"]["default"] == DEFAULT_VERSION


@pytest.mark.parametrize("version", [DEFAULT_VERSION, FLAT_VERSION])
def test_bare_plugin_makes_the_same_hosts_with_the_same_variables_and_groups(
    version: str, simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = FLEET
    source = yaml.safe_dump({"plugin": "bare", "url": simulator.url, "key": simulator.api_key, "version": version})
    bare = load_all(write(source, name="bare.yml"))
    ours = load_all(write({"api_version": version}))
    assert variables(bare) == variables(ours)
    assert (bare.groups, bare.gateways, bare.children) == (ours.groups, ours.gateways, ours.children)
    assert {group: sorted(of_group) for group, of_group in bare.group_variables.items()} == {
        group: sorted(of_group) for group, of_group in ours.group_variables.items()
    }


def variables(loaded: Loaded) -> dict[str, dict[str, Any]]:
    """Return the variables of each host, of the tunnel's only whether it is there."""
    return {name: {**host, TUNNEL: TUNNEL in host} for name, host in loaded.hosts.items()}


def test_switch_has_the_list_read_once(
    simulator: Simulator, write: Callable[..., Path], command: Callable[..., Completed]
) -> None:
    simulator.fleet = tuple(App(name=f"app-{number}", cvms=(Cvm(name=f"cvm-{number}"),)) for number in range(3))
    listed = command("python", READ_ONCE, "all", "-i", write({"page_size": 1}), "--list-hosts")
    assert "hosts (3):" in listed.stdout
    assert sorted(request.page for request in simulator.requests) == [1, 2, 3]
