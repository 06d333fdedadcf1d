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
from urllib.request import Request, urlopen

from .measuring import Case
from .services import HETZNER, NETBOX, PHALA, Services

API_KEY = "phak_simulator-key-that-opens-nothing"
ONE_HOST = "one host, no inventory"
STATIC = "static JSON"
COMPARED_VERSION = "2025-10-28"  # of the API: its CVMs have as many variables as others' hosts, the newest half as many again
COLD = "phala"
BARE = "bare prototype"
NEWEST_VERSION = "phala, newest API version"
CACHED = "phala, cached"
CONSTRUCTED = "phala with constructed options"
CONSTRUCTED_BY_CORE = "phala, then ansible.builtin.constructed"
NETBOX_SUBJECT = "netbox.netbox.nb_inventory"
HETZNER_SUBJECT = "hetzner.hcloud.hcloud"
DIMENSIONS = ("region", "node", "base_image", "status")
COUNT_HOSTS = """\
import sys
from tests.simulator import live_cvms, make_fleet
print(sum(cvm.vm_uuid is not None for _app, cvm in live_cvms(make_fleet(cvms=int(sys.argv[1])))))
"""
OPTIONS: dict[str, Any] = {
    "compose": {"memory_gb": "phala_memory / 1024", "place": "phala_region ~ '/' ~ phala_node"},
    "groups": {"large": "phala_vcpu > 2"},
    "keyed_groups": [{"key": "phala_instance_type", "prefix": "type"}],
}


def lanes(concurrency: int) -> str:
    """Return the subject's name of the plugin with so many requests at a time."""
    return f"{COLD}, concurrency {concurrency}"


@cache
def page_count(url: str) -> int:
    """Return how many full pages the service has, which depends on how its CVMs are spread over apps."""
    headers = {"X-API-Key": API_KEY, "User-Agent": "phala.cloud benchmarks"}  # the service blocks the library's own agent
    request = Request(f"{url}/apps?page_size=100", headers=headers)
    with urlopen(request) as answer:
        return int(json.load(answer)["total_pages"])


@cache
def host_count(cvms: int) -> int:
    """Return how many hosts the plugin makes of a fleet with so many CVMs: those without any identifier are not hosts."""
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
        listed = hosts if subject == NEWEST_VERSION else host_count(hosts)  # there, every CVM has an id
        case = self.loading(subject, hosts, [source], delay=delay, rounds=rounds, listed=listed)
        return replace(case, pages=page_count(self.services.url(PHALA, hosts, delay)))

    def newest(self, hosts: int, *, rounds: int) -> Case:
        """Return the case of the API version that the plugin asks for by itself."""
        return self.phala(hosts, subject=NEWEST_VERSION, rounds=rounds, api_version="2026-01-21")

    def bare(self, hosts: int, *, rounds: int) -> Case:
        """Return the case of a plugin that does the least, which is in this folder."""
        url = self.services.url(PHALA, hosts, 0.0)
        options = {"plugin": "bare", "url": url, "key": API_KEY, "version": COMPARED_VERSION}
        return self.loading(BARE, hosts, [self._write(BARE, hosts, 0.0, "bare", options)], rounds=rounds)

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

    def constructed(self, hosts: int, *, rounds: int) -> list[Case]:
        """Return the cases in which the plugin, and a second source after it, make the same of constructed's options."""
        second = self._write(CONSTRUCTED_BY_CORE, hosts, 0.0, "constructed", {"plugin": "ansible.builtin.constructed", **OPTIONS})
        plain = self._write(COLD, hosts, 0.0, "phala", self._phala_options(hosts, 0.0))
        return [
            self.phala(hosts, subject=CONSTRUCTED, rounds=rounds, **OPTIONS),
            self.loading(CONSTRUCTED_BY_CORE, hosts, [plain, second], rounds=rounds, listed=host_count(hosts)),
        ]

    def static(self, hosts: int, *, rounds: int) -> Case:
        """Return the case of a file with the same hosts, variables and groups; the plugin's own output becomes that file, now."""
        target = self.folder / f"static-{hosts}.json"
        listed = self.folder / "listed.json"
        case = self.printing(self.phala(hosts, rounds=1), rounds=1)
        self._prepare(replace(case, arguments=(*case.arguments, "--export")), listed)
        # In a process of its own, for what this one holds would count as the peak of those it starts.
        subprocess.run([sys.executable, "-m", f"{__package__}.static", listed, target], check=True)
        return self.loading(STATIC, hosts, [target], rounds=rounds, listed=host_count(hosts))

    def netbox(self, hosts: int, *, delay: float = 0.0, rounds: int) -> Case:
        options = {
            "plugin": NETBOX_SUBJECT,
            "api_endpoint": self.services.url(NETBOX, hosts, delay),
            "token": "none",
            "plurals": False,
            "flatten_custom_fields": True,
            "group_by": ["site", "role", "platform", "status", "tenant"],
        }
        source = self._write(NETBOX_SUBJECT, hosts, delay, "netbox", options)
        return self.loading(NETBOX_SUBJECT, hosts, [source], delay=delay, rounds=rounds)

    def hetzner(self, hosts: int, *, delay: float = 0.0, rounds: int) -> Case:
        options = {
            "plugin": HETZNER_SUBJECT,
            "api_endpoint": self.services.url(HETZNER, hosts, delay),
            "api_token": "x" * 64,
            "keyed_groups": [{"key": f"hcloud_labels.{name}", "prefix": name} for name in DIMENSIONS],
        }
        source = self._write(HETZNER_SUBJECT, hosts, delay, "hcloud", options)
        return self.loading(HETZNER_SUBJECT, hosts, [source], delay=delay, rounds=rounds)

    def has_others(self) -> bool:
        """Tell whether the package `ansible`, which holds the other plugins, is installed."""
        collections = Path(sysconfig.get_path("purelib"), "ansible_collections")
        return (collections / "netbox").exists() and (collections / "hetzner").exists()

    def _phala_options(self, hosts: int, delay: float) -> dict[str, Any]:
        url = self.services.url(PHALA, hosts, delay)
        return {"plugin": "phala.cloud.phala", "api_url": url, "api_key": API_KEY, "api_version": COMPARED_VERSION}

    def _write(self, subject: str, hosts: int, delay: float, ending: str, options: Mapping[str, Any]) -> Path:
        name = "".join(character if character.isalnum() else "-" for character in f"{subject}-{hosts}-{delay}")
        path = self.folder / f"{name}.{ending}.yml"
        path.write_text(json.dumps(options), encoding="utf-8")  # which is YAML too
        return path

    def _prepare(self, case: Case, output: Path) -> None:
        """Run the case's command into a file, unmeasured."""
        with open(output, "wb") as stdout, open(self.folder / "stderr", "wb") as stderr:
            subprocess.run(case.arguments, cwd=self.folder, env=self.environment, stdout=stdout, stderr=stderr, check=True)


def usual_cases(bench: Bench, sizes: list[int], rounds: int, *, others: bool) -> Iterator[Case]:
    """Yield what is compared: everything that a target speaks of, in fewer rounds where one takes long."""
    few = max(1, rounds // 2)
    main = max(size for size in sizes if size <= MAIN_SIZE)
    yield bench.one_host(rounds)
    for hosts in sizes:
        yield bench.phala(hosts, rounds=rounds)
        yield bench.cached(hosts, rounds=rounds)
        if hosts >= NEWEST_SIZE:
            yield bench.newest(hosts, rounds=few)
        if hosts <= main:
            yield bench.static(hosts, rounds=rounds if hosts < main else few)
    yield bench.bare(main, rounds=rounds)
    for concurrency in LANES:
        yield bench.phala(
            main, delay=DELAY, subject=lanes(concurrency), rounds=rounds if concurrency == 8 else few, concurrency=concurrency
        )
    yield bench.printing(bench.phala(main, rounds=1), rounds=few)
    yield bench.printing(bench.static(main, rounds=1), rounds=few)
    if CONSTRUCTED_SIZE not in sizes:
        yield bench.phala(CONSTRUCTED_SIZE, rounds=rounds)
    yield from bench.constructed(CONSTRUCTED_SIZE, rounds=rounds)
    if others and bench.has_others():
        for delay in (0.0, DELAY):
            yield bench.netbox(main, delay=delay, rounds=few)
            yield bench.hetzner(main, delay=delay, rounds=few)


MAIN_SIZE = 10_000  # the number of hosts at which all are compared
CONSTRUCTED_SIZE = 1_000
NEWEST_SIZE = 5_000  # from which on the newest API version is measured too
DELAY = 0.15
LANES = (1, 4, 8, 16)
