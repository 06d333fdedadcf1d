# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON that no service should send: each answer is read as what it is, or refused as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from ansible_collections.phala.cloud.tests.simulator import Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import Body

from .project import Project
from .texts import SHAPES, apps_with

HOLE: Final = "@@"


def answer_with(raw: str, *, field: str = "tomorrow", shape: str = "flat") -> bytes:
    """Return an answer with one CVM, in which the raw JSON stands for a field of it; a dot leads into an object."""
    (app,) = list(apps_with("web", 1, shape))[1:]
    cvm: dict[str, Any] = app["current_cvm"]
    *holders, name = field.split(".")
    place = cvm
    for holder in holders:
        place = place[holder]
    place[name] = HOLE
    answer = {
        "dstack_apps": [{**app, "current_cvm": None, "cvms": [cvm]}],
        "page": 1,
        "page_size": 100,
        "total": 1,
        "total_pages": 1,
    }
    return json.dumps(answer).replace(f'"{HOLE}"', raw).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("12345678901234567890", 12345678901234567890),
        ("-" + "9" * 4000, None),
        ("9" * 20_000, None),
        ("1e400", None),
        ("-1e400", None),
        ("1.0e-400", 0.0),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('{"": 1}', {"": 1}),
        (r'"\u0000\u0007\u007f"', "\x00\x07\x7f"),
        (r'"\ud83d\ude00"', "\U0001f600"),
        ("[" * 60 + "]" * 60, json.loads("[" * 60 + "]" * 60)),
        ('{"__ansible_unsafe": "{{ 1 }}", "a": 1}', {"a": 1}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_odd_values_are_published(project: Project, simulator: Simulator, raw: str, value: Any) -> None:
    simulator.pages = [Body(answer_with(raw))]
    outcome = project.read().assert_whole()
    assert [variables["phala_tomorrow"] for variables in outcome.hosts.values()] == [value]


@pytest.mark.parametrize(
    "number", ["1" + "0" * 400, "-1" + "0" * 4000, "1e308", "-1e308", "1e999", "true", '"12"', "[]", "{}", "null"]
)
@pytest.mark.parametrize(
    "field", ["resource.memory_in_gb", "resource.vcpu", "resource.gpus", "node_info.id", "os.is_dev", "listed"]
)
def test_odd_numbers_lose_no_host(project: Project, simulator: Simulator, field: str, number: str) -> None:
    simulator.pages = [Body(answer_with(number, field=field, shape="nested"))]
    assert len(project.read(group_by=["listed", "os_type", "node", "status"]).assert_whole().hosts) == 1


ODD_VALUES: Final[tuple[Any, ...]] = (12, True, [], ["x"], {}, {"x": 1}, float("inf"), None, "")
IDENTIFIERS: Final = ("vm_uuid", "instance_id", "id")


def odd_answer(shape: str, value: Any, choose: Callable[[str], bool]) -> tuple[bytes, int]:
    """Return an answer with one CVM for each of the chosen fields, which has the value, and the number of CVMs."""
    names = [name for name in next(apps_with("web", 1, shape))["current_cvm"] if choose(name)]
    apps = []
    for number, name in enumerate(names):
        _hostile, app = apps_with("web", number, shape)
        apps.append({**app, "current_cvm": None, "cvms": [{**app["current_cvm"], name: value}]})
    answer = {"dstack_apps": apps, "page": 1, "page_size": 100, "total": len(apps), "total_pages": 1}
    return json.dumps(answer).replace("Infinity", "1e999").encode(), len(apps)


@pytest.mark.parametrize("value", ODD_VALUES, ids=repr)
@pytest.mark.parametrize("shape", SHAPES)
def test_odd_values_lose_no_host(project: Project, simulator: Simulator, shape: str, value: Any) -> None:
    """Also those that name or group a CVM; one that is deleted is told by any value that says something."""
    body, count = odd_answer(shape, value, lambda name: name not in IDENTIFIERS and (name != "deleted_at" or not value))
    simulator.pages = [Body(body)]
    assert len(project.read().assert_whole().hosts) == count


@pytest.mark.parametrize("value", ODD_VALUES, ids=repr)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_identifier_is_a_text_or_the_answer_is_refused(project: Project, simulator: Simulator, shape: str, value: Any) -> None:
    body, count = odd_answer(shape, value, IDENTIFIERS.__contains__)
    simulator.pages = [Body(body)]
    outcome = project.read()
    if value in (None, "", float("inf")):  # the last is null, because it does not fit any type
        assert len(outcome.assert_whole().hosts) == count
    else:
        assert "not text" in outcome.assert_nothing().message


@pytest.mark.parametrize("cache", [False, True], ids=["uncached", "cached"])
@pytest.mark.parametrize("depth", [65, 300, 900, 990, 5_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
def test_deep_nesting_is_survived_or_refused(
    project: Project, simulator: Simulator, opening: str, closing: str, depth: int, cache: bool
) -> None:
    """Where the JSON can be read at all, the host is there without the field, which core could not print."""
    simulator.pages = [Body(answer_with(opening * depth + "1" + closing * depth))]
    outcome = project.read(cache=cache, cache_plugin="jsonfile", cache_connection=str(project.folder / "cache"))
    if outcome.error is None:
        ((name, variables),) = outcome.hosts.items()
        assert "phala_tomorrow" not in variables
        assert any("levels" in text and name in text for text in outcome.displayed)
    else:
        assert depth > 300
        assert "JSON" in outcome.assert_nothing().message


@pytest.mark.parametrize(
    "body",
    [
        answer_with("NaN"),
        answer_with("Infinity"),
        answer_with("-Infinity"),
        answer_with("01"),
        answer_with("'single'"),
        answer_with('"unfinished'),
        answer_with('"\udcff\udcfe"'),
        answer_with('"\udcc0\udc80"'),  # noqa: PT014  # other bytes than above
        answer_with('"\udced\udca0\udc80"'),
        answer_with('"line\nend"'),
        answer_with("1")[:-1],
        answer_with("1") + b"x",
        answer_with("1") * 2,
        b"\xef\xbb\xbf" + answer_with("1"),
        answer_with("1").decode().encode("utf-16"),
        b"\x00" + answer_with("1"),
        b"",
        b"\x00" * 100,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_json_is_refused(project: Project, simulator: Simulator, body: bytes) -> None:
    simulator.pages = [Body(body)]
    assert "broken JSON" in project.read().assert_nothing().message
