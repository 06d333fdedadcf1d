# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Responses that are not 200: who is to blame, what the service says, and whether another try may help."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
import requests

from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import ApiError, UnavailableError
from ansible_collections.phala.cloud.plugins.plugin_utils._refusals import ServiceError, read_error, refusal

URL = "https://service.example/api/v1/apps?page=1"
KEY = "phak_0123456789abcdef"
TOP_UP = {
    "error_code": "ERR-04-001",
    "message": "You need to top up your account.",
    "details": [{"field": "workspace", "value": "acme", "message": "balance is 0"}],
    "suggestions": ["Top up your account"],
    "links": [{"url": "https://cloud.example/billing", "label": "Billing"}],
    "request_id": "req-abc",
}
KEY_REFUSED = (
    "the API key from PHALA_CLOUD_API_KEY was refused",
    "Check that the key is complete, not revoked, and made for service.example.",
)
REFUSED = ("the service refused the request", "Check api_url, or ask the service's support.")
QUERY_REFUSED = ("the service does not accept the query", "Correct the filters, page_size or api_version.")
NO_ENDPOINT = ("there is no such endpoint", "Check api_url. The one of the service itself ends in /api/v1.")
BLOCKED = ("a proxy or firewall in front of the service refused the request", "Check api_url and the proxy settings.")


def message(status: int, refused: tuple[str, str], said: str = "") -> str:
    """Return the reason, what the service says, and the advice, as a message has them."""
    reason, advice = refused
    return f"{status} from {URL}: {reason}{said and f' ({said})'}. {advice}"


def error_for(status: int, body: Any = "", **headers: str) -> ApiError:
    response = requests.Response()
    response.status_code = status
    response.url = URL
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return refusal(response, content, key_source="PHALA_CLOUD_API_KEY", mask=lambda text: text.replace(KEY, "***"))


@pytest.mark.parametrize(
    ("status", "body", "refused", "said"),
    [
        (401, "", KEY_REFUSED, ""),
        (401, "<html>", KEY_REFUSED, ""),
        (401, {"detail": "Not authenticated"}, KEY_REFUSED, "the service says: Not authenticated"),
        *(
            (403, {"message": text}, KEY_REFUSED, f"the service says: {text}")
            for text in (
                "Invalid API key",
                "The api_key is wrong",
                "apikey expired",
                "this KEY",
                "Token has expired",
                "unknown tokens",
                "Authentication failed",
                "You are not authenticated",
                "Unauthenticated",
            )
        ),
        (403, {"detail": "Invalid API key"}, KEY_REFUSED, "the service says: Invalid API key"),
        (403, {"detail": {"message": "no such key"}}, KEY_REFUSED, "the service says: no such key"),
        *(
            (403, {"message": text}, REFUSED, f"the service says: {text}")
            for text in ("No access", "the monkey is out", "keyboard", "turnkey", "tokenizer", "not authorized")
        ),
        (
            403,
            {"message": "No", "suggestions": ["Use another key"]},
            REFUSED,
            "the service says: No; suggestions: Use another key",
        ),
        (403, {}, REFUSED, ""),
        (404, "", NO_ENDPOINT, ""),
        (
            422,
            {"detail": [{"loc": ["query", "page_size"], "msg": "too large", "type": "x"}]},
            QUERY_REFUSED,
            "the service says: details: query.page_size: too large",
        ),
        (418, "", REFUSED, ""),
        (204, "", REFUSED, ""),
        (206, "", REFUSED, ""),
        (400, [1], REFUSED, ""),
        (400, "[" * 100_000, REFUSED, ""),
        (400, b"\xff", REFUSED, ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_refusal_says_what_to_do(status: int, body: Any, refused: tuple[str, str], said: str) -> None:
    error = error_for(status, body)
    assert str(error) == message(status, refused, said)
    assert error.__class__ is ApiError
    assert (error.may_pass, error.retry_after, error.is_throttled) == (False, None, False)


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ("error code: 1010\n", "text/plain; charset=UTF-8", "the response says: error code: 1010"),
        ("error code: 1010", "Text/Plain", "the response says: error code: 1010"),
        ("the API key is wrong", "text/plain", "the response says: the API key is wrong"),
        ("x" * 300, "text/plain", f"the response says: {'x' * 200}..."),
        (" \n", "text/plain", ""),
        ("<html>bad key</html>", "text/html", ""),
        ("bad key", "", ""),
        (f"\xff{KEY}".encode("latin-1"), "text/plain", "the response says: \ufffd***"),
    ],
)
def test_403_of_a_proxy_is_not_blamed_on_the_key(body: Any, kind: str, said: str) -> None:
    assert str(error_for(403, body, content_type=kind)) == message(403, BLOCKED, said)


def test_redirect_shows_where_it_points() -> None:
    for status in (300, 301, 302, 303, 307, 308, 399):
        assert str(error_for(status, location=f"https://other.example/{KEY}")) == (
            f"{status} from {URL}: the response redirects to https://other.example/***, and the plugin does not follow redirects,"
            " because it would send the API key. Correct api_url."
        )


# What may pass


@pytest.mark.parametrize(
    ("status", "reason"),
    [(429, "too many requests"), *((status, "the service is not available now") for status in (500, 502, 503, 520, 599))],
)
def test_status_that_may_pass(status: int, reason: str) -> None:
    error = error_for(status)
    assert str(error) == f"{status} from {URL}: {reason}. Try again later."
    assert error.__class__ is UnavailableError
    assert (error.may_pass, error.retry_after, error.is_throttled) == (True, None, status == 429)


@pytest.mark.parametrize("status", [429, 503])
def test_pause_that_the_service_asks_for(status: int) -> None:
    error = error_for(status, retry_after="30")
    assert (error.may_pass, error.retry_after, error.is_throttled) == (True, 30, True)
    assert "asks to wait" not in str(error)
    error = error_for(status, retry_after=formatdate(100, usegmt=True), date=formatdate(90, usegmt=True))
    assert (error.retry_after, error.is_throttled) == (10, True)


@pytest.mark.parametrize(("text", "seconds"), [("31", "31"), ("86400", "86400"), ("9" * 400, "1000000000")])
def test_pause_that_is_too_long_is_said(text: str, seconds: str) -> None:
    assert str(error_for(429, {"message": "slow down"}, retry_after=text)) == (
        f"429 from {URL}: too many requests, and it asks to wait {seconds} s, but the plugin waits at most 30 s"
        " (the service says: slow down). Try again later."
    )


@pytest.mark.parametrize("status", [600, 499, 799])
def test_other_status_does_not_pass(status: int) -> None:
    assert error_for(status).__class__ is ApiError


# The forms of an error


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            TOP_UP,
            {
                "code": "ERR-04-001",
                "message": "You need to top up your account.",
                "details": ("workspace: balance is 0",),
                "suggestions": ("Top up your account",),
                "links": ("Billing: https://cloud.example/billing",),
                "request_id": "req-abc",
            },
        ),
        (
            {"detail": {"error_code": "E", "message": "m", "details": [{"field": "status", "message": "unknown"}]}},
            {"code": "E", "message": "m", "details": ("status: unknown",)},
        ),
        ({"detail": "text"}, {"message": "text"}),
        ({"message": "text", "detail": "other"}, {"message": "text"}),
        ({"message": "", "detail": "other"}, {"message": "other"}),
        ({"detail": {"message": "inner"}, "message": "outer", "request_id": 7}, {"message": "inner", "request_id": "7"}),
        (
            {
                "detail": [
                    {"loc": ["query", "x", 0], "msg": "bad"},
                    {"loc": "y", "msg": "worse"},
                    {"msg": "worst"},
                    "text",
                    3,
                    None,
                ]
            },
            {"details": ("query.x.0: bad", "y: worse", "worst", "text", "3")},
        ),
        ({"details": "one text"}, {"details": ("one text",)}),
        ({"details": {"field": "f", "msg": "m"}}, {"details": ("f: m",)}),
        ({"details": [{"field": "f"}, {}, [], True, ""]}, {"details": ("f",)}),
        (
            {"suggestions": [{"message": "a"}, {"text": "b"}, {"x": "c"}], "links": ["https://a", {"href": "https://b"}]},
            {"suggestions": ("a", "b"), "links": ("https://a", "https://b")},
        ),
        (
            {"error_code": 12, "message": ["list"], "details": None, "suggestions": {}, "links": 1.5},
            {"code": "12", "links": ("1.5",)},
        ),
        ({}, {}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_error_is_read_in_all_forms(content: Any, expected: dict[str, Any]) -> None:
    assert read_error(json.dumps(content).encode()) == ServiceError(**expected, is_json=True)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'"text"', b"\xff", b"[" * 100_000], ids=lambda body: str(body[:9])
)
def test_what_is_not_an_object_says_nothing(body: bytes) -> None:
    assert read_error(body) == ServiceError()


def test_all_that_the_service_says_is_shown() -> None:
    assert str(error_for(403, TOP_UP)) == message(
        403,
        REFUSED,
        "the service says: ERR-04-001: You need to top up your account.; details: workspace: balance is 0;"
        " suggestions: Top up your account; see: Billing: https://cloud.example/billing) (request id req-abc",
    )


def test_header_goes_before_the_request_id_of_the_body() -> None:
    assert str(error_for(400, {"request_id": "body"}, x_request_id="header")) == message(400, REFUSED, "request id header")


def test_lists_and_texts_are_cut() -> None:
    details = [f"{number}{'d' * 300}" for number in range(1000)]
    error = error_for(400, {"message": "m" * 300, "details": details, "request_id": "r" * 300})
    shown = ", ".join(f"{text[:200]}..." for text in details[:10])
    assert str(error) == message(
        400,
        REFUSED,
        f"the service says: {'m' * 200}...; details: {shown} and 990 more) (request id {'r' * 200}...",
    )


@pytest.mark.parametrize(
    "content",
    [
        {"message": KEY},
        {"error_code": KEY},
        {"detail": KEY},
        {"details": [{"field": KEY, "message": KEY}]},
        {"suggestions": [KEY]},
        {"links": [{"url": KEY, "label": KEY}]},
        {"request_id": KEY},
        {"message": "x" * 190 + KEY},
        {"detail": [{"loc": [KEY], "msg": KEY}]},
    ],
    ids=lambda content: str(content)[:40],
)
def test_nothing_shows_the_key_or_steers_the_terminal(content: Any) -> None:
    text = str(error_for(400, json.dumps(content).replace(KEY, f"\\u001b{KEY}")))
    assert "0123" not in text
    assert "***" in text
    assert text.isprintable()
