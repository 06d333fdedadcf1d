# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Control nodes that share their inventory's cache in Redis, by the cache plugin of community.general."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.needs import skip_or_fail
from tests.simulator import App, Cvm, Simulator

from .conftest import Place

SECONDS_TO_START = 10


class RedisServer:
    """A server on a free port that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = ("redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", str(folder))
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=self.port, decode_responses=True)
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        over = time.monotonic() + SECONDS_TO_START
        while True:
            with contextlib.suppress(redis.ConnectionError):
                self.client.ping()
                return
            assert time.monotonic() < over, "redis-server did not start"
            time.sleep(0.05)

    @property
    def uri(self) -> str:
        return f"127.0.0.1:{self.port}:0"

    @property
    def entries(self) -> dict[str, str]:
        """What is kept, without the plugin's list of keys, which is no string."""
        return {name: self.client.get(name) for name in self.client.scan_iter(_type="string")}

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    if not shutil.which("redis-server"):
        skip_or_fail("the shared cache needs redis-server (redis-server)")
    started = RedisServer(tmp_path)
    yield started
    started.stop()


class Node(Place):
    """A control node that lists the inventory."""

    def list(self, *arguments: str) -> Any:
        return json.loads(self.run("ansible-inventory", "-i", "phala.yml", "--list", *arguments).stdout)

    def warnings(self) -> str:
        return " ".join(self.run("ansible-inventory", "-i", "phala.yml", "--list").stderr.split())


@pytest.fixture(scope="session")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the collection once."""
    place = Place(tmp_path_factory.mktemp("installed"))
    place.install(tarball)
    return place.folder / "collections"


@pytest.fixture
def make_node(installed: Path, tmp_path: Path, simulator: Simulator, server: RedisServer) -> Callable[..., Node]:
    """Return a function that sets up a control node with a home and a copy of the collection of its own."""

    def make(name: str, *, api_key: str | None = None, **options: Any) -> Node:
        folder = tmp_path / name
        shutil.copytree(installed, folder / "collections")
        cache = {"cache": True, "cache_plugin": "community.general.redis", "cache_connection": server.uri, "cache_timeout": 3600}
        source = {"plugin": "phala.cloud.phala", **cache, **options}
        (folder / "phala.yml").write_text(json.dumps(source), encoding="utf-8")
        return Node(folder, {"PHALA_CLOUD_API_KEY": api_key or simulator.api_key, "PHALA_CLOUD_API_PREFIX": simulator.url})

    return make


def test_second_node_takes_the_answer_of_the_first(make_node: Callable[..., Node], simulator: Simulator) -> None:
    here, there = make_node("here"), make_node("there")
    listed = here.list()
    assert len(listed["_meta"]["hostvars"]) == 12
    assert len(simulator.requests) == 1
    simulator.fleet = ()
    assert there.list() == listed
    assert here.list() == listed
    assert len(simulator.requests) == 1


def test_other_query_or_account_is_not_served_from_it(
    make_node: Callable[..., Node], simulator: Simulator, server: RedisServer
) -> None:
    simulator.add_account("phak_other", (App(name="app", cvms=(Cvm(name="solo"),)),))
    make_node("here").list()
    other_query = make_node("query", filters={"status": "stopped"}).list()
    other_account = make_node("account", api_key="phak_other").list()
    assert other_query != other_account
    assert list(other_account["_meta"]["hostvars"]) == ["solo"]
    assert (len(simulator.requests), len(server.entries)) == (3, 3)


def test_expired_answer_is_gone_for_all(make_node: Callable[..., Node], simulator: Simulator, server: RedisServer) -> None:
    here, there = make_node("here", cache_timeout=1), make_node("there", cache_timeout=1)
    here.list()
    deadline = time.monotonic() + SECONDS_TO_START
    while server.entries:
        assert time.monotonic() < deadline, "Redis still has the answer"
        time.sleep(0.05)
    simulator.fleet = (App(name="app", cvms=(Cvm(name="solo"),)),)
    assert list(there.list()["_meta"]["hostvars"]) == ["solo"]
    assert len(simulator.requests) == 2


def test_age_counts_from_the_request_whichever_node_made_it(make_node: Callable[..., Node], simulator: Simulator) -> None:
    make_node("here").list()
    impatient = make_node("there", cache_timeout=1)
    time.sleep(1.1)
    impatient.list()
    assert len(simulator.requests) == 2


def test_flush_on_one_node_is_seen_on_the_other(make_node: Callable[..., Node], simulator: Simulator) -> None:
    here, there = make_node("here"), make_node("there")
    here.list()
    simulator.fleet = (App(name="app", cvms=(Cvm(name="solo"),)),)
    assert list(there.list("--flush-cache")["_meta"]["hostvars"]) == ["solo"]
    assert list(here.list()["_meta"]["hostvars"]) == ["solo"]
    assert len(simulator.requests) == 2


def test_nodes_at_the_same_time_get_the_same(make_node: Callable[..., Node], server: RedisServer) -> None:
    nodes = [make_node(f"node-{number}") for number in range(4)]
    with ThreadPoolExecutor(len(nodes)) as pool:
        first, *others = pool.map(Node.list, nodes)
    assert len(first["_meta"]["hostvars"]) == 12
    assert others == [first] * 3
    assert len(server.entries) == 1


def test_key_is_not_in_redis(make_node: Callable[..., Node], simulator: Simulator, server: RedisServer) -> None:
    make_node("here").list()
    assert server.entries
    assert simulator.api_key not in json.dumps(server.entries)


def test_server_that_is_gone_is_a_warning_and_the_service_is_asked(
    make_node: Callable[..., Node], simulator: Simulator, server: RedisServer
) -> None:
    node = make_node("here")
    listed = node.list()
    server.stop()
    assert node.list() == listed
    assert "The inventory cache cannot be read, so the plugin asks the service" in node.warnings()
    assert len(simulator.requests) == 3
