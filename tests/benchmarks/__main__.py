# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure the Ansible of the Python that runs this, and write what came out as JSON, Markdown and SVG."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import sysconfig
import tempfile
from pathlib import Path

from .measuring import measure_in_turns
from .page import update_page
from .profiling import profile
from .report import write_report
from .services import ROOT, Services
from .subjects import Bench, usual_cases

SIZES = (100, 1_000, 5_000, 10_000, 50_000)
QUICK_SIZES = (100, 1_000)
ROUNDS = 4


def main() -> None:
    arguments = _parser().parse_args()
    if arguments.update_page:
        _say(f"wrote {update_page(arguments.output)}")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through the with block, which ends the services
    sizes = arguments.sizes or list(QUICK_SIZES if arguments.quick else SIZES)
    rounds = arguments.rounds or (1 if arguments.quick else ROUNDS)
    with Services() as services, tempfile.TemporaryDirectory(prefix="phala-bench-") as folder:
        bench = Bench(_core_version(), Path(sys.executable).parent, Path(folder), services, environment(folder))
        if arguments.profile:
            profile(bench, max(sizes), calls=arguments.calls)
            return
        every = usual_cases(bench, sizes, rounds, others=not arguments.quick)
        cases = [case for case in every if re.search(arguments.only, case.subject)]
        results = measure_in_turns(cases, folder=bench.folder, environment=bench.environment, note=_say)
    for path in write_report(results, arguments.output):
        _say(f"wrote {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small fleets, one round, without the other plugins")
    parser.add_argument("--sizes", type=_numbers, help=f"numbers of hosts (default {','.join(map(str, SIZES))})")
    parser.add_argument("--rounds", type=int, help=f"how often each is measured (default {ROUNDS}; half as often what is slow)")
    parser.add_argument("--only", default="", help="a regular expression that the subjects to measure hold")
    parser.add_argument("--output", type=Path, default=ROOT / ".nox" / "benchmarks", help="a folder (default %(default)s)")
    parser.add_argument("--update-page", action="store_true", help="put the last report into docs/, and measure nothing")
    parser.add_argument("--profile", action="store_true", help="say where the time inside parse() goes, and measure nothing")
    parser.add_argument("--calls", action="store_true", help="with --profile: the slowest calls, by Python's own profiler")
    return parser


def _numbers(text: str) -> list[int]:
    return sorted(int(number) for number in text.split(","))


def environment(folder: str) -> dict[str, str]:
    """Return the environment of what is measured: nobody's settings, and compiled files allowed."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": folder,
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": sysconfig.get_path("purelib"),
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_INVENTORY_PLUGINS": str(Path(__file__).parent / "inventory_plugins"),
    }


def _core_version() -> str:
    from importlib.metadata import version

    return version("ansible-core").rpartition(".")[0]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
