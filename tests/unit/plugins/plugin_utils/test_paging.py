# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count, islice
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.phala.cloud.plugins.plugin_utils import _api, _pages
from ansible_collections.phala.cloud.plugins.plugin_utils._api import ApiError, Response, UnavailableError
from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp, read_apps
from ansible_collections.phala.cloud.plugins.plugin_utils._pages import Page
from ansible_collections.phala.cloud.plugins.plugin_utils._paging import MAX_PAGES, MAX_READINGS, FetchedApps, Filter, fetch_apps
from ansible_collections.phala.cloud.tests.comparing import what_is_shown

URL = "https://service.test/api/v1"
RUNNING: Filter = {"status": ("running",)}
STOPPED: Filter = {"status": ("stopped",)}

Content = dict[str, Any]
Respond = Callable[[int, int], Content]  # the content of a page, by its number and size


class Service:
    """Respond to each request, in whatever thread; ``log`` has the pages as they were requested."""

    def __init__(self, respond: Respond | None = None, *, retries: tuple[str, ...] = (), faults: tuple[str, ...] = ()) -> None:
        self.log: list[int] = []
        self.running = 0
        self.finished = 0
        self.finished_before: list[int] = []
        self.most_running = 0
        self.is_stopped = False
        self.read_count = 0
        self._respond = respond
        self._retries = retries
        self._faults = faults
        self._lock = threading.Lock()

    def respond(self, number: int, size: int, _statuses: Sequence[str]) -> Content:
        assert self._respond is not None
        return self._respond(number, size)

    def url(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> str:
        return f"{URL}{path}{'?' if parameters else ''}{urlencode(parameters)}"

    def stop(self) -> None:
        self.is_stopped = True

    def get(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> Response:
        named = dict(parameters)
        statuses = [value for name, value in parameters if name == "status"]
        with self._lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            self.log.append(int(named["page"]))
            self.finished_before.append(self.finished)
        content = self.respond(int(named["page"]), int(named["page_size"]), statuses)
        with self._lock:
            self.running -= 1
            self.finished += 1
        body = json.dumps(content).encode()
        return Response(self.url(path, parameters), body, "application/json", body, 0.25, self._retries)

    def read(self, response: Response) -> _api.Content:
        self.read_count += 1
        return _api.Content(json.loads(response.body), self._faults)


def app(number: int, *statuses: str) -> dict[str, Any]:
    cvms = [{"vm_uuid": f"v{number}-{position}", "status": status} for position, status in enumerate(statuses or ("running",))]
    return {"id": f"i{number}", "app_id": f"a{number:05}", "cvms": cvms}


def page_of(apps: Sequence[dict[str, Any]], number: int, size: int, **counts: int) -> Content:
    """Return a page as the service describes it, or with other counts."""
    return {
        "dstack_apps": list(apps[(number - 1) * size : number * size]),
        "page": number,
        "page_size": size,
        "total": len(apps),
        "total_pages": -(-len(apps) // size),
        **counts,
    }


def fleet(count: int) -> list[dict[str, Any]]:
    return [app(number) for number in range(count)]


def fetch(
    service: Any, *queries: Filter, page_size: int = 100, concurrency: int = 4, note: Callable[[str], None] = lambda _line: None
) -> FetchedApps:
    return fetch_apps(service, queries or ({},), account="", page_size=page_size, concurrency=concurrency, note=note)


def shown(apps: Sequence[dict[str, Any]]) -> list[ShownApp]:
    return read_apps(apps, account="")[0]


def ids(apps: Sequence[ShownApp]) -> list[str]:
    return [found.key[1] for found in apps]


# Cost


@pytest.mark.parametrize("query", [{}, RUNNING])
@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize(("count", "requests", "readings"), [(0, 1, 1), (100, 1, 1), (101, 4, 2), (600, 12, 2), (6208, 126, 2)])
def test_fetches_a_quiet_list_with_two_requests_per_page(
    count: int, requests: int, readings: int, concurrency: int, query: Filter
) -> None:
    apps = fleet(count)
    service = Service(lambda number, size: page_of(apps, number, size))
    fetched = fetch(service, query, concurrency=concurrency)
    forms = read_apps(apps, account="")[1]
    assert fetched == FetchedApps([shown(apps)], forms, requests=requests, retries=0, readings=readings)
    assert len(service.log) == requests
    assert not service.is_stopped


def test_second_reading_parses_no_page_that_stayed_the_same() -> None:
    apps = fleet(250)
    service = Service(lambda number, size: page_of(apps, number, size))
    assert fetch(service).apps == [shown(apps)]
    assert (len(service.log), service.read_count) == (6, 3)


def test_next_page_is_requested_before_the_last_one_is_read() -> None:
    apps = fleet(600)
    is_requested, is_read = threading.Event(), threading.Event()

    def respond(number: int, size: int) -> Content:
        if number == 6:  # the first that must wait until one of four pages has come
            is_requested.set()
        if number > 2:
            assert is_read.wait(5)
        return page_of(apps, number, size)

    class Client(Service):
        def read(self, response: Response) -> _api.Content:
            if "page=2" in response.url:
                assert is_requested.wait(5)
                is_read.set()
            return super().read(response)

    assert fetch(Client(respond)).apps == [shown(apps)]


def test_pages_that_change_with_each_request_are_parsed_again_and_the_newest_count() -> None:
    apps = fleet(250)
    requests = count()
    service = Service(lambda number, size: page_of([{**app, "clock": next(requests)} for app in apps], number, size))
    fetched = fetch(service, concurrency=1)
    assert service.read_count == 6
    assert min(cvm.core["app"]["clock"] for app in fetched.apps[0] for cvm in app.cvms) > 249 * 3 - 1


def test_keeps_one_copy_of_each_page() -> None:
    apps = fleet(40)
    clock = count()
    kept: list[int] = []

    def respond(number: int, size: int) -> Content:
        kept.append(sum(isinstance(candidate, Page) for candidate in gc.get_objects()))
        return {**page_of(apps, number, size), "clock": next(clock)}

    gc.collect()
    fetch(Service(respond), page_size=5, concurrency=1)
    assert len(kept) == 16
    assert max(kept) <= 8 + 2


# Order of requests


def test_second_reading_begins_after_the_last_response_of_the_first() -> None:
    apps = fleet(600)
    service = Service(lambda number, size: page_of(apps, number, size))
    fetch(service, concurrency=8)
    assert sorted(service.log[:6]) == sorted(service.log[6:]) == [1, 2, 3, 4, 5, 6]
    assert service.log[0] == 1
    assert (min(service.finished_before[1:6]), min(service.finished_before[6:])) == (1, 6)


def test_second_reading_requests_all_pages_at_once() -> None:
    apps = fleet(60)
    barrier = threading.Barrier(6, timeout=5)

    def respond(number: int, size: int) -> Content:
        if len(service.log) > 6:
            barrier.wait()
        return page_of(apps, number, size)

    service = Service(respond)
    assert fetch(service, page_size=10, concurrency=8).apps == [shown(apps)]


def test_pages_are_marked_while_the_service_is_slow() -> None:
    apps = fleet(30)

    def respond(number: int, size: int) -> Content:
        if len(service.log) <= 3 and number == 3:
            time.sleep(0.2)
        return page_of(apps, number, size)

    service = Service(respond)
    fetched = fetch(service, page_size=10)
    assert what_is_shown(fetched.apps) == what_is_shown([shown(apps)])
    assert all(cvm.is_marked for app in fetched.apps[0][:20] for cvm in app.cvms)


def test_marks_an_unchanged_page_only_once() -> None:
    """A second time, nothing would be known of the key that the first time left out."""
    apps = fleet(9)
    for raw in apps:
        raw["cvms"][0]["x"] = {"__ansible_y": 1}

    def respond(number: int, size: int) -> Content:
        time.sleep(0.05 * (number == 3))
        return page_of(apps, number, size)

    fetched = fetch(Service(respond), page_size=3)
    cvms = [cvm for found in fetched.apps[0] for cvm in found.cvms]
    assert {tuple(cvm.left_out) for cvm in cvms if cvm.is_marked} == {("__ansible_y",)}


@pytest.mark.parametrize("concurrency", [1, 3])
def test_requests_as_many_pages_at_once_as_allowed(concurrency: int) -> None:
    apps = fleet(70)
    barrier = threading.Barrier(concurrency, timeout=5)

    def respond(number: int, size: int) -> Content:
        if number > 1:
            barrier.wait()
        return page_of(apps, number, size)

    service = Service(respond)
    assert fetch(service, page_size=10, concurrency=concurrency).apps == [shown(apps)]
    assert service.most_running == concurrency


def test_apps_are_in_the_order_of_the_pages() -> None:
    apps = fleet(30)[::-1]

    def respond(number: int, size: int) -> Content:
        time.sleep(0.05 * (number == 2))
        return page_of(apps, number, size)

    assert ids(fetch(Service(respond), page_size=10).apps[0]) == ids(shown(apps))


def test_of_two_copies_of_an_app_the_later_page_counts() -> None:
    """A new app moves another one to the second page, and the first page proves the list."""

    def change(service: ChangingService, request: int) -> None:
        if request == 4:
            service.apps = [app(9), app(0), {**app(1), "name": "later"}, app(2)]

    service = ChangingService(fleet(3), change)
    fetched = fetch(service, page_size=2, concurrency=1)
    assert fetched.readings == 2
    assert fetched.apps == [shown([app(0), {**app(1), "name": "later"}, app(2)])]


# Wrong counts and endless lists


@pytest.mark.parametrize(
    ("respond", "requests"),
    [
        (lambda number, size: page_of(fleet(250), number, size, page_size=1000, total_pages=1), 6),
        (lambda number, _size: page_of(fleet(250), number, 50, page_size=100), 10),
        (lambda number, _size: page_of(fleet(250), number, 50), 10),
        (lambda number, size: page_of(fleet(250), number, size, page_size=50), 10),
        (lambda number, size: page_of(fleet(250), number, size, total_pages=0), 6),
        (lambda number, size: page_of(fleet(80), number, size, page_size=20), 3),
    ],
)
def test_finds_the_whole_fleet_whatever_the_page_size_is_said_to_be(respond: Respond, requests: int) -> None:
    service = Service(respond)
    fetched = fetch(service, concurrency=1)
    expected = fleet(80 if requests == 3 else 250)
    assert (fetched.apps, fetched.requests) == ([shown(expected)], requests)


def short(number: int, size: int) -> Content:
    apps = fleet(300)
    content = page_of(apps, number, size)
    return {**content, "dstack_apps": content["dstack_apps"][: 100 if number == 1 else 99]}


def repeated(number: int, size: int) -> Content:
    return {**page_of(fleet(300), 1, size), "page": number}


def overlapping(number: int, size: int) -> Content:
    apps = fleet(101)
    return page_of(apps, number, size) | {"dstack_apps": apps[:100] if number == 1 else apps[99:]}


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize(
    ("respond", "fault"),
    [
        (short, "it counts 300 apps, but its pages show 298"),
        (lambda number, size: page_of(fleet(299), number, size, total=300), "it counts 300 apps, but its pages show 299"),
        (
            lambda number, size: page_of(fleet(3), number, size, total=300, total_pages=3),
            "it counts 300 apps, but its pages show 3",
        ),
        (lambda number, size: page_of([], number, size, total=5), "it counts 5 apps, but its pages show 0"),
        (lambda number, size: page_of(fleet(5), number, size, total=3), "it counts 3 apps, but its pages show 5"),
        (lambda number, size: page_of(fleet(250), number, size, total_pages=number + 1), "it counts 250 apps on 4 pages"),
        (lambda number, size: page_of(fleet(50), number, size, total_pages=2), "it counts 50 apps on 2 pages, but they fit on 1"),
        (lambda number, size: page_of(fleet(250), number, size, total=10**6, total_pages=10**4), "it counts 1000000 apps"),
        (repeated, "of which 100 are different"),
        (overlapping, "it counts 101 apps, but its pages show 102, of which 101 are different"),
        (lambda number, size: page_of([app(1), app(1)], number, size), "it counts 2 apps, but its pages show 2, of which 1"),
    ],
)
def test_fails_at_once_if_pages_contradict_counts_twice(respond: Respond, fault: str, concurrency: int) -> None:
    service = Service(respond)
    with pytest.raises(ApiError) as raised:
        fetch(service, concurrency=concurrency)
    assert raised.value.__class__ is ApiError
    assert fault in str(raised.value)
    assert service.log.count(1) == 2
    assert len(service.log) <= 2 * (5 + 2 * concurrency)  # some are under way, and as many are not read yet
    assert service.is_stopped


@given(
    apps=st.integers(0, 30),
    served=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    claims=st.fixed_dictionaries({}, optional={"page_size": st.integers(1, 40), "total_pages": st.integers(0, 40)}),
    query=st.sampled_from([{}, RUNNING]),
)
def test_wrong_claims_and_short_pages_give_the_whole_fleet_or_an_error(
    apps: int, served: list[int], claims: dict[str, int], query: Filter
) -> None:
    """Each page is as long as ``served`` says, in turn, and only the total is true."""

    def respond(number: int, size: int) -> Content:
        content = page_of(fleet(apps), number, size, **claims)
        return {**content, "dstack_apps": content["dstack_apps"][: served[(number - 1) % len(served)]]}

    service = Service(respond)
    try:
        fetched = fetch(service, query, page_size=10, concurrency=1)
    except ApiError:
        assert service.log.count(1) == 2
    else:
        assert fetched.apps == [shown(fleet(apps))]
    assert len(service.log) <= 2 * max(1, apps)


@pytest.mark.parametrize("query", [{}, RUNNING])
def test_fails_if_each_page_counts_one_more_page(query: Filter) -> None:
    service = Service(lambda number, size: page_of(fleet(250), number, size, total=100 * (number + 1), total_pages=number + 1))
    with pytest.raises(UnavailableError, match="it counts 200 apps on one page and 300 on another"):
        fetch(service, query)
    assert [sorted(service.log[start : start + 2]) for start in range(0, len(service.log), 2)] == [[1, 2]] * MAX_READINGS


def test_message_of_a_contradiction() -> None:
    with pytest.raises(ApiError) as raised:
        fetch(Service(lambda number, size: page_of([], number, size, total=5)), RUNNING)
    assert str(raised.value) == (
        f"GET {URL}/apps?status=running: the service contradicts itself in two reads: it counts 5 apps, but its pages show"
        " 0. The plugin never returns a partial inventory. Run the command again later. If it fails again, report it to the"
        " service's support."
    )


@pytest.mark.parametrize("total", [MAX_PAGES * 100 + 1, 10**12, 2**63 - 1])
def test_fails_after_one_request_if_there_are_too_many_pages(total: int) -> None:
    service = Service(lambda number, size: page_of(fleet(100), number, size, total=total))
    with pytest.raises(ApiError) as raised:
        fetch(service)
    assert str(raised.value) == (
        f"GET {URL}/apps: the service counts {total} apps, and its first page shows 100. That makes {-(-total // 100)} pages, but"
        " a query may have at most 10000. Check api_url, or set filters."
    )
    assert service.log == [1]


def test_reads_as_many_pages_as_a_query_may_have() -> None:
    """Every page has new apps, and the count is true."""
    service = Service(lambda number, size: page_of([], number, size, total=MAX_PAGES) | {"dstack_apps": [app(number)]})
    fetched = fetch(service, page_size=1)
    assert (len(fetched.apps[0]), fetched.requests) == (MAX_PAGES, 2 * MAX_PAGES)


def test_one_page_without_a_new_app_does_not_end_a_reading() -> None:
    """A list of small pages that moves by one app repeats one, and goes on."""
    pages = {1: [app(1)], 2: [app(1)], 3: [app(2)], 4: [app(3)]}
    service = Service(lambda number, size: page_of([], number, size, total=4) | {"dstack_apps": pages[number]})
    with pytest.raises(ApiError, match="of which 3 are different"):
        fetch(service, page_size=1, concurrency=1)
    assert service.log == [1, 2, 3, 4, 1, 2, 3, 4]


# An account that changes


class ChangingService(Service):
    """Serve a list that ``change`` may replace before each response."""

    def __init__(self, apps: list[dict[str, Any]], change: Callable[[ChangingService, int], object]) -> None:
        super().__init__()
        self.apps = apps
        self.requests = 0
        self._change = change

    def respond(self, number: int, size: int, statuses: Sequence[str]) -> Content:
        self.requests += 1
        self._change(self, self.requests)
        matching = [app for app in self.apps if not statuses or any(cvm["status"] in statuses for cvm in app["cvms"])]
        return page_of(matching, number, size)


def create(service: ChangingService) -> None:
    service.apps = [app(1000 + service.requests), *service.apps]


def replace_last(service: ChangingService) -> None:
    service.apps = [app(1000 + service.requests), *service.apps[:-1]]


def test_reads_again_if_an_app_was_replaced_between_two_pages() -> None:
    """All counts stay the same, and 1.0.0 missed the app in the middle."""
    service = ChangingService(fleet(3), lambda service, request: replace_last(service) if request == 2 else None)
    fetched = fetch(service, RUNNING, page_size=2, concurrency=1)
    assert ids(fetched.apps[0]) == ["a01002", "a00000", "a00001"]
    assert (fetched.readings, fetched.requests) == (3, 6)


def test_fails_if_the_list_changes_during_all_readings() -> None:
    service = ChangingService(fleet(3), lambda service, request: create(service) if request % 2 == 0 else None)
    with pytest.raises(UnavailableError) as raised:
        fetch(service, RUNNING, page_size=2, concurrency=1)
    assert str(raised.value) == (
        f"GET {URL}/apps: the app list changed during all 6 reads, so it may be incomplete (in the last read, it counts 8 apps"
        " on one page and 9 on another). Run the command again."
    )
    assert service.log.count(1) == MAX_READINGS
    assert service.is_stopped


def test_count_of_a_first_page_proves_a_list_that_grows() -> None:
    def append(service: ChangingService, request: int) -> None:
        if request % 2 == 0:
            service.apps = [*service.apps, app(1000 + request)]

    service = ChangingService(fleet(3), append)
    fetched = fetch(service, page_size=2, concurrency=1)
    assert ids(fetched.apps[0]) == ["a00000", "a00001", "a00002", "a01002"]
    assert fetched.readings == 2


@pytest.mark.parametrize(
    ("apps", "query", "batches"),
    [
        (3, {}, [[1, 2], [1, 2], [2]]),
        (4, {}, [[1, 2], [1, 2], [2, 3]]),
        (3, RUNNING, [[1, 2], [1, 2], [2], [1, 2]]),
        (4, RUNNING, [[1, 2], [1, 2], [2, 3], [1, 2, 3]]),
    ],
)
def test_pages_that_were_requested_before_the_first_page_came_are_requested_again_if_the_list_changed(
    apps: int, query: Filter, batches: list[list[int]]
) -> None:
    service = ChangingService(fleet(apps), lambda service, request: create(service) if request == 3 else None)
    fetched = fetch(service, query, page_size=2, concurrency=8)
    assert ids(fetched.apps[0]) == ["a01003", *(f"a{number:05}" for number in range(apps))]
    log = iter(service.log)
    assert [sorted(islice(log, len(batch))) for batch in batches] == batches
    assert (fetched.readings, fetched.requests) == (3 if query else 2, len(service.log))


def test_reading_ends_if_a_count_changes_and_there_are_filters() -> None:
    service = ChangingService(fleet(9), lambda service, request: create(service) if request == 2 else None)
    fetched = fetch(service, RUNNING, page_size=2, concurrency=1)
    assert (fetched.readings, service.log) == (3, [1, 2, *range(1, 6), *range(1, 6)])


def test_reading_goes_on_if_a_count_changes_and_there_are_no_filters() -> None:
    service = ChangingService(fleet(9), lambda service, request: create(service) if request == 2 else None)
    fetched = fetch(service, page_size=2, concurrency=1)
    assert (fetched.readings, service.log) == (2, [*range(1, 6), *range(1, 6)])


def test_page_beyond_a_list_that_shrank_is_not_read_again() -> None:
    def shrink(service: ChangingService, request: int) -> None:
        if request == 4:
            service.apps = fleet(2)

    service = ChangingService(fleet(6), shrink)
    fetched = fetch(service, RUNNING, page_size=2, concurrency=1)
    assert (ids(fetched.apps[0]), service.log) == (["a00000", "a00001"], [1, 2, 3, 1])


# Several queries


def test_fetches_the_apps_of_each_query() -> None:
    apps = [app(1, "running"), app(2, "stopped"), app(3, "running", "stopped")]
    service = ChangingService(apps, lambda _service, _request: None)
    fetched = fetch(service, RUNNING, STOPPED)
    assert fetched.apps == [shown([apps[0], apps[2]]), shown([apps[1], apps[2]])]
    assert (fetched.requests, fetched.readings) == (4, 2)


def test_sends_a_list_as_repeated_parameters() -> None:
    apps = [app(1, "running"), app(2, "stopped"), app(3, "paused")]
    service = ChangingService(apps, lambda _service, _request: None)
    assert fetch(service, {"status": ("running", "stopped")}).apps == [shown(apps[:2])]


def test_query_without_filters_is_one_of_several_like_any_other() -> None:
    apps = [app(1, "running"), app(2, "stopped")]
    service = ChangingService(apps, lambda _service, _request: None)
    fetched = fetch(service, {}, RUNNING)
    assert fetched.apps == [shown(apps), shown(apps[:1])]
    assert (fetched.requests, fetched.readings) == (4, 2)


def test_one_query_does_not_compare_cvms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pages, "filter_states", None)
    service = ChangingService(fleet(3), lambda _service, _request: None)
    assert fetch(service, RUNNING, page_size=2).readings == 2


@pytest.mark.parametrize(("request_number", "readings"), [(1, 2), (2, 3), (3, 3), (4, 4), (5, 2)])
def test_cvm_that_changes_status_between_queries_is_not_lost(request_number: int, readings: int) -> None:
    def stop(service: ChangingService, request: int) -> None:
        if request == request_number:
            service.apps = [app(1, "running"), app(2, "running")]

    service = ChangingService([app(1, "running"), app(2, "stopped")], stop)
    fetched = fetch(service, RUNNING, STOPPED, concurrency=1)
    assert {found for apps in fetched.apps for found in ids(apps)} == {"a00001", "a00002"}
    assert fetched.readings == readings


def test_cvms_of_an_app_that_trade_places_are_not_lost() -> None:
    """Every query shows the app in every reading."""

    def trade(service: ChangingService, request: int) -> None:
        if request in (2, 3, 4):
            service.apps = [app(1, *("running", "stopped")[:: 1 if request == 3 else -1])]

    service = ChangingService([app(1, "running", "stopped")], trade)
    fetched = fetch(service, RUNNING, STOPPED, concurrency=1)
    assert [[cvm.core["status"] for cvm in apps[0].cvms] for apps in fetched.apps] == [["stopped", "running"]] * 2
    assert fetched.readings == 4


def test_several_queries_are_read_at_once() -> None:
    barrier = threading.Barrier(2, timeout=5)
    service = ChangingService([app(1, "running", "stopped")], lambda _service, _request: barrier.wait())
    assert fetch(service, RUNNING, STOPPED, concurrency=2).requests == 4


# Messages and errors


def test_notes_pages_and_readings() -> None:
    apps = fleet(3)
    lines: list[str] = []
    fetch(Service(lambda number, size: page_of(apps, number, size)), RUNNING, page_size=2, concurrency=1, note=lines.append)
    url = f"{URL}/apps?status=running"
    assert lines == [
        f"Page 1 of 2 of {url}: 2 apps in 0.25 s",
        f"Page 2 of 2 of {url}: 1 app in 0.25 s",
        "Read 1 of at most 6 does not prove that the app list is whole: a second read must show the same",
        f"Page 1 of 2 of {url}: 2 apps in 0.25 s, unchanged",
        f"Page 2 of 2 of {url}: 1 app in 0.25 s, unchanged",
    ]


def test_counts_and_notes_retries() -> None:
    lines: list[str] = []
    retries = ("500 from it", "503 from it", "429 from it")
    service = Service(lambda number, size: page_of(fleet(150), number, size), retries=retries)
    fetched = fetch(service, note=lines.append)
    assert (fetched.requests, fetched.retries) == (2 * 2 * 4, 2 * 2 * 3)  # two pages, read twice
    assert lines[:2] == ["Tried again: 500 from it", "Tried again: 503 from it"]


def test_faults_are_kept_once() -> None:
    service = Service(lambda number, size: page_of(fleet(150), number, size), faults=("odd", "even"))
    assert fetch(service).faults == ("odd", "even")


def test_notes_in_the_calling_thread() -> None:
    idents: set[int] = set()
    apps = fleet(600)
    service = Service(lambda number, size: page_of(apps, number, size))
    fetch(service, concurrency=8, note=lambda _line: idents.add(threading.get_ident()))
    assert idents == {threading.get_ident()}


@pytest.mark.parametrize("error", [ApiError("404"), UnavailableError("503"), KeyboardInterrupt()])
@pytest.mark.parametrize("failing_page", [1, 2])
def test_raises_the_error_of_a_page_and_stops_the_client(error: BaseException, failing_page: int) -> None:
    def respond(number: int, size: int) -> Content:
        if number == failing_page:
            raise error
        return page_of(fleet(30), number, size)

    service = Service(respond)
    with pytest.raises(type(error)) as raised:
        fetch(service, page_size=10)
    assert raised.value is error
    assert service.is_stopped


def test_interrupt_in_the_calling_thread_stops_the_client() -> None:
    def note(_line: str) -> None:
        raise KeyboardInterrupt

    service = Service(lambda number, size: page_of(fleet(30), number, size))
    with pytest.raises(KeyboardInterrupt):
        fetch(service, page_size=10, note=note)
    assert service.is_stopped


def test_invalid_page_fails() -> None:
    service = Service(lambda number, size: page_of(fleet(30), number, size) | {"page": 7})
    with pytest.raises(ApiError, match="it is page 7, but page 1 was requested"):
        fetch(service)
