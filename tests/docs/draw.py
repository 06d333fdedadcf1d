# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draw docs/overview.svg from what `ansible-inventory --list` prints: apps and CVMs, groups of hosts, variables of one.

ansible-inventory -i phala.yml --list | python draw.py > overview.svg
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

HostVars = Mapping[str, Mapping[str, Any]]

SHOWN_HOST = "web-1"
SHOWN_VARIABLES = (
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "phala_name",
    "phala_status",
    "phala_region",
    "phala_node",
    "phala_base_image",
    "phala_is_dev",
    "phala_vcpu",
    "phala_memory",
    "phala_instance_type",
    "phala_app_name",
    "phala_app",
    "phala_workspace",
)
LONGEST_VALUE = 28

WIDTH = 1060
LEFT, MIDDLE, RIGHT = 20, 270, 650  # of the panels
PANEL_WIDTHS = {LEFT: 190, MIDDLE: 330, RIGHT: 390}
TOP = 20
LINE = 22

STYLE = """
  svg { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Arial, sans-serif; font-size: 13px; }
  .page { fill: #ffffff; } .panel { fill: #f6f8fa; stroke: #d0d7de; } .card { fill: #ffffff; stroke: #afb8c1; }
  text { fill: #1f2328; } .title { font-weight: 600; font-size: 15px; } .faint { fill: #59636e; }
  .code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 12px; }
  .name { fill: #0550ae; } .rule { stroke: #d0d7de; } .arrow { stroke: #59636e; fill: none; stroke-width: 1.5; }
  .head { fill: #59636e; } .dot { fill: #1a7f37; } .gap { fill: #d0d7de; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } .panel { fill: #151b23; stroke: #3d444d; } .card { fill: #0d1117; stroke: #656c76; }
    text { fill: #f0f6fc; } .faint { fill: #9198a1; } .name { fill: #79c0ff; } .rule { stroke: #3d444d; }
    .arrow { stroke: #9198a1; } .head { fill: #9198a1; } .dot { fill: #3fb950; } .gap { fill: #3d444d; }
  }
"""


def draw(inventory: Mapping[str, Any]) -> str:
    """Return the picture of an inventory."""
    hostvars: HostVars = inventory["_meta"]["hostvars"]
    columns = [*_apps(hostvars), *_groups(inventory, hostvars), *_variables(hostvars[SHOWN_HOST])]
    height = _height(inventory, hostvars)
    panels = [_panel(x, height) for x in PANEL_WIDTHS]
    body = "\n".join([*panels, *columns, *_arrows(height)])
    title = "How the apps and CVMs of an account become hosts, groups and variables"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"'
        f' aria-label="{title}">\n'
        # REUSE-IgnoreStart
        "<!-- SPDX-FileCopyrightText: The phala.cloud collection contributors -->\n"
        "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->\n"
        # REUSE-IgnoreEnd
        f"<title>{title}</title>\n<style>{STYLE}</style>\n"
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>\n{body}\n</svg>\n'
    )


def _height(inventory: Mapping[str, Any], hostvars: HostVars) -> int:
    rows = max(len(_apps_of(hostvars)) * 2 + len(hostvars) + 1, len(_group_names(inventory)) + 2, len(SHOWN_VARIABLES))
    return TOP + 66 + rows * LINE + 44


def _panel(x: int, height: int) -> str:
    return f'<rect class="panel" x="{x}" y="{TOP}" width="{PANEL_WIDTHS[x]}" height="{height - 2 * TOP}" rx="8"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _heading(x: int, title: str, subtitle: str) -> Iterator[str]:
    yield _text(x + 15, TOP + 26, title, "title")
    yield _text(x + 15, TOP + 46, subtitle, "faint")


def _arrows(height: int) -> Iterator[str]:
    for start, end in ((LEFT, MIDDLE), (MIDDLE, RIGHT)):
        x, tip, y = start + PANEL_WIDTHS[start] + 8, end - 8, height / 2
        yield f'<path class="arrow" d="M{x} {y:g}H{tip - 7}"/>'
        yield f'<path class="head" d="M{tip} {y:g}l-9 -5v10z"/>'


# The account


def _apps_of(hostvars: HostVars) -> dict[str, list[str]]:
    apps: dict[str, list[str]] = {}
    for host, variables in sorted(hostvars.items()):
        apps.setdefault(variables["phala_app_name"], []).append(host)
    return dict(sorted(apps.items(), key=lambda app: (-len(app[1]), app[0])))


def _apps(hostvars: HostVars) -> Iterator[str]:
    yield from _heading(LEFT, "Account", "apps and their CVMs")
    y = TOP + 66
    for app, hosts in _apps_of(hostvars).items():
        height = 32 + len(hosts) * LINE
        yield f'<rect class="card" x="{LEFT + 15}" y="{y}" width="{PANEL_WIDTHS[LEFT] - 30}" height="{height}" rx="6"/>'
        yield _text(LEFT + 27, y + 20, f"app {app}")
        for turn, host in enumerate(hosts):
            line = y + 42 + turn * LINE
            yield _text(LEFT + 39, line, host, "code name")
            yield _text(LEFT + PANEL_WIDTHS[LEFT] - 27, line, hostvars[host]["phala_status"], "faint", "end")
        y += height + 12


# Hosts and groups


def _group_names(inventory: Mapping[str, Any]) -> Sequence[str]:
    children: Sequence[str] = inventory["phala"]["children"]
    return children


def _groups(inventory: Mapping[str, Any], hostvars: HostVars) -> Iterator[str]:
    yield from _heading(MIDDLE, "Inventory", "each CVM is a host, in its groups")
    hosts = [host for hosts in _apps_of(hostvars).values() for host in hosts]
    right = MIDDLE + PANEL_WIDTHS[MIDDLE] - 28
    places = {host: right - (len(hosts) - 1 - turn) * 20 for turn, host in enumerate(hosts)}
    base = TOP + 66 + 2 * LINE
    for host, x in places.items():
        yield f'<text class="code name" transform="translate({x + 4} {base - 8}) rotate(-60)">{escape(host)}</text>'
    groups = {"phala": set(hosts), **{name: set(inventory[name]["hosts"]) for name in _group_names(inventory)}}
    for turn, (group, members) in enumerate(groups.items()):
        y = base + turn * LINE + 10
        indent = 0 if turn == 0 else 12
        yield f'<line class="rule" x1="{MIDDLE + 15}" x2="{right + 13}" y1="{y - 15}" y2="{y - 15}"/>'
        yield _text(MIDDLE + 15 + indent, y, _shortened(group, 24), "code")
        for host, x in places.items():
            kind, radius = ("dot", 5) if host in members else ("gap", 2)
            yield f'<circle class="{kind}" cx="{x}" cy="{y - 4}" r="{radius}"/>'


# Variables


def _variables(variables: Mapping[str, Any]) -> Iterator[str]:
    yield from _heading(RIGHT, f"Variables of {SHOWN_HOST}", "its own fields, its app's, and how to connect")
    for turn, name in enumerate(SHOWN_VARIABLES):
        y = TOP + 84 + turn * LINE
        value = "{ ... }" if isinstance(variables[name], dict) else json.dumps(variables[name]).strip('"')
        yield _text(RIGHT + 15, y, name, "code name")
        yield _text(RIGHT + 165, y, _shortened(value, LONGEST_VALUE), "code")


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


if __name__ == "__main__":
    sys.stdout.write(draw(json.load(sys.stdin)))
