# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A user's project on a control node: an inventory source, group variables and playbooks that really run."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.phala.cloud.tests import simulator

from .cloud import Client, Cloud
from .sshd import INSTANCE_VARIABLE

Task = dict[str, Any]

CLOSED = "Connection closed by remote host|Broken pipe"  # ssh says either, depending on who is faster
TOLD = re.compile(r'"msg": "(\S+) says (.*)"')
RECAP = re.compile(r"^(\S+) +: ok=\d+ .*unreachable=(\d+) +failed=(\d+)", re.MULTILINE)


def tell(command: str) -> tuple[Task, ...]:
    """Give tasks that run a command by `raw`, which needs nothing but a shell, and tell what it printed."""
    return (
        {"ansible.builtin.raw": command, "register": "printed"},
        {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} says {{ printed.stdout | trim }}"}},
    )


TELL_WHERE = tell(f'echo "${INSTANCE_VARIABLE}"')


@dataclasses.dataclass(frozen=True)
class Played:
    """What a run of ansible-playbook came to."""

    output: str
    warnings: str

    @property
    def told(self) -> dict[str, str]:
        """Map each host to what it told, which is its instance id unless the play asked for something else."""
        return dict(TOLD.findall(self.output))

    @property
    def unreachable(self) -> set[str]:
        return {host for host, unreachable, dummy in RECAP.findall(self.output) if unreachable != "0"}

    @property
    def failed(self) -> set[str]:
        return {host for host, dummy, failed in RECAP.findall(self.output) if failed != "0"}

    @property
    def hosts(self) -> set[str]:
        return {host for host, dummy, dummy in RECAP.findall(self.output)}


@dataclasses.dataclass(frozen=True)
class Project:
    """A folder with an inventory source whose options each test chooses."""

    client: Client
    defaults: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        return self.client.home

    def configure(self, **options: Any) -> None:
        """Write the inventory source with these options besides the usual ones; None leaves an option out."""
        chosen = {name: value for name, value in {**self.defaults, **options}.items() if value is not None}
        (self.folder / "phala.yml").write_text(json.dumps(chosen), encoding="utf-8")

    def set_variables(self, owner: str, **variables: Any) -> None:
        """Write variables for `group_vars/<group>` or `host_vars/<host>`."""
        path = self.folder / f"{owner}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(variables), encoding="utf-8")

    def do_not_persist(self) -> None:
        """Turn ControlPersist off: with it, which is Ansible's default, ssh hides what a ProxyCommand says."""
        self.client.environment["ANSIBLE_SSH_ARGS"] = "-C"

    def play(
        self, hosts: str, *tasks: Task, variables: Mapping[str, Any] | None = None, arguments: tuple[str, ...] = ()
    ) -> Played:
        """Run a play of these tasks, or of those that tell where it landed, with variables of the play."""
        play = {"hosts": hosts, "gather_facts": False, "vars": variables or {}, "tasks": tasks or TELL_WHERE}
        (self.folder / "site.yml").write_text(json.dumps([play]), encoding="utf-8")
        done = self.client.run("ansible-playbook", "-i", "phala.yml", "site.yml", *arguments, timeout=300)
        # Older versions break a warning into lines of the terminal's width.
        return Played(done.stdout, warnings=" ".join(done.stderr.split()))

    def list_hosts(self) -> dict[str, dict[str, Any]]:
        """Give each host's variables, as ansible-inventory lists them."""
        done = self.client.run("ansible-inventory", "-i", "phala.yml", "--list")
        variables: dict[str, dict[str, Any]] = json.loads(done.stdout)["_meta"]["hostvars"]
        return variables


def make_project(client: Client, cloud: Cloud, service: simulator.Simulator) -> Project:
    """Start a project that lists the service's CVMs and trusts the run's CA."""
    defaults = {
        "plugin": "phala.cloud.phala",
        "api_url": service.url,
        "api_key": service.api_key,
        "gateway_ca_path": str(cloud.certificates.ca),
        "group_by": ["region", "status", "app", "os_type"],
    }
    project = Project(client, defaults)
    project.configure()
    return project


def apps_of(cloud: Cloud, changes: Mapping[str, Mapping[str, Any]] | None = None) -> list[simulator.App]:
    """Describe the platform's CVMs as the service knows them; `changes` are by the name of a CVM."""
    changes = changes or {}
    return [
        simulator.App(
            name=app,
            app_id=app_id,
            cvms=tuple(
                simulator.Cvm(
                    **{
                        "name": cvm.name,
                        "status": cvm.status,
                        "region": cvm.region,
                        "base_image": cvm.base_image,
                        "instance_id": cvm.instance_id,
                        "gateway_domain": cloud.domain,
                        **changes.get(cvm.name, {}),
                    }
                )
                for cvm in cvms
            ),
        )
        for (app, app_id), cvms in itertools.groupby(cloud.cvms, key=lambda cvm: (cvm.app, cvm.app_id))
    ]
