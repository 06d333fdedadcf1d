# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ctrl-C ends the command within a second and without a traceback, whatever it is at."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from ansible_collections.phala.cloud.tests.commands import Completed, decoded, start
from ansible_collections.phala.cloud.tests.simulator import Simulator, make_fleet
from ansible_collections.phala.cloud.tests.simulator.faults import Delay, Fault, Hang, Status, Trickle

from .project import Project
from .sockets import serving, silent, unreachable_port

SECONDS_TO_REACH: Final = 100  # until the phase is reached, also on a busy machine
SECONDS_TO_END: Final = 1.0
TRIES: Final = 3  # a busy machine may need more than a second to schedule what ends at once
INTERRUPTED: Final = 99  # core's exit status

SLOW_LOOKUP: Final = """
import pathlib, socket, time

original = socket.getaddrinfo

def getaddrinfo(host, *arguments, **options):
    if host != "api.example.org":
        return original(host, *arguments, **options)
    pathlib.Path("reached").touch()
    time.sleep(30)

socket.getaddrinfo = getaddrinfo
"""

# As the contexts of core's templates do with one that falls into their end.
TURN_INTERRUPTS_INTO_ERRORS: Final = """
import os, signal

def turned(_value):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        for _step in range(1000):
            pass
    except KeyboardInterrupt:
        raise RuntimeError("out of order") from None

class FilterModule:
    def filters(self):
        return {"turned": turned}
"""


def interrupt(
    project: Project, source: Path, reached: Callable[[], Any], *, env: dict[str, str] | None = None, pause: float = 0.1
) -> tuple[Completed, float]:
    """List the source, send a SIGINT a moment after the phase is reached, and return what came of it and how long that took."""
    with start("ansible-inventory", "-i", str(source), "--list", folder=project.folder, env=env) as process:
        try:
            wait_until(reached, process)
            time.sleep(pause)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=SECONDS_TO_REACH)
            return Completed(process.returncode, decoded(stdout), decoded(stderr)), time.monotonic() - started
        finally:
            process.kill()


def wait_until(reached: Callable[[], Any], process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + SECONDS_TO_REACH
    while not reached():
        assert process.poll() is None, decoded(process.communicate()[1])
        assert time.monotonic() < limit, "the phase was not reached"
        time.sleep(0.01)


def assert_ends(project: Project, source: Path, reached: Callable[[], Any], *, env: dict[str, str] | None = None) -> None:
    for _attempt in range(TRIES):
        completed, seconds = interrupt(project, source, reached, env=env)
        assert_interrupted(completed)
        if seconds < SECONDS_TO_END:
            return
    pytest.fail(f"it took {seconds:.2f} s")


def assert_interrupted(completed: Completed) -> None:
    assert completed.status == INTERRUPTED, completed.stderr
    assert "User interrupted execution" in completed.stderr
    assert "Traceback" not in completed.printed
    assert not completed.stdout


PHASES: Final[dict[str, tuple[Fault, int]]] = {
    "waiting for headers": (Hang(), 1),
    "waiting for the body": (Hang(head=True), 1),
    "reading a body without end": (Trickle(), 1),
    "waiting before the third try": (Status(503), 3),
    "waiting as Retry-After asks": (Status(429, retry_after=25), 1),
}


@pytest.mark.parametrize(
    "phase", [pytest.param(phase, marks=pytest.mark.slow if phase == "waiting for the body" else ()) for phase in PHASES]
)
def test_while_the_service_is_asked(project: Project, simulator: Simulator, phase: str) -> None:
    fault, requests = PHASES[phase]
    simulator.misbehave(fault, times=None)
    source = project.write(timeout=30, retries=5)

    def reached() -> bool:
        return len(simulator.requests) >= requests

    assert_ends(project, source, forgetting(simulator, reached))


def forgetting(simulator: Simulator, reached: Callable[[], bool]) -> Callable[[], bool]:
    """Forget the requests once the phase is reached, so that it can be reached again."""

    def forget() -> bool:
        if not reached():
            return False
        simulator.clear()
        return True

    return forget


@pytest.mark.slow
def test_while_pages_are_read_side_by_side(project: Project, simulator: Simulator) -> None:
    simulator.page_size_limit = 1
    simulator.misbehave(Hang(), times=None, page=3)
    simulator.misbehave(Delay(0.05), times=None)

    def reached() -> bool:
        return any(request.page == 3 for request in simulator.requests)

    assert_ends(project, project.write(timeout=30), forgetting(simulator, reached))


def test_while_connecting(project: Project) -> None:
    with unreachable_port() as port:
        source = project.write(api_url=f"http://127.0.0.1:{port}/api/v1", timeout=30)
        assert_ends(project, source, lambda: is_connecting(port))


def is_connecting(port: int) -> bool:
    """Tell whether a connection to a port of 127.0.0.1 waits for an answer to its first packet, in state SYN_SENT."""
    connections = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(fields[2:4] == [f"0100007F:{port:04X}", "02"] for fields in connections)


def test_while_a_name_is_looked_up(project: Project) -> None:
    (project.folder / "sitecustomize.py").write_text(SLOW_LOOKUP)
    marker = project.folder / "reached"
    source = project.write(api_url="https://api.example.org/api/v1", timeout=30)

    def reached() -> bool:
        try:
            marker.unlink()
        except FileNotFoundError:
            return False
        return True

    assert_ends(project, source, reached, env={"PYTHONPATH": str(project.folder)})


def test_while_tls_is_agreed_on(project: Project) -> None:
    with serving(silent) as server:
        source = project.write(api_url=server.url.replace("http:", "https:"), timeout=30)
        with counting(server) as reached:
            assert_ends(project, source, reached)


@pytest.mark.slow
def test_at_any_moment_while_tls_is_agreed_on(project: Project) -> None:
    with serving(silent) as server:
        source = project.write(api_url=server.url.replace("http:", "https:"), timeout=30)
        with counting(server) as reached:
            for milliseconds in range(20):
                completed, _seconds = interrupt(project, source, reached, pause=milliseconds / 1000)
                assert_interrupted(completed)


@contextmanager
def counting(server: Any) -> Iterator[Callable[[], bool]]:
    """Tell each further connection to a server once."""
    seen = 0

    def reached() -> bool:
        nonlocal seen
        if server.connections == seen:
            return False
        seen = server.connections
        return True

    yield reached


def test_while_the_inventory_is_built(project: Project, simulator: Simulator) -> None:
    simulator.page_size_limit = 100
    simulator.fleet = make_fleet(cvms=2000)
    compose = {f"sum_{number}": "range(200) | sum + (phala_vcpu or 0)" for number in range(20)}
    source = project.write(timeout=30, compose=compose, concurrency=1)

    def reached() -> bool:
        answered = len(simulator.requests) * 100 >= len(simulator.fleet)
        if answered:
            time.sleep(0.3)
        return answered

    assert_ends(project, source, forgetting(simulator, reached))


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize(
    "options",
    [
        {"compose": {"turned": "phala_name | turned"}},
        {"compose": {"turned": "phala_name | turned"}, "strict": True},
        {"groups": {"turned": "phala_name | turned"}},
        {"keyed_groups": [{"key": "phala_name | turned"}]},
        {"host_filters": ["phala_name | turned"]},
        {"hostnames": ["{{ phala_name | turned }}"]},
        {"filters": {"region": "{{ 'US-WEST-1' | turned }}"}},
    ],
    ids="-".join,
)
def test_that_a_template_turns_into_an_error(project: Project, options: dict[str, Any]) -> None:
    (project.folder / "turned.py").write_text(TURN_INTERRUPTS_INTO_ERRORS)
    assert_interrupted(project.list(env={"ANSIBLE_FILTER_PLUGINS": str(project.folder)}, **options))
