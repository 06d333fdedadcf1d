# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the AWX page has you paste works as AWX uses it, as far as that can be had without AWX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2.sandbox
import pytest
import yaml

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .fleet import KEY
from .pages import DOCS, EXAMPLES, ROOT, blocks
from .shell import Shell


def shown_file(name: str) -> Any:
    texts = {block.file_name: block.text for block in blocks(DOCS / "awx.md")}
    return yaml.safe_load(texts[name])


def test_injected_variable_opens_the_inventory(reader_home: Path, simulator: Simulator) -> None:
    secrets = {field["id"]: KEY for field in shown_file("credential-type-inputs.yml")["fields"]}
    environment = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined)
    injected = {
        name: environment.from_string(template).render(secrets)
        for name, template in shown_file("credential-type-injectors.yml")["env"].items()
    }
    # As AWX runs it: exported, and all of it or nothing.
    shell = Shell(reader_home, simulator.origin, **injected, ANSIBLE_INVENTORY_UNPARSED_FAILED="True")
    ran = shell.run(f"ansible-inventory -i {EXAMPLES}/awx.phala.yml --list --export")
    inventory = json.loads(ran.stdout)
    assert inventory["status_running"]["hosts"] == ["api", "model", "web-1", "web-2"]
    assert inventory["phala_gateway"]["vars"]["ansible_user"] == "root"
    assert "__ansible_unsafe" not in ran.stdout


def test_every_required_input_is_a_field_and_every_secret_is_marked() -> None:
    inputs = shown_file("credential-type-inputs.yml")
    fields = {field["id"]: field for field in inputs["fields"]}
    assert set(inputs["required"]) <= set(fields)
    assert fields["api_key"]["secret"] is True
    assert all({"id", "type", "label"} <= set(field) for field in inputs["fields"])


def test_shown_source_is_the_recipe() -> None:
    recipe = yaml.safe_load((EXAMPLES / "awx.phala.yml").read_text(encoding="utf-8"))
    assert shown_file("inventory/awx.phala.yml") == recipe


@pytest.mark.parametrize(("folder", "works"), [("inventory", True), (".", False)])
def test_update_needs_no_vault_password_if_the_source_has_a_folder_of_its_own(
    folder: str, works: bool, reader_home: Path, simulator: Simulator
) -> None:
    shell = Shell(reader_home, simulator.origin, PHALA_CLOUD_API_KEY=KEY, ANSIBLE_INVENTORY_UNPARSED_FAILED="True")
    shell.run(
        f"mkdir -p {folder} group_vars; cp {EXAMPLES}/awx.phala.yml {folder}; echo 'a: 1' > group_vars/phala.yml; echo x > word"
    )
    shell.run("ansible-vault encrypt --vault-password-file word group_vars/phala.yml")
    assert (shell.run(f"ansible-inventory -i {folder}/awx.phala.yml --list --export").status == 0) == works


def test_execution_environment_takes_the_tarball_and_what_the_collection_needs() -> None:
    environment = shown_file("execution-environment.yml")
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    tarball = f"{galaxy['namespace']}-{galaxy['name']}-{galaxy['version']}.tar.gz"
    assert environment["dependencies"]["galaxy"]["collections"] == [{"name": f"configs/{tarball}", "type": "file"}]
    assert environment["additional_build_files"] == [{"src": tarball, "dest": "configs"}]
    supported = runtime["requires_ansible"].replace(".0", "")
    assert environment["dependencies"]["ansible_core"]["package_pip"] == f"ansible-core{supported}"
    needed = yaml.safe_load((ROOT / "meta" / "execution-environment.yml").read_text(encoding="utf-8"))
    assert all((ROOT / path).exists() for path in needed["dependencies"].values())
