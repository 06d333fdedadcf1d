# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hosts are called: names that users chose, names that Ansible has other uses for, and names that are not unique."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator

from .fleets import FLEET, one_cvm

UUID = "9a8b7c6d-5e4f-4000-8000-000000000000"
DIGITS = "9a8b7c6d"
LONG = "x" * 300


def fleet_of(names: Iterable[str]) -> tuple[App, ...]:
    """Give a fleet of an app for each name; the first digits of the CVMs' vm_uuids count up from 1."""
    return tuple(
        App(name=f"app-{number}", cvms=(Cvm(name=name, vm_uuid=f"{number:08x}-0000-4000-8000-000000000000"),))
        for number, name in enumerate(names, start=1)
    )


def raw_names(loaded: Loaded) -> dict[str, Any]:
    return dict(sorted(loaded.values("phala_name").items()))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web-1.example_2", "web-1.example_2"),
        ("my web/1", "my-web-1"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "caf-"),
        ("a\nb\x1b[0m", "a-b--0m"),
        ("-oProxyCommand=id", "oProxyCommand-id"),
        ("..hidden", "hidden"),
        ("web[1:9]", "web-1-9-"),
        ("~regex", "regex"),
        ("{{ 7 * 7 }}", "7---7---"),
        ("web,db", "web-db"),
        (LONG, LONG[:200]),
        ("LocalHost4", f"LocalHost4-{DIGITS}"),
        ("db.localhost", f"db.localhost-{DIGITS}"),
        ("0x7f000001", f"0x7f000001-{DIGITS}"),
        ("phala_gateway", f"phala_gateway-{DIGITS}"),
        ("localhost.example.org", "localhost.example.org"),
        ("localhost", f"localhost-{DIGITS}"),
        ("LOCALHOST", f"LOCALHOST-{DIGITS}"),
        ("all", f"all-{DIGITS}"),
        ("ungrouped", f"ungrouped-{DIGITS}"),
        ("_meta", f"_meta-{DIGITS}"),
        ("127.0.0.1", f"127.0.0.1-{DIGITS}"),
        ("127.8.8.8", f"127.8.8.8-{DIGITS}"),
        ("phala", f"phala-{DIGITS}"),
        ("status_running", f"status_running-{DIGITS}"),
        ("node_prod7", f"node_prod7-{DIGITS}"),
        ("status_stopped", "status_stopped"),  # no such group here
    ],
)
def test_name_of_a_cvm_becomes_a_safe_host_name(
    text: str, name: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(name=text, vm_uuid=UUID)
    loaded = inventory()
    assert loaded.values("phala_name") == {name: text}
    assert loaded.groups["phala"] == [name]


def test_cvm_without_any_name_is_called_by_what_identifies_it(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = (
        App(name="a", cvms=(Cvm(name="", instance_id="1c" * 20),)),
        App(name="b", cvms=(Cvm(name="\N{SNOWMAN}", instance_id=None, vm_uuid=UUID),)),
        App(name="c", app_id="cc" * 20, cvms=(Cvm(name="--", instance_id=None, vm_uuid=None),)),
    )
    assert sorted(inventory().hosts) == sorted(["1c" * 20, UUID, "cc" * 20])


def test_no_cvm_is_lost_when_hostnames_name_none(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = fleet_of(["", "web", " ", "..."])
    loaded = inventory({"hostnames": ["name"]})
    assert len(loaded.hosts) == 4
    assert len(loaded.groups["phala"]) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in loaded.hosts)
    assert loaded.hosts["web"]["phala_name"] == "web"


def test_every_cvm_that_would_share_a_name_gets_digits(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = fleet_of(["web", "web", "web!", "web?", "db"])
    loaded = inventory()
    assert raw_names(loaded) == {
        "db": "db",
        "web--00000003": "web!",
        "web--00000004": "web?",
        "web-00000001": "web",
        "web-00000002": "web",
    }
    (warning,) = loaded.warnings
    assert [name for name in loaded.hosts if name != "db" and name not in warning] == []


def test_digits_are_more_while_still_equal(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    uuids = [
        "9a8b7c6d-5e4f-4000-8000-000000000001",
        "9a8b7c6d-5e4e-4000-8000-000000000002",
        "00000000-5e4e-4000-8000-000000000003",
    ]
    simulator.fleet = (App(name="app", cvms=tuple(Cvm(name="web", vm_uuid=uuid) for uuid in uuids)),)
    assert sorted(inventory().hosts) == ["web-00000000", "web-9a8b7c6d5e4e", "web-9a8b7c6d5e4f"]


def test_instance_id_gives_the_digits_where_there_is_no_vm_uuid(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    cvms = tuple(Cvm(name="web", vm_uuid=None, instance_id=digit * 40) for digit in "ab")
    simulator.fleet = (App(name="app", cvms=cvms),)
    assert sorted(inventory().hosts) == ["web-aaaaaaaa", "web-bbbbbbbb"]


def test_name_with_digits_may_be_taken_too(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = fleet_of(["web", "web", "web-00000001"])
    loaded = inventory()
    assert len(loaded.hosts) == 3
    assert sorted(loaded.values("phala_name").values()) == ["web", "web", "web-00000001"]


@pytest.mark.parametrize(
    "constructed",
    [
        {"groups": {"web": "phala_status == 'running'"}},
        {"keyed_groups": [{"key": "phala_app.name", "prefix": "", "separator": ""}]},
        {"keyed_groups": [{"key": "phala_status", "parent_group": "web"}]},
    ],
    ids=["groups", "keyed_groups", "parent_group"],
)
def test_name_of_a_constructed_group_is_taken(
    constructed: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = (App(name="web", cvms=(Cvm(name="web", vm_uuid=UUID), Cvm(name="db"))),)
    loaded = inventory(constructed)
    assert sorted(loaded.hosts) == ["db", f"web-{DIGITS}"]
    assert "web" in loaded.groups


def test_name_of_a_group_of_an_earlier_source_is_taken(
    simulator: Simulator, write: Callable[..., Any], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(name="databases", vm_uuid=UUID)
    loaded = load_all(write("[databases]\ndb ansible_host=db.example.org\n", name="hosts.ini"), write())
    assert sorted(loaded.hosts) == [f"databases-{DIGITS}", "db"]
    assert loaded.groups["databases"] == ["db"]


@pytest.mark.parametrize("expression", ["inventory_hostname", "phala_name ~ '-' ~ inventory_hostname[-8:]"])
@pytest.mark.usefixtures("impatience")
def test_group_that_follows_the_host_name_ends(expression: str, simulator: Simulator, attempt: Callable[..., Loaded]) -> None:
    # Under whatever name, the host has a group of that name: this cannot be had, and must not be tried for ever.
    simulator.fleet = one_cvm(name="web", vm_uuid=UUID)
    loaded = attempt({"keyed_groups": [{"key": expression, "prefix": "", "separator": ""}]})
    assert loaded.failures or not set(loaded.hosts) & set(loaded.groups)


def test_names_and_groups_do_not_depend_on_the_order(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    names = ["web", "web", "web-00000001", "all", "phala", "db", "db!", "db?", "", "", "localhost", "status_running", "running"]
    fleet = fleet_of(names)
    options = {"keyed_groups": [{"key": "phala_status", "prefix": "", "separator": ""}], "page_size": 3}
    simulator.fleet = fleet
    expected = inventory(options)
    assert len(expected.hosts) == len(names)
    assert sorted(expected.values("phala_name").values()) == sorted(names)
    for seed in range(4):
        simulator.fleet = random.Random(seed).sample(fleet, len(fleet))
        loaded = inventory(options)
        assert list(loaded.hosts.items()) == list(expected.hosts.items())
        assert list(loaded.groups.items()) == list(expected.groups.items())
        assert loaded.warnings == expected.warnings


# The option hostnames


@pytest.mark.parametrize(
    ("hostnames", "name"),
    [
        (["instance_id"], "1c" * 20),
        (["phala_vm_uuid"], UUID),
        (["node_id"], "7"),
        (["kms_slug", "region"], "US-WEST-1"),
        (["is_dev", "app", "app_name"], "app"),
        (["{{ name }}.{{ region | lower }}"], "solo.us-west-1"),
        (["{{ phala_name }}.{{ phala_region | lower }}"], "solo.us-west-1"),
        (["{{ app.name }}_{{ resource.vcpu }}"], "app_1"),
        (["{{ nothing }}", "name"], "solo"),
        (["{{ kms_slug }}", "name"], "solo"),
        (["{% if is_dev %}dev{% endif %}", "name"], "solo"),
        (["{# none #}", "name"], "solo"),
        (["{{ name }}-{{ nothing.at.all }}", "node"], "prod7"),
        (["{{ '' }}", "{{ ' - ' }}", "name"], "solo"),
        (["{{ nothing | default('x') }}"], "x"),
        (["{{ kms_slug or name }}"], "solo"),
        (["{% if is_dev %}dev{% else %}prod{% endif %}-{{ name }}"], "prod-solo"),
        ("{{ name }},{{ node }}", "solo-prod7"),
    ],
    ids=str,
)
def test_first_entry_that_gives_a_name_counts(
    hostnames: Any, name: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(instance_id="1c" * 20, vm_uuid=UUID)
    assert list(inventory({"hostnames": hostnames}).hosts) == [name]


def test_templates_see_variables_with_and_without_prefix_and_suffix(
    simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm()
    options = {"hostvars_prefix": "x_", "hostvars_suffix": "_y", "hostnames": ["{{ x_name_y }}-{{ name }}"]}
    assert list(inventory(options).hosts) == ["solo-solo"]
    assert list(inventory({**options, "hostnames": ["x_node_y"]}).hosts) == ["prod7"]
    assert list(inventory({**options, "hostnames": ["node"]}).hosts) == ["prod7"]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ nothing }}", ["'nothing' is undefined"]),
        ("{{ 1 / 0 }}", ["division by zero"]),
        ("{{ name | nofilter }}", ["nofilter"]),
    ],
)
def test_template_that_fails_under_strict_fails_the_source(
    template: str, words: list[str], simulator: Simulator, refusal: Callable[..., str]
) -> None:
    simulator.fleet = FLEET
    reason = refusal({"hostnames": [template, "name"], "strict": True})
    assert [word for word in ["hostnames", template, *words] if word not in reason] == []


def test_template_that_does_not_parse_fails_the_source(simulator: Simulator, refusal: Callable[..., str]) -> None:
    simulator.fleet = FLEET
    reason = refusal({"hostnames": ["{{ name", "name"]})
    assert "hostnames" in reason
    assert "{{ name" in reason


def test_text_of_the_api_is_not_run_in_a_name(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm(name="{{ 7 * 7 }}")
    assert list(inventory({"hostnames": ["{{ name }}"]}).hosts) == ["7---7---"]
    assert list(inventory({"hostnames": ["{{ name ~ '' }}"]}).hosts) == ["7---7---"]
