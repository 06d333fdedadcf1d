# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn a response that is not 200 into an error, and read what the service says in it, in all its forms."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import ApiError, Mask, UnavailableError, safe_text
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import listed
from ansible_collections.phala.cloud.plugins.plugin_utils._patience import MAX_RETRY_AFTER, read_retry_after

if TYPE_CHECKING:
    import requests

RETRIED_STATUSES = frozenset((429, *range(500, 600)))
LONGEST_WAIT = 10**9  # seconds to show; a service may ask for any number

_ABOUT_KEY = re.compile(r"\b(?:api[ _-]?)?keys?\b|\btokens?\b|\b(?:un)?authenticat", re.IGNORECASE)


class ServiceError(NamedTuple):
    """What the body of an error says. All texts are as the service wrote them; empty where it says nothing."""

    code: str = ""
    message: str = ""
    details: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    request_id: str = ""
    is_json: bool = False


def refusal(response: requests.Response, body: bytes, *, key_source: str, mask: Mask) -> ApiError:
    """Return the error for a response with another status than 200."""
    said = read_error(body)
    status, url = response.status_code, response.url
    request_id = response.headers.get("X-Request-ID") or said.request_id
    details = _summary(said, response, body, mask)
    details += f" (request id {safe_text(request_id, mask)})" if request_id else ""
    if status not in RETRIED_STATUSES:
        reason, advice = _reason(response, said, key_source, mask)
        return ApiError(f"{status} from {url}: {reason}{details}. {advice}")
    wait = read_retry_after(response.headers)
    reason = "too many requests" if status == 429 else "the service is not available now"
    if wait is not None and wait > MAX_RETRY_AFTER:
        reason += f", and it asks to wait {min(wait, LONGEST_WAIT):.0f} s, but the plugin waits at most {MAX_RETRY_AFTER} s"
    return UnavailableError(
        f"{status} from {url}: {reason}{details}. Try again later.",
        may_pass=True,
        retry_after=wait,
        is_throttled=status == 429 or wait is not None,
    )


def _reason(response: requests.Response, said: ServiceError, key_source: str, mask: Mask) -> tuple[str, str]:
    """Return why a request was refused, and what to do."""
    status = response.status_code
    if status == 401 or (status == 403 and said.is_json and _ABOUT_KEY.search(said.message)):
        advice = f"Check that the key is complete, not revoked, and made for {urlsplit(response.url).hostname}."
        return f"the API key from {key_source} was refused", advice
    if status == 403 and not said.is_json:
        return "a proxy or firewall in front of the service refused the request", "Check api_url and the proxy settings."
    if 300 <= status < 400:
        target = safe_text(response.headers.get("Location"), mask)
        reason = (
            f"the response redirects to {target}, and the plugin does not follow redirects, because it would send the API key"
        )
        return reason, "Correct api_url."
    return {
        404: ("there is no such endpoint", "Check api_url. The one of the service itself ends in /api/v1."),
        422: ("the service does not accept the query", "Correct the filters, page_size or api_version."),
    }.get(status, ("the service refused the request", "Check api_url, or ask the service's support."))


def _summary(said: ServiceError, response: requests.Response, body: bytes, mask: Mask) -> str:
    """Return what the service says in parentheses, after a blank."""
    if not said.is_json:
        is_text = response.headers.get("Content-Type", "").lower().startswith("text/plain")
        text = safe_text(body.decode(errors="replace").strip(), mask) if is_text else ""
        return f" (the response says: {text})" if text else ""
    parts = [": ".join(safe_text(text, mask) for text in (said.code, said.message) if text)]
    for title, texts in (("details", said.details), ("suggestions", said.suggestions), ("see", said.links)):
        if texts:
            parts.append(f"{title}: {listed([mask(text) for text in texts])}")
    text = "; ".join(filter(None, parts))
    return f" (the service says: {text})" if text else ""


# The forms of an error


def read_error(body: bytes) -> ServiceError:
    """Read the body of an error.

    The service has three forms: an object with ``error_code`` and ``message``, the same object in ``detail``, and a text or a
    list of wrong parameters in ``detail``.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return ServiceError()
    if not isinstance(content, dict):
        return ServiceError()
    detail = content.get("detail")
    said = {**content, **detail} if isinstance(detail, dict) else content
    wrong_parameters = tuple(_entries(detail, ("msg", "message"), _parameter)) if isinstance(detail, list) else ()
    return ServiceError(
        code=_text(said.get("error_code")),
        message=_text(said.get("message")) or _text(detail),
        details=wrong_parameters or tuple(_entries(said.get("details"), ("message", "msg"), _field)),
        suggestions=tuple(_entries(said.get("suggestions"), ("message", "text"), lambda _entry: "")),
        links=tuple(_entries(said.get("links"), ("url", "href"), lambda entry: _text(entry.get("label")))),
        request_id=_text(said.get("request_id")),
        is_json=True,
    )


def _entries(value: Any, names: Iterable[str], title: Any) -> Iterator[str]:
    """Yield a text for each entry of a list: the text itself, or a title and the first of the named texts of an object."""
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, Mapping):
            text = next(filter(None, (_text(entry.get(name)) for name in names)), "")
            yield from filter(None, [": ".join(filter(None, (title(entry), text)))])
        elif _text(entry):
            yield _text(entry)


def _parameter(entry: Mapping[str, Any]) -> str:
    location = entry.get("loc")
    return ".".join(map(str, location)) if isinstance(location, list) else _text(location)


def _field(entry: Mapping[str, Any]) -> str:
    return _text(entry.get("field"))


def _text(value: Any) -> str:
    """Return a text or a number as text, anything else as none."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    return ""
