# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The official command line tool accepts the responses of the stand-in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.credentials import log_in
from ansible_collections.phala.cloud.tests.needs import skip_or_fail
from ansible_collections.phala.cloud.tests.simulator import Simulator, make_fleet
from ansible_collections.phala.cloud.tests.unit.simulator.unusual import UNUSUAL

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def phala(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Install the tool in a folder of its own and return the command that runs it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        skip_or_fail("the official CLI needs node and npm (npm)")
    folder = tmp_path_factory.mktemp("npm")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), "phala"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if result.returncode != 0:
        skip_or_fail(f"npm cannot install the package phala: {result.stderr.strip()[-300:]}")
    return [node, str(folder / "node_modules" / "phala" / "dist" / "index.js")]


def _run(phala: list[str], home: Path, *arguments: str, **environment: str) -> Any:
    """Run the tool with a home of its own and return the JSON that it prints."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), "PHALA_CLOUD_DIR": str(home), "CI": "1", **environment}
    command = [*phala, *arguments, "--json"]
    result = subprocess.run(command, cwd=home, env=variables, capture_output=True, text=True, check=False, timeout=60)
    return json.loads(result.stdout)


SIGN_INS = [
    ({}, None, "default"),
    ({"PHALA_CLOUD_API_KEY": "phak_of-the-environment"}, None, "default"),
    ({}, 'profile = "work"', "work"),
    ({}, 'profile = "example-team"', "work"),
    ({}, 'profile = "Example team"', "work"),
    ({}, 'profile = " "', "default"),
    ({"PHALA_CLOUD_API_KEY": "phak_of-the-environment"}, 'profile = "work"', "work"),
    ({"PHALA_CLOUD_API_KEY": "phak_of-the-environment", "PHALA_CLOUD_API_PREFIX": "work"}, None, "work"),
    ({"PHALA_CLOUD_API_PREFIX": "default"}, 'profile = "work"', "default"),
]


@pytest.mark.parametrize(("environment", "project", "service"), SIGN_INS)
def test_cli_and_plugin_sign_in_to_the_same_account(
    phala: list[str], tmp_path: Path, environment: dict[str, str], project: str | None, service: str
) -> None:
    with Simulator() as default, Simulator() as work:
        services = {"default": default, "work": work}
        workspaces = {"default": {"name": "Mine", "slug": "mine"}, "work": {"name": "Example team", "slug": "example-team"}}
        profiles = {
            name: {"token": f"phak_of-{name}", "api_prefix": simulator.url, "workspace": workspaces[name]}
            for name, simulator in services.items()
        }
        log_in(tmp_path, **profiles)
        if project:
            (tmp_path / "phala.toml").write_text(project)
        (tmp_path / "phala.yml").write_text("plugin: phala.cloud.phala\n")
        for name, value in environment.items():
            environment = {**environment, name: services[value].url if value in services else value}
        used = [_sign_in(command, tmp_path, environment, services) for command in ([*phala, "apps", "--json"], _INVENTORY)]
    assert used[0] == used[1]
    assert {name for name, _key in used[0]} == {service}


_INVENTORY = ["ansible-inventory", "-i", "phala.yml", "--list"]


def _sign_in(
    command: list[str], folder: Path, environment: dict[str, str], services: dict[str, Simulator]
) -> set[tuple[str, str]]:
    """Run a command in a folder, and return which services it requested apps from, each with the key."""
    inherited = {name: os.environ[name] for name in ("PATH", "ANSIBLE_COLLECTIONS_PATH") if name in os.environ}
    variables = {**inherited, "HOME": str(folder), "PHALA_CLOUD_DIR": str(folder), "CI": "1", **environment}
    for simulator in services.values():
        simulator.clear()
    subprocess.run(command, cwd=folder, env=variables, capture_output=True, check=False, timeout=60)
    return {
        (name, request.headers["x-api-key"])
        for name, simulator in services.items()
        for request in simulator.requests
        if request.path.endswith("/apps")
    }


def _environment(simulator: Simulator) -> dict[str, str]:
    return {"PHALA_CLOUD_API_PREFIX": simulator.url, "PHALA_CLOUD_API_KEY": simulator.api_key}


def test_cli_lists_the_apps(phala: list[str], tmp_path: Path) -> None:
    with Simulator(fleet=make_fleet(cvms=60)) as simulator:
        shown = _run(phala, tmp_path, "apps", "--page-size", "100", **_environment(simulator))
    assert shown["success"] is True
    assert shown["total"] == len(simulator.fleet)
    with_a_uuid = [app.app_id for app in simulator.fleet if app.current_cvm and app.current_cvm.vm_uuid]
    assert [item["appId"] for item in shown["items"]] == with_a_uuid
    request = simulator.requests[0]
    assert (request.path, request.headers["x-phala-version"]) == ("/api/v1/apps", "2026-01-21")


def test_cli_accepts_unusual_apps(phala: list[str], tmp_path: Path) -> None:
    with Simulator(fleet=UNUSUAL) as simulator:
        shown = _run(phala, tmp_path, "apps", **_environment(simulator))
    assert [item["appId"] for item in shown["items"]] == [app.app_id for app in UNUSUAL if not app.minimal]


def test_cli_repeats_status(phala: list[str], tmp_path: Path) -> None:
    with Simulator() as simulator:
        _run(phala, tmp_path, "apps", "--status", "running", "--status", "stopped", **_environment(simulator))
    assert simulator.requests[0].values("status") == ["running", "stopped"]


@pytest.mark.parametrize("profile", ["work", "example-team", "Example team"], ids=["name", "slug", "workspace"])
def test_cli_finds_a_profile_by_its_name_or_workspace(phala: list[str], tmp_path: Path, profile: str) -> None:
    with Simulator() as simulator:
        workspace = {"name": "Example team", "slug": "example-team"}
        work = {"token": simulator.api_key, "api_prefix": simulator.url, "workspace": workspace}
        other = {"token": "phak_other", "api_prefix": "http://127.0.0.1:9/api/v1", "workspace": {"name": "Other"}}
        log_in(tmp_path, other=other, work=work)
        assert _run(phala, tmp_path, "apps", "--profile", profile)["success"] is True
