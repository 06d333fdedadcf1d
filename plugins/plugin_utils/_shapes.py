# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shapes in which API versions return a CVM: one function for each, and one row in :data:`SHAPES`.

The response decides, not the requested version, because a server may ignore the header.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CoreVariables

MEGABYTES_PER_GIGABYTE = 1024

Raw = Mapping[str, Any]  # a JSON object of the API


@dataclass(frozen=True)
class Shape:
    """One shape of a CVM.

    Any of ``fields`` shows that a CVM has this shape. ``read`` returns the core variables for the CVM, its app's metadata, and
    whether it is the app's current CVM. ``node_names`` returns the names that the service's ``node`` filter may match. ``hidden``
    are the filters whose field the shape does not have, so that only the service can decide them. ``api_version`` is one that
    returns this shape.
    """

    name: str
    api_version: str
    fields: frozenset[str]
    read: Callable[[Raw, dict[str, Any], bool], CoreVariables]
    node_names: Callable[[Raw], tuple[Any, ...]]
    hidden: frozenset[str]


def shape_of(cvm: Raw) -> Shape:
    """Return the first shape of which the CVM has a field, else the last: that of a CVM with only the shared fields."""
    names = cvm.keys()
    return next((shape for shape in SHAPES if not names.isdisjoint(shape.fields)), SPARSE)


def read_nested(cvm: Raw, app: dict[str, Any], is_current: bool) -> CoreVariables:
    """Read a CVM whose fields are in parts such as ``resource`` and ``node_info``."""
    get = cvm.get
    resource, node, system = _part(cvm, "resource"), _part(cvm, "node_info"), _part(cvm, "os")
    workspace, gateway = _part(cvm, "workspace"), _part(cvm, "gateway")
    base_image = system.get("name")
    is_dev = system.get("is_dev")
    return {
        "name": get("name"),
        "vm_uuid": get("vm_uuid"),
        "instance_id": get("instance_id"),
        "app_id": get("app_id") or app.get("app_id"),
        "status": get("status"),
        "region": node.get("region"),
        "node": node.get("name"),
        "node_id": node.get("id"),
        "base_image": base_image,
        "is_dev": _is_dev_image(base_image) if is_dev is None else is_dev,
        "vcpu": resource.get("vcpu"),
        "memory": _megabytes(resource.get("memory_in_gb")),
        "disk_size": resource.get("disk_in_gb"),
        "gpu_count": resource.get("gpus"),
        "instance_type": resource.get("instance_type"),
        "kms_type": get("kms_type"),
        "kms_slug": None,
        "kms_id": get("kms_id"),
        "listed": get("listed"),
        "updated_at": get("updated_at"),
        "gateway_domain": gateway.get("base_domain"),
        "team_slug": workspace.get("slug"),
        "team_name": workspace.get("name"),
        "app_name": app.get("name"),
        "is_current": is_current,
        "app": app,
    }


def read_flat(cvm: Raw, app: dict[str, Any], is_current: bool) -> CoreVariables:
    """Read a CVM whose fields are all on one level, as API version 2025-10-28 returns it."""
    get = cvm.get
    base_image = get("base_image")
    return {
        "name": get("name"),
        "vm_uuid": get("vm_uuid"),
        "instance_id": get("instance_id"),
        "app_id": get("app_id") or app.get("app_id"),
        "status": get("status"),
        "region": get("region_identifier"),
        "node": get("teepod_name"),
        "node_id": get("teepod_id"),
        "base_image": base_image,
        "is_dev": _is_dev_image(base_image),
        "vcpu": get("vcpu"),
        "memory": get("memory"),
        "disk_size": get("disk_size"),
        "gpu_count": _part(cvm, "machine_info").get("gpu_count"),
        "instance_type": get("instance_type"),
        "kms_type": get("kms_type"),
        "kms_slug": get("kms_slug"),
        "kms_id": get("kms_id"),
        "listed": get("listed"),
        "updated_at": get("updated_at"),
        "gateway_domain": None,
        "team_slug": app.get("team_slug"),
        "team_name": app.get("team_name"),
        "app_name": app.get("name"),
        "is_current": is_current,
        "app": app,
    }


NESTED = Shape(
    name="nested",
    api_version="2026-01-21",
    fields=frozenset({"resource", "node_info", "os", "gateway", "endpoints", "workspace"}),
    read=read_nested,
    node_names=lambda cvm: (_part(cvm, "node_info").get("name"), cvm.get("teepod_name")),
    hidden=frozenset({"kms_slug"}),
)
FLAT = Shape(
    name="flat",
    api_version="2025-10-28",
    fields=frozenset({"teepod_id", "teepod_name", "region_identifier", "memory"}),
    read=read_flat,
    node_names=lambda cvm: (cvm.get("teepod_name"),),
    hidden=frozenset(),
)
# Fields that both other shapes have: what the flat one has besides, such a CVM lacks.
SPARSE = Shape(
    name="sparse",
    api_version=FLAT.api_version,
    fields=frozenset(),
    read=read_flat,
    node_names=lambda _cvm: (),
    hidden=frozenset({"base_image", "instance_type", "kms_slug", "node", "region"}),
)
SHAPES = (NESTED, FLAT, SPARSE)


def _part(raw: Raw, name: str) -> Raw:
    part = raw.get(name)
    return part if isinstance(part, dict) else {}


def _megabytes(gigabytes: Any) -> int | float | None:
    """Return GB as MB, an integer where it is whole."""
    if isinstance(gigabytes, bool) or not isinstance(gigabytes, (int, float)):
        return None
    megabytes = gigabytes * MEGABYTES_PER_GIGABYTE
    if isinstance(megabytes, float) and not math.isfinite(megabytes):
        return None
    return int(megabytes) if megabytes == int(megabytes) else megabytes


def _is_dev_image(base_image: Any) -> bool | None:
    """Return whether an image is a dev image by its name (``dstack-dev-0.5.7-9b6a5239``); only those run sshd."""
    return "dev" in base_image.split("-") if isinstance(base_image, str) else None
