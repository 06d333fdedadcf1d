# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time
from email.utils import parsedate_to_datetime

import pytest
import requests

from ansible_collections.phala.cloud.tests.simulator import RateLimit, Simulator

from .conftest import Get


def test_requests_above_the_rate_are_refused_until_a_second_has_passed(get: Get, simulator: Simulator) -> None:
    simulator.rate_limit = RateLimit(2)
    responses = [get() for dummy in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 429]
    assert responses[2].headers["Retry-After"] == "1"
    time.sleep(1.01)
    assert get().status_code == 200


def test_rate_is_for_all_clients_together(simulator: Simulator) -> None:
    simulator.rate_limit = RateLimit(10)
    seen: list[int] = []

    def ask() -> None:
        headers = {"X-API-Key": simulator.api_key}
        seen.extend(requests.get(f"{simulator.url}/apps", headers=headers, timeout=5).status_code for dummy in range(5))

    threads = [threading.Thread(target=ask) for dummy in range(6)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 30
    assert 10 <= seen.count(200) <= 10 * (1 + int(time.monotonic() - start))


@pytest.mark.parametrize("skew", [0, 3600, -3600])
def test_date_of_retry_after_is_of_the_services_clock(get: Get, simulator: Simulator, skew: int) -> None:
    simulator.rate_limit = RateLimit(1, retry_after="date")
    simulator.clock_skew = skew
    get()
    response = get()
    date, retry = (parsedate_to_datetime(response.headers[name]) for name in ("Date", "Retry-After"))
    assert (retry - date).total_seconds() in (1, 2)
    assert abs(date.timestamp() - time.time() - skew) < 2


def test_retry_after_can_be_missing(get: Get, simulator: Simulator) -> None:
    simulator.rate_limit = RateLimit(1, retry_after=None)
    get()
    response = get()
    assert response.status_code == 429
    assert "Retry-After" not in response.headers


def test_every_response_has_one_date(simulator: Simulator, get: Get) -> None:
    for response in (get(), get(page=0), requests.get(simulator.url, timeout=5)):
        assert parsedate_to_datetime(response.headers["Date"]).timestamp() == pytest.approx(time.time(), abs=2)
