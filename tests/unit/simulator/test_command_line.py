# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from ansible_collections.phala.cloud.tests.simulator import make_fleet

ROOT = Path(__file__).parents[3]
KEY = "phak_command-line-test"
OPTIONS = ("--api-key", KEY, "--cvms", "40", "--prerender", "--delay", "0.05")


@pytest.mark.parametrize(
    ("module", "folder", "number"),
    [
        ("tests.simulator", ROOT, signal.SIGINT),
        ("ansible_collections.phala.cloud.tests.simulator", Path("/"), signal.SIGTERM),
    ],
    ids=["root", "installed"],
)
def test_service_with_these_options_prints_its_url_and_a_signal_stops_it(
    module: str, folder: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", module, *OPTIONS]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            response = requests.get(f"{url}/apps", headers={"X-API-Key": KEY}, timeout=10)
        finally:
            process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
    assert response.elapsed.total_seconds() >= 0.05
    assert response.json()["total"] == len(make_fleet(cvms=40))
    assert (process.returncode, rest, errors) == (0, "", "")
