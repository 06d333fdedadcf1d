# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Account
from ansible_collections.phala.cloud.plugins.plugin_utils._sources import (
    Before,
    Listed,
    before_source,
    current_run,
    marks_of,
    scopes,
)

SCOPE = ("https://a.example.org", "digest")
OTHER_KEY = ("https://a.example.org", "other")
ELSEWHERE = ("https://b.example.org", "digest")


def identity(vm_uuid: str | None = None, instance_id: str | None = None, cvm_id: str | None = None) -> Identity:
    return Identity("me", vm_uuid, instance_id, cvm_id)


def inventory(**hosts: dict[str, Any]) -> Any:
    return SimpleNamespace(hosts={name: SimpleNamespace(vars=given) for name, given in hosts.items()}, groups={"all": None})


def listed(name: str, cvm: Identity) -> Listed:
    return Listed(name, "phala.yml", SCOPE, cvm, {}, {})


def test_run_belongs_to_the_inventory_object() -> None:
    first, second = inventory(), inventory()
    assert current_run(first) is current_run(first)
    assert current_run(first) is not current_run(second)


def test_hosts_of_other_plugins_and_of_this_one_are_told_apart() -> None:
    shown = inventory(web={}, db={"ansible_port": 22}, own={"ansible_host": "x"}, plain={"ansible_host": ""})
    run = current_run(shown)
    run.gateways["gw"] = "other.yml"
    own = listed("own", identity("u1", cvm_id="c1"))
    run.add(own)
    assert before_source(shown, "phala.yml") == Before(
        groups=frozenset({"all"}),
        hosts=frozenset({"web", "db", "plain"}),
        connected=frozenset({"db"}),
        cvms={"own": own},
        marks={(SCOPE[0], "vm_uuid", "u1"): own, (*SCOPE, "id", "c1"): own},
        gateways={"gw": "other.yml"},
    )


def test_what_was_before_does_not_change_with_the_run() -> None:
    shown = inventory()
    before = before_source(shown, "phala.yml")
    run = current_run(shown)
    run.add(listed("web", identity("u1")))
    run.gateways["gw"] = "other.yml"
    assert before == Before(groups=frozenset({"all"}))


def test_second_parse_of_a_source_sees_what_the_first_saw() -> None:
    shown = inventory(web={})
    known = Before(hosts=frozenset({"db"}))
    current_run(shown).before["phala.yml"] = known
    assert before_source(shown, "phala.yml") is known
    assert before_source(shown, "other.yml").hosts == {"web"}


@pytest.mark.parametrize(
    ("first", "scope", "second", "is_same"),
    [
        (identity("u1"), SCOPE, identity("u1"), True),
        (identity("u1"), OTHER_KEY, identity("u1"), True),
        (identity("u1"), ELSEWHERE, identity("u1"), False),
        (identity("u1"), SCOPE, identity("u2"), False),
        (identity(instance_id="i1"), OTHER_KEY, identity(instance_id="i1"), True),
        (identity(cvm_id="c1"), SCOPE, identity(cvm_id="c1"), True),
        (identity(cvm_id="c1"), OTHER_KEY, identity(cvm_id="c1"), False),
        (identity("u1", "i1"), SCOPE, identity("u2", "i1"), False),
        (identity("u1", "i1"), SCOPE, identity(None, "i1"), True),
        (identity(None, "i1", "c1"), SCOPE, identity(None, "i2", "c1"), False),
        (identity("u1", "i1", "c1"), SCOPE, identity(None, None, "c1"), True),
        (identity(), SCOPE, identity(), False),
    ],
)
def test_cvm_of_an_earlier_source_is_found(first: Identity, scope: tuple[str, str], second: Identity, *, is_same: bool) -> None:
    shown = inventory()
    host = listed("web", first)
    current_run(shown).add(host)
    assert before_source(shown, "second.yml").listed(second, scope) == (host if is_same else None)


def test_other_identifier_is_tried_where_the_first_belongs_to_another_cvm() -> None:
    shown = inventory()
    replaced, same = listed("old", identity("u1", "i1")), listed("web", identity(None, "i2"))
    for host in (replaced, same):
        current_run(shown).add(host)
    assert before_source(shown, "second.yml").listed(identity("u9", "i1"), SCOPE) is None
    assert before_source(shown, "second.yml").listed(identity("u9", "i2"), SCOPE) == same


def test_scope_of_an_account_is_its_url_and_a_digest_of_its_key() -> None:
    accounts = [Account(name=name, url=SCOPE[0], key=key, key_source="") for name, key in (("a", "k1"), ("b", "k2"), ("c", "k1"))]
    found = scopes(accounts)
    assert list(found) == ["a", "b", "c"]
    assert found["a"] == found["c"] != found["b"]
    assert found["a"][0] == SCOPE[0]
    assert "k1" not in found["a"][1]


def test_identifiers_are_marks_where_they_are_valid() -> None:
    assert list(marks_of(identity("u1", "i1", "c1"), SCOPE)) == [
        (SCOPE[0], "vm_uuid", "u1"),
        (SCOPE[0], "instance_id", "i1"),
        (*SCOPE, "id", "c1"),
    ]
