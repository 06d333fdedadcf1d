# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plays reach the very instances that their patterns select."""

from __future__ import annotations

import pytest

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .cloud import Cloud
from .conftest import hex_id
from .project import Project, apps_of, tell


def test_region_and_status_select_where_a_play_lands(project: Project) -> None:
    played = project.play("region_US_WEST_1:&status_running:!os_type_prod")
    assert played.told == {"web-1": hex_id(1), "web-2": hex_id(2), "api": hex_id(4)}
    assert played.unreachable == played.failed == set()


def test_each_replica_is_the_instance_that_it_is_named_for(project: Project) -> None:
    assert project.play("app_web").told == {"web-1": hex_id(1), "web-2": hex_id(2), "web-3": hex_id(3)}


def test_the_only_cvm_of_an_app_is_reached_by_the_app_id(project: Project, service: Simulator, cloud: Cloud) -> None:
    service.fleet = apps_of(cloud, {"api": {"instance_id": None}})
    assert project.play("api").told == {"api": hex_id(4)}
    assert cloud.gateway.asked[-1] == f"{hex_id(0xA2)}-22.gateway.test"


def test_a_play_leaves_out_images_without_sshd(project: Project) -> None:
    by_variable = {"ansible.builtin.meta": "end_host", "when": "not phala_is_dev"}
    played = project.play("region_US_WEST_1:&status_running", by_variable, *tell("echo here"))
    assert played.told == {"web-1": "here", "web-2": "here", "api": "here"}
    assert played.unreachable == set()


def test_a_cvm_without_python_takes_no_module(project: Project) -> None:
    project.set_variables("host_vars/api", ansible_python_interpreter="/nowhere/python3")
    assert project.play("api", {"ansible.builtin.ping": {}}).failed == {"api"}


def test_one_play_serves_cvms_with_and_without_python(project: Project) -> None:
    project.set_variables("host_vars/api", ansible_python_interpreter="/nowhere/python3")
    played = project.play(
        "api:web-1",
        {
            "ansible.builtin.raw": "command -v {{ ansible_python_interpreter | default('python3') }}",
            "register": "python",
            "failed_when": False,
            "changed_when": False,
        },
        {"ansible.builtin.ping": {}, "when": "python.rc == 0", "register": "pong"},
        {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} says {{ pong.ping | default('only raw') }}"}},
    )
    assert played.told == {"api": "only raw", "web-1": "pong"}


@pytest.mark.parametrize("pipelining", ["false", "true"])
def test_modules_work_and_tasks_share_a_connection(project: Project, cloud: Cloud, pipelining: str) -> None:
    project.client.environment["ANSIBLE_PIPELINING"] = pipelining
    before = len(cloud.gateway.asked)
    lines = {"ansible.builtin.command": {"argv": ["printf", "Q\nR\nK\nB\n"]}, "register": "lines"}
    right = {"ansible.builtin.assert": {"that": ["lines.stdout_lines == ['Q', 'R', 'K', 'B']"]}}
    played = project.play("app_web", {"ansible.builtin.setup": {}}, lines, right)
    assert played.hosts == {"web-1", "web-2", "web-3"}
    assert played.failed == played.unreachable == set()
    assert len(cloud.gateway.asked) == before + 3
