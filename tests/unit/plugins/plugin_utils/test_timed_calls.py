# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls that must end in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._timed_calls import THREAD_NAME, OutOfTimeError, TimedCalls

T = TypeVar("T")


@pytest.fixture
def calls() -> Iterator[TimedCalls]:
    calls = TimedCalls()
    yield calls
    calls.stop()


def run(calls: TimedCalls, call: Callable[[], T], *, seconds: float = 10, long: float = 10) -> T:
    return calls.run(call, seconds=seconds, long=long, on_long=lambda: None)


def test_result_is_returned_from_another_daemon_thread(calls: TimedCalls) -> None:
    thread = run(calls, threading.current_thread)
    assert (thread.name, thread.daemon) == (THREAD_NAME, True)
    assert thread is not threading.current_thread()
    assert run(calls, lambda: None) is None


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_exception_is_raised(calls: TimedCalls, error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        run(calls, fail)
    assert raised.value is error


def test_thread_is_used_again(calls: TimedCalls) -> None:
    assert len({run(calls, threading.get_ident) for _call in range(5)}) == 1


def test_calls_run_side_by_side(calls: TimedCalls) -> None:
    barrier = threading.Barrier(3, timeout=10)
    callers = [threading.Thread(target=run, args=[calls, barrier.wait]) for _caller in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(10)
    assert not barrier.broken


def test_call_that_takes_too_long_is_left_to_itself(calls: TimedCalls) -> None:
    over, threads = threading.Event(), []

    def hang() -> str:
        threads.append(threading.current_thread())
        over.wait(10)
        return "late"

    started = time.monotonic()
    with pytest.raises(OutOfTimeError):
        run(calls, hang, seconds=0.05)
    assert 0.04 < time.monotonic() - started < 5
    assert run(calls, lambda: "other") == "other"  # in another thread, which nothing late can confuse
    over.set()
    threads[0].join(10)
    assert not threads[0].is_alive()
    assert run(calls, lambda: "next") == "next"


def test_thread_of_call_that_ends_after_the_stop_ends(calls: TimedCalls) -> None:
    def stop() -> threading.Thread:
        calls.stop()
        return threading.current_thread()

    thread = run(calls, stop)
    thread.join(10)
    assert not thread.is_alive()


def test_long_call_is_reported_once_and_goes_on(calls: TimedCalls) -> None:
    reports: list[str] = []
    over = threading.Event()

    def report() -> None:
        reports.append("long")
        over.set()

    assert calls.run(lambda: over.wait(10), seconds=10, long=0.05, on_long=report)
    assert reports == ["long"]


@pytest.mark.parametrize("long", [-5, 0])
def test_long_call_is_reported_at_once_where_it_is_due(calls: TimedCalls, long: float) -> None:
    over = threading.Event()
    assert calls.run(lambda: over.wait(10), seconds=10, long=long, on_long=over.set)


@pytest.mark.parametrize("long", [5, float("inf")])
def test_short_call_is_not_reported(calls: TimedCalls, long: float) -> None:
    reports: list[Any] = []
    with pytest.raises(OutOfTimeError):
        calls.run(lambda: time.sleep(0.3), seconds=0.05, long=long, on_long=lambda: reports.append(1))
    assert reports == []


def test_report_does_not_lengthen_the_time_limit(calls: TimedCalls) -> None:
    started = time.monotonic()
    with pytest.raises(OutOfTimeError):
        calls.run(lambda: time.sleep(1), seconds=0.5, long=0.1, on_long=lambda: time.sleep(0.4))
    assert time.monotonic() - started < 0.8  # not the 0.9 s of a limit that begins again after the report


def test_call_runs_here_where_no_thread_can_start(calls: TimedCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert run(calls, threading.current_thread) is threading.current_thread()


def test_stop_ends_the_idle_threads(calls: TimedCalls) -> None:
    thread = run(calls, threading.current_thread)
    calls.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert run(calls, threading.current_thread) is not thread
