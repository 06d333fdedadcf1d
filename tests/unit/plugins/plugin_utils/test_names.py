# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Level
from ansible_collections.phala.cloud.plugins.plugin_utils._names import (
    assign_names,
    name_from_identity,
    renamed_hosts,
    safe_host_name,
)

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


def cvm(vm_uuid: str | None, instance_id: str | None = None) -> Identity:
    return Identity("", vm_uuid, instance_id, None)


A, B, C = (cvm(letter * 32) for letter in "abc")


@pytest.mark.parametrize(
    ("wanted", "taken", "names"),
    [
        ({A: "web", B: "db"}, (), ["web", "db"]),
        ({A: "web", B: "web", C: "db"}, (), ["web-aaaaaaaa", "web-bbbbbbbb", "db"]),
        ({A: "web", B: "db"}, ("web",), ["web-aaaaaaaa", "db"]),
        ({A: "web", B: "web", C: "web-aaaaaaaa"}, (), ["web-aaaaaaaaa", "web-bbbbbbbb", "web-aaaaaaaa-cccccccc"]),
        ({A: "web"}, ("web", "web-aaaaaaaa"), ["web-aaaaaaaaa"]),
        ({A: "Web", B: "web"}, (), ["Web", "web"]),
        ({A: "localhost"}, (), ["localhost-aaaaaaaa"]),
        (
            {cvm("11111111-2222-a"): "web", cvm("11111111-2222-b"): "web", cvm("3" * 16): "web"},
            (),
            ["web-111111112222a", "web-111111112222b", "web-33333333"],
        ),
    ],
)
def test_every_cvm_concerned_gets_digits(wanted: dict[Identity, str], taken: tuple[str, ...], names: list[str]) -> None:
    assert assign_names(wanted, taken) == dict(zip(wanted, names, strict=True))


def test_renamed_hosts_are_one_warning() -> None:
    (warning,) = renamed_hosts({A: "web", B: "web", C: "db"}, {A: "web-a", B: "web-b", C: "db"})
    assert (warning.level, warning.subjects) == (Level.WARNING, ("web became web-a", "web became web-b"))
    assert renamed_hosts({C: "db"}, {C: "db"}) == []


def test_names_do_not_depend_on_the_order() -> None:
    identities = [cvm(f"{number:032x}"[::-1]) for number in range(60)]
    choose = random.Random(1)
    wanted = {identity: choose.choice(["web", "db", "web-00000000", "all"]) for identity in identities}
    expected = assign_names(wanted, ("db",))
    assert len(set(expected.values())) == len(identities)
    for seed in range(5):
        shuffled = random.Random(seed).sample(identities, len(identities))
        assert assign_names({identity: wanted[identity] for identity in shuffled}, ("db",)) == expected


@pytest.mark.parametrize(
    ("identity", "digits"),
    [
        (cvm("9a8b7c6d-5e4f-4000-8000-000000000000", "1" * 40), "9a8b7c6d5e4f4"),
        (cvm(None, "1c" * 20), "1c1c1c1c"),
        (cvm("xyz-ab", "1" * 40), "ab"),
        (cvm(None), ""),
        (cvm("\ud800"), ""),
    ],
)
def test_digits_are_of_the_vm_uuid_else_of_the_instance_id_then_of_a_hash(identity: Identity, digits: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{64,}", identity.digits())
    assert identity.digits().startswith(digits)
    assert name_from_identity(identity) == f"cvm-{identity.digits()[:8]}"
