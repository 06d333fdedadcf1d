# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write what was measured: figures as JSON, tables as Markdown, a picture as SVG."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from .measuring import Result
from .plot import draw
from .targets import Verdict, judge

QUIET = 1.0  # load of the machine, of its own two processes, above which clock times say little


def write_report(results: Sequence[Result], folder: Path) -> list[Path]:
    """Write the files, named after the ansible-core, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    core = results[0].case.core
    verdicts = judge(results)
    contents = {"json": _as_json(results, verdicts), "md": _as_markdown(results, verdicts), "svg": draw(results)}
    paths = []
    for ending, content in contents.items():
        path = folder / f"ansible-core-{core}.{ending}"
        path.write_text(content, encoding="utf-8")
        paths.append(path)
    return paths


def describe_machine() -> str:
    """Return the processor, the number of cores, and the Python."""
    model = next((line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} cores of {model.replace('(R)', '')}, Python {platform.python_version()}"


def _cpu_lines() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _as_json(results: Sequence[Result], verdicts: Sequence[Verdict]) -> str:
    return json.dumps(
        {
            "machine": describe_machine(),
            "results": [
                {
                    "core": result.case.core,
                    "subject": result.case.subject,
                    "command": result.case.command,
                    "hosts": result.case.hosts,
                    "delay": result.case.delay,
                    "cpu": result.cpu,
                    "wall": result.wall,
                    "peak": result.peak,
                    "samples": [asdict(sample) for sample in result.samples],
                }
                for result in results
            ],
            "targets": [{**asdict(verdict), "met": verdict.met} for verdict in verdicts],
        },
        indent=1,
    )


def _as_markdown(results: Sequence[Result], verdicts: Sequence[Verdict]) -> str:
    return "\n".join([*_head(results), *_targets(verdicts), "", *_table(results), ""])


def _head(results: Sequence[Result]) -> Iterator[str]:
    loads = [sample.load for result in results for sample in result.samples]
    yield f"# ansible-core {results[0].case.core}"
    yield ""
    yield f"{describe_machine()}. Load of the machine: {min(loads):.1f} to {max(loads):.1f}; {_quietness(loads)}."
    yield ""


def _quietness(loads: Sequence[float]) -> str:
    busy = sum(load > QUIET for load in loads)
    return f"{busy} of {len(loads)} runs began above {QUIET:g}, and seconds on the clock are too high there"


def _table(results: Sequence[Result]) -> Iterator[str]:
    yield "| subject | hosts | ms per request | command | CPU s | clock s | peak MB | runs |"
    yield "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |"
    for result in sorted(results, key=lambda result: (result.case.command, result.case.hosts, result.case.delay, result.cpu)):
        case = result.case
        yield (
            f"| {case.subject} | {case.hosts:,} | {case.delay * 1000:.0f} | {case.command} | {result.cpu:.2f}"
            f" | {result.wall:.2f} | {result.peak:.0f} | {len(result.samples)} |"
        )


def _targets(verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield "| target | limit | measured | met |"
    yield "| --- | ---: | ---: | --- |"
    for verdict in verdicts:
        measured = "not measured" if verdict.measured is None else f"{verdict.measured:.3g}"
        met = {None: "", True: "yes", False: "no"}[verdict.met]
        yield f"| {verdict.promise} | ≤ {verdict.limit:g} | {measured} | {met} |"
