# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load an inventory in this process, by ansible-core's own InventoryManager, and keep what was displayed meanwhile."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ansible import context
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader
from ansible.utils.context_objects import CLIArgs
from ansible.utils.display import Display
from ansible.utils.vars import load_extra_vars
from ansible.vars.manager import VariableManager

PLUGIN = "phala.cloud.phala"
BUILT_IN_GROUPS = ("all", "ungrouped")
SET_BY_CORE = ("inventory_file", "inventory_dir")
GATEWAY = "_gateway"
FAILED = "Failed to parse"


@dataclass(frozen=True)
class Loaded:
    """What ansible-core holds after loading, each text that it displayed, on one line, and the plugin's first exception."""

    manager: InventoryManager
    displayed: list[str]
    error: BaseException | None
    seconds: float

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

    @property
    def text(self) -> str:
        """The whole inventory as one text, in its order, for comparison byte for byte."""
        groups = {
            name: [[host.name for host in group.hosts], [child.name for child in group.child_groups], dict(group.vars)]
            for name, group in self._groups()
        }
        return json.dumps([self.hosts, groups])

    @property
    def message(self) -> str:
        """What the plugin said when it failed."""
        assert isinstance(self.error, AnsibleError), f"no clean failure: {self.error!r}, hosts {list(self.hosts)[:5]}"
        return " ".join(str(self.error).split())

    def assert_whole(self) -> Loaded:
        assert self.error is None, self.error
        return self

    def assert_nothing(self) -> Loaded:
        """Assert that the source failed cleanly and left no host and no group behind."""
        assert self.message
        assert (self.hosts, self._groups()) == ({}, [])
        return self

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
    sources: Sequence[Path | str],
    *,
    extra_vars: Mapping[str, Any] | None = None,
    verbosity: int = 0,
    flush_cache: bool = False,
) -> Loaded:
    """Load the sources as a command with these options does: ``-e``, ``-v``, ``--flush-cache``."""
    arguments = CLIArgs({"extra_vars": [json.dumps(extra_vars)] if extra_vars else []})
    vars(load_extra_vars).pop("extra_vars", None)  # core remembers those of the first load
    with _kept_displays(verbosity) as displayed, _kept_errors() as errors, patch.object(context, "CLIARGS", arguments):
        started = time.monotonic()
        manager = InventoryManager(DataLoader(), sources=[str(source) for source in sources], cache=not flush_cache)
        seconds = time.monotonic() - started
    gc.unfreeze()  # the next load would take this one for replaced, and collect the garbage of all tests
    assert not [text for text in displayed if "DEPRECATION" in text]
    return Loaded(manager, displayed, errors[0] if errors else None, seconds)


@contextmanager
def _kept_displays(verbosity: int) -> Iterator[list[str]]:
    """Keep everything that core displays, also what it displayed to an earlier test already."""
    displayed: list[str] = []

    def keep(_display: Display, msg: str, *_arguments: Any, **_options: Any) -> None:
        displayed.append(" ".join(msg.split()))

    display = Display()
    display._warns.clear()
    with (
        patch.object(Display, "display", keep),
        patch.object(display, "verbosity", verbosity),
        patch.object(display, "columns", 100_000),
    ):
        yield displayed


@contextmanager
def _kept_errors() -> Iterator[list[BaseException]]:
    """Keep what the plugin raises, which core turns into a warning."""
    plugin = inventory_loader.get(PLUGIN, class_only=True)
    original = plugin.parse
    errors: list[BaseException] = []

    def parse(self: Any, *arguments: Any, **options: Any) -> None:
        try:
            original(self, *arguments, **options)
        except BaseException as error:
            errors.append(error)
            raise

    with patch.object(plugin, "parse", parse):
        yield errors
