# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._cache import Seal, StoredFleet

KEY = "phak_secret"
URL = "https://phala.example.org/api/v1"
APPS = [[{"app_id": "a" * 40, "name": "\ud800 {{ x }}"}], []]
FLEET = StoredFleet(APPS, 1000, {}, [])


def seal(**changes: Any) -> Seal:
    return Seal(
        **{"key": KEY, "url": URL, "version": "2026-01-21", "queries": [{"region": ("a",), "status": ("b", "c")}], **changes}
    )


def test_signed_fleet_is_verified() -> None:
    fleet = StoredFleet(APPS, 1000.5, {"node": ["prod7"]}, ["a number was replaced"])
    assert seal().verified(seal().signed(fleet)) == fleet


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "phak_other"},
        {"url": "https://other.example.org/api/v1"},
        {"version": "2025-10-28"},
        {"queries": [{}]},
        {"queries": [{"region": ("a",), "status": ("b",)}]},
        {"queries": [{"region": ("a",), "status": ("b", "c")}, {}]},
        {"queries": []},
    ],
    ids=str,
)
def test_entry_is_of_one_account_url_version_and_query(changes: dict[str, Any]) -> None:
    assert seal(**changes).entry != seal().entry
    assert seal(**changes).verified(seal().signed(FLEET)) is None


def test_order_of_filter_names_does_not_matter() -> None:
    assert seal(queries=[{"status": ("b", "c"), "region": ("a",)}]).entry == seal().entry


def test_entry_is_a_name_for_a_file() -> None:
    assert re.fullmatch(r"[a-z0-9_]+", seal().entry)


def test_key_is_in_no_entry() -> None:
    assert KEY not in seal().entry + seal().signed(FLEET)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-1],
        lambda text: text + " ",
        lambda text: text.replace("1000", "9999"),
        lambda text: text.replace("app_id", "app_ID"),
        lambda text: "0" + text[1:] if text[0] != "0" else "1" + text[1:],
        lambda text: text.partition("\n")[2],
        lambda _text: "",
        lambda _text: "\ud800\n",
        lambda _text: None,
        lambda _text: {"saved": 1000, "apps": []},
        lambda _text: ["x"],
    ],
)
def test_damaged_entry_is_not_verified(damage: Any) -> None:
    text = seal().signed(FLEET)
    assert seal().verified(text) is not None
    assert seal().verified(damage(text)) is None


@pytest.mark.parametrize(("now", "age"), [(1000, 0), (1060.5, 60.5), (999, None)])
def test_age_is_unknown_before_the_time_of_saving(now: float, age: float | None) -> None:
    assert StoredFleet([], 1000, {}, []).age(now) == age
