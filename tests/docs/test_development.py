# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The development page is true of the code, and the pages of the version."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml

from .pages import DOCS, ROOT, all_pages, rows

PAGE = DOCS / "development.md"
HELPERS = "ansible_collections.phala.cloud.plugins.plugin_utils."


def layers() -> dict[str, list[str]]:
    """Return the modules of each layer, in the order of the table of modules."""
    found: dict[str, list[str]] = {}
    for name, _subject in rows(PAGE, "Module"):
        if name.startswith("**"):
            found[name.strip("*")] = []
        else:
            found[list(found)[-1]].append(name.strip("`"))
    return found


def helpers() -> dict[str, Path]:
    return {path.stem: path for path in (ROOT / "plugins/plugin_utils").glob("*.py")}


def imports(path: Path) -> Iterator[str]:
    """Yield the helpers that a module imports, also within functions and for types."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(HELPERS):
            yield node.module.removeprefix(HELPERS)


def test_table_of_modules_is_that_of_the_code() -> None:
    assert sorted(name for names in layers().values() for name in names) == sorted(helpers())


def test_picture_has_the_layers_in_the_order_of_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^    (\w+)  ", page.partition("| Module |")[0], re.MULTILINE) == list(layers())


def test_helper_imports_from_its_own_layer_and_those_above() -> None:
    height = {name: number for number, names in enumerate(layers().values()) for name in names}
    upward = [
        f"{name} imports {other}" for name, path in helpers().items() for other in imports(path) if height[other] > height[name]
    ]
    assert upward == []


def test_imports_have_no_cycle() -> None:
    assert list(TopologicalSorter({name: set(imports(path)) for name, path in helpers().items()}).static_order())


@pytest.mark.parametrize("path", helpers().values(), ids=helpers())
def test_helper_is_private_and_short_and_so_are_its_functions(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert path.stem.startswith("_")
    assert len(text.splitlines()) <= 400
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= 40] == []


def test_table_of_changes_names_modules_that_exist() -> None:
    known = {"phala.py", *(f"{name}.py" for name in helpers())}
    named = {module for _change, files in rows(PAGE, "Change") for module in re.findall(r"`(\w+\.py)`", files)}
    assert named <= known
    assert len(named) > 3


def test_table_of_tests_names_folders_that_exist() -> None:
    listed = rows(PAGE, "Folder")
    assert listed
    assert [folder for folder, _tests in listed if not (ROOT / folder.strip("`")).is_dir()] == []


def test_table_of_targets_names_those_of_the_makefile() -> None:
    targets = set(re.findall(r"^(\w+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    listed = {target.strip("`").split()[1] for target, *_others in rows(PAGE, "Target")}
    assert listed <= targets
    assert {"test", "guides", "slow", "matrix"} <= listed


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: page.name)
def test_page_names_the_version_that_is_built(page: Path) -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    assert set(re.findall(r"phala-cloud-(\d[\w.-]*)\.tar\.gz", page.read_text(encoding="utf-8"))) <= {version}
