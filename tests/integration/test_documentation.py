# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ansible-doc shows of the plugin is true."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.plugins.loader import inventory_loader

from ansible_collections.phala.cloud.plugins.inventory import phala
from ansible_collections.phala.cloud.tests.commands import Completed
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator

from .fleets import FLEET

EXAMPLES = list(yaml.safe_load_all(phala.EXAMPLES))


def test_ansible_doc_explains_every_option(command: Callable[..., Completed]) -> None:
    doc = command("ansible-doc", "-t", "inventory", "--json", "phala.cloud.phala").json["phala.cloud.phala"]
    options = doc["doc"]["options"]
    definitions = inventory_loader.get("phala.cloud.phala").option_definitions
    assert set(options) == {name for name in definitions if not name.startswith("_")}
    assert [name for name, option in options.items() if not option["description"]] == []
    variables = {name: [variable["name"] for variable in option.get("env", [])] for name, option in options.items()}
    assert (variables["api_key"], variables["api_url"]) == (["PHALA_CLOUD_API_KEY"], ["PHALA_CLOUD_API_PREFIX"])
    assert "plugin: phala.cloud.phala" in doc["examples"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: json.dumps(example)[:60])
def test_example_runs(
    example: dict[str, Any], simulator: Simulator, inventory: Callable[..., Loaded], home: Path, tmp_path: Path
) -> None:
    credentials = home / ".phala-cloud" / "credentials.json"
    credentials.parent.mkdir()
    profile = {"token": simulator.api_key, "workspace": {"name": "My workspace", "slug": "my-workspace"}}
    credentials.write_text(json.dumps({"schema_version": 1, "current_profile": "me", "profiles": {"me": profile}}))
    simulator.fleet = (*FLEET, App(name="shop", cvms=(Cvm(name="shop", region="US-WEST-1", instance_type="tdx.large"),)))
    source = {**example, "cache_connection": str(tmp_path / "cache")} if "cache_connection" in example else example
    loaded = inventory(source, extra_vars={"target": "US-WEST-1"})
    assert loaded.hosts
    assert loaded.warnings == []
