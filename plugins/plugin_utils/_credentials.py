# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Choose the API key and the URL that belongs to it, from the file, the environment and the official CLI's credentials."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import url_problem, with_lower_case_host
from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import OptionError, suggest

SCHEMA_VERSION = 1
LOGIN_HINT = "Set api_key or PHALA_CLOUD_API_KEY, or run 'phala login'"


class CredentialsError(OptionError):
    """The credentials file cannot be used; the message says why and what to do."""


class BrokenFileError(CredentialsError):
    """The credentials file is there, but it cannot be read."""


@dataclass(frozen=True)
class Key:
    """An API key, and where it comes from.

    ``url`` is the base URL of the chosen profile, if any, and ``url_source`` where that comes from. ``is_of_profile`` says that
    the key is the profile's own, which is sent to no other service.
    """

    text: str = field(repr=False)
    source: str
    url: str | None = None
    url_source: str = ""
    is_of_profile: bool = False


@dataclass(frozen=True)
class Profile:
    """One login: its name, its API key, and the base URL that belongs to it, if any."""

    name: str
    token: str = field(repr=False)
    api_prefix: str | None


def profile_key(wanted: str | None, wanted_by: str, environ: Mapping[str, str]) -> Key:
    """Return the key of a profile of the CLI's credentials file, by default the current one.

    :param wanted_by: the option, variable or file that names the profile
    :raises CredentialsError: when there is none
    """
    path = credentials_path(environ)
    if path is None:
        raise CredentialsError(f"there is no API key, and no home folder. {LOGIN_HINT} with PHALA_CLOUD_DIR set.")
    if not wanted and not _may_exist(path):
        raise CredentialsError(f"there is no API key. {LOGIN_HINT}, which writes {path}.")
    try:
        profile = load_profile(path, wanted)
    except CredentialsError as error:
        text = f"{wanted_by}: {error}" if wanted else f"{error} You can also set api_key or PHALA_CLOUD_API_KEY."
        raise CredentialsError(text) from None
    source = _source(profile.name, path)
    return Key(profile.token, source, profile.api_prefix, f"api_prefix of {source}", is_of_profile=True)


def _source(name: str, path: str) -> str:
    return f"profile {name!r} of {path}"


def with_url_of_profile(key: Key, wanted: str | None, environ: Mapping[str, str]) -> Key:
    """Return a key of the environment with the base URL of a profile, by default the current one, if there is such a profile.

    :raises BrokenFileError: when the credentials file cannot be read
    """
    path = credentials_path(environ)
    if path is None or not _may_exist(path):
        return key
    content = _read(path)
    try:
        name, entry = _find(path, content["profiles"], wanted or str(content.get("current_profile") or ""))
    except CredentialsError:
        return key
    return replace(key, url=_api_prefix(entry), url_source=f"api_prefix of {_source(name, path)}")


def refuse_bad_key(key: Key) -> None:
    """Raise where a key cannot be sent: requests shows a header that it refuses, so a key must be good before it is one.

    :raises CredentialsError: when it has other characters than visible ASCII
    """
    if not re.fullmatch(r"[\x21-\x7e]+", key.text):
        raise CredentialsError(
            f"{key.source}: the API key contains a space, a line break or a character outside ASCII. Copy it again, as one word."
        )


def choose_url(key: Key | None, given: str | None, given_source: str, default: str, *, is_in_file: bool = False) -> str:
    """Return the base URL: the one that is given, else the one that belongs to the key, else the default.

    :param is_in_file: whether the given one is in the inventory file, to which the key of a profile need not belong
    :raises CredentialsError: when the API key must not be sent there
    """
    if given:
        url, source = given, given_source
    elif key and key.url:
        url, source = key.url, key.url_source
    else:
        return default
    if problem := url_problem(url):
        raise CredentialsError(f"{source}: {problem}")
    url = url.rstrip("/")
    if key and key.is_of_profile and is_in_file:
        own = (key.url or default).rstrip("/")
        if with_lower_case_host(url) != with_lower_case_host(own):
            raise CredentialsError(
                f"{source}: the key of {key.source} belongs to {own} and is not sent to {url}. Set the api_key of that service,"
                " or use a profile with this api_prefix."
            )
    return url


# The credentials file


def credentials_path(environ: Mapping[str, str]) -> str | None:
    """Return where the CLI keeps its credentials: in ``$PHALA_CLOUD_DIR``, else in ``~/.phala-cloud``, if ``~`` expands."""
    folder = environ.get("PHALA_CLOUD_DIR", "")
    if not folder.strip():
        home = os.path.expanduser("~")
        if home == "~":
            return None
        folder = os.path.join(home, ".phala-cloud")
    return os.path.join(folder, "credentials.json")


def load_profile(path: str, wanted: str | None) -> Profile:
    """Return a profile by its name, its workspace's slug or its workspace's name, by default the current one.

    :raises CredentialsError: when the file or the profile is missing, broken or without a token
    """
    content = _read(path)
    name, entry = _find(path, content["profiles"], wanted or str(content.get("current_profile") or ""))
    token = entry.get("token")
    if not isinstance(token, str) or not token.strip():
        raise CredentialsError(f"profile {name!r} of {path} has no token. Run 'phala login' for this profile again.")
    return Profile(name, token, _api_prefix(entry))


def _api_prefix(entry: Mapping[str, Any]) -> str | None:
    prefix = entry.get("api_prefix")
    return prefix.strip() if isinstance(prefix, str) and prefix.strip() else None


def _may_exist(path: str) -> bool:
    """Return whether there is a file, also where the user may not look: reading it then says why it cannot be read."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError as error:
        raise BrokenFileError(f"{path} does not exist. Run 'phala login'.") from error
    except OSError as error:
        raise BrokenFileError(f"{path} cannot be read: {error.strerror}. Correct the file or its permissions.") from error
    except (ValueError, RecursionError):
        # Without the cause: the decoder's error carries the document, and with it the tokens.
        raise BrokenFileError(f"{path} is not valid JSON. Run 'phala login' again, which rewrites the file.") from None
    if not isinstance(content, dict) or not isinstance(content.get("profiles"), dict):
        raise BrokenFileError(f"{path} contains no profiles. Run 'phala login' again, which rewrites the file.")
    if content.get("schema_version") != SCHEMA_VERSION:
        raise BrokenFileError(
            f"{path} has schema_version {content.get('schema_version')!r}, and this version of the collection reads"
            f" {SCHEMA_VERSION}. Set api_key or PHALA_CLOUD_API_KEY instead."
        )
    return content


def _find(path: str, profiles: dict[str, Any], wanted: str) -> tuple[str, dict[str, Any]]:
    """Look for a profile in the order of the CLI: by name, then by workspace slug, then by workspace name."""
    entries = {name: entry for name, entry in profiles.items() if isinstance(entry, dict)}
    if wanted in entries:
        return wanted, entries[wanted]
    for attribute in ("slug", "name"):
        for name, entry in entries.items():
            workspace = entry.get("workspace")
            if isinstance(workspace, dict) and workspace.get(attribute) == wanted:
                return name, entry
    hint = suggest(wanted, entries) if entries else "Run 'phala login'."
    raise CredentialsError(f"{path} has no profile {wanted!r}. {hint}")
