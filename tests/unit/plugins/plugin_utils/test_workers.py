# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils import _workers
from ansible_collections.phala.cloud.plugins.plugin_utils._workers import THREAD_NAME, Workers


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    return condition()


@pytest.fixture(autouse=True)
def no_threads_remain() -> Iterator[None]:
    yield
    assert wait_until(lambda: threads() == [])


@pytest.fixture
def allowed_threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list whose only number says how many threads may still start."""
    allowed = [0]
    start = threading.Thread.start

    def start_or_fail(thread: threading.Thread) -> None:
        if allowed[0] == 0:
            raise RuntimeError("can't start new thread")
        allowed[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_fail)
    return allowed


@pytest.mark.parametrize("limit", [1, 2, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_yields_each_job_with_its_result(limit: int, count: int) -> None:
    with Workers(limit) as workers:
        results = list(workers.run(lambda job: job * job, range(count)))
    assert sorted(results) == [(job, job * job) for job in range(count)]


def test_runs_as_many_calls_at_once_as_allowed() -> None:
    barrier = threading.Barrier(3, timeout=5)
    with Workers(3) as workers:
        results = list(workers.run(lambda _job: barrier.wait(), range(9)))
    assert len(results) == 9


def test_runs_no_more_calls_at_once_than_allowed() -> None:
    lock = threading.Lock()
    running = 0
    most = 0

    def work(_job: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1

    with Workers(3) as workers:
        list(workers.run(work, range(20)))
    assert most == 3


def test_starts_no_more_threads_than_there_are_jobs_and_keeps_them() -> None:
    with Workers(8) as workers:
        first = {name for _job, name in workers.run(lambda _job: threading.get_ident(), range(1))}
        started = threads()
        second = {name for _job, name in workers.run(lambda _job: threading.get_ident(), range(1))}
        assert threads() == started
        assert len(started) == 1
        assert first == second == {started[0].ident}
        list(workers.run(lambda _job: None, range(3)))
        assert len(threads()) == 3


def test_threads_do_not_keep_an_interrupted_run_from_ending() -> None:
    with Workers(2) as workers:
        list(workers.run(lambda _job: None, range(2)))
        assert [thread.daemon for thread in threads()] == [True, True]


def test_takes_jobs_in_the_calling_thread_when_a_call_can_start() -> None:
    results: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(6):
            assert threading.current_thread() is threading.main_thread()
            taken.append((job, len(results)))
            yield job

    taken: list[tuple[int, int]] = []
    with Workers(2) as workers:
        for job, _result in workers.run(lambda job: job, jobs()):
            results.append(job)
    assert taken == [(0, 0), (1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
def test_raises_the_exception_of_a_call(kind: type[BaseException]) -> None:
    error = kind("the call failed")

    def work(job: int) -> None:
        if job == 3:
            raise error

    with Workers(2) as workers, pytest.raises(kind) as raised:
        list(workers.run(work, range(9)))
    assert raised.value is error


def test_does_not_wait_for_calls_after_an_exception() -> None:
    is_free = threading.Event()

    def work(job: int) -> None:
        if job == 0:
            is_free.wait(5)
        raise LookupError

    with pytest.raises(LookupError), Workers(2) as workers:
        list(workers.run(work, range(2)))
    assert len(threads()) >= 1
    is_free.set()


@pytest.mark.parametrize("allowed", [1, 2])
def test_goes_on_with_fewer_threads(allowed: int, allowed_threads: list[int]) -> None:
    allowed_threads[0] = allowed
    with Workers(4) as workers:
        results = list(workers.run(lambda job: (job, threading.get_ident()), range(20)))
        assert len(threads()) == allowed
        main = threading.get_ident()
        assert main not in {ident for _job, (_same, ident) in results}
    assert sorted(job for job, _result in results) == list(range(20))


def test_runs_calls_in_the_calling_thread_if_no_thread_starts(allowed_threads: list[int]) -> None:
    assert allowed_threads == [0]
    with Workers(4) as workers:
        results = list(workers.run(lambda _job: threading.get_ident(), range(5)))
    assert results == [(job, threading.get_ident()) for job in range(5)]


def test_fewer_threads_are_no_more_calls_at_once(allowed_threads: list[int]) -> None:
    allowed_threads[0] = 2
    taken: list[tuple[int, int]] = []
    results: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(8):
            taken.append((job, len(results)))
            yield job

    with Workers(4) as workers:
        for job, _result in workers.run(lambda job: job, jobs()):
            results.append(job)
    assert taken[4:] == [(4, 3), (5, 4), (6, 5), (7, 6)]


def test_idle_threads_keep_neither_job_nor_result() -> None:
    class Kept:
        pass

    with Workers(1) as workers:
        results = workers.run(lambda _job: Kept(), (Kept() for _job in range(1)))
        references = [(weakref.ref(job), weakref.ref(result)) for job, result in results]
        assert wait_until(lambda: [(job(), result()) for job, result in references] == [(None, None)])


# While the calls wait


@pytest.mark.parametrize("steps", [0, 3])
def test_works_while_no_call_ends_until_there_is_nothing_to_do(steps: int) -> None:
    done: list[threading.Thread] = []

    def while_idle() -> bool:
        done.append(threading.current_thread())
        return len(done) <= steps

    def work(_job: int) -> bool:
        return wait_until(lambda: len(done) > steps)

    with Workers(1) as workers:
        assert list(workers.run(work, range(1), while_idle=while_idle)) == [(0, True)]
    assert done == [threading.main_thread()] * (steps + 1)


def test_result_ends_the_work_while_idle() -> None:
    done: list[int] = []

    def while_idle() -> bool:
        done.append(1)
        return True

    with Workers(1) as workers:
        assert list(workers.run(lambda _job: wait_until(lambda: len(done) > 5), range(1), while_idle=while_idle)) == [(0, True)]
        assert len(done) > 5


def test_pauses_between_the_steps_of_the_work_while_idle() -> None:
    done: list[int] = []

    def while_idle() -> bool:
        done.append(1)
        return True

    started = time.perf_counter()
    with Workers(1) as workers:
        list(workers.run(lambda _job: time.sleep(0.05), range(1), while_idle=while_idle))
    assert 0 < len(done) <= (time.perf_counter() - started) / _workers.PAUSE_SECONDS


def test_does_not_count_as_idle_while_results_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_workers, "IDLE_SECONDS", 5.0)
    with Workers(2) as workers:
        results = workers.run(lambda job: time.sleep(job / 1000), range(20), while_idle=lambda: pytest.fail("it was not idle"))
        assert len(list(results)) == 20
