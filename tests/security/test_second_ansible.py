# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``--list`` prints can be read by a second Ansible, as AWX or a script has it, whatever keys the service sends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from ansible_collections.phala.cloud.tests.simulator import Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import Body

from .project import Project
from .texts import SHAPES, apps_with

FOREIGN: Final = {
    "__ansible_type": "_TrustedStr",
    "__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n61",
    "__ansible_unsafe": "{{ 1 }}",
    "kept": [{"__ansible_type": "x", "kept": {"__ansible_new": {}}}],
}
CLEAN: Final[Mapping[str, Any]] = {"kept": [{"kept": {}}]}


def pages(shape: str) -> Body:
    """Return a response with an ordinary CVM, and one that has Ansible's own keys wherever the service may put them."""
    app, foreign = (list(apps_with("web", number, shape))[1] for number in (1, 2))
    foreign["current_cvm"].update({"next_year": FOREIGN, **FOREIGN})
    foreign.update({"profile": {**(foreign.get("profile") or {}), **FOREIGN}, "__ansible_type": "y"})
    found = [app, foreign]
    return Body(json.dumps({"dstack_apps": found, "page": 1, "page_size": 100, "total": 2, "total_pages": 1}).encode())


@pytest.mark.parametrize("prefix", ["phala_", ""])
@pytest.mark.parametrize("shape", SHAPES)
def test_second_ansible_reads_every_host(project: Project, simulator: Simulator, shape: str, prefix: str) -> None:
    simulator.pages = [pages(shape)]
    compose = {"composed": f"{prefix}next_year | default({{}})", "made": "{'__ansible' ~ '_type': 'x', 'kept': 1}"}
    first = project.list(hostvars_prefix=prefix, compose=compose)
    assert "Left out keys that begin with __ansible_" in " ".join(first.stderr.split())
    hosts: dict[str, dict[str, Any]] = json.loads(first.stdout)["_meta"]["hostvars"]
    assert [variables["made"] for variables in hosts.values()] == [{"kept": 1}] * 2
    (foreign,) = (variables for variables in hosts.values() if f"{prefix}next_year" in variables)
    assert foreign[f"{prefix}next_year"] == foreign["composed"] == CLEAN
    assert CLEAN.items() <= foreign[f"{prefix}app"]["profile"].items()
    assert "__ansible_type" not in first.stdout

    script = project.folder / "second"
    script.write_text(f"#!/bin/sh\ncat {project.folder}/first.json\n")
    script.chmod(0o755)
    (project.folder / "first.json").write_text(first.stdout)
    second = project.run("ansible-inventory", "-i", script, "--list")
    assert json.loads(second.stdout)["_meta"]["hostvars"] == hosts, second.stderr
