# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._connecting import as_listed, connected_host, differing, refused
from ansible_collections.phala.cloud.plugins.plugin_utils._connection import Address, Refusal
from ansible_collections.phala.cloud.plugins.plugin_utils._construct import Recorder
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Identity, Label
from ansible_collections.phala.cloud.plugins.plugin_utils._gateway import GatewayGroup
from ansible_collections.phala.cloud.plugins.plugin_utils._hosts import Draft, Host
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._sources import Listed

CVM = Identity("", "u1", None, None)
ADDRESS = Address("id-22.gw.org", "gw.org", None)
OWN_PORT = Address("id-22.gw.org", "gw.org", 99)
REFUSAL = Refusal("it is odd", "Mend it", is_suspect=False, domain="gw.org", port=99)
SHARED = {"ansible_port": 443, "ansible_ssh_common_args": "-o x"}
GATEWAY = GatewayGroup("phala_gateway", SHARED)


def draft(connection: Address | Refusal | None = ADDRESS, *, should_be_reachable: bool = True) -> Draft:
    connected = connection.variables if connection else {}
    return Draft(CVM, "web", "web", ("a1", "app1"), should_be_reachable, connection, {"a": 1}, connected, ("g1", None))


def host(connection: Address | Refusal | None = ADDRESS, record: Recorder | None = None, **composed: Any) -> Host:
    record = Recorder("web", variables=composed) if composed else record
    return connected_host(draft(connection), "web", record, GATEWAY)


def test_host_with_an_address_is_in_the_gateway_group() -> None:
    assert host() == Host(
        "web",
        CVM,
        variables={"a": 1},
        address={"ansible_host": "id-22.gw.org"},
        composed={},
        groups=("g1", "phala_gateway"),
        shared=SHARED,
    )
    assert host().connection == {**SHARED, "ansible_host": "id-22.gw.org"}


def test_host_without_an_address_is_in_no_gateway_group() -> None:
    made = host(REFUSAL)
    assert made.groups == ("g1",)
    assert (made.variables, made.address) == ({"a": 1}, REFUSAL.variables)
    assert made.connection == REFUSAL.variables


def test_host_is_not_connected_where_no_connection_is_set_up() -> None:
    record = Recorder("web", variables={"ansible_host": "None", "ansible_user": "me", "b": 2}, groups=["g2"])
    made = connected_host(draft(None), "web", record, None)
    assert made == Host("web", CVM, {"a": 1}, {}, record.variables, ("g1", "g2"), {})
    assert made.connection == {"ansible_host": "None", "ansible_user": "me"}


def test_groups_of_expressions_follow_the_built_in_ones() -> None:
    assert host(record=Recorder("web", groups=["g2", "g3"])).groups == ("g1", "g2", "g3", "phala_gateway")


@pytest.mark.parametrize("connection", [OWN_PORT, REFUSAL])
def test_composed_address_behind_the_gateway_goes_through_it(connection: Address | Refusal) -> None:
    made = host(connection, ansible_host="id-2222.gw.org")
    assert made.groups == ("g1", "phala_gateway")
    assert made.address == {"ansible_port": 99}
    assert made.connection == {**SHARED, "ansible_port": 99, "ansible_host": "id-2222.gw.org"}


@pytest.mark.parametrize("connection", [OWN_PORT, REFUSAL])
def test_composed_address_elsewhere_has_nothing_of_the_gateway(connection: Address | Refusal) -> None:
    made = host(connection, ansible_host="10.0.0.1")
    assert (made.groups, made.address, made.connection) == (("g1",), {}, {"ansible_host": "10.0.0.1"})


def test_composed_null_keeps_the_address() -> None:
    made = host(ansible_host="None-22.gw.org", b=None)
    assert made.composed == {"b": None}
    assert made.connection["ansible_host"] == "id-22.gw.org"


def test_composed_variable_takes_precedence() -> None:
    made = host(ansible_port=2, ansible_user="me", colour="red")
    assert made.connection == {**SHARED, "ansible_host": "id-22.gw.org", "ansible_port": 2, "ansible_user": "me"}


@pytest.mark.parametrize(
    ("is_suspect", "should_be_reachable", "level"),
    [(False, True, Level.WARNING), (True, False, Level.WARNING), (False, False, Level.VERBOSE)],
)
def test_missing_address_is_a_warning_where_the_cvm_should_be_reachable(
    is_suspect: bool, should_be_reachable: bool, level: Level
) -> None:
    refusal = REFUSAL._replace(is_suspect=is_suspect)
    assert list(refused(draft(refusal, should_be_reachable=should_be_reachable), host(refusal))) == [
        Diagnostic(level, "No ansible_host, because it is odd", subjects=(Label(CVM, "web"),), advice="Mend it")
    ]


@pytest.mark.parametrize(("connection", "composed"), [(ADDRESS, {}), (None, {}), (REFUSAL, {"ansible_host": "10.0.0.1"})])
def test_host_with_an_address_is_not_reported(connection: Address | Refusal | None, composed: dict[str, Any]) -> None:
    assert list(refused(draft(connection), host(connection, **composed))) == []


def test_host_of_an_earlier_source_keeps_its_connection() -> None:
    made = host(ansible_user="me", b=2)
    assert as_listed(made, GATEWAY) == replace(made, address={}, composed={"b": 2}, groups=("g1",))
    assert as_listed(made, None).groups == ("g1", "phala_gateway")


def test_other_connection_than_that_of_an_earlier_source_is_a_warning() -> None:
    listed = Listed("web", "first.yml", ("", ""), CVM, {}, {"ansible_host": "x"})
    assert list(differing(host(), listed, "second.yml")) == [
        Diagnostic(
            Level.WARNING,
            "second.yml lists CVMs that first.yml lists with other connection settings. Those of first.yml apply",
            subjects=("web",),
            advice="Leave the CVMs out of one of the files, or connect in the same way in both.",
        )
    ]
    assert list(differing(host(), listed._replace(own=host().connection), "second.yml")) == []
