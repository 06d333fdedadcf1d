# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection costs a control node: room, packages, and the time of every command that reads an inventory."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import CHECKOUT, Place

LARGEST_TARBALL = 200_000  # bytes
LARGEST_INSTALLATION = 650_000
SECONDS_TO_LOAD = 0.25  # of CPU time, the least of ten runs: the machine may have other work

LOAD = """\
import json, sys, time
from ansible.plugins.loader import init_plugin_loader, inventory_loader
import ansible.inventory.manager, ansible.parsing.dataloader
init_plugin_loader()
inventory_loader.get("ansible.builtin.constructed")
before, began = set(sys.modules), time.process_time()
assert inventory_loader.get("phala.cloud.phala")
print(json.dumps({"seconds": time.process_time() - began, "modules": sorted(sys.modules.keys() - before)}))
"""


@pytest.fixture
def installed(tarball: Path, place: Place) -> Place:
    place.install(tarball)
    return place


def load(place: Place) -> Any:
    """Load the plugin in a new process, after all that Ansible itself loads."""
    return json.loads(place.run(sys.executable, "-c", LOAD).stdout)


def test_tarball_is_small(tarball: Path) -> None:
    assert tarball.stat().st_size < LARGEST_TARBALL


def test_installation_is_small(installed: Place) -> None:
    assert sum(path.stat().st_size for path in installed.collection.rglob("*") if path.is_file()) < LARGEST_INSTALLATION


def test_only_requests_and_what_it_brings_along_are_required_as_documented() -> None:
    lines = (CHECKOUT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = [line.partition(">=") for line in lines]
    documented = (
        (CHECKOUT / "plugins/inventory/phala.py").read_text(encoding="utf-8").partition("requirements:\n")[2].splitlines()
    )
    assert [name for name, _at_least, _version in requirements] == ["requests", "urllib3"]
    assert [line.strip() for line in documented[:2]] == [
        f"- {name} >= {version} (Python package)" for name, _at_least, version in requirements
    ]


def test_loading_the_plugin_loads_nothing_but_itself_and_what_python_brings_along(installed: Place) -> None:
    packages = {module.partition(".")[0] for module in load(installed)["modules"]}
    assert packages - sys.stdlib_module_names == {"ansible", "ansible_collections"}
    assert packages.isdisjoint({"asyncio", "concurrent", "http", "ssl"})


def test_plugin_loads_at_once(installed: Place) -> None:
    assert min(load(installed)["seconds"] for dummy in range(10)) < SECONDS_TO_LOAD
