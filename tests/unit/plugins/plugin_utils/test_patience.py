# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Retries, shared pauses and the line about a long wait; with a clock of their own, so no test waits."""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import ApiError, UnavailableError
from ansible_collections.phala.cloud.plugins.plugin_utils._patience import Notice, Pace, Tries, jitter, read_retry_after

NOON = 1_800_000_000


def throttled(retry_after: float | None = 1) -> UnavailableError:
    return UnavailableError("429", may_pass=True, retry_after=retry_after, is_throttled=True)


class Time:
    """A clock that a test sets."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


# Tries


def test_tries_are_used_up_by_failures() -> None:
    tries: Tries | None = Tries(2)
    failures = []
    while tries:
        failures.append((tries.used, tries.backoff))
        tries = tries.after(UnavailableError("503", may_pass=True), 0)
    assert failures == [(0, 0), (1, 0), (2, 1)]


def test_backoff_grows() -> None:
    assert [Tries(9, used).backoff for used in range(7)] == [0, 0, 1, 2, 4, 8, 16]


@pytest.mark.parametrize(
    "error", [ApiError("404"), throttled(30.001), throttled(float("inf")), ApiError("redirect", retry_after=1)], ids=str
)
def test_some_errors_are_not_tried_again(error: ApiError) -> None:
    assert Tries(5).after(error, 100) is None


def test_longest_retry_after_is_honoured() -> None:
    assert Tries(5).after(throttled(30), 0) == Tries(5, used=1)


def test_honoured_retry_after_uses_no_retry_while_responses_arrive() -> None:
    tries = Tries(1, responses=4)
    for responses in (5, 6, 9):
        tries = tries.after(throttled(), responses)  # type: ignore[assignment]
        assert tries == Tries(1, used=0, responses=responses)
    tries = tries.after(throttled(), 9)  # type: ignore[assignment]
    assert tries == Tries(1, used=1, responses=9)
    assert tries.after(throttled(), 9) is None
    assert tries.after(throttled(), 10) == Tries(1, used=1, responses=10)


@pytest.mark.parametrize("retry_after", [None, 0])
def test_failure_without_retry_after_uses_a_retry_although_responses_arrive(retry_after: float | None) -> None:
    assert Tries(1).after(throttled(retry_after), 7) == Tries(1, used=1, responses=7)


def test_without_retries_there_is_one_try() -> None:
    assert Tries(0).after(throttled(), 7) is None


def test_jitter_spreads_over_half_a_second() -> None:
    assert (jitter(lambda: 0.0), jitter(lambda: 1.0)) == (0, 0.5)
    assert len({jitter() for _call in range(10)}) > 1


# Retry-After


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "0"}, None),
        ({"Retry-After": "1"}, 1),
        ({"Retry-After": " 01 "}, 1),
        ({"Retry-After": "31"}, 31),
        ({"Retry-After": "0" * 5000 + "7"}, 7),
        ({"Retry-After": "9" * 5000}, float("inf")),
        *(({"Retry-After": text}, None) for text in ("-1", "-0", "abc", "1.5", "1.5s", "1e9", "0x10", "nan", "inf", "٣", "+5")),
        *(({"Retry-After": f"Fri, {date}"}, None) for date in ("99 Foo 2026 99:99:99 GMT", "31 Dec 99999 23:59:59 GMT")),
        ({"Retry-After": formatdate(NOON + 5, usegmt=True)}, 5),
        ({"Retry-After": formatdate(NOON - 5, usegmt=True)}, None),
        ({"Retry-After": formatdate(NOON, usegmt=True)}, None),
        ({"Retry-After": formatdate(60, usegmt=True), "Date": formatdate(50, usegmt=True)}, 10),
        ({"Retry-After": formatdate(NOON + 3600, usegmt=True), "Date": formatdate(NOON + 3590, usegmt=True)}, 10),
        ({"Retry-After": formatdate(NOON + 5, usegmt=True), "Date": "yesterday"}, 5),
        ({"Retry-After": "3", "Date": formatdate(0, usegmt=True)}, 3),
    ],
    ids=lambda value: str(value)[:60],
)
def test_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers, now=lambda: NOON) == seconds


# The pace


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def pace(clock: Time) -> Pace:
    """Return a pace without randomness: intervals and pauses are as short as they can be."""
    return Pace(clock=clock, random_part=lambda: 0.0)


def test_requests_are_sent_at_once_without_a_pause(pace: Pace) -> None:
    assert [pace.take_turn() for _request in range(20)] == [0] * 20


def test_pause_holds_all_requests(pace: Pace, clock: Time) -> None:
    pace.pause(3, sent_at=clock())
    assert [pace.take_turn() for _request in range(8)] == [3] * 8
    clock.now += 2
    assert pace.take_turn() == 1
    clock.now += 1
    assert pace.take_turn() == 0


def test_requests_are_sent_one_at_a_time_after_a_pause(pace: Pace, clock: Time) -> None:
    for _response in range(10):
        pace.count_response()
    clock.now += 4  # 10 responses in 4 s
    pace.pause(1, sent_at=clock())
    clock.now += 1
    assert pace.take_turn() == 0
    assert pace.take_turn() == pytest.approx(0.4 * 0.75)
    clock.now += 0.3
    assert pace.take_turn() == pytest.approx(0)


def test_responses_make_it_faster_again(pace: Pace, clock: Time) -> None:
    pace.count_response()
    clock.now += 1
    pace.pause(1, sent_at=clock())
    clock.now += 1
    pace.count_response()
    assert pace.take_turn() == 0
    assert pace.take_turn() == pytest.approx(0.95 * 0.75)
    assert pace.responses == 2


def test_fruitless_pauses_grow_to_what_is_honoured(pace: Pace, clock: Time) -> None:
    waits = []
    for _pause in range(6):
        pace.pause(1, sent_at=clock())
        waits.append(pace.take_turn())
        clock.now += waits[-1]
    assert waits == pytest.approx([1, 3, 9, 27, 30, 30])
    assert pace.take_turn() == 0
    assert pace.take_turn() == pytest.approx(0.1 * 1.2**5 * 0.75)


def test_interval_has_an_upper_limit(pace: Pace, clock: Time) -> None:
    pace.count_response()
    clock.now += 100
    pace.pause(1, sent_at=clock())
    clock.now += 1
    assert pace.take_turn() == 0
    assert pace.take_turn() == pytest.approx(4 * 0.75)


def test_response_ends_the_growth_of_pauses(pace: Pace, clock: Time) -> None:
    for _pause in range(3):
        pace.pause(1, sent_at=clock())
        clock.now += 30
    pace.count_response()
    pace.pause(1, sent_at=clock())
    assert pace.take_turn() == 1


def test_refusals_of_requests_sent_before_the_pause_do_not_count_again(pace: Pace, clock: Time) -> None:
    sent_at = clock()
    clock.now += 0.1
    for _refusal in range(8):
        pace.pause(1, sent_at=sent_at)
    assert pace.take_turn() == 1
    clock.now += 0.5
    pace.pause(2, sent_at=sent_at)  # a longer pause counts
    assert pace.take_turn() == 2
    pace.pause(1, sent_at=sent_at)  # a shorter one does not
    assert pace.take_turn() == 2


def test_pauses_have_jitter(clock: Time) -> None:
    shortest, longest = (Pace(clock=clock, random_part=lambda part=part: part) for part in (0.0, 1.0))  # type: ignore[misc]
    for seconds, spread in ((0.0, 0.5), (1, 0.5), (10, 5)):
        shortest, longest = (Pace(clock=clock, random_part=lambda part=part: part) for part in (0.0, 1.0))  # type: ignore[misc]
        for pace in (shortest, longest):
            pace.pause(seconds, sent_at=clock())
        assert longest.take_turn() - shortest.take_turn() == pytest.approx(spread)


def test_intervals_have_jitter(clock: Time) -> None:
    pace = Pace(clock=clock, random_part=lambda: 1.0)
    pace.count_response()
    clock.now += 1
    pace.pause(0, sent_at=clock())
    clock.now += 0.5
    assert pace.take_turn() == 0
    assert pace.take_turn() == pytest.approx(1.25)


# Several runs against one service


class Allowance:
    """A service that allows some requests a second, in one of two usual ways."""

    def __init__(self, rate: float, *, by_second: bool) -> None:
        self._rate = self._left = rate
        self._by_second = by_second
        self._last = 0.0

    def take(self, now: float) -> bool:
        if self._by_second:
            self._left = self._left if int(now) == int(self._last) else self._rate
        else:
            self._left = min(self._rate, self._left + (now - self._last) * self._rate)
        self._last = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Run:
    """A run that fetches 30 pages twice, each time the first one alone, in at most 8 threads."""

    def __init__(self, clock: Time, allowance: Allowance, chance: random.Random) -> None:
        self.ended: float | None = None
        self.requests = 0
        self._clock = clock
        self._allowance = allowance
        self._chance = chance
        self._pace = Pace(clock=clock, random_part=chance.random)
        self._batches = iter((1, 29, 1, 29))
        self._left = self._running = 0

    def start_batch(self) -> list[Iterator[float]]:
        self._left = self._running = next(self._batches, 0)
        if not self._left:
            self.ended = self._clock()
        return [self._fetch_pages() for _thread in range(min(8, self._left))]

    @property
    def is_between_batches(self) -> bool:
        return not self._running and self.ended is None

    def _fetch_pages(self) -> Iterator[float]:
        """Fetch pages as the client does, and yield the seconds of each wait."""
        while self._left:
            self._left -= 1
            yield from self._fetch_page()
            self._running -= 1

    def _fetch_page(self) -> Iterator[float]:
        tries = Tries(5, responses=self._pace.responses)
        while True:
            while wait := self._pace.take_turn():
                yield wait
            sent_at = self._clock()
            is_allowed = self._allowance.take(sent_at)
            self.requests += 1
            yield 0.01 + 0.02 * self._chance.random()
            if is_allowed:
                self._pace.count_response()
                return
            further = tries.after(throttled(), self._pace.responses)
            assert further is not None, "a run failed"
            tries = further
            self._pace.pause(1, sent_at=sent_at)


def simulate(count: int, rate: float, *, by_second: bool, seed: int) -> list[Run]:
    clock = Time(0.0)
    chance = random.Random(seed)
    allowance = Allowance(rate, by_second=by_second)
    runs = [Run(clock, allowance, chance) for _run in range(count)]
    order = itertools.count()
    threads = [(0.0, next(order), run, thread) for run in runs for thread in run.start_batch()]
    while threads:
        clock.now, _order, run, thread = heapq.heappop(threads)
        wait = next(thread, None)
        if wait is not None:
            heapq.heappush(threads, (clock.now + wait + 1e-6, next(order), run, thread))
        elif run.is_between_batches:
            for fresh in run.start_batch():
                heapq.heappush(threads, (clock.now, next(order), run, fresh))
    return runs


@pytest.mark.parametrize("by_second", [False, True])
@pytest.mark.parametrize(("count", "rate"), [(1, 2), (1, 5), (1, 10), (6, 5), (6, 10)])
def test_all_runs_succeed_within_twice_the_time_that_the_service_needs(count: int, rate: float, by_second: bool) -> None:
    for seed in range(5):
        runs = simulate(count, rate, by_second=by_second, seed=seed)
        assert all(run.ended for run in runs)
        assert max(run.ended or 0 for run in runs) < 2 * count * 60 / rate + 5
        assert sum(run.requests for run in runs) < 1.4 * count * 60


# The line about a long wait


@pytest.fixture
def said() -> list[str]:
    return []


def test_long_wait_is_said_once(clock: Time, said: list[str]) -> None:
    notice = Notice(said.append, clock=clock)
    assert notice.seconds_left() == 30
    notice.say("too early")
    clock.now += 29.9
    notice.say("still too early")
    clock.now += 0.1
    notice.say("now")
    notice.say("again")
    clock.now += 100
    notice.say("and again")
    assert said == ["now"]
    assert notice.seconds_left() == float("inf")


def test_default_clocks_are_those_of_time() -> None:
    assert 29 < Notice(list[str]().append).seconds_left() <= 30
    assert Pace().take_turn() == 0
    retry_after = formatdate(time.time() + 100, usegmt=True)
    assert 90 < (read_retry_after({"Retry-After": retry_after}) or 0) <= 100
