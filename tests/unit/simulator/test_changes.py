# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Recorded, Simulator, changes
from ansible_collections.phala.cloud.tests.simulator.changes import Fleet

from .conftest import Get

A, B, C = (
    App(
        name=name,
        created_at=f"2026-01-0{day}T00:00:00Z",
        cvms=(Cvm(name=f"{name}-1", updated_at=f"2026-02-0{updated}T00:00:00Z"),),
    )
    for name, day, updated in (("a", 2, 1), ("b", 1, 3), ("c", 3, 2))
)
FLEET = (A, B, C)


def _names(response: requests.Response) -> list[str]:
    return [app["name"] for app in response.json()["dstack_apps"]]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda fleet: changes.create(fleet, App(name="d")), ["a", "b", "c", "d"]),
        (lambda fleet: changes.delete(fleet, B), ["a", "c"]),
        (lambda fleet: changes.swap(fleet, B, App(name="d")), ["a", "d", "c"]),
        (lambda fleet: changes.rename(fleet, B, "d"), ["a", "d", "c"]),
        (lambda fleet: changes.touch(fleet, B, "2026-05-01T00:00:00Z"), ["a", "b", "c"]),
    ],
    ids=["create", "delete", "swap", "rename", "touch"],
)
def test_fleet_changes_between_two_requests(
    get: Get, simulator: Simulator, change: Callable[[Fleet], Fleet], names: list[str]
) -> None:
    simulator.fleet = FLEET
    simulator.evolve = lambda fleet, _request: change(fleet) if len(simulator.requests) == 2 else fleet
    assert _names(get()) == ["a", "b", "c"]
    assert _names(get()) == names
    assert _names(get()) == names


def test_renamed_app_keeps_its_ids() -> None:
    dummy, renamed, dummy = changes.rename(FLEET, B, "d")
    assert (renamed.id, renamed.app_id, renamed.cvms) == (B.id, B.app_id, B.cvms)


def test_touched_app_keeps_its_current_cvm() -> None:
    dummy, touched, dummy = changes.touch(FLEET, B, "2026-05-01T00:00:00Z")
    assert touched.current_cvm is touched.cvms[0]
    assert (touched.current_cvm.vm_uuid, touched.current_cvm.updated_at) == (B.cvms[0].vm_uuid, "2026-05-01T00:00:00Z")


def test_change_sees_the_request(get: Get, simulator: Simulator) -> None:
    seen = []

    def evolve(fleet: Fleet, request: Recorded) -> Fleet:
        seen.append(request.page)
        return fleet

    simulator.evolve = evolve
    get(page=1), get(page=3)
    assert seen == [1, 3]


@pytest.mark.parametrize(("order", "names"), [("age", "cab"), ("name", "abc"), ("update", "bca"), (None, "abc")])
def test_lists_have_an_order(get: Get, simulator: Simulator, order: changes.Order | None, names: str) -> None:
    simulator.fleet = FLEET
    simulator.order = order
    assert _names(get()) == list(names)
    assert _names(get(page=2, page_size=1)) == [names[1]]
    assert _names(get(status="running", page_size=2)) == list(names[:2])


def test_touched_app_moves_to_the_front_of_the_last_updates(get: Get, simulator: Simulator) -> None:
    simulator.fleet = changes.touch(FLEET, A, "2026-05-01T00:00:00Z")
    simulator.order = "update"
    assert _names(get()) == ["a", "b", "c"]
