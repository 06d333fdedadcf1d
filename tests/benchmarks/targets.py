# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hold what was measured against what this plugin promises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from .measuring import Result, Sample
from .subjects import (
    BARE,
    CACHED,
    COLD,
    DELAY,
    EXPRESSIONS_SIZE,
    FLAT_BARE,
    FLAT_ONCE,
    MAIN_SIZE,
    ONE_HOST,
    PLAIN,
    RELEASE,
    USUAL_LANES,
    lanes,
)

LARGE, SMALL = 50_000, 5_000  # hosts, whose times per host are compared


@dataclass(frozen=True)
class Verdict:
    """A promise, its limit, and what was measured, None where a part of it was not."""

    promise: str
    limit: float
    measured: float | None

    @property
    def met(self) -> bool | None:
        return None if self.measured is None else self.measured <= self.limit


class Measured:
    """The samples of one ansible-core, by what they are of; a KeyError says that something was not measured."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._samples = {(r.case.subject, r.case.hosts, r.case.delay): r.samples for r in results if r.case.command == "load"}

    def of(self, subject: str, hosts: int = MAIN_SIZE, *, delay: float = 0.0) -> tuple[Sample, ...]:
        return self._samples[subject, hosts, delay]

    @property
    def start(self) -> tuple[Sample, ...]:
        """What Ansible takes without an inventory."""
        return self.of(ONE_HOST, 1)


def judge(results: Sequence[Result]) -> list[Verdict]:
    """Return a verdict on each promise; all results must be of one ansible-core."""
    return list(_verdicts(Measured(results)))


def _verdicts(measured: Measured) -> Iterator[Verdict]:
    for promise, limit, measure in PROMISES:
        try:
            yield Verdict(promise, limit, median(measure(measured)))
        except KeyError:
            yield Verdict(promise, limit, None)


# The ratios of the rounds: what disturbs a round disturbs both alike.


def _cpu(ours: Sequence[Sample], other: Sequence[Sample]) -> list[float]:
    return [one.cpu / another.cpu for one, another in zip(ours, other, strict=False)]


def _peak(ours: Sequence[Sample], other: Sequence[Sample]) -> list[float]:
    return [one.peak / another.peak for one, another in zip(ours, other, strict=False)]


def _wall(ours: Sequence[Sample], other: Sequence[Sample]) -> list[float]:
    return [one.wall / another.wall for one, another in zip(ours, other, strict=False)]


def _memory(measured: Measured) -> list[float]:
    return [(ours.peak - core.peak) * 1024 / MAIN_SIZE for ours, core in zip(measured.of(COLD), measured.start, strict=False)]


def _growth(measured: Measured) -> list[float]:
    rounds = zip(measured.of(COLD, LARGE), measured.of(COLD, SMALL), measured.start, strict=False)
    return [(large.cpu - core.cpu) / (small.cpu - core.cpu) * SMALL / LARGE for large, small, core in rounds]


PROMISES: tuple[tuple[str, float, Callable[[Measured], list[float]]], ...] = (
    (
        f"{MAIN_SIZE:,} hosts, default API version, read twice: CPU, times the bare plugin's",
        1.6,
        lambda measured: _cpu(measured.of(COLD), measured.of(BARE)),
    ),
    (
        f"{MAIN_SIZE:,} hosts, flat shape, read once: CPU, times the bare plugin's",
        1.45,
        lambda measured: _cpu(measured.of(FLAT_ONCE), measured.of(FLAT_BARE)),
    ),
    (
        f"{MAIN_SIZE:,} hosts, a hit of the cache: CPU, times that of the fetch",
        0.7,
        lambda measured: _cpu(measured.of(CACHED), measured.of(COLD)),
    ),
    (
        f"{MAIN_SIZE:,} hosts, a hit of the cache: peak memory, times that of the fetch",
        1.0,
        lambda measured: _peak(measured.of(CACHED), measured.of(COLD)),
    ),
    (
        f"{EXPRESSIONS_SIZE:,} hosts, five plain expressions: CPU, times that without",
        1.15,
        lambda measured: _cpu(measured.of(PLAIN, EXPRESSIONS_SIZE), measured.of(COLD, EXPRESSIONS_SIZE)),
    ),
    (
        f"{MAIN_SIZE:,} hosts, five plain expressions: CPU, times that without",
        1.35,
        lambda measured: _cpu(measured.of(PLAIN), measured.of(COLD)),
    ),
    (
        f"{MAIN_SIZE:,} hosts, 63 pages, {DELAY * 1000:.0f} ms each, read twice: clock, times that of 1.0.0, which read once",
        1.15,
        lambda measured: _wall(measured.of(lanes(USUAL_LANES), delay=DELAY), measured.of(RELEASE, delay=DELAY)),
    ),
    (f"{MAIN_SIZE:,} hosts: peak memory over Ansible alone, KB per host", 14.5, _memory),
    (f"{LARGE:,} hosts: CPU per host over Ansible alone, times that of {SMALL:,}", 1.15, _growth),
)
