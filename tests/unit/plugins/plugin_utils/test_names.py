# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import is_this_machine
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._names import (
    ALL_DIGITS,
    TakenNames,
    assign_names,
    listed_elsewhere,
    name_from_identity,
    renamed_hosts,
    safe_host_name,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._reserved import GroupRenamer
from ansible_collections.phala.cloud.plugins.plugin_utils._sources import Before

LONG = "x" * 300


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web-1.example_2", "web-1.example_2"),
        ("my web", "my-web"),
        ("XWeb", "XWeb"),
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
        (LONG, LONG[:200]),
        ("..-a b" + LONG, "a-b" + LONG[:197]),
    ],
)
def test_host_name_keeps_only_safe_characters(text: str, name: str) -> None:
    assert safe_host_name(text) == name


@given(st.text(max_size=20))
def test_host_name_is_safe_whatever_the_text(text: str) -> None:
    assert re.fullmatch(r"([A-Za-z0-9_][A-Za-z0-9._-]*)?", safe_host_name(text))


def cvm(vm_uuid: str | None, instance_id: str | None = None, *, account: str = "") -> Identity:
    return Identity(account, vm_uuid, instance_id, None)


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
    assert assign_names(wanted, TakenNames(taken)) == dict(zip(wanted, names, strict=True))


def test_names_do_not_depend_on_the_order() -> None:
    identities = [cvm(f"{number:032x}"[::-1]) for number in range(60)]
    choose = random.Random(1)
    wanted = {identity: choose.choice(["web", "db", "web-00000000", "all"]) for identity in identities}
    expected = assign_names(wanted, TakenNames(("db",)))
    assert len(set(expected.values())) == len(identities)
    for seed in range(5):
        shuffled = random.Random(seed).sample(identities, len(identities))
        assert assign_names({identity: wanted[identity] for identity in shuffled}, TakenNames(("db",))) == expected


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
    assert re.fullmatch(r"[0-9a-f]{64,}", identity.digits(ALL_DIGITS))
    assert identity.digits(ALL_DIGITS).startswith(digits)
    assert name_from_identity(identity) == f"cvm-{identity.digits(8)}"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "localhost",
            "LOCALHOST4",
            "localhost6",
            "Ip6-Localhost",
            "ip6-loopback",
            "db.LocalHost",
            "localhost.",
            "a.b.localhost.",
        ),
        *("127.0.0.1", "127.255.0.3", "127.1", "2130706433", "0x7f000001", "0x7F.1", "0177.0.0.1", "127.0.0.1.", "0.0.0.0"),
        *("::1", "[::1]", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::1%lo", "::"),
    ],
)
def test_name_of_this_machine(name: str) -> None:
    assert is_this_machine(name)


@pytest.mark.parametrize(
    "name", ["", "web", "localhost5", "mylocalhost", "localhost-1", "localhost.example.org", "128.0.0.1", "1", "::2", "7f000001"]
)
def test_name_of_another_machine(name: str) -> None:
    assert not is_this_machine(name)


@pytest.mark.parametrize("name", ["x.localhost", "127.1", "::1", "LOCALHOST", "all", "ungrouped", "_meta", "phala_gateway", "db"])
def test_reserved_group_is_renamed(name: str) -> None:
    renamer = GroupRenamer("phala", Before(hosts=frozenset({"db", "db_group"})))
    free = f"{name}_group_group" if name == "db" else f"{name}_group"
    assert (renamer.free(name), renamer.free("web")) == (free, "web")
    assert renamer.free_parent(name) == ("all" if name == "all" else free)
    (warning,) = renamer.renamed()
    assert f"{name} -> {free}" in warning.subjects


def test_names_get_8_digits_then_more_then_those_of_a_hash() -> None:
    uuid = "9a8b7c6d-5e4f-4000-8000-00000000000"
    wanted = dict.fromkeys([cvm(f"{uuid}1"), cvm(f"{uuid}2"), cvm("00000000"), cvm("12")], "web")
    names = assign_names(wanted, TakenNames(groups=()))
    assert names[cvm("00000000")] == "web-00000000"
    assert names[cvm(f"{uuid}1")] == "web-9a8b7c6d5e4f40008000000000000001"
    assert names[cvm("12")].startswith("web-12")
    assert len(names[cvm("12")]) == len("web-") + 8
    same = assign_names(dict.fromkeys([cvm(uuid, account="a"), cvm(uuid, account="b")], "web"), TakenNames(groups=()))
    assert len(set(same.values())) == 2
    assert all(name.startswith("web-9a8b7c6d5e4f4000800000000000000") for name in same.values())


def test_fixed_name_stays_and_nobody_else_gets_it() -> None:
    first, second = cvm("11111111"), cvm("22222222")
    taken = TakenNames(groups=(), cvms=("db",), fixed={first: "db"})
    assert assign_names({first: "web", second: "db"}, taken) == {first: "db", second: "db-22222222"}


@pytest.mark.parametrize(
    ("names", "apps", "groups", "cvms", "level", "words"),
    [
        (["web", "web"], [1, 1], (), (), Level.VERBOSE, "{{ name }}-{{ vm_uuid[:8] }}"),
        (["web", "web"], [1, 2], (), (), Level.WARNING, "No host has the plain name now"),
        (["web", "web"], [1, 1], ("web",), (), Level.WARNING, "No host has the plain name now"),
        (["web"], [1], ("web",), (), Level.WARNING, "No host has the plain name now"),
        (["all"], [1], (), (), Level.WARNING, "No host has the plain name now"),
        (["LOCALHOST"], [1], (), (), Level.WARNING, "No host has the plain name now"),
        (["web"], [1], (), ("web",), Level.WARNING, "A host of another source"),
    ],
)
def test_who_reads_that_hosts_were_renamed(
    names: list[str], apps: list[int], groups: tuple[str, ...], cvms: tuple[str, ...], level: Level, words: str
) -> None:
    wanted = {cvm(str(number) * 8): name for number, name in enumerate(names)}
    taken = TakenNames(groups, cvms)
    apps_of = dict(zip(wanted, apps, strict=True))
    (diagnostic,) = renamed_hosts(wanted, assign_names(wanted, taken), taken, apps_of)
    assert (diagnostic.level, diagnostic.text) == (level, "Renamed hosts whose names were already taken")
    assert diagnostic.subjects == tuple(f"{name} -> {name}-{str(number) * 8}" for number, name in enumerate(names))
    assert words in diagnostic.advice


def test_plain_names_that_hosts_of_other_sources_have_are_listed() -> None:
    wanted = {A: "web", B: "web", C: "db", cvm("d"): "one"}
    names = {A: "web-a", B: "web-b", C: "db-c", cvm("d"): "one"}
    (diagnostic,) = listed_elsewhere(wanted, names, {"web", "one"})
    assert diagnostic == Diagnostic(
        Level.WARNING,
        "Hosts of another source have the name of a CVM, but are not that CVM",
        subjects=("web is not web-a, web-b",),
        advice="Use the new names in the other source.",
    )
    assert list(listed_elsewhere(wanted, names, {"other"})) == []
