# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An account's apps and CVMs, independent of the shape of an API version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, NamedTuple

DERIVED: Any = "<derived>"
"""Means that the value is derived from the names. None is a value: it means null."""

DEV_IMAGE_PREFIX: Final = "dstack-dev-"


class Machine(NamedTuple):
    """The size of an instance type: memory in MB, disk in GB."""

    vcpu: int
    memory: int
    disk_size: int
    gpu_count: int


MACHINES: Final[Mapping[str | None, Machine]] = {
    None: Machine(vcpu=1, memory=2048, disk_size=20, gpu_count=0),
    "tdx.small": Machine(vcpu=1, memory=2048, disk_size=20, gpu_count=0),
    "tdx.medium": Machine(vcpu=2, memory=4096, disk_size=40, gpu_count=0),
    "tdx.large": Machine(vcpu=4, memory=8192, disk_size=80, gpu_count=0),
    "tdx.xlarge": Machine(vcpu=8, memory=16384, disk_size=160, gpu_count=0),
    "h200.small": Machine(vcpu=24, memory=196608, disk_size=500, gpu_count=1),
    "h200.8x.large": Machine(vcpu=192, memory=1572864, disk_size=4000, gpu_count=8),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cvm:
    """One CVM; `memory` in MB, `disk_size` in GB.

    A field that an API version neither requires nor allows to be null is left out of its shape if it is None here.
    `physical_node` is known only to the `node` filter: no shape has it. `number` is what 2026-01-21 returns as `id`,
    if it is set. `progress` is the target of an operation in progress. With `shows_instance_id=False`, `instance_id`
    is null in every shape, and the nested ones have it in `endpoints` only. `extra` adds or replaces fields in every
    shape, unchecked.
    """

    name: str = ""
    status: str = "running"
    region: str | None = "US-WEST-1"
    node: str | None = "prod7"
    node_id: int | None = DERIVED
    physical_node: str | None = None
    base_image: str | None = "dstack-0.5.7"
    os_image_hash: str | None = DERIVED
    instance_type: str | None = "tdx.small"
    vcpu: int = DERIVED
    memory: int = DERIVED
    disk_size: int = DERIVED
    gpu_count: int | None = DERIVED
    kms_type: str | None = "phala"
    kms_slug: str | None = DERIVED
    kms_id: str | None = DERIVED
    gateway_domain: str | None = DERIVED
    gateway_enabled: bool = DERIVED
    listed: bool | None = False
    created_at: str | None = "2026-02-01T08:00:00Z"
    updated_at: str | None = "2026-03-01T09:30:00Z"
    deleted_at: str | None = None
    progress: str | None = None
    id: str | None = DERIVED
    number: int | None = None
    vm_uuid: str | None = DERIVED
    instance_id: str | None = DERIVED
    shows_instance_id: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def is_dev(self) -> bool:
        return self.base_image is not None and self.base_image.startswith(DEV_IMAGE_PREFIX)

    @property
    def image_slug(self) -> str | None:
        """Return the catalogue's name of the image: its name and the first 8 digits of its hash."""
        if self.base_image is None or self.os_image_hash is None:
            return self.base_image
        return f"{self.base_image}-{self.os_image_hash[:8]}"

    @property
    def shown_instance_id(self) -> str | None:
        return self.instance_id if self.shows_instance_id else None

    def is_same_as(self, other: Cvm) -> bool:
        """Compare the identifiers, whatever the other fields are."""
        mine, theirs = ((cvm.id, cvm.vm_uuid, cvm.instance_id) for cvm in (self, other))
        return any(one is not None and one == another for one, another in zip(mine, theirs, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The public profile of an app."""

    display_name: str | None = None
    avatar_url: str | None = None
    description: str | None = None
    custom_domain: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One app. Its ids are derived from its name, and those of its CVMs from its app id and their names.

    Two apps of one name need different `app_id`s. `current_cvm` is the first of `cvms` unless it is given. A given one
    with the name of one of `cvms` is that CVM, also if other fields differ. `extra` adds or replaces fields in every
    shape, unchecked. In a `minimal` app, everything except `app_id` is null.
    """

    name: str = ""
    cvms: tuple[Cvm, ...] = ()
    current_cvm: Cvm | None = DERIVED
    app_id: str = DERIVED
    id: str = DERIVED
    cvm_count: int = DERIVED
    app_provision_type: str | None = None
    app_icon_url: str | None = None
    created_at: str = "2026-01-15T07:00:00Z"
    kms_type: str = "phala"
    profile: Profile | None = None
    team_slug: str | None = "example-team"
    team_name: str | None = "Example team"
    minimal: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        self._default("app_id", digest("app", self.name)[:40])
        self._default("id", f"prj_{digest('project', self.app_id)[:12]}")
        cvms, current_cvm = _complete_cvms(self)
        object.__setattr__(self, "cvms", cvms)
        object.__setattr__(self, "current_cvm", current_cvm)
        self._default("cvm_count", len(self.live_cvms))

    @property
    def all_cvms(self) -> tuple[Cvm, ...]:
        """Return each CVM once, also deleted ones. The entry in `cvms` takes precedence over `current_cvm`."""
        if self.current_cvm is None or any(cvm.is_same_as(self.current_cvm) for cvm in self.cvms):
            return self.cvms
        return (self.current_cvm, *self.cvms)

    @property
    def live_cvms(self) -> tuple[Cvm, ...]:
        """Return the CVMs that are hosts."""
        return tuple(cvm for cvm in self.all_cvms if cvm.deleted_at is None)

    def _default(self, name: str, value: object) -> None:
        if getattr(self, name) is DERIVED:
            object.__setattr__(self, name, value)


def digest(*parts: str) -> str:
    """Return 128 hex digits, the same for the same parts."""
    return hashlib.sha512("/".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def bare_id(identifier: str) -> str:
    """Return an app or instance id as the gateway knows it: lower-case hex without `0x` or `app_`."""
    return identifier.lower().removeprefix("app_").removeprefix("0x")


def live_cvms(fleet: Iterable[App]) -> list[tuple[App, Cvm]]:
    """Return the CVMs that are hosts, each with its app, in the fleet's order."""
    return [(app, cvm) for app in fleet for cvm in app.live_cvms]


def _complete_cvms(app: App) -> tuple[tuple[Cvm, ...], Cvm | None]:
    seen: dict[str, int] = {}
    cvms = tuple(_complete(cvm, app_id=app.app_id, seen=seen) for cvm in app.cvms)
    if app.current_cvm is DERIVED:
        return cvms, cvms[0] if cvms else None
    if app.current_cvm is None:
        return cvms, None
    for given, completed in zip(app.cvms, cvms, strict=True):
        if given == app.current_cvm:
            return cvms, completed
    return cvms, _complete(app.current_cvm, app_id=app.app_id, seen={})


def _complete(cvm: Cvm, *, app_id: str, seen: dict[str, int]) -> Cvm:
    """Set every derived value of a CVM. `seen` counts the names of the app, so that equal names give different ids."""
    turn = seen.get(cvm.name, 0)
    seen[cvm.name] = turn + 1
    derived: dict[str, Any] = {
        "os_image_hash": None if cvm.base_image is None else digest("image", cvm.base_image)[:64],
        **_ids(app_id, cvm.name, turn),
        **_machine(cvm.instance_type),
        **_place(cvm.node),
        **_kms(cvm.kms_type, cvm.node),
    }
    missing = {name: value for name, value in derived.items() if getattr(cvm, name) is DERIVED}
    if cvm.gateway_enabled is DERIVED:
        missing["gateway_enabled"] = missing.get("gateway_domain", cvm.gateway_domain) is not None
    return replace(cvm, **missing) if missing else cvm


def _ids(app_id: str, name: str, turn: int) -> dict[str, Any]:
    text = digest("cvm", app_id, name, str(turn))
    uuid = "-".join((text[40:48], text[48:52], text[52:56], text[56:60], text[60:72]))
    return {"instance_id": text[:40], "vm_uuid": uuid, "id": f"cvm_{text[72:84]}"}


@cache
def _machine(instance_type: str | None) -> dict[str, Any]:
    return MACHINES.get(instance_type, MACHINES[None])._asdict()


@cache
def _place(node: str | None) -> dict[str, Any]:
    """Derive a node's number from the digits of its name, and its gateway from the whole name."""
    if not node:
        return {"node_id": None, "gateway_domain": None}
    number = "".join(filter(str.isdecimal, node))
    return {"node_id": int(number) if number else None, "gateway_domain": f"dstack-{node}.example.org"}


@cache
def _kms(kms_type: str | None, node: str | None) -> dict[str, Any]:
    if kms_type is None:
        return {"kms_slug": None, "kms_id": None}
    slug = f"kms-{kms_type}-{node or 'unknown'}"
    return {"kms_slug": slug, "kms_id": f"kms_{digest(slug)[:12]}"}
