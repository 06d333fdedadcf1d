# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which CVMs filters, include_filters, exclude_filters and host_filters let in, and what the service is asked for them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import NESTED, App, Cvm, Simulator, live_cvms, make_fleet, render
from ansible_collections.phala.cloud.tests.simulator.faults import Status
from ansible_collections.phala.cloud.tests.simulator.selection import Filters, cvm_matches

from .fleets import API, FLEET, NAMES, WEB, queries

FLAT_VERSION = "2025-10-28"
FILTERS = frozenset(Filters.model_fields)
VERSIONS = (FLAT_VERSION, "2026-06-23")


@pytest.fixture(autouse=True)
def fleet(simulator: Simulator) -> None:
    simulator.fleet = FLEET


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("filters", "names", "asked"),
    [
        ({}, NAMES, [""]),
        ({"region": "US-WEST-1"}, ["web-1", "web-2"], ["region=US-WEST-1"]),
        ({"status": "stopped"}, ["web-2"], ["status=stopped"]),
        ({"status": ["stopped", "exited"]}, ["db", "web-2"], ["status=stopped status=exited"]),
        ({"status": ["stopped", "stopped"]}, ["web-2"], ["status=stopped"]),
        ({"region": ["US-WEST-1", "US-EAST-1"]}, ["api-1", "db", "web-1", "web-2"], ["region=US-EAST-1", "region=US-WEST-1"]),
        ({"region": ["US-WEST-1", "US-WEST-1"]}, ["web-1", "web-2"], ["region=US-WEST-1"]),
        (
            {"region": ["US-WEST-1", "EU-WEST-1"], "instance_type": ["tdx.small", "tdx.large"], "status": ["running", "stopped"]},
            ["api-2", "web-1", "web-2", "web-3"],
            [
                "instance_type=tdx.large region=EU-WEST-1 status=running status=stopped",
                "instance_type=tdx.large region=US-WEST-1 status=running status=stopped",
                "instance_type=tdx.small region=EU-WEST-1 status=running status=stopped",
                "instance_type=tdx.small region=US-WEST-1 status=running status=stopped",
            ],
        ),
        ({"region": "EU-WEST-1", "kms_type": "base"}, ["api-2"], ["kms_type=base region=EU-WEST-1"]),
        ({"instance_type": "tdx.xlarge"}, ["db"], ["instance_type=tdx.xlarge"]),
        ({"listed": True}, ["api-1", "web-2"], ["listed=true"]),
        ({"listed": "yes"}, ["api-1", "web-2"], ["listed=true"]),
        ({"listed": False}, ["api-2", "db", "web-1", "web-3"], ["listed=false"]),
        ({"listed": [True, False]}, NAMES, ["listed=false", "listed=true"]),
        ({"base_image": "dstack-0.5.5"}, ["api-2"], ["base_image=dstack-0.5.5"]),
        ({"base_image": "dev"}, ["web-3"], ["base_image=dev"]),
        ({"node": "prod12"}, ["api-2", "web-3"], ["node=prod12"]),
        ({"node": ["prod5", "prod9"]}, ["api-1", "db", "web-2"], ["node=prod5", "node=prod9"]),
        ({"search": "eb-2"}, ["web-1", "web-2", "web-3"], ["search=eb-2"]),
        ({"search": ["eb-2", "db"]}, ["db", "web-1", "web-2", "web-3"], ["search=db", "search=eb-2"]),
        ({"search": "web", "status": "stopped"}, ["web-2"], ["search=web status=stopped"]),
    ],
    ids=str,
)
def test_filters_choose_cvms(
    version: str,
    filters: dict[str, Any],
    names: list[str],
    asked: list[str],
    simulator: Simulator,
    inventory: Callable[..., Loaded],
) -> None:
    assert sorted(inventory({"filters": filters, "api_version": version}).hosts) == names
    assert queries(simulator) == asked


@pytest.mark.parametrize(("version", "names"), [(FLAT_VERSION, ["api-2"]), ("2026-06-23", ["api-1", "api-2"])])
def test_word_of_service_stands_for_a_kms_slug_that_the_shape_does_not_show(
    version: str, names: list[str], inventory: Callable[..., Loaded]
) -> None:
    assert sorted(inventory({"filters": {"kms_slug": "kms-base-prod12"}, "api_version": version}).hosts) == names


@pytest.mark.parametrize(
    ("version", "names"), [("2026-06-23", ["db"]), (FLAT_VERSION, [])], ids=["node is shown", "teepod is shown"]
)
def test_service_decides_for_a_node_that_it_knows_and_no_cvm_has(
    version: str, names: list[str], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    loaded = inventory({"filters": {"node": "METAL-9"}, "api_version": version})
    assert loaded.hosts == {}  # the stand-in compares letter case, and the plugin does not list what it did not return
    loaded = inventory({"filters": {"node": "metal-9"}, "api_version": version})
    assert sorted(loaded.hosts) == names
    assert bool(loaded.warnings) is not bool(names)
    assert simulator.requests[-1].path.endswith("/apps/filter-options")


def test_service_does_not_decide_for_a_node_of_a_cvm_or_without_filter_options(
    simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = (
        App(name="hidden", cvms=(Cvm(name="one", physical_node="metal-9"),)),
        App(name="shown", cvms=(Cvm(name="named", node="metal-9"), Cvm(name="beside"))),
    )
    assert sorted(inventory({"filters": {"node": "metal-9"}}).hosts) == ["named"]
    simulator.fleet = FLEET
    simulator.misbehave(Status(404), times=None, path="/apps/filter-options")
    assert inventory({"filters": {"node": "metal-9"}}).hosts == {}


def test_letter_case_does_not_matter(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.case_sensitive = False
    options = {"filters": {"region": "us-west-1", "status": "RUNNING"}, "exclude_filters": [{"node": "PROD5"}]}
    assert sorted(inventory(options).hosts) == ["web-1"]


def test_base_image_is_matched_by_the_slug_of_the_catalogue(inventory: Callable[..., Loaded]) -> None:
    slug = WEB.cvms[2].image_slug
    assert slug != WEB.cvms[2].base_image
    assert list(inventory({"filters": {"base_image": slug}}).hosts) == ["web-3"]


IGNORED_FILTERS = [
    ({"region": "MOON-1"}, "region: MOON-1 (they have 'EU-WEST-1', 'US-EAST-1', 'US-WEST-1')"),
    ({"kms_type": "legacy", "status": "running"}, "kms_type: legacy (they have 'base', 'phala')"),
    ({"base_image": "windows"}, "base_image: windows (they have 'dstack-0.5.5',"),
    ({"node": "moon", "listed": True}, "node: moon (they have 'prod12',"),
]


@pytest.mark.parametrize(("filters", "words"), IGNORED_FILTERS, ids=str)
def test_service_that_ignores_filters_does_not_list_the_fleet(
    filters: dict[str, Any], words: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.ignored_filters = FILTERS
    loaded = inventory({"filters": filters})
    assert loaded.hosts == {}
    (warning,) = loaded.warnings
    assert words in warning


def test_service_that_ignores_the_status_is_a_line_at_v(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.ignored_filters = FILTERS
    loaded = inventory({"filters": {"status": "paused"}}, verbosity=1)
    assert (loaded.hosts, loaded.warnings) == ({}, [])
    assert any("no CVM has the requested status" in line and "'web-1'" in line for line in loaded.displayed)


def test_service_decides_only_for_a_field_that_the_response_does_not_have(
    simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    web, api = (render(app, NESTED) for app in (WEB, API))
    for cvm in web["cvms"]:
        del cvm["node_info"]["region"]
    api["cvms"][0]["node_info"]["region"] = None
    simulator.fleet = (web, api)
    assert sorted(inventory({"filters": {"region": "EU-WEST-1"}}).hosts) == ["api-2", "web-1", "web-2", "web-3"]


def test_node_is_met_by_the_name_of_the_teepod_too(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    both, teepod, other = (
        Cvm(name="both"),
        Cvm(name="teepod", extra={"node_info": {"name": "metal-7"}}),
        Cvm(name="x", node="prod9"),
    )
    simulator.fleet = (App(name="app", cvms=(both, teepod, other)),)
    loaded = inventory({"filters": {"node": "prod7"}, "api_version": FLAT_VERSION})
    assert loaded.values("phala_node") == {"both": "prod7", "teepod": "metal-7"}


@pytest.mark.parametrize(
    ("options", "names", "asked"),
    [
        (
            {"include_filters": [{"region": "US-WEST-1"}, {"status": "exited"}]},
            ["db", "web-1", "web-2"],
            ["region=US-WEST-1", "status=exited"],
        ),
        (
            {"filters": {"status": "exited"}, "include_filters": [{"region": ["US-WEST-1", "EU-WEST-1"], "status": "running"}]},
            ["api-2", "db", "web-1", "web-3"],
            ["region=EU-WEST-1 status=running", "region=US-WEST-1 status=running", "status=exited"],
        ),
        ({"filters": {}, "include_filters": [{"status": "exited"}]}, ["db"], ["status=exited"]),
        ({"filters": {"status": "exited"}, "include_filters": [{"status": "exited"}]}, ["db"], ["status=exited"]),
    ],
    ids=str,
)
def test_include_filters_are_queries_of_their_own(
    options: dict[str, Any], names: list[str], asked: list[str], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    assert sorted(inventory(options).hosts) == names
    assert queries(simulator) == asked


def test_cvm_is_judged_by_the_query_that_returned_its_app(inventory: Callable[..., Loaded]) -> None:
    # The search finds the app 'api' only; web-3 is on the same node, and no query asked for it.
    options = {"include_filters": [{"search": "api", "node": "prod12"}, {"status": "stopped"}]}
    assert sorted(inventory(options).hosts) == ["api-2", "web-2"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("excludes", "names"),
    [
        ([{"region": "US-WEST-1"}], ["api-1", "api-2", "db", "web-3"]),
        ([{"region": ["US-WEST-1", "US-EAST-1"]}], ["api-2", "web-3"]),
        ([{"region": "US-WEST-1", "status": "stopped"}], ["api-1", "api-2", "db", "web-1", "web-3"]),
        ([{"region": "US-WEST-1"}, {"status": ["exited"]}], ["api-1", "api-2", "web-3"]),
        ([{"base_image": "dev"}], ["api-1", "api-2", "db", "web-1", "web-2"]),
        ([{"node": ["prod5", "prod7"]}], ["api-1", "api-2", "db", "web-3"]),
        ([{"node": "metal-9"}], NAMES),
        ([{"listed": True}], ["api-2", "db", "web-1", "web-3"]),
        ([{"kms_type": "base", "instance_type": "tdx.small"}], ["db", "web-1", "web-2", "web-3"]),
    ],
    ids=str,
)
def test_exclude_filters_leave_out_what_meets_a_whole_entry_and_ask_nothing(
    version: str, excludes: list[dict[str, Any]], names: list[str], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    assert sorted(inventory({"exclude_filters": excludes, "api_version": version}).hosts) == names
    assert queries(simulator) == [""]


def test_exclude_filters_decide_kms_slug_where_the_api_version_shows_it(inventory: Callable[..., Loaded]) -> None:
    options = {"exclude_filters": [{"kms_slug": ["kms-base-prod12", "kms-base-prod9"]}], "api_version": FLAT_VERSION}
    assert sorted(inventory(options).hosts) == ["db", "web-1", "web-2", "web-3"]


def test_exclusion_that_the_answer_does_not_decide_fails_the_source(simulator: Simulator, refusal: Callable[..., str]) -> None:
    simulator.ignore_version = "nested"
    reason = refusal({"exclude_filters": [{"kms_slug": "kms-base-prod9"}], "api_version": FLAT_VERSION})
    assert "exclude_filters[0].kms_slug cannot be decided" in reason
    assert f'api_version: "{FLAT_VERSION}"' in reason


def test_excluded_fleet_is_an_empty_group(inventory: Callable[..., Loaded]) -> None:
    loaded = inventory({"exclude_filters": [{"status": ["running", "stopped", "exited"]}]})
    assert (loaded.hosts, loaded.groups) == ({}, {"phala": []})


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        (["phala_status == 'stopped'"], ["web-2"]),
        (["phala_vcpu >= 4"], ["db", "web-2"]),
        (["phala_vcpu >= 4", "phala_listed"], ["web-2"]),
        (["phala_is_dev"], ["web-3"]),
        (["not phala_is_dev", "phala_region is match('EU-')"], ["api-2"]),
        (["phala_app.name in ['api', 'db']"], ["api-1", "api-2", "db"]),
        (["'web' in phala_name and phala_node_id > 5"], ["web-1", "web-3"]),
        ("phala_name in ['db', 'web-1']", ["db", "web-1"]),
        ([], NAMES),
    ],
    ids=str,
)
def test_host_filters_keep_a_host_when_all_hold(conditions: Any, names: list[str], inventory: Callable[..., Loaded]) -> None:
    assert sorted(inventory({"host_filters": conditions}).hosts) == names


def test_host_filters_see_variables_under_their_final_names(inventory: Callable[..., Loaded]) -> None:
    options = {"hostvars_prefix": "cvm_", "hostvars_suffix": "_v", "host_filters": ["cvm_name_v == 'db'"]}
    assert list(inventory(options).hosts) == ["db"]


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("phala_vcpu", "returned "),
        ("phala_name", "returned '"),
        ("phala_kms_slug", "returned None"),
        ("phala_services", "returned []"),
        ("'true'", "returned 'true'"),
        ("phala_nmae == 'db'", "'phala_nmae' is undefined"),
        ("phala_vcpu >", "host_filters: 'phala_vcpu >' failed"),
        ("phala_region > 3", "failed"),
        ("phala_vcpu / 0 > 1", "division by zero"),
        ("composed == 1", "'composed' is undefined"),
        ("inventory_hostname == 'db'", "'inventory_hostname' is undefined"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_host_filter_that_fails_or_gives_no_boolean_fails_the_source(
    condition: str, reason: str, *, strict: bool, refusal: Callable[..., str]
) -> None:
    said = refusal({"host_filters": ["phala_status != 'gone'", condition], "strict": strict, "compose": {"composed": "1"}})
    assert f"host_filters: {condition!r}" in said
    assert reason in said


def test_host_filters_are_decided_before_names(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = [API, App(name="api", app_id="b" * 40, cvms=(Cvm(name="api-1", status="stopped"),))]
    assert sorted(inventory({"host_filters": ["phala_status == 'running'"]}).hosts) == ["api-1", "api-2"]


VALUES: dict[str, list[Any]] = {
    "region": ["US-WEST-1", "US-EAST-1", "EU-WEST-1", "MOON-1"],
    "status": ["running", "stopped", "exited", "creating"],
    "node": ["prod5", "prod7", "prod9", "prod12", "h200-3"],
    "base_image": ["dstack-0.5.7", "dev", "0.5"],
    "instance_type": ["tdx.small", "tdx.medium", "h200.small"],
    "kms_type": ["phala", "base", "ethereum"],
    "listed": [True, False],
    "kms_slug": ["kms-phala-prod5", "kms-base-prod7", "kms-phala-prod9"],
}


def random_filters(choose: random.Random, version: str) -> dict[str, list[Any]]:
    """Choose up to three filters with up to three values each, of those that the shape shows."""
    shown = [name for name in VALUES if name != "kms_slug" or version == FLAT_VERSION]
    names = choose.sample(shown, choose.randint(1, 3))
    return {name: choose.sample(VALUES[name], min(len(VALUES[name]), choose.randint(1, 3))) for name in names}


def meets(cvm: Cvm, filters: dict[str, list[Any]]) -> bool:
    return all(any(cvm_matches(cvm, single(name, value)) for value in values) for name, values in filters.items())


def single(name: str, value: Any) -> Filters:
    return Filters.model_validate({name: [value] if name == "status" else value})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("seed", range(6))
def test_any_combination_lets_in_what_the_service_would_for_each_cvm(
    seed: int, version: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    fleet = make_fleet(seed, 60)
    simulator.fleet = fleet
    choose = random.Random(seed)
    includes = [random_filters(choose, version) for _entry in range(2)]
    excludes = [random_filters(choose, version) for _entry in range(2)]
    loaded = inventory(
        {
            "include_filters": includes,
            "exclude_filters": excludes,
            "hostnames": ["vm_uuid"],
            "api_version": version,
            "group_by": [],
        }
    )
    expected = sorted(
        cvm.vm_uuid
        for _app, cvm in live_cvms(fleet)
        if cvm.vm_uuid and any(meets(cvm, entry) for entry in includes) and not any(meets(cvm, entry) for entry in excludes)
    )
    assert sorted(name for name, uuid in loaded.values("phala_vm_uuid").items() if uuid) == expected
