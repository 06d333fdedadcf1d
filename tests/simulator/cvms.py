# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The endpoints of single CVMs: their state, which the official CLI requests after the apps, and a restart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel

from .accounts import Account
from .records import App, Cvm
from .routes import known_account, service_of
from .selection import Entry
from .shapes import render

router: Final = APIRouter(prefix="/api/v1")


class StatusOrder(BaseModel):
    vm_uuids: list[str]


class CvmStatus(BaseModel):
    vm_uuid: str
    status: str
    uptime: str | None = None
    in_progress: bool = False
    boot_progress: str | None = None
    boot_error: str | None = None


@router.post("/status/batch")
async def list_statuses(
    account: Annotated[Account, Depends(known_account)],
    order: StatusOrder,
) -> dict[str, CvmStatus]:
    wanted = set(order.vm_uuids)
    cvms = (cvm for dummy, cvm in _cvms(account.fleet))
    return {cvm.vm_uuid: _status(cvm, cvm.vm_uuid) for cvm in cvms if cvm.vm_uuid is not None and cvm.vm_uuid in wanted}


@router.get("/cvms/{identifier}")
async def show_cvm(account: Annotated[Account, Depends(known_account)], identifier: str) -> dict[str, Any]:
    """Return one CVM in the nested shape."""
    app, cvm = _find(account.fleet, identifier)
    shown = render(app)
    return next(entry for entry in (*shown["cvms"], shown["current_cvm"]) if entry and entry["vm_uuid"] == cvm.vm_uuid)


@router.post("/cvms/{identifier}/restart", status_code=202)
async def restart_cvm(request: Request, account: Annotated[Account, Depends(known_account)], identifier: str) -> dict[str, Any]:
    dummy, cvm = _find(account.fleet, identifier)
    service_of(request).restart(account, cvm)
    return {"status": "accepted"}


def _find(fleet: Iterable[Entry], identifier: str) -> tuple[App, Cvm]:
    """Find a CVM by its `id` or its vm_uuid, with or without dashes."""
    for app, cvm in _cvms(fleet):
        if identifier in (cvm.id, cvm.vm_uuid, (cvm.vm_uuid or "").replace("-", "")):
            return app, cvm
    raise HTTPException(404, detail="CVM not found")


def _cvms(fleet: Iterable[Entry]) -> list[tuple[App, Cvm]]:
    return [(app, cvm) for app in fleet if isinstance(app, App) for cvm in app.live_cvms]


def _status(cvm: Cvm, vm_uuid: str) -> CvmStatus:
    return CvmStatus(vm_uuid=vm_uuid, status=cvm.status, in_progress=cvm.progress is not None)
