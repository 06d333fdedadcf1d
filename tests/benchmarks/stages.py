# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load an inventory source in this process and print how many seconds each stage of it took; imports Ansible."""

from __future__ import annotations

import argparse
import cProfile
import functools
import pstats
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from ansible.inventory.data import InventoryData
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory.auto import InventoryModule as Auto
from ansible.plugins.loader import init_plugin_loader, inventory_loader

init_plugin_loader()

from ansible_collections.phala.cloud.plugins.inventory import phala
from ansible_collections.phala.cloud.plugins.plugin_utils import _build, _fleet

WHOLE = "InventoryManager()"
STAGES: tuple[tuple[str, Any, str, int], ...] = (
    ("auto, finding the plugin and freeing what it held", Auto, "parse", 1),
    ("parse()", phala.InventoryModule, "parse", 2),
    ("read_settings()", phala, "read_settings", 3),
    ("get_fleet()", phala, "get_fleet", 3),
    ("fetching", _fleet, "_fetch", 4),
    ("select_from_accounts()", phala, "select_from_accounts", 3),
    ("build()", phala, "build", 3),
    ("host_variables(), once per host", _build, "host_variables", 4),
    ("connect(), once per host", _build, "connect", 4),
    ("names and constructed", _build, "_named", 4),
    ("publish()", phala, "publish", 3),
    ("reconcile_inventory(), by Ansible", InventoryData, "reconcile_inventory", 1),
)
SHOWN_CALLS = 40


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stages", description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--calls", action="store_true", help="profile all calls instead of timing the stages")
    arguments = parser.parse_args()
    if arguments.calls:
        _profile_calls(arguments.source)
    else:
        _time_stages(arguments.source)


def _load(source: str) -> None:
    InventoryManager(DataLoader(), sources=[source])


def _profile_calls(source: str) -> None:
    profiler = cProfile.Profile()
    profiler.runcall(_load, source)
    pstats.Stats(profiler, stream=sys.stdout).strip_dirs().sort_stats("tottime").print_stats(SHOWN_CALLS)


def _time_stages(source: str) -> None:
    seconds: dict[str, float] = defaultdict(float)
    # What the loader has made of the plugin's file is another module than the one that Python imports.
    loaded = sys.modules[type(inventory_loader.get("phala.cloud.phala")).__module__]
    for label, owner, name, _level in STAGES:
        place = loaded if owner is phala else loaded.InventoryModule if owner is phala.InventoryModule else owner
        setattr(place, name, _timed(getattr(place, name), label, seconds))
    started = time.process_time()
    _load(source)
    seconds[WHOLE] = time.process_time() - started
    for label, level in [(WHOLE, 0), *((label, level) for label, _owner, _name, level in STAGES)]:
        print(f"{seconds[label]:8.3f} s  {'  ' * level}{label}")  # noqa: T201


def _timed(function: Callable[..., Any], label: str, seconds: dict[str, float]) -> Callable[..., Any]:
    """Return the function, which adds the processor's seconds of all threads to those of its label."""

    @functools.wraps(function)
    def timed(*arguments: Any, **options: Any) -> Any:
        started = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            seconds[label] += time.process_time() - started

    return timed


if __name__ == "__main__":
    main()
