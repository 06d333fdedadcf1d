# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Large files, binary output and many hosts at once go through the tunnel."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .cloud import Cvm, control_node, running_cloud
from .conftest import hex_id, require_tools
from .files import make_random_file
from .project import TELL_WHERE, Project, apps_of, make_project

MANY = tuple(
    Cvm(f"worker-{number}", app="worker", app_id=hex_id(0xB0), instance_id=hex_id(0x100 + number)) for number in range(10)
)


@pytest.mark.parametrize("method", ["sftp", "scp", "piped"])
def test_8_mib_come_and_go_unchanged(project: Project, method: str) -> None:
    project.client.environment["ANSIBLE_SSH_TRANSFER_METHOD"] = method
    sent = make_random_file(project.folder / "sent", size=8 * 2**20)
    played = project.play("api", *there_and_back(sent))
    assert played.failed == played.unreachable == set()
    assert (project.folder / "received" / "api").read_bytes() == sent.read_bytes()


def test_ten_hosts_at_once(tmp_path: Path) -> None:
    require_tools(tmp_path)
    with running_cloud(tmp_path, MANY) as cloud, control_node(tmp_path, cloud) as client:
        client.environment["ANSIBLE_PIPELINING"] = "true"
        sent = make_random_file(client.home / "sent", size=2**20)
        with Simulator(apps=apps_of(cloud)) as service:
            project = make_project(client, cloud, service)
            played = project.play("app_worker", *there_and_back(sent), *TELL_WHERE, arguments=("--forks", "10"))
    assert played.failed == played.unreachable == set()
    assert played.told == {cvm.name: cvm.instance_id for cvm in MANY}
    received = {path.name: path.read_bytes() for path in (client.home / "received").iterdir()}
    assert received == {cvm.name: sent.read_bytes() for cvm in MANY}


def there_and_back(sent: Path) -> tuple[dict[str, object], ...]:
    """Give tasks that copy a file to the CVM's home and fetch it into `received/<host>`."""
    back = {"src": "copied", "dest": f"{sent.parent}/received/{{{{ inventory_hostname }}}}", "flat": True}
    return {"ansible.builtin.copy": {"src": str(sent), "dest": "copied"}}, {"ansible.builtin.fetch": back}
