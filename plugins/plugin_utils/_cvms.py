# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Select the CVMs that a source lists from the apps that the service returned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp, app_key, unlisted
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Cvm, Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._errors import SourceError
from ansible_collections.phala.cloud.plugins.plugin_utils._filters import PLUGIN_FILTERS, is_excluded, shown_values, unmet_filters
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import (
    Diagnostic,
    Level,
    has_warning,
    listed,
    of_account,
    quoted,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Filter, Settings
from ansible_collections.phala.cloud.plugins.plugin_utils._shapes import SHAPES

T = TypeVar("T")
Owners = dict[tuple[str, str], tuple[int, Cvm]]  # an identifier, and the CVM that has it with the number of its query


class UndecidableError(SourceError):
    """An exclusion depends on a field that the response does not have."""


class AmbiguousError(SourceError):
    """Two CVMs have one identifier, so that an address may lead to either."""


@dataclass
class Selection:
    """The CVMs that are listed, and what was left out and why.

    ``owners`` are the CVMs that have an identifier, each with the number of the query that returned it. ``unmatched`` are the
    values that apps show for a filter which none of their CVMs matches. ``left_out`` counts the CVMs that are not listed, by
    reason.
    """

    cvms: dict[Identity, Cvm] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    owners: Owners = field(default_factory=dict)
    unmatched: dict[str, dict[str, None]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def leave_out(self, text: str) -> None:
        self.diagnostics.append(unlisted(text))


def select_from_accounts(
    settings: Settings, apps: Sequence[list[ShownApp]], nodes: Iterable[str], *, is_explained: bool = False
) -> tuple[list[Cvm], list[Diagnostic]]:
    """Return the CVMs of all accounts that :func:`select_cvms` selects, and no CVM twice.

    :param apps: for each account the apps of each query, one after the other
    :param is_explained: whether a warning says already why no CVM may be left
    :raises AmbiguousError: also when two accounts show one vm_uuid or instance id
    """
    cvms: list[Cvm] = []
    diagnostics: list[Diagnostic] = []
    counts: Counter[str] = Counter()
    queries, names = settings.queries, list(nodes)
    for position, account in enumerate(settings.accounts):
        own = apps[position * len(queries) : (position + 1) * len(queries)]
        owners = {mark: (-1, cvm) for cvm in cvms for mark in cvm.identity.identifiers() if mark[0] != "id"}
        selected, left_out = select_cvms(
            queries,
            settings.excludes,
            own,
            nodes=names,
            owners=owners,
            left_out=counts,
        )
        cvms += selected
        diagnostics += [of_account(diagnostic, account.name) for diagnostic in left_out]
    if not cvms and not is_explained and not has_warning(diagnostics):
        diagnostics += _no_cvms(counts)
    return cvms, diagnostics


def select_cvms(
    queries: Sequence[Filter],
    excludes: Sequence[Filter],
    apps: Sequence[list[ShownApp]],
    *,
    nodes: Iterable[str] = (),
    owners: Owners | None = None,
    left_out: Counter[str] | None = None,
) -> tuple[list[Cvm], list[Diagnostic]]:
    """Return the CVMs that match the query which returned their app and no exclusion, each once, in the order of the apps.

    Any other order would take longer, because what belongs together is together in memory.

    :param apps: per query the apps of the response; each list is emptied, so that no CVM stays in memory only for it
    :param nodes: the values of the filter ``node`` that the service knows
    :param owners: the CVMs of other accounts
    :param left_out: counts the CVMs that are not listed, by reason
    :raises AmbiguousError: when two of the CVMs that no exclusion leaves out have one vm_uuid or instance id
    :raises UndecidableError: when an exclusion depends on what the response does not show
    """
    selection = Selection(owners=dict(owners or {}), left_out=Counter() if left_out is None else left_out)
    nodes_of_service = unshown_nodes(queries, apps) & {name.lower() for name in nodes}
    for number, (query, of_query) in enumerate(zip(queries, apps, strict=True)):
        for app in consumed(of_query):
            selection.diagnostics += app.diagnostics
            unmet = unmet_filters(query, app.cvms, nodes_of_service)
            if unmet and all(missed.difference(PLUGIN_FILTERS) for missed in unmet):
                _note_unmatched(query, app.cvms, unmet, selection)
            for cvm, missed in zip(app.cvms, unmet, strict=True):
                if not _is_excluded(cvm, excludes, selection):
                    _refuse_second(cvm, number, selection)
                    _list(cvm, query, missed, selection)
    return list(selection.cvms.values()), [*selection.diagnostics, *_unmatched(selection)]


def _no_cvms(left_out: Counter[str]) -> list[Diagnostic]:
    """Return a warning if the service returned CVMs, none of which is listed."""
    reasons = [f"{count} {reason}" for reason, count in sorted(left_out.items())]
    if not reasons:
        return []
    text = f"No hosts: all CVMs that the service returned are left out ({' and '.join(reasons)})"
    return [Diagnostic(Level.WARNING, text, advice="Correct the filters. -vv shows what each CVM does not match.")]


def unshown_nodes(queries: Iterable[Filter], apps: Iterable[Iterable[ShownApp]]) -> set[str]:
    """Return the values of the filter ``node``, in lower case, that no CVM of the response has."""
    wanted = {value.lower() for query in queries for value in query.get("node", ())}
    if not wanted:
        return wanted
    shown = [app for of_query in apps for app in of_query]
    names = {name for app in shown for cvm in app.cvms for name in cvm.filterable.node_names if isinstance(name, str)}
    names.update(name for app in shown for name in app.other_nodes if isinstance(name, str))
    return wanted.difference(name.lower() for name in names)


def _list(cvm: Cvm, query: Filter, unmet: Collection[str], selection: Selection) -> None:
    if not unmet:
        selection.cvms.setdefault(cvm.identity, cvm)
        return
    wanted = ", ".join(f"{name}: {'|'.join(query[name])}" for name in query)
    if unmet != {"status"}:  # which may lag
        selection.left_out["by filters"] += 1
    missed = ", ".join(sorted(unmet))
    selection.leave_out(f"CVM {cvm.label} of the query {{{wanted}}}: it does not match {missed}")


def _note_unmatched(query: Filter, cvms: Sequence[Cvm], unmet: Sequence[frozenset[str]], selection: Selection) -> None:
    """Note what the CVMs of an app show that the service returned although none of them matches the query."""
    missed_by_all = frozenset.intersection(*unmet)
    if missed_by_all == {"status"}:
        text = "The service returned apps in which no CVM has the requested status, which may lag"
        selection.diagnostics.append(Diagnostic(Level.VERBOSE, text, subjects=tuple(cvm.label for cvm in cvms)))
        return
    for name in sorted(missed_by_all or frozenset.union(*unmet)):
        values = selection.unmatched.setdefault(f"{name}: {'|'.join(query[name])}", {})
        values.update((repr(value), None) for cvm in cvms for value in shown_values(cvm, name))


def _unmatched(selection: Selection) -> list[Diagnostic]:
    """Return one warning about all filters that the service seems to ignore, with what the CVMs show instead."""
    if not selection.unmatched:
        return []
    text = "The service returned apps in which no CVM matches the filters, so they are left out"
    subjects = tuple(f"{wanted} (they have {listed(sorted(values))})" for wanted, values in selection.unmatched.items())
    return [Diagnostic(Level.WARNING, text, subjects=subjects, advice="Correct the filters, or check api_url and api_version.")]


def consumed(values: list[T]) -> Iterator[T]:
    """Yield each value in order, and take it out of the list, so that its memory is freed while the next ones are used."""
    values.reverse()
    while values:
        yield values.pop()


def _is_excluded(cvm: Cvm, excludes: Iterable[Filter], selection: Selection) -> bool:
    for position, exclude in enumerate(excludes):
        where = f"exclude_filters[{position}]"
        if hidden := sorted(cvm.filterable.undecidable & exclude.keys()):
            raise UndecidableError(_undecidable(hidden[0], where))
        if is_excluded(cvm, exclude):
            selection.leave_out(f"CVM {cvm.label}: {where} says so")
            selection.left_out["by exclude_filters"] += 1
            return True
    return False


def _undecidable(name: str, where: str) -> str:
    versions = ", ".join(sorted(shape.api_version for shape in SHAPES if name not in shape.lacks))
    return (
        f'{where}.{name} cannot be decided: the response does not show a CVM\'s {name}. Set api_version: "{versions}", which'
        " does, or use another filter."
    )


def _refuse_second(cvm: Cvm, query_number: int, selection: Selection) -> None:
    """Raise where another CVM has one of this one's identifiers; another query may return the same CVM.

    An ``id`` counts only where a CVM has nothing else.
    """
    own = query_number, cvm
    for identifier in cvm.identity.identifiers():
        kind, value = identifier
        if kind == "id" and (cvm.identity.vm_uuid or cvm.identity.instance_id):
            continue
        number, other = selection.owners.setdefault(identifier, own)
        if other is cvm:
            continue
        is_same = other.identity == cvm.identity and app_key(other.core["app"]) == app_key(cvm.core["app"])
        if number == query_number or not is_same:
            one, another = sorted(map(_placed, (other, cvm)))  # whichever comes first in the response
            raise AmbiguousError(
                f"two CVMs have the {kind} {quoted(value)}: {one} and {another}. Leave one of them out with exclude_filters."
            )


def _placed(cvm: Cvm) -> str:
    account = f" in account {cvm.identity.account!r}" if cvm.identity.account else ""
    return f"{quoted(cvm.core['name'] or '')} of app {quoted(cvm.core['app_id'])}{account}"
