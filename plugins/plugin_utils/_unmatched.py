# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the filter values of a file that match no CVM, and say so where the user may have meant another one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Cvm
from ansible_collections.phala.cloud.plugins.plugin_utils._filters import (
    OS_TYPES,
    PLUGIN_FILTERS,
    matches,
    shown_values,
    single_valued,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import MAX_SUBJECTS, Diagnostic, Level, listed, quoted
from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import near
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Filter

# Values that are right although no CVM has them now.
_ALWAYS_KNOWN = {
    "status": ("running", "stopped", "starting", "stopping", "paused", "error"),
    "listed": ("true", "false"),
    "os_type": OS_TYPES,
}

Options = Mapping[str, Sequence[str]]  # the values that the service knows for each filter


@dataclass
class Unmatched:
    """A filter of an entry whose ``values`` match no CVM.

    ``shown`` are the values that the CVMs of the response have, ``decided`` those for which the service may have returned a CVM
    that does not show the value, ``ignored`` those for which it returned CVMs that show others.
    """

    where: str
    name: str
    values: list[str]
    shown: set[str] = field(default_factory=set)
    decided: set[str] = field(default_factory=set)
    ignored: set[str] = field(default_factory=set)

    @property
    def is_exclusion(self) -> bool:
        return self.where.startswith("exclude_filters")

    @property
    def option(self) -> str:
        """The filter as a message names it."""
        return f"{self.where}.{self.name}"


def find_unmatched(
    entries: Iterable[tuple[str, Filter]],
    excludes: Sequence[Filter],
    queries: Sequence[Filter],
    apps: Sequence[Sequence[ShownApp]],
) -> list[Unmatched]:
    """Return the filters of the file with values that match no CVM.

    :param entries: ``filters`` and ``include_filters``
    :param apps: per query the apps of the response
    """
    found = []
    for where, entry in entries:
        own = [queries.index(query) for query in single_valued(entry)]
        found += _unmatched_of(where, entry, [(queries[position], apps[position]) for position in own])
    whole: list[tuple[Filter, Sequence[ShownApp]]] = [({}, of_query) for of_query in apps]
    for position, exclude in enumerate(excludes):
        found += _unmatched_of(f"exclude_filters[{position}]", exclude, whole)
    return found


def _unmatched_of(where: str, entry: Filter, responses: Iterable[tuple[Filter, Sequence[ShownApp]]]) -> list[Unmatched]:
    left = {name: Unmatched(where, name, list(values)) for name, values in entry.items()}
    for query, apps in responses:
        for app in apps:
            if not any(unmatched.values for unmatched in left.values()):
                return []
            if "search" in query:
                left["search"].values = [value for value in left["search"].values if value not in query["search"]]
            for unmatched in left.values():
                for cvm in app.cvms:
                    _note(unmatched, cvm, query)
                if _is_ignored(unmatched.name, query, app.cvms):
                    unmatched.ignored.update(query[unmatched.name])
    return [unmatched for unmatched in left.values() if unmatched.values]


def _is_ignored(name: str, query: Filter, cvms: Sequence[Cvm]) -> bool:
    """Return whether the service returned an app although none of its CVMs matches a filter, which has a message of its own."""
    if name not in query or name in ("search", "status", *PLUGIN_FILTERS):  # a status may lag
        return False
    return bool(cvms) and not any(name in cvm.filterable.hidden or matches(cvm, name, query[name]) for cvm in cvms)


def _note(unmatched: Unmatched, cvm: Cvm, query: Filter) -> None:
    """Take the values that a CVM matches from those that no CVM matches."""
    name = unmatched.name
    if name == "search" or not unmatched.values:
        return
    if name in cvm.filterable.hidden:
        decided = query.get(name, unmatched.values)  # the service has decided, or nobody can
        unmatched.values = [value for value in unmatched.values if value not in decided]
        return
    unmatched.values = [value for value in unmatched.values if not matches(cvm, name, (value,))]
    if name == "node" and not cvm.filterable.shows_teepod:
        unmatched.decided.update(query.get(name, ()))
    unmatched.shown.update(value for value in shown_values(cvm, name) if isinstance(value, str))


def needs_options(unmatched: Iterable[Unmatched]) -> bool:
    """Return whether a message depends on the values that the service knows."""
    return any(_needs_options(each) for each in unmatched if each.name not in (*PLUGIN_FILTERS, "search", "listed"))


def _needs_options(unmatched: Unmatched) -> bool:
    unknown = [value for value in unmatched.values if not _is_always_known(unmatched.name, value)]
    return any(_similar(value, unmatched.shown) for value in unknown) if unmatched.is_exclusion else bool(unknown)


def report_unmatched(unmatched: Sequence[Unmatched], options: Options, *, has_cvms: bool) -> list[Diagnostic]:
    """Return what to report of filters that matched nothing.

    :param options: the values that the service knows for each filter; empty if they could not be fetched
    :param has_cvms: whether the service returned any CVM
    """
    unknown = [
        (each, value)
        for each in unmatched
        for value in each.values
        if not each.is_exclusion and not _is_known(each.name, value, options)
    ]
    if len(unknown) > 1 and not has_cvms and not any(options.values()):
        subjects = tuple(f"{each.option}: {value!r}" for each, value in unknown)
        return [Diagnostic(Level.WARNING, "The account has no CVM that matches these filters", subjects=subjects)]
    return [
        diagnostic
        for each in unmatched
        for value in each.values
        if value not in each.ignored
        for diagnostic in _report(each, value, options)
    ]


def _report(unmatched: Unmatched, value: str, options: Options) -> Iterator[Diagnostic]:
    name = unmatched.name
    is_decided_here = unmatched.is_exclusion or (name in PLUGIN_FILTERS and name != "id")
    existing = options.get(name) or (sorted(unmatched.shown) if is_decided_here else ())
    text = f"{quoted(value)} matched no CVM"
    if unmatched.is_exclusion:
        nearest = _similar(value, {*existing, *unmatched.shown})
        if nearest and not _is_known(name, value, options, any_case=True):
            yield Diagnostic(Level.WARNING, f"{text}. Did you mean {quoted(nearest)}?", option=unmatched.option)
    elif _is_known(name, value, options):
        if value in unmatched.decided:
            return
        yield Diagnostic(Level.VERBOSE, text, option=unmatched.option)
    else:
        there_are = f"; there are {listed(_nearest(value, existing))}" if existing else ""
        yield Diagnostic(Level.WARNING, text + there_are, option=unmatched.option, advice=_advice(value))


def _advice(value: str) -> str:
    if "," in value:
        return "Write several values as a list: [A, B]."
    if value.startswith("!"):
        return "Write what to leave out in exclude_filters."
    return "A filter has no wildcards. Write the whole value, or a condition in host_filters." if "*" in value else ""


def _is_always_known(name: str, value: str) -> bool:
    return value.lower() in _ALWAYS_KNOWN.get(name, ())


def _is_known(name: str, value: str, options: Options, *, any_case: bool = False) -> bool:
    """Return whether the service knows a value; some services distinguish letter case in queries."""
    if _is_always_known(name, value):
        return True
    known = options.get(name, ())
    if any_case:
        value, known = value.lower(), [other.lower() for other in known]
    return any(value in other for other in known) if name == "base_image" else value in known


def _similar(value: str, existing: Iterable[str]) -> str | None:
    """Return the existing value that was probably meant; numbered ones such as ``prod7`` and ``prod9`` are not misspelled."""
    nearest = near(value, existing)
    return nearest if nearest and _without_digits(nearest) != _without_digits(value) else None


def _without_digits(text: str) -> str:
    return re.sub(r"\d", "", text.lower())


def _nearest(value: str, existing: Iterable[str]) -> list[str]:
    """Return the existing values that are nearest to a value, in alphabetical order."""
    ranked = sorted(existing, key=lambda other: -SequenceMatcher(None, value.lower(), other.lower()).ratio())
    return [*sorted(ranked[:MAX_SUBJECTS]), *ranked[MAX_SUBJECTS:]]
