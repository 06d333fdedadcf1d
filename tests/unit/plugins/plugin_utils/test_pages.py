# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._api import ApiError, Content, Response
from ansible_collections.phala.cloud.plugins.plugin_utils._apps import Form, filter_states, read_apps
from ansible_collections.phala.cloud.plugins.plugin_utils._pages import Page, Request, get_page, read_page

CVM = {"vm_uuid": "v1", "name": "web", "status": "running"}
APP = {"id": "i1", "app_id": "a1", "name": "web", "cvms": [CVM], "current_cvm": CVM}
CONTENT = {"dstack_apps": [APP], "page": 2, "page_size": 100, "total": 101, "total_pages": 2}
QUERY = [("status", "running"), ("status", "stopped")]
REQUEST = Request("me", QUERY, page_size=100, number=2, with_states=False)


class Client:
    """Return one response with this content to every request."""

    def __init__(self, content: Any, digest: bytes = b"1") -> None:
        self.content = Content(content, ("a fault",))
        self.response = Response("https://service.test/apps?page=2", b"", "application/json", digest, 0.5, ())
        self.requests: list[tuple[str, Sequence[tuple[str, str]]]] = []

    def get(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> Response:
        self.requests.append((path, parameters))
        return self.response

    def read(self, response: Response) -> Content:
        assert response is self.response
        return self.content


def read(client: Any, request: Request) -> Page:
    return read_page(client, get_page(client, request), request)


def test_requests_the_page_of_the_query() -> None:
    client = Client(CONTENT)
    read(client, REQUEST)
    parameters = [("status", "running"), ("status", "stopped"), ("page", "2"), ("page_size", "100")]
    assert client.requests == [("/apps", parameters)]


def test_returns_apps_and_counts() -> None:
    page = read(Client(CONTENT, b"digest"), REQUEST)
    assert (page.digest, page.size, page.total, page.page_count) == (b"digest", 100, 101, 2)
    assert page.faults == ("a fault",)
    shown, forms = read_apps([APP], account="me")
    assert (page.apps, page.identities, page.states) == (shown, (("a1", "i1"),), ())
    assert page.forms == forms == {Form(has_identifier=True, is_sparse=True, without_status=None)}


def test_returns_what_filters_use_if_asked() -> None:
    page = read(Client(CONTENT), Request("me", [], page_size=100, number=2, with_states=True))
    assert page.states == (filter_states(read_apps([APP], account="me")[0][0]),)


@pytest.mark.parametrize(
    ("identifier", "expected"), [("i1", "i1"), (None, "null"), (5, "5"), (True, "true"), ([1], "[1]"), ({"a": "b"}, '{"a": "b"}')]
)
def test_identifies_an_app_by_both_identifiers(identifier: Any, expected: str) -> None:
    page = read(Client({**CONTENT, "dstack_apps": [{"app_id": "a1", "id": identifier}]}), REQUEST)
    assert page.identities == (("a1", expected),)


def test_identifies_a_minimal_app() -> None:
    page = read(Client({**CONTENT, "dstack_apps": [{"app_id": "a1", "cvms": None}]}), REQUEST)
    assert page.identities == (("a1", "null"),)


def test_returns_the_known_page_if_its_bytes_came_again() -> None:
    known = read(Client(CONTENT, b"same"), REQUEST)
    assert read(Client(None, b"same"), REQUEST._replace(known=known)) is known


def test_parses_a_page_whose_bytes_changed() -> None:
    known = read(Client(CONTENT, b"before"), REQUEST)
    client = Client({**CONTENT, "total": 102}, b"now")
    page = read(client, REQUEST._replace(known=known))
    assert (page.total, page.digest) == (102, b"now")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "it is NoneType, not an object"),
        ([], "it is list, not an object"),
        ({**CONTENT, "dstack_apps": None}, "dstack_apps is not a list of objects"),
        ({**CONTENT, "dstack_apps": {}}, "dstack_apps is not a list of objects"),
        ({**CONTENT, "dstack_apps": [APP, None]}, "dstack_apps is not a list of objects"),
        ({**CONTENT, "dstack_apps": [APP, {"id": "i1"}]}, "an app has no app_id"),
        ({**CONTENT, "dstack_apps": [{"app_id": ""}]}, "an app has no app_id"),
        ({**CONTENT, "dstack_apps": [{"app_id": 5}]}, "an app has no app_id"),
        ({**CONTENT, "page": None}, "page is null"),
        ({**CONTENT, "page": 0}, "page is 0"),
        ({**CONTENT, "page": True}, "page is true"),
        ({**CONTENT, "page": 3}, "it is page 3, but page 2 was requested"),
        ({**CONTENT, "page_size": 0}, "page_size is 0"),
        ({**CONTENT, "page_size": "100"}, 'page_size is "100"'),
        ({**CONTENT, "total": -1}, "total is -1"),
        ({**CONTENT, "total": 1.5}, "total is 1.5"),
        ({**CONTENT, "total": 2**63}, "total is 9223372036854775808"),
        ({**CONTENT, "total_pages": -1}, "total_pages is -1"),
        ({name: value for name, value in CONTENT.items() if name != "total_pages"}, "total_pages is null"),
        ({**CONTENT, "total": "\x1b[1m"}, 'total is "\\u001b[1m"'),
        ({**CONTENT, "total": "x" * 500}, f'total is "{"x" * 199}...'),
        ({**CONTENT, "total": "x" * 198}, f'total is "{"x" * 198}"'),
        ({**CONTENT, "total": "x" * 199}, f'total is "{"x" * 199}...'),
    ],
)
def test_refuses_a_response_that_is_not_a_page(content: Any, fault: str) -> None:
    with pytest.raises(ApiError) as raised:
        read(Client(content), REQUEST)
    assert str(raised.value) == (
        f"GET https://service.test/apps?page=2: the response is invalid: {fault}. Check api_url and api_version."
    )


def test_says_which_app_has_the_wrong_shape() -> None:
    broken = {"app_id": "a2", "name": "\x1b[1mred", "cvms": "none"}
    with pytest.raises(ApiError, match="a2") as raised:
        read(Client({**CONTENT, "dstack_apps": [APP, broken]}), REQUEST)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "counts", [{"total": 0, "total_pages": 0}, {"total": 2**63 - 1}, {"page_size": 1}, {"total_pages": 10**9}]
)
def test_accepts_any_count_in_range(counts: dict[str, int]) -> None:
    page = read(Client({**CONTENT, **counts}), REQUEST)
    assert (page.size, page.total, page.page_count) == tuple(
        {**CONTENT, **counts}[name] for name in ("page_size", "total", "total_pages")
    )


def test_accepts_page_one() -> None:
    page = read(Client({**CONTENT, "page": 1}), REQUEST._replace(number=1))
    assert page.total == 101
