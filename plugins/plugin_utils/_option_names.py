# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say what an unknown key of an inventory file should be: the nearest known one, or the place where its name belongs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import SequenceMatcher

from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES
from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import near, one_of, shown, suggest
from ansible_collections.phala.cloud.plugins.plugin_utils._syntax import expression_problem

# Names of other tools and plugins for what this plugin has under another name.
_OTHER_NAMES = {
    **dict.fromkeys(("token", "api_token", "apikey", "key", "auth_token"), "api_key"),
    **dict.fromkeys(("url", "api_prefix", "base_url", "endpoint", "api_endpoint", "server"), "api_url"),
    **dict.fromkeys(("verify_ssl", "ssl_verify", "verify", "validate_ssl", "insecure"), "validate_certs"),
    **dict.fromkeys(("workspace", "account"), "profile"),
    **dict.fromkeys(("exclude", "excludes"), "exclude_filters"),
    **dict.fromkeys(("include", "includes"), "include_filters"),
    "prefix": "hostvars_prefix",
    "version": "api_version",
}


def unknown_option(name: object, options: Collection[str], filters: Collection[str]) -> str:
    """Return the problem of an unknown name at the top level of a file."""
    text = str(name)
    if other := _OTHER_NAMES.get(text.lower()):
        return f"unknown option {text!r}. Use {other!r}."
    places = {"options": options, "filters": filters, "variables": CORE_VARIABLES}
    place, nearest = _nearest(text, places)
    advice = {
        "options": f"Did you mean {nearest!r}?",
        "filters": f"{nearest!r} is a filter. Write it below 'filters'.",
        "variables": _condition(nearest),
    }.get(place, "See 'ansible-doc -t inventory phala.cloud.phala' for all options.")
    return f"unknown option {text!r}. {advice}"


def unknown_filter(name: object, known: Collection[str], options: Collection[str]) -> str:
    """Return the problem of an unknown name below ``filters`` or in an entry of the other options with filters."""
    text = str(name)
    place, nearest = _nearest(text, {"filters": known, "variables": CORE_VARIABLES, "options": options})
    advice = {
        "filters": f"Did you mean {nearest!r}?",
        "variables": _condition(nearest),
        "options": f"{nearest!r} is an option. Write it at the top level.",
    }.get(place, f"Choose {one_of(known)}.")
    return f"unknown filter {text!r}. {advice}"


def keyed_group_problems(where: str, entry: object, known: Collection[str]) -> Iterator[str]:
    """Yield the problems of an entry of ``keyed_groups``; core ignores a key that it does not know.

    :param known: the keys that an entry may have
    """
    if not isinstance(entry, Mapping):
        yield f"{where}: expected a dictionary with a 'key', got {shown(entry)}."
        return
    for name in entry:
        if name not in known:
            yield f"{where}: unknown key {str(name)!r}. {suggest(name, known)}"
    if not isinstance(entry.get("key"), str) or not entry["key"].strip():
        yield f"{where}.key: expected a Jinja2 expression, got {shown(entry.get('key'))}. Write it in quotes."
    elif problem := expression_problem(f"{where}.key", entry["key"]):
        yield problem


def _nearest(name: str, places: Mapping[str, Collection[str]]) -> tuple[str, str]:
    """Return the place with the nearest name and that name; of equally near ones, the first place; two empty texts if none."""
    found = [(place, nearest) for place, names in places.items() if (nearest := near(name, names))]
    return max(found, key=lambda pair: SequenceMatcher(None, name.lower(), pair[1].lower()).ratio(), default=("", ""))


def _condition(variable: str) -> str:
    return f"The service cannot filter by {variable!r}. Write a condition in 'host_filters', such as 'phala_{variable} == ...'."
