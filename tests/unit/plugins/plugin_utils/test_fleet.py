# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet of a source from the cache or from the service, both of which are stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils import _api, _filter_options, _fleet, _paging
from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import ApiError, UnavailableError
from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShapeError, read_apps
from ansible_collections.phala.cloud.plugins.plugin_utils._fleet import Fleet, get_fleet, unmatched_filters
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._paging import FetchedApps
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Account, ApiSettings, CacheSettings

NOW = 1_800_000_000.0
API = ApiSettings("2026-01-21", 30, 3, True, 50, 4)
ME, YOU = Account("", "https://a.example.org", "k1", ""), Account("you", "https://b.example.org", "k2", "")


class Store(dict[str, Any]):
    """Stand for ansible-core's cache."""

    def update_cache_if_changed(self) -> None:
        """Everything is kept at once."""


class Service:
    """Stand for the service and the client: the response or the error of each account, and what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.responses: dict[str, Any] = {}
        self.options: dict[str, list[str]] = {}
        self.asked: list[Any] = []
        self.seconds = NOW
        self.open = 0
        self.retries = 2
        monkeypatch.setattr(_api, "Client", self._connect)
        monkeypatch.setattr(_paging, "fetch_apps", self._fetch_apps)
        monkeypatch.setattr(_filter_options, "fetch_filter_options", self._fetch_options)
        ticks = iter(range(1000))
        clock = SimpleNamespace(time=lambda: self.seconds, monotonic=lambda: next(ticks) * 1.5)
        monkeypatch.setattr(_fleet, "time", clock)

    def _connect(
        self, account: Account, api: ApiSettings, mask: Any, say: Callable[[str], None], *, other_keys: Sequence[str]
    ) -> Any:
        assert (api, mask) == (API, str)
        assert account.key in other_keys
        say(f"waiting for {account.url}")
        return self.Connection(self, account)

    class Connection:
        def __init__(self, service: Service, account: Account) -> None:
            self.service, self.account = service, account

        def __enter__(self) -> Service.Connection:
            self.service.open += 1
            return self

        def __exit__(self, *_error: object) -> None:
            self.service.open -= 1

    def _fetch_apps(self, client: Any, queries: Sequence[Any], **options: Any) -> FetchedApps:
        assert (options["page_size"], options["concurrency"], self.open) == (50, 4, 1)
        options["note"]("a note")
        self.asked.append((client.account.key, queries))
        response = self.responses.get(client.account.key, [[] for _query in queries])
        if isinstance(response, Exception):
            raise response
        read = [read_apps(of_query, account=options["account"]) for of_query in response]
        forms = frozenset(form for _apps, of_query in read for form in of_query)
        return FetchedApps([apps for apps, _forms in read], forms, 7, self.retries, 3, ("odd",) if any(response) else ())

    def _fetch_options(self, client: Any) -> dict[str, list[str]]:
        assert self.open == 1
        self.asked.append((client.account.key, "options"))
        return self.options


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    return Service(monkeypatch)


def app(name: str, **cvm: Any) -> dict[str, Any]:
    shown = {"id": f"cvm_{name}", "name": name, "status": "running", "resource": {}, **cvm}
    return {"id": f"prj_{name}", "app_id": name, "name": name, "cvms": [shown], "current_cvm": None}


def settings(*queries: Any, accounts: Any = (ME,), cache: Any = (True, 60, 0), **more: Any) -> Any:
    shown = {"queries": queries or ({},), "entries": (), "excludes": (), "mask": str, **more}
    return SimpleNamespace(accounts=accounts, api=API, cache=CacheSettings(*cache), **shown)


def get(source: Any, store: Any = None, *, use_cache: bool = True) -> tuple[Fleet, list[Diagnostic]]:
    reported: list[Diagnostic] = []
    return get_fleet(source, store, use_cache=use_cache, report=reported.append), reported


def shown(fleet: Fleet) -> list[list[str]]:
    return [[one.key[1] for one in of_query] for of_query in fleet.apps]


def test_fleet_is_fetched_from_the_service(service: Service) -> None:
    service.responses["k1"] = [[app("a"), app("b")]]
    fleet, reported = get(settings())
    assert (shown(fleet), fleet.app_count, fleet.nodes) == ([["a", "b"]], 2, ())
    assert fleet.origin == "https://a.example.org (7 requests, 2 retries, 1.50 s)"
    assert (service.asked, service.open) == ([("k1", [{}])], 0)
    assert reported == [
        Diagnostic(Level.WARNING, "waiting for https://a.example.org"),
        Diagnostic(Level.VERY_VERBOSE, "a note"),
        Diagnostic(Level.WARNING, "odd"),
    ]


@pytest.mark.parametrize(("retries", "text"), [(0, ""), (1, ", 1 retry")])
def test_origin_counts_the_retries(retries: int, text: str, service: Service) -> None:
    service.retries = retries
    assert get(settings())[0].origin == f"https://a.example.org (7 requests{text}, 1.50 s)"


def test_fleets_of_all_accounts_are_one(service: Service) -> None:
    service.responses = {"k1": [[app("a")]], "k2": [[app("a"), app("b")]]}
    fleet, reported = get(settings(accounts=(ME, YOU)))
    assert (shown(fleet), fleet.app_count) == ([["a"], ["a", "b"]], 3)
    assert [one.cvms[0].identity.account for of_query in fleet.apps for one in of_query] == ["", "you", "you"]
    assert fleet.origin == (
        "https://a.example.org (7 requests, 2 retries, 1.50 s),"
        " account 'you': https://b.example.org (7 requests, 2 retries, 1.50 s)"
    )
    assert fleet.warnings == ["odd", "account 'you': odd"]
    assert [diagnostic.text for diagnostic in reported][-2:] == fleet.warnings


def test_queries_that_are_one_for_the_service_are_sent_once(service: Service) -> None:
    first, second, other = {"region": ("a",), "name": ("x",)}, {"region": ("a",), "name": ("y",)}, {"region": ("b",)}
    service.responses = {key: [[app("a")], [app("b"), app("c")]] for key in ("k1", "k2")}
    fleet, _reported = get(settings(first, other, second, accounts=(ME, YOU)))
    assert service.asked[0] == ("k1", [{"region": ("a",)}, {"region": ("b",)}])
    assert shown(fleet) == [["a"], ["b", "c"], ["a"]] * 2
    assert fleet.app_count == 6


def test_app_of_two_queries_counts_once(service: Service) -> None:
    service.responses["k1"] = [[app("a"), app("b")], [app("b"), {**app("b"), "id": "prj_other"}]]
    assert get(settings({"region": ("a",)}, {"region": ("b",)}))[0].app_count == 3


def test_unknown_shape_is_refused(service: Service) -> None:
    service.responses["k2"] = [[{**app("a"), "cvms": [{"colour": "red"}]}]]
    with pytest.raises(ShapeError, match=r"^account 'you': https://b\.example\.org/apps: the response has a form"):
        get(settings(accounts=(YOU,)))


def test_values_of_the_service_are_fetched_for_filters_that_match_nothing(service: Service) -> None:
    service.options = {"node": ["n1"]}
    query = {"region": ("a",)}
    mine = replace(YOU, url=ME.url)
    fleet, _reported = get(settings(query, entries=(("filters", query),), accounts=(ME, mine, YOU)))
    assert (fleet.options, fleet.nodes) == ({"node": ["n1"]}, ["n1"])
    assert [asked for _key, asked in service.asked] == [[query], "options", [query], [query], "options"]


def test_values_of_the_service_are_fetched_for_nodes_that_no_response_shows(service: Service) -> None:
    query = {"node": ("n1",)}
    service.responses["k1"] = [[app("a", node_info={"name": "N1"})]]
    get(settings(query))
    assert len(service.asked) == 1
    service.responses["k1"] = [[app("a")]]
    get(settings(query))
    assert service.asked[2:] == [("k1", "options")]


def test_account_that_cannot_be_reached_gives_no_fleet(service: Service) -> None:
    error = UnavailableError("first", may_pass=True, retry_after=None, is_throttled=False)
    service.responses = {"k1": error, "k2": [[app("a")]]}
    with pytest.raises(UnavailableError) as raised:
        get(settings(accounts=(ME, YOU)))
    assert raised.value is error
    assert [key for key, _queries in service.asked] == ["k1", "k2"]
    service.responses["k2"] = UnavailableError("second", may_pass=True, retry_after=None, is_throttled=False)
    with pytest.raises(UnavailableError, match="first"):
        get(settings(accounts=(ME, YOU)))
    service.responses["k2"] = ApiError("wrong key")
    with pytest.raises(ApiError, match="wrong key"):
        get(settings(accounts=(ME, YOU)))


@pytest.mark.parametrize(
    ("seconds", "timeout", "is_fresh"), [(0, 60, True), (60, 60, True), (61, 60, False), (9999, 0, True), (-1, 60, False)]
)
def test_fresh_fleet_is_that_of_the_cache(service: Service, seconds: int, timeout: int, *, is_fresh: bool) -> None:
    service.responses["k1"] = [[app("a")], [app("b")]]
    store, source = Store(), settings({"region": ("a",)}, {"region": ("b",)}, cache=(True, timeout, 0))
    fetched, _reported = get(source, store)
    service.seconds += seconds
    fleet, reported = get(source, store)
    assert len(service.asked) == (1 if is_fresh else 2)
    assert (shown(fleet), fleet.app_count, fleet.options) == (shown(fetched), 2, {})
    assert reported[-1] == Diagnostic(Level.WARNING, "odd")
    if is_fresh:
        assert (fleet.origin, reported[:-1]) == (f"https://a.example.org (cache, {seconds} s old)", [])


@pytest.mark.usefixtures("service")
def test_origin_of_the_cache_names_each_service_once() -> None:
    store, source = Store(), settings(accounts=(ME, YOU, ME))
    get(source, store)
    fleet, _reported = get(source, store)
    assert fleet.origin == "https://a.example.org, https://b.example.org (cache, 0 s old)"


def test_flushed_cache_is_written_again(service: Service) -> None:
    store, source = Store(), settings()
    get(source, store)
    service.responses["k1"] = [[app("a")]]
    assert shown(get(source, store, use_cache=False)[0]) == [["a"]]
    assert shown(get(source, store)[0]) == [["a"]]
    assert len(service.asked) == 2


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize(("seconds", "is_allowed"), [(600, True), (601, False)])
def test_stale_fleet_is_used_where_the_service_cannot_be_reached(
    service: Service, seconds: int, use_cache: bool, *, is_allowed: bool
) -> None:
    service.responses["k1"] = [[app("a")]]
    store, source = Store(), settings(cache=(True, 60, 600))
    get(source, store)
    service.seconds += seconds
    service.responses["k1"] = UnavailableError("It is down", may_pass=True, retry_after=None, is_throttled=False)
    if not is_allowed:
        with pytest.raises(UnavailableError, match="It is down"):
            get(source, store, use_cache=use_cache)
        return
    fleet, reported = get(source, store, use_cache=use_cache)
    assert (shown(fleet), fleet.origin) == ([["a"]], "https://a.example.org (stale cache, 600 s old)")
    text = "The inventory is 600 s old, because the service cannot be reached and cache_stale is set. It is down"
    assert reported[-2:] == [Diagnostic(Level.WARNING, text), Diagnostic(Level.WARNING, "odd")]


def test_without_a_stored_fleet_the_error_is_raised(service: Service) -> None:
    service.responses["k1"] = UnavailableError("It is down", may_pass=True, retry_after=None, is_throttled=False)
    with pytest.raises(UnavailableError, match="It is down"):
        get(settings(cache=(True, 60, 600)), Store())


def test_value_may_match_in_one_account_only(service: Service) -> None:
    query = {"status": ("running", "exotic")}
    service.responses = {"k1": [[]], "k2": [[app("a")]]}
    source = settings(query, entries=(("filters", query),), accounts=(ME, YOU))
    (diagnostic,) = unmatched_filters(source, get(source)[0])
    assert "'exotic'" in f"{diagnostic.text} {diagnostic.subjects}"
    assert "'running'" not in f"{diagnostic.text} {diagnostic.subjects}"
