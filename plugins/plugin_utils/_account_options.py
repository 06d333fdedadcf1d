# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the entries of ``accounts``: each has a name and a key of its own, and the environment's key is not used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.phala.cloud.plugins.plugin_utils._credentials import Key, choose_url, profile_key, refuse_bad_key
from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import OptionError, shown, suggest
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Account

KEYS = ("name", "api_key", "profile", "api_url")
REPLACED = ("api_key", "profile", "api_url")  # the options that the entries have instead


class Defaults(NamedTuple):
    """The base URL of entries without one: that of the environment, if any, with its name, and the service's own."""

    url: str | None
    url_source: str
    default: str


def beside_accounts(names: Iterable[Any]) -> list[str]:
    """Return the problems of options that must not be beside ``accounts``."""
    return [f"{name}: cannot be used with 'accounts'. Move it into the entries." for name in names if name in REPLACED]


def read_accounts(entries: Any, defaults: Defaults, text_of: Callable[[str, Any], str | None]) -> tuple[list[Account], list[str]]:
    """Return the accounts and the problems of the entries.

    :param text_of: renders the value at a place of the file
    """
    if not entries:
        return [], ["accounts: is empty. Write at least one entry with a 'name' and an 'api_key' or a 'profile'."]
    accounts: list[Account] = []
    problems: list[str] = []
    names: set[str] = set()
    for position, entry in enumerate(entries):
        where = f"accounts[{position}]"
        if not isinstance(entry, Mapping):
            problems.append(
                f"{where}: expected a dictionary with a 'name', got {shown(entry) if entry is None else 'another type'}."
            )
            continue
        problems += _unknown_keys(where, entry)
        try:
            account = _account(where, entry, defaults, text_of)
            if account.name in names:
                raise OptionError(f"{where}.name: {account.name!r} is the name of two accounts. Choose another name.")
            names.add(account.name)
            accounts.append(account)
        except OptionError as problem:
            problems.append(str(problem))
    return accounts, problems


def _unknown_keys(where: str, entry: Mapping[Any, Any]) -> list[str]:
    return [f"{where}: unknown key {str(name)!r}. {suggest(name, KEYS)}" for name in entry if name not in KEYS]


def _account(where: str, entry: Mapping[Any, Any], defaults: Defaults, text_of: Callable[[str, Any], str | None]) -> Account:
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip() or "{" in name:
        raise OptionError(f"{where}.name: expected the account's name, got {shown(name)}. Write a text of your choice.")
    key = _key(where, name, entry, text_of)
    refuse_bad_key(key)
    url = text_of(f"{where}.api_url", entry.get("api_url"))
    chosen = choose_url(
        key,
        url or defaults.url,
        f"{where}.api_url" if url else defaults.url_source,
        defaults.default,
        is_in_file=url is not None,
    )
    return Account(name=name, url=chosen, key=key.text, key_source=key.source)


def _key(where: str, name: str, entry: Mapping[Any, Any], text_of: Callable[[str, Any], str | None]) -> Key:
    given, profile = (text_of(f"{where}.{option}", entry.get(option)) for option in ("api_key", "profile"))
    if given and profile:
        raise OptionError(f"{where}: has both 'api_key' and 'profile'. Remove one of them.")
    if given:
        return Key(given, f"{where}.api_key")
    if profile:
        return profile_key(profile, f"{where}.profile", os.environ)
    raise OptionError(f"{where}: the account {name!r} has no key. Set 'api_key' or 'profile'.")
