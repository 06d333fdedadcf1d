# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hold what was measured against what this plugin promises."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from .measuring import Result
from .subjects import (
    CACHED,
    COLD,
    CONSTRUCTED,
    CONSTRUCTED_BY_CORE,
    CONSTRUCTED_SIZE,
    DELAY,
    HETZNER_SUBJECT,
    MAIN_SIZE,
    NETBOX_SUBJECT,
    ONE_HOST,
    STATIC,
    lanes,
)

SECONDS_PER_HOST = 0.00015  # what loading may take for each host, besides Ansible's start and the requests


@dataclass(frozen=True)
class Verdict:
    """A promise, its limit, and what was measured."""

    promise: str
    limit: float
    measured: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


class Measured:
    """The results of one ansible-core, by what they are of; a KeyError tells that something was not measured."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._results = {(r.case.subject, r.case.hosts, r.case.delay, r.case.command): r for r in results}

    def get(self, subject: str, hosts: int, *, delay: float = 0.0, command: str = "load") -> Result:
        return self._results[subject, hosts, delay, command]

    @property
    def start(self) -> Result:
        """What Ansible takes without an inventory."""
        return self.get(ONE_HOST, 1)


def judge(results: Sequence[Result]) -> list[Verdict]:
    """Return a verdict on each promise of which everything was measured; all results must be of one ansible-core."""
    return list(_verdicts(Measured(results), results[0].case.core))


def _verdicts(measured: Measured, core: str) -> Iterator[Verdict]:
    for verdict in (_against_static(core), _listing_against_static(core), *OTHERS):
        try:
            yield verdict(measured)
        except KeyError:
            continue


def _against_static(core: str) -> Callable[[Measured], Verdict]:
    def verdict(measured: Measured) -> Verdict:
        if core == "2.16":
            raise KeyError(core)
        ratio = measured.get(COLD, MAIN_SIZE).cpu / measured.get(STATIC, MAIN_SIZE).cpu
        return Verdict(f"loading {MAIN_SIZE:,} hosts, of the static JSON inventory's time", 0.16, ratio)

    return verdict


def _listing_against_static(core: str) -> Callable[[Measured], Verdict]:
    def verdict(measured: Measured) -> Verdict:
        if core != "2.16":
            raise KeyError(core)
        ours, static = (measured.get(subject, MAIN_SIZE, command="--list") for subject in (COLD, STATIC))
        return Verdict(f"printing {MAIN_SIZE:,} hosts, of the static JSON inventory's time", 0.85, ours.cpu / static.cpu)

    return verdict


def _faster_than_netbox(measured: Measured) -> Verdict:
    ratio = measured.get(NETBOX_SUBJECT, MAIN_SIZE).cpu / measured.get(COLD, MAIN_SIZE).cpu
    return Verdict(f"loading {MAIN_SIZE:,} hosts, times faster than nb_inventory", 8, ratio, at_least=True)


def _faster_than_hetzner(measured: Measured) -> Verdict:
    ratio = measured.get(HETZNER_SUBJECT, MAIN_SIZE).cpu / measured.get(COLD, MAIN_SIZE).cpu
    return Verdict(f"loading {MAIN_SIZE:,} hosts, times faster than hcloud", 18, ratio, at_least=True)


def _with_delay(measured: Measured) -> Verdict:
    ours = measured.get(lanes(8), MAIN_SIZE, delay=DELAY)
    possible = measured.start.wall + math.ceil(ours.case.pages / 8) * DELAY + SECONDS_PER_HOST * MAIN_SIZE
    return Verdict(
        f"loading {MAIN_SIZE:,} hosts at 150 ms per request, of start-up + ceil(pages / concurrency) x 150 ms + 0.15 ms per host",
        1.3,
        ours.wall / possible,
    )


def _faster_than_netbox_with_delay(measured: Measured) -> Verdict:
    ratio = measured.get(NETBOX_SUBJECT, MAIN_SIZE, delay=DELAY).wall / measured.get(lanes(8), MAIN_SIZE, delay=DELAY).wall
    return Verdict(f"loading {MAIN_SIZE:,} hosts at 150 ms per request, times faster than nb_inventory", 6, ratio, at_least=True)


def _small_fleet(measured: Measured) -> Verdict:
    return Verdict("loading 100 hosts, seconds over Ansible alone", 0.15, measured.get(COLD, 100).cpu - measured.start.cpu)


def _small_cached_fleet(measured: Measured) -> Verdict:
    seconds = measured.get(CACHED, 100).cpu - measured.start.cpu
    return Verdict("loading 100 hosts from the cache, seconds over Ansible alone", 0.05, seconds)


def _linear(measured: Measured) -> Verdict:
    large, small = ((measured.get(COLD, hosts).cpu - measured.start.cpu) / hosts for hosts in (50_000, 5_000))
    return Verdict("time per host at 50,000 hosts, of that at 5,000, start-up left out", 1.15, large / small)


def _memory(measured: Measured) -> Verdict:
    kilobytes = (measured.get(COLD, MAIN_SIZE).peak - measured.start.peak) * 1024 / MAIN_SIZE
    return Verdict(f"peak memory at {MAIN_SIZE:,} hosts over Ansible alone, KB per host", 12, kilobytes)


def _constructed(measured: Measured) -> Verdict:
    plain = measured.get(COLD, CONSTRUCTED_SIZE).cpu
    ours, core = (measured.get(subject, CONSTRUCTED_SIZE).cpu - plain for subject in (CONSTRUCTED, CONSTRUCTED_BY_CORE))
    return Verdict("compose, groups and keyed_groups, of their time in ansible.builtin.constructed", 1.0, ours / core)


OTHERS = (
    _faster_than_netbox,
    _faster_than_hetzner,
    _with_delay,
    _faster_than_netbox_with_delay,
    _small_fleet,
    _small_cached_fleet,
    _linear,
    _memory,
    _constructed,
)
