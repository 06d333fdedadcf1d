# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the end-to-end tests share: the platform in miniature, and a control node for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.phala.cloud.tests.needs import skip_or_fail
from ansible_collections.phala.cloud.tests.simulator import Simulator

from .cloud import Client, Cloud, Cvm, control_node, running_cloud
from .needs import missing_tools
from .project import Project, apps_of, make_project


def hex_id(number: int) -> str:
    """Give an id of the kind that the platform gives: 40 hex digits."""
    return f"{number:040x}"


FLEET = (
    Cvm("web-1", app="web", app_id=hex_id(0xA1), instance_id=hex_id(1)),
    Cvm("web-2", app="web", app_id=hex_id(0xA1), instance_id=hex_id(2)),
    Cvm("web-3", app="web", app_id=hex_id(0xA1), instance_id=hex_id(3), region="EU-WEST-1"),
    Cvm("api", app="api", app_id=hex_id(0xA2), instance_id=hex_id(4)),
    Cvm("batch", app="batch", app_id=hex_id(0xA3), instance_id=hex_id(5), status="stopped"),
    Cvm("shop", app="shop", app_id=hex_id(0xA4), instance_id=hex_id(6), base_image="dstack-0.5.7"),
    Cvm("box", app="box", app_id=hex_id(0xA5), instance_id=hex_id(7), region="US-EAST-1", ssh_port=2222),
)


def require_tools(folder: Path) -> None:
    """Skip or fail where the machine lacks what the platform needs."""
    missing = missing_tools(folder)
    if missing:
        skip_or_fail(f"end-to-end tests need {', '.join(missing)}")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Start the platform once for all tests."""
    require_tools(tmp_path_factory.mktemp("probe"))
    with running_cloud(tmp_path_factory.mktemp("cloud"), FLEET) as cloud:
        yield cloud


@pytest.fixture
def cloud(running: Cloud) -> Iterator[Cloud]:
    """Hand out the platform, and put back what the test took away from it."""
    yield running
    running.gateway.certificate = running.certificates.good
    running.gateway.idle_limit = None
    running.gateway.open()
    running.start()


@pytest.fixture
def client(cloud: Cloud, tmp_path: Path) -> Iterator[Client]:
    """Set up a control node that has not connected to anything yet."""
    with control_node(tmp_path, cloud) as node:
        yield node


@pytest.fixture
def service(cloud: Cloud) -> Iterator[Simulator]:
    """Start the stand-in service, which lists the platform's CVMs."""
    with Simulator(apps=apps_of(cloud)) as simulator:
        yield simulator


@pytest.fixture
def project(client: Client, cloud: Cloud, service: Simulator) -> Project:
    """Set up a project whose inventory source asks the stand-in service."""
    return make_project(client, cloud, service)
