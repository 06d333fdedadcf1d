# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several accounts in one source: whole or none, and never one host for two CVMs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import Status

from .fleets import one_cvm

UUIDS = [f"{digit * 8}-0000-4000-8000-000000000000" for digit in "12"]
PROD: dict[str, Any] = {"name": "prod", "api_key": "phak_prod"}
LAB: dict[str, Any] = {"name": "lab", "api_key": "{{ lab_key }}"}
BOTH = {"accounts": [PROD, LAB], "group_by": ["account"], "retries": 0}
KEYS = {"lab_key": "phak_lab"}


@pytest.fixture(autouse=True)
def accounts(simulator: Simulator) -> None:
    simulator.add_account("phak_prod", one_cvm(name="web", vm_uuid=UUIDS[0], instance_id="1a" * 20))
    lab = (Cvm(name="web", vm_uuid=UUIDS[1], instance_id="2b" * 20), Cvm(name="db", region="EU-WEST-1"))
    simulator.add_account("phak_lab", (App(name="lab", cvms=lab),))


def test_accounts_are_one_source(inventory: Callable[..., Loaded]) -> None:
    loaded = inventory(BOTH, extra_vars=KEYS)
    assert loaded.values("phala_account") == {"web-11111111": "prod", "web-22222222": "lab", "db": "lab"}
    assert loaded.groups["account_prod"] == ["web-11111111"]
    assert loaded.groups["account_lab"] == ["db", "web-22222222"]


def test_filters_and_excludes_apply_to_each_account(inventory: Callable[..., Loaded]) -> None:
    assert sorted(inventory({**BOTH, "filters": {"region": "US-WEST-1"}}, extra_vars=KEYS).hosts) == [
        "web-11111111",
        "web-22222222",
    ]
    assert sorted(inventory({**BOTH, "exclude_filters": [{"region": "US-WEST-1"}]}, extra_vars=KEYS).hosts) == ["db"]


def test_account_variable_is_null_without_accounts(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm()
    loaded = inventory({"group_by": ["account"]})
    assert (loaded.values("phala_account"), list(loaded.groups)) == ({"solo": None}, ["phala"])


@pytest.mark.parametrize("position", [0, 1])
def test_account_with_a_wrong_key_fails_the_source(position: int, refusal: Callable[..., str]) -> None:
    entries = [dict(PROD), dict(LAB)]
    entries[position]["api_key"] = "phak_wrong-and-secret"
    reason = refusal({**BOTH, "accounts": entries}, extra_vars=KEYS)
    assert f"account {entries[position]['name']!r}: 401 from" in reason
    assert "wrong-and-secret" not in reason


def test_one_cvm_in_two_accounts_is_an_error(simulator: Simulator, refusal: Callable[..., str]) -> None:
    simulator.add_account("phak_twin", one_cvm(name="twin", vm_uuid=UUIDS[0], instance_id="3c" * 20))
    reason = refusal({"accounts": [PROD, {"name": "twin", "api_key": "phak_twin"}]})
    assert [word for word in (UUIDS[0], "account 'prod'", "account 'twin'", "exclude_filters") if word not in reason] == []


def test_ids_identify_cvms_within_an_account(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    nothing = {"vm_uuid": None, "instance_id": None, "id": "cvm_a1b2c3d4e5f6"}
    simulator.add_account("phak_a", one_cvm(name="a", **nothing))
    simulator.add_account("phak_b", one_cvm(name="b", **nothing))
    loaded = inventory({"accounts": [{"name": "a", "api_key": "phak_a"}, {"name": "b", "api_key": "phak_b"}]})
    assert sorted(loaded.hosts) == ["a", "b"]


def test_key_of_the_environment_is_not_used(simulator: Simulator, refusal: Callable[..., str]) -> None:
    reason = refusal({"accounts": [{"name": "prod"}]})
    assert "accounts[0]: the account 'prod' has no key" in reason
    assert simulator.requests == []


def test_profiles_and_urls_of_entries(
    home: Path, simulator: Simulator, inventory: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PHALA_CLOUD_API_PREFIX")
    folder = home / ".phala-cloud"
    folder.mkdir()
    profiles = {"work": {"token": "phak_prod", "api_prefix": simulator.url}}
    (folder / "credentials.json").write_text(json.dumps({"schema_version": 1, "current_profile": "x", "profiles": profiles}))
    entries = [{"name": "prod", "profile": "work"}, {**LAB, "api_url": "{{ url }}"}]
    loaded = inventory({**BOTH, "accounts": entries}, extra_vars={**KEYS, "url": simulator.url})
    assert sorted(loaded.groups) == ["account_lab", "account_prod", "phala"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"accounts": []}, ["accounts: is empty"]),
        ({"accounts": None}, ["accounts: is empty"]),
        ({"accounts": [PROD], "api_key": "phak_x"}, ["api_key: cannot be used with 'accounts'"]),
        ({"accounts": [PROD], "profile": "x"}, ["profile: cannot be used"]),
        ({"accounts": [PROD], "api_url": "https://x.org"}, ["api_url: cannot be used"]),
        ({"accounts": [PROD, PROD]}, ["accounts[1].name: 'prod'"]),
        ({"accounts": [{"api_key": "phak_prod"}]}, ["accounts[0].name"]),
        ({"accounts": [{**PROD, "token": "x"}]}, ["accounts[0]: unknown key 'token'"]),
        ({"accounts": [{**PROD, "api_keys": "x"}]}, ["Did you mean 'api_key'"]),
        ({"accounts": ["phak_a-secret-key"]}, ["accounts[0]: expected a dictionary"]),
        ({"accounts": [{"name": "prod", "api_key": ["phak_a-secret-key"]}]}, ["accounts[0].api_key: expected text"]),
        ({"accounts": [{**PROD, "api_url": "http://example.org"}]}, ["accounts[0].api_url"]),
        ({"accounts": [{"name": "prod", "profile": "x"}]}, ["accounts[0].profile"]),
    ],
    ids=str,
)
def test_entries_that_are_wrong(options: dict[str, Any], words: list[str], refusal: Callable[..., str]) -> None:
    reason = refusal(options)
    assert [word for word in words if word not in reason] == []
    assert "secret" not in reason


def test_cache_holds_all_accounts_as_one(
    simulator: Simulator, inventory: Callable[..., Loaded], attempt: Callable[..., Loaded], tmp_path: Path
) -> None:
    cached = {**BOTH, "cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    fresh = inventory(cached, extra_vars=KEYS)
    count = len(simulator.requests)
    assert inventory(cached, extra_vars=KEYS).hosts == fresh.hosts
    assert len(simulator.requests) == count
    simulator.misbehave(Status(503), times=None)
    stale = inventory({**cached, "cache_timeout": 1, "cache_stale": 3600}, extra_vars=KEYS, flush_cache=True)
    assert stale.hosts == fresh.hosts
    refused = attempt({**cached, "accounts": [PROD, {**LAB, "api_key": "phak_wrong"}], "cache_stale": 3600})
    assert not refused.hosts


def test_key_of_another_account_in_a_response_is_masked(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.add_account("phak_lab", (App(name="the key phak_prod", cvms=(Cvm(name="db", vm_uuid=UUIDS[1]),)),))
    loaded = inventory(BOTH, extra_vars=KEYS, verbosity=2)
    assert loaded.values("phala_app_name")["db"] == "the key ***"
    assert not [line for line in loaded.displayed if "phak_prod" in line]
