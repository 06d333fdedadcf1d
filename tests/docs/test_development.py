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


def modules() -> dict[str, set[str]]:
    """Map each module of plugins/ to those that it imports when it runs."""
    return {path.stem: set(imports(path)) for path in (ROOT / "plugins").rglob("*.py")}


def imports(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(HELPERS):
            yield node.module.removeprefix(HELPERS)


def test_table_of_modules_is_that_of_the_code() -> None:
    listed = rows(PAGE, "Module")
    assert {module.strip("`"): set(re.findall(r"`(\w+)`", used)) for module, _subject, used in listed} == modules()


def test_imports_go_in_one_direction() -> None:
    assert list(TopologicalSorter(modules()).static_order())


def test_table_of_tests_names_folders_that_exist() -> None:
    listed = rows(PAGE, "Folder")
    assert listed
    assert [folder for folder, _tests in listed if not (ROOT / folder.strip("`")).is_dir()] == []


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: page.name)
def test_page_names_the_version_that_is_built(page: Path) -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    assert set(re.findall(r"phala-cloud-(\d[\w.-]*)\.tar\.gz", page.read_text(encoding="utf-8"))) <= {version}
