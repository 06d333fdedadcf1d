# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options are taken as they are written, or refused with their name, the same on every core."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.phala.cloud.tests.commands import Completed
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator

from .fleets import FLEET, one_cvm, queries

PLUGIN = "plugin: phala.cloud.phala\n"
SECRET = VaultSecret(b"secret")


def vaulted(text: str, indent: int) -> str:
    """Return a text as a vaulted value of YAML."""
    lines = VaultLib([("default", SECRET)]).encrypt(text.encode(), secret=SECRET).decode().splitlines()
    return "!vault |\n" + "\n".join(" " * indent + line for line in lines) + "\n"


@pytest.mark.parametrize(
    ("before", "hosts", "asked"),
    [
        ("exclude_filters:\n  - region: ", ["api-1", "api-2", "db", "web-3"], [""]),
        ("filters:\n  region:\n    - ", ["web-1", "web-2"], ["region=US-WEST-1"]),
    ],
)
def test_vaulted_value_is_one_text(
    before: str,
    hosts: list[str],
    asked: list[str],
    simulator: Simulator,
    ansible_inventory: Callable[..., Completed],
    tmp_path: Path,
) -> None:
    simulator.fleet = FLEET
    texts = {"ssh_user": "me", "group_prefix": "x_", "group": "cvms", "hostvars_prefix": "y_"}
    options = "".join(f"{name}: {vaulted(text, 2)}" for name, text in texts.items())
    (tmp_path / "password").write_text("secret")
    source = PLUGIN + options + before + vaulted("US-WEST-1", 8)
    ansible_inventory(source, "--list", "--output", "listed.json", "--vault-password-file", "password")
    listed = json.loads((tmp_path / "listed.json").read_text())  # ansible-core 2.22 masks vaulted texts in what it displays
    assert (sorted(listed["_meta"]["hostvars"]), queries(simulator)) == (hosts, asked)
    variables = listed["_meta"]["hostvars"][hosts[0]]
    assert (variables["ansible_user"], variables["y_name"]) == ("me", hosts[0])
    assert "x_status_running" in listed["cvms"]["children"]


@pytest.mark.parametrize("word", ["0123", "0x1f", "12:30", "1_000", "+5", "7"])
def test_bare_number_is_taken_as_it_is_written(word: str, simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    other = "8" if word == "7" else str(yaml.safe_load(word))
    simulator.fleet = (App(name="a", cvms=(Cvm(name="a", node=word), Cvm(name="b", node=other))),)
    assert list(inventory(f"{PLUGIN}filters: {{node: {word}}}\n").hosts) == ["a"]
    assert list(inventory(f"{PLUGIN}exclude_filters: [{{node: [{word}]}}]\n").hosts) == ["b"]
    assert "ansible_user" in inventory(f"{PLUGIN}ssh_user: {word}\n").group_variables["phala_gateway"]
    assert inventory(f"{PLUGIN}ssh_user: {word}\n").group_variables["phala_gateway"]["ansible_user"] == word


def test_templates_of_text_options_see_extra_variables(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm(gateway_domain="gw.example.org")
    options = {
        "group_prefix": "{{ env }}_",
        "ssh_user": "{{ user }}",
        "group_by": ["status"],
        "allowed_gateway_domains": ["{{ domain }}"],
    }
    loaded = inventory(options, extra_vars={"env": "prod", "user": "deploy", "domain": "example.org"})
    assert (list(loaded.groups), loaded.gateways) == (["phala", "prod_status_running"], {"phala_gateway": ["solo"]})
    assert loaded.group_variables["phala_gateway"]["ansible_user"] == "deploy"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("cache_connection: \"{{ lookup('env', 'HOME') }}/cache\"", ["cache_connection", "template"]),
        ('gateway_openssl: "{{ x }}"', ["gateway_openssl", "template"]),
        ('group: "{{ x }}"', ["group", "template"]),
        ("filters: {node: 1.5}", ["filters.node", "in quotes"]),
        ("filters: {node: 2026-01-01}", ["filters.node", "in quotes"]),
        ("filters: {status: 'running,stopped'}", ["filters.status", "Write a list"]),
        ("groups: {yes: 'true'}", ["groups", "in quotes"]),
        ("groups: {~: 'true'}", ["groups", "in quotes"]),
        ("groups: {1: 'true'}", ["groups", "in quotes"]),
        ("groups: {localhost: 'true'}", ["groups", "localhost", "reserved"]),
        ("groups: {all: 'true'}", ["groups", "all", "reserved"]),
        ("groups: {phala_gateway: 'true'}", ["groups", "phala_gateway", "reserved"]),
        ("keyed_groups: [{key: phala_name, parent_group: 1}]", ["keyed_groups[0].parent_group", "in quotes"]),
        ("keyed_groups: [{key: phala_name, parent_group: ~}]", ["keyed_groups[0].parent_group", "in quotes"]),
        ("keyed_groups: [{key: phala_name, parent_group: phala_gateway}]", ["parent_group", "reserved"]),
        ("keyed_groups: [{key: [phala_name]}]", ["keyed_groups[0]", "expression"]),
        ("compose: {inventory_hostname: \"'x'\"}", ["compose.inventory_hostname"]),
        ("compose: {1: \"'x'\"}", ["compose", "a valid variable name"]),
        ("group: localhost", ["group", "localhost"]),
        ("allowed_gateway_domains: ['*.example.org']", ["allowed_gateway_domains[0]"]),
        ("allowed_gateway_domains: ['example.org:443']", ["allowed_gateway_domains[0]"]),
        (
            "allowed_gateway_domains: [example.org]\ngateway_domain: evilexample.org",
            ["gateway_domain", "allowed_gateway_domains"],
        ),
        ("min_hosts: -1", ["min_hosts"]),
        ("min_hosts: 7", ["min_hosts", "6 hosts"]),
        (
            f"filters: {{kms_slug: {[f'k{number}' for number in range(21)]}}}",
            ["kms_slug", "21 combinations", "20"],
        ),
    ],
)
def test_option_that_would_select_something_else_is_refused(
    source: str, words: list[str], simulator: Simulator, refusal: Callable[..., str]
) -> None:
    simulator.fleet = FLEET
    reason = refusal(f"{PLUGIN}{source}\n")
    assert [word for word in words if word not in reason] == []


def test_many_combinations_become_few_requests(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = FLEET
    filters = {
        "region": ["US-WEST-1", *(f"r{number}" for number in range(29))],
        "instance_type": ["tdx.small", *(f"t{number}" for number in range(9))],
        "base_image": ["dstack-0.5.7", "dstack-0.5.5", "x"],
    }
    assert list(inventory({"filters": filters}).hosts) == ["web-1"]
    assert queries(simulator) == ["base_image=dstack-0.5.5", "base_image=dstack-0.5.7", "base_image=x"]
