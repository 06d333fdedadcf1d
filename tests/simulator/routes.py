# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The published endpoints. The framework validates the parameters, and rejects invalid ones with 422."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response

from .accounts import Account, cut, page_body
from .faults.answers import Body
from .selection import AppQuery, filter_options
from .service import Service

router: Final = APIRouter(prefix="/api/v1")


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def known_account(request: Request, x_api_key: Annotated[str | None, Header()] = None) -> Account:
    """Return the account of the request's key; refuse a missing key and an unknown one."""
    account = service_of(request).account(x_api_key)
    if account is None:
        raise HTTPException(401, detail="Not authenticated")
    return account


@router.get("/apps")
async def list_apps(
    request: Request,
    account: Annotated[Account, Depends(known_account)],
    query: Annotated[AppQuery, Query()],
    x_phala_version: Annotated[str | None, Header()] = None,
) -> Response:
    service = service_of(request)
    if service.pages is not None:
        return _fixed_page(service.pages, query)
    query = query.model_copy(update=dict.fromkeys(service.ignored_filters))
    part = cut(account, query, listing=service.listing, rearrangements=request.state.rearrangements)
    return _json(page_body(account, part, service.shape(x_phala_version)))


@router.get("/apps/filter-options")
async def list_filter_options(account: Annotated[Account, Depends(known_account)]) -> Response:
    return _json(filter_options(account.fleet).model_dump_json().encode())


def _fixed_page(pages: Sequence[Any], query: AppQuery) -> Response:
    """Serve one of the given pages. After the last one, the list is empty."""
    if query.page > len(pages):
        return _json(json.dumps(_empty_page(query, total_pages=len(pages))).encode())
    page = pages[query.page - 1]
    if isinstance(page, Body):
        headers = {"content-type": page.content_type, **page.headers}
        return Response(page.content, status_code=page.status, headers=headers)
    return _json(page if isinstance(page, bytes) else json.dumps(page).encode())


def _empty_page(query: AppQuery, *, total_pages: int) -> dict[str, Any]:
    return {
        "dstack_apps": [],
        "page": query.page,
        "page_size": query.page_size,
        "total": 0,
        "total_pages": total_pages,
    }


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
