# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.phala.cloud.plugins.plugin_utils.cvms import CORE_VARIABLES, Cvm
from ansible_collections.phala.cloud.plugins.plugin_utils.hosts import Messages, assign_names, distinct_digits, safe_host_name

LONG = "x" * 300


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web-1.example_2", "web-1.example_2"),
        ("my web", "my-web"),
        ("a/b:c,d[e]f", "a-b-c-d-e-f"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "caf-"),
        ("\N{SNOWMAN}x", "x"),
        ("a\nb\tc\0d\x1b[31m", "a-b-c-d--31m"),
        ("--x", "x"),
        ("..x", "x"),
        ("-.-.x.-", "x.-"),
        ("~x", "x"),
        ("!web:&db", "web--db"),
        ("@file", "file"),
        ("::1", "1"),
        ("{{ x }}", "x---"),
        ("", ""),
        (" ", ""),
        ("\N{SNOWMAN}", ""),
        (LONG, LONG),
    ],
)
def test_host_name_keeps_only_safe_characters(text: str, name: str) -> None:
    assert safe_host_name(text) == name


@given(st.text(max_size=20))
def test_host_name_is_safe_whatever_the_text(text: str) -> None:
    assert re.fullmatch(r"([A-Za-z0-9_][A-Za-z0-9._-]*)?", safe_host_name(text))


def assign(wanted: dict[str, str], *, taken: tuple[str, ...] = (), digits: dict[str, str] | None = None) -> dict[str, str]:
    own = {identity: identity * 64 for identity in wanted}
    return assign_names(wanted, taken, {**own, **(digits or {})})


@pytest.mark.parametrize(
    ("wanted", "taken", "names"),
    [
        ({"a": "web", "b": "db"}, (), {"a": "web", "b": "db"}),
        ({"a": "web", "b": "web", "c": "db"}, (), {"a": "web-aaaaaaaa", "b": "web-bbbbbbbb", "c": "db"}),
        ({"a": "web", "b": "db"}, ("web",), {"a": "web-aaaaaaaa", "b": "db"}),
        (
            {"a": "web", "b": "web", "c": "web-aaaaaaaa"},
            (),
            {"a": "web-aaaaaaaaa", "b": "web-bbbbbbbb", "c": "web-aaaaaaaa-cccccccc"},
        ),
        ({"a": "web"}, ("web", "web-aaaaaaaa"), {"a": "web-aaaaaaaaa"}),
        ({"a": "Web", "b": "web"}, (), {"a": "Web", "b": "web"}),
    ],
)
def test_every_cvm_concerned_gets_digits(wanted: dict[str, str], taken: tuple[str, ...], names: dict[str, str]) -> None:
    assert assign(wanted, taken=taken) == names


def test_digits_grow_while_still_equal() -> None:
    digits = {"a": "11111111" + "2222" + "a", "b": "11111111" + "2222" + "b", "c": "3" * 16}
    assert assign(dict.fromkeys("abc", "web"), digits=digits) == {
        "a": "web-111111112222a",
        "b": "web-111111112222b",
        "c": "web-33333333",
    }


@pytest.mark.parametrize(
    "name",
    [
        "localhost", "LocalHost", "localhost.", "localhost.localdomain", "all", "ALL", "ungrouped", "_meta", "127.0.0.1", "127.1",
        "127.255.255.254", "0x7f.1", "0177.0.0.1", "2130706433", "0", "0.0.0.0",
    ],
)  # fmt: skip
def test_name_that_means_this_machine_or_no_host_gets_digits(name: str) -> None:
    assert assign({"a": name}) == {"a": f"{name}-aaaaaaaa"}


@pytest.mark.parametrize("name", ["localhost1", "mylocalhost", "alls", "128.0.0.1", "10.0.0.1", "127-0-0-1", "1", "127.x", LONG])
def test_other_names_stay(name: str) -> None:
    assert assign({"a": name}) == {"a": name}


def test_names_do_not_depend_on_the_order() -> None:
    identities = [f"{number:032x}" for number in range(60)]
    wanted = {identity: random.Random(identity).choice(["web", "db", "web-00000000", "all"]) for identity in identities}
    digits = {identity: identity[::-1] + identity for identity in identities}
    expected = assign_names(wanted, ("db",), digits)
    assert len(set(expected.values())) == len(identities)
    for seed in range(5):
        shuffled = random.Random(seed).sample(identities, len(identities))
        assert assign_names({identity: wanted[identity] for identity in shuffled}, ("db",), digits) == expected


def cvm(**core: Any) -> Cvm:
    return Cvm(core={**dict.fromkeys(CORE_VARIABLES), **core}, fields={}, identity="id 'x'", is_only_cvm=True)


@pytest.mark.parametrize(
    ("core", "digits"),
    [
        ({"vm_uuid": "9A8b7c6d-5e4f-4000-8000-000000000000", "instance_id": "1" * 40}, "9a8b7c6d5e4f4"),
        ({"instance_id": "1C" * 20}, "1c1c1c1c"),
        ({"vm_uuid": "xyz-ab", "instance_id": "1" * 40}, "ab"),
    ],
)
def test_digits_are_of_the_vm_uuid_else_of_the_instance_id(core: dict[str, Any], digits: str) -> None:
    assert distinct_digits(cvm(**core)).startswith(digits)


@pytest.mark.parametrize("core", [{}, {"vm_uuid": 12}, {"vm_uuid": "zz"}, {"vm_uuid": "\ud800"}])
def test_there_are_digits_whatever_the_identifiers(core: dict[str, Any]) -> None:
    assert re.fullmatch(r"[0-9a-f]{64,}", distinct_digits(cvm(**core)))


def test_messages_of_a_kind_are_one_line() -> None:
    messages = Messages()
    for number in range(7):
        messages.add("too long", f"cvm-{number}")
    messages.add("too short", "cvm-9")
    assert messages.lines() == ["too long: cvm-0, cvm-1, cvm-2, cvm-3, cvm-4 and 2 more", "too short: cvm-9"]
