# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many runs against a service that fails a fifth of its answers at random: whoever succeeds has the whole fleet."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Final

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils import _patience
from ansible_collections.phala.cloud.tests.loading import load
from ansible_collections.phala.cloud.tests.simulator import Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import (
    EMPTY_PAGE,
    Body,
    Close,
    Delay,
    Drift,
    Fault,
    Html,
    Repeat,
    Reset,
    Status,
    Truncate,
    WrongLength,
)

from .conftest import wait_for_threads
from .project import Project

FAILING: Final = 0.2  # the part of all answers that fail, in one of these ways
FAULTS: Final[tuple[Fault, ...]] = (
    Status(500),
    Status(502),
    Status(503),
    Status(429),
    Html(503),
    Reset(),
    Reset(after=200),
    Close(),
    Truncate(),
    WrongLength(-10),
    WrongLength(10),
    Body(b"{"),
    Delay(0.2),
    EMPTY_PAGE,
    Repeat(),
    Drift("total", by=1),
)


def fail_a_part(simulator: Simulator, seed: int) -> None:
    """Let each answer fail with the same chance; of several faults the first that applies shows."""
    remaining = 1.0
    each = FAILING / len(FAULTS)
    for number, fault in enumerate(FAULTS):
        simulator.misbehave(fault, times=None, probability=each / remaining, seed=seed + number)
        remaining -= each


@pytest.mark.parametrize("runs", [30, pytest.param(500, marks=pytest.mark.slow)])
def test_whoever_succeeds_has_the_whole_fleet(
    project: Project,
    simulator: Simulator,
    record_testsuite_property: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
    runs: int,
) -> None:
    monkeypatch.setattr(_patience, "BACKOFF_FACTOR", 0.02)  # how long it waits says nothing about what it reads
    monkeypatch.setattr(_patience, "JITTER", 0.02)
    source = project.write(timeout=10, retries=3)
    whole = load([source]).assert_whole().text
    simulator.clear()
    fail_a_part(simulator, seed=runs)
    outcomes = [load([source]) for _run in range(runs)]
    succeeded = [outcome for outcome in outcomes if outcome.error is None]
    assert all(outcome.text == whole for outcome in succeeded)
    for outcome in outcomes:
        if outcome.error is not None:
            outcome.assert_nothing()
    figures = f"{len(succeeded)} of {runs} runs succeeded, with {len(simulator.requests)} requests"
    record_testsuite_property("soak", figures)
    print(f"\n{figures}, {sum(outcome.seconds for outcome in outcomes):.0f} s")  # noqa: T201
    assert len(succeeded) > runs * 0.9


def test_no_thread_is_left_behind(project: Project, simulator: Simulator) -> None:
    before = set(threading.enumerate())
    load([project.write()]).assert_whole()
    simulator.misbehave(Status(500), times=None, page=3)
    load([project.write()]).assert_nothing()
    simulator.hang_up()
    wait_for_threads(before)
    assert set(threading.enumerate()) <= before


def test_inventories_that_were_replaced_are_freed(project: Project) -> None:
    """A play may refresh its inventory again and again."""
    source = project.write(timeout=10)
    replaced = [weakref.ref(next(iter(load([source]).manager.hosts.values()))) for _refresh in range(3)]
    current = load([source])
    gc.collect()
    assert [host for host in replaced[:2] if host() is not None] == []
    assert current.hosts
