# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shapes in which API versions return a CVM: one function for each, and one row in :data:`SHAPES`.

The response decides, not the requested version, because a server may ignore the header.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CommonVariables, CoreVariables

MEGABYTES_PER_GIGABYTE = 1024
HASH_DIGITS = 8  # of an image, in its slug

Raw = Mapping[str, Any]  # a JSON object of the API

_INSTANCE_LABEL = re.compile(r"https?://([0-9a-f]{1,57})-[0-9]+[a-z]?\.", re.IGNORECASE)


class Shape(NamedTuple):
    """One shape of a CVM.

    Any of ``fields`` shows that a CVM has this shape. ``read`` returns the core variables for the CVM, its app's metadata, and
    whether it is the app's current CVM. ``paths`` say for each filter where the CVM has its value, and ``lacks`` has the filters
    for which no CVM of this shape has one. ``api_version`` is one that returns this shape.
    """

    name: str
    api_version: str
    fields: frozenset[str]
    read: Callable[[Raw, dict[str, Any], bool], CoreVariables]
    paths: Mapping[str, tuple[str, ...]]
    lacks: frozenset[str] = frozenset()

    def shows(self, cvm: Raw, name: str) -> bool:
        """Return whether the CVM has the field of a filter; a null is a value."""
        return _has(cvm, self.paths[name])

    def hidden(self, cvm: Raw) -> frozenset[str]:
        """Return the filters whose fields the CVM does not have."""
        return frozenset(name for name in self.paths if not self.shows(cvm, name))


def shape_of(cvm: Raw) -> Shape:
    """Return the first shape of which the CVM has a field, else the last: that of a CVM with only the shared fields."""
    names = cvm.keys()
    for shape in SHAPES:
        if not names.isdisjoint(shape.fields):
            return shape
    return SPARSE


def node_names(cvm: Raw) -> tuple[Any, ...]:
    """Return the names that the service's filter ``node`` may match: those of the node and of the teepod."""
    return _at(cvm, shape_of(cvm).paths["node"]), cvm.get("teepod_name")


def image_names(cvm: Raw) -> tuple[Any, ...]:
    """Return the name of the CVM's image, and the slug under which the catalogue lists it."""
    name, digest = _at(cvm, shape_of(cvm).paths["base_image"]), _part(cvm, "os").get("os_image_hash")
    if not isinstance(name, str):
        return (cvm.get("base_image"),)
    return (name, f"{name}-{digest[:HASH_DIGITS]}") if isinstance(digest, str) and digest else (name,)


def instance_id(cvm: Raw) -> Any:
    """Return the instance id, which is null in practice, but then part of the addresses in ``endpoints``."""
    return cvm.get("instance_id") or next(filter(None, map(_instance_of, _endpoints(cvm))), None)


def read_nested(cvm: Raw, app: dict[str, Any], is_current: bool) -> CoreVariables:
    """Read a CVM whose fields are in parts such as ``resource`` and ``node_info``."""
    resource, node, system = _part(cvm, "resource"), _part(cvm, "node_info"), _part(cvm, "os")
    workspace = _part(cvm, "workspace")
    base_image = system.get("name")
    is_dev = system.get("is_dev")
    return {
        **_read_common(cvm, app, is_current),
        "region": node.get("region"),
        "node": node.get("name"),
        "node_id": node.get("id"),
        "base_image": base_image,
        "os_version": system.get("version"),
        "is_dev": _is_dev_image(base_image) if is_dev is None else is_dev,
        "vcpu": resource.get("vcpu"),
        "memory": _megabytes(resource.get("memory_in_gb")),
        "disk_size": resource.get("disk_in_gb"),
        "gpu_count": resource.get("gpus"),
        "instance_type": resource.get("instance_type"),
        "gateway_domain": _part(cvm, "gateway").get("base_domain"),
        "team_slug": workspace.get("slug"),
        "team_name": workspace.get("name"),
    }


def read_flat(cvm: Raw, app: dict[str, Any], is_current: bool) -> CoreVariables:
    """Read a CVM whose fields are all on one level, as API version 2025-10-28 returns it."""
    get = cvm.get
    base_image = get("base_image")
    return {
        **_read_common(cvm, app, is_current),
        "region": get("region_identifier"),
        "node": get("teepod_name"),
        "node_id": get("teepod_id"),
        "base_image": base_image,
        "os_version": None,
        "is_dev": _is_dev_image(base_image),
        "vcpu": get("vcpu"),
        "memory": get("memory"),
        "disk_size": get("disk_size"),
        "gpu_count": _part(cvm, "machine_info").get("gpu_count"),
        "instance_type": get("instance_type"),
        "gateway_domain": None,
        "team_slug": app.get("team_slug"),
        "team_name": app.get("team_name"),
    }


def _read_common(cvm: Raw, app: dict[str, Any], is_current: bool) -> CommonVariables:
    get = cvm.get
    endpoints = _endpoints(cvm) if isinstance(get("endpoints"), list) else None
    return {
        "name": get("name"),
        "vm_uuid": get("vm_uuid"),
        "cvm_id": get("id") or None,  # the number 0 identifies nothing
        "instance_id": instance_id(cvm),
        "app_id": get("app_id") or app.get("app_id"),
        "status": get("status"),
        "in_progress": _in_progress(cvm),
        "listed": get("listed"),
        "created_at": get("created_at"),
        "updated_at": get("updated_at"),
        "kms_type": get("kms_type"),
        "kms_slug": get("kms_slug"),
        "kms_id": get("kms_id"),
        "compose_hash": get("compose_hash"),
        "gateway_enabled": get("gateway_enabled"),
        "app_urls": _urls(endpoints, "app"),
        "instance_urls": _urls(endpoints, "instance"),
        "app_name": app.get("name"),
        "is_current": is_current,
        "is_reachable": None,
        "account": None,
        "gateway_id": None,
        "gateway_host": None,
        "gateway_port": None,
        "app": app,
    }


_SAME_NAMES = {name: (name,) for name in ("kms_slug", "kms_type", "listed", "status")}
NESTED = Shape(
    name="nested",
    api_version="2026-06-23",
    fields=frozenset({"resource", "node_info", "os", "gateway", "endpoints", "workspace"}),
    read=read_nested,
    paths={
        **_SAME_NAMES,
        "base_image": ("os", "name"),
        "instance_type": ("resource", "instance_type"),
        "node": ("node_info", "name"),
        "region": ("node_info", "region"),
    },
    lacks=frozenset({"kms_slug"}),
)
FLAT = Shape(
    name="flat",
    api_version="2025-10-28",
    fields=frozenset({"teepod_id", "teepod_name", "region_identifier", "memory"}),
    read=read_flat,
    paths={
        **_SAME_NAMES,
        "base_image": ("base_image",),
        "instance_type": ("instance_type",),
        "node": ("teepod_name",),
        "region": ("region_identifier",),
    },
)
# Fields that both other shapes have: what the flat one has besides, such a CVM lacks.
SPARSE = Shape(
    name="sparse",
    api_version=FLAT.api_version,
    fields=frozenset(),
    read=read_flat,
    paths=FLAT.paths,
    lacks=frozenset({"base_image", "instance_type", "kms_slug", "node", "region"}),
)
SHAPES = (NESTED, FLAT, SPARSE)


def _part(raw: Raw, name: str) -> Raw:
    part = raw.get(name)
    return part if isinstance(part, dict) else {}


def _at(cvm: Raw, path: Sequence[str]) -> Any:
    """Return the value at a path, None where there is none."""
    *parts, name = path
    for part in parts:
        cvm = _part(cvm, part)
    return cvm.get(name)


def _has(cvm: Raw, path: tuple[str, ...]) -> bool:
    part: Any = cvm
    for name in path:
        if not isinstance(part, dict):
            return True
        if name not in part:
            return False
        part = part[name]
    return True


def _endpoints(cvm: Raw) -> list[Raw]:
    endpoints = cvm.get("endpoints")
    return [endpoint for endpoint in endpoints if isinstance(endpoint, dict)] if isinstance(endpoints, list) else []


def _urls(endpoints: list[Raw] | None, name: str) -> list[str] | None:
    """Return the addresses of one kind that a CVM's ports have, or None where the response does not say."""
    if endpoints is None:
        return None
    return [url for endpoint in endpoints if isinstance(url := endpoint.get(name), str)]


def _instance_of(endpoint: Raw) -> str | None:
    """Return the instance id in an address like ``https://<instance id>-8080.<domain>``, unless it is the app's id."""
    of_instance, of_app = (_INSTANCE_LABEL.match(str(endpoint.get(name))) for name in ("instance", "app"))
    if of_instance is None or (of_app and of_app[1].lower() == of_instance[1].lower()):
        return None
    return of_instance[1].lower()


def _in_progress(cvm: Raw) -> bool | None:
    """Return whether an operation is in progress, whatever the status says, or None where the response does not say."""
    if _part(cvm, "progress").get("target"):
        return True
    value = cvm.get("in_progress")
    return value if isinstance(value, bool) else None


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
