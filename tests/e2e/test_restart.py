# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A CVM that restarts has new host keys, and a task that prints nothing outlives the gateway's idle limit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.simulator import Recorded, Simulator

from .cloud import Cloud
from .conftest import hex_id
from .project import Project, tell

RECIPE = Path(__file__).parents[2] / "docs" / "examples" / "restart.yml"
ALL = {"web-1": hex_id(1), "web-2": hex_id(2), "web-3": hex_id(3)}
CHANGED = "REMOTE HOST IDENTIFICATION HAS CHANGED"

SECONDS_TO_START = 15.0  # longer than the pause between two looks at the status, also on a busy machine
IDLE_LIMIT = 3.0  # seconds
SILENT_TASK = tell("sleep 8; echo done")


@pytest.fixture
def own_keys(project: Project) -> Project:
    """Keep the host keys as docs/connecting.md recommends, in a file of the project."""
    arguments = "-o StrictHostKeyChecking=accept-new -o 'UserKnownHostsFile=\"{{ inventory_dir }}/known_hosts\"'"
    project.set_variables("group_vars/phala_gateway", ansible_ssh_extra_args=arguments)
    return project


def reboot_with_service(cloud: Cloud, service: Simulator) -> None:
    """Reboot the SSH server of a CVM whenever the service has restarted it."""
    service.status_lag, service.seconds_to_start = 1.0, SECONDS_TO_START
    rebooted: set[str] = set()

    def follow(fleet: Sequence[Any], _request: Recorded) -> Sequence[Any]:
        starting = {str(cvm.instance_id) for app in fleet for cvm in app.cvms if cvm.status == "starting"}
        for instance_id in starting - rebooted:
            cloud.servers[instance_id].reboot()
        rebooted.update(starting)
        return fleet

    service.evolve = follow


def restart(project: Project, service: Simulator, target: str) -> str:
    project.client.environment.update(PHALA_CLOUD_API_KEY=service.api_key, PHALA_CLOUD_API_PREFIX=service.url)
    done = project.client.run("ansible-playbook", "-i", "phala.yml", RECIPE, "-e", f"target={target}", timeout=300)
    project.client.hang_up()
    return done.stdout + done.stderr


def test_the_recipe_removes_the_keys_of_the_cvm_that_it_restarted(own_keys: Project, cloud: Cloud, service: Simulator) -> None:
    assert own_keys.play("app_web").told == ALL
    reboot_with_service(cloud, service)
    old_key = cloud.servers[hex_id(2)].host_key
    output = restart(own_keys, service, "web-2")
    keys = (own_keys.folder / "known_hosts").read_text(encoding="utf-8")
    assert old_key not in keys, output
    assert all(cloud.servers[ALL[name]].host_key in keys for name in ("web-1", "web-3"))
    assert cloud.servers[hex_id(2)].host_key != old_key
    assert own_keys.play("app_web").told == ALL


def test_a_key_that_changes_without_the_recipe_is_refused(own_keys: Project, cloud: Cloud, service: Simulator) -> None:
    assert own_keys.play("app_web").told == ALL
    own_keys.client.hang_up()
    cloud.servers[hex_id(1)].reboot()
    reboot_with_service(cloud, service)
    restart(own_keys, service, "web-2")
    played = own_keys.play("app_web")
    assert (played.told, played.unreachable) == ({"web-2": hex_id(2), "web-3": hex_id(3)}, {"web-1"})
    assert CHANGED in played.output


def test_a_silent_task_outlives_the_idle_limit(project: Project, cloud: Cloud) -> None:
    cloud.gateway.idle_limit = IDLE_LIMIT
    # The first value counts, and ssh_args come before those of the inventory.
    project.client.environment["ANSIBLE_SSH_ARGS"] = "-o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=1"
    assert project.play("api", *SILENT_TASK).told == {"api": "done"}


def test_without_messages_to_keep_it_open_the_gateway_closes_a_silent_connection(project: Project, cloud: Cloud) -> None:
    cloud.gateway.idle_limit = IDLE_LIMIT
    project.client.environment["ANSIBLE_SSH_ARGS"] = "-o ServerAliveInterval=0"
    played = project.play("api", *SILENT_TASK)
    assert played.told == {}
    assert played.unreachable | played.failed == {"api"}


def test_the_inventory_sends_messages_more_often_than_the_gateway_s_limit(project: Project) -> None:
    arguments = project.list_hosts()["api"]["ansible_ssh_common_args"]
    assert "-o ServerAliveInterval=60" in arguments
