# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pages have from the code, and from the account that they show: options, variables, dimensions of groups."""

from __future__ import annotations

import copy
import importlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import yaml
from ansible.plugins.loader import inventory_loader

from ansible_collections.phala.cloud.plugins.plugin_utils import _shapes
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES
from ansible_collections.phala.cloud.tests import simulator
from ansible_collections.phala.cloud.tests.loading import Loaded

from .fleet import KEY, WEB
from .pages import DOCS, rows

Load = Callable[..., Loaded]

PLUGIN = importlib.import_module("ansible_collections.phala.cloud.plugins.inventory.phala")
OPTIONS: Mapping[str, Mapping[str, Any]] = yaml.safe_load(PLUGIN.DOCUMENTATION)["options"]
OLD_VERSION = "2025-10-28"
SHOWN_HOST = "web-1"
TYPES = {"str": "text", "int": "integer", "bool": "boolean", "dict": "dictionary"}
OPTIONS_PAGE = """<!--
{license}
-->
<!-- `make pages` writes this page from the documentation of the plugin. Change it there. -->

# Options

All options of `phala.cloud.phala`, as `ansible-doc -t inventory phala.cloud.phala` shows them. Only `plugin` is required.

{overview}

These options come from ansible-core:

- {constructed}: variables and groups of your own. See [Grouping](grouping.md#your-own-groups-and-variables).
- {cache}: the inventory cache. See [Caching](caching.md).

{options}
"""


def table(heading: Sequence[str], lines: Iterator[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    cells = [heading, ["---"] * len(heading), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells)


# Options


def options_page() -> str:
    """Return the page with all options."""
    others = [name for name in inventory_loader.get("phala.cloud.phala").option_definitions if name not in OPTIONS]
    cache = [name for name in others if name.startswith("cache")]
    lines = ([f"[`{name}`](#{name})", _type(option), _default(option)] for name, option in OPTIONS.items())
    return OPTIONS_PAGE.format(
        license="\n".join((DOCS / "grouping.md").read_text(encoding="utf-8").splitlines()[1:3]),
        overview=table(["Option", "Type", "Default"], lines),
        constructed=", ".join(f"`{name}`" for name in sorted(set(others) - set(cache))),
        cache=", ".join(f"`{name}`" for name in sorted(cache)),
        options="\n\n".join(_section(name, option) for name, option in OPTIONS.items()),
    )


def _section(name: str, option: Mapping[str, Any]) -> str:
    description = option["description"]
    sentences = description if isinstance(description, list) else [description]
    facts = {
        "Type": _type(option),
        "Default": _default(option),
        "Choices": ", ".join(f"`{choice}`" for choice in option.get("choices", ())),
        "Environment variable": ", ".join(f"`{variable['name']}`" for variable in option.get("env", ())),
    }
    listed = " ".join(f"{fact}: {value}." for fact, value in facts.items() if value)
    return "\n".join([f"## {name}", "", listed, "", *(f"- {_markdown(sentence)}" for sentence in sentences)])


def _type(option: Mapping[str, Any]) -> str:
    if option["type"] == "list":
        return "list of dictionaries" if option["elements"] == "dict" else "list of texts"
    return TYPES.get(option["type"], str(option["type"]))


def _default(option: Mapping[str, Any]) -> str:
    return f"`{json.dumps(option['default'])}`" if "default" in option else ""


def _markdown(sentence: str) -> str:
    """Return a sentence of the documentation with Markdown in the place of Ansible's own markup."""
    linked = re.sub(
        r"\bO\((\w+)\)", lambda match: f"[`{match[1]}`](#{match[1]})" if match[1] in OPTIONS else f"`{match[1]}`", sentence
    )
    return re.sub(r"\b[CVEP]\(([^)]*)\)", r"`\1`", linked)


# Variables


def core_variables(load: Load) -> str:
    """Return the table of the core variables, with the meanings that the page has."""
    accounts = [{"name": "production", "api_key": KEY}]
    hosts = (load(accounts=accounts, api_version=version).hosts for version in (_newest(), OLD_VERSION))
    versions = [json.loads(json.dumps(known[SHOWN_HOST])) for known in hosts]  # without the types of ansible-core
    meanings = _column("variables.md", "Variable", 2)
    names = (f"phala_{name}" for name in CORE_VARIABLES)
    examples = {name: next((known[name] for known in versions if known[name] is not None), None) for name in names}
    lines = ([f"`{name}`", _kind(value), meanings.get(f"`{name}`", ""), f"`{_shown(value)}`"] for name, value in examples.items())
    return table(["Variable", "Type", "Meaning", "Example"], lines)


def origins(_load: Load) -> str:
    """Return the table that says from which field of each API version a core variable comes."""
    newest, oldest = (_origins(shape, rendered) for shape, rendered in _shapes_and_renderings())
    lines = (
        [f"`phala_{name}`", newest.get(name, "not available"), oldest.get(name, "not available")]
        for name in CORE_VARIABLES
        if name in newest or name in oldest
    )
    return table(["Variable of the CVM", "`2026-01-21` and later", f"`{OLD_VERSION}`"], lines)


def _newest() -> str:
    return str(OPTIONS["api_version"]["default"])


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "list of texts"
    return TYPES.get(type(value).__name__, "text")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{...}"
    return value if isinstance(value, str) else json.dumps(value)


def _shapes_and_renderings() -> Iterator[tuple[_shapes.Shape, dict[str, Any]]]:
    yield _shapes.NESTED, simulator.render(WEB, simulator.NESTED)
    yield _shapes.FLAT, simulator.render(WEB, simulator.FLAT)


def _origins(shape: _shapes.Shape, app: dict[str, Any]) -> dict[str, str]:
    """Change one field after the other, and see which variables change with it."""
    cvm = app.pop("cvms")[0]
    app.pop("current_cvm")
    before = shape.read(cvm, app, True)
    found: dict[str, str] = {"app": "the app, without its CVMs"}
    for fields, named in ((cvm, "`{}`"), (app, "the app's `{}`")):
        for path in _leaves(fields):
            changed = _changed(fields, path)
            after = shape.read(changed, app, True) if fields is cvm else shape.read(cvm, changed, True)
            for name, value in after.items():
                if value != before[name]:  # type: ignore[literal-required]
                    found.setdefault(name, named.format(".".join(path)))
    return found


def _leaves(fields: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from ((name, *path) for path in _leaves(value))
        else:
            yield (name,)


def _changed(fields: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    changed = copy.deepcopy(fields)
    part = changed
    for name in path[:-1]:
        part = part[name]
    value = part[path[-1]]
    part[path[-1]] = not value if isinstance(value, bool) else value + 1 if isinstance(value, (int, float)) else "other"
    return changed


# Groups


def dimensions(load: Load) -> str:
    """Return the table of the dimensions of `group_by`, with the groups that the pages' account has in each."""
    meanings = _column("grouping.md", "Dimension", 1)
    accounts = [{"name": "production", "api_key": KEY}]
    choices = OPTIONS["group_by"]["choices"]
    groups = {
        name: sorted(
            {
                f"`{group}`"
                for version in (_newest(), OLD_VERSION)
                for group in load(accounts=accounts, group_by=[name], api_version=version).children.get("phala", ())
            }
        )
        for name in choices
    }
    lines = ([f"`{name}`", meanings.get(f"`{name}`", ""), ", ".join(groups[name])] for name in choices)
    return table(["Dimension", "Groups by", "Groups of the example account"], lines)


def _column(page: str, heading: str, number: int) -> dict[str, str]:
    """Map the first column of a table of a page to another one, which is written by hand."""
    return {row[0]: row[number] for row in rows(DOCS / page, heading)}


PARTS: Mapping[str, tuple[str, Callable[[Load], str]]] = {
    "core variables": ("variables.md", core_variables),
    "origins": ("variables.md", origins),
    "dimensions": ("grouping.md", dimensions),
}
