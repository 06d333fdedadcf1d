# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._account_options import Defaults, beside_accounts, read_accounts
from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import OptionError
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Account

SERVICE = "https://cloud-api.phala.com/api/v1"
DEFAULTS = Defaults(None, "PHALA_CLOUD_API_PREFIX", SERVICE)
PROFILES = (
    '{"schema_version": 1, "current_profile": "work", "profiles":'
    ' {"work": {"token": "phak_work", "api_prefix": "https://work.example.org"}}}'
)


@pytest.fixture(autouse=True)
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHALA_CLOUD_DIR", str(tmp_path))
    path = tmp_path / "credentials.json"
    path.write_text(PROFILES)
    return path


def text_of(where: str, value: Any) -> str | None:
    """Stand for what renders templates."""
    if value == "{{ bad }}":
        raise OptionError(f"{where}: bad")
    return str(value) if value else None


def read(*entries: Any, defaults: Defaults = DEFAULTS) -> list[Account]:
    accounts, problems = read_accounts(entries, defaults, text_of)
    assert problems == []
    return accounts


def problem(entry: Any) -> str:
    accounts, (problem,) = read_accounts([entry], DEFAULTS, text_of)
    assert accounts == []
    return problem


def test_entry_has_a_key_or_a_profile_and_the_url_that_belongs_to_it(credentials: Path) -> None:
    assert read(
        {"name": "a", "api_key": "phak_a"},
        {"name": "b", "api_key": "phak_b", "api_url": "https://b.example.org/"},
        {"name": "c", "profile": "work"},
    ) == [
        Account(name="a", url=SERVICE, key="phak_a", key_source="accounts[0].api_key"),
        Account(name="b", url="https://b.example.org", key="phak_b", key_source="accounts[1].api_key"),
        Account(name="c", url="https://work.example.org", key="phak_work", key_source=f"profile 'work' of {credentials}"),
    ]


def test_url_of_the_environment_is_for_entries_without_one() -> None:
    defaults = Defaults("https://env.example.org", "PHALA_CLOUD_API_PREFIX", SERVICE)
    own = {"api_key": "k", "api_url": "https://b.example.org"}
    accounts = read({"name": "a", "api_key": "k"}, {"name": "b", **own}, {"name": "c", "profile": "work"}, defaults=defaults)
    assert [account.url for account in accounts] == [
        "https://env.example.org",
        "https://b.example.org",
        "https://env.example.org",
    ]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"name": "a"}, "accounts[0]: the account 'a' has no key. Set 'api_key' or 'profile'."),
        ({"name": "a", "api_key": "k", "profile": "work"}, "accounts[0]: has both 'api_key' and 'profile'. Remove one of them."),
        (None, "accounts[0]: expected a dictionary with a 'name', got nothing."),
        ("phak_a", "accounts[0]: expected a dictionary with a 'name', got another type."),
        ({"api_key": "k"}, "accounts[0].name: expected the account's name, got nothing. Write a text of your choice."),
        ({"name": 7, "api_key": "k"}, "accounts[0].name: expected the account's name, got 7. Write a text of your choice."),
        ({"name": " ", "api_key": "k"}, "accounts[0].name: expected the account's name, got ' '. Write a text of your choice."),
        (
            {"name": "{{ a }}", "api_key": "k"},
            "accounts[0].name: expected the account's name, got '{{ a }}'. Write a text of your choice.",
        ),
        ({"name": "a", "api_key": "{{ bad }}"}, "accounts[0].api_key: bad"),
        ({"name": "a", "profile": "{{ bad }}"}, "accounts[0].profile: bad"),
        ({"name": "a", "api_key": "k", "api_url": "{{ bad }}"}, "accounts[0].api_url: bad"),
    ],
)
def test_problem_of_an_entry_names_its_place(entry: Any, text: str) -> None:
    assert problem(entry) == text


def test_problems_with_the_key_and_the_url_name_their_place(credentials: Path) -> None:
    assert problem({"name": "a", "api_key": "a b"}).startswith("accounts[0].api_key: the API key contains a space")
    assert problem({"name": "a", "api_key": "k", "api_url": "x"}).startswith("accounts[0].api_url: 'x' is not a URL")
    assert problem({"name": "a", "profile": "gone"}).startswith(f"accounts[0].profile: {credentials} has no profile 'gone'")
    other = {"name": "a", "profile": "work", "api_url": "https://b.example.org"}
    assert problem(other).startswith(f"accounts[0].api_url: the key of profile 'work' of {credentials} belongs to")


def test_url_of_the_environment_is_named_where_it_is_bad() -> None:
    defaults = Defaults("x", "PHALA_CLOUD_API_PREFIX", SERVICE)
    dummy, (problem,) = read_accounts([{"name": "a", "api_key": "k"}], defaults, text_of)
    assert problem.startswith("PHALA_CLOUD_API_PREFIX: 'x' is not a URL")


def test_all_problems_of_all_entries_are_reported() -> None:
    entries = [None, {"name": "a", "api_key": "k", "api_kye": 1, "colour": 2}, {"name": "b"}, {"name": "a", "api_key": "l"}]
    accounts, problems = read_accounts(entries, DEFAULTS, text_of)
    assert [account.key for account in accounts] == ["k"]
    assert problems == [
        "accounts[0]: expected a dictionary with a 'name', got nothing.",
        "accounts[1]: unknown key 'api_kye'. Did you mean 'api_key'?",
        "accounts[1]: unknown key 'colour'. Choose 'api_key', 'api_url', 'name' or 'profile'.",
        "accounts[2]: the account 'b' has no key. Set 'api_key' or 'profile'.",
        "accounts[3].name: 'a' is the name of two accounts. Choose another name.",
    ]


@pytest.mark.parametrize("entries", [[], None, {}])
def test_no_entries_are_a_problem(entries: Any) -> None:
    assert read_accounts(entries, DEFAULTS, text_of) == (
        [],
        ["accounts: is empty. Write at least one entry with a 'name' and an 'api_key' or a 'profile'."],
    )


def test_options_that_the_entries_have_are_not_beside_them() -> None:
    assert beside_accounts(["api_key", "name", "filters", 7, "profile"]) == [
        "api_key: cannot be used with 'accounts'. Move it into the entries.",
        "profile: cannot be used with 'accounts'. Move it into the entries.",
    ]
