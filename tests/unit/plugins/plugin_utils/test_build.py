# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""CVMs in, hosts and groups out; the user's expressions are functions."""

from __future__ import annotations

import gc
import signal
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from ansible.inventory.data import InventoryData

from ansible_collections.phala.cloud.plugins.plugin_utils._build import Built, NameConflictError, SmallFleetError, build
from ansible_collections.phala.cloud.plugins.plugin_utils._construct import Recorder
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES, Cvm, Filterable, Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._failures import Failure
from ansible_collections.phala.cloud.plugins.plugin_utils._gateway import GatewayGroupError
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._redaction import Mask
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import (
    Account,
    ApiSettings,
    CacheSettings,
    ConstructedSettings,
    GatewaySettings,
    Settings,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._sources import Listed, current_run

GATEWAY = GatewaySettings(None, 443, True, None, "/nowhere/openssl", (), 22, "root")
SETTINGS = Settings(
    path="phala.yml",
    accounts=(Account("", "https://a.example.org", "k", ""),),
    api=ApiSettings("2026-01-21", 30, 3, True, 100, 4),
    cache=CacheSettings(False, 0, 0),
    entries=(),
    queries=({},),
    excludes=(),
    min_hosts=0,
    host_filters=(),
    hostnames=("name",),
    prefix="phala_",
    suffix="",
    group="phala",
    group_by=(),
    group_prefix="",
    gateway=None,
    reach=GATEWAY,
    constructed=ConstructedSettings(False, {}, {}, []),
    mask=Mask(()),
    diagnostics=(),
)
SCOPE = ("https://a.example.org", "8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a")  # of the key k


class Expressions:
    """Decide by functions instead of Jinja2: which hosts are met, what is constructed for one, and which name it has."""

    texts: Mapping[str, Any] = {}

    def __init__(
        self,
        construct: Callable[[Recorder, Mapping[str, Any]], object] | None = None,
        name: Callable[[Mapping[str, Any]], Any] = str,
    ) -> None:
        self._construct = construct
        self._name = name
        self.are_constructed = construct is not None

    def is_met(self, condition: str, variables: Mapping[str, Any]) -> bool:
        return bool(variables[condition])

    def construct(self, host: str, variables: Mapping[str, Any], _marker: Any) -> Recorder:
        assert self._construct
        recorder = Recorder(host)
        self._construct(recorder, variables)
        return recorder

    def name(self, where: str, _text: str, variables: Mapping[str, Any], label: str) -> Any:
        result = self._name(variables)
        return Failure(where, label, "odd") if result is None else result


def cvm(name: str, vm_uuid: str = "", **core: Any) -> Cvm:
    shown: Any = {**dict.fromkeys(CORE_VARIABLES), "name": name, "app_id": "ab", "status": "running", "gateway_domain": "gw.org"}
    app = {"id": core.pop("app", "prj_1"), "app_id": "ab"}
    shown.update({"instance_id": vm_uuid or name, "is_dev": True, "app": app, **core})
    filterable = Filterable((), (), False, frozenset(), frozenset())
    return Cvm(Identity("", vm_uuid or name, None, None), shown, {}, True, lambda _fields: filterable)


def built(
    *cvms: Cvm, expressions: Any = None, inventory: InventoryData | None = None, **settings: Any
) -> tuple[Built, list[Diagnostic]]:
    decided: Any = expressions or Expressions()
    return build(list(cvms), SETTINGS._replace(**settings), decided, inventory or InventoryData())


def names(made: tuple[Built, Sequence[Diagnostic]]) -> list[str]:
    return [host.name for host in made[0].hosts]


def texts(made: tuple[Built, Sequence[Diagnostic]], level: Level = Level.WARNING) -> list[str]:
    return [diagnostic.text for diagnostic in made[1] if diagnostic.level == level]


def test_hosts_are_sorted_by_their_names_and_the_list_of_cvms_is_emptied() -> None:
    cvms = [cvm("web", "a1"), cvm("db", "a2")]
    made = build(cvms, SETTINGS, Expressions(), InventoryData())  # type: ignore[arg-type]
    assert (names(made), cvms, made[1]) == (["db", "web"], [], [])
    source = made[0]
    assert (source.group, source.gateway, source.families, source.path) == ("phala", None, {}, "phala.yml")
    assert source.scopes == {"": SCOPE}
    host = source.hosts[0]
    assert (host.variables["phala_name"], host.composed, host.groups, host.connection) == ("db", {}, (), {})
    assert host.address == {}


def test_hosts_with_a_gateway_are_in_its_group() -> None:
    made, diagnostics = built(cvm("web", "a1"), gateway=GATEWAY)
    (host,) = made.hosts
    assert made.gateway is not None
    assert (made.gateway.name, host.groups, made.families) == (
        "phala_gateway",
        ("phala_gateway",),
        {("phala", "phala_gateway"): None},
    )
    assert host.address == {"ansible_host": "a1-22.gw.org"}
    assert host.variables["phala_gateway_host"] == "gw.org"
    assert [diagnostic.option for diagnostic in diagnostics] == ["gateway_openssl"]


def test_gateway_group_is_left_out_where_no_host_is_in_it() -> None:
    made, (diagnostic,) = built(cvm("web", "a1", gateway_enabled=False), gateway=GATEWAY)
    assert (made.gateway, made.families) == (None, {})
    assert diagnostic.text == "No ansible_host, because the gateway of the CVM is disabled"
    assert diagnostic.level == Level.WARNING


@pytest.mark.parametrize(
    ("core", "is_expected"),
    [
        ({}, True),
        ({"status": "Running"}, True),
        ({"status": "stopped"}, False),
        ({"is_dev": False}, False),
        ({"is_dev": "yes"}, False),
    ],
)
def test_missing_address_is_a_warning_for_a_running_cvm_of_a_dev_image(core: dict[str, Any], *, is_expected: bool) -> None:
    _made, (diagnostic,) = built(cvm("web", "a1", gateway_enabled=False, **core), gateway=GATEWAY)
    assert diagnostic.level == (Level.WARNING if is_expected else Level.VERBOSE)


def test_gateway_group_with_hosts_of_another_source_is_refused() -> None:
    inventory = InventoryData()
    inventory.add_group("phala_gateway")
    inventory.add_host("foreign", "phala_gateway")
    with pytest.raises(GatewayGroupError, match="'foreign' of another source"):
        built(cvm("web", "a1"), gateway=GATEWAY, inventory=inventory)


def test_group_that_is_the_gateway_group_of_another_file_is_refused() -> None:
    inventory = InventoryData()
    current_run(inventory).gateways["phala"] = "first.yml"
    with pytest.raises(GatewayGroupError, match=r"the connection variables of first\.yml"):
        built(cvm("web"), inventory=inventory)


def test_host_that_does_not_meet_a_condition_is_left_out() -> None:
    made = built(cvm("web", vcpu=4), cvm("db", vcpu=0, listed=True), host_filters=("phala_listed", "phala_vcpu"))
    assert names(made) == []
    assert texts(made, Level.VERY_VERBOSE) == [
        "Left out CVM 'web' (vm_uuid 'web'): host_filters[0] is false",
        "Left out CVM 'db' (vm_uuid 'db'): host_filters[1] is false",
    ]
    assert [diagnostic for diagnostic in made[1] if diagnostic.level == Level.WARNING] == [
        Diagnostic(
            Level.WARNING,
            "No hosts: no CVM matches all host_filters (2 CVMs checked)",
            advice="Correct the conditions. -vv shows which one is false.",
        )
    ]


def test_no_cvms_are_no_warning() -> None:
    assert built(host_filters=("phala_vcpu",))[1] == []
    assert texts(built(cvm("web", vcpu=4), host_filters=("phala_vcpu",))) == []


@pytest.mark.parametrize(("min_hosts", "is_refused"), [(0, False), (1, False), (2, True)])
def test_small_fleet_is_refused(min_hosts: int, *, is_refused: bool) -> None:
    if not is_refused:
        built(cvm("web"), min_hosts=min_hosts)
        return
    with pytest.raises(SmallFleetError) as raised:
        built(cvm("web"), min_hosts=min_hosts)
    assert str(raised.value) == (
        "phala.yml: the result has 1 host, and min_hosts is 2. Check the filters and the account, or lower min_hosts."
    )


def test_built_in_groups_follow_the_order_of_the_dimensions_and_their_names() -> None:
    made, _diagnostics = built(
        cvm("b", region="EU", status="running"),
        cvm("a", region="US", status="off"),
        cvm("c", region=None, status="off"),
        group_by=("status", "region"),
    )
    assert list(made.families) == [
        ("phala", f"{dimension}_{value}") for dimension, value in (("status", "off"), ("status", "running"))
    ] + [("phala", "region_EU"), ("phala", "region_US")]
    assert [host.groups for host in made.hosts] == [
        ("status_off", "region_US"),
        ("status_running", "region_EU"),
        ("status_off",),
    ]


@pytest.mark.parametrize(
    ("hostnames", "name"),
    [
        (("name", "region"), "web"),
        (("region", "node", "name"), "7"),
        (("listed", "vcpu"), "12"),
        (("kms_id", "region", "tags"), "tagged"),
        (("region",), "cvm-abcdef01"),
        ((), "cvm-abcdef01"),
    ],
)
def test_first_name_that_there_is_is_the_hosts(hostnames: tuple[str, ...], name: str) -> None:
    made = cvm("web", "abcdef0123", region=" ", node=7, listed=True, vcpu=12)
    assert names(built(made, hostnames=hostnames, expressions=Expressions(name=lambda _seen: "tagged"))) == [name]


def test_name_sees_variables_with_and_without_their_prefix_and_those_of_the_connection() -> None:
    def name(seen: Mapping[str, Any]) -> str:
        return "-".join((seen["name"], seen["phala_name"], seen["ansible_host"]))

    made = built(cvm("web", "a1"), hostnames=("template",), gateway=GATEWAY, expressions=Expressions(name=name))
    assert names(made) == ["web-web-a1-22.gw.org"]


def test_template_of_a_name_that_fails_is_reported_unless_another_name_is_found() -> None:
    failing = Expressions(name=lambda _seen: None)
    assert names(built(cvm("web", "a1"), hostnames=("t", "name"), expressions=failing)) == ["web"]
    assert built(cvm("web", "a1"), hostnames=("t", "name"), expressions=failing)[1] == []
    made = built(cvm("web", "a1"), hostnames=("t",), expressions=failing)
    assert names(made) == ["cvm-a1e47ed4"]
    assert texts(made) == ["hostnames[0] failed for every host ('web' (vm_uuid 'a1'): odd)"]


def test_cvms_of_one_name_are_told_apart_with_a_warning() -> None:
    made = built(cvm("web", "a" * 8, app="prj_1"), cvm("web", "b" * 8, app="prj_2"))
    assert names(made) == ["web-aaaaaaaa", "web-bbbbbbbb"]
    assert len(made[1]) == 1


def test_interrupt_that_an_expression_swallows_ends_the_evaluation() -> None:
    hosts = []

    def construct(recorder: Recorder, _seen: Mapping[str, Any]) -> None:
        hosts.append(recorder.host)
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            built(cvm("web"), cvm("db"), expressions=Expressions(construct))
    finally:
        signal.signal(signal.SIGINT, handler)
    assert len(hosts) == 1


def test_constructed_groups_and_variables_are_those_of_the_host() -> None:
    def construct(recorder: Recorder, _seen: Mapping[str, Any]) -> None:
        recorder.variables["b"] = recorder.host
        recorder.groups.append(f"g_{recorder.host}")
        recorder.groups.append("all")
        recorder.parents.append(("top", f"g_{recorder.host}"))
        recorder.left_out["x"] = "it is odd"

    made, diagnostics = built(cvm("web"), cvm("db"), expressions=Expressions(construct))
    assert [(host.composed, host.groups) for host in made.hosts] == [
        ({"b": "db"}, ("g_db", "all_group")),
        ({"b": "web"}, ("g_web", "all_group")),
    ]
    assert list(made.families) == [(None, "g_db"), (None, "all_group"), ("top", "g_db"), (None, "g_web"), ("top", "g_web")]
    assert [diagnostic.subjects for diagnostic in diagnostics] == [("x of db",), ("x of web",), ("all -> all_group",)]


def test_expressions_see_the_variables_of_core_and_of_the_connection() -> None:
    seen: dict[str, Any] = {}
    build(
        [cvm("web", "a1", region="EU")],
        SETTINGS._replace(gateway=GATEWAY, group_by=("region", "node")),
        Expressions(lambda _recorder, given: seen.update(given)),  # type: ignore[arg-type]
        InventoryData(),
    )
    kept = ("inventory_hostname", "group_names", "ansible_host", "ansible_port", "ansible_user", "phala_name")
    assert {name: seen[name] for name in kept} == {
        "inventory_hostname": "web",
        "group_names": ["phala", "region_EU"],
        "ansible_host": "a1-22.gw.org",
        "ansible_port": 443,
        "ansible_user": "root",
        "phala_name": "web",
    }


def test_expressions_of_a_host_without_an_address_do_not_see_the_gateway() -> None:
    seen: dict[str, Any] = {}
    expressions = Expressions(lambda _recorder, given: seen.update(given))
    built(cvm("web", "a1", gateway_enabled=False), gateway=GATEWAY, expressions=expressions)
    assert not {"ansible_port", "ansible_user"} & seen.keys()


def test_host_gets_another_name_where_an_expression_makes_a_group_of_it() -> None:
    def construct(recorder: Recorder, seen: Mapping[str, Any]) -> None:
        recorder.groups.append(seen["phala_name"])

    made, _diagnostics = built(cvm("web", "abcdef0123"), expressions=Expressions(construct))
    assert [(host.name, host.groups) for host in made.hosts] == [("web-abcdef01", ("web",))]


def test_group_that_is_always_called_like_its_host_is_refused() -> None:
    expressions = Expressions(lambda recorder, _seen: recorder.groups.append(recorder.host))
    with pytest.raises(NameConflictError) as raised:
        built(cvm("web", "abcdef0123"), expressions=expressions)
    assert "is the name of a host and of a group that groups or keyed_groups make for it, whatever the host" in str(raised.value)


def inventory_with(name: str, **variables: Any) -> InventoryData:
    inventory = InventoryData()
    inventory.add_group("region_EU")
    inventory.add_host(name, "region_EU")
    for variable, value in variables.items():
        inventory.set_variable(name, variable, value)
    return inventory


def test_hosts_of_another_source_that_join_the_group_are_reported() -> None:
    made = built(cvm("web", region="EU"), group_by=("region",), inventory=inventory_with("foreign"))
    assert [diagnostic for diagnostic in made[1] if "Groups of another source" in diagnostic.text] == [
        Diagnostic(
            Level.WARNING,
            "Groups of another source are now in 'phala', so that its variables apply to their hosts",
            subjects=("region_EU",),
            advice="Set group_prefix.",
        )
    ]


def test_group_that_is_a_child_already_or_has_own_hosts_alone_is_not_reported() -> None:
    joined = inventory_with("foreign")
    joined.add_group("phala")
    joined.add_child("phala", "region_EU")
    for inventory in (joined, inventory_with("web")):
        made = built(cvm("web", region="EU"), group_by=("region",), inventory=inventory)
        assert not [text for text in texts(made) if "Groups of another source are now in" in text]


@pytest.mark.parametrize(
    ("variables", "gateway", "is_reported"),
    [({"ansible_host": "x"}, GATEWAY, True), ({"ansible_host": "x"}, None, False), ({"other": "x"}, GATEWAY, False)],
)
def test_host_of_another_source_with_its_own_connection_is_taken_over(
    variables: dict[str, str], gateway: GatewaySettings | None, *, is_reported: bool
) -> None:
    made = built(cvm("web", "a1"), gateway=gateway, inventory=inventory_with("web", **variables))
    expected = Diagnostic(
        Level.WARNING,
        "CVMs take over hosts of another source that have their own connection variables",
        subjects=("web",),
        advice="Rename those hosts, or set hostnames.",
    )
    assert (expected in made[1]) is is_reported


@pytest.mark.parametrize("instance_id", ["a1", "of no gateway"])
def test_cvms_are_freed_although_no_garbage_is_collected(instance_id: str) -> None:
    given = [cvm("web", "a1", instance_id=instance_id)]
    is_alive = weakref.ref(given[0])
    gc.disable()
    try:
        build(given, SETTINGS._replace(gateway=GATEWAY), Expressions(), InventoryData())  # type: ignore[arg-type]
        assert is_alive() is None
    finally:
        gc.enable()


def test_cvm_of_an_earlier_source_keeps_its_name_and_connection() -> None:
    inventory = inventory_with("first")
    host = Listed("first", "first.yml", SCOPE, Identity("", "a1", None, None), {}, {"ansible_host": "x"})
    current_run(inventory).add(host)
    made = built(cvm("web", "a1"), gateway=GATEWAY, inventory=inventory)
    (shown,) = made[0].hosts
    assert (shown.name, shown.groups, made[0].gateway) == ("first", (), None)
    assert shown.address == {}
    assert texts(made) == ["phala.yml lists CVMs that first.yml lists with other connection settings. Those of first.yml apply"]
