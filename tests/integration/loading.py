# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load an inventory in this process, by ansible-core's own InventoryManager, and keep what was displayed meanwhile."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible import context
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.utils.context_objects import CLIArgs
from ansible.utils.display import Display
from ansible.utils.vars import load_extra_vars
from ansible.vars.manager import VariableManager

BUILT_IN_GROUPS = ("all", "ungrouped")
SET_BY_CORE = ("inventory_file", "inventory_dir")
GATEWAY = "_gateway"
FAILED = "Failed to parse"


@dataclass(frozen=True)
class Loaded:
    """What ansible-core holds after loading, and each text that it displayed, on one line."""

    manager: InventoryManager
    displayed: list[str]

    @property
    def hosts(self) -> dict[str, dict[str, Any]]:
        """Every host with its own variables, without those of its groups."""
        return {
            name: {variable: value for variable, value in host.vars.items() if variable not in SET_BY_CORE}
            for name, host in self.manager.hosts.items()
        }

    @property
    def groups(self) -> dict[str, list[str]]:
        """The names of the hosts that are in each group itself, sorted, without the groups of :attr:`gateways`."""
        return {name: hosts for name, hosts in self._hosts_of_groups().items() if not name.endswith(GATEWAY)}

    @property
    def gateways(self) -> dict[str, list[str]]:
        """The names of the hosts that are in each group of hosts that are reached through the gateway, sorted."""
        return {name: hosts for name, hosts in self._hosts_of_groups().items() if name.endswith(GATEWAY)}

    @property
    def children(self) -> dict[str, list[str]]:
        """The names of the groups that are in each group that has any, sorted, without the groups of :attr:`gateways`."""
        children = {
            name: sorted(child.name for child in group.child_groups if not child.name.endswith(GATEWAY))
            for name, group in self._groups()
        }
        return {name: names for name, names in children.items() if names}

    @property
    def group_variables(self) -> dict[str, dict[str, Any]]:
        return {name: dict(group.vars) for name, group in self._groups() if group.vars}

    @property
    def warnings(self) -> list[str]:
        return [text.removeprefix("[WARNING]: ") for text in self.displayed if text.startswith("[WARNING]: ")]

    @property
    def failures(self) -> list[str]:
        """What was said about sources that could not be loaded."""
        return [text for text in self.displayed if FAILED in text]

    def values(self, variable: str) -> dict[str, Any]:
        """Return one variable of every host that has it."""
        return {name: variables[variable] for name, variables in self.hosts.items() if variable in variables}

    def seen_in_plays(self, pattern: str = "all") -> dict[str, dict[str, Any]]:
        """Return all variables of the hosts of a pattern, those of groups and files included."""
        merged = VariableManager(loader=self.manager._loader, inventory=self.manager)
        return {host.name: merged.get_vars(host=host) for host in self.manager.get_hosts(pattern)}

    def _hosts_of_groups(self) -> dict[str, list[str]]:
        return {name: sorted(host.name for host in group.hosts) for name, group in self._groups()}

    def _groups(self) -> list[tuple[str, Any]]:
        return [(name, group) for name, group in self.manager.groups.items() if name not in BUILT_IN_GROUPS]


def load(
    monkeypatch: pytest.MonkeyPatch,
    sources: Sequence[Path | str],
    *,
    extra_vars: Mapping[str, Any] | None = None,
    verbosity: int = 0,
    flush_cache: bool = False,
) -> Loaded:
    """Load the sources as a command with these options does: ``-e``, ``-v``, ``--flush-cache``."""
    arguments = {"extra_vars": [json.dumps(extra_vars)] if extra_vars else []}
    with monkeypatch.context() as patch:
        displayed = _keep_displayed(patch, verbosity)
        patch.setattr(context, "CLIARGS", CLIArgs(arguments))
        patch.delattr(load_extra_vars, "extra_vars", raising=False)  # core remembers those of the first load
        manager = InventoryManager(DataLoader(), sources=[str(source) for source in sources], cache=not flush_cache)
    gc.unfreeze()  # the next load would take this one for replaced, and collect the garbage of all tests
    assert not [text for text in displayed if "DEPRECATION" in text]
    return Loaded(manager, displayed)


def _keep_displayed(patch: pytest.MonkeyPatch, verbosity: int) -> list[str]:
    """Have everything kept that core displays, also what it displayed to an earlier test already."""
    displayed: list[str] = []

    def keep(_display: Display, msg: str, *_arguments: Any, **_options: Any) -> None:
        displayed.append(" ".join(msg.split()))

    patch.setattr(Display, "display", keep)
    patch.setattr(Display(), "verbosity", verbosity)
    patch.setattr(Display(), "columns", 100_000)
    Display()._warns.clear()
    return displayed
