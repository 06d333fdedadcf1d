# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong for one host is UNREACHABLE for that host only, in words that help."""

from __future__ import annotations

import re

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .cloud import DOMAIN, Cloud
from .conftest import hex_id
from .project import CLOSED, Project, apps_of
from .sshd import free_port, make_key

OTHERS = {"web-1": hex_id(1), "web-3": hex_id(3)}


def test_a_wrong_key(project: Project) -> None:
    make_key(project.folder / "wrong_key")
    project.set_variables("host_vars/web-2", ansible_ssh_private_key_file=str(project.folder / "wrong_key"))
    played = project.play("app_web")
    assert (played.told, played.unreachable) == (OTHERS, {"web-2"})
    assert "Permission denied (publickey)" in played.output


def test_a_closed_gateway(project: Project, service: Simulator, cloud: Cloud) -> None:
    service.fleet = apps_of(cloud, {"web-2": {"gateway_domain": f"{DOMAIN}:{free_port()}"}})
    project.do_not_persist()
    played = project.play("app_web")
    assert (played.told, played.unreachable) == (OTHERS, {"web-2"})
    assert "Connection refused" in played.output


def test_a_gateway_that_has_no_address(project: Project, service: Simulator, cloud: Cloud) -> None:
    service.fleet = apps_of(cloud, {"web-2": {"gateway_domain": "nowhere.invalid"}})
    project.do_not_persist()
    played = project.play("app_web")
    assert (played.told, played.unreachable) == (OTHERS, {"web-2"})
    assert "Name or service not known" in played.output


def test_a_cvm_that_stopped_since_the_inventory_was_read(project: Project, cloud: Cloud) -> None:
    cloud.servers[hex_id(2)].stop()
    played = project.play("app_web")
    assert (played.told, played.unreachable) == (OTHERS, {"web-2"})
    assert re.search(CLOSED, played.output), played.output


def test_an_instance_that_the_gateway_does_not_know(project: Project, service: Simulator, cloud: Cloud) -> None:
    stranger = hex_id(99)
    cloud.know(project.client, f"{stranger}-22.{DOMAIN}")
    service.fleet = apps_of(cloud, {"web-2": {"instance_id": stranger}})
    played = project.play("app_web")
    assert (played.told, played.unreachable) == (OTHERS, {"web-2"})


def test_a_cvm_that_is_listed_as_stopped(project: Project) -> None:
    assert project.play("app_batch").unreachable == {"batch"}


def test_a_cvm_without_an_address_is_never_reached_by_its_name(project: Project, service: Simulator, cloud: Cloud) -> None:
    name = f"{hex_id(4)}-22.{DOMAIN}"
    service.fleet = apps_of(cloud, {"web-2": {"instance_id": None, "name": name}})
    before = len(cloud.gateway.asked)
    played = project.play("app_web")
    assert (played.told, played.unreachable) == (OTHERS, {name})
    assert "no instance id, and its app has other CVMs" in played.output
    assert "connect_with: none" in played.output
    assert set(cloud.gateway.asked[before:]) == {f"{instance}-22.{DOMAIN}" for instance in OTHERS.values()}


def test_an_id_that_is_a_command_is_not_run(project: Project, service: Simulator, cloud: Cloud) -> None:
    trap = project.folder / "trap"
    service.fleet = apps_of(cloud, {"web-2": {"instance_id": f"$(touch {trap})"}})
    played = project.play("app_web")
    assert (played.told, played.unreachable) == (OTHERS, {"web-2"})
    assert "the instance_id is not a hexadecimal number" in played.warnings
    assert not trap.exists()
