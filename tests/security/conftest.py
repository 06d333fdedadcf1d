# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the security tests share: one stand-in service, and a project folder for each test."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from ansible_collections.phala.cloud.tests.certificates import Certificates, make_certificates
from ansible_collections.phala.cloud.tests.simulator import Simulator, make_fleet

from .project import KEY, Project

SECONDS_TO_SETTLE = 2
FLEET = make_fleet(seed=4, cvms=14)


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    """Start the service once, for it takes longer than most tests."""
    with Simulator(fleet=FLEET, api_key=KEY, page_size_limit=4) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Iterator[Simulator]:
    """Hand out the service as it was at the start: fourteen CVMs on four pages, and no faults."""
    before = set(threading.enumerate())
    restore(running)
    yield running
    running.hang_up()
    wait_for_threads(before)


def restore(running: Simulator) -> None:
    running.forgive()
    running.clear()
    running.fleet = FLEET
    running.page_size_limit = 4


def wait_for_threads(before: Collection[threading.Thread]) -> None:
    """Let the requests end that the plugin has left to themselves, so that they disturb no other test."""
    limit = time.monotonic() + SECONDS_TO_SETTLE
    while set(threading.enumerate()) - set(before) and time.monotonic() < limit:
        time.sleep(0.002)


@pytest.fixture
def project(tmp_path: Path, simulator: Simulator) -> Project:
    return Project(tmp_path, simulator.url)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Name the file that hostile text creates once it is run."""
    return tmp_path / "canary"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "127.0.0.1", "localhost")
