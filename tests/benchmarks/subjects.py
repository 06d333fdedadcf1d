# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is compared: how Ansible is called for each kind of inventory."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from .measuring import Case
from .services import HETZNER, NETBOX, PHALA, ROOT, Services

API_KEY = "phak_simulator-key-that-opens-nothing"
ONE_HOST = "one host, no inventory"
STATIC = "static JSON"
DEFAULT_VERSION = "2026-06-23"  # of the API, which the plugin requests by default
FLAT_VERSION = "2025-10-28"
COLD = "phala"
BARE = "bare plugin"
CACHED = "phala, cached"
PLAIN = "phala, five plain expressions"
COMPUTED = "phala, four computed expressions"
FLAT_ONCE = "phala, flat shape, read once"
FLAT_BARE = "bare plugin, flat shape"
RELEASE = "phala 1.0.0, read once"
RELEASE_COMMIT = "f72ec6e6e708a4ea5dce237166b48b6de0b4a78a"  # the last one of 1.0.0, which has no tag
NETBOX_SUBJECT = "netbox.netbox.nb_inventory"
HETZNER_SUBJECT = "hetzner.hcloud.hcloud"
READ_ONCE = Path(__file__).parent / "commands" / "read_once.py"
DIMENSIONS = ("region", "node", "base_image", "status")
COUNT_HOSTS = """\
import sys
from tests.simulator import live_cvms, make_fleet
print(sum(cvm.vm_uuid is not None for _app, cvm in live_cvms(make_fleet(cvms=int(sys.argv[1])))))
"""
PLAIN_EXPRESSIONS: dict[str, Any] = {
    "compose": {"state": "phala_status", "service": "phala_app.name"},
    "groups": {"reachable": "phala_is_reachable"},
    "keyed_groups": [{"key": "phala_instance_type", "prefix": "type"}, {"key": "phala_app.kms_type", "prefix": "kms"}],
}
COMPUTED_EXPRESSIONS: dict[str, Any] = {
    "compose": {"memory_gb": "phala_memory / 1024", "place": "phala_region ~ '/' ~ phala_node"},
    "groups": {"large": "phala_vcpu > 2"},
    "keyed_groups": [{"key": "phala_instance_type | upper", "prefix": "type"}],
}


def lanes(concurrency: int) -> str:
    """Return the subject's name of the plugin with so many requests at a time."""
    return f"{COLD}, concurrency {concurrency}"


@cache
def host_count(cvms: int) -> int:
    """Return how many hosts the flat shape gives of a fleet with so many CVMs: those without any identifier are not hosts."""
    # In a process of its own, for what this one holds would count as the peak of those it starts.
    counted = subprocess.run([sys.executable, "-c", COUNT_HOSTS, str(cvms)], capture_output=True, check=True)
    return int(counted.stdout)


@dataclass(frozen=True)
class Bench:
    """The Python whose Ansible is measured, its version, where sources are written, and the services they ask."""

    core: str
    scripts: Path
    folder: Path
    services: Services
    environment: Mapping[str, str]

    def loading(
        self, subject: str, hosts: int, sources: list[Path | str], *, delay: float = 0.0, rounds: int, listed: int | None = None
    ) -> Case:
        """Return the case in which Ansible loads an inventory and lists its hosts' names, as every playbook begins."""
        inventories = (part for source in sources for part in ("-i", str(source)))
        arguments = (str(self.scripts / "ansible"), "all", *inventories, "--list-hosts")
        return Case(subject, self.core, "load", hosts, delay, arguments, f"hosts ({listed or hosts}):", rounds)

    def printing(self, loading: Case, *, rounds: int) -> Case:
        """Return the same case, but in which the whole inventory is printed too."""
        sources = loading.arguments[2:-1]
        arguments = (str(self.scripts / "ansible-inventory"), *sources, "--list")
        return replace(loading, command="--list", arguments=arguments, expected='"_meta"', rounds=rounds)

    def one_host(self, rounds: int) -> Case:
        return self.loading(ONE_HOST, 1, ["one,"], rounds=rounds)

    def phala(self, hosts: int, *, rounds: int, delay: float = 0.0, subject: str = COLD, **options: Any) -> Case:
        source = self._write(subject, hosts, delay, "phala", self._phala_options(hosts, delay) | options)
        return self.loading(subject, hosts, [source], delay=delay, rounds=rounds)

    def flat_once(self, hosts: int, *, rounds: int) -> Case:
        """Return the case of the flat shape, in which a switch has the plugin read once."""
        case = self.phala(hosts, rounds=rounds, subject=FLAT_ONCE, api_version=FLAT_VERSION)
        command = (sys.executable, str(READ_ONCE), *case.arguments[1:])
        return replace(case, arguments=command, expected=f"hosts ({host_count(hosts)}):")

    def release(self, hosts: int, *, delay: float, rounds: int) -> Case | None:
        """Return the case of version 1.0.0, which is taken from the history; None where the clone does not reach that far."""
        collections = unpack_release(self.folder / "release")
        if collections is None:
            return None
        case = self.phala(hosts, delay=delay, subject=RELEASE, rounds=rounds, api_version=DEFAULT_VERSION)
        settings = ("/usr/bin/env", f"ANSIBLE_COLLECTIONS_PATH={collections}")
        return replace(case, arguments=(*settings, *case.arguments))

    def bare(self, hosts: int, *, rounds: int) -> list[Case]:
        """Return the cases of a plugin that does the least, which is in this folder, with both shapes."""
        return [
            self._bare(BARE, hosts, DEFAULT_VERSION, listed=hosts, rounds=rounds),
            self._bare(FLAT_BARE, hosts, FLAT_VERSION, listed=host_count(hosts), rounds=rounds),
        ]

    def _bare(self, subject: str, hosts: int, version: str, *, listed: int, rounds: int) -> Case:
        options = {"plugin": "bare", "url": self.services.url(PHALA, hosts, 0.0), "key": API_KEY, "version": version}
        return self.loading(subject, hosts, [self._write(subject, hosts, 0.0, "bare", options)], rounds=rounds, listed=listed)

    def cached(self, hosts: int, *, rounds: int) -> Case:
        """Return the case in which the plugin finds an answer in the cache; the first answer is put there now."""
        cache: dict[str, Any] = {
            "cache": True,
            "cache_plugin": "ansible.builtin.jsonfile",
            "cache_connection": str(self.folder / f"cache-{hosts}"),
            "cache_timeout": 0,
        }
        case = self.phala(hosts, subject=CACHED, rounds=rounds, **cache)
        self._prepare(case, self.folder / "first")
        return case

    def static(self, hosts: int, *, rounds: int) -> Case:
        """Return the case of a file with the same hosts, variables and groups; the plugin's own output becomes that file, now."""
        target = self.folder / f"static-{hosts}.json"
        listed = self.folder / "listed.json"
        case = self.printing(self.phala(hosts, rounds=1), rounds=1)
        self._prepare(replace(case, arguments=(*case.arguments, "--export")), listed)
        # In a process of its own, for what this one holds would count as the peak of those it starts.
        subprocess.run([sys.executable, "-m", f"{__package__}.static", listed, target], check=True)
        return self.loading(STATIC, hosts, [target], rounds=rounds)

    def netbox(self, hosts: int, *, rounds: int) -> Case:
        options = {
            "plugin": NETBOX_SUBJECT,
            "api_endpoint": self.services.url(NETBOX, hosts, 0.0),
            "token": "none",
            "plurals": False,
            "flatten_custom_fields": True,
            "group_by": ["site", "role", "platform", "status", "tenant"],
        }
        source = self._write(NETBOX_SUBJECT, hosts, 0.0, "netbox", options)
        return self.loading(NETBOX_SUBJECT, hosts, [source], rounds=rounds)

    def hetzner(self, hosts: int, *, rounds: int) -> Case:
        options = {
            "plugin": HETZNER_SUBJECT,
            "api_endpoint": self.services.url(HETZNER, hosts, 0.0),
            "api_token": "x" * 64,
            "keyed_groups": [{"key": f"hcloud_labels.{name}", "prefix": name} for name in DIMENSIONS],
        }
        source = self._write(HETZNER_SUBJECT, hosts, 0.0, "hcloud", options)
        return self.loading(HETZNER_SUBJECT, hosts, [source], rounds=rounds)

    def has_others(self) -> bool:
        """Tell whether the package `ansible`, which holds the other plugins, is installed."""
        collections = Path(sysconfig.get_path("purelib"), "ansible_collections")
        return (collections / "netbox").exists() and (collections / "hetzner").exists()

    def _phala_options(self, hosts: int, delay: float) -> dict[str, Any]:
        url = self.services.url(PHALA, hosts, delay)
        return {"plugin": "phala.cloud.phala", "api_url": url, "api_key": API_KEY}

    def _write(self, subject: str, hosts: int, delay: float, ending: str, options: Mapping[str, Any]) -> Path:
        name = "".join(character if character.isalnum() else "-" for character in f"{subject}-{hosts}-{delay}")
        path = self.folder / f"{name}.{ending}.yml"
        path.write_text(json.dumps(options), encoding="utf-8")  # which is YAML too
        return path

    def _prepare(self, case: Case, output: Path) -> None:
        """Run the case's command into a file, unmeasured."""
        with open(output, "wb") as stdout, open(self.folder / "stderr", "wb") as stderr:
            subprocess.run(case.arguments, cwd=self.folder, env=self.environment, stdout=stdout, stderr=stderr, check=True)


def unpack_release(folder: Path) -> Path | None:
    """Unpack version 1.0.0, and return the folder of its collections; None where the clone does not reach back to it."""
    command = ["git", "-C", str(ROOT), "archive", RELEASE_COMMIT, "plugins", "meta", "galaxy.yml"]
    archive = subprocess.run(command, capture_output=True, check=False)
    if archive.returncode:
        return None
    collection = folder / "ansible_collections" / "phala" / "cloud"
    collection.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", str(collection)], input=archive.stdout, check=True)
    return folder


def usual_cases(bench: Bench, sizes: list[int], rounds: int, *, others: bool) -> Iterator[Case]:
    """Yield what is compared: everything that a limit speaks of, in fewer rounds what else users ask, in more what is short.

    Cases that a limit compares are close to each other, because the speed of a machine can change within a round.
    """
    few, many = max(1, rounds // 2), 2 * rounds  # the more, the shorter a command is: the start of a process varies most
    main = max(size for size in sizes if size <= MAIN_SIZE)
    yield bench.one_host(rounds)
    for hosts in sorted({*sizes, EXPRESSIONS_SIZE}):
        times = many if hosts <= EXPRESSIONS_SIZE else rounds
        yield bench.phala(hosts, rounds=times)
        yield bench.cached(hosts, rounds=times)
        if hosts in {EXPRESSIONS_SIZE, main}:
            yield bench.phala(hosts, subject=PLAIN, rounds=times, **PLAIN_EXPRESSIONS)
        if hosts == main:
            yield from bench.bare(main, rounds=rounds)
            yield bench.flat_once(main, rounds=rounds)
    yield bench.phala(EXPRESSIONS_SIZE, subject=COMPUTED, rounds=few, **COMPUTED_EXPRESSIONS)
    for concurrency in LANES:
        subject, times = lanes(concurrency), rounds if concurrency == USUAL_LANES else few
        yield bench.phala(main, delay=DELAY, subject=subject, rounds=times, concurrency=concurrency)
    if release := bench.release(main, delay=DELAY, rounds=rounds):
        yield release
    yield bench.printing(bench.phala(main, rounds=1), rounds=few)
    yield bench.static(main, rounds=few)
    if others and bench.has_others():
        yield bench.netbox(main, rounds=few)
        yield bench.hetzner(main, rounds=few)


MAIN_SIZE = 10_000  # the number of hosts at which all are compared
EXPRESSIONS_SIZE = 1_000
DELAY = 0.15
LANES = (1, 4, 16, 8)  # the last one runs next to 1.0.0, with which it is compared
USUAL_LANES = 8
