# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Serve what two other inventory plugins ask their services for: print the URL on one line when ready, serve until killed.

The hosts are as many, and fall into as many groups, as those of this collection's own stand-in: four regions, five nodes, five
images, six statuses. Every answer is rendered before the first request.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

Answers = Mapping[str, Sequence[bytes]]  # by path, the pages

NODES = {"prod5": "us-west-1", "prod7": "us-west-1", "prod9": "us-east-1", "prod12": "eu-west-1", "h200-3": "us-east-3"}
IMAGES = ("dstack-0-5-7", "dstack-0-5-5", "dstack-0-5-4-1", "dstack-dev-0-5-7", "dstack-dev-0-5-5")
STATUSES = ("running", "running", "running", "stopped", "starting", "stopping", "exited")
HETZNER_PAGE = 50  # the largest that the service gives
CUSTOM_FIELDS = 17  # which bring a NetBox device to as many variables as a CVM has, a quarter of them of its own
NETBOX_PAGE = 1000  # what a service gives where all are asked for, unless it is configured otherwise


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stand_ins", description=__doc__)
    parser.add_argument("service", choices=("hetzner", "netbox"))
    parser.add_argument("--hosts", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    arguments = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    Handler.delay = arguments.delay
    Handler.answers = hetzner(arguments.hosts) if arguments.service == "hetzner" else netbox(arguments.hosts, url)
    print(url, flush=True)  # noqa: T201
    server.serve_forever()


class Handler(BaseHTTPRequestHandler):
    """Answer with one of the pages of a path."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet
    answers: ClassVar[Answers] = {}
    delay: ClassVar[float] = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay)
        parts = urlsplit(self.path)
        pages = self.answers.get(parts.path)
        number = int(parse_qs(parts.query).get("page", ["1"])[0])
        body = pages[number - 1] if pages else b"{}"
        self.send_response(200 if pages else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


def _traits(number: int) -> tuple[str, str, str, str]:
    """Return node, region, image and status of a host."""
    node = list(NODES)[number % len(NODES)]
    return node, NODES[node], IMAGES[number // 5 % len(IMAGES)], STATUSES[number // 25 % len(STATUSES)]


def _pages(key: str, records: Sequence[Any], size: int) -> list[tuple[int, dict[str, Any]]]:
    """Cut the records into numbered pages."""
    starts = range(0, max(1, len(records)), size)
    return [(number, {key: records[start : start + size]}) for number, start in enumerate(starts, start=1)]


# Hetzner Cloud, https://docs.hetzner.cloud: of the labels the plugin makes groups


def hetzner(hosts: int) -> Answers:
    servers = _pages("servers", [_server(number) for number in range(hosts)], HETZNER_PAGE)
    last = len(servers)
    rendered = [
        json.dumps({**page, "meta": {"pagination": _pagination(number, last, hosts)}}).encode() for number, page in servers
    ]
    locations = {"locations": [_LOCATION], "meta": {"pagination": _pagination(1, 1, 1)}}
    return {"/servers": rendered, "/locations": [json.dumps(locations).encode()]}


def _pagination(number: int, last: int, total: int) -> dict[str, int | None]:
    return {
        "page": number,
        "per_page": HETZNER_PAGE,
        "previous_page": number - 1 or None,
        "next_page": number + 1 if number < last else None,
        "last_page": last,
        "total_entries": total,
    }


_LOCATION = {
    "id": 1,
    "name": "fsn1",
    "description": "Falkenstein DC Park 1",
    "country": "DE",
    "city": "Falkenstein",
    "latitude": 50.47612,
    "longitude": 12.370071,
    "network_zone": "eu-central",
}


def _server(number: int) -> dict[str, Any]:
    node, region, image, status = _traits(number)
    address = f"198.18.{number // 256 % 256}.{number % 256}"
    return {
        "id": number + 1,
        "name": f"web-{number}",
        "status": "running" if status == "running" else "off",
        "created": "2026-01-30T23:55:00+00:00",
        "public_net": {
            "ipv4": {"id": number + 1, "ip": address, "blocked": False, "dns_ptr": f"server{number}.example.org"},
            "ipv6": {"id": number + 1, "ip": f"2001:db8:{number % 65536:x}::/64", "blocked": False, "dns_ptr": []},
            "floating_ips": [],
            "firewalls": [],
        },
        "private_net": [],
        "server_type": {
            "id": 1,
            "name": "cx22",
            "description": "CX22",
            "cores": 2,
            "memory": 4.0,
            "disk": 40,
            "prices": [],
            "storage_type": "local",
            "cpu_type": "shared",
            "architecture": "x86",
        },
        "location": _LOCATION,
        "image": {
            "id": 7,
            "type": "system",
            "status": "available",
            "name": "debian-13",
            "description": "Debian 13",
            "image_size": None,
            "disk_size": 5,
            "created": "2026-01-01T00:00:00+00:00",
            "created_from": None,
            "bound_to": None,
            "os_flavor": "debian",
            "os_version": "13",
            "rapid_deploy": True,
            "protection": {"delete": False},
            "deprecated": None,
            "labels": {},
            "architecture": "x86",
        },
        "iso": None,
        "rescue_enabled": False,
        "locked": False,
        "backup_window": None,
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": 21990232555520,
        "protection": {"delete": False, "rebuild": False},
        "labels": {"node": node, "region": region, "base_image": image, "status": status},
        "volumes": [],
        "load_balancers": [],
        "primary_disk_size": 40,
        "placement_group": None,
    }


# NetBox, https://netboxlabs.com/docs/netbox: devices, and lists of what they refer to


def netbox(hosts: int, url: str) -> Answers:
    devices = "/api/dcim/devices/"
    answers: dict[str, list[bytes]] = {devices: []}
    pages = _pages("results", [_device(number) for number in range(hosts)], NETBOX_PAGE)
    for number, page in pages:
        following = f"{url}{devices}?limit=0&page={number + 1}" if number < len(pages) else None
        answers[devices].append(json.dumps({"count": hosts, "next": following, "previous": None, **page}).encode())
    for path, records in _LISTS.items():
        listed = {"count": len(records), "next": None, "previous": None, "results": records}
        answers[f"/api/{path}/"] = [json.dumps(listed).encode()]
    return {**answers, **_ABOUT}


def _named(names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"id": number, "name": name, "slug": name, "display": name} for number, name in enumerate(names, start=1)]


_REGIONS = sorted(set(NODES.values()))
_TENANTS = _named(["phala"])
_SITES = [
    {**site, "region": None, "group": None, "time_zone": None, "facility": "", "prefix_count": 0} for site in _named(_REGIONS)
]
_ROLES, _PLATFORMS, _TYPES, _MAKERS = _named(list(NODES)), _named(IMAGES), _named(["server"]), _named(["maker"])
_LISTS: dict[str, list[dict[str, Any]]] = {
    "dcim/sites": _SITES,
    "dcim/device-roles": _ROLES,
    "dcim/platforms": _PLATFORMS,
    "dcim/device-types": _TYPES,
    "dcim/manufacturers": _MAKERS,
    "tenancy/tenants": _TENANTS,
    **{
        path: []
        for path in (
            "dcim/regions", "dcim/site-groups", "dcim/locations", "dcim/racks", "ipam/services", "virtualization/clusters",
            "virtualization/virtual-machines",
        )
    },
}  # fmt: skip
_PARAMETERS = {"get": {"parameters": [{"name": "limit"}]}}
_ABOUT = {
    "/api/status/": [json.dumps({"netbox-version": "4.2.0"}).encode()],
    "/api/schema/": [
        json.dumps(
            {
                "info": {"version": "4.2.0"},
                "paths": {"/api/dcim/devices/": _PARAMETERS, "/api/virtualization/virtual-machines/": _PARAMETERS},
            }
        ).encode()
    ],
}


def _brief(records: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    return next({"id": record["id"], "name": name, "slug": name, "display": name} for record in records if record["name"] == name)


def _device(number: int) -> dict[str, Any]:
    node, region, image, status = _traits(number)
    address = f"198.18.{number // 256 % 256}.{number % 256}"
    return {
        "id": number + 1,
        "url": f"http://netbox.example.org/api/dcim/devices/{number + 1}/",
        "display": f"web-{number}",
        "name": f"web-{number}",
        "device_type": {**_brief(_TYPES, "server"), "manufacturer": _brief(_MAKERS, "maker"), "model": "server"},
        "role": _brief(_ROLES, node),
        "tenant": _brief(_TENANTS, "phala"),
        "platform": _brief(_PLATFORMS, image),
        "serial": f"{number:012x}",
        "asset_tag": None,
        "site": _brief(_SITES, region),
        "location": None,
        "rack": None,
        "position": None,
        "face": None,
        "status": {"value": status, "label": status.capitalize()},
        "airflow": None,
        "primary_ip": {"id": number + 1, "display": f"{address}/32", "address": f"{address}/32", "family": {"value": 4}},
        "primary_ip4": {"id": number + 1, "display": f"{address}/32", "address": f"{address}/32", "family": {"value": 4}},
        "primary_ip6": None,
        "oob_ip": None,
        "cluster": None,
        "virtual_chassis": None,
        "vc_position": None,
        "vc_priority": None,
        "description": "",
        "comments": "",
        "config_template": None,
        "local_context_data": None,
        "tags": [],
        "custom_fields": {f"field_{field}": f"{field}-{number if field % 4 == 0 else 0}" for field in range(CUSTOM_FIELDS)},
        "created": "2026-01-15T07:00:00Z",
        "last_updated": "2026-03-01T09:30:00Z",
    }


if __name__ == "__main__":
    main()
