# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one app of a response shows: which CVMs, and whether they have a form that the plugin knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import bare_id
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import (
    CORE_VARIABLES,
    IDENTIFIERS,
    Cvm,
    CvmRow,
    Filterable,
    Identity,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._errors import SourceError
from ansible_collections.phala.cloud.plugins.plugin_utils._filters import FILTERED_VARIABLES
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level, quoted
from ansible_collections.phala.cloud.plugins.plugin_utils._shapes import (
    SHAPES,
    SPARSE,
    Raw,
    Shape,
    image_names,
    instance_id,
    node_names,
    shape_of,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import Marker

App = dict[str, Any]  # a JSON object of the API
AppKey = tuple[str, str]  # what identifies an app: its id and app_id

# What every app has, null where a response does not include it.
APP_FIELDS = ("id", "name", "app_id", "created_at", "kms_type", "app_provision_type", "app_icon_url", "profile", "cvm_count")
_NO_METADATA: App = dict.fromkeys(APP_FIELDS)


class Entry(NamedTuple):
    """A CVM that an app shows, and whether it is the app's current one."""

    cvm: Raw
    is_current: bool


class Form(NamedTuple):
    """What a CVM's entry shows of its form; ``without_status`` names the CVM if it has an identifier, but no status."""

    has_identifier: bool
    is_sparse: bool
    without_status: str | None


class ShownApp(NamedTuple):
    """What an app shows: its CVMs, what to report of it, and the names of nodes that only its other entries have."""

    key: AppKey
    cvms: list[Cvm]
    diagnostics: Sequence[Diagnostic]
    other_nodes: Sequence[Any]


def app_fault(app: App) -> str | None:
    """Return what is wrong with an app's structure, as far as its CVMs depend on it."""
    listed, current = app.get("cvms"), app.get("current_cvm")
    if not isinstance(listed, (list, type(None))):
        return f"cvms of app {named(app, 'app_id')} is {type(listed).__name__}, not a list"
    for cvm in [*(listed or ()), {} if current is None else current]:
        if not isinstance(cvm, dict):
            return f"a CVM of app {named(app, 'app_id')} is {type(cvm).__name__}, not an object"
        for name in IDENTIFIERS:
            if not _is_identifier(name, cvm.get(name)):
                return f"{name} of a CVM of app {named(app, 'app_id')} is {quoted(cvm[name])}, not text"
    return None


def _is_identifier(name: str, value: Any) -> bool:
    """Return whether a value may be an identifier; an ``id`` is a number in some versions."""
    return isinstance(value, (str, type(None))) or (name == "id" and isinstance(value, int) and not isinstance(value, bool))


class ShapeError(SourceError):
    """The CVMs of a response have a form that the plugin does not know."""


def refuse_unknown_shape(forms: Collection[Form], url: str) -> None:
    """Raise where no known shape fits the CVMs of a response, instead of a fleet of hosts without values.

    :raises ShapeError: which names what is missing
    """
    if fault := _shape_fault(forms):
        raise ShapeError(
            f"{url}/apps: the response has a form that this version of the collection does not know: {fault}. Check api_url and"
            " api_version, or update the collection."
        )


def _shape_fault(forms: Collection[Form]) -> str | None:
    """Return what CVMs lack that each known shape has."""
    have_identifiers = {form.has_identifier for form in forms}
    if have_identifiers == {False}:
        return f"no CVM has {_any_of(IDENTIFIERS)}"
    if without_status := sorted(form.without_status for form in forms if form.without_status is not None):
        return f"CVM {without_status[0]} has no status"
    if False in have_identifiers and all(form.is_sparse for form in forms):
        fields = sorted(name for shape in SHAPES for name in shape.fields)
        return f"a CVM has no identifier, and no CVM has {_any_of(fields)}"
    return None


def filter_states(app: ShownApp) -> frozenset[Hashable]:
    """Return which CVMs an app shows, each with the values that filters decide by."""
    return frozenset(
        (cvm.identity, repr([cvm.value(name) for name in FILTERED_VARIABLES]), repr(cvm.filterable[:2])) for cvm in app.cvms
    )


def tell_apart(apps: Iterable[ShownApp]) -> None:
    """Let no CVM of an account's apps count as the only one of an app id that several of them have."""
    found = list(apps)
    sharers = Counter(bare_id(app_id) for _id, app_id in {app.key for app in found})
    for app in found:
        if sharers[bare_id(app.key[1])] > 1:
            for cvm in app.cvms:
                cvm.is_only_cvm = False


def read_apps(apps: Iterable[App], *, account: str) -> tuple[list[ShownApp], frozenset[Form]]:
    """Return what each app shows, and the forms of all entries of CVMs."""
    forms: set[Form] = set()
    return [_read_app(app, account, forms) for app in apps], frozenset(forms)


def _read_app(app: App, account: str, forms: set[Form]) -> ShownApp:
    """Return what an app shows, and add the forms of its entries. An entry with an identifier that is not deleted is a CVM."""
    shown = entries(app)
    count = sum(not cvm.get("deleted_at") for cvm, _is_current in shown)
    is_only_cvm = count == 1 and cvm_count(app) <= 1
    metadata = {**_NO_METADATA, **app}
    for name in ("cvms", "current_cvm"):
        metadata.pop(name, None)
    cvms: list[Cvm] = []
    to_report: list[Diagnostic] = []
    other_nodes: list[Any] = []
    for cvm, is_current in shown:
        shape = shape_of(cvm)
        core = shape.read(cvm, metadata, is_current)
        identity = _identity(cvm, account, core["instance_id"])
        is_identified = any(identity[1:])
        forms.add(_form(cvm, shape, is_identified=is_identified))
        if is_identified and not cvm.get("deleted_at"):
            core["account"] = account or None
            cvms.append(Cvm(identity, core, cvm, is_only_cvm=is_only_cvm, read_filterable=read_filterable))
        else:
            other_nodes += node_names(cvm)
            to_report.append(_no_cvm(cvm, app))
    if len(cvms) > 1:  # whatever their order in the response
        cvms.sort(key=lambda cvm: cvm.identity.key)
    if not shown:
        to_report.append(unlisted(f"app {named(app, 'app_id')}: the API shows no CVM of it"))
    if cvm_count(app) > len(shown):
        to_report.append(_not_shown(app, len(shown)))
    return ShownApp(app_key(app), cvms, to_report, other_nodes)


def _form(cvm: Raw, shape: Shape, *, is_identified: bool) -> Form:
    lacks_status = is_identified and not shape.shows(cvm, "status")
    return Form(is_identified, shape is SPARSE, named(cvm, "vm_uuid") if lacks_status else None)


def mark_app(app: ShownApp, marker: Marker) -> None:
    """Mark the texts of the app's CVMs."""
    app.cvms[:] = [_marked(cvm, marker) for cvm in app.cvms]


def _marked(cvm: Cvm, marker: Marker) -> Cvm:
    """Return the CVM with its texts marked; what cannot be published stays as it is, because filters may depend on it."""
    fields, core = cvm.fields, cvm.core
    variables = {**fields, **core}
    marked, left_out = marker.mark_variables(variables, {name: name for name in variables})
    row = [value if name in core else marked.get(name, value) for name, value in fields.items()]
    row += [marked.get(name, value) for name, value in core.items()]
    names = _row_names(tuple(fields))
    return CvmRow(cvm.identity, names, row, cvm.is_only_cvm, cvm.read_filterable, left_out, is_marked=True)


@lru_cache(maxsize=100)
def _row_names(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the values of a row, of which a fleet has few different ones."""
    return *fields, *CORE_VARIABLES


def _no_cvm(entry: Raw, app: App) -> Diagnostic:
    """Return why an entry of an app is no CVM."""
    if entry.get("deleted_at"):
        return unlisted(f"CVM {named(entry, 'vm_uuid')}: it was deleted at {quoted(entry['deleted_at'])}")
    text = "Left out CVMs that have no identifier"
    return Diagnostic(Level.VERBOSE, text, subjects=(f"a CVM of app {named(app, 'app_id')}",))


def _not_shown(app: App, shown: int) -> Diagnostic:
    """Return a warning about an app that counts more CVMs than it shows."""
    text = "The service counts more CVMs than it shows, so hosts may be missing"
    subject = f"app {named(app, 'app_id')} counts {cvm_count(app)} and shows {shown}"
    advice = "Compare with the service's own list of the app's CVMs."
    return Diagnostic(Level.WARNING, text, subjects=(subject,), advice=advice)


def unlisted(text: str) -> Diagnostic:
    """Return a line about what is not listed, and why."""
    return Diagnostic(Level.VERY_VERBOSE, f"Left out {text}")


def read_filterable(cvm: Raw) -> Filterable:
    """Return what filters are decided by, beside the core variables."""
    shape = shape_of(cvm)
    hidden = shape.hidden(cvm)
    return Filterable(
        node_names=node_names(cvm),
        image_names=image_names(cvm),
        shows_teepod=bool(cvm.get("teepod_name")),
        hidden=hidden,
        undecidable=hidden & shape.lacks,
    )


def cvm_count(app: App) -> int:
    """Return how many CVMs the app counts; the service may show fewer."""
    count = app.get("cvm_count")
    return count if isinstance(count, int) else 0


def app_key(app: Raw) -> AppKey:
    """Return what identifies an app."""
    return str(app.get("id")), str(app.get("app_id"))


def entries(app: App) -> list[Entry]:
    """Return each CVM that the app shows once; ``current_cvm`` is one of ``cvms``, or one that they lack."""
    current = app.get("current_cvm") or {}
    listed: list[Raw] = []
    for cvm in app.get("cvms") or ():
        if cvm not in listed:
            listed.append(cvm)
    found = [Entry(cvm, _is_same(cvm, current)) for cvm in listed]
    if current and not any(entry.is_current for entry in found):
        found.append(Entry(current, is_current=True))
    return found


def named(raw: Raw, identifier: str) -> str:
    """Return an app or a CVM as messages name it; the API's text is quoted."""
    return f"{quoted(raw.get('name') or '')} ({identifier} {quoted(raw.get(identifier))})"


def _identity_of(cvm: Raw) -> Identity:
    return _identity(cvm, "", instance_id(cvm))


def _identity(cvm: Raw, account: str, instance: Any) -> Identity:
    vm_uuid, number = cvm.get("vm_uuid"), cvm.get("id")
    return Identity(
        account,
        str(vm_uuid).lower() if vm_uuid else None,
        bare_id(instance) or None if instance else None,
        str(number).lower() if number else None,
    )


def _is_same(cvm: Raw, current: Raw) -> bool:
    """Return whether two entries are one CVM: by the most specific identifier that both have."""
    if cvm.get("vm_uuid") and current.get("vm_uuid"):  # nearly always; identities take longer
        return str(cvm["vm_uuid"]).lower() == str(current["vm_uuid"]).lower()
    if not current:
        return False
    one, other = _identity_of(cvm), _identity_of(current)
    pairs = ((one.vm_uuid, other.vm_uuid), (one.instance_id, other.instance_id), (one.id, other.id))
    return next((mine == theirs for mine, theirs in pairs if mine and theirs), False)


def _any_of(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"
