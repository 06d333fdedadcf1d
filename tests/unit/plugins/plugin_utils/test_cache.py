# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError

from ansible_collections.phala.cloud.plugins.plugin_utils import _cache
from ansible_collections.phala.cloud.plugins.plugin_utils._apps import read_apps
from ansible_collections.phala.cloud.plugins.plugin_utils._cache import FORMAT, FleetCache, Seal, StoredFleet
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Account
from ansible_collections.phala.cloud.plugins.plugin_utils._version import COLLECTION_VERSION
from ansible_collections.phala.cloud.tests.comparing import what_is_shown

KEY = "phak_secret"
URL = "https://phala.example.org/api/v1"
CVM = {"vm_uuid": "u1", "status": "running", "name": "\N{SNOWMAN} {{ x }}"}
APPS = [read_apps([{"app_id": "a" * 40, "cvms": [CVM]}], account="")[0], []]
FLEET = StoredFleet(APPS, 1000, {}, [])


def compared(fleet: StoredFleet) -> StoredFleet:
    return replace(fleet, apps=what_is_shown(fleet.apps))


def seal(**changes: Any) -> Seal:
    return Seal(
        **{"key": KEY, "url": URL, "version": "2026-01-21", "queries": [{"region": ("a",), "status": ("b", "c")}], **changes}
    )


def test_signed_fleet_is_verified() -> None:
    fleet = StoredFleet(APPS, 1000.5, {"node": ["prod7"]}, ["a number was replaced"])
    found = seal().verified(seal().signed(fleet))
    assert found is not None
    assert compared(found) == compared(fleet)


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


def test_entry_is_of_one_version_of_the_code_that_reads_cvms(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {COLLECTION_VERSION, CORE_VARIABLES, sys.byteorder} < set(FORMAT)
    entry, text = seal().entry, seal().signed(FLEET)
    monkeypatch.setattr(_cache, "FORMAT", (*FORMAT, "another"))
    assert seal().entry != entry
    assert seal().verified(text) is None


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
        lambda text: text.swapcase(),
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


class Store(dict[str, Any]):
    """Stand for ansible-core's cache, with the errors that reading and writing raise."""

    def __init__(self, *, get: Exception | None = None, write: Exception | None = None) -> None:
        super().__init__()
        self.get_error, self.write_error = get, write
        self.writes = 0

    def get(self, name: str, default: Any = None) -> Any:
        if self.get_error:
            raise self.get_error
        return super().get(name, default)

    def update_cache_if_changed(self) -> None:
        if self.write_error:
            raise self.write_error
        self.writes += 1


def cache(store: Any, reported: list[Diagnostic], *accounts: Account, **changes: Any) -> FleetCache:
    accounts = accounts or (Account("me", URL, KEY, ""),)
    api = SimpleNamespace(version="2026-01-21")
    settings: Any = SimpleNamespace(**{"accounts": accounts, "queries": ({},), "excludes": (), "api": api, **changes})
    return FleetCache(store, settings, reported.append)


def test_saved_fleet_is_loaded_again() -> None:
    store, reported = Store(), list[Diagnostic]()
    assert cache(store, reported).load() is None
    cache(store, reported).save(FLEET)
    loaded = cache(store, reported).load()
    assert loaded is not None
    assert compared(loaded) == compared(FLEET)
    assert (store.writes, reported) == (1, [])


@pytest.mark.parametrize(
    ("changes", "is_marked"),
    [
        ({}, True),
        ({"queries": ({}, {"name": ("web",)})}, False),
        ({"queries": ({}, {"os_type": ("dev",), "team": ("x",)})}, False),
        ({"excludes": ({"region": ("a",)},)}, False),
    ],
)
def test_texts_are_marked_at_once_unless_cvms_may_be_left_out(changes: dict[str, Any], *, is_marked: bool) -> None:
    store = Store()
    cache(store, [], **changes).save(FLEET)
    loaded = cache(store, [], **changes).load()
    assert loaded is not None
    assert compared(loaded) == compared(FLEET)
    assert [cvm.is_marked for app in loaded.apps[0] for cvm in app.cvms] == [is_marked]


@pytest.mark.parametrize(
    "accounts",
    [
        [Account("you", URL, KEY, "")],
        [Account("me", "https://other.example.org", KEY, "")],
        [Account("me", URL, "phak_other", "")],
        [Account("me", URL, KEY, ""), Account("you", URL, KEY, "")],
    ],
)
def test_fleet_of_other_accounts_is_another_entry(accounts: list[Account]) -> None:
    store, reported = Store(), list[Diagnostic]()
    cache(store, reported).save(FLEET)
    assert cache(store, reported, *accounts).load() is None
    assert reported == []


def warned(reported: list[Diagnostic]) -> str:
    (diagnostic,) = reported
    assert (diagnostic.level, diagnostic.advice) == (Level.WARNING, "Check the options of the cache.")
    return ": ".join((diagnostic.text, *map(str, diagnostic.subjects)))


def test_damaged_entry_is_a_warning() -> None:
    store, reported = Store(), list[Diagnostic]()
    cache(store, reported).save(FLEET)
    store.update(dict.fromkeys(store, "damaged"))
    assert cache(store, reported).load() is None
    assert warned(reported) == "The inventory cache has a damaged entry, so the plugin asks the service"


@pytest.mark.parametrize(
    ("error", "cause", "reason"),
    [
        (OSError("no file"), None, "no file"),
        (OSError("no file"), OSError("inner"), "no file"),
        (AnsibleError("around"), None, "around"),
        (AnsibleError("around"), OSError("inner"), "inner"),
    ],
)
def test_cache_that_cannot_be_read_is_a_warning_with_the_reason(error: Exception, cause: Exception | None, reason: str) -> None:
    error.__cause__ = cause
    reported: list[Diagnostic] = []
    assert cache(Store(get=error), reported).load() is None
    assert warned(reported) == f"The inventory cache cannot be read, so the plugin asks the service: {reason}"


def test_entry_that_cannot_be_written_is_a_warning_and_not_kept() -> None:
    store, reported = Store(write=OSError("disk is full.")), list[Diagnostic]()
    cache(store, reported).save(FLEET)
    assert warned(reported) == "The inventory cache cannot be written, so the next run asks the service again: disk is full"
    assert store == {}


def test_fleet_that_is_nested_too_deeply_to_be_stored_is_a_warning() -> None:
    deep: list[Any] = []
    for _level in range(100_000):
        deep = [deep]
    apps = [read_apps([{"app_id": "a" * 40, "cvms": [{**CVM, "deep": deep}]}], account="")[0]]
    store, reported = Store(), list[Diagnostic]()
    cache(store, reported).save(StoredFleet(apps, 1000))
    assert "cannot be written" in warned(reported)
    assert store == {}


def test_cache_plugin_that_keeps_files_reads_regular_files_only(tmp_path: Path) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.touch()
    store = Store()
    plugin = SimpleNamespace(_load=lambda path: f"content of {path}")
    store._plugin = plugin  # type: ignore[attr-defined]
    cache(store, [])
    assert plugin._load(str(file)) == f"content of {file}"
    assert plugin._load(str(tmp_path / "gone")) == f"content of {tmp_path}/gone"
    with pytest.raises(OSError, match="pipe is not a regular file"):
        plugin._load(str(pipe))


@pytest.mark.parametrize("plugin", [None, object()])
def test_other_cache_plugins_are_left_alone(plugin: Any) -> None:
    store = Store()
    store._plugin = plugin  # type: ignore[attr-defined]
    cache(store, []).save(FLEET)
    assert store.writes == 1
