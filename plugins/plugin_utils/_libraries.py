# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Import the Python packages that HTTP needs, check their versions, and say how to install them."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

try:
    import requests
    import urllib3
except (ImportError, OSError) as error:  # requests 2.32 opens SSLKEYLOGFILE when it is imported
    IMPORT_ERROR: ImportError | OSError | None = error
    requests = urllib3 = None  # type: ignore[assignment]
else:
    IMPORT_ERROR = None

__all__ = ["IMPORT_ERROR", "install_advice", "library_problem", "requests", "urllib3"]

MINIMUM_VERSIONS = {"requests": "2.25.1", "urllib3": "1.26.5"}  # of Ubuntu 22.04 LTS
PACKAGES_OF_DISTRIBUTIONS = {"requests": "python3-requests", "urllib3": "python3-urllib3", "requests[socks]": "python3-socks"}


def library_problem() -> str | None:
    """Return what is wrong with the packages, and what to do; None if they can be used."""
    if problem := version_problem(installed_versions()):
        return problem
    if isinstance(IMPORT_ERROR, ImportError):
        return f"the Python package requests cannot be imported ({IMPORT_ERROR}). {install_advice('requests')}"
    if IMPORT_ERROR:
        return f"the Python package requests cannot be imported ({IMPORT_ERROR}). Correct or unset SSLKEYLOGFILE."
    return None


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages by name, also of those that cannot be imported because they are too old."""
    if IMPORT_ERROR is None:
        return {"requests": requests.__version__, "urllib3": urllib3.__version__}  # type: ignore[attr-defined]
    versions = {}
    for package in MINIMUM_VERSIONS:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def version_problem(versions: Mapping[str, str]) -> str | None:
    """Return the message for the first package that is too old.

    :param versions: of the installed packages, by name
    """
    for package, installed in versions.items():
        minimum = MINIMUM_VERSIONS[package]
        if _release(installed) < _release(minimum):
            return (
                f"the Python package {package} {installed} is too old. This plugin needs {minimum} or later."
                f" {install_advice(package, upgrade=True)}"
            )
    return None


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def install_advice(package: str, *, upgrade: bool = False) -> str:
    """Return the ways to install a package for the Python that runs Ansible."""
    verb = "Upgrade" if upgrade else "Install"
    return f"{verb} it for {sys.executable} with one of: {'; '.join(_ways(package, upgrade=upgrade))}"


def _ways(package: str, *, upgrade: bool) -> Iterator[str]:
    requirement = f"{package}>={MINIMUM_VERSIONS[package]}" if upgrade else package
    quoted = f"'{requirement}'" if upgrade or "[" in package else package
    yield f"uv tool install ansible-core --with {quoted}"
    yield f"pipx inject {'--force ' if upgrade else ''}ansible-core {quoted}"
    yield f"{PACKAGES_OF_DISTRIBUTIONS[package]} of your distribution"
    if _pip_works():
        yield f"{sys.executable} -m pip install {quoted}"


def _pip_works() -> bool:
    """Return whether pip is there, and may install into this Python."""
    if importlib.util.find_spec("pip") is None:
        return False
    is_virtual = sys.prefix != sys.base_prefix
    return is_virtual or not Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists()
