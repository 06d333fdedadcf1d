# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results of expressions keep their type, on every ansible-core and with Jinja's native types."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from ansible import constants

from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator

from .fleets import one_cvm

NAMES = ["True", "false", "123", "1.5", "[1, 2]", "{'a': 1}", "null", "None", "0x1f", '"quoted"', "a\\nb"]


@pytest.mark.parametrize("native", [False, True])
def test_text_of_the_service_stays_text(
    native: bool, simulator: Simulator, inventory: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DEFAULT_JINJA2_NATIVE", native)
    apps = enumerate(NAMES)
    simulator.fleet = tuple(App(name=name, cvms=(Cvm(name=f"h{number:02}"),)) for number, name in apps)
    compose = {"label": "phala_app_name", "longer": "phala_app_name ~ ''"}
    loaded = inventory({"keyed_groups": [{"key": "phala_app_name", "prefix": "app"}], "group_by": [], "compose": compose})
    for variable in compose:
        assert [value for _host, value in sorted(loaded.values(variable).items())] == NAMES
    groups = {"app_" + re.sub("[^A-Za-z0-9_]", "_", name): [f"h{number:02}"] for number, name in enumerate(NAMES)}
    assert loaded.groups == {"phala": sorted(loaded.hosts), **groups}


def test_keyed_groups_over_numbers_and_booleans(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm()
    keys = [
        "phala_vcpu",
        "phala_vcpu * 0",
        "phala_is_dev",
        "phala_vcpu == 1",
        "phala_memory / 1024",
        "[phala_vcpu, phala_is_dev]",
    ]
    none = ["phala_nothing", "phala_kms_slug"]
    keyed = [{"key": key, "prefix": f"k{number}"} for number, key in enumerate([*keys, *none])]
    loaded = inventory({"keyed_groups": keyed, "group_by": []})
    expected = ["k0_1", "k1_0", "k2_False", "k3_True", "k4_2_0", "k5_1", "k5_False"]
    assert sorted(loaded.groups) == sorted(["phala", *expected])


def test_null_key_gives_the_default_group_on_every_core(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm()
    keys = ["phala_kms_slug", "phala_kms_slug or none", "''"]
    keyed = [{"key": key, "prefix": f"k{number}", "default_value": "other"} for number, key in enumerate(keys)]
    loaded = inventory({"keyed_groups": keyed, "group_by": []})
    assert sorted(loaded.groups) == ["k0_other", "k1_other", "k2_other", "phala"]


def test_composed_values_have_the_same_type_on_every_core(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm()
    compose = {"half": "phala_memory / 4096", "count": "phala_vcpu + 1", "dev": "phala_is_dev", "pair": "(phala_vcpu, 'x')"}
    hosts = inventory({"compose": compose}).hosts
    composed: dict[str, Any] = {name: hosts["solo"][name] for name in compose}
    assert composed == {"half": 0.5, "count": 2, "dev": False, "pair": [1, "x"]}


@pytest.mark.parametrize(
    ("hostnames", "names"),
    [
        (["{{ name }}-{{ instance_id[:6] }}", "name"], ["a-1c1c1c", "b"]),
        (["{{ 1 / 0 }}", "name"], ["a", "b"]),
        (["{{ name | no_such_filter }}", "name"], ["a", "b"]),
        (["{{ name }}\n"], ["a", "b"]),
        (["{{ site }}-{{ name }}"], ["here-a", "here-b"]),
        (["{{ region }}-{{ name }}"], ["US-WEST-1-a", "US-WEST-1-b"]),
    ],
    ids=str,
)
def test_hostnames_go_on_with_the_next_entry_for_a_host_for_which_one_fails(
    hostnames: list[str], names: list[str], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = (App(name="web", cvms=(Cvm(name="a", instance_id="1c" * 20), Cvm(name="b", instance_id=None))),)
    loaded = inventory({"hostnames": hostnames}, extra_vars={"site": "here", "region": "elsewhere"})
    assert sorted(loaded.hosts) == names
