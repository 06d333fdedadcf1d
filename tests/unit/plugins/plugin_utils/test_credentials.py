# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._credentials import (
    CredentialsError,
    Profile,
    credentials_path,
    load_profile,
    profile_key,
)

PROFILES = {
    "default": {"token": "phak_default", "workspace": {"name": "Mine", "slug": "mine"}},
    "work": {
        "token": "phak_work",
        "api_prefix": "https://work.example.org/v1",
        "workspace": {"name": "Work Inc.", "slug": "work-inc"},
    },
    "mine": {"token": "phak_mine", "api_prefix": " ", "workspace": None},
    "work-inc": {"token": "phak_other", "workspace": {"name": "work", "slug": None}},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "credentials.json"


def store(path: Path, **changes: Any) -> str:
    path.write_text(json.dumps({"schema_version": 1, "current_profile": "default", "profiles": PROFILES, **changes}))
    return str(path)


@pytest.mark.parametrize(
    ("wanted", "profile"),
    [
        (None, Profile("default", "phak_default", None)),
        ("", Profile("default", "phak_default", None)),
        ("work", Profile("work", "phak_work", "https://work.example.org/v1")),
        ("Work Inc.", Profile("work", "phak_work", "https://work.example.org/v1")),
        ("mine", Profile("mine", "phak_mine", None)),  # a name goes before the slug of another one
        ("work-inc", Profile("work-inc", "phak_other", None)),
        ("Mine", Profile("default", "phak_default", None)),
    ],
)
def test_profile_is_found_by_name_then_slug_then_workspace_name(wanted: str | None, profile: Profile, path: Path) -> None:
    assert load_profile(store(path), wanted) == profile


def test_slug_of_any_profile_goes_before_the_workspace_name_of_another(path: Path) -> None:
    profiles = {
        "a": {"token": "phak_a", "workspace": {"name": "acme", "slug": "x"}},
        "b": {"token": "phak_b", "workspace": {"name": "y", "slug": "acme"}},
    }
    assert load_profile(store(path, profiles=profiles), "acme").token == "phak_b"


def test_profile_does_not_show_its_token() -> None:
    assert "phak" not in repr(Profile("a", "phak_a", None))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["not valid JSON", "phala login"]),
        ('{"profiles": {"a": {"token": "phak_secret"', ["not valid JSON", "phala login"]),
        ("[" * 100_000, ["not valid JSON"]),
        ("\xff", ["not valid JSON"]),
        ("null", ["no profiles", "phala login"]),
        ('["phak_secret"]', ["no profiles"]),
        ('{"schema_version": 1}', ["no profiles"]),
        ('{"schema_version": 1, "profiles": ["phak_secret"]}', ["no profiles"]),
        ('{"profiles": {"a": {"token": "phak_secret"}}}', ["schema_version None", "PHALA_CLOUD_API_KEY"]),
        ('{"schema_version": 2, "profiles": {"a": {"token": "phak_secret"}}}', ["schema_version 2", "PHALA_CLOUD_API_KEY"]),
    ],
)
def test_broken_file_says_what_to_do_and_shows_no_token(content: str, words: list[str], path: Path) -> None:
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(CredentialsError) as caught:
        load_profile(str(path), None)
    assert str(path) in str(caught.value)
    assert [word for word in words if word not in str(caught.value)] == []
    assert "phak_secret" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("wanted", "changes", "words"),
    [
        ("wrok", {}, ["no profile 'wrok'", "'work'"]),
        ("zzz", {}, ["no profile 'zzz'", "'default'", "'mine'", "'work'"]),
        (None, {"current_profile": "gone"}, ["no profile 'gone'"]),
        (None, {"profiles": {}}, ["no profile", "none"]),
        ("work", {"profiles": {"work": None}}, ["no profile 'work'"]),
        ("work", {"profiles": {"work": {}}}, ["profile 'work'", "no token", "phala login"]),
        ("work", {"profiles": {"work": {"token": " "}}}, ["no token"]),
        ("work", {"profiles": {"work": {"token": 12}}}, ["no token"]),
    ],
)
def test_profile_that_cannot_be_used_is_named(wanted: str | None, changes: dict[str, Any], words: list[str], path: Path) -> None:
    with pytest.raises(CredentialsError) as caught:
        load_profile(store(path, **changes), wanted)
    assert [word for word in [str(path), *words] if word not in str(caught.value)] == []


def test_missing_file_says_to_log_in(path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"there is no .*credentials\.json: run 'phala login'"):
        load_profile(str(path), None)


def test_folder_that_cannot_be_entered_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "loop"
    folder.symlink_to(folder)  # not even root can enter it
    with pytest.raises(CredentialsError) as caught:
        profile_key(None, "profile", {"PHALA_CLOUD_DIR": str(folder)})
    assert str(caught.value).startswith(
        f"{folder}/credentials.json cannot be read: Too many levels of symbolic links, or set api_key"
    )


def test_unreadable_file_says_why(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="cannot be read: Is a directory"):
        load_profile(str(tmp_path), None)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({}, "/home/me/.phala-cloud/credentials.json"),
        ({"PHALA_CLOUD_DIR": ""}, "/home/me/.phala-cloud/credentials.json"),
        ({"PHALA_CLOUD_DIR": "/etc/phala"}, "/etc/phala/credentials.json"),
    ],
)
def test_file_is_in_the_folder_of_the_environment_else_at_home(
    environ: dict[str, str], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert credentials_path(environ) == path
