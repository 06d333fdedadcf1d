# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, groups and connections of a source beside others: no play reaches a host that another source means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.loading import Loaded, load
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator

from .fleets import one_cvm

UUIDS = [f"{digit * 8}-0000-4000-8000-000000000000" for digit in "1234"]
OTHER: dict[str, Any] = {"api_key": "phak_other", "group": "others", "group_prefix": "other_"}


@pytest.mark.parametrize(
    "options", [{"hostvars_prefix": "cvm_"}, {"hostvars_suffix": "_x"}, {"hostvars_prefix": ""}, {}], ids=str
)
@pytest.mark.parametrize("uuids", [UUIDS[:2], [None, None]], ids=["vm_uuid", "null"])
def test_cvms_of_two_accounts_are_two_hosts_whatever_the_prefix(
    options: dict[str, Any],
    uuids: list[str | None],
    simulator: Simulator,
    write: Callable[..., Path],
    load_all: Callable[..., Loaded],
) -> None:
    simulator.fleet = one_cvm(name="web", vm_uuid=uuids[0], instance_id="1a" * 20)
    simulator.add_account("phak_other", one_cvm(name="web", vm_uuid=uuids[1], instance_id="2b" * 20))
    loaded = load_all(write(), write({**OTHER, **options}, name="other.phala.yml"))
    digits = (uuids[1] or "2b" * 20)[:8]
    assert loaded.gateways == {"phala_gateway": ["web"], "others_gateway": [f"web-{digits}"]}
    assert loaded.values("ansible_host").keys() == {"web", f"web-{digits}"}
    (warning,) = [text for text in loaded.warnings if "Renamed hosts" in text]
    assert f"web -> web-{digits}. A host of another source has the plain name" in warning


@pytest.mark.parametrize("options", [{"hostvars_prefix": "cvm_"}, {"hostnames": ["instance_id"]}, {"group": "webs"}], ids=str)
def test_cvm_of_two_files_is_one_host(
    options: dict[str, Any], simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(name="web", vm_uuid=UUIDS[0])
    loaded = load_all(write(), write(options, name="other.phala.yml"))
    assert list(loaded.hosts) == ["web"]
    assert loaded.gateways == {"phala_gateway": ["web"]}
    assert loaded.warnings == []


@pytest.mark.parametrize(
    "options",
    [{"ssh_port": 2222}, {"ssh_user": "deploy"}, {"connect_with": "none"}, {"compose": {"ansible_host": "'vpn'"}}],
    ids=str,
)
def test_cvm_of_two_files_keeps_its_first_connection(
    options: dict[str, Any], simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(name="web", vm_uuid=UUIDS[0], gateway_domain="gw.org:8443")
    first, second = write(), write({**options, "group": "others"}, name="other.phala.yml")
    alone = load_all(first)
    loaded = load_all(first, second)
    for variable in ("ansible_host", "ansible_port", "ansible_ssh_common_args"):
        assert loaded.values(variable) == alone.values(variable)
    assert loaded.gateways == alone.gateways
    (warning,) = loaded.warnings
    assert [word for word in (str(first), str(second), "web") if word not in warning] == []


@pytest.mark.parametrize(
    "options", [{"gateway_validate_certs": False}, {"ssh_user": "deploy"}, {"ssh_user": ""}, {"gateway_port": 99}], ids=str
)
def test_sources_with_different_connections_need_different_groups(
    options: dict[str, Any], simulator: Simulator, write: Callable[..., Path]
) -> None:
    simulator.fleet = one_cvm(name="web")
    simulator.add_account("phak_other", one_cvm(name="lab", vm_uuid=UUIDS[1], instance_id="2b" * 20))
    first, second = write(), write({"api_key": "phak_other", **options}, name="other.phala.yml")
    loaded = load([first, second])
    assert list(loaded.hosts) == ["web"]
    assert [word for word in (str(first), str(second), "group") if word not in loaded.failures[0]] == []
    second = write({"api_key": "phak_other", "group": "labs", **options}, name="other.phala.yml")
    loaded = load([first, second])
    assert loaded.gateways == {"phala_gateway": ["web"], "labs_gateway": ["lab"]}
    assert loaded.failures == []


def test_sources_with_one_connection_share_the_gateway_group(
    simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(name="web")
    simulator.add_account("phak_other", one_cvm(name="lab", vm_uuid=UUIDS[1], instance_id="2b" * 20))
    sources = [write(), write({"api_key": "phak_other"}, name="other.phala.yml")]
    for order in (sources, sources[::-1]):
        assert load_all(*order).gateways == {"phala_gateway": ["lab", "web"]}


def test_source_without_connection_gets_none_of_another(
    simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(name="web")
    simulator.add_account("phak_other", one_cvm(name="lab", vm_uuid=UUIDS[1], instance_id="2b" * 20))
    loaded = load_all(write(), write({"api_key": "phak_other", "connect_with": "none"}, name="other.phala.yml"))
    variables = loaded.manager.hosts["lab"].get_vars()
    assert not [name for name in variables if name in ("ansible_host", "ansible_port", "ansible_ssh_common_args")]


@pytest.mark.parametrize(
    "first",
    [
        "[phala_gateway]\nmachine\n",
        "[phala_gateway]\n[phala_gateway:vars]\nansible_port=22\n",
        "[phala_gateway:children]\nx\n[x]\nm\n",
    ],
)
def test_gateway_group_is_not_shared_with_a_static_source(first: str, simulator: Simulator, write: Callable[..., Path]) -> None:
    simulator.fleet = one_cvm()
    loaded = load([write(first, name="hosts"), write()])
    assert "'phala_gateway'" in loaded.failures[0]
    assert "solo" not in loaded.hosts


@pytest.mark.parametrize("first", ["[phala_gateway]\n[prod:children]\nphala_gateway\n", "[phala_gateway]\nsolo\n"])
def test_static_source_may_name_the_gateway_group(
    first: str, simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm()
    loaded = load_all(write(first, name="hosts"), write())
    assert loaded.gateways == {"phala_gateway": ["solo"]}
    assert loaded.warnings == []


def test_group_may_not_be_the_gateway_group_of_another_file(simulator: Simulator, write: Callable[..., Path]) -> None:
    simulator.fleet = one_cvm()
    first, second = write(), write({"group": "phala_gateway"}, name="other.phala.yml")
    loaded = load([first, second])
    assert [word for word in ("group", str(first), str(second)) if word not in loaded.failures[0]] == []


# Hosts of other kinds of sources


@pytest.mark.parametrize(
    ("static", "warns"),
    [
        ("[prod]\nweb role=database\n", False),
        ("[prod]\nweb ansible_host=192.0.2.7\n", True),
        ("[prod]\nweb ansible_port=22\n", True),
        ("[prod]\nweb ansible_connection=local\n", True),
        ("[prod]\nother ansible_host=192.0.2.7\n", False),
    ],
)
def test_cvm_that_takes_over_a_host_with_its_own_connection_is_reported(
    static: str, warns: bool, simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(name="web")
    sources = [write(static, name="hosts"), write()]
    warnings = load_all(*sources).warnings
    assert (len(warnings) == 1 and "take over" in warnings[0] and warnings[0].count("web") == 1) == warns
    assert bool(warnings) == warns
    assert load_all(sources[0], write({"connect_with": "none"})).warnings == []


def test_host_of_another_source_that_is_not_a_cvm_of_its_name_is_reported(
    simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = (App(name="db", cvms=(Cvm(name="db1", vm_uuid=UUIDS[0]), Cvm(name="db1", vm_uuid=UUIDS[1]))),)
    loaded = load_all(write("[databases]\ndb1\n", name="hosts"), write())
    assert sorted(loaded.hosts) == ["db1", "db1-11111111", "db1-22222222"]
    (warning,) = loaded.warnings
    assert "db1 is not db1-11111111, db1-22222222" in warning


@pytest.mark.parametrize(
    "options",
    [
        {"keyed_groups": [{"key": "phala_app_name", "prefix": "", "separator": ""}]},
        {"keyed_groups": [{"key": "phala_status", "prefix": "", "separator": "", "parent_group": "{{ phala_app_name }}"}]},
    ],
    ids=["key", "parent_group"],
)
@pytest.mark.parametrize("name", ["localhost", "LocalHost4", "ungrouped", "_meta", "phala_gateway", "machine"])
def test_group_that_the_service_names_never_gets_a_reserved_name(
    name: str, options: dict[str, Any], simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = (App(name=name, cvms=(Cvm(name="b"),)),)
    loaded = load_all(write("machine ansible_host=192.0.2.7\n", name="hosts"), write({**options, "group_by": []}))
    groups = {group.name for group in loaded.manager.hosts["b"].get_groups()}
    assert f"{name}_group" in groups
    assert name not in groups or name == "phala_gateway"
    (warning,) = [text for text in loaded.warnings if "Renamed groups" in text]
    assert f"{name} -> {name}_group" in warning


def test_group_that_the_service_calls_all_is_renamed_and_a_parent_may_be_all(
    simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = (App(name="all", cvms=(Cvm(name="b"),)),)
    loaded = inventory({"keyed_groups": [{"key": "phala_app_name", "prefix": "", "separator": "", "parent_group": "all"}]})
    assert loaded.groups["all_group"] == ["b"]


def test_cvm_keeps_the_name_by_which_another_source_lists_it(
    simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = (App(name="web", cvms=(Cvm(name="web"),)),)
    options = {"keyed_groups": [{"key": "phala_app_name", "prefix": "", "separator": ""}]}
    loaded = load_all(write("[prod]\nweb\n", name="hosts"), write(options))
    assert list(loaded.hosts) == ["web"]
    assert (loaded.groups["prod"], loaded.groups["web_group"]) == (["web"], ["web"])


def test_second_parse_gives_the_same_names(
    simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.fleet = (App(name="web", cvms=(Cvm(name="web", vm_uuid=UUIDS[0]), Cvm(name="db", vm_uuid=UUIDS[1]))),)
    simulator.add_account("phak_other", (App(name="db", cvms=(Cvm(name="web", vm_uuid=UUIDS[2], instance_id="2b" * 20),)),))
    keyed = {"keyed_groups": [{"key": "phala_app_name", "prefix": "", "separator": ""}]}
    first = write({"group_by": []})
    loaded = load_all(write("[x]\ndb\n", name="hosts"), first, write({**OTHER, **keyed}, name="other.phala.yml"))
    before = (loaded.hosts, loaded.groups, loaded.gateways)
    loaded.manager.parse_source(str(first))
    assert (loaded.hosts, loaded.groups, loaded.gateways) == before
    loaded.manager.refresh_inventory()
    assert (loaded.hosts, loaded.groups, loaded.gateways) == before
