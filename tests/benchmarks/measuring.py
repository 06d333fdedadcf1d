# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run commands in turns, and measure each process as the kernel counts it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


class CommandFailed(Exception):  # noqa: N818
    """A command did not do what it was to be measured at."""


@dataclass(frozen=True)
class Sample:
    """One run: seconds of the processor (user and system), seconds on the clock, peak memory in MB, and the machine's load."""

    cpu: float
    wall: float
    peak: float
    load: float


@dataclass(frozen=True)
class Case:
    """Something to be measured: a command, what its output must hold, and in how many rounds."""

    subject: str
    core: str
    command: str
    hosts: int
    delay: float
    arguments: tuple[str, ...]
    expected: str
    rounds: int


@dataclass(frozen=True)
class Result:
    """The samples of a case."""

    case: Case
    samples: tuple[Sample, ...]

    @property
    def cpu(self) -> float:
        return median(sample.cpu for sample in self.samples)

    @property
    def wall(self) -> float:
        return median(sample.wall for sample in self.samples)

    @property
    def peak(self) -> float:
        return median(sample.peak for sample in self.samples)


def measure_in_turns(
    cases: Sequence[Case], *, folder: Path, environment: Mapping[str, str], note: Callable[[str], None]
) -> list[Result]:
    """Measure all cases round after round, every other one backwards, so that a busy minute falls on all alike."""
    samples: dict[Case, list[Sample]] = {case: [] for case in cases}
    for number, case in _turns(cases):
        try:
            last = run(case, folder=folder, environment=environment)
        except CommandFailed as failure:
            note(f"round {number}: {failure}")  # the others are worth having all the same
            continue
        samples[case].append(last)
        delay = f", {case.delay * 1000:.0f} ms" if case.delay else ""
        note(
            f"round {number}: {case.core} {case.command} {case.subject}, {case.hosts} hosts{delay}:"
            f" {last.cpu:.2f} s cpu, {last.wall:.2f} s, {last.peak:.0f} MB"
        )
    return [Result(case, tuple(taken)) for case, taken in samples.items() if taken]


def _turns(cases: Sequence[Case]) -> Iterator[tuple[int, Case]]:
    for number in range(1, max(case.rounds for case in cases) + 1):
        for case in cases if number % 2 else reversed(cases):
            if number <= case.rounds:
                yield number, case


def run(case: Case, *, folder: Path, environment: Mapping[str, str]) -> Sample:
    """Run a case once.

    The kernel counts the memory of the process that starts another as the other's peak, so this one must stay small: it
    imports neither Ansible nor an inventory.

    :raises CommandFailed: when it ends with an error or its output does not begin as it should
    """
    load = os.getloadavg()[0]
    with open(folder / "stdout", "wb+") as stdout, open(folder / "stderr", "wb+") as stderr:
        started = time.perf_counter()
        process = subprocess.Popen(
            case.arguments, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
        )
        _pid, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        beginning = stdout.read(4096).decode(errors="replace")
        if process.returncode or case.expected not in beginning:
            stderr.seek(0)
            said = stderr.read(4096).decode(errors="replace")
            raise CommandFailed(f"{case} ended with {process.returncode}: {beginning[:200]} {said}")
    return Sample(cpu=usage.ru_utime + usage.ru_stime, wall=wall, peak=usage.ru_maxrss / 1024, load=load)
