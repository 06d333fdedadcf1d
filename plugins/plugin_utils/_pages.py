# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Request one page of an app list, and check that it is one."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.phala.cloud.plugins.plugin_utils._api import ApiError, Client, Response
from ansible_collections.phala.cloud.plugins.plugin_utils._apps import Form, ShownApp, app_fault, filter_states, read_apps
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import cut

Identity = tuple[str, str]  # an app's app_id and id

PATH = "/apps"
MAX_NUMBER = 2**63 - 1


class Page(NamedTuple):
    """One page of apps, with the counts of its response.

    ``forms`` are those of all entries of CVMs. ``states`` is empty if it was not asked for.
    """

    digest: bytes
    apps: Sequence[ShownApp]
    forms: frozenset[Form]
    identities: tuple[Identity, ...]
    states: tuple[frozenset[Hashable], ...]
    size: int
    total: int
    page_count: int
    faults: tuple[str, ...]


class Request(NamedTuple):
    """A page of an account to request; ``known`` is the newest copy of it."""

    account: str
    parameters: Sequence[tuple[str, str]]
    page_size: int
    number: int
    with_states: bool
    known: Page | None = None


def get_page(client: Client, request: Request) -> Response:
    """Request a page; :func:`read_page` reads the response.

    :raises ApiError: if the request fails
    """
    return client.get(PATH, [*request.parameters, ("page", str(request.number)), ("page_size", str(request.page_size))])


def read_page(client: Client, response: Response, request: Request) -> Page:
    """Return the page of a response, which is the known copy if the bytes are the same.

    :raises ApiError: if it is invalid
    """
    if request.known and request.known.digest == response.digest:
        return request.known
    content, faults = client.read(response)
    if fault := _page_fault(content, request.number):
        raise ApiError(f"GET {response.url}: the response is invalid: {fault}. Check api_url and api_version.")
    apps, forms = read_apps(content["dstack_apps"], account=request.account)
    return Page(
        digest=response.digest,
        apps=apps,
        forms=forms,
        identities=tuple(map(_identify, content["dstack_apps"])),
        states=tuple(map(filter_states, apps)) if request.with_states else (),
        size=content["page_size"],
        total=content["total"],
        page_count=content["total_pages"],
        faults=faults,
    )


def _identify(app: Mapping[str, Any]) -> Identity:
    identifier = app.get("id")
    return app["app_id"], identifier if isinstance(identifier, str) else json.dumps(identifier)


def _page_fault(content: Any, number: int) -> str | None:
    """Say where a response is not a page of apps, as far as the fleet depends on it."""
    if not isinstance(content, dict):
        return f"it is {type(content).__name__}, not an object"
    return _apps_fault(content.get("dstack_apps")) or _numbers_fault(content, number)


def _apps_fault(apps: Any) -> str | None:
    if not isinstance(apps, list) or not all(isinstance(app, dict) for app in apps):
        return "dstack_apps is not a list of objects"
    if not all(isinstance(app.get("app_id"), str) and app["app_id"] for app in apps):
        return "an app has no app_id"
    fault = next(filter(None, map(app_fault, apps)), None)
    return cut(fault) if fault else None


def _numbers_fault(content: Mapping[str, Any], number: int) -> str | None:
    for name, minimum in (("page", 1), ("page_size", 1), ("total", 0), ("total_pages", 0)):
        value = content.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= MAX_NUMBER:
            return f"{name} is {cut(json.dumps(value))}"
    return None if content["page"] == number else f"it is page {content['page']}, but page {number} was requested"
