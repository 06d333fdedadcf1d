# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Endpoints beside the published ones, by which a process that is not in Python steers the stand-in."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from .faults.parsing import parse_rule
from .fleet import make_fleet
from .routes import service_of

router: Final = APIRouter(prefix="/_simulator")


class FleetOrder(BaseModel):
    seed: int = 1
    cvms: Annotated[int, Field(ge=0, le=100_000)] = 12


@router.get("/requests")
async def show_requests(request: Request) -> list[dict[str, Any]]:
    return [asdict(recorded) for recorded in service_of(request).requests]


@router.delete("/requests", status_code=204)
async def clear_requests(request: Request) -> None:
    service_of(request).clear()


@router.put("/faults", status_code=204)
async def set_faults(request: Request, faults: list[dict[str, Any]]) -> None:
    """Replace what is queued; an empty list is forgiveness."""
    try:
        rules = [parse_rule(fault) for fault in faults]
    except ValueError as error:
        raise HTTPException(422, detail=str(error)) from error
    service = service_of(request)
    service.forgive()
    service.rules.extend(rules)


@router.put("/fleet", status_code=204)
def set_fleet(request: Request, order: FleetOrder) -> None:
    """Make another fleet, off the event loop: a large one takes seconds."""
    service_of(request).fleet = make_fleet(order.seed, order.cvms)
