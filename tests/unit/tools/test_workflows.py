# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The workflows of GitHub run what can be run by hand, on everything that is supported."""

from __future__ import annotations

import ast
import itertools
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TARGETS = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return itertools.chain.from_iterable(job.get("steps", ()) for job in jobs.values())


def supported_pythons() -> set[str]:
    """Return the Pythons of CORES in noxfile.py."""
    for node in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CORES":
            return set(itertools.chain.from_iterable(ast.literal_eval(node.value).values()))
    pytest.fail("noxfile.py has no CORES")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_runs_only_the_script_or_a_target_of_make(workflow: Path) -> None:
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    assert commands
    for command in commands:
        made = re.fullmatch(r"make (\w+)( [A-Z_]+=\S+)*", command)
        assert command == ".ci/run" or (made and made[1] in TARGETS), command


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_action_is_pinned_by_a_hash_with_its_version_beside_it(workflow: Path) -> None:
    used = re.findall(r"uses: (?!\$/)(.+)", workflow.read_text(encoding="utf-8"))
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v[\d.]+", action)] == []


def test_ci_has_every_supported_python() -> None:
    (listed,) = (
        step["with"]["python-version"] for step in steps(ROOT / ".github/workflows/ci.yml") if "3.10" in str(step.get("with"))
    )
    assert set(listed.split()) == supported_pythons()


def dry_run_of(target: str, variables: str) -> str:
    """Return what make would run, whatever variables the make has that runs the tests."""
    environment = {name: value for name, value in os.environ.items() if name not in {"ARGS", "MAKEFLAGS", "MAKEOVERRIDES"}}
    command = ["make", "--dry-run", target, *variables.split()]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("live", "shown"), [("", False), ("LIVE=0", False), ("LIVE=no", False), ("LIVE=1", True)])
def test_demo_shows_the_account_of_the_caller_only_when_asked_to(live: str, shown: bool) -> None:
    printed = dry_run_of("demo", live)
    assert "-m tests.demo" in printed
    assert ("--live" in printed) == shown


@pytest.mark.parametrize(("dry_run", "published"), [("", False), ("DRY_RUN=1", False), ("DRY_RUN=0", True)])
def test_publishing_is_a_dry_run_unless_asked_otherwise(dry_run: str, published: bool) -> None:
    printed = dry_run_of("publish", dry_run)
    assert ("--dry-run" not in printed) == published


@pytest.mark.parametrize(("arguments", "ends_with_mutants"), [("", True), ("NEWEST=1", False), ("ARGS=x", False)])
def test_slow_tests_end_with_the_mutants_unless_some_are_chosen(arguments: str, ends_with_mutants: bool) -> None:
    printed = dry_run_of("slow", arguments)
    assert "-m slow" in printed
    assert ("--sessions mutants" in printed) == ends_with_mutants
