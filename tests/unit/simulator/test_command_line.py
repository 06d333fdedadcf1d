# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from ansible_collections.phala.cloud.tests.simulator import make_fleet

ROOT = Path(__file__).parents[3]
FROM_THE_ROOT = ("tests.simulator", ROOT)
INSTALLED = ("ansible_collections.phala.cloud.tests.simulator", Path("/"))
KEY = "phak_command-line-test"


@contextmanager
def _serving(
    *options: str, module: str = INSTALLED[0], folder: Path = INSTALLED[1]
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command line and give its URL and its process."""
    command = [sys.executable, "-m", module, "--api-key", KEY, *options]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.terminate()


def _get(url: str, **query: str) -> requests.Response:
    return requests.get(f"{url}/apps", params=query, headers={"X-API-Key": KEY}, timeout=5)


@pytest.mark.parametrize(("module", "folder"), [FROM_THE_ROOT, INSTALLED], ids=["root", "installed"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_url_is_printed_and_a_signal_stops_cleanly(module: str, folder: Path, number: int) -> None:
    with _serving("--cvms", "0", module=module, folder=folder) as (url, process):
        assert _get(url).json()["total"] == 0
        os.kill(process.pid, number)
        rest, errors = process.communicate(timeout=5)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_options_reach_the_service() -> None:
    with _serving("--cvms", "40", "--prerender", "--delay", "0.05") as (url, dummy):
        response = _get(url)
    assert response.elapsed.total_seconds() >= 0.05
    assert response.json()["total"] == len(make_fleet(cvms=40))
