# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""When to ask again, and how fast: retries with backoff, pauses that all requests share, and a line when a run waits long.

This does not use the ``Retry`` of urllib3: before version 2.0 it has no jitter, and it reads a date in ``Retry-After`` by the
clock of this machine.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import mktime_tz, parsedate_tz
from typing import NamedTuple

from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import ApiError

MAX_RETRY_AFTER = 30  # seconds; a service that asks for a longer pause gets an error that says so
BACKOFF_FACTOR = 0.5  # seconds; the waits are 0, 1, 2, 4, 8 ... before jitter
JITTER = 0.5  # seconds; the spread of waits, so that requests do not come back all at once
PAUSE_GROWTH = 3  # of the pauses during which no response arrived; other runs may use up what the service allows
INTERVAL_GROWTH = 1.2  # of the time between requests, when the service refuses the first one after a pause
INTERVAL_DECAY = 0.95  # of the time between requests, with each response
MIN_INTERVAL, MAX_INTERVAL = 0.1, 4.0  # seconds between requests after a pause
NOTICE_SECONDS = 30  # after which a run says what it waits for

Clock = Callable[[], float]


class Tries(NamedTuple):
    """The failed tries of one request. ``responses`` is how many responses the run had received at the last one."""

    allowed: int
    used: int = 0
    responses: int = 0

    def after(self, error: ApiError, responses: int) -> Tries | None:
        """Return the tries with this failed one, or None if there is no further try.

        A pause that the service asked for does not use up a retry if other responses have arrived since the last failed try.
        """
        if not (self.allowed and error.may_pass) or (error.retry_after or 0) > MAX_RETRY_AFTER:
            return None
        if error.retry_after and responses > self.responses:
            return self._replace(responses=responses)
        if self.used == self.allowed:
            return None
        return self._replace(used=self.used + 1, responses=responses)

    @property
    def backoff(self) -> float:
        """Return how long to wait before the next try, in seconds without jitter: 0, 1, 2, 4, 8 ..."""
        return BACKOFF_FACTOR * 2 ** (self.used - 1) if self.used > 1 else 0.0


def jitter(random_part: Clock = random.random) -> float:
    """Return a random number of seconds to add to a wait."""
    return random_part() * JITTER


def read_retry_after(headers: Mapping[str, str], *, now: Clock = time.time) -> float | None:
    """Return the seconds of ``Retry-After``, None where it is missing, senseless or past.

    A date counts from the date of the response, because the clock of this machine may be wrong.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)  # not int(), which refuses thousands of digits
    else:
        until = _timestamp(text)
        if until is None:
            return None
        sent = _timestamp(headers.get("Date", ""))
        seconds = until - (now() if sent is None else sent)
    return seconds if seconds > 0 else None


def _timestamp(text: str) -> float | None:
    try:
        date = parsedate_tz(text)
        return None if date is None else mktime_tz(date)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


class Pace:
    """Say when the next request of a run may be sent; all requests of the run share one.

    Without a pause requests are sent at once. After a pause they are sent one at a time, at the rate at which responses
    arrived before; each response shortens the interval, and each pause sets it anew. The rate follows what the service allows
    this run, also while other runs use up the same allowance.
    """

    def __init__(self, *, clock: Clock = time.monotonic, random_part: Clock = random.random) -> None:
        self.responses = 0
        self._clock = clock
        self._random = random_part
        self._lock = threading.Lock()
        self._free_at = clock()  # when the next request may be sent
        self._interval = 0.0
        self._paused_at = self._free_at
        self._responses_before = 0  # when the last pause began
        self._fruitless_pauses = 0

    def take_turn(self) -> float:
        """Return 0 if a request may be sent now, else the seconds after which to ask again."""
        with self._lock:
            now = self._clock()
            if now < self._free_at:
                return self._free_at - now
            self._free_at = now + self._interval * (0.75 + 0.5 * self._random())
            return 0.0

    def count_response(self) -> None:
        """Take note of a response."""
        with self._lock:
            self.responses += 1
            self._interval *= INTERVAL_DECAY

    def pause(self, seconds: float, *, sent_at: float) -> None:
        """Let no request be sent for a while.

        :param seconds: what the service asks for; the pause is longer by a random time, and if no response has arrived since
            the last pause
        :param sent_at: when the request was sent that the service refused. If it was before the last pause began, it says
            nothing about the rate since then.
        """
        with self._lock:
            now = self._clock()
            if sent_at >= self._paused_at:
                self._judge_rate(now)
            pause = min(MAX_RETRY_AFTER, seconds * PAUSE_GROWTH ** max(0, self._fruitless_pauses - 1))
            self._free_at = max(self._free_at, now + pause + self._random() * max(JITTER, pause / 2))

    def _judge_rate(self, now: float) -> None:
        arrived = self.responses - self._responses_before
        if arrived:
            self._interval = max(self._interval, (now - self._paused_at) / arrived)
            self._fruitless_pauses = 0
        else:
            self._interval = max(self._interval * INTERVAL_GROWTH, MIN_INTERVAL)
            self._fruitless_pauses += 1
        self._interval = min(self._interval, MAX_INTERVAL)
        self._responses_before = self.responses
        self._paused_at = now


class Notice:
    """Say once what a run waits for, when it has taken long."""

    def __init__(self, say: Callable[[str], None], *, clock: Clock = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._lock = threading.Lock()
        self._due = clock() + NOTICE_SECONDS

    def seconds_left(self) -> float:
        """Return the seconds until there is something to say, infinity after it was said."""
        return self._due - self._clock()

    def say(self, text: str) -> None:
        """Say the text if it is due and nothing was said before."""
        with self._lock:
            if self.seconds_left() > 0:
                return
            self._due = float("inf")
        self._say(text)
