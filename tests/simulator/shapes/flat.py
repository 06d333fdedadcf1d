# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flat shape of API version 2025-10-28."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ..records import App, Cvm
from .shared import FullApp, MinimalApp, Moment, Page, Shape, app_fields, minimal_app


class MachineInfo(Shape):
    """Memory in MB, disk in GB."""

    vcpu: int
    memory: int
    disk_size: int
    gpu_count: int


class FlatCvm(Shape):
    """Memory in MB, disk in GB. Fields without a default are required, also where they may be null."""

    vm_uuid: str | None
    app_id: str
    name: str = ""
    status: str
    vcpu: int
    memory: int
    disk_size: int
    teepod_id: int
    teepod_name: str
    region_identifier: str | None
    kms_type: str | None
    instance_type: str | None
    listed: bool | None = None
    base_image: str | None = None
    kms_slug: str | None = None
    kms_id: str | None = None
    instance_id: str | None = None
    machine_info: MachineInfo | None = None
    updated_at: Moment | None = None


class FlatApp(FullApp):
    current_cvm: FlatCvm | None = None
    cvms: list[FlatCvm] = Field(default_factory=list)
    team_slug: str | None = None
    team_name: str | None = None


class FlatPage(Page):
    dstack_apps: list[FlatApp | MinimalApp]


def flat_app(app: App) -> FlatApp | MinimalApp:
    """Return an app in the flat shape, without its deleted CVMs: the shape has no field for them."""
    if app.minimal:
        return minimal_app(app)
    cvms = (*app.cvms, *([app.current_cvm] if app.current_cvm else ()))
    shown = {id(cvm): _cvm(cvm, app_id=app.app_id) for cvm in cvms if cvm.deleted_at is None}
    fields: dict[str, Any] = {
        **app_fields(app),
        "current_cvm": shown.get(id(app.current_cvm)),
        "cvms": [shown[id(cvm)] for cvm in app.cvms if id(cvm) in shown],
        "team_slug": app.team_slug,
        "team_name": app.team_name,
    }
    return FlatApp(**fields).model_copy(update=dict(app.extra))


def _cvm(cvm: Cvm, *, app_id: str) -> FlatCvm:
    fields: dict[str, Any] = {
        "vm_uuid": cvm.vm_uuid,
        "app_id": app_id,
        "name": cvm.name,
        "status": cvm.status,
        "vcpu": cvm.vcpu,
        "memory": cvm.memory,
        "disk_size": cvm.disk_size,
        "teepod_id": cvm.node_id or 0,
        "teepod_name": cvm.node or "",
        "region_identifier": cvm.region,
        "kms_type": cvm.kms_type,
        "instance_type": cvm.instance_type,
        "listed": cvm.listed,
        "base_image": cvm.base_image,
        "kms_slug": cvm.kms_slug,
        "kms_id": cvm.kms_id,
        "instance_id": cvm.shown_instance_id,
        "machine_info": _machine_info(cvm),
        "updated_at": cvm.updated_at,
    }
    return FlatCvm(**fields).model_copy(update=dict(cvm.extra))


def _machine_info(cvm: Cvm) -> MachineInfo | None:
    """Return the machine, or None if a part of it is unknown: none of its fields may be null."""
    if cvm.gpu_count is None:
        return None
    return MachineInfo(vcpu=cvm.vcpu, memory=cvm.memory, disk_size=cvm.disk_size, gpu_count=cvm.gpu_count)
