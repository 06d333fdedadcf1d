# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever an app or a CVM is called, nothing of it is run, and it arrives as it was written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator

from .judging import (
    assert_connections_checked,
    assert_marked_rightly,
    assert_safe_names,
    is_marked,
    render_everything,
    strings_of,
    without_surrogates,
)
from .project import Project
from .texts import ORDINARY_TEXTS, SHAPES, apps_with, core_of, hostile_texts

KINDS: Final = tuple(hostile_texts(""))
CONSTRUCTED: Final[Mapping[str, Any]] = {
    "hostnames": ["{{ name }}-{{ region }}", "{{ phala_app_name }}", "name"],
    "host_filters": ["phala_name == phala_name", "phala_app is mapping"],
    "compose": {
        "joined": "phala_name ~ phala_status",
        "halves": "'#jin' ~ 'ja2:' ~ phala_name",
        "braces": "'{' ~ '{' ~ phala_name",
        "copied": "phala_app",
        "keys": "phala_tomorrow | list",
        "first_key": "phala_tomorrow | first",
        "pairs": "phala_app.profile | dict2items",
        "dumped": "phala_app | to_json",
    },
    "groups": {"named": "phala_name is defined", "same": "phala_name in phala_app.name"},
    "keyed_groups": [
        {"key": "phala_name", "prefix": "by_name"},
        {"key": "phala_app.name", "prefix": "app", "parent_group": "under_{{ phala_status }}"},
        {"key": "phala_app.profile", "prefix": "profile"},
    ],
    "group_by": ["region", "node", "base_image", "status", "app", "instance_type", "kms_type", "kms_slug", "team"],
}


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=KINDS)
def text(request: pytest.FixtureRequest, canary: Path) -> str:
    return hostile_texts(canary)[request.param]


def assert_harmless(outcome: Loaded, canary: Path) -> None:
    assert_safe_names(outcome)
    assert_marked_rightly(outcome)
    assert_connections_checked(outcome)
    assert not canary.exists()


def test_text_arrives_unchanged(project: Project, simulator: Simulator, canary: Path, shape: str) -> None:
    texts = hostile_texts(canary).values()
    simulator.fleet = apps = [app for number, text in enumerate(texts) for app in apps_with(text, number, shape)]
    outcome = project.read(api_version=SHAPES[shape], timeout=30).assert_whole()
    assert len(outcome.hosts) == len(apps)
    published = {variables["phala_cvm_number"]: variables for variables in outcome.hosts.values()}
    for app in apps:
        cvm = app["current_cvm"]
        variables = published[cvm["cvm_number"]]
        expected = {**cvm, **core_of(app, cvm, shape)}
        expected = {f"phala_{name}": value for name, value in expected.items() if f"phala_{name}".isidentifier()}
        assert without_surrogates({name: variables[name] for name in expected}) == without_surrogates(expected)
    assert_harmless(outcome, canary)


@pytest.mark.parametrize("shape", [pytest.param("flat", marks=pytest.mark.slow), "nested"])
def test_text_is_harmless_in_constructed_features(
    project: Project, simulator: Simulator, canary: Path, shape: str, text: str
) -> None:
    simulator.fleet = apps = list(apps_with(text, 1, shape))
    outcome = project.read(api_version=SHAPES[shape], **CONSTRUCTED).assert_whole()
    assert len(outcome.hosts) == len(apps)
    render_everything(outcome)
    assert_harmless(outcome, canary)
    for variables in outcome.hosts.values():
        assert without_surrogates(variables["joined"]) == without_surrogates(variables["phala_name"] + variables["phala_status"])
        assert without_surrogates(variables["copied"]) == without_surrogates(variables["phala_app"])


def test_text_of_a_mebibyte_arrives_unchanged(project: Project, simulator: Simulator, canary: Path, shape: str) -> None:
    text = hostile_texts(canary)["expression"] + "A" * 2**20
    (app,) = list(apps_with("web", 1, shape))[1:]
    cvm = {**app["current_cvm"], "name": text, "status": text, "tomorrow": {text: text}}
    simulator.fleet = [{**app, "name": text, "current_cvm": None, "cvms": [cvm]}]
    outcome = project.read(timeout=30, group_by=["app", "status"]).assert_whole()
    ((name, variables),) = outcome.hosts.items()
    assert len(name) == 200
    assert [variables[f"phala_{field}"] for field in ("name", "app_name", "status")] == [text] * 3
    assert variables["phala_tomorrow"] == {text: text}
    render_everything(outcome)
    assert_harmless(outcome, canary)


@pytest.mark.parametrize("position", ["cvm", "app", "profile", "deep"])
def test_keys_beside_numbers_alone_are_not_run(project: Project, simulator: Simulator, canary: Path, position: str) -> None:
    """Before 2.19 core looks for marks on the values of an object only, and a number cannot carry one."""
    key = hostile_texts(canary)["expression"]
    entry = {key: 1, "count": 2}
    app = App(
        name="web",
        cvms=(Cvm(name="web", extra={"tomorrow": {"cvm": entry, "deep": [[{"in": entry}]]}.get(position)}),),
        extra={"app": {"tomorrow": entry}, "profile": {"profile": entry}}.get(position, {}),
    )
    simulator.fleet = [app]
    outcome = project.read(compose={"dumped": "phala_tomorrow | to_json", "copied": "phala_app"}).assert_whole()
    assert list(outcome.hosts) == ["web"]
    render_everything(outcome)
    assert not canary.exists()


def test_ordinary_text_is_plain(project: Project, simulator: Simulator, shape: str) -> None:
    simulator.fleet = [app for number, text in enumerate(ORDINARY_TEXTS.values()) for app in apps_with(text, number, shape)]
    outcome = project.read(api_version=SHAPES[shape]).assert_whole()
    for variables in outcome.hosts.values():
        assert not any(map(is_marked, strings_of(variables)))


def test_a_group_that_would_be_its_own_parent_is_a_clear_error(project: Project, simulator: Simulator) -> None:
    simulator.fleet = [App(name="running", cvms=(Cvm(name="web"),))]
    keyed_group = {"key": "phala_app_name", "prefix": "", "separator": "", "parent_group": "{{ phala_status }}"}
    outcome = project.read(keyed_groups=[keyed_group]).assert_nothing()
    assert "running" in outcome.message
    assert "keyed_groups" in outcome.message


OF_THIS_MACHINE: Final = (
    *("localhost", "LOCALHOST", "localhost.", "-localhost", ".localhost", "localhost.localdomain"),
    *("127.0.0.1", "127.1", "127.000.000.001", "0177.0.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001"),
    *("0", "0.0.0.0", "0x0", "127.255.255.255"),
    *("all", "ungrouped", "_meta", "phala", "status_running", "region_US_WEST_1"),
)


@pytest.mark.parametrize("connect_with", ["gateway", "none"])
def test_no_host_has_a_name_of_this_machine_or_a_group(project: Project, simulator: Simulator, connect_with: str) -> None:
    """Each stands for itself: two of one name would be told apart anyway."""
    simulator.page_size_limit = 100
    simulator.fleet = [App(name=f"app {name}", cvms=(Cvm(name=name),)) for name in OF_THIS_MACHINE]
    outcome = project.read(connect_with=connect_with).assert_whole()
    assert len(outcome.hosts) == len(OF_THIS_MACHINE)
    for name, variables in outcome.hosts.items():
        assert re.fullmatch(r".*-[0-9a-f]{8}", name), f"{variables['phala_name']} is {name}"
    assert_safe_names(outcome)
