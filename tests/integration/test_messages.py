# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing goes missing without a message, and a correct file gives none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator, make_fleet
from ansible_collections.phala.cloud.tests.simulator.faults import Status

from .fleets import FLEET, NAMES, one_cvm

JSONFILE = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": "cache"}
OPTIONS_PATH = "/api/v1/apps/filter-options"


@pytest.fixture(autouse=True)
def fleet(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator.fleet = FLEET
    monkeypatch.chdir(tmp_path)


def messages(loaded: Loaded, path: Path) -> list[str]:
    """Return the warnings, each without the file that it must name."""
    assert all(warning.startswith(f"{path}: ") for warning in loaded.warnings)
    return [warning.removeprefix(f"{path}: ") for warning in loaded.warnings]


def requests(simulator: Simulator, path: str) -> int:
    return sum(request.path == path for request in simulator.requests)


@pytest.mark.parametrize(
    ("options", "message", "asked"),
    [
        (
            {"filters": {"region": ["US-WEST-1", "us-wst-1"]}},
            "filters.region: 'us-wst-1' matched no CVM; there are EU-WEST-1, US-EAST-1, US-WEST-1",
            1,
        ),
        ({"filters": {"search": "nothing"}}, "filters.search: 'nothing' matched no CVM", 0),
        (
            {"include_filters": [{"status": "running"}, {"name": "wbe"}]},
            "include_filters[1].name: 'wbe' matched no CVM; there are api-1, api-2, db, web-1, web-2, web-3",
            0,
        ),
        (
            {"exclude_filters": [{"region": "us-wst-1"}]},
            "exclude_filters[0].region: 'us-wst-1' matched no CVM. Did you mean 'US-WEST-1'?",
            1,
        ),
        (
            {"host_filters": ["phala_vcpu > 100"]},
            "No hosts: no CVM matches all host_filters (6 CVMs checked). Correct the conditions. -vv shows which one is false.",
            0,
        ),
        (
            {"filters": {"name": "db", "os_type": "dev"}},
            "No hosts: all CVMs that the service returned are left out (6 by filters). Correct the filters. -vv shows what"
            " each CVM does not match.",
            0,
        ),
        (
            {"compose": {"ansible_user": "admin"}},
            "compose.ansible_user failed for every host (api-1: 'admin' is undefined). Correct the name of the variable. To"
            " set a text, put it in quotes: \"'admin'\".",
            0,
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("cached", [False, True])
def test_warning_comes_once_and_again_from_the_cache(
    options: dict[str, Any],
    message: str,
    asked: int,
    *,
    cached: bool,
    simulator: Simulator,
    inventory: Callable[..., Loaded],
    tmp_path: Path,
) -> None:
    loaded = inventory({**options, **JSONFILE})
    assert messages(loaded, tmp_path / "phala.yml") == [message]
    assert requests(simulator, OPTIONS_PATH) == asked
    if cached:
        simulator.clear()
        assert messages(inventory({**options, **JSONFILE}), tmp_path / "phala.yml") == [message]
        assert simulator.requests == []


def test_values_that_cannot_be_fetched_are_left_out_of_the_message(
    simulator: Simulator, inventory: Callable[..., Loaded], tmp_path: Path
) -> None:
    simulator.misbehave(Status(404), times=None, path="/filter-options")
    loaded = inventory({"filters": {"region": "us-wst-1"}})
    assert messages(loaded, tmp_path / "phala.yml") == ["filters.region: 'us-wst-1' matched no CVM"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"filters": {"status": "paused"}}, "filters.status: 'paused' matched no CVM"),
        ({"filters": {"region": "EU-WEST-1", "status": "exited"}}, "filters.region: 'EU-WEST-1' matched no CVM"),
        ({"groups": {"a": "1 / (phala_vcpu - 4) > 0"}}, "groups.a failed for 1 of 6 hosts (web-2: "),
    ],
    ids=str,
)
def test_line_of_verbosity_1(options: dict[str, Any], line: str, inventory: Callable[..., Loaded]) -> None:
    loaded = inventory(options, verbosity=1)
    assert loaded.warnings == []
    assert [text for text in loaded.displayed if line in text]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"name": "web-1"}, ["web-1"]),
        ({"app": ["API", "db"]}, ["api-1", "api-2", "db"]),
        ({"team": "research"}, ["api-1", "api-2"]),
        ({"team": "No slug"}, ["db"]),
        ({"os_type": "dev"}, ["web-3"]),
        ({"app": "web", "status": "running"}, ["web-1", "web-3"]),
    ],
    ids=str,
)
def test_plugin_decides_filters_that_the_service_does_not_know(
    filters: dict[str, Any], names: list[str], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    loaded = inventory({"filters": filters})
    assert (sorted(loaded.hosts), loaded.warnings) == (names, [])
    assert {name for request in simulator.requests for name, _value in request.query} <= {"page", "page_size", "status"}


@pytest.mark.parametrize("spelling", [str.upper, lambda text: text.replace("-", ""), lambda text: f"0x{text}", "app_{}".format])
@pytest.mark.parametrize("variable", ["phala_vm_uuid", "phala_instance_id", "phala_app_id"])
def test_id_is_any_identifier_in_any_spelling(
    variable: str, spelling: Callable[[str], str], inventory: Callable[..., Loaded]
) -> None:
    value = inventory({}).hosts["db"][variable]
    assert list(inventory({"filters": {"id": spelling(value)}}).hosts) == ["db"]
    assert sorted(inventory({"exclude_filters": [{"id": spelling(value)}]}).hosts) == [name for name in NAMES if name != "db"]


def test_gateway_variables_address_any_port(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm(gateway_domain="gw.example.org:8443")
    loaded = inventory({"compose": {"web": "phala_gateway_id ~ '-8090.' ~ phala_gateway_host"}})
    variables = loaded.hosts["solo"]
    assert variables["web"] == variables["ansible_host"].replace("-22.", "-8090.")
    assert variables["phala_gateway_port"] == 8443


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache": True}, "cache: true keeps nothing between runs, because cache_plugin is 'memory'. "),
        ({"cache_stale": 60}, "cache_stale does nothing, because the cache is off"),
        (
            {**JSONFILE, "cache_connection": "phala.yml/folder"},
            "cache: the inventory cache cannot be opened",
        ),
        (
            {**JSONFILE, "cache_plugin": "no.such.plugin"},
            "cache: the inventory cache cannot be opened",
        ),
    ],
    ids=str,
)
def test_cache_that_does_nothing_is_reported_and_loses_no_host(
    options: dict[str, Any], message: str, inventory: Callable[..., Loaded], tmp_path: Path
) -> None:
    loaded = inventory(options)
    prefix = f"{tmp_path / 'phala.yml'}: "
    (warning,) = [warning for warning in loaded.warnings if warning.startswith(prefix)]  # core has warnings of its own here
    assert warning.startswith(prefix + message)
    assert sorted(loaded.hosts) == NAMES


def test_file_of_this_plugin_under_another_name_is_reported(attempt: Callable[..., Loaded], tmp_path: Path) -> None:
    loaded = attempt(name="cloud.yml", verbosity=3)
    assert [line for line in loaded.displayed if "cloud.yml: the file" in line or line.startswith("phala.cloud")] == [
        f"[WARNING]: {tmp_path / 'cloud.yml'}: the file names phala.cloud.phala, which does not read it, because its name does"
        " not end in phala.yml or phala.yaml. Rename the file."
    ]


NULLS = (
    App(name="bare", cvms=(Cvm(name="bare", region=None, node=None, base_image=None, instance_type=None, status="creating"),)),
    App(name="stopped", cvms=(Cvm(name="off", status="stopped", instance_id=None),)),
)
VARIED = make_fleet(3, 30)
EMPTY: Sequence[App] = ()

CORRECT: list[tuple[dict[str, Any], Sequence[Any]]] = [
    ({}, FLEET),
    ({}, NULLS),
    ({"hostnames": ["vm_uuid", "instance_id"]}, VARIED),
    ({}, EMPTY),
    ({"filters": {}}, FLEET),
    ({"filters": {"region": "US-WEST-1", "status": "running"}}, FLEET),
    ({"filters": {"region": ["US-WEST-1", "EU-WEST-1"], "os_type": "prod"}}, FLEET),
    ({"filters": {"status": "paused"}}, FLEET),
    ({"filters": {"status": ["running", "stopped"], "listed": False}}, EMPTY),
    ({"filters": {"region": "EU-WEST-1", "status": "exited"}}, FLEET),
    ({"filters": {"search": "web", "name": ["web-1", "web-2"]}}, FLEET),
    ({"filters": {"node": "metal-9"}}, FLEET),
    ({"filters": {"base_image": "dev"}, "api_version": "2025-10-28", "gateway_domain": "gw.example.org"}, FLEET),
    ({"include_filters": [{"app": "web"}, {"team": "research"}]}, FLEET),
    ({"exclude_filters": [{"status": "stopped"}, {"node": "prod99"}, {"name": "old-machine"}]}, FLEET),
    ({"exclude_filters": [{"region": "us-west-1"}]}, FLEET),
    ({"host_filters": ["phala_vcpu >= 1", "phala_region is match('US-')"]}, FLEET),
    ({"hostnames": ["{{ name }}-{{ instance_id[:6] }}", "name"]}, NULLS),
    ({"hostnames": ["{{ app_name }}-{{ region | default('nowhere', true) | lower }}-{{ vm_uuid[:8] }}"]}, (*FLEET, *NULLS)),
    ({"compose": {"size": "phala_memory", "nothing": "phala_kms_slug", "os": "phala_os.name"}}, (*FLEET, *NULLS)),
    ({"groups": {"dev": "phala_is_dev == true", "us": "(phala_region or '').startswith('US')"}}, (*FLEET, *NULLS)),
    ({"keyed_groups": [{"key": "phala_region", "prefix": "r"}, {"key": "phala_kms_slug"}]}, (*FLEET, *NULLS)),
    ({"group_by": ["region", "app", "team", "os_type", "listed"], "group_prefix": "cvm_"}, FLEET),
    ({"connect_with": "none", "compose": {"ansible_host": "phala_name ~ '.internal'"}}, (*FLEET, *NULLS)),
    ({**JSONFILE, "cache_stale": 3600, "filters": {"status": "paused"}}, FLEET),
    ({"strict": True, "compose": {"a": "phala_name"}, "keyed_groups": [{"key": "phala_status"}]}, FLEET),
]


@pytest.mark.parametrize(("options", "fleet"), CORRECT, ids=lambda value: str(value)[:60] if isinstance(value, dict) else "")
def test_correct_file_gives_no_message(
    options: dict[str, Any], fleet: Sequence[Any], simulator: Simulator, inventory: Callable[..., Loaded], tmp_path: Path
) -> None:
    simulator.fleet = fleet
    for _time in range(2):  # the second time from the cache, if there is one
        assert inventory({**options, "cache_connection": str(tmp_path / "cache")}).displayed == []


@pytest.mark.parametrize("verbosity", [0, 2])
def test_text_of_the_service_is_cut_wherever_it_is(verbosity: int, simulator: Simulator, attempt: Callable[..., Loaded]) -> None:
    long = "x" * 2**20
    gone = Cvm(name=long, vm_uuid=f"{long}1", deleted_at="2026-03-01T00:00:00Z", extra={"deleted_at": long})
    simulator.fleet = (
        App(name=long, app_id=long, cvms=(gone,)),
        App(name=long, cvms=(Cvm(name=long, vm_uuid=f"{long}2", extra={f"{long}-{long}": 1}),)),
    )
    loaded = attempt({"host_filters": ["false"], "hostnames": ["vm_uuid"]}, verbosity=verbosity)
    assert loaded.displayed
    assert not loaded.failures
    assert max(map(len, loaded.displayed)) < 2000
