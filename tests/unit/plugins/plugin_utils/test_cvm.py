# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES, Cvm, CvmRow, Filterable, Identity


def cvm(identity: Identity, **core: Any) -> Cvm:
    shown: Any = core
    return Cvm(identity, shown, {"a": 1}, True, lambda fields: Filterable((fields["a"],), (), True, frozenset(), frozenset()))


@pytest.mark.parametrize(
    ("identity", "key", "identifiers"),
    [
        (Identity("me", "u1", "i1", "c1"), ("me", "vm_uuid", "u1"), [("vm_uuid", "u1"), ("instance_id", "i1"), ("id", "c1")]),
        (Identity("", None, "i1", "c1"), ("", "instance_id", "i1"), [("instance_id", "i1"), ("id", "c1")]),
        (Identity("", None, "", "c1"), ("", "id", "c1"), [("id", "c1")]),
        (Identity("me", None, None, None), ("me", "", ""), []),
    ],
)
def test_most_specific_identifier_comes_first(
    identity: Identity, key: tuple[str, str, str], identifiers: list[tuple[str, str]]
) -> None:
    assert identity.key == key
    assert list(identity.identifiers()) == identifiers


@pytest.mark.parametrize(
    ("identity", "readable"),
    [
        (Identity("", "11111111-2222-zaf", None, None), "111111112222af"),
        (Identity("", "a" * 40, None, None), "a" * 32),
        (Identity("", None, "0xAb12", "c1"), "0b12"),
        (Identity("", None, None, "abc"), ""),
    ],
)
def test_digits_are_those_of_the_identifier_then_of_a_hash(identity: Identity, readable: str) -> None:
    digest = hashlib.sha256(repr(identity.key).encode()).hexdigest()
    assert identity.digits(96) == readable + digest
    assert [identity.digits(count) for count in (8, 40)] == [(readable + digest)[:8], (readable + digest)[:40]]


def test_digits_of_any_text_can_be_made() -> None:
    assert len(Identity("\ud800", None, None, "c1").digits(96)) == 64


def test_row_is_the_cvm_whose_values_it_has() -> None:
    identity = Identity("", "u1", None, None)
    core: Any = {name: f"its {name}" for name in CORE_VARIABLES}
    made = cvm(identity, **core)
    names, values = made.variables()
    row = CvmRow(identity, names, list(values), False, made.read_filterable, {"b": "a reason"}, is_marked=True)
    assert (row.identity, row.core) == (identity, core)
    assert row.fields == {"a": 1}
    assert (row.is_only_cvm, row.left_out, row.is_marked) == (False, {"b": "a reason"}, True)
    assert row.variables() == (("a", *CORE_VARIABLES), [1, *core.values()])
    assert row.filterable == made.filterable


def test_cvm_reads_what_filters_need_once() -> None:
    made = cvm(Identity("", "u1", None, None), name="web")
    assert made.filterable.node_names == (1,)
    assert made.filterable is made.filterable
    assert made.value("name") == "web"


@pytest.mark.parametrize(
    ("account", "name", "label"),
    [
        ("", "web", "'web' (vm_uuid 'u1')"),
        ("me", "a'b", "\"a'b\" (vm_uuid 'u1') in account 'me'"),
        ("", None, "'' (vm_uuid 'u1')"),
    ],
)
def test_label_quotes_the_text_of_the_service(account: str, name: str | None, label: str) -> None:
    assert str(cvm(Identity(account, "u1", None, None), name=name).label) == label


def test_label_of_any_name_can_be_told_from_others() -> None:
    names: tuple[Any, ...] = ("web", {"a": 1}, ["b"])
    assert len({cvm(Identity("", "u1", None, None), name=name).label for name in (*names, *names)}) == 3
