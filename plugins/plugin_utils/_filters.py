# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of CVMs: their names, how they are read from a file, become queries of the service, and are decided for a CVM."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import bare_id
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Cvm
from ansible_collections.phala.cloud.plugins.plugin_utils._option_names import unknown_filter
from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import OptionError, shown
from ansible_collections.phala.cloud.plugins.plugin_utils._plain_text import plain
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Filter

# The service's own names. Each but search, which looks into several fields, is compared with the core variable of its name.
SERVICE_FILTERS = ("base_image", "instance_type", "kms_slug", "kms_type", "listed", "node", "region", "search", "status")
PLUGIN_FILTERS = ("app", "id", "name", "os_type", "team")  # which the service does not know
FILTERS = tuple(sorted((*SERVICE_FILTERS, *PLUGIN_FILTERS)))
FILTERED_VARIABLES = tuple(name for name in SERVICE_FILTERS if name != "search")
WHOLE = ("status", *PLUGIN_FILTERS)  # whose lists make no further query
OS_TYPES = ("dev", "prod")
WITHOUT_COMMA = ("base_image", "instance_type", "kms_slug", "kms_type", "node", "region", "status")  # in no value of theirs
SHOWN_ALWAYS = ("instance_type", "kms_type", "region")  # by every response that has fields of a known shape
MAX_COMBINATIONS = 20  # of the lists in one entry
NOT_FOR_EXCLUSION = {
    "search": "only the service can search, so 'search' cannot exclude CVMs. Use another filter, or a condition in host_filters."
}


class FilterReader:
    """Read the filters of a file.

    :param render: renders the templates of a value; its first argument is where the value is in the file
    :param problems: gets every problem found
    :param options: the names of the plugin's options, which do not belong here
    """

    def __init__(self, render: Callable[[str, Any], Any], problems: list[str], options: Collection[str]) -> None:
        self._render = render
        self._options = options
        self._problems = problems

    def entry(self, entry: Mapping[Any, Any], where: str, refused: Mapping[str, str] | None = None) -> Filter:
        """Return the filters of one dictionary, in the order of their names; ``refused`` has names and why not."""
        checked: dict[str, tuple[str, ...]] = {}
        for name, value in entry.items():
            if refused and name in refused:
                self._problems.append(f"{where}.{name}: {refused[name]}")
            elif name not in FILTERS:
                known = [known for known in FILTERS if known not in (refused or ())]
                self._problems.append(f"{where}: {unknown_filter(name, known, self._options)}")
            else:
                checked[name] = tuple(dict.fromkeys(self._values(f"{where}.{name}", name, value)))
        return {name: checked[name] for name in sorted(checked)}

    def entries(self, given: Iterable[Any], option: str, refused: Mapping[str, str] | None = None) -> list[Filter]:
        """Return the filters of a list of dictionaries."""
        filters = []
        for position, entry in enumerate(given):
            where = f"{option}[{position}]"
            if not isinstance(entry, Mapping):
                self._problems.append(f"{where}: expected a dictionary of filters, got {shown(entry)}.")
            elif not entry:
                self._problems.append(f"{where}: is empty, which would match every CVM. Remove it, or write a filter.")
            else:
                filters.append(self.entry(entry, where, refused))
        return filters

    def _values(self, where: str, name: str, value: Any) -> Iterator[str]:
        """Yield the values of one filter as texts. A list may hold templates, and a template may give a list."""
        try:
            if _is_list(value):
                values = [self._render(where, single) for single in value]
            else:
                rendered = self._render(where, value)
                values = list(rendered) if _is_list(rendered) else [rendered]
            if not values:
                raise OptionError(f"{where}: is an empty list. Remove it, or write a value.")
        except OptionError as problem:
            self._problems.append(str(problem))
            return
        for single in values:
            try:
                yield _value(where, name, single)
            except OptionError as problem:
                self._problems.append(str(problem))


def single_valued(entry: Filter) -> list[Filter]:
    """Return one query for each combination of values; the service accepts a list for ``status`` alone.

    A filter that still has a list is not requested, because there would be too many queries, and is decided by the plugin.

    :raises OptionError: when there are too many combinations anyway
    """
    split = [name for name, values in entry.items() if name not in WHOLE and len(values) > 1]
    while (count := prod(len(entry[name]) for name in split)) > MAX_COMBINATIONS:
        shown_always = [name for name in split if name in SHOWN_ALWAYS]
        if not shown_always:
            raise OptionError(
                f"filters with lists of {', '.join(split)} make {count} combinations, and at most {MAX_COMBINATIONS} are"
                " possible. Use shorter lists, or conditions in host_filters."
            )
        split.remove(max(shown_always, key=lambda name: len(entry[name])))
    choices = [[(value,) for value in values] if name in split else [values] for name, values in entry.items()]
    return [dict(zip(entry, combination, strict=True)) for combination in product(*choices)]


def parameters(query: Filter) -> list[tuple[str, str]]:
    """Return the parameters of a query's requests."""
    sent = {name: values for name, values in query.items() if name in SERVICE_FILTERS}
    return [(name, value) for name, values in sent.items() if name == "status" or len(values) == 1 for value in values]


def service_queries(queries: Iterable[Filter]) -> dict[tuple[tuple[str, tuple[str, ...]], ...], list[int]]:
    """Return each different query that is sent to the service, with the positions of the queries that it is sent for."""
    sent: dict[tuple[tuple[str, tuple[str, ...]], ...], list[int]] = {}
    for position, query in enumerate(queries):
        own = tuple((name, values) for name, values in query.items() if name in SERVICE_FILTERS)
        sent.setdefault(own, []).append(position)
    return sent


def unmet_filters(query: Filter, cvms: Sequence[Cvm], nodes_of_service: Container[str]) -> list[frozenset[str]]:
    """Return for each CVM of an app which filters of a query it does not match.

    The service has decided for fields that a CVM does not have, unless another CVM shows by its fields why the app was returned.

    :param nodes_of_service: values of ``node``, in lower case, that the service knows and no CVM has
    """
    if not query:
        return [frozenset()] * len(cvms)
    unmet = [_unmet(cvm, query, nodes_of_service) for cvm in cvms]
    hidden = [cvm.filterable.hidden & query.keys() for cvm in cvms]
    if all(missed or missing for missed, missing in zip(unmet, hidden, strict=True)):
        return unmet
    return [missed | missing for missed, missing in zip(unmet, hidden, strict=True)]


def _unmet(cvm: Cvm, query: Filter, nodes_of_service: Container[str]) -> frozenset[str]:
    """Return the filters of a query that the CVM does not match, apart from those that only the service can decide."""
    return frozenset(
        name
        for name, wanted in query.items()
        if not (
            name == "search"
            or name in cvm.filterable.hidden
            or matches(cvm, name, wanted)
            or (name == "node" and not cvm.filterable.shows_teepod and wanted[0].lower() in nodes_of_service)
        )
    )


def is_excluded(cvm: Cvm, exclude: Filter) -> bool:
    """Return whether a CVM matches every filter of an entry of ``exclude_filters``."""
    return all(matches(cvm, name, wanted) for name, wanted in exclude.items())


def shown_values(cvm: Cvm, name: str) -> tuple[Any, ...]:
    """Return the values of a CVM that a filter is compared with."""
    if name == "node":
        return tuple(filter(None, cvm.filterable.node_names)) or (None,)
    if name == "base_image":
        return cvm.filterable.image_names
    derive = _DERIVED.get(name)
    return derive(cvm) if derive else (cvm.value(name),)


def _identifiers(cvm: Cvm) -> tuple[Any, ...]:
    names = ("vm_uuid", "instance_id", "cvm_id", "app_id")
    return (*(cvm.value(name) for name in names), cvm.core["app"].get("id"), cvm.fields.get("id"))


def _os_type(cvm: Cvm) -> tuple[Any, ...]:
    is_dev = cvm.core["is_dev"]
    return (OS_TYPES[0 if is_dev else 1],) if isinstance(is_dev, bool) else (None,)


# The plugin's own filters, with what they are compared with.
_DERIVED: dict[str, Callable[[Cvm], tuple[Any, ...]]] = {
    "app": lambda cvm: (cvm.core["app_name"],),
    "id": _identifiers,
    "os_type": _os_type,
    "team": lambda cvm: (cvm.core["team_slug"], cvm.core["team_name"]),
}


def _bare(text: str) -> str:
    """Return an identifier without what its spellings differ in."""
    return bare_id(text).replace("-", "")


def matches(cvm: Cvm, name: str, wanted: tuple[str, ...]) -> bool:
    """Return whether one of the CVM's values is one of the wanted ones, whatever the letter case; a null is none."""
    texts = [_lowered(value, name) for value in shown_values(cvm, name)]
    lowered = [value.lower() for value in wanted]
    if name == "base_image":
        return any(text is not None and part in text for text in texts for part in lowered)
    if name == "id":
        bare = {_bare(value) for value in lowered}
        return any(text is not None and _bare(text) in bare for text in texts)
    return any(text in lowered for text in texts)


def _lowered(value: Any, name: str) -> str | None:
    if name == "listed":
        return str(value).lower() if isinstance(value, bool) else None
    return value.lower() if isinstance(value, str) else None


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))


def _value(where: str, name: str, value: Any) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise OptionError(f"{where}: is empty. Remove it, or write a value.")
    if name == "listed":
        try:
            return "true" if boolean(value) else "false"
        except TypeError:
            raise OptionError(f"{where}: expected true or false, got {shown(value)}.") from None
    if name == "os_type" and str(value).lower() not in OS_TYPES:
        raise OptionError(f"{where}: expected 'dev' or 'prod', got {shown(value)}.")
    if isinstance(value, str) and name in WITHOUT_COMMA and "," in value:
        raise OptionError(f"{where}: {plain(value)!r} is one value. Write a list such as [{', '.join(plain(value).split(','))}]")
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return plain(str(value))
    raise OptionError(f"{where}: expected text, got {shown(value)}. Write it in quotes.")
