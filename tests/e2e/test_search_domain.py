# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A search domain with a wildcard record does not resolve the address of a refused CVM."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._connection import NO_ADDRESS

RESOLVER = Path(__file__).with_name("wildcard_dns.py")


@pytest.fixture
def look_up(tmp_path: Path) -> list[str]:
    """Return the command that looks up names in a network of its own, in which *.corp.example is 192.0.2.7."""
    configuration = tmp_path / "resolv.conf"
    configuration.write_text("search corp.example\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n", encoding="utf-8")
    private = ["unshare", "--map-root-user", "--net", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow private namespaces")
    return [*private, sys.executable, str(RESOLVER), str(configuration)]


def test_a_search_domain_does_not_resolve_the_address_of_a_refused_cvm(look_up: list[str]) -> None:
    names = [NO_ADDRESS.rstrip("."), NO_ADDRESS]
    found = subprocess.run([*look_up, *names], capture_output=True, text=True, check=True).stdout.splitlines()
    assert found == [f"{names[0]} 192.0.2.7", f"{names[1]} -"]
