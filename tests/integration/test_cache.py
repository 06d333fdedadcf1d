# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept of the service's answers, when it is used, and what never gets into it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.cache_entries import unpacked
from ansible_collections.phala.cloud.tests.commands import Completed, squeeze
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import Body, Close, Hang, Html, Redirect, Replace, Reset, Status

from .fleets import FLEET, NAMES, one_cvm

ONCE = {"retries": 0, "timeout": 20}
OUTAGE = Status(503)


@pytest.fixture(autouse=True)
def fleet(simulator: Simulator) -> None:
    simulator.fleet = FLEET


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cached(folder: Path) -> dict[str, Any]:
    """Give options that keep answers in files."""
    return {**ONCE, "cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(folder)}


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that sets the clock so many seconds past the true time."""
    now = time.time

    def let_pass(seconds: int) -> None:
        monkeypatch.setattr(time, "time", lambda: now() + seconds)

    return let_pass


@pytest.fixture
def outage(
    cached: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded], pass_time: Callable[[int], None]
) -> Callable[..., dict[str, Any]]:
    """Return a function that fills the cache and, so many seconds after, has the service fail; it returns the options."""

    def begin(options: Mapping[str, Any], *, after: int, fault: Any = OUTAGE) -> dict[str, Any]:
        caching = {**cached, **options}
        inventory(caching)
        pass_time(after)
        simulator.misbehave(fault, times=None)
        return caching

    return begin


def test_second_run_makes_no_request_and_gives_the_same(
    cached: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    first = inventory(cached)
    assert len(simulator.requests) == 1
    second = inventory(cached)
    assert len(simulator.requests) == 1
    assert list(second.hosts.items()) == list(first.hosts.items())
    assert list(second.groups.items()) == list(first.groups.items())
    assert second.group_variables == first.group_variables
    assert second.warnings == first.warnings


def test_warnings_of_the_fetch_come_again_with_each_hit(
    cached: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    app = App(name="web", cvms=(Cvm(name="web-1", physical_node="metal", extra={"huge": 10**30}),), cvm_count=2)
    simulator.fleet = (app,)
    options = {**cached, "filters": {"node": "metal"}}
    loaded = [inventory(options) for _run in range(2)]
    assert [request.path.rpartition("/")[2] for request in simulator.requests] == ["apps", "filter-options"]
    for each in loaded:
        assert list(each.hosts) == ["web-1"]
        number, hidden = each.warnings
        assert "does not fit 64 bits" in number
        assert "counts 2 and shows 1" in hidden


def test_hit_needs_no_service_and_loads_nothing_to_ask_it_with(
    cached: dict[str, Any],
    simulator: Simulator,
    inventory: Callable[..., Loaded],
    write: Callable[..., Path],
    command: Callable[..., Completed],
) -> None:
    inventory(cached)
    simulator.misbehave(Reset(), times=None)
    write(cached)
    program = """
import sys
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
before = set(sys.modules)
manager = InventoryManager(DataLoader(), sources=["phala.yml"])
loaded = {part for name in set(sys.modules) - before for part in (name.partition(".")[0], name.rpartition(".")[2])}
print(len(manager.hosts), sorted(loaded & {"requests", "urllib3", "ssl", "http", "certifi", "_api", "_paging", "_unmatched"}))
"""
    completed = command("python", "-c", program)
    assert (completed.stdout.strip(), completed.stderr) == (f"{len(NAMES)} []", "")
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("form", [[], ["--yaml"]])
def test_hit_of_the_real_command_is_told(
    cached: dict[str, Any], simulator: Simulator, ansible_inventory: Callable[..., Completed], form: list[str]
) -> None:
    first = ansible_inventory(cached, "--list", *form)
    second = ansible_inventory(cached, "--list", *form, "-v")
    assert second.stdout.endswith(first.stdout)
    assert squeeze(f"{simulator.url} (cache,") in second.said
    assert len(simulator.requests) == 1


def test_flush_cache_asks_again_and_rewrites(
    cached: dict[str, Any],
    simulator: Simulator,
    write: Callable[..., Path],
    command: Callable[..., Completed],
    inventory: Callable[..., Loaded],
) -> None:
    inventory(cached)
    simulator.fleet = one_cvm()
    assert sorted(inventory(cached).hosts) == NAMES
    playbook = write("- hosts: all\n", name="site.yml")
    listed = command("ansible-playbook", "-i", "phala.yml", playbook, "--list-hosts", "--flush-cache")
    assert (listed.status, "hosts (1):\n      solo\n" in listed.stdout) == (0, True)
    assert len(simulator.requests) == 2
    assert list(inventory(cached).hosts) == ["solo"]
    assert len(simulator.requests) == 2


def test_flush_cache_rewrites_one_entry(
    cached: dict[str, Any], folder: Path, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    inventory(cached)
    before = [entry.name for entry in entries(folder)]
    simulator.fleet = one_cvm()
    inventory(cached, flush_cache=True)
    assert [entry.name for entry in entries(folder)] == before
    assert list(inventory(cached).hosts) == ["solo"]


def test_expired_answer_is_asked_for_again(
    cached: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded], pass_time: Callable[[int], None]
) -> None:
    options = {**cached, "cache_timeout": 60}
    inventory(options)
    pass_time(59)
    inventory(options)
    assert len(simulator.requests) == 1
    pass_time(61)
    inventory(options)
    assert len(simulator.requests) == 2


def test_timeout_of_zero_never_expires(
    cached: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded], pass_time: Callable[[int], None]
) -> None:
    options = {**cached, "cache_timeout": 0}
    inventory(options)
    pass_time(10**8)
    inventory(options)
    assert len(simulator.requests) == 1


def test_memory_keeps_nothing_beyond_a_source(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    # Core makes a new memory for each source that it reads, also for `meta: refresh_inventory`.
    options = {"cache": True, "cache_plugin": "memory"}
    assert sorted(inventory(options).hosts) == NAMES
    assert sorted(inventory(options).hosts) == NAMES
    assert len(simulator.requests) == 2


def test_cache_may_be_turned_on_by_the_environment(
    folder: Path, simulator: Simulator, inventory: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_INVENTORY_CACHE", "true")
    monkeypatch.setenv("ANSIBLE_INVENTORY_CACHE_PLUGIN", "ansible.builtin.jsonfile")
    monkeypatch.setenv("ANSIBLE_INVENTORY_CACHE_CONNECTION", str(folder))
    inventory()
    inventory()
    assert len(simulator.requests) == 1


def test_prefix_begins_the_name_of_the_entry(cached: dict[str, Any], folder: Path, inventory: Callable[..., Loaded]) -> None:
    inventory({**cached, "cache_prefix": "mine_"})
    assert [entry.name.startswith("mine_") for entry in entries(folder)] == [True]


# What the key of an entry covers


@pytest.mark.parametrize(
    "changes",
    [
        {"filters": {"region": "US-WEST-1"}},
        {"include_filters": [{"status": "running"}]},
        {"api_version": "2025-10-28"},
        {"api_key": "phak_other-account"},
    ],
    ids=str,
)
def test_other_query_version_or_account_is_another_entry(
    changes: dict[str, Any], cached: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.add_account("phak_other-account", one_cvm())
    inventory(cached)
    changed = inventory({**cached, **changes})
    assert len(simulator.requests) == 2
    assert sorted(changed.hosts) != NAMES or "api_version" in changes
    inventory(cached)
    inventory({**cached, **changes})
    assert len(simulator.requests) == 2


def test_extra_variable_in_a_filter_makes_another_entry(
    cached: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    options = {**cached, "filters": {"region": "{{ target }}"}}
    for _run in range(2):
        assert sorted(inventory(options, extra_vars={"target": "US-WEST-1"}).hosts) == ["web-1", "web-2"]
        assert sorted(inventory(options, extra_vars={"target": "US-EAST-1"}).hosts) == ["api-1", "db"]
    assert len(simulator.requests) == 2


def test_other_url_is_another_entry(cached: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    inventory(cached)
    with Simulator(fleet=one_cvm(), api_key=simulator.api_key) as other:
        assert list(inventory({**cached, "api_url": other.url}).hosts) == ["solo"]
    assert sorted(inventory(cached).hosts) == NAMES


def test_answer_is_not_read_with_another_key(
    cached: dict[str, Any], refusal: Callable[..., str], inventory: Callable[..., Loaded]
) -> None:
    inventory(cached)
    assert "401 from" in refusal({**cached, "api_key": "phak_wrong", "cache_stale": 10**6})


@pytest.mark.parametrize(
    "changes",
    [
        {"group_by": ["app"]},
        {"hostnames": ["instance_id"]},
        {"hostvars_prefix": "x_"},
        {"group": "cvms", "group_prefix": "c_"},
        {"connect_with": "none"},
        {"host_filters": ["phala_status == 'stopped'"]},
        {"exclude_filters": [{"status": "stopped"}]},
        {"compose": {"a": "phala_name"}, "keyed_groups": [{"key": "a"}]},
        {"page_size": 1, "concurrency": 1, "timeout": 2, "retries": 3},
        {"cache_timeout": 7200},
    ],
    ids=str,
)
def test_what_is_made_of_the_answer_may_change_without_a_request(
    changes: dict[str, Any], cached: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    inventory(cached)
    hit = inventory({**cached, **changes})
    assert len(simulator.requests) == 1
    fresh = inventory({**ONCE, **changes})
    assert list(hit.hosts.items()) == list(fresh.hosts.items())
    assert list(hit.groups.items()) == list(fresh.groups.items())


def test_key_must_be_known_for_a_hit(
    cached: dict[str, Any], inventory: Callable[..., Loaded], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory(cached)
    monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    assert "there is no API key" in refusal(cached)


# What is in it


def test_nothing_secret_is_kept(
    cached: dict[str, Any], folder: Path, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    inventory(cached)
    (entry,) = entries(folder)
    kept = entry.name + unpacked(entry.read_text())
    assert simulator.api_key not in kept
    assert "web-1" in kept


def test_text_of_the_api_is_not_run_from_the_cache(
    cached: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded], ansible_inventory: Callable[..., Completed]
) -> None:
    simulator.fleet = one_cvm(extra={"evil": "{{ 7 * 7 }}", "number": 1.0, "nothing": None})
    fresh = inventory(cached).hosts
    assert inventory(cached).hosts == fresh
    printed = ansible_inventory(cached, "--list").json["_meta"]["hostvars"]["solo"]
    assert printed["phala_evil"] == {"__ansible_unsafe": "{{ 7 * 7 }}"}
    assert json.dumps([printed["phala_number"], printed["phala_nothing"]]) == "[1.0, null]"
    assert len(simulator.requests) == 1


# tests/security damages entries in many more ways.
DAMAGES: list[Callable[[str], str]] = [lambda text: text[:-20], lambda text: text.replace("A", "B", 1), lambda _text: "null"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_entry_is_asked_for_again_and_rewritten(
    damage: Callable[[str], str], cached: dict[str, Any], folder: Path, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    inventory(cached)
    (entry,) = entries(folder)
    entry.write_text(damage(entry.read_text()))
    loaded = inventory(cached)
    assert sorted(loaded.hosts) == NAMES
    assert len(simulator.requests) == 2
    inventory(cached)
    assert len(simulator.requests) == 2


def test_cache_that_cannot_be_read_or_written_is_a_warning(
    cached: dict[str, Any], folder: Path, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    inventory(cached)
    (entry,) = entries(folder)
    entry.unlink()
    entry.mkdir()  # not even root can write a file there
    loaded = inventory(cached)
    assert sorted(loaded.hosts) == NAMES
    assert [warning for warning in loaded.warnings if "cache" in warning]
    assert len(simulator.requests) == 2


BROKEN_PLUGIN = """
from ansible.plugins.cache.jsonfile import DOCUMENTATION, CacheModule as Files


class CacheModule(Files):
    def contains(self, key):
        return True

    def get(self, key):
        raise RuntimeError("disk on fire")

    def set(self, key, value):
        raise RuntimeError("disk on fire")
"""


def test_cache_plugin_that_fails_is_a_warning_and_the_service_is_asked(
    simulator: Simulator, write: Callable[..., Path], ansible_inventory: Callable[..., Completed], tmp_path: Path
) -> None:
    (tmp_path / "plugins").mkdir()
    write(BROKEN_PLUGIN, name="plugins/broken.py")
    env = {"ANSIBLE_CACHE_PLUGINS": str(tmp_path / "plugins")}
    completed = ansible_inventory({"cache": True, "cache_plugin": "broken", "cache_connection": "cache"}, "--list", env=env)
    assert sorted(completed.json["_meta"]["hostvars"]) == NAMES
    assert squeeze("cannot be read, so the plugin asks the service") in completed.said
    assert squeeze("cannot be written, so the next run asks the service again") in completed.said
    assert len(simulator.requests) == 1


def test_entry_of_tomorrow_is_not_trusted(
    cached: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded], pass_time: Callable[[int], None]
) -> None:
    pass_time(10**6)
    inventory(cached)
    pass_time(0)
    assert sorted(inventory(cached).hosts) == NAMES
    assert len(simulator.requests) == 2


def test_failed_source_leaves_the_cache_as_it_was(
    cached: dict[str, Any], folder: Path, simulator: Simulator, inventory: Callable[..., Loaded], refusal: Callable[..., str]
) -> None:
    inventory(cached)
    before = [(entry.name, entry.read_bytes()) for entry in entries(folder)]
    simulator.misbehave(Status(401))
    refusal(cached, flush_cache=True)
    assert [(entry.name, entry.read_bytes()) for entry in entries(folder)] == before


def test_only_a_whole_answer_is_kept(
    cached: dict[str, Any], folder: Path, simulator: Simulator, refusal: Callable[..., str]
) -> None:
    simulator.misbehave(Status(503), page=2, times=None)
    refusal({**cached, "page_size": 1})
    assert entries(folder) == []


# A stale answer


STALE = {"cache_timeout": 60, "cache_stale": 3600}
UNREACHABLE = [Status(429), Status(429, retry_after=3600), Status(500), Status(503), Reset(), Close(), Hang(), Html(status=502)]
REFUSED = [
    Status(400),
    Status(401),
    Status(403),
    Status(404),
    Status(422),
    Redirect("/login"),
    Html(),
    Body(b"{}"),
    Body(b'{"dstack_apps": ['),
    Replace("dstack_apps", None),
    Replace("dstack_apps.*.cvms", 12),
]


@pytest.mark.parametrize("fault", UNREACHABLE, ids=str)
def test_stale_answer_is_served_while_the_service_cannot_answer(
    fault: Any,
    cached: dict[str, Any],
    simulator: Simulator,
    inventory: Callable[..., Loaded],
    pass_time: Callable[[int], None],
) -> None:
    options = {**cached, **STALE}
    fresh = inventory(options)
    pass_time(600)
    simulator.misbehave(fault, times=None)
    stale = inventory({**options, "timeout": 1 if isinstance(fault, Hang) else 20}, verbosity=1)
    assert list(stale.hosts.items()) == list(fresh.hosts.items())
    (warning,) = stale.warnings
    assert re.search(r"\b6\d\d s old", warning)
    assert [words for words in ("cache_stale", simulator.url) if words not in warning] == []
    assert len(simulator.requests) == 2
    assert [line for line in stale.displayed if "stale cache" in line]


def test_stale_answer_is_served_when_nobody_listens(
    cached: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded], pass_time: Callable[[int], None]
) -> None:
    options = {**cached, **STALE}
    with Simulator(fleet=one_cvm(), api_key=simulator.api_key) as other:
        options["api_url"] = other.url
        inventory(options)
    pass_time(600)
    loaded = inventory(options)
    assert list(loaded.hosts) == ["solo"]
    assert re.search(r"\b6\d\d s old", loaded.warnings[0])


@pytest.mark.parametrize("fault", REFUSED, ids=str)
def test_stale_answer_does_not_make_up_for_a_refusal_or_a_malformed_answer(
    fault: Any, simulator: Simulator, outage: Callable[..., dict[str, Any]], refusal: Callable[..., str]
) -> None:
    assert simulator.url in refusal(outage(STALE, after=600, fault=fault))


def test_stale_answer_is_not_served_when_too_old(outage: Callable[..., dict[str, Any]], refusal: Callable[..., str]) -> None:
    assert "503 from" in refusal(outage(STALE, after=3700))


def test_stale_answer_is_not_served_unless_asked_for(outage: Callable[..., dict[str, Any]], refusal: Callable[..., str]) -> None:
    assert "503 from" in refusal(outage({"cache_timeout": 60}, after=61))


def test_stale_answer_is_not_served_as_long_as_the_service_answers(
    cached: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded], pass_time: Callable[[int], None]
) -> None:
    options = {**cached, **STALE}
    inventory(options)
    pass_time(61)
    simulator.fleet = one_cvm()
    loaded = inventory(options)
    assert list(loaded.hosts) == ["solo"]
    assert loaded.warnings == []


def test_flush_cache_may_still_serve_a_stale_answer_with_its_warning(
    outage: Callable[..., dict[str, Any]], inventory: Callable[..., Loaded]
) -> None:
    loaded = inventory(outage(STALE, after=0), flush_cache=True)
    assert sorted(loaded.hosts) == NAMES
    assert "s old" in loaded.warnings[0]


def test_flush_cache_serves_no_answer_older_than_cache_stale(
    outage: Callable[..., dict[str, Any]], inventory: Callable[..., Loaded], refusal: Callable[..., str]
) -> None:
    options = outage({"cache_timeout": 3600, "cache_stale": 60}, after=600)
    assert sorted(inventory(options).hosts) == NAMES
    assert "503 from" in refusal(options, flush_cache=True)


def test_two_sources_keep_two_entries(
    cached: dict[str, Any], folder: Path, simulator: Simulator, write: Callable[..., Path], load_all: Callable[..., Loaded]
) -> None:
    simulator.add_account("phak_other-account", (App(name="other", cvms=(Cvm(name="other"),)),))
    sources = [write(cached), write({**cached, "api_key": "phak_other-account", "group": "others"}, name="other.phala.yml")]
    first = load_all(*sources)
    second = load_all(*sources)
    assert len(simulator.requests) == 2
    assert len(entries(folder)) == 2
    assert second.hosts == first.hosts
    assert second.groups["others"] == ["other"]
