# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real commands, in every form of output and in a play, over a fleet of all hostile texts in both shapes at once."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from ansible_collections.phala.cloud.plugins.plugin_utils._written import SafeLoader
from ansible_collections.phala.cloud.tests.commands import Completed
from ansible_collections.phala.cloud.tests.simulator import Simulator

from .judging import GROUP_NAME, HOST_NAME, is_template_like, keys_of, without_surrogates
from .project import Project
from .test_hostile_text import CONSTRUCTED
from .texts import ORDINARY_TEXTS, PRODUCT, SHAPES, apps_with, hostile_texts

UNSAFE: Final = "__ansible_unsafe"


USES: Final[Mapping[str, Mapping[str, Any]]] = {"plain": {}, "constructed": CONSTRUCTED}
PAIRS: Final = ((("flat", "constructed"), ("nested", "plain")), (("flat", "plain"), ("nested", "constructed")))


@pytest.fixture(params=[PAIRS[0], pytest.param(PAIRS[1], marks=pytest.mark.slow)], ids=["crosswise", "crosswise the other way"])
def pair(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def sources(project: Project, simulator: Simulator, canary: Path, pair: tuple[tuple[str, str], ...]) -> list[str]:
    """Write a source per shape, each with names and ids of its own, and return the arguments that take both."""
    texts = hostile_texts(canary, long=1000).values()
    arguments: list[str] = []
    for shape, use in pair:
        apps = [next(apps_with(text, number, shape, ids=f"{text} {shape}")) for number, text in enumerate(texts)]
        simulator.add_account(f"{shape}-key", apps)
        naming = {"group": f"{shape}_cvms", "group_by": [], "hostnames": [f"{shape}-{{{{ name }}}}"]}
        access = {"api_version": SHAPES[shape], "api_key": f"{shape}-key", "timeout": 30}
        arguments += ["-i", str(project.write(name=f"{shape}.phala.yml", **{**USES[use], **naming, **access}))]
    return arguments


@pytest.fixture
def names(canary: Path) -> list[str]:
    """Return what every host's name must begin with, one per host of the sources."""
    return [f"{shape}-" for shape in SHAPES for dummy in hostile_texts(canary)]


def assert_unrun(completed: Completed, canary: Path) -> None:
    assert completed.status == 0, "\n".join(line for line in completed.printed.splitlines() if "ERROR" in line or "fatal" in line)
    assert "Traceback" not in completed.printed
    assert "Failed to parse" not in completed.stderr
    assert PRODUCT not in completed.printed
    assert not canary.exists()


def assert_names(found: Mapping[str, Any], groups: Mapping[str, Any], names: list[str]) -> None:
    assert sorted(re.sub("-.*", "-", name) for name in found) == sorted(names)
    assert all(map(HOST_NAME.fullmatch, found))
    assert all(map(GROUP_NAME.fullmatch, groups))


def assert_values(found: Mapping[str, Any], canary: Path) -> None:
    """Assert that every text is in one of the hosts' variables, in each of the places that stand for all the others."""
    texts = {without_surrogates(text) for text in hostile_texts(canary, long=1000).values()}
    assert {without_surrogates(variables["phala_name"]) for variables in found.values()} == texts
    assert {without_surrogates(variables["phala_app"]["profile"]["description"]) for variables in found.values()} == texts
    keys = {without_surrogates(key) for variables in found.values() for key in variables["phala_tomorrow"]}
    assert keys == {*texts, "list", "number"}


def unmarked(value: Any) -> Any:
    """Take away core's marks of text that it does not trust; they stand only where text could be a template."""
    if isinstance(value, dict) and list(value) == [UNSAFE]:
        return value[UNSAFE]
    if isinstance(value, dict):
        return {key: unmarked(entry) for key, entry in value.items()}
    return [unmarked(entry) for entry in value] if isinstance(value, list) else value


def marked_texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and list(value) == [UNSAFE]:
        yield value[UNSAFE]
    elif isinstance(value, (dict, list)):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from marked_texts(entry)


UnsafeLoader: Any = type("UnsafeLoader", (SafeLoader,), {"__doc__": "Read core's `!unsafe` as the text that follows it."})
UnsafeLoader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def test_json(project: Project, sources: list[str], names: list[str], canary: Path) -> None:
    completed = project.run("ansible-inventory", *sources, "--list")
    assert_unrun(completed, canary)
    inventory = json.loads(completed.stdout)
    hosts = inventory.pop("_meta")["hostvars"]
    assert_names(hosts, inventory, names)
    assert all(isinstance(name, str) for group in inventory.values() for name in group.get("hosts", []))
    assert_values(unmarked(hosts), canary)
    for variables in hosts.values():
        for name, value in variables.items():  # ordinary text is plain, unless it stands beside a key that could be a template
            by_key = any(map(is_template_like, keys_of(unmarked(value))))
            assert by_key or all(map(is_template_like, marked_texts(value))), name


def test_yaml(project: Project, sources: list[str], names: list[str], canary: Path) -> None:
    completed = project.run("ansible-inventory", *sources, "--list", "-y")
    assert_unrun(completed, canary)
    groups = yaml.load(completed.stdout, UnsafeLoader)["all"]["children"]
    hosts = {name: variables for use in groups.values() for name, variables in use.get("hosts", {}).items() if variables}
    assert_names(hosts, groups, names)
    assert_values(hosts, canary)


def test_export(project: Project, sources: list[str], names: list[str], canary: Path) -> None:
    completed = project.run("ansible-inventory", *sources, "--list", "--export")
    assert_unrun(completed, canary)
    inventory = json.loads(completed.stdout)
    hosts = inventory.pop("_meta")["hostvars"]
    assert_names(hosts, inventory, names)
    assert_values(unmarked(hosts), canary)


def test_graph(project: Project, sources: list[str], names: list[str], canary: Path) -> None:
    completed = project.run("ansible-inventory", *sources, "--graph", "--vars")
    assert_unrun(completed, canary)
    lines = re.findall(r"^(?:  \|)+--((?:flat|nested)-.*)$", completed.stdout, flags=re.MULTILINE)
    assert_names(dict.fromkeys(lines), {}, names)


def test_host(project: Project, sources: list[str], canary: Path) -> None:
    """One form will do: both are printed as those of the list."""
    completed = project.run("ansible-inventory", *sources, "--host", "flat-web-1")
    assert_unrun(completed, canary)
    assert unmarked(json.loads(completed.stdout))["phala_name"] == ORDINARY_TEXTS["word"]


@pytest.mark.slow
def test_toml(project: Project, sources: list[str], canary: Path) -> None:
    """TOML has no null, so core may refuse the whole; it must not be for text, and nothing may run on the way."""
    completed = project.run("ansible-inventory", *sources, "--list", "--toml")
    assert PRODUCT not in completed.printed
    assert not canary.exists()
    assert completed.status == 0 or re.search("NoneType|represented in TOML|tomli-w", completed.stderr), completed.stderr[-2000:]


PLAY: Final = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - set_fact:
        "name_{{ position }}": "{{ hostvars[item].phala_name }}"
        "text_{{ position }}": "the CVM {{ hostvars[item].phala_name }} of {{ hostvars[item].phala_app.name }}"
        "app_{{ position }}": "{{ hostvars[item].phala_app }}"
        "dump_{{ position }}": "{{ hostvars[item].phala_app }} {{ hostvars[item].phala_tomorrow | to_json }}"
        "keys_{{ position }}": "{{ hostvars[item].phala_tomorrow.keys() | list }}"
        "key_{{ position }}": "{{ hostvars[item].phala_tomorrow | first }}"
        "pairs_{{ position }}": "{{ hostvars[item].phala_app.profile | dict2items }}"
      loop: "{{ groups.all }}"
      loop_control:
        index_var: position
        label: "{{ position }}"
    - debug:
        msg: "{{ query('vars', 'name_' ~ item, 'text_' ~ item, 'app_' ~ item, 'dump_' ~ item, 'keys_' ~ item, 'key_' ~ item) }}"
      loop: "{{ range(groups.all | length) | list }}"
    - debug:
        msg: "{{ lookup('vars', 'pairs_' ~ item) }} {{ lookup('vars', 'dump_' ~ item) }} {{ lookup('vars', 'key_' ~ item) }}"
      loop: "{{ range(groups.all | length) | list }}"
    - copy:
        content: "{{ groups.all | map('extract', hostvars, 'phala_name') | list | to_json }}"
        dest: "{{ playbook_dir }}/names"
    - copy:
        content: "{{ hostvars[groups.nested_cvms[0]] }} {{ text_0 }} {{ dump_0 }} {{ groups }}"
        dest: "{{ playbook_dir }}/texts"

- hosts: flat_cvms
  gather_facts: false
  tasks:
    - debug:
        msg:
          ["{{ phala_name }}", "{{ phala_app }}", "{{ group_names }}", "{{ inventory_hostname }}", "{{ phala_tomorrow | first }}"]
"""


def test_play(project: Project, sources: list[str], canary: Path) -> None:
    playbook = project.folder / "site.yml"
    playbook.write_text(PLAY)
    options = ["-c", "local", "-f", "2", "-e", f"ansible_python_interpreter={sys.executable}"]
    completed = project.run("ansible-playbook", *sources, *options, playbook)
    assert_unrun(completed, canary)
    texts = {without_surrogates(text) for text in hostile_texts(canary, long=1000).values()}
    assert {without_surrogates(text) for text in json.loads((project.folder / "names").read_text())} == texts
    assert PRODUCT not in (project.folder / "texts").read_text()
