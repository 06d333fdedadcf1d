# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._credentials import (
    BrokenFileError,
    CredentialsError,
    Key,
    Profile,
    choose_url,
    credentials_path,
    load_profile,
    profile_key,
    refuse_bad_key,
    with_url_of_profile,
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
        (None, {"current_profile": None}, ["no profile ''"]),
        (None, {"profiles": {}}, ["no profile", "Run 'phala login'."]),
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
    with pytest.raises(CredentialsError, match=r"credentials\.json does not exist\. Run 'phala login'"):
        load_profile(str(path), None)


def test_folder_that_cannot_be_entered_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "loop"
    folder.symlink_to(folder)  # not even root can enter it
    with pytest.raises(CredentialsError) as caught:
        profile_key(None, "profile", {"PHALA_CLOUD_DIR": str(folder)})
    assert str(caught.value).startswith(
        f"{folder}/credentials.json cannot be read: Too many levels of symbolic links. Correct the file or its permissions."
        " You can"
    )


def test_unreadable_file_says_why(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="cannot be read: Is a directory"):
        load_profile(str(tmp_path), None)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({}, "/home/me/.phala-cloud/credentials.json"),
        ({"PHALA_CLOUD_DIR": " "}, "/home/me/.phala-cloud/credentials.json"),
        ({"PHALA_CLOUD_DIR": "/etc/phala"}, "/etc/phala/credentials.json"),
    ],
)
def test_file_is_in_the_folder_of_the_environment_else_at_home(
    environ: dict[str, str], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert credentials_path(environ) == path


# Keys


def in_folder(path: Path) -> dict[str, str]:
    return {"PHALA_CLOUD_DIR": str(path.parent)}


def test_key_of_a_profile_has_its_url(path: Path) -> None:
    store(path)
    source = f"profile 'work' of {path}"
    assert profile_key("work-inc", "profile", in_folder(path)).text == "phak_other"
    assert profile_key("Work Inc.", "profile", in_folder(path)) == Key(
        "phak_work", source, "https://work.example.org/v1", f"api_prefix of {source}", is_of_profile=True
    )
    assert profile_key(None, "", in_folder(path)).url is None


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("zzz", "profile: {path} has no profile 'zzz'. Choose 'default', 'mine', 'work' or 'work-inc'."),
        ("wrok", "profile: {path} has no profile 'wrok'. Did you mean 'work'?"),
        (
            None,
            "{path} has no profile 'gone'. Choose 'default', 'mine', 'work' or 'work-inc'. You can also set api_key or"
            " PHALA_CLOUD_API_KEY.",
        ),
    ],
)
def test_missing_profile_is_reported_with_what_names_it(wanted: str | None, message: str, path: Path) -> None:
    store(path, current_profile="gone")
    with pytest.raises(CredentialsError) as caught:
        profile_key(wanted, "profile", in_folder(path))
    assert str(caught.value) == message.format(path=path)


def test_file_is_missed_only_where_a_profile_is_wanted(path: Path) -> None:
    hint = "Set api_key or PHALA_CLOUD_API_KEY, or run 'phala login'"
    with pytest.raises(CredentialsError) as caught:
        profile_key(None, "profile", in_folder(path))
    assert str(caught.value) == f"there is no API key. {hint}, which writes {path}."
    with pytest.raises(CredentialsError) as caught:
        profile_key("work", "profile", in_folder(path))
    assert str(caught.value) == f"profile: {path} does not exist. Run 'phala login'."


def test_without_a_home_there_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda text: text)
    assert credentials_path({"PHALA_CLOUD_DIR": " "}) is None
    with pytest.raises(CredentialsError) as caught:
        profile_key(None, "", {})
    assert str(caught.value) == (
        "there is no API key, and no home folder. Set api_key or PHALA_CLOUD_API_KEY, or run 'phala login' with"
        " PHALA_CLOUD_DIR set."
    )
    key = Key("k", "environment")
    assert with_url_of_profile(key, None, {}) is key


def test_key_of_the_environment_gets_the_url_of_a_profile(path: Path) -> None:
    key = Key("k", "environment")
    assert with_url_of_profile(key, "work", in_folder(path)) is key
    store(path)
    source = f"api_prefix of profile 'work' of {path}"
    assert with_url_of_profile(key, "work", in_folder(path)) == Key("k", "environment", "https://work.example.org/v1", source)
    assert with_url_of_profile(key, None, in_folder(path)).url_source == f"api_prefix of profile 'default' of {path}"
    assert with_url_of_profile(key, "gone", in_folder(path)) is key
    store(path, current_profile=None)
    assert with_url_of_profile(key, None, in_folder(path)) is key
    path.write_text("{")
    with pytest.raises(BrokenFileError):
        with_url_of_profile(key, None, in_folder(path))


@pytest.mark.parametrize("text", ["", "a b", "a\n", "a\x7f", "\N{SNOWMAN}", " a"])
def test_key_that_cannot_be_sent_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(CredentialsError) as caught:
        refuse_bad_key(Key(text, "api_key in phala.yml"))
    assert str(caught.value) == (
        "api_key in phala.yml: the API key contains a space, a line break or a character outside ASCII. Copy it again, as one"
        " word."
    )
    refuse_bad_key(Key("!~", "api_key"))


SERVICE = "https://cloud-api.phala.com/api/v1"
OWN = "https://Work.example.org/v1/"
WORK = Key("k", "profile 'work' of F", OWN, "api_prefix of F", is_of_profile=True)


@pytest.mark.parametrize(
    ("key", "given", "is_in_file", "url"),
    [
        (None, None, False, SERVICE),
        (Key("k", "environment"), None, False, SERVICE),
        (WORK, None, False, "https://Work.example.org/v1"),
        (WORK, "https://b.example.org/X", False, "https://b.example.org/X"),
        (WORK, "HTTPS://work.EXAMPLE.org/v1", True, "HTTPS://work.EXAMPLE.org/v1"),
        (Key("k", "environment", OWN), "https://b.example.org//", True, "https://b.example.org"),
        (Key("k", "profile", is_of_profile=True), f"{SERVICE}/", True, SERVICE),
    ],
)
def test_url_is_the_given_one_else_that_of_the_key(key: Key | None, given: str | None, url: str, *, is_in_file: bool) -> None:
    assert choose_url(key, given, "api_url", SERVICE, is_in_file=is_in_file) == url


@pytest.mark.parametrize(("key", "own"), [(WORK, OWN[:-1]), (Key("k", "profile 'work' of F", is_of_profile=True), SERVICE)])
def test_key_of_a_profile_is_sent_to_no_other_service_of_the_file(key: Key, own: str) -> None:
    with pytest.raises(CredentialsError) as caught:
        choose_url(key, "https://b.example.org/", "api_url", SERVICE, is_in_file=True)
    assert str(caught.value) == (
        f"api_url: the key of profile 'work' of F belongs to {own} and is not sent to https://b.example.org. Set the api_key of"
        " that service, or use a profile with this api_prefix."
    )


@pytest.mark.parametrize(("given", "source"), [("x", "api_url"), (None, "api_prefix of F")])
def test_bad_url_is_named_with_its_source(given: str | None, source: str) -> None:
    key = Key("k", "", "x", "api_prefix of F")
    with pytest.raises(CredentialsError, match=f"^{source}: 'x' is not a URL"):
        choose_url(key, given, "api_url", SERVICE)
