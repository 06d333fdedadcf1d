# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever happens to the cache, the next run has the right hosts, from the service if need be."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils import _cache
from ansible_collections.phala.cloud.tests.commands import environment
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import Simulator, make_fleet
from ansible_collections.phala.cloud.tests.simulator.faults import Replace, Status

from .project import KEY, Project

OTHER_FLEET: Final = make_fleet(seed=5, cvms=9)
ROOT: Final = os.geteuid() == 0


class CachedProject(Project):
    """A source with a jsonfile cache that is good for an hour."""

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def write(self, **options: Any) -> Path:
        caching = {"cache": True, "cache_plugin": "jsonfile", "cache_connection": str(self.cache), "cache_timeout": 3600}
        return super().write(**{**caching, **options})

    @property
    def entry(self) -> Path:
        """The one file of the cache."""
        (path,) = self.cache.iterdir()
        return path


@pytest.fixture
def cached(tmp_path: Path, simulator: Simulator) -> CachedProject:
    return CachedProject(tmp_path, simulator.url)


@pytest.fixture
def filled(cached: CachedProject, simulator: Simulator) -> CachedProject:
    """Fill the cache, and then change the fleet, so that a run shows where it has its hosts from."""
    assert len(cached.read().assert_whole().hosts) == 14
    simulator.clear()
    simulator.fleet = OTHER_FLEET
    return cached


def assert_fresh(outcome: Loaded, simulator: Simulator) -> None:
    assert len(outcome.assert_whole().hosts) == 9
    assert simulator.requests


def assert_stored(project: CachedProject, simulator: Simulator) -> None:
    """Assert that what was fetched is in the cache now."""
    simulator.clear()
    assert len(project.read().assert_whole().hosts) == 9
    assert not simulator.requests


def test_what_is_cached_is_used(filled: CachedProject, simulator: Simulator) -> None:
    """Without this none of the following would tell anything."""
    assert len(filled.read().assert_whole().hosts) == 14
    assert not simulator.requests


DAMAGES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "empty": lambda _content: b"",
    "one byte": lambda content: content[:1],
    "half written": lambda content: content[: len(content) // 2],
    "all but the last byte": lambda content: content[:-1],
    "zeros": lambda content: b"\x00" * len(content),
    "zeros at the end": lambda content: content[:-100] + b"\x00" * 100,
    "noise": lambda content: hashlib.shake_256(b"noise").digest(len(content)),
    "no UTF-8": lambda content: content.replace(b"a", b"\xff", 1),
    "another JSON": lambda _content: b'{"some": "thing"}',
    "a JSON text": lambda _content: b'"text"',
    "a JSON number": lambda _content: b"12",
    "null": lambda _content: b"null",
    "a list": lambda _content: b"[]",
    "deep JSON": lambda _content: b"[" * 100_000,
    "a character of the code changed": lambda content: re.sub(rb"[0-9]", b"z", content, count=1),
    "a character of the fleet changed": lambda content: re.sub(rb"[A-Z]", b"z", content, count=1),
    "a character lost in the middle": lambda content: content[: len(content) // 2] + content[len(content) // 2 + 1 :],
    "pickle": lambda _content: base64.b64decode("gASVIQAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAZ0b3VjaCB4lIWUUpQu"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_fetched_anew(filled: CachedProject, simulator: Simulator, damage: str) -> None:
    filled.entry.write_bytes(DAMAGES[damage](filled.entry.read_bytes()))
    assert_fresh(filled.read(), simulator)
    assert_stored(filled, simulator)


@pytest.mark.parametrize("damage", ["empty", "half written", "deep JSON", "a character of the fleet changed"])
def test_a_damaged_entry_makes_up_for_nothing(filled: CachedProject, simulator: Simulator, damage: str) -> None:
    filled.entry.write_bytes(DAMAGES[damage](filled.entry.read_bytes()))
    simulator.misbehave(Status(503), times=None)
    assert "503 from" in filled.read(cache_stale=10**6).assert_nothing().message


def put_folder(entry: Path) -> None:
    entry.mkdir()
    (entry / "file").touch()


@pytest.mark.parametrize("put", [put_folder, os.mkfifo], ids=["folder", "FIFO"])
def test_an_entry_that_is_not_a_file(filled: CachedProject, simulator: Simulator, put: Callable[[Path], None]) -> None:
    """Nobody writes to the FIFO."""
    entry = filled.entry
    entry.unlink()
    put(entry)
    outcome = filled.read()
    assert_fresh(outcome, simulator)
    assert any(f"{entry} is not a regular file" in text for text in outcome.displayed), outcome.displayed


def test_an_entry_that_is_a_link_to_nowhere(filled: CachedProject, simulator: Simulator) -> None:
    entry = filled.entry
    entry.unlink()
    entry.symlink_to(filled.folder / "nowhere")
    assert_fresh(filled.read(), simulator)


def test_an_entry_of_another_format(filled: CachedProject, simulator: Simulator) -> None:
    """Another version of this collection writes under another name, and what it writes does not open here."""
    ours = filled.entry
    with patch.object(_cache, "FORMAT", (*_cache.FORMAT, "changed")):
        assert_fresh(filled.read(), simulator)
    (theirs,) = set(filled.cache.iterdir()) - {ours}
    shutil.copy(theirs, ours)
    simulator.clear()
    simulator.fleet = make_fleet(seed=6, cvms=5)
    assert len(filled.read().assert_whole().hosts) == 5


@pytest.mark.parametrize(
    "options",
    [{"api_key": "phak_other"}, {"filters": {"status": "running"}}, {"api_version": "2025-10-28"}, {"api_url": "{url}/../v1"}],
    ids=lambda options: next(iter(options)),
)
def test_an_entry_of_another_source_does_not_open(filled: CachedProject, simulator: Simulator, options: dict[str, Any]) -> None:
    """Not even where somebody puts it in the place of this one's."""
    simulator.add_account("phak_other", OTHER_FLEET)
    ours = filled.entry
    others: dict[str, Any] = {
        name: value.format(url=filled.url) if isinstance(value, str) else value for name, value in options.items()
    }
    outcome = filled.read(**others)
    if "api_url" in options:  # whatever the service makes of such a path
        assert len(outcome.hosts) in (0, 9)
        assert simulator.requests
        return
    outcome.assert_whole()
    assert simulator.requests
    (theirs,) = set(filled.cache.iterdir()) - {ours}
    shutil.copy(ours, theirs)
    simulator.clear()
    filled.read(**others).assert_whole()
    assert simulator.requests


@pytest.mark.parametrize("seconds", [60, 86400, 10**9])
@pytest.mark.parametrize("stale", [0, 10**10])
def test_a_clock_that_goes_back(cached: CachedProject, simulator: Simulator, seconds: int, stale: int) -> None:
    """The entry is from the future: nobody can say how old it is."""
    future = time.time() + seconds
    with patch("time.time", lambda: future):
        cached.read().assert_whole()
    os.utime(cached.entry, (future, future))
    simulator.fleet = OTHER_FLEET
    simulator.clear()
    assert_fresh(cached.read(cache_stale=stale), simulator)
    assert_stored(cached, simulator)


def test_a_clock_that_went_back_lets_no_old_answer_stand_in(cached: CachedProject, simulator: Simulator) -> None:
    future = time.time() + 3600
    with patch("time.time", lambda: future):
        cached.read().assert_whole()
    os.utime(cached.entry, (future, future))
    simulator.misbehave(Status(503), times=None)
    assert "503 from" in cached.read(cache_stale=10**9).assert_nothing().message


def test_a_file_that_looks_new_is_as_old_as_it_says(cached: CachedProject, simulator: Simulator) -> None:
    """A restored or copied file has a new time, its content not."""
    past = time.time() - 7200
    with patch("time.time", lambda: past):
        cached.read().assert_whole()
    os.utime(cached.entry)
    simulator.fleet = OTHER_FLEET
    simulator.clear()
    assert_fresh(cached.read(), simulator)


def test_an_answer_that_cannot_be_used_is_not_kept(cached: CachedProject, simulator: Simulator) -> None:
    simulator.page_size_limit = 100
    simulator.misbehave(Replace("dstack_apps.*.cvms", 12))
    cached.read().assert_nothing()
    assert len(cached.read().assert_whole().hosts) == 14


@pytest.mark.parametrize("status", [401, 403, 404, 418, 422, 429, 503])
def test_a_failure_is_not_kept_and_keeps_what_was_there(filled: CachedProject, simulator: Simulator, status: int) -> None:
    before = filled.entry.read_bytes()
    simulator.misbehave(Status(status))
    filled.read(use_cache=False).assert_nothing()
    assert filled.entry.read_bytes() == before


# A disk that is full, a folder that cannot be written


def listed(project: CachedProject, **options: Any) -> tuple[int, str]:
    """Have the real command list the source, and return the number of hosts and what it said."""
    completed = project.run("ansible-inventory", "-i", project.write(), "--list", **options)
    assert completed.status == 0, completed.stderr
    assert "Traceback" not in completed.printed
    return len(json.loads(completed.stdout)["_meta"]["hostvars"]), "".join(completed.stderr.split())


def test_a_file_that_may_not_grow(cached: CachedProject, simulator: Simulator) -> None:
    """As on a disk that fills up: the entry is cut off after some blocks, and no half of it stays."""
    # The command writes nothing but the cache: no measured coverage, and no half of a compiled module.
    before = "unset COVERAGE_PROCESS_CONFIG COVERAGE_PROCESS_START; export PYTHONDONTWRITEBYTECODE=1; ulimit -f 8"
    count, said = listed(cached, before=before)
    assert count == 14
    assert "cache" in said
    simulator.fleet = OTHER_FLEET
    assert_fresh(cached.read(), simulator)


def test_a_full_disk(cached: CachedProject, simulator: Simulator) -> None:
    cached.cache.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=8k", "none", str(cached.cache)]
    if not ROOT or subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        pytest.skip("this takes a file system of its own, which may not be mounted here")
    try:
        outcome = cached.read().assert_whole()
        assert len(outcome.hosts) == 14
        assert any("cache" in text for text in outcome.displayed)
        simulator.fleet = OTHER_FLEET
        assert_fresh(cached.read(), simulator)
    finally:
        subprocess.run(["umount", "--lazy", str(cached.cache)], check=True)


@pytest.fixture
def without_override() -> list[str]:
    """Return words before a command that take root's right to write everywhere."""
    if not ROOT:
        return []
    words = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search"]
    if not shutil.which("setpriv") or subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("root may write everywhere, and setpriv cannot take that away here")
    return words


@pytest.mark.parametrize("mode", [0o555, 0o000], ids=["read-only", "closed"])
def test_a_folder_that_cannot_be_written(cached: CachedProject, without_override: list[str], mode: int) -> None:
    cached.cache.mkdir()
    cached.cache.chmod(mode)
    try:
        completed = cached.run("ansible-inventory", "-i", cached.write(), "--list", wrapper=without_override)
    finally:
        cached.cache.chmod(0o755)
    assert "Traceback" not in completed.printed
    said = "".join(completed.stderr.split())
    assert "cache" in said
    assert len(json.loads(completed.stdout)["_meta"]["hostvars"]) == 14


def test_an_entry_that_cannot_be_read(filled: CachedProject, simulator: Simulator, without_override: list[str]) -> None:
    entry = filled.entry
    entry.chmod(0o000)
    count, _said = listed(filled, wrapper=without_override)
    assert count == 9
    assert simulator.requests


@pytest.mark.parametrize("connection", ["file/below", "file", "/proc/no/such", "/dev/null/x"])
def test_a_folder_that_cannot_be_made(cached: CachedProject, connection: str) -> None:
    (cached.folder / "file").touch()
    outcome = cached.read(cache_connection=str(cached.folder / connection)).assert_whole()
    assert len(outcome.hosts) == 14
    assert any("the inventory cache cannot be opened, so the plugin asks the service" in text for text in outcome.displayed)


def test_a_folder_that_another_run_makes_at_the_same_moment(
    cached: CachedProject, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_second(path: str, *_arguments: Any, **_options: Any) -> None:
        os.mkdir(path)
        raise FileExistsError(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "makedirs", make_second)
        outcome = cached.read(timeout=30).assert_whole()
    assert not any("cache" in text for text in outcome.displayed)
    simulator.clear()
    assert len(cached.read(timeout=30).assert_whole().hosts) == 14
    assert not simulator.requests


# Two at once

RUNNER: Final = """
import hashlib, sys
from ansible.plugins.loader import init_plugin_loader
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
init_plugin_loader()
source, runs, flush = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for run in range(runs):
    manager = InventoryManager(DataLoader(), sources=[source], cache=run % flush != 0)
    hosts = sorted((host.name, sorted(host.vars.items(), key=str)) for host in manager.hosts.values())
    print(len(hosts), hashlib.sha256(repr(hosts).encode()).hexdigest())
"""


@pytest.mark.parametrize("runs", [8, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["one source", "two accounts"])
def test_two_runs_at_once(cached: CachedProject, simulator: Simulator, kind: str, runs: int) -> None:
    """One mostly reads the cache, the other writes it every other time; both always have the whole fleet of their account."""
    simulator.add_account("phak_other", OTHER_FLEET)
    first = cached.write(name="first.phala.yml", timeout=30)
    other_key = KEY if kind == "one source" else "phak_other"
    second = cached.write(name="second.phala.yml", timeout=30, api_key=other_key)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(source), str(runs), str(flush)],
            cwd=cached.folder,
            env=environment(cached.folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for source, flush in ((first, 5), (second, 2))
    ]
    outputs = [process.communicate(timeout=300 + 4 * runs) for process in processes]
    lines = [output.splitlines() for output, _said in outputs]
    assert [len(of_one) for of_one in lines] == [runs, runs], outputs
    assert [len(set(of_one)) for of_one in lines] == [1, 1], [said for _output, said in outputs]
    assert [of_one[0].split()[0] for of_one in lines] == ["14", "14" if kind == "one source" else "9"]
    assert not any("Traceback" in said for _output, said in outputs)


@pytest.mark.parametrize("kills", [1, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_run_that_is_killed_while_it_writes_loses_nothing(cached: CachedProject, number: signal.Signals, kills: int) -> None:
    source = cached.write(timeout=30)
    moments = random.Random(17)
    for _kill in range(kills):
        command = [sys.executable, "-u", "-c", RUNNER, str(source), "1000000", "1"]
        environ = environment(cached.folder)
        with subprocess.Popen(command, cwd=cached.folder, env=environ, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"14 ")
            time.sleep(moments.random() / 2)
            process.send_signal(number)
        outcome = cached.read(timeout=30, verbosity=1).assert_whole()
        assert len(outcome.hosts) == 14
        (origin,) = [text for text in outcome.displayed if "cache" in text]
        assert "(cache, " in origin
