# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which variables a host gets, under which names, and that no text of the API is ever a template."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.phala.cloud.tests.commands import Completed
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import (
    FLAT,
    NESTED,
    App,
    Cvm,
    Profile,
    Simulator,
    live_cvms,
    make_fleet,
    render,
)
from ansible_collections.phala.cloud.tests.simulator.faults import Replace
from ansible_collections.phala.cloud.tests.simulator.shapes import ShapeName

from .fleets import FLEET, one_cvm

try:
    from ansible.template import trust_as_template
except ImportError:  # before 2.19 every text is trusted

    def trust_as_template(value: str) -> str:
        return value


FLAT_VERSION = "2025-10-28"
CORE = (
    "name", "vm_uuid", "instance_id", "app_id", "status", "region", "node", "node_id", "base_image", "is_dev", "vcpu", "memory",
    "disk_size", "gpu_count", "instance_type", "kms_type", "kms_slug", "kms_id", "listed", "updated_at", "gateway_domain",
    "team_slug", "team_name", "app_name", "is_current", "app",
)  # fmt: skip
FLAT_ONLY = ("kms_slug", "kms_id", "updated_at")  # the nested shape does not tell them
NESTED_ONLY = ("gateway_domain",)


def test_core_variables_are_equal_for_both_shapes(inventory: Callable[..., Loaded], simulator: Simulator) -> None:
    simulator.fleet = FLEET
    flat, nested = inventory({"api_version": FLAT_VERSION}).hosts, inventory().hosts
    assert set(flat) == set(nested)
    for name, variables in flat.items():
        both = {key: (variables[f"phala_{key}"], nested[name][f"phala_{key}"]) for key in CORE if key != "app"}
        differing = {key for key, (one, other) in both.items() if (one, type(one)) != (other, type(other))}
        assert differing == {*FLAT_ONLY, *NESTED_ONLY}
        assert [both[key][1] for key in FLAT_ONLY] == [None] * len(FLAT_ONLY)
        assert [both[key][0] for key in NESTED_ONLY] == [None]
        team = {"team_slug": variables["phala_team_slug"], "team_name": variables["phala_team_name"]}
        assert variables["phala_app"] == {**nested[name]["phala_app"], **team}


def test_shape_is_read_from_the_answer_and_not_from_the_version(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = FLEET
    flat, nested = inventory({"api_version": FLAT_VERSION}).hosts, inventory().hosts
    simulator.ignore_version = "flat"
    assert inventory().hosts == flat
    simulator.ignore_version = "nested"
    assert inventory({"api_version": FLAT_VERSION}).hosts == nested


@pytest.mark.parametrize("version", ["2026-01-21", "2027-12-31"])
def test_version_is_sent_as_a_header(version: str, simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    inventory({"api_version": version})
    assert {request.headers["x-phala-version"] for request in simulator.requests} == {version}


def test_app_is_its_metadata_without_lists_of_cvms(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    app = App(
        name="shop",
        id="prj_1",
        app_id="5a" * 20,
        cvms=(Cvm(name="solo"),),
        app_icon_url="https://example.org/i.png",
        app_provision_type="onchain",
        profile=Profile(display_name="Shop"),
        extra={"tomorrow": {"a": [1, None]}},
    )
    simulator.fleet = (app,)
    assert inventory().hosts["solo"]["phala_app"] == {
        "id": "prj_1",
        "name": "shop",
        "app_id": "5a" * 20,
        "created_at": "2026-01-15T07:00:00Z",
        "kms_type": "phala",
        "app_provision_type": "onchain",
        "app_icon_url": "https://example.org/i.png",
        "profile": {"display_name": "Shop", "avatar_url": None, "description": None, "custom_domain": None},
        "cvm_count": 1,
        "tomorrow": {"a": [1, None]},
    }


JSON_VALUES = {
    "text": "1",
    "number": 1,
    "fraction": 1.0,
    "truth": True,
    "nothing": None,
    "list": [1, "a", [False]],
    "object": {"a": {"b": 1.5}},
    "empty": {},
    "big": 2**64 - 1,
}


def test_new_fields_come_through_with_their_json_types(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm(extra={f"new_{name}": value for name, value in JSON_VALUES.items()})
    variables = inventory().hosts["solo"]
    assert json.dumps({name: variables[f"phala_new_{name}"] for name in JSON_VALUES}) == json.dumps(JSON_VALUES)


def test_core_variable_goes_before_a_field_of_its_name(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm(extra={"node": {"new": 1}, "app": "x", "is_dev": "maybe", "memory": "much"})
    variables = inventory().hosts["solo"]
    assert [variables[f"phala_{name}"] for name in ("node", "is_dev", "memory")] == ["prod7", False, 2048]
    assert variables["phala_app"]["name"] == "app"


@pytest.mark.parametrize(("prefix", "suffix"), [("phala_", ""), ("cvm_", ""), ("", "_v"), ("", ""), ("a", "b"), ("_", "9")])
def test_prefix_and_suffix_are_put_around_every_name(
    prefix: str, suffix: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(extra={"tomorrow": 1})
    loaded = inventory({"hostvars_prefix": prefix, "hostvars_suffix": suffix})
    names = set(loaded.hosts["solo"])
    assert {f"{prefix}{name}{suffix}" for name in (*CORE, "tomorrow", "resource")} <= names
    assert {name for name in names if not (name.startswith(prefix) and name.endswith(suffix))} <= {"ansible_host"}


UNSAFE_FIELDS = {
    "with-hyphen": 1,
    "with space": 1,
    "": 1,
    "1st": 1,
    "a.b": 1,
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}": 1,
    "{{ x }}": 1,
    "class": 1,
}


@pytest.mark.parametrize("prefix", ["phala_", "", "x"])
def test_field_whose_name_is_no_identifier_is_not_published(
    prefix: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(extra=UNSAFE_FIELDS)
    names = set(inventory({"hostvars_prefix": prefix}, verbosity=2).hosts["solo"])
    published = {f"{prefix}{name}" for name in UNSAFE_FIELDS} & names
    assert published == {f"{prefix}{name}" for name in UNSAFE_FIELDS if f"{prefix}{name}".isidentifier() and prefix} - {
        f"{prefix}caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    }


def test_field_that_is_not_published_is_noted(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm(extra={"with-hyphen": 1})
    (line,) = [line for line in inventory(verbosity=2).displayed if "with-hyphen" in line]
    assert "Left out fields" in line
    assert "'solo'" in line


@pytest.mark.parametrize(
    ("prefix", "suffix", "field"),
    [
        ("", "", "ansible_host"),
        ("", "", "ansible_connection"),
        ("", "", "ansible_"),
        ("a", "", "nsible_host"),
        ("ansible", "", "_host"),
        ("", "_host", "ansible"),
        ("", "", "inventory_hostname"),
        ("", "", "group_names"),
        ("", "", "hostvars"),
        ("", "", "omit"),
    ],
)
def test_field_that_would_be_one_of_ansibles_own_variables_is_not_published(
    prefix: str, suffix: str, field: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(extra={field: "evil"})
    loaded = inventory({"hostvars_prefix": prefix, "hostvars_suffix": suffix, "connect_with": "none"})
    assert f"{prefix}{field}{suffix}" not in loaded.hosts["solo"]
    assert "evil" not in loaded.hosts["solo"].values()


def test_value_nested_too_deeply_is_left_out_with_a_warning(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    deep: Any = 1
    for _level in range(100):
        deep = [deep]
    simulator.fleet = one_cvm(extra={"deep": deep, "flat": [1]})
    loaded = inventory()
    assert "phala_deep" not in loaded.hosts["solo"]
    assert loaded.hosts["solo"]["phala_flat"] == [1]
    (warning,) = loaded.warnings
    assert "deep" in warning
    assert "'solo'" in warning


# Fields that may be absent


REQUIRED = ("id", "name", "app_id", "created_at", "kms_type", "cvms", "cvm_count", "status", "resource", "gateway")
FLAT_REQUIRED = ("vcpu", "memory", "disk_size", "teepod_id", "teepod_name", "status", "app_id")


def without(record: dict[str, Any], name: str, *, null: bool) -> dict[str, Any]:
    return {key: None if key == name else value for key, value in record.items() if null or key != name}


def incomplete_apps(shape: ShapeName) -> list[dict[str, Any]]:
    """Return apps of one CVM, of which each lacks a field of its own or shows it as null."""
    apps: list[dict[str, Any]] = []

    def make_next() -> tuple[dict[str, Any], dict[str, Any]]:
        app = App(name=f"app-{len(apps)}", cvms=(Cvm(name=f"cvm-{len(apps)}"),), profile=Profile())
        raw = render(app, shape)
        return {**raw, "current_cvm": None}, raw["cvms"][0]

    whole = render(App(name="x", cvms=(Cvm(name="x"),), profile=Profile()), shape)
    for null in (True, False):
        for name in whole.keys() - REQUIRED:
            apps.append(without(make_next()[0], name, null=null))
        for name, value in whole["cvms"][0].items():
            required = (*REQUIRED, *FLAT_REQUIRED) if shape == FLAT else REQUIRED
            if name not in required:
                app, cvm = make_next()
                apps.append({**app, "cvms": [without(cvm, name, null=null)]})
            for inner in value if isinstance(value, dict) else ():
                app, cvm = make_next()
                apps.append({**app, "cvms": [{**cvm, name: without(cvm[name], inner, null=null)}]})
    return apps


@pytest.mark.parametrize("shape", [FLAT, NESTED])
def test_any_field_that_is_not_required_may_be_null_or_missing(
    shape: ShapeName, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = incomplete_apps(shape)
    loaded = inventory()
    assert len(simulator.fleet) >= 40
    assert len(loaded.hosts) == len(loaded.groups["phala"]) == len(simulator.fleet)
    assert {len({f"phala_{name}" for name in CORE} - set(variables)) for variables in loaded.hosts.values()} == {0}
    assert loaded.warnings == []


@pytest.mark.parametrize("version", [FLAT_VERSION, "2026-01-21"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_cvm_of_a_fleet_of_all_kinds_is_a_host(
    seed: int, version: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = make_fleet(seed, 150)
    loaded = inventory({"api_version": version, "page_size": 20})
    live = [cvm for _app, cvm in live_cvms(tuple(simulator.fleet))]
    shown = sorted(cvm.name for cvm in live if version != FLAT_VERSION or cvm.vm_uuid or cvm.instance_id)
    assert sorted(loaded.values("phala_name").values()) == shown
    assert len(loaded.groups["phala"]) == len(shown) > 130


# Trust


TEMPLATES = {
    "expression": "{{ 7 * 7 }}",
    "statement": "{% if 1 %}ran{% endif %}",
    "comment": "{# x #}text",
    "lookup": "{{ lookup('pipe', 'id') }}",
    "header": "#jinja2:variable_start_string:'[%', variable_end_string:'%]'\n[% 7 * 7 %]",
    "spaced_header": " \t#JINJA2: variable_start_string:'[%', variable_end_string:'%]'\n[% 7 * 7 %]",
    "brace": "}",
}
HARMLESS = {"plain": "web-1", "percent": "100% $x %h", "hash": "# jinja2", "umlaut": "\N{LATIN SMALL LETTER U WITH DIAERESIS}"}


def run_as_template(value: Any, variables: dict[str, Any]) -> Any:
    """Let ansible-core resolve a value."""
    return Templar(loader=DataLoader(), variables=variables).template(value)


@pytest.mark.parametrize("version", [FLAT_VERSION, "2026-01-21"])
def test_text_of_the_api_is_never_run(version: str, simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    texts = {**TEMPLATES, **HARMLESS}
    app = App(
        name=TEMPLATES["expression"], cvms=(Cvm(name="solo", extra=texts),), extra={"tomorrow": {"texts": list(texts.values())}}
    )
    simulator.fleet = (app,)
    variables = inventory({"api_version": version}).hosts["solo"]
    for name, text in texts.items():
        assert run_as_template(variables[f"phala_{name}"], variables) == text
    joined = trust_as_template("{{ phala_expression ~ phala_app_name }}")
    assert run_as_template(joined, variables) == TEMPLATES["expression"] * 2
    assert [run_as_template(text, variables) for text in variables["phala_app"]["tomorrow"]["texts"]] == list(texts.values())


def test_only_text_that_might_be_a_template_is_printed_as_unsafe(
    simulator: Simulator, ansible_inventory: Callable[..., Completed]
) -> None:
    simulator.fleet = one_cvm(extra={**TEMPLATES, **HARMLESS})
    variables = ansible_inventory({}, "--list").json["_meta"]["hostvars"]["solo"]
    printed = {name: variables[f"phala_{name}"] for name in (*TEMPLATES, *HARMLESS)}
    assert printed == {**{name: {"__ansible_unsafe": text} for name, text in TEMPLATES.items()}, **HARMLESS}


def test_commands_show_hostile_text_as_it_is(
    simulator: Simulator, write: Callable[..., Any], command: Callable[..., Completed], tmp_path: Any
) -> None:
    ran = tmp_path / "ran"
    hostile = f"{{{{ lookup('pipe', 'touch {ran}') }}}}"
    halves = {
        "one": "#jin",
        "two": f"ja2: variable_start_string:'[%', variable_end_string:'%]'\n[% lookup('pipe', 'touch {ran}') %]",
    }
    simulator.fleet = one_cvm(extra={"hostile": hostile, **halves}, region=hostile, node="[% x %]")
    options = {
        "compose": {"joined": "phala_one ~ phala_two", "both": "[phala_hostile, {'a': phala_hostile}]"},
        "keyed_groups": [{"key": "phala_region", "parent_group": "{{ phala_region }}"}],
        "hostnames": ["{{ name }}", "{{ region }}"],
    }
    write(options)
    shown = command(
        "ansible", "-i", "phala.yml", "all", "-m", "ansible.builtin.debug", "-a", "msg={{ [joined, both, phala_hostile] }}"
    )
    assert shown.status == 0, shown.stdout + shown.stderr
    assert "[% lookup(" in shown.stdout
    assert shown.stdout.count("{{ lookup(") == 3
    assert not ran.exists()


def test_lone_surrogates_are_replaced(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm(name="solo")
    simulator.misbehave(Replace("dstack_apps.*.cvms.*.status", "run\ud800ning"))
    hosts = inventory().hosts
    assert list(hosts) == ["solo"]
    assert "\ud800" not in hosts["solo"]["phala_status"]


@pytest.mark.parametrize("number", ["1e999", "-1e999", str(2**64), str(-(2**63) - 1)])
def test_number_that_fits_no_64_bit_type_is_null_with_a_warning(
    number: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    cvm = {"id": "cvm_1", "name": "solo", "status": "x", "huge": "HUGE"}
    apps = [{"id": "prj_1", "app_id": "a", "name": "a", "cvms": [cvm]}]
    page = {"dstack_apps": apps, "page": 1, "page_size": 100, "total": 1, "total_pages": 1}
    simulator.pages = [json.dumps(page).replace('"HUGE"', number).encode()]
    loaded = inventory()
    assert loaded.hosts["solo"]["phala_huge"] is None
    assert [warning for warning in loaded.warnings if "64" in warning]
