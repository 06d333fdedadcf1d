# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Select the CVMs that a source lists from the apps that the service returned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import App, entries, named, read_app
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Cvm, Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._errors import SourceError
from ansible_collections.phala.cloud.plugins.plugin_utils._filters import decided_by_service, is_excluded, unmet_filter
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Filter
from ansible_collections.phala.cloud.plugins.plugin_utils._shapes import SHAPES

T = TypeVar("T")


class UndecidableError(SourceError):
    """An exclusion depends on a field that the response does not have."""


class AmbiguousError(SourceError):
    """Two CVMs have one identifier, so that an address may lead to either."""


@dataclass
class Selection:
    """The CVMs that are listed, and what was left out and why."""

    cvms: dict[Identity, Cvm] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def leave_out(self, text: str) -> None:
        self.diagnostics.append(Diagnostic(Level.VERY_VERBOSE, f"left out {text}"))


def select_cvms(
    queries: Sequence[Filter], excludes: Sequence[Filter], apps: Sequence[list[App]], *, account: str
) -> tuple[list[Cvm], list[Diagnostic]]:
    """Return the CVMs that match the query which returned their app and no exclusion, each once, in the order of their identity.

    :param apps: per query the apps of the response; each list is emptied, so that no app stays in memory only for it
    :raises AmbiguousError: when two of the CVMs that no exclusion leaves out have one vm_uuid or instance id
    :raises UndecidableError: when an exclusion depends on what the response does not show
    """
    selection = Selection()
    owners: dict[tuple[str, str], Cvm] = {}
    for query, of_query in zip(queries, apps, strict=True):
        for app in consumed(of_query):
            cvms = _existing(app, account, selection)
            trusted = decided_by_service(query, cvms)
            for cvm in cvms:
                if _is_excluded(cvm, excludes, selection):
                    continue
                _refuse_second(cvm, owners)
                unmet = unmet_filter(cvm, query, trusted)
                if unmet is None:
                    selection.cvms.setdefault(cvm.identity, cvm)
                else:
                    wanted = ", ".join(f"{name}: {'|'.join(query[name])}" for name in query)
                    selection.leave_out(f"CVM {cvm.label} of the query {{{wanted}}}: it does not meet {unmet}")
    selected = selection.cvms
    return [selected[identity] for identity in sorted(selected, key=lambda identity: identity.key)], selection.diagnostics


def consumed(values: list[T]) -> Iterator[T]:
    """Yield each value in order, and take it out of the list, so that its memory is freed while the next ones are used."""
    values.reverse()
    while values:
        yield values.pop()


def _existing(app: App, account: str, selection: Selection) -> list[Cvm]:
    """Return the app's CVMs, and say which of its entries are none."""
    shown = entries(app, account)
    if not shown:
        selection.leave_out(f"app {named(app, 'app_id')}: the API shows no CVM of it")
    for cvm, identity, _is_current in shown:
        if cvm.get("deleted_at"):
            selection.leave_out(f"CVM {named(cvm, 'vm_uuid')}: it was deleted at {cvm['deleted_at']!r}")
        elif not any(identity.identifiers()):
            text = f"left out a CVM of app {named(app, 'app_id')}: it has no identifier"
            selection.diagnostics.append(Diagnostic(Level.VERBOSE, text))
    return list(read_app(app, account=account))


def _is_excluded(cvm: Cvm, excludes: Iterable[Filter], selection: Selection) -> bool:
    for position, exclude in enumerate(excludes):
        where = f"exclude_filters[{position}]"
        if hidden := sorted(cvm.hidden & exclude.keys()):
            raise UndecidableError(_undecidable(hidden[0], where))
        if is_excluded(cvm, exclude):
            selection.leave_out(f"CVM {cvm.label}: {where} says so")
            return True
    return False


def _undecidable(name: str, where: str) -> str:
    versions = ", ".join(sorted(shape.api_version for shape in SHAPES if name not in shape.hidden))
    return (
        f'{where}.{name} cannot be decided: the response does not show a CVM\'s {name}. Set api_version: "{versions}", which'
        " does, or use another filter."
    )


def _refuse_second(cvm: Cvm, owners: dict[tuple[str, str], Cvm]) -> None:
    """Raise where another CVM has one of this one's identifiers; two queries may return the same CVM."""
    for kind, value in cvm.identity.identifiers():
        other = owners.setdefault((kind, value), cvm)
        if other is not cvm and (other.identity, _app_key(other)) != (cvm.identity, _app_key(cvm)):
            raise AmbiguousError(
                f"two CVMs have the {kind} {value!r}: {_placed(other)} and {_placed(cvm)}. Leave one of them out with"
                " exclude_filters."
            )


def _app_key(cvm: Cvm) -> tuple[str, str]:
    app = cvm.core["app"]
    return str(app.get("id")), str(app.get("app_id"))


def _placed(cvm: Cvm) -> str:
    return f"{cvm.core['name'] or ''!r} of app {cvm.core['app_id']!r}"
