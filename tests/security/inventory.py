# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read an inventory source in this process, by ansible-core's own InventoryManager, and keep all that came of it."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader
from ansible.utils.display import Display

PLUGIN = "phala.cloud.phala"
SET_BY_CORE = ("inventory_file", "inventory_dir")
BUILT_IN_GROUPS = ("all", "ungrouped")


@dataclass(frozen=True)
class Outcome:
    """What came of one source: the inventory, the plugin's exception if it failed, all that was displayed, and the time."""

    manager: InventoryManager
    error: BaseException | None
    displayed: list[str]
    seconds: float

    @property
    def hosts(self) -> dict[str, dict[str, Any]]:
        """Every host with its own variables."""
        return {
            name: {variable: value for variable, value in host.vars.items() if variable not in SET_BY_CORE}
            for name, host in self.manager.hosts.items()
        }

    @property
    def groups(self) -> dict[str, dict[str, Any]]:
        """Every group with its hosts, children and variables, in the order that they came."""
        return {
            name: {
                "hosts": [host.name for host in group.hosts],
                "children": [child.name for child in group.child_groups],
                "vars": dict(group.vars),
            }
            for name, group in self.manager.groups.items()
            if name not in BUILT_IN_GROUPS
        }

    @property
    def text(self) -> str:
        """The whole inventory as one text, for comparison byte for byte."""
        return json.dumps([self.hosts, self.groups], ensure_ascii=True)

    @property
    def message(self) -> str:
        """What the plugin said when it failed."""
        assert isinstance(self.error, AnsibleError), f"no clean failure: {self.error!r}, hosts {list(self.hosts)[:5]}"
        return " ".join(str(self.error).split())

    def assert_whole(self) -> Outcome:
        assert self.error is None, self.error
        return self

    def assert_nothing(self) -> Outcome:
        """Assert that the source failed cleanly and left no host and no group behind."""
        assert self.message
        assert (self.hosts, self.groups) == ({}, {})
        return self


def read_inventory(*sources: Path, use_cache: bool = True, verbosity: int = 0) -> Outcome:
    """Read the sources as a command does; without ``use_cache`` as with ``--flush-cache``."""
    with _kept_displays(verbosity) as displayed, _kept_error() as errors:
        started = time.monotonic()
        manager = InventoryManager(DataLoader(), sources=[str(source) for source in sources], cache=use_cache)
        seconds = time.monotonic() - started
    gc.unfreeze()  # the next reading would take this one for replaced, and collect the garbage of all tests
    return Outcome(manager, errors[0] if errors else None, displayed, seconds)


@contextmanager
def _kept_displays(verbosity: int) -> Iterator[list[str]]:
    """Keep every text that core displays, also those that it would not repeat."""
    displayed: list[str] = []

    def keep(_display: Display, msg: str, *_arguments: Any, **_options: Any) -> None:
        displayed.append(msg)

    display = Display()
    display._warns.clear()
    with (
        patch.object(Display, "display", keep),
        patch.object(display, "verbosity", verbosity),
        patch.object(display, "columns", 100_000),
    ):
        yield displayed


@contextmanager
def _kept_error() -> Iterator[list[BaseException]]:
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
