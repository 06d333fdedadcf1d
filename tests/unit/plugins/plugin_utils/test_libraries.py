# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said where requests is missing or too old, by the ways in which Ansible is installed."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils import _libraries
from ansible_collections.phala.cloud.plugins.plugin_utils._libraries import install_advice, library_problem, version_problem

PYTHON = "/opt/ansible/bin/python"
WAYS = [
    "uv tool install ansible-core --with requests",
    "pipx inject ansible-core requests",
    "python3-requests of your distribution",
]
PIP = f"{PYTHON} -m pip install requests"


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Return a function that describes how Python is installed."""

    def describe(*, pip: bool, managed: bool, virtual: bool) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "pip" if pip else None)
        monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path) if name == "stdlib" else "/nowhere")
        if managed:
            (tmp_path / "EXTERNALLY-MANAGED").touch()
        monkeypatch.setattr(sys, "prefix", "/opt/ansible" if virtual else sys.base_prefix)

    monkeypatch.setattr(sys, "executable", PYTHON)
    describe(pip=False, managed=False, virtual=False)
    return describe


@pytest.mark.parametrize(
    ("pip", "managed", "virtual", "is_named"),
    [
        (True, False, False, True),
        (True, False, True, True),
        (True, True, True, True),  # a virtual environment of a distribution's Python
        (True, True, False, False),
        (False, False, False, False),
        (False, False, True, False),
    ],
)
def test_pip_is_named_only_where_it_works(
    machine: Callable[..., None], pip: bool, managed: bool, virtual: bool, is_named: bool
) -> None:
    machine(pip=pip, managed=managed, virtual=virtual)
    ways = "; ".join([*WAYS, PIP] if is_named else WAYS)
    assert install_advice("requests") == f"Install it for {PYTHON} with one of: {ways}"


def test_extra_is_quoted_for_the_shell(machine: Callable[..., None]) -> None:
    machine(pip=True, managed=False, virtual=True)
    assert install_advice("requests[socks]") == (
        f"Install it for {PYTHON} with one of: uv tool install ansible-core --with 'requests[socks]'; "
        "pipx inject ansible-core 'requests[socks]'; python3-socks of your distribution; "
        f"{PYTHON} -m pip install 'requests[socks]'"
    )


@pytest.mark.parametrize(
    ("versions", "package"),
    [
        ({"requests": "2.25.0", "urllib3": "2.2.3"}, "requests 2.25.0"),
        ({"requests": "1.99", "urllib3": "1.26.5"}, "requests 1.99"),
        ({"requests": "2.28.0", "urllib3": "1.26.4"}, "urllib3 1.26.4"),
        ({"requests": "2.28.0", "urllib3": "1.9"}, "urllib3 1.9"),
        ({"urllib3": "1.21.1"}, "urllib3 1.21.1"),
    ],
)
def test_package_that_is_too_old_is_named_with_its_version(versions: dict[str, str], package: str) -> None:
    problem = version_problem(versions) or ""
    name = package.partition(" ")[0]
    minimum = {"requests": "2.25.1", "urllib3": "1.26.5"}[name]
    assert problem == (
        f"the Python package {package} is too old. This plugin needs {minimum} or later. Upgrade it for {PYTHON} with one of: "
        f"uv tool install ansible-core --with '{name}>={minimum}'; pipx inject --force ansible-core '{name}>={minimum}'; "
        f"python3-{name} of your distribution"
    )


@pytest.mark.parametrize(
    "versions",
    [
        {"requests": "2.25.1", "urllib3": "1.26.5"},
        {"requests": "2.31.0.dev1", "urllib3": "1.26.20"},
        {"requests": "3.0", "urllib3": "2.0.0a1"},
        {"requests": "2.100", "urllib3": "2.8"},
        {},
    ],
    ids=str,
)
def test_newer_packages_are_fine(versions: dict[str, str]) -> None:
    assert version_problem(versions) is None


def test_packages_of_this_python_are_fine() -> None:
    assert library_problem() is None


def test_missing_package_is_said_with_its_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_libraries, "IMPORT_ERROR", ImportError("No module named 'requests'"))
    assert library_problem() == (
        "the Python package requests cannot be imported (No module named 'requests'). "
        f"Install it for {PYTHON} with one of: {'; '.join(WAYS)}"
    )


def test_package_that_is_too_old_to_be_imported_is_named_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        if package == "requests":
            raise PackageNotFoundError(package)
        return "1.21.1"

    monkeypatch.setattr(_libraries, "IMPORT_ERROR", ImportError("cannot import name 'Mapping'"))
    monkeypatch.setattr(_libraries, "version", version)
    assert (library_problem() or "").startswith("the Python package urllib3 1.21.1 is too old. This plugin needs 1.26.5")


def test_key_log_that_cannot_be_opened_at_the_import_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_libraries, "IMPORT_ERROR", FileNotFoundError(2, "No such file or directory", "/no/log"))
    assert library_problem() == (
        "the Python package requests cannot be imported ([Errno 2] No such file or directory: '/no/log'). Correct or unset"
        " SSLKEYLOGFILE."
    )


def test_minimum_versions_are_those_of_the_requirements() -> None:
    lines = Path(__file__).parents[4].joinpath("requirements.txt").read_text().splitlines()
    assert dict(line.split(">=") for line in lines) == _libraries.MINIMUM_VERSIONS
