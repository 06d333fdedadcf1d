# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user meets on the command line: credentials, extra variables, vaults, bad input, files that are not taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible import constants as C
from ansible.constants import DEFAULT_VAULT_ID_MATCH
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.phala.cloud.tests.commands import Completed, squeeze
from ansible_collections.phala.cloud.tests.credentials import log_in
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import Simulator

from .fleets import FLEET, NAMES, one_cvm, queries


@pytest.fixture(autouse=True)
def fleet(simulator: Simulator) -> None:
    simulator.fleet = FLEET


def hosts_of(completed: Completed) -> list[str]:
    return sorted(completed.json["_meta"]["hostvars"])


# Credentials


@pytest.fixture
def accounts(simulator: Simulator, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log in to two accounts, and leave no key in the environment."""
    simulator.add_account("phak_work", one_cvm(name="of-work"))
    simulator.add_account("phak_mine", one_cvm(name="of-mine"))
    log_in(
        home / ".phala-cloud",
        mine={"token": "phak_mine", "api_prefix": simulator.url},
        work={
            "token": "phak_work",
            "api_prefix": simulator.url,
            "workspace": {"name": "Work Inc.", "slug": "work-inc"},
        },
    )
    monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    monkeypatch.delenv("PHALA_CLOUD_API_PREFIX")


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(
    ("options", "host"),
    [
        ({}, "of-mine"),
        ({"profile": "work"}, "of-work"),
        ({"profile": "work-inc"}, "of-work"),
        ({"profile": "Work Inc."}, "of-work"),
        ({"profile": "{{ who }}"}, "of-work"),
    ],
)
def test_profile_of_the_cli_gives_key_and_url(options: dict[str, Any], host: str, inventory: Callable[..., Loaded]) -> None:
    assert list(inventory(options, extra_vars={"who": "work"}).hosts) == [host]


def test_folder_of_the_credentials_may_be_elsewhere(
    tmp_path: Path, simulator: Simulator, inventory: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    monkeypatch.setenv("PHALA_CLOUD_DIR", str(tmp_path / "phala"))
    log_in(tmp_path / "phala", default={"token": simulator.api_key})
    assert sorted(inventory().hosts) == NAMES


@pytest.mark.usefixtures("accounts")
def test_profile_that_does_not_exist_is_told_unasked(simulator: Simulator, refusal: Callable[..., str]) -> None:
    reason = refusal({"profile": "wrok"})
    assert [word for word in ("profile", "'wrok'", "'work'", "credentials.json") if word not in reason] == []
    assert simulator.requests == []


# Extra variables and vaults


def test_extra_variable_chooses_the_region(simulator: Simulator, ansible_inventory: Callable[..., Completed]) -> None:
    options = {"filters": {"region": "{{ target }}"}}
    assert hosts_of(ansible_inventory(options, "-e", "target=US-WEST-1", "--list")) == ["web-1", "web-2"]
    assert queries(simulator) == ["region=US-WEST-1"]


def test_missing_extra_variable_is_told_unasked(simulator: Simulator, refusal: Callable[..., str]) -> None:
    assert "filters.region: 'target' is undefined" in refusal({"filters": {"region": "{{ target }}"}})
    assert simulator.requests == []


def test_vaulted_key_is_used(
    simulator: Simulator,
    write: Callable[..., Path],
    ansible_inventory: Callable[..., Completed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator.add_account("phak_vaulted", one_cvm())
    monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    password = write("open sesame\n", name="password")
    secret = VaultSecret(b"open sesame")
    vaulted = VaultLib([(DEFAULT_VAULT_ID_MATCH, secret)]).encrypt(b"phak_vaulted", secret=secret).decode()
    lines = "".join(f"  {line}\n" for line in vaulted.splitlines())
    source = f"plugin: phala.cloud.phala\napi_key: !vault |\n{lines}"
    completed = ansible_inventory(source, "--list", "--vault-password-file", password, "-vvv")
    assert completed.status == 0
    assert '"solo"' in completed.stdout
    assert "phak_vaulted" not in completed.stdout + completed.stderr
    assert [request.headers["x-api-key"] for request in simulator.requests] == ["phak_vaulted"]


def test_vaulted_key_without_its_password_is_told_unasked(
    simulator: Simulator, write: Callable[..., Path], ansible_inventory: Callable[..., Completed]
) -> None:
    secret = VaultSecret(b"open sesame")
    vaulted = VaultLib([(DEFAULT_VAULT_ID_MATCH, secret)]).encrypt(b"phak_vaulted", secret=secret).decode()
    lines = "".join(f"  {line}\n" for line in vaulted.splitlines())
    completed = ansible_inventory(
        f"plugin: phala.cloud.phala\napi_key: !vault |\n{lines}",
        *("--list", "--vault-password-file", write("wrong\n", name="password")),
    )
    assert squeeze("api_key: the vaulted value cannot be decrypted. Pass its password with --ask-vault-pass") in completed.said
    assert simulator.requests == []


def test_whole_file_may_be_vaulted(
    simulator: Simulator, write: Callable[..., Path], ansible_inventory: Callable[..., Completed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    secret = VaultSecret(b"open sesame")
    text = f"plugin: phala.cloud.phala\napi_key: {simulator.api_key}\n"
    vaulted = VaultLib([(DEFAULT_VAULT_ID_MATCH, secret)]).encrypt(text.encode(), secret=secret).decode()
    password = write("open sesame\n", name="password")
    assert hosts_of(ansible_inventory(vaulted, "--list", "--vault-password-file", password)) == NAMES


# Bad input


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("plugin: phala.cloud.phala\nfilter: {region: US-WEST-1}\n", ["unknown option 'filter'", "'filters'"]),
        ("plugin: phala.cloud.phala\nfilters: {region: }\n", ["filters.region", "is empty"]),
        ("plugin: phala.cloud.phala\ninclude_filters: [{}]\n", ["include_filters[0]", "empty"]),
        ("plugin: phala.cloud.phala\nfilters: {listed: maybe}\n", ["filters.listed", "'maybe'"]),
        ("plugin: phala.cloud.phala\npage_size: 500\ntimeout: -1\n", ["2 problems", "page_size: 500", "timeout: -1"]),
        ("plugin: phala.cloud.phala\napi_url: http://phala.example.org\n", ["api_url", "unencrypted"]),
        ("plugin: phala.cloud.phala\nhostnames: [nmae]\n", ["'nmae'", "'name'"]),
        ("plugin: phala.cloud.phala\nexclude_filters: [{search: x}]\n", ["exclude_filters[0].search"]),
        ("plugin: phala.cloud.phala\napi_key: [phak_in-a-list]\n", ["api_key", "text"]),
    ],
)
def test_bad_input_is_told_unasked_with_the_file(
    source: str, words: list[str], simulator: Simulator, attempt: Callable[..., Loaded], tmp_path: Path
) -> None:
    loaded = attempt(source)
    assert [word for word in [str(tmp_path / "phala.yml"), *words] if word not in loaded.failures[0]] == []
    assert (loaded.hosts, loaded.groups, simulator.requests) == ({}, {}, [])


def test_all_problems_are_said_at_once(simulator: Simulator, refusal: Callable[..., str]) -> None:
    options = {"filter": {}, "page_size": 500, "timeout": "soon", "filters": {"regoin": "x", "listed": "maybe"}}
    reason = refusal(options)
    for words in ("5 problems", "'filter'", "page_size: 500", "timeout: expected a whole number", "'regoin'", "filters.listed"):
        assert words in reason
    assert simulator.requests == []


def test_failed_source_fails_the_run_where_that_is_wanted(ansible_inventory: Callable[..., Completed]) -> None:
    completed = ansible_inventory({"page_size": 500}, "--list", env={"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"})
    assert completed.status != 0


def test_version_that_yaml_takes_for_a_date_is_sent_as_written(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    assert sorted(inventory("plugin: phala.cloud.phala\napi_version: 2025-10-28\n").hosts) == NAMES
    assert simulator.requests[0].headers["x-phala-version"] == "2025-10-28"


# Files


@pytest.mark.parametrize("name", ["phala.yml", "phala.yaml", "prod.phala.yml", "prod-phala.yaml"])
def test_file_is_taken_by_the_end_of_its_name(name: str, inventory: Callable[..., Loaded]) -> None:
    assert sorted(inventory(name=name).hosts) == NAMES


@pytest.mark.parametrize("name", ["inventory.yml", "phala.yml.yaml", "phalas.yml"])
def test_file_of_another_name_is_refused_with_one_message(
    name: str, simulator: Simulator, attempt: Callable[..., Loaded]
) -> None:
    loaded = attempt(name=name, verbosity=3)
    (line,) = [line for line in loaded.displayed if "does not read" in line]
    assert [word for word in (name, "phala.yml or phala.yaml") if word not in line] == []
    assert loaded.failures
    assert (loaded.hosts, simulator.requests) == ({}, [])


def test_plugin_may_be_enabled_by_name(inventory: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(C, "INVENTORY_ENABLED", ["phala.cloud.phala"])
    assert sorted(inventory().hosts) == NAMES


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "empty"),
        ("---\n", "no 'plugin' line"),
        ("[]\n", "no 'plugin' line"),
        ("[plugin, phala.cloud.phala]\n", "dictionary"),
        ("text\n", "dictionary"),
        ("12\n", "dictionary"),
        ("plugin: phala.cloud.other\n", "phala.cloud.other"),
        ("plugin: {a: 1}\n", "plugin"),
        ("filters: {}\n", "plugin"),
        ("plugin: phala.cloud.phala\nfilters: {region: [}\n", "YAML"),
    ],
)
def test_file_that_is_no_source_is_an_error_with_its_name(
    source: str,
    words: str,
    simulator: Simulator,
    attempt: Callable[..., Loaded],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(C, "INVENTORY_ENABLED", ["phala.cloud.phala"])
    loaded = attempt(source)
    assert [word for word in (str(tmp_path / "phala.yml"), words) if word not in loaded.failures[0]] == []
    assert "has no attribute" not in loaded.failures[0]
    assert simulator.requests == []
