# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start stand-in services, each as a process of its own, so that what they take is not measured."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parents[2]
PHALA = ("tests.simulator", "--prerender", "--cvms")
HETZNER = ("tests.benchmarks.stand_ins", "hetzner", "--hosts")
NETBOX = ("tests.benchmarks.stand_ins", "netbox", "--hosts")


class Services:
    """Those that were started, by kind, number of hosts and delay in seconds; all end with the `with` block."""

    def __init__(self) -> None:
        self._urls: dict[tuple[tuple[str, ...], int, float], str] = {}
        self._running = ExitStack()

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *exception: object) -> None:
        self._running.close()

    def url(self, kind: tuple[str, ...], hosts: int, delay: float) -> str:
        """Return the URL of such a service, which is started when it is asked for first."""
        key = (kind, hosts, delay)
        if key not in self._urls:
            self._urls[key] = self._start([sys.executable, "-m", *kind, str(hosts), "--delay", str(delay)])
        return self._urls[key]

    def _start(self, arguments: list[str]) -> str:
        process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self._running.enter_context(process)
        self._running.callback(process.terminate)
        url = process.stdout.readline().strip() if process.stdout else ""
        if not url:
            raise RuntimeError(f"{' '.join(arguments)} did not start")
        return url
