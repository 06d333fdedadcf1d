# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run calls that must end in time, whatever they wait for.

Sockets have a time limit for each piece of data but not for the whole, and looking up a name has none at all.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

THREAD_NAME = "phala.cloud timed request"


class OutOfTimeError(Exception):
    """A call did not end in time; its thread goes on until the call ends."""


class TimedCalls:
    """Run each call in a thread, and use the thread for the next call; several threads may run calls at once.

    The threads are daemons, so an interrupted run does not wait for them.
    """

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._is_stopped = False

    def run(self, call: Callable[[], T], *, seconds: float, long: float, on_long: Callable[[], None]) -> T:
        """Return what the call returns.

        If no thread can be started, the call runs in the calling thread, and only the time limits of its sockets apply.

        :param seconds: the time limit
        :param long: after this many seconds ``on_long`` is called, if the call has not ended
        :raises OutOfTimeError: when the time limit has passed
        """
        worker = self._take()
        if worker is None:
            return call()
        worker.calls.put(call)
        try:
            result, error = worker.wait(seconds=seconds, long=long, on_long=on_long)
        except queue.Empty:
            worker.calls.put(None)
            raise OutOfTimeError from None
        self._idle.append(worker)
        if self._is_stopped:
            self.stop()
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def stop(self) -> None:
        """End the idle threads, and each of the others after its call."""
        self._is_stopped = True
        while self._idle:
            self._idle.pop().calls.put(None)

    def _take(self) -> _Worker | None:
        try:
            return self._idle.pop()
        except IndexError:
            pass
        worker = _Worker()
        try:
            threading.Thread(target=worker.serve, daemon=True, name=THREAD_NAME).start()
        except RuntimeError:  # "can't start new thread"
            return None
        return worker


class _Worker:
    """A thread with a queue of calls and a queue of outcomes, each a result and an error of which one is None."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def wait(self, *, seconds: float, long: float, on_long: Callable[[], None]) -> tuple[Any, BaseException | None]:
        """Return the outcome of the call; raise :class:`queue.Empty` when it takes too long."""
        end = time.monotonic() + seconds
        if long < seconds:
            try:
                return self._outcomes.get(timeout=max(0.0, long))
            except queue.Empty:
                on_long()
        return self._outcomes.get(timeout=max(0.0, end - time.monotonic()))

    def serve(self) -> None:
        while (call := self.calls.get()) is not None:
            try:
                outcome = (call(), None)
            except BaseException as error:  # whatever it is, the calling thread waits for it
                outcome = (None, error)  # type: ignore[assignment]
            self._outcomes.put(outcome)
            del call, outcome  # an idle thread must not keep the last page
