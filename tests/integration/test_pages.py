# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a fleet is read that does not fit on one page, also while it changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator, make_fleet
from ansible_collections.phala.cloud.tests.simulator.faults import (
    EMPTY_PAGE,
    Delay,
    Drift,
    InsertFirst,
    RemoveFirst,
    Repeat,
    Replace,
    Reset,
    Status,
)

QUICK = {"group_by": [], "retries": 0}


def fleet_of(count: int) -> tuple[App, ...]:
    return tuple(App(name=f"app-{number:03}", cvms=(Cvm(name=f"cvm-{number:03}"),)) for number in range(count))


def names_of(count: int) -> list[str]:
    return [f"cvm-{number:03}" for number in range(count)]


def pages(simulator: Simulator) -> list[int]:
    return [request.page for request in simulator.requests]


@pytest.mark.parametrize(
    ("count", "page_size", "asked"),
    [
        (0, 100, [1]),
        (1, 100, [1]),
        (100, 100, [1]),
        (101, 100, [1, 1, 2, 2]),
        (7, 2, [1, 1, 2, 2, 3, 3, 4, 4]),
        (6, 2, [1, 1, 2, 2, 3, 3]),
    ],
)
def test_each_page_is_read_twice_unless_it_is_the_only_one(
    count: int, page_size: int, asked: list[int], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = fleet_of(count)
    assert list(inventory({**QUICK, "page_size": page_size}).hosts) == names_of(count)
    assert sorted(pages(simulator)) == asked
    assert {tuple(request.values("page_size")) for request in simulator.requests} == {(str(page_size),)}


def test_first_page_goes_alone_and_the_rest_side_by_side(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = fleet_of(12)
    simulator.delay = 0.1
    inventory({**QUICK, "page_size": 1, "concurrency": 4})
    first, *rest = simulator.requests
    assert first.page == 1
    assert min(request.at for request in rest) - first.at >= simulator.delay
    assert simulator.peak == 4


@pytest.mark.parametrize("concurrency", [1, 2, 32])
def test_no_more_requests_at_a_time_than_allowed(
    concurrency: int, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = fleet_of(8)
    simulator.delay = 0.02
    assert len(inventory({**QUICK, "page_size": 1, "concurrency": concurrency}).hosts) == 8
    assert simulator.peak <= concurrency
    assert (simulator.peak == 1) == (concurrency == 1)


def test_queries_share_the_lanes(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = fleet_of(4)
    simulator.delay = 0.02
    options = {"filters": {"search": ["app-000", "app-001", "app-002", "app-003"]}, "concurrency": 2}
    assert len(inventory({**QUICK, **options}).hosts) == 4
    assert simulator.peak == 2


def test_page_size_that_the_service_really_uses_counts(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = fleet_of(25)
    simulator.page_size_limit = 10
    assert list(inventory(QUICK).hosts) == names_of(25)
    assert sorted(pages(simulator)) == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("total_pages", [0, 1])
def test_count_of_apps_takes_precedence_over_a_count_of_pages_that_is_too_small(
    total_pages: int, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = fleet_of(5)
    simulator.misbehave(Replace("total_pages", total_pages), times=None)
    assert list(inventory({**QUICK, "page_size": 2}).hosts) == names_of(5)


@pytest.mark.usefixtures("impatience")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Replace("total_pages", 10**9), "6 apps on 1000000000 pages, but they fit on 3"),
        (EMPTY_PAGE, "6 apps, but its pages show 4"),
        (Repeat(), "6 apps, but its pages show 6, of which 5 are different"),
    ],
    ids=["pages", "empty", "repeat"],
)
def test_pages_that_contradict_their_counts_twice_fail_the_source_at_once(
    fault: Any, reason: str, simulator: Simulator, attempt: Callable[..., Loaded]
) -> None:
    simulator.fleet = fleet_of(6)
    simulator.misbehave(fault, page=2, times=None)
    loaded = attempt({**QUICK, "page_size": 2})
    assert "the service contradicts itself in two reads" in loaded.failures[0]
    assert reason in loaded.failures[0]
    assert (loaded.hosts, loaded.groups) == ({}, {})
    assert len(simulator.requests) == 6


def test_result_does_not_depend_on_when_pages_arrive(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = fleet_of(9)
    options = {"page_size": 1, "concurrency": 8}
    expected = inventory(options)
    for seed in range(3):
        delays = random.Random(seed)
        for page in range(2, 10):
            simulator.misbehave(Delay(delays.random() / 20), page=page)
        loaded = inventory(options)
        assert list(loaded.hosts.items()) == list(expected.hosts.items())
        assert list(loaded.groups.items()) == list(expected.groups.items())


def test_result_does_not_depend_on_how_slow_the_service_is(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    cvms = (
        Cvm(name="web {{ 1 }}", extra={"deep": nested(70), "texts": ["a", {"b": "{{ 2 }}"}], "__ansible_x": 1}),
        Cvm(name="db"),
    )
    simulator.fleet = (App(name="app {{ 3 }}", cvms=cvms), *fleet_of(8))
    expected = inventory({"page_size": 1})
    simulator.delay = 0.1
    loaded = inventory({"page_size": 1})
    assert shown(loaded.hosts) == shown(expected.hosts)
    assert loaded.groups == expected.groups
    assert loaded.warnings == expected.warnings


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else "end"


def shown(value: Any) -> Any:
    """Return a value with the types of all that is in it, which show the marks of texts."""
    if isinstance(value, dict):
        return [(key, shown(entry)) for key, entry in value.items()]
    return list(map(shown, value)) if isinstance(value, list) else (type(value), value)


def test_result_does_not_depend_on_the_order_of_apps(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = make_fleet(cvms=60)
    options = {
        "page_size": 10,
        "group_by": ["status", "region", "node", "app", "os_type", "team"],
        "keyed_groups": [{"key": "phala_app.name", "parent_group": "apps"}],
    }
    expected = inventory(options)
    simulator.fleet = simulator.fleet[::-1]
    found = inventory(options)
    assert list(found.hosts.items()) == list(expected.hosts.items())
    assert members(found) == members(expected)
    assert len(members(found)) > 60


def members(loaded: Loaded) -> list[tuple[str, list[str]]]:
    """Return the groups and their hosts, in the order in which Ansible has them."""
    return [(name, [host.name for host in group.get_hosts()]) for name, group in loaded.manager.groups.items()]


def test_two_cvms_of_one_vm_uuid_fail_the_source_whichever_comes_first(simulator: Simulator, refusal: Callable[..., str]) -> None:
    one, other = (App(name=name, cvms=(Cvm(name=name, vm_uuid="1" * 8, status=name),)) for name in ("one", "other"))
    simulator.fleet = (one, other)
    reason = refusal(QUICK)
    assert [word for word in ("vm_uuid '11111111'", "'one'", "'other'", "exclude_filters") if word not in reason] == []
    simulator.fleet = (other, one)
    assert refusal(QUICK) == reason


# A page that cannot be had


@pytest.mark.parametrize("page", [1, 2, 3])
def test_one_page_that_cannot_be_had_fails_the_source(page: int, simulator: Simulator, attempt: Callable[..., Loaded]) -> None:
    simulator.fleet = fleet_of(6)
    simulator.misbehave(Status(503), page=page, times=None)
    loaded = attempt({**QUICK, "page_size": 2})
    assert f"page={page}" in loaded.failures[0]
    assert (loaded.hosts, loaded.groups) == ({}, {})


def test_pages_are_no_longer_asked_for_after_one_has_failed(simulator: Simulator, refusal: Callable[..., str]) -> None:
    simulator.fleet = fleet_of(60)
    simulator.delay = 0.01
    simulator.misbehave(Status(500), page=2, times=None)
    refusal({**QUICK, "page_size": 1, "concurrency": 2})
    assert len(simulator.requests) < 10


def test_page_that_is_another_one_fails_the_source(simulator: Simulator, refusal: Callable[..., str]) -> None:
    simulator.fleet = fleet_of(4)
    simulator.misbehave(Replace("page", 1), page=2, times=None)
    reason = refusal({**QUICK, "page_size": 2})
    assert "it is page 1, but page 2 was requested" in reason


# A fleet that moves


def test_app_that_moves_to_another_page_meanwhile_is_found_by_reading_again(
    simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = fleet_of(6)
    simulator.misbehave(RemoveFirst(), page=2)
    loaded = inventory({**QUICK, "page_size": 2, "concurrency": 1})
    assert list(loaded.hosts) == names_of(6)[1:]
    assert loaded.warnings == []


def test_newcomer_is_found_by_reading_again(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = fleet_of(6)
    simulator.misbehave(InsertFirst(), page=2)
    loaded = inventory({**QUICK, "page_size": 2, "concurrency": 1})
    assert list(loaded.hosts) == [*names_of(6), "newcomer"]
    assert loaded.warnings == []


def test_repeated_app_is_noticed_though_the_count_is_right(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = fleet_of(6)
    simulator.misbehave(Repeat(), page=2)
    loaded = inventory({**QUICK, "page_size": 2}, verbosity=2)
    assert list(loaded.hosts) == names_of(6)
    assert loaded.warnings == []
    assert [line for line in loaded.displayed if "Read 1 of at most 6 does not prove" in line and "5 are different" in line]


@pytest.mark.usefixtures("impatience")
@pytest.mark.parametrize(("concurrency", "most"), [(1, 18), (8, 18 + 5 * 2)])
def test_fleet_that_changes_during_all_reads_fails_the_source(
    concurrency: int, most: int, simulator: Simulator, attempt: Callable[..., Loaded]
) -> None:
    simulator.fleet = fleet_of(6)
    simulator.evolve = lambda fleet, request: (*fleet[1:], App(name=request.id, cvms=(Cvm(name=request.id),)))
    loaded = attempt({**QUICK, "page_size": 2, "concurrency": concurrency})
    assert "the app list changed during all 6 reads, so it may be incomplete" in loaded.failures[0]
    assert (loaded.hosts, loaded.groups) == ({}, {})
    assert 18 <= len(simulator.requests) <= most  # each further reading may request two early pages again


@pytest.mark.usefixtures("impatience")
def test_pages_that_never_agree_on_the_count_fail_the_source(simulator: Simulator, attempt: Callable[..., Loaded]) -> None:
    simulator.fleet = fleet_of(6)
    simulator.misbehave(Drift("total", by=1), page=2, times=None)
    loaded = attempt({**QUICK, "page_size": 2})
    assert "(in the last read, it counts 6 apps on one page and 7 on another)" in loaded.failures[0]
    assert (loaded.hosts, loaded.groups) == ({}, {})


def test_retry_of_a_page_is_not_a_second_reading(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = fleet_of(6)
    simulator.misbehave(Reset(), page=2)
    loaded = inventory({**QUICK, "retries": 1, "page_size": 2})
    assert list(loaded.hosts) == names_of(6)
    assert sorted(pages(simulator)) == [1, 1, 2, 2, 2, 3, 3]
