# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn the apps of either response shape into one kind of record per CVM, and select those that were asked for."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

Filter = Mapping[str, tuple[str, ...]]  # the service's filter names, each with the values that meet it
Note = Callable[[str], None]  # says why an app or a CVM is left out

CORE_VARIABLES = (
    "name",
    "vm_uuid",
    "instance_id",
    "app_id",
    "status",
    "region",
    "node",
    "node_id",
    "base_image",
    "is_dev",
    "vcpu",
    "memory",
    "disk_size",
    "gpu_count",
    "instance_type",
    "kms_type",
    "kms_slug",
    "kms_id",
    "listed",
    "updated_at",
    "gateway_domain",
    "team_slug",
    "team_name",
    "app_name",
    "is_current",
    "app",
)
MEGABYTES_PER_GIGABYTE = 1024
IDENTIFIERS = ("vm_uuid", "instance_id", "id")  # most to least specific


class UndecidableError(Exception):
    """A filter cannot be decided, because the service's answer does not show the field."""


@dataclass(frozen=True)
class Cvm:
    """One CVM.

    ``core`` holds every one of :data:`CORE_VARIABLES`, ``fields`` all else that the API gave, ``identity`` is unique to the
    CVM, and ``is_only_cvm`` tells that its app has no other.
    """

    core: dict[str, Any]
    fields: dict[str, Any]
    identity: str
    is_only_cvm: bool

    @property
    def label(self) -> str:
        """The CVM as messages call it; the API's text is quoted in it."""
        return f"{self.core['name'] or ''!r} ({self.identity})"


def app_fault(app: Mapping[str, Any]) -> str | None:
    """Say where an app is not of the shape that the service describes, as far as its CVMs depend on it."""
    listed, current = app.get("cvms"), app.get("current_cvm")
    if not isinstance(listed, (list, type(None))):
        return f"cvms of app {_named(app, 'app_id')} is {type(listed).__name__} where a list belongs"
    for raw in [*(listed or ()), {} if current is None else current]:
        if not isinstance(raw, dict):
            return f"a CVM of app {_named(app, 'app_id')} is {type(raw).__name__} where an object belongs"
        for name in IDENTIFIERS:
            if not isinstance(raw.get(name), (str, type(None))):
                return f"{name} of a CVM of app {_named(app, 'app_id')} is {raw[name]!r} where text belongs"
    return None


def condensed(app: dict[str, Any]) -> dict[str, Any]:
    """Return the app with no more than the identifiers of a current CVM that is among its CVMs: half of the answer is doubles."""
    current = app.get("current_cvm") or {}
    identifiers = {name: current[name] for name in IDENTIFIERS if current.get(name)}
    if not identifiers:
        return app
    cvms, identity = _raw_cvms(app)
    return app if identity is None or cvms[identity] is current else {**app, "current_cvm": identifiers}


def select_cvms(queries: Sequence[Filter], answers: Sequence[Sequence[Any]], excludes: Sequence[Filter], note: Note) -> list[Cvm]:
    """Return the CVMs that meet the query which returned their app and no exclusion, each once, in a fixed order.

    :param answers: per query, the apps as the service gave them, of the right shape
    :raises UndecidableError: when an exclusion asks for what the answers do not show
    """
    selected: dict[str, Cvm] = {}
    for query, apps in zip(queries, answers, strict=True):
        for app in apps:
            for cvm in _meeting(query, _app_cvms(app, note), note):
                if cvm.identity not in selected and not _is_excluded(cvm, excludes, note):
                    selected[cvm.identity] = cvm
    return [selected[identity] for identity in sorted(selected)]


def _app_cvms(app: Mapping[str, Any], note: Note) -> list[Cvm]:
    """Return the app's CVMs that exist; ``current_cvm`` is one of ``cvms`` or stands for a CVM that they lack."""
    raw_cvms, current = _raw_cvms(app)
    if not raw_cvms:
        note(f"left out app {_named(app, 'app_id')}: the API shows no CVM of it")
        return []
    shown = {identity: raw for identity, raw in raw_cvms.items() if not raw.get("deleted_at")}
    for identity, raw in raw_cvms.items():
        if identity not in shown:
            note(f"left out CVM {_named(raw, 'vm_uuid')}: it was deleted at {raw['deleted_at']!r}")
    metadata = {name: value for name, value in app.items() if name not in ("cvms", "current_cvm")}
    is_only_cvm = len(shown) == 1 and not _has_more_cvms(app)
    return [
        Cvm(
            core=_core(raw, metadata, is_current=identity == current),
            fields={name: value for name, value in raw.items() if name not in _CORE_NAMES},
            identity=identity,
            is_only_cvm=is_only_cvm,
        )
        for identity, raw in shown.items()
    ]


def _raw_cvms(app: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], str | None]:
    """Return the app's CVMs by their identity, and that of the current one."""
    current = app.get("current_cvm")
    cvms: dict[str, dict[str, Any]] = {}
    for raw in app.get("cvms") or ():
        cvms.setdefault(_identity(raw, app, cvms), raw)
    if not current:
        return cvms, None
    same = next((identity for identity, raw in cvms.items() if _is_same(raw, current)), None)
    if same is None:
        same = _identity(current, app, cvms)
        cvms[same] = current
    return cvms, same


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two records are of one CVM: by the most specific identifier that both carry."""
    for name in IDENTIFIERS:
        if one.get(name) and other.get(name):
            return bool(one[name] == other[name])
    return one == other


def _identity(raw: Mapping[str, Any], app: Mapping[str, Any], others: Collection[str]) -> str:
    """Return what sets the CVM apart: an identifier, else its app, what it shows, and a number among those that show the same."""
    for name in IDENTIFIERS:
        if raw.get(name):
            return f"{name} {raw[name]!r}"
    shown = json.dumps([app.get("id"), app.get("app_id"), raw], sort_keys=True)
    content = hashlib.sha256(shown.encode()).hexdigest()
    return next(identity for number in count(1) if (identity := f"{content} {number}") not in others)


def _has_more_cvms(app: Mapping[str, Any]) -> bool:
    count = app.get("cvm_count")
    return isinstance(count, int) and count > 1


def _named(raw: Mapping[str, Any], identifier: str) -> str:
    return f"{raw.get('name') or ''!r} ({identifier} {raw.get(identifier)!r})"


# The two shapes


def _core(raw: Mapping[str, Any], app: dict[str, Any], *, is_current: bool) -> dict[str, Any]:
    """Return the variables that are the same for every API version; None where the shape does not tell."""
    resource, node, system = _part(raw, "resource"), _part(raw, "node_info"), _part(raw, "os")
    workspace, gateway, machine = _part(raw, "workspace"), _part(raw, "gateway"), _part(raw, "machine_info")
    get = raw.get
    base_image = _first(get("base_image"), system.get("name"))
    return {
        "name": get("name"),
        "vm_uuid": get("vm_uuid"),
        "instance_id": get("instance_id"),
        "app_id": _first(get("app_id"), app.get("app_id")),
        "status": get("status"),
        "region": _first(node.get("region"), get("region_identifier"), get("region")),
        "node": _first(node.get("name"), get("teepod_name")),
        "node_id": _first(node.get("id"), get("teepod_id")),
        "base_image": base_image,
        "is_dev": _first(system.get("is_dev"), _is_dev_image(base_image)),
        "vcpu": _first(resource.get("vcpu"), get("vcpu")),
        "memory": _first(_megabytes(resource.get("memory_in_gb")), get("memory")),
        "disk_size": _first(resource.get("disk_in_gb"), get("disk_size")),
        "gpu_count": _first(resource.get("gpus"), machine.get("gpu_count")),
        "instance_type": _first(resource.get("instance_type"), get("instance_type")),
        "kms_type": get("kms_type"),
        "kms_slug": get("kms_slug"),
        "kms_id": get("kms_id"),
        "listed": get("listed"),
        "updated_at": get("updated_at"),
        "gateway_domain": gateway.get("base_domain"),
        "team_slug": _first(workspace.get("slug"), app.get("team_slug")),
        "team_name": _first(workspace.get("name"), app.get("team_name")),
        "app_name": app.get("name"),
        "is_current": is_current,
        "app": app,
    }


_CORE_NAMES = frozenset(CORE_VARIABLES)


def _part(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = raw.get(name)
    return part if isinstance(part, dict) else {}


def _first(*values: Any) -> Any:
    for value in values:
        if value is not None:
            return value
    return None


def _megabytes(gigabytes: Any) -> int | float | None:
    """Return GB as MB, a whole number where it is one."""
    if isinstance(gigabytes, bool) or not isinstance(gigabytes, (int, float)):
        return None
    megabytes = gigabytes * MEGABYTES_PER_GIGABYTE
    if isinstance(megabytes, float) and not math.isfinite(megabytes):
        return None
    return int(megabytes) if megabytes == int(megabytes) else megabytes


def _is_dev_image(base_image: Any) -> bool | None:
    """Tell a dev image, the only kind that runs sshd, by its name: ``dstack-dev-0.5.7-9b6a5239``."""
    return "dev" in base_image.split("-") if isinstance(base_image, str) else None


# Selection


def _meeting(query: Filter, cvms: list[Cvm], note: Note) -> Iterator[Cvm]:
    """Yield the app's CVMs that meet the query themselves: the service returns an app whole when one of them does."""
    trusted = _left_to_service(query, cvms)
    for cvm in cvms:
        unmet = next((name for name in query if name not in trusted and not _meets(cvm, name, query[name])), None)
        if unmet is None:
            yield cvm
        else:
            shown = ", ".join(f"{name}: {'|'.join(query[name])}" for name in query)
            note(f"left out CVM {cvm.label} of the query {{{shown}}}: it does not meet {unmet}")


def _left_to_service(query: Filter, cvms: list[Cvm]) -> set[str]:
    """Return the filters in which the service's word stands, because the app's CVMs do not show what it looked at."""
    trusted = {"search"}
    if "node" in query and not any(_meets(cvm, "node", query["node"]) for cvm in cvms):
        trusted.add("node")
    if not any(_shows_kms_slug(cvm) for cvm in cvms):
        trusted.add("kms_slug")
    return trusted


def _shows_kms_slug(cvm: Cvm) -> bool:
    """Tell the flat shape, which carries the KMS slug (or null), from the nested one, which does not know it."""
    return cvm.core["kms_slug"] is not None or "resource" not in cvm.fields


def _meets(cvm: Cvm, name: str, wanted: tuple[str, ...]) -> bool:
    core = cvm.core
    if name == "node":
        return any(node in wanted for node in (core["node"], cvm.fields.get("teepod_name")))
    value = core[name]
    if name == "listed":
        return isinstance(value, bool) and str(value).lower() in wanted
    if name == "base_image":
        return isinstance(value, str) and any(part in value for part in wanted)
    return value in wanted


def _is_excluded(cvm: Cvm, excludes: Sequence[Filter], note: Note) -> bool:
    for position, exclude in enumerate(excludes):
        if "kms_slug" in exclude and not _shows_kms_slug(cvm):
            raise UndecidableError(
                f"exclude_filters[{position}].kms_slug cannot be decided: the service's answer does not show the CVMs' KMS slug;"
                " use kms_type instead"
            )
        if all(_meets(cvm, name, wanted) for name, wanted in exclude.items()):
            note(f"left out CVM {cvm.label}: exclude_filters[{position}] says so")
            return True
    return False


# Dimensions of groups


def _listed(core: Mapping[str, Any]) -> Any:
    return str(core["listed"]).lower() if isinstance(core["listed"], bool) else None


def _os_type(core: Mapping[str, Any]) -> str | None:
    return ("dev" if core["is_dev"] else "prod") if isinstance(core["is_dev"], bool) else None


_DERIVED: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "app": lambda core: core["app_name"],
    "team": lambda core: core["team_slug"] or core["team_name"],
    "listed": _listed,
    "os_type": _os_type,
}


def dimension_value(cvm: Cvm, dimension: str) -> str | None:
    """Return the CVM's value in a dimension of groups as text, or None where it has none."""
    derive = _DERIVED.get(dimension)
    value = derive(cvm.core) if derive else cvm.core[dimension]
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    return str(value) or None
