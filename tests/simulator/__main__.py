# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Serve from the command line: print the URL on one line when ready, and stop on SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import signal
import threading

from .fleet import make_fleet
from .server import Simulator
from .service import FAKE_KEY


def main() -> None:
    arguments = parser().parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _simulator(arguments) as simulator:
        print(simulator.url, flush=True)  # noqa: T201
        stop.wait()


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    options.add_argument("--port", type=int, default=0, help="0 chooses a free port (default)")
    options.add_argument("--cvms", type=int, default=12, help="number of live CVMs in the fleet")
    options.add_argument("--api-key", default=FAKE_KEY, help="the key to accept (%(default)s)")
    options.add_argument("--delay", type=float, default=0.0, help="seconds that each response takes, with the work for it")
    options.add_argument("--prerender", action="store_true", help="render all apps first, for benchmarks")
    return options


def _simulator(arguments: argparse.Namespace) -> Simulator:
    return Simulator(
        port=arguments.port,
        fleet=make_fleet(cvms=arguments.cvms),
        api_key=arguments.api_key,
        delay=arguments.delay,
        prerender=arguments.prerender,
    )


if __name__ == "__main__":
    main()
