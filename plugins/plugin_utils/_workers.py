# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run calls side by side in a few threads, which are kept until all batches of calls are done."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar

J = TypeVar("J")
R = TypeVar("R")
T = TypeVar("T")

THREAD_NAME = "phala.cloud request"
IDLE_SECONDS = 0.01  # without a result, after which the calls wait for the network and not for the processor
PAUSE_SECONDS = 0.001  # between two steps while idle, in which the calls can go on: Python runs one thread at a time


class Workers:
    """Run at most ``limit`` calls at once; a context manager that ends the idle threads.

    The threads are daemons, so an interrupted run does not wait for responses. They start when they are needed. If the
    system does not allow that many, there are fewer; if it does not allow any, the calls run in the calling thread.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._threads = 0
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for _thread in range(self._threads):
            self._calls.put(None)

    def run(
        self, work: Callable[[J], R], jobs: Iterable[J], *, while_idle: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[J, R]]:
        """Yield each job with its result, in the order of the results.

        Jobs are taken in the calling thread, each when a thread is free for it, so an iterator of jobs may depend on the
        results that were yielded before. The first exception of a call is raised here; the other calls are left to themselves.

        :param while_idle: called in the calling thread while no call ends; does a little work, and returns whether there was any
        """
        results: queue.SimpleQueue[tuple[J, R, None] | tuple[J, None, BaseException]] = queue.SimpleQueue()
        waiting = iter(jobs)
        running = 0
        while True:
            for job in islice(waiting, max(0, self._limit - running)):
                running += 1
                self._start(_call(work, job, results), running)
            if not running:
                return
            job, result, error = _next(results, while_idle)
            running -= 1
            if error is not None:
                raise error
            yield job, result  # type: ignore[misc]

    def _start(self, call: Callable[[], None], running: int) -> None:
        """Hand a call to a thread, and start one if all are busy; ``running`` counts this call, too."""
        if running > self._threads:
            try:
                threading.Thread(target=self._serve, daemon=True, name=THREAD_NAME).start()
                self._threads += 1
            except RuntimeError:  # "can't start new thread"
                self._limit = max(1, self._threads)
        if self._threads:
            self._calls.put(call)
        else:
            call()

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # an idle thread must not keep the last job


def _next(results: queue.SimpleQueue[T], while_idle: Callable[[], bool]) -> T:
    seconds = IDLE_SECONDS
    while True:
        try:
            return results.get(timeout=seconds)
        except queue.Empty:
            if not while_idle():
                return results.get()
            seconds = PAUSE_SECONDS


def _call(work: Callable[[J], R], job: J, results: queue.SimpleQueue[Any]) -> Callable[[], None]:
    def call() -> None:
        try:
            outcome = (job, work(job), None)
        except BaseException as error:  # whatever it is, the calling thread waits for it
            outcome = (job, None, error)  # type: ignore[assignment]
        results.put(outcome)

    return call
