# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of single CVMs, which the official command line tool asks for once it has its list of apps."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from .accounts import Account
from .records import App, Cvm
from .routes import known_account

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
    cvms = (cvm for app in account.fleet if isinstance(app, App) for cvm in app.live_cvms)
    return {cvm.vm_uuid: _status(cvm, cvm.vm_uuid) for cvm in cvms if cvm.vm_uuid is not None and cvm.vm_uuid in wanted}


def _status(cvm: Cvm, vm_uuid: str) -> CvmStatus:
    return CvmStatus(vm_uuid=vm_uuid, status=cvm.status, in_progress=cvm.progress is not None)
