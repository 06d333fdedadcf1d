# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from ansible_collections.phala.cloud.tests.simulator import Simulator, make_fleet

Get = Callable[..., requests.Response]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(fleet=make_fleet()) as running:
        yield running


@pytest.fixture
def get(simulator: Simulator) -> Iterator[Get]:
    """Ask for the list of apps as a client does: query parameters as keywords."""
    with requests.Session() as session:

        def ask(*, version: str = "2026-06-23", path: str = "/apps", **query: Any) -> requests.Response:
            headers = {"X-API-Key": simulator.api_key, "X-Phala-Version": version}
            url = simulator.url + path
            return session.get(url, params=query, headers=headers, timeout=5, allow_redirects=False)

        yield ask
