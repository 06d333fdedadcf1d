# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What -v, -vv and no -v say about a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.commands import Completed, squeeze
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import Status

from .fleets import FLEET, WEB

GONE = App(
    name="gone",
    cvms=(Cvm(name="gone-1", deleted_at="2026-03-01T00:00:00Z"), Cvm(name="left-1")),
)
MINIMAL = App(app_id="dd" * 20, minimal=True)
EMPTY = App(name="empty", cvms=())


def own_lines(loaded: Loaded) -> list[str]:
    """Return what the plugin said, without what core says of its own."""
    return [line for line in loaded.displayed if not re.search(r"^Using |^Parsed |declined parsing|Skipping|setting up", line)]


def test_nothing_is_said_unasked(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = FLEET
    assert inventory().displayed == []


def test_v_is_one_line(simulator: Simulator, inventory: Callable[..., Loaded], tmp_path: Path) -> None:
    simulator.fleet = FLEET
    (line,) = own_lines(inventory({"page_size": 2}, verbosity=1))
    words = (f"{tmp_path / 'phala.yml'}: 6 CVMs in 3 apps", simulator.url, "(4 requests, ")
    assert [word for word in words if word not in line] == []
    assert re.search(r"\b\d+\.\d+ s\b", line)


def test_v_counts_retries_and_requests_as_the_service_does(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = FLEET
    simulator.misbehave(Status(503), page=2)
    (line,) = own_lines(inventory({"page_size": 1}, verbosity=1))
    assert f"{len(simulator.requests)} requests, 1 retry" in line


def test_v_counts_an_app_once_that_several_queries_found(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = FLEET
    (line,) = own_lines(inventory({"filters": {"region": ["US-WEST-1", "EU-WEST-1"]}}, verbosity=1))
    assert "4 CVMs in 2 apps" in line


def test_v_says_when_the_answer_is_from_the_cache(simulator: Simulator, inventory: Callable[..., Loaded], tmp_path: Path) -> None:
    simulator.fleet = FLEET
    options = {"cache": True, "cache_plugin": "jsonfile", "cache_connection": str(tmp_path / "cache")}
    inventory(options)
    (line,) = own_lines(inventory(options, verbosity=1))
    assert "6 CVMs in 3 apps" in line
    assert f"{simulator.url} (cache, " in line


def test_vv_is_a_line_per_page(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = FLEET
    loaded = inventory({"page_size": 2, "filters": {"status": ["running", "stopped"]}}, verbosity=2)
    lines = sorted(line for line in own_lines(loaded) if line.startswith("Page "))
    title = f"{simulator.url}/apps?status=running&status=stopped"
    assert [line.startswith(start) for line, start in zip(lines, [f"Page 1 of 1 of {title}: 2 apps in "], strict=True)] == [True]


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({}, [("dddd", "no CVM"), ("'empty'", "no CVM"), ("'gone-1'", "2026-03-01")]),
        ({"filters": {"region": "US-WEST-1", "search": "web"}}, [("'web-3'", "region")]),
        (
            {"exclude_filters": [{"status": "exited"}, {"node": ["prod5", "prod7"]}], "filters": {"search": "web"}},
            [("'web-1'", "exclude_filters[1]"), ("'web-2'", "exclude_filters[1]")],
        ),
        (
            {"host_filters": ["phala_vcpu > 0", "phala_region == 'US-WEST-1'"], "filters": {"search": "web"}},
            [("'web-3'", "host_filters[1]")],
        ),
    ],
    ids=["deleted", "filters", "exclude_filters", "host_filters"],
)
def test_vv_is_a_line_per_app_or_cvm_left_out_with_the_reason(
    options: dict[str, Any], left_out: list[tuple[str, str]], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = (WEB, GONE, MINIMAL, EMPTY)
    lines = [line for line in inventory(options, verbosity=2).displayed if line.startswith("Left out")]
    assert len(lines) == len(left_out)
    for name, reason in left_out:
        (line,) = [line for line in lines if name in line]
        assert reason in line


def test_cvm_that_another_query_lets_in_is_not_said_to_be_left_out(
    simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = (WEB,)
    loaded = inventory({"filters": {"region": ["US-WEST-1", "EU-WEST-1"]}}, verbosity=2)
    assert sorted(loaded.hosts) == ["web-1", "web-2", "web-3"]
    assert [line for line in loaded.displayed if line.startswith("Left out") and "of the query" not in line] == []


def test_key_is_not_shown_at_the_highest_verbosity(
    simulator: Simulator, ansible_inventory: Callable[..., Completed], tmp_path: Path
) -> None:
    simulator.fleet = FLEET
    simulator.misbehave(Status(503, f"key {simulator.api_key}"), Status(500))
    options = {"page_size": 1, "cache": True, "cache_plugin": "jsonfile", "cache_connection": str(tmp_path / "cache")}
    env = {"ANSIBLE_DEBUG": "true", "ANSIBLE_LOG_PATH": str(tmp_path / "log")}
    completed = ansible_inventory({"api_key": simulator.api_key, **options}, "--list", "-vvvv", env=env)
    assert completed.status == 0
    said = completed.stdout + completed.stderr + (tmp_path / "log").read_text()
    assert simulator.api_key not in said
    assert squeeze(simulator.api_key) not in squeeze(said)


@pytest.mark.parametrize(("status", "style"), [(401, "detail"), (500, "detail"), (422, "message")])
def test_key_that_the_service_repeats_is_not_shown(
    status: int, style: Any, simulator: Simulator, attempt: Callable[..., Loaded]
) -> None:
    simulator.misbehave(Status(status, f"bad key {simulator.api_key}", style=style), times=None)
    displayed = "".join(attempt({"retries": 0}, verbosity=3).displayed)
    assert "***" in displayed
    assert simulator.api_key not in squeeze(displayed)
