# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From ansible-core 2.22 on, what a play prints shows the API key masked, wherever the key comes from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.phala.cloud.tests.commands import Completed
from ansible_collections.phala.cloud.tests.credentials import log_in
from ansible_collections.phala.cloud.tests.simulator import Simulator

pytest.importorskip("ansible.module_utils.secrets", reason="this ansible-core masks no secrets")

MASKED = "$REDACTED$"
ENVIRONMENT = {"ansible.builtin.command": {"argv": [sys.executable, "-c", "import os; print(dict(os.environ))"]}}
SHOW = {"ansible.builtin.debug": {"var": "printed.stdout"}}


@pytest.fixture
def show(write: Callable[..., Path], command: Callable[..., Completed]) -> Callable[..., str]:
    """Return a function that loads a source with these options, has a play run a task and show its output, and returns all."""

    def show_output(task: dict[str, Any], *, env: dict[str, str] | None = None, **options: Any) -> str:
        tasks = [{**task, "register": "printed", "changed_when": False, "delegate_to": "localhost"}, SHOW]
        text = yaml.safe_dump(
            [{"hosts": "phala", "gather_facts": False, "tasks": [{**part, "run_once": True} for part in tasks]}]
        )
        settings = {"ANSIBLE_PYTHON_INTERPRETER": sys.executable, **(env or {})}
        completed = command("ansible-playbook", "-i", write(options), write(text, name="site.yml"), "-vvv", env=settings)
        assert completed.status == 0, completed.stdout + completed.stderr
        return completed.stdout + completed.stderr

    return show_output


def test_play_that_prints_the_environment_shows_the_key_masked(simulator: Simulator, show: Callable[..., str]) -> None:
    shown = show(ENVIRONMENT)
    assert f"'PHALA_CLOUD_API_KEY': '{MASKED}'" in shown
    assert simulator.api_key not in shown


def test_key_of_the_cli_is_masked(
    simulator: Simulator, show: Callable[..., str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    credentials = log_in(home / ".phala-cloud", work={"token": simulator.api_key, "api_prefix": simulator.url})
    shown = show({"ansible.builtin.command": {"argv": ["cat", str(credentials)]}}, env={"HOME": str(home)})
    assert MASKED in shown
    assert simulator.api_key not in shown


def test_key_in_the_source_is_masked(simulator: Simulator, show: Callable[..., str], tmp_path: Path) -> None:
    shown = show({"ansible.builtin.command": {"argv": ["cat", str(tmp_path / "phala.yml")]}}, api_key=simulator.api_key)
    assert MASKED in shown
    assert simulator.api_key not in shown
