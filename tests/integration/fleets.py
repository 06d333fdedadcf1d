# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet whose CVMs differ in everything that can be filtered or grouped by, and what the service was asked."""

from __future__ import annotations

from typing import Any

from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator

WEB = App(
    name="web",
    cvms=(
        Cvm(name="web-1", region="US-WEST-1", node="prod7"),
        Cvm(name="web-2", region="US-WEST-1", node="prod5", status="stopped", instance_type="tdx.large", listed=True),
        Cvm(name="web-3", region="EU-WEST-1", node="prod12", base_image="dstack-dev-0.5.7-9b6a5239"),
    ),
)
API = App(
    name="api",
    cvms=(
        Cvm(name="api-1", region="US-EAST-1", node="prod9", kms_type="base", listed=True),
        Cvm(name="api-2", region="EU-WEST-1", node="prod12", kms_type="base", base_image="dstack-0.5.5"),
    ),
    team_slug="research",
    team_name="Research",
)
DB = App(
    name="db",
    cvms=(
        Cvm(name="db", region="US-EAST-1", node="prod9", physical_node="metal-9", status="exited", instance_type="tdx.xlarge"),
    ),
    team_slug=None,
    team_name="No slug",
)
FLEET = (WEB, API, DB)
NAMES = ["api-1", "api-2", "db", "web-1", "web-2", "web-3"]


def one_cvm(**fields: Any) -> tuple[App, ...]:
    """Give a fleet of one CVM with these fields."""
    return (App(name="app", cvms=(Cvm(**{"name": "solo", **fields}),)),)


def queries(simulator: Simulator) -> list[str]:
    """Return the filters of each query once, sorted, as ``name=value`` with blanks between."""
    filters = (
        [f"{name}={value}" for name, value in request.query if name not in ("page", "page_size")]
        for request in simulator.requests
        if request.page == 1 and request.path.endswith("/apps")
    )
    return sorted({" ".join(query) for query in filters})
