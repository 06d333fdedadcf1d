# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._reserved import GroupRenamer, gateway_group_name
from ansible_collections.phala.cloud.plugins.plugin_utils._sources import Before, Listed

BEFORE = Before(
    hosts=frozenset({"db"}),
    cvms={"web": Listed("web", "x.yml", ("", ""), Identity("", "u1", None, None), {}, {})},
    gateways={"other_gateway": "x.yml"},
)


@pytest.mark.parametrize("name", ["all", "ungrouped", "localhost", "127.0.0.1", "db", "web", "other_gateway", "phala_gateway"])
def test_group_with_a_reserved_name_is_renamed(name: str) -> None:
    renamer = GroupRenamer("phala", BEFORE)
    assert [renamer.free(name), renamer.free(name)] == [f"{name}_group"] * 2
    assert list(renamer.renamed()) == [
        Diagnostic(
            Level.WARNING,
            "Renamed groups whose names are reserved for this machine, for Ansible or for hosts of another source",
            subjects=(f"{name} -> {name}_group",),
            advice="To choose the names, set a prefix in keyed_groups.",
        )
    ]


def test_group_is_renamed_until_its_name_is_free() -> None:
    before = Before(hosts=frozenset({"db", "db_group"}))
    assert GroupRenamer("phala", before).free("db") == "db_group_group"


def test_other_groups_keep_their_names() -> None:
    renamer = GroupRenamer("phala", BEFORE)
    assert [renamer.free(name) for name in ("app", "phala", "all_group")] == ["app", "phala", "all_group"]
    assert list(renamer.renamed()) == []


def test_parent_may_be_all() -> None:
    renamer = GroupRenamer("phala", BEFORE)
    assert [renamer.free_parent(name) for name in ("all", "ungrouped", "x")] == ["all", "ungrouped_group", "x"]


def test_gateway_group_is_named_after_the_group() -> None:
    assert gateway_group_name("mine") == "mine_gateway"
