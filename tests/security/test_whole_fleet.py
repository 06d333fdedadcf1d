# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever happens to the account while its list is read: a run has the whole fleet, or it fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any, Final

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils import _pages, _paging
from ansible_collections.phala.cloud.plugins.plugin_utils._api import UnavailableError
from ansible_collections.phala.cloud.plugins.plugin_utils._pages import Identity, Page
from ansible_collections.phala.cloud.plugins.plugin_utils._paging import Filter
from ansible_collections.phala.cloud.plugins.plugin_utils._proof import Reading, Shown, show

from .changing_account import CONCURRENCIES, FILTERED, ORDERS, SEVERAL, UNFILTERED, Outcome, Settings, run

SHARD: Final = 1000  # runs per test
SHARDS: Final = 20
QUERIES: Final = pytest.mark.parametrize("queries", [UNFILTERED, FILTERED, SEVERAL], ids=["all", "filtered", "several"])


def draw_tiny(queries: tuple[Filter, ...], seed: int) -> Settings:
    """Return an account in which few events lead to a wrong result: pages of one to three apps."""
    page_size = 1 + seed % 3
    rate = (0.3, 1.0, 3.0)[seed // 3 % 3]
    order = ORDERS[seed // 9 % 3]
    apps = page_size * (1 + seed // 27 % 4)
    concurrency = (1, 8)[seed // 108 % 2]
    return Settings(seed, order, page_size, concurrency, rate, queries, apps)


def wrong(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.missed or outcome.gone]


def check(seeds: Iterable[int]) -> None:
    outcomes = [run(Settings.draw(seed)) for seed in seeds]
    assert wrong(outcomes) == []
    assert {type(outcome.error) for outcome in outcomes} <= {type(None), UnavailableError}
    failed = [outcome.settings for outcome in outcomes if outcome.error]
    assert len(failed) < 0.1 * len(outcomes)
    assert all(settings.rate > 0 for settings in failed)
    assert sum(settings.queries == UNFILTERED for settings in failed) < 0.02 * len(outcomes)


def test_no_run_misses_an_app_or_lists_one_that_is_gone() -> None:
    check(range(400))


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_none_of_many_runs_misses_an_app_or_lists_one_that_is_gone(shard: int) -> None:
    check(range(shard * SHARD, (shard + 1) * SHARD))


@QUERIES
@pytest.mark.parametrize("runs", [200, pytest.param(5000, marks=pytest.mark.slow)])
def test_no_run_with_tiny_pages_misses_an_app_or_lists_one_that_is_gone(queries: tuple[Filter, ...], runs: int) -> None:
    assert wrong(run(draw_tiny(queries, seed)) for seed in range(runs)) == []


@pytest.mark.parametrize(
    ("queries", "page_size", "apps", "requests"),
    [
        (UNFILTERED, 100, 0, 1),
        (UNFILTERED, 100, 100, 1),
        (FILTERED, 100, 100, 1),
        (UNFILTERED, 100, 600, 12),
        (UNFILTERED, 100, 6208, 126),
        (SEVERAL, 100, 60, 4),
    ],
)
@pytest.mark.parametrize("concurrency", CONCURRENCIES)
def test_quiet_account_costs_two_requests_per_page(
    queries: tuple[Filter, ...], page_size: int, apps: int, requests: int, concurrency: int
) -> None:
    outcome = run(Settings(0, "age", page_size, concurrency, 0.0, queries, apps))
    assert (outcome.error, outcome.missed, outcome.requests) == (None, frozenset(), requests)


# The check can fail: with each of these weaker rules it does.


Whole = list[Collection[Identity]] | None


def trust_one_reading(reading: Reading, _previous: Reading | None, _seen_before: Collection[Identity]) -> Whole:
    """Trust the counts of one reading, as 1.0.0 does."""
    if any(shown.fault for shown in reading.shown):
        return None
    return [shown.identities for shown in reading.shown]


def count_all_seen(reading: Reading, _previous: Reading | None, seen_before: Collection[Identity]) -> Whole:
    """Compare a count with the apps of all readings, also with those that are gone."""
    (shown,) = reading.shown
    return [shown.identities] if len(shown.identities.union(seen_before)) == shown.first_total else None


def show_same_pages(pages: Mapping[int, Page], page_size: int) -> Shown:
    """Compare which apps are on which page, and no counts."""
    layout: Any = frozenset((number, page.identities) for number, page in pages.items())
    return replace(show(pages, page_size), totals=layout, fault=None)


def keep_early_pages(_app_list: object) -> None:
    """Compare the count of a first page also with pages that may be older."""


def leave_out_states(_app: object) -> frozenset[Hashable]:
    """Compare the app ids of several queries, and not the CVMs."""
    return frozenset()


@pytest.mark.parametrize(
    ("owner", "name", "rule", "queries", "seeds"),
    [
        (_paging, "find_whole", trust_one_reading, UNFILTERED, range(100)),
        (_paging, "find_whole", count_all_seen, UNFILTERED, range(100)),
        (_paging, "show", show_same_pages, UNFILTERED, range(750, 850)),  # 4 of 7,500 runs
        (_paging.AppList, "forget_early_pages", keep_early_pages, UNFILTERED, range(500, 600)),
        (_pages, "filter_states", leave_out_states, SEVERAL, range(750, 850)),
    ],
    ids=["counts of one read", "apps of any read", "same pages without counts", "early pages", "apps without CVMs"],
)
def test_check_finds_a_weaker_rule(
    monkeypatch: pytest.MonkeyPatch,
    owner: ModuleType | type,
    name: str,
    rule: Callable[..., object],
    queries: tuple[Filter, ...],
    seeds: range,
) -> None:
    assert wrong(run(draw_tiny(queries, seed)) for seed in seeds) == []
    monkeypatch.setattr(owner, name, rule)
    assert wrong(run(draw_tiny(queries, seed)) for seed in seeds) != []
