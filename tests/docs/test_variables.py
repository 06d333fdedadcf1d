# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of core variables says what the code does, for each API version."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES
from ansible_collections.phala.cloud.tests.integration.loading import load
from ansible_collections.phala.cloud.tests.simulator import FLAT, NESTED, Simulator, render

from .fleet import KEY, WEB
from .pages import DOCS, tables

VERSIONS = {"2026-06-23": NESTED, "2025-10-28": FLAT}
COLUMNS = {"2026-06-23": 2, "2025-10-28": 3}
TYPES = {"text": str, "integer": int, "boolean": bool, "dictionary": dict, "list of text": list}
UNITS = {"phala_memory": "MB", "phala_disk_size": "GB"}


def table() -> list[list[str]]:
    return next(tables(DOCS / "variables.md"))[1:]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def variables(version: str, tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    source = tmp_path / "phala.yml"
    options = {"plugin": "phala.cloud.phala", "api_version": version, "api_key": KEY, "api_url": simulator.url}
    source.write_text(json.dumps(options), encoding="utf-8")
    variables: dict[str, Any] = json.loads(json.dumps(load(monkeypatch, [source]).hosts["web-1"]))
    return variables


def test_table_names_every_core_variable_in_the_order_of_the_code() -> None:
    assert [row[0] for row in table()] == [f"`phala_{name}`" for name in CORE_VARIABLES]


def test_type_of_every_core_variable_is_the_documented_one(variables: dict[str, Any]) -> None:
    for name, kind, *dummy in table():
        value = variables[name.strip("`")]
        assert type(value) in (type(None), TYPES[kind.partition(",")[0]]), name


def test_every_documented_unit_is_that_of_the_code() -> None:
    units = {name.strip("`"): kind.partition(", ")[2] for name, kind, *dummy in table()}
    assert {name: unit for name, unit in units.items() if unit in ("MB", "GB")} == UNITS


def test_every_core_variable_comes_from_the_documented_field(version: str, variables: dict[str, Any]) -> None:
    app = render(WEB, VERSIONS[version])
    for row in table():
        name, origin = row[0].strip("`"), row[COLUMNS[version]]
        if origin == "see below":
            continue
        assert variables[name] == documented_value(origin, app), f"{name} comes from {origin}"


def test_every_example_is_what_one_of_the_versions_gives(version: str, variables: dict[str, Any]) -> None:
    for row in table():
        name, example, origin = row[0].strip("`"), row[4].strip("`"), row[COLUMNS[version]]
        value = variables[name]
        if origin == "not given":
            assert value is None
        elif origin != "see below" and not isinstance(value, dict):
            assert example == (value if isinstance(value, str) else json.dumps(value)), name


def documented_value(origin: str, app: dict[str, Any]) -> Any:
    """Return what a cell of the table says that the variable is, for the first CVM of an app as the API gives it."""
    cvm = app["cvms"][0]
    first = origin.partition(", else ")[0]
    if of_endpoints := re.fullmatch(r"each `(\w+)` in `endpoints`", first):
        return [endpoint[of_endpoints[1]] for endpoint in cvm["endpoints"]]
    path = re.search(r"`([^`]*)`", first)
    if first == "not given":
        return None
    if first == "the app, without its lists of CVMs":
        return {name: value for name, value in app.items() if name not in ("cvms", "current_cvm")}
    if first == "whether it is the app's `current_cvm`":
        return app["current_cvm"] == cvm
    if first == "whether `dev` is in the image's name":
        return "dev" in cvm["base_image"]
    assert path, origin
    value: Any = app if "the app's" in first else cvm
    for step in path[1].split("."):
        value = value[step]
    return value * 1024 if "times 1024" in first else value
