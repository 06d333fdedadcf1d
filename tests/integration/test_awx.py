# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An inventory update of AWX: the command and the environment of RunInventoryUpdate in awx/main/tasks/jobs.py, without AWX."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.commands import Completed
from ansible_collections.phala.cloud.tests.simulator import Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import Status

from .fleets import FLEET, NAMES

ENVIRONMENT = {
    "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
    "ANSIBLE_INVENTORY_EXPORT": "True",
    "ANSIBLE_VERBOSE_TO_STDERR": "True",
    "ANSIBLE_FORCE_COLOR": "True",
    "ANSIBLE_HOST_KEY_CHECKING": "False",
    "INVENTORY_SOURCE_ID": "7",
    "INVENTORY_UPDATE_ID": "1",
}


@dataclass(frozen=True)
class Update:
    """An inventory update that has ended, and where it wrote to."""

    command: Completed
    output: Path

    @property
    def inventory(self) -> Any:
        assert self.command.status == 0, self.command.stderr
        return json.loads(self.output.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def project(tmp_path: Path, simulator: Simulator) -> Path:
    """Make the folder that AWX copies a project to, with a source in it."""
    simulator.fleet = FLEET
    (tmp_path / "project/inventory/group_vars").mkdir(parents=True)
    (tmp_path / "artifacts/1").mkdir(parents=True)
    return tmp_path / "project"


@pytest.fixture
def update(project: Path, write: Callable[..., Path], command: Callable[..., Completed]) -> Callable[..., Update]:
    """Return a function that updates from a source with these options as AWX does, at its own default verbosity."""

    def run_update(*, verbosity: int = 1, env: dict[str, str] | None = None, **options: Any) -> Update:
        source = write(options, name="project/inventory/phala.yml")
        output = project.parent / "artifacts/1/output.json"
        arguments = ["--list", "--export", "-i", source, "--output", output, "--playbook-dir", source.parent]
        if verbosity:
            arguments.append("-" + "v" * min(5, verbosity * 2 + 1))
        return Update(command("ansible-inventory", *arguments, env={**ENVIRONMENT, **(env or {})}), output)

    return run_update


@pytest.mark.parametrize("verbosity", [0, 2])
def test_update_is_plain_json_with_the_variables_of_groups_apart(verbosity: int, update: Callable[..., Update]) -> None:
    updated = update(verbosity=verbosity)
    inventory = updated.inventory
    hosts = inventory["_meta"]["hostvars"]
    assert sorted(hosts) == NAMES
    shared = inventory["phala_gateway"]["vars"]
    assert list(shared) == ["ansible_port", "ansible_ssh_common_args", "ansible_user"]
    assert [name for name, variables in hosts.items() if shared.keys() & variables.keys()] == []
    assert "__ansible" not in updated.output.read_text(encoding="utf-8")
    assert updated.command.stdout.strip() in ("", f"Outputting inventory to {updated.output}")


@pytest.mark.parametrize("names", ["always", "never"])
def test_groups_and_hosts_are_as_awx_reads_them(names: str, update: Callable[..., Update]) -> None:
    inventory = update(env={"ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS": names}).inventory
    assert inventory["all"] == {"children": ["ungrouped", "phala"]}
    assert inventory["region_US_WEST_1"] == {"hosts": ["web-1", "web-2"]}
    assert sorted(inventory["phala"]["children"]) == sorted(inventory.keys() - {"_meta", "all", "phala"})
    hosts = inventory["_meta"]["hostvars"]
    assert hosts["web-1"]["phala_app"]["name"] == "web"
    enabled = sorted(name for name, variables in hosts.items() if variables["phala_status"] == "running")
    assert enabled == ["api-1", "api-2", "web-1", "web-3"]


def test_variables_of_the_project_are_exported_with_the_group(update: Callable[..., Update], write: Callable[..., Path]) -> None:
    write("ansible_user: admin\n", name="project/inventory/group_vars/phala_gateway.yml")
    inventory = update().inventory
    variables = inventory["phala_gateway"]["vars"]
    assert (variables["ansible_user"], variables["ansible_port"]) == ("admin", 443)


def test_log_of_the_default_verbosity_says_what_was_read_and_left_out(update: Callable[..., Update]) -> None:
    said = update(filters={"status": "running"}).command.stderr
    assert "4 CVMs in 2 apps from" in said
    assert "web-2" in said


def test_update_that_cannot_be_had_fails(update: Callable[..., Update], simulator: Simulator) -> None:
    simulator.misbehave(Status(503), times=None)
    updated = update(retries=0)
    assert updated.command.status != 0
    assert not updated.output.exists()
