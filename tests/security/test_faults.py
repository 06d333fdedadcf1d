# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each fault of the service is survived with the whole fleet, or the source fails with no host at all, in time and in words."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any, Final

import pytest

from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import (
    EMPTY_PAGE,
    MALFORMATIONS,
    Alteration,
    Body,
    Close,
    Delay,
    Drift,
    Fault,
    Hang,
    Html,
    HugeBody,
    InsertFirst,
    InvalidUtf8,
    Redirect,
    RemoveFirst,
    Repeat,
    Replace,
    Reset,
    Reverse,
    Status,
    Trickle,
    Truncate,
    WrongLength,
)

from .conftest import restore
from .project import Project

SLACK: Final = 3.0  # seconds that a busy machine may add
CONNECTION: Final = "the connection failed: .*. Check api_url and the network."
BROKEN_JSON: Final = r"the response is broken JSON \(JSONDecodeError, \d+ bytes\). Run the command again."
TOO_SLOW: Final = "no complete response within [12] s. Check the network, raise timeout, or lower page_size."
BACKOFF: Final = (0, 0, 1, 3, 7)  # seconds in all, by the number of retries

PASSING: Final[Mapping[str, tuple[Fault, str]]] = {
    "reset": (Reset(), "the connection failed: Connection reset by peer. Check api_url and the network."),
    "reset in the body": (Reset(after=50), CONNECTION),
    "closed": (Close(), CONNECTION),
    "no answer": (Hang(), TOO_SLOW),
    "no body": (Hang(head=True), TOO_SLOW),
    "endless body": (Trickle(), TOO_SLOW),
    "slow endless body": (Trickle(interval=0.4), TOO_SLOW),
    "late": (Delay(3), TOO_SLOW),
    "truncated": (Truncate(), CONNECTION),
    "truncated at once": (Truncate(after=0), "the connection failed: .*"),
    "length too small": (WrongLength(-10), BROKEN_JSON),
    "length too large": (WrongLength(10), "the connection failed: .*"),
    "invalid UTF-8": (InvalidUtf8(), r"broken JSON \(UnicodeDecodeError, \d+ bytes\). Run the command again."),
    "no JSON": (Body(b"{"), r"broken JSON \(JSONDecodeError, 1 bytes\). Run the command again."),
    "empty body": (Body(b""), BROKEN_JSON),
    "no gzip": (
        Body(b"plain", headers={"content-encoding": "gzip"}),
        r"broken gzip \(it cannot be unpacked\). Run the command again.",
    ),
    "HTML of a proxy, 503": (Html(503), "503 from .*the service is not available now.*Try again later"),
    "429": (Status(429), "429 from .*too many requests.*Try again later"),
    **{
        str(status): (Status(status), f"{status} from .*the service is not available now.*Try again later")
        for status in (500, 502, 503, 504, 520, 599)
    },
}
"""Faults after which the next try may do better, each with the message when it does not."""

LASTING: Final[Mapping[str, tuple[Fault, str]]] = {
    "401": (
        Status(401),
        "401 from .*: the API key from api_key in .*phala.yml was refused.*Check that the key is complete, not revoked",
    ),
    "403 of the key": (
        Status(403, message="Invalid API key"),
        "403 from .*: the API key from api_key in .*phala.yml was refused",
    ),
    "403 of a proxy": (Html(403), "403 from .*: a proxy or firewall in front of the service refused the request.*Check api_url"),
    "404": (Status(404), "404 from .*: there is no such endpoint.*Check api_url"),
    "422": (
        Status(422, message=[{"loc": ["query", "page_size"], "msg": "too large", "type": "x"}]),
        r"422 from .*: the service does not accept the query .*query\.page_size: too large",
    ),
    **{
        str(status): (Status(status), f"{status} from .*: the service refused the request")
        for status in (400, 402, 403, 405, 409, 410, 418, 451)
    },
    **{str(status): (Status(status), f"{status} from ") for status in (201, 203, 206, 299)},
    "304": (Status(304), "304 from .*"),
    **{
        str(status): (Redirect("http://127.0.0.1:1/", status), f"{status} from .*does not follow redirects")
        for status in (301, 302, 303, 307, 308)
    },
    "HTML of a proxy, 200": (Html(200), "text/html.*, not JSON. A server in between responded, such as a proxy or a login page"),
    "64 MiB and more": (HugeBody(65), "larger than 64 MiB, so it is not from the service. Check api_url."),
    "gzip bomb": (HugeBody(65, gzip=True), "larger than 64 MiB, so it is not from the service. Check api_url."),
    "wrong page": (Replace("page", 9), "it is page 9, but page [123] was requested. Check api_url and api_version"),
    "total beyond 64 bits": (Replace("total", 10**30), "total is null. Check api_url and api_version"),
}
"""Faults after which another try is in vain, each with its message."""

ON_THIRD: Final = ("reset", "truncated", "length too small", "503", "429", "401", "HTML of a proxy, 200")
LONGER: Final = ("no body", "slow endless body", "late", "64 MiB and more")


def on_pages(kinds: Iterable[str], *, long: Collection[str] = LONGER) -> list[Any]:
    """Give each kind of fault the first page, on which all depends, and the third, which is read beside others.

    What takes a second or more, and most of what the third page can have, is left to the long tests.
    """
    first = [pytest.param(kind, 1, marks=pytest.mark.slow if kind in long else ()) for kind in kinds]
    third = [pytest.param(kind, 3, marks=() if kind in ON_THIRD else pytest.mark.slow) for kind in kinds]
    return [*first, *third]


def is_late(kind: str) -> bool:
    """Tell whether the fault ends only when the plugin's time limit has passed; all others end at once."""
    return kind in PASSING and PASSING[kind][1] == TOO_SLOW


def assert_in_time(outcome: Loaded, *, timeout: int, retries: int, waits: float = 0) -> None:
    assert outcome.seconds <= timeout * (retries + 1) + BACKOFF[retries] + waits + SLACK


def assert_said(outcome: Loaded, pattern: str) -> None:
    assert re.search(pattern, outcome.assert_nothing().message), outcome.message
    assert re.search("http://127.0.0.1:", outcome.message)
    assert not any("Traceback" in text for text in outcome.displayed)


@pytest.fixture(scope="session")
def whole(running: Simulator, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the inventory as it is without any fault, byte for byte."""
    restore(running)  # this runs before the fixture that does so for each test
    return Project(tmp_path_factory.mktemp("whole"), running.url).read(timeout=30).assert_whole().text


@pytest.mark.parametrize(("kind", "page"), on_pages(PASSING, long=(*LONGER, "endless body")))
def test_a_fault_that_passes_is_survived(project: Project, simulator: Simulator, whole: str, kind: str, page: int) -> None:
    simulator.misbehave(PASSING[kind][0], page=page)
    outcome = project.read(timeout=2 if is_late(kind) else 10, retries=1).assert_whole()
    assert outcome.text == whole
    assert_in_time(outcome, timeout=2 if is_late(kind) else 1, retries=1)


@pytest.mark.parametrize(("kind", "page"), on_pages({**PASSING, **LASTING}))
def test_a_fault_that_stays_fails_the_source(project: Project, simulator: Simulator, kind: str, page: int) -> None:
    fault, message = {**PASSING, **LASTING}[kind]
    simulator.misbehave(fault, times=None, page=page)
    outcome = project.read(timeout=1 if is_late(kind) else 10)
    assert_said(outcome, message)
    assert_in_time(outcome, timeout=10 if isinstance(fault, HugeBody) else 1, retries=0)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if "64" in kind or "bomb" in kind else ()) for kind in LASTING]
)
def test_what_will_not_get_better_is_not_tried_again(project: Project, simulator: Simulator, kind: str) -> None:
    simulator.misbehave(LASTING[kind][0], times=None)
    project.read(timeout=10, retries=4).assert_nothing()
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("retries", [0, 1, pytest.param(2, marks=pytest.mark.slow)])
def test_tries_are_counted_and_told(project: Project, simulator: Simulator, retries: int) -> None:
    simulator.misbehave(Status(503), times=None)
    outcome = project.read(retries=retries).assert_nothing()
    assert len(simulator.requests) == retries + 1
    assert ("tried" in outcome.message) == (retries > 0)
    assert_in_time(outcome, timeout=0, retries=retries)


# Retry-After


def http_date(seconds: float) -> str:
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("status", "wait"),
    [(429, ""), (503, "soon"), (429, "Fri, 31 Dec 99999 23:59:59 GMT"), (503, "\u0663".encode().decode("latin-1"))],
)
def test_retry_after_that_says_nothing_is_ignored(
    project: Project, simulator: Simulator, whole: str, status: int, wait: str
) -> None:
    simulator.misbehave(Status(status, retry_after=wait))
    outcome = project.read(retries=1).assert_whole()
    assert outcome.text == whole
    assert_in_time(outcome, timeout=0, retries=1)


def test_retry_after_is_kept(project: Project, simulator: Simulator, whole: str) -> None:
    simulator.misbehave(Status(429, retry_after=http_date(2)))
    outcome = project.read(retries=1).assert_whole()
    assert outcome.text == whole
    assert outcome.seconds >= 0.9
    assert_in_time(outcome, timeout=0, retries=1, waits=2 * 1.5)  # jitter adds up to a half


@pytest.mark.parametrize("wait", ["31", "31536000", "9" * 400, "9" * 5000, "year", "0" * 4000 + "31"], ids=lambda wait: wait[:10])
def test_retry_after_of_too_long_fails_at_once(project: Project, simulator: Simulator, wait: str) -> None:
    simulator.misbehave(Status(429, retry_after=http_date(365 * 86400) if wait == "year" else wait), times=None)
    outcome = project.read(retries=4)
    assert_said(outcome, r"asks to wait .* s, but the plugin waits at most 30 s")
    assert len(simulator.requests) == 1
    assert_in_time(outcome, timeout=0, retries=0)


# JSON of the wrong shape


@pytest.mark.parametrize("malformation", MALFORMATIONS, ids=repr)
@pytest.mark.parametrize(("version", "hosts"), [pytest.param("2025-10-28", 13, marks=pytest.mark.slow), ("2026-01-21", 14)])
def test_wrong_shapes_lose_no_host(
    project: Project, simulator: Simulator, malformation: Alteration, version: str, hosts: int
) -> None:
    """An odd value of a field is the field's own trouble; what holds hosts must be as described, or nothing comes of it."""
    simulator.page_size_limit = 100
    simulator.misbehave(malformation, times=None)
    outcome = project.read(api_version=version)
    if outcome.error is None:
        assert len(outcome.hosts) in (hosts, hosts + 1)  # an altered CVM without any id is no longer the current one
    else:
        assert_said(outcome, "the response is invalid|has a form that this version .* does not know|contradicts itself")
    assert_in_time(outcome, timeout=1, retries=0)


# Pages that do not fit together


LIES: Final[Mapping[str, tuple[Fault, ...]]] = {
    "total one too high": (Drift("total", by=1),),
    "total one too low": (Drift("total", by=-1),),
    "total much too high": (Drift("total", by=10**6),),
    "total beyond all bounds": (Replace("total", 2**63 - 1),),
    "total of zero": (Replace("total", 0),),
    "total that grows": (Drift("total", per_request=1),),
    "total that shrinks": (Drift("total", per_request=-1),),
    "total_pages too high": (Drift("total_pages", by=1),),
    "total_pages too low": (Drift("total_pages", by=-1),),
    "total_pages of zero": (Replace("total_pages", 0),),
    "total_pages absurd": (Replace("total_pages", 10**9),),
    "total_pages that grows": (Drift("total_pages", per_request=1),),
    "total_pages that shrinks": (Drift("total_pages", per_request=-1),),
    "page_size wrong": (Replace("page_size", 3),),
    "page_size absurd": (Replace("page_size", 10**9),),
    "the same app on two pages": (Repeat(),),
    "another order on each page": (Reverse(),),
}


@pytest.mark.parametrize("kind", LIES)
def test_numbers_that_lie_lose_no_host(project: Project, simulator: Simulator, whole: str, kind: str) -> None:
    simulator.misbehave(*LIES[kind], times=None)
    outcome = project.read()
    if outcome.error is None:
        assert outcome.text == whole
    else:
        assert_said(outcome, "contradicts itself|the app list changed during all 6 reads|at most 10000|the response is invalid")
    assert outcome.seconds < 5


@pytest.mark.parametrize("kind", LIES)
def test_a_single_page_that_lies_once_is_read_again(project: Project, simulator: Simulator, whole: str, kind: str) -> None:
    simulator.misbehave(*LIES[kind], page=3)
    outcome = project.read().assert_whole()
    assert outcome.text == whole


@pytest.mark.parametrize("page", [1, 2, 3, 4, None])
def test_a_page_that_is_always_empty_fails_the_source(project: Project, simulator: Simulator, page: int | None) -> None:
    """The service counts the apps of that page, so without them the inventory is a part."""
    simulator.misbehave(EMPTY_PAGE, times=None, page=page)
    assert_said(project.read(), "the service contradicts itself in two reads: it counts 13 apps")


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_a_page_that_is_empty_once_is_read_again(project: Project, simulator: Simulator, whole: str, page: int) -> None:
    simulator.misbehave(EMPTY_PAGE, page=page)
    assert project.read().assert_whole().text == whole


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("fault", [RemoveFirst(), RemoveFirst(count=5), InsertFirst()], ids=repr)
def test_apps_that_come_and_go_while_pages_are_read(project: Project, simulator: Simulator, page: int, fault: Fault) -> None:
    simulator.misbehave(fault, page=page)
    text = project.read().assert_whole().text
    assert text == project.read().assert_whole().text


@pytest.mark.parametrize(("total", "message"), [(9_999, "contradicts itself"), (10**9, "a query may have at most 10000")])
def test_pages_that_are_all_alike_are_left_in_time(project: Project, simulator: Simulator, total: int, message: str) -> None:
    """A server that ignores the number of the page and counts as it likes shows the same apps for ever."""
    app = {"app_id": "same", "id": "same"}
    pages = range(1, 1001)
    simulator.pages = [
        {"dstack_apps": [app], "page": number, "page_size": 1, "total": total, "total_pages": total} for number in pages
    ]
    assert_said(project.read(), message)
    assert len(simulator.requests) < 200
