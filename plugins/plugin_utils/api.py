# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the service for one page of apps, as often as it takes. Knows HTTP, nothing of Ansible.

The exceptions::

    ApiError                 an answer that is none, or that refuses
    └── UnavailableError     no answer, or one that says to come again: 429 and 5xx
"""

from __future__ import annotations

import json
import logging
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlsplit

try:
    import requests
    import urllib3
    from requests.adapters import HTTPAdapter
    from urllib3.exceptions import HTTPError, InsecureRequestWarning, MaxRetryError, ReadTimeoutError
    from urllib3.util.retry import Retry
    from urllib3.util.ssl_match_hostname import CertificateError
except ImportError as error:
    REQUESTS_IMPORT_ERROR: ImportError | None = error
else:
    REQUESTS_IMPORT_ERROR = None

from ansible_collections.phala.cloud.plugins.plugin_utils.cvms import app_fault, condensed
from ansible_collections.phala.cloud.plugins.plugin_utils.redaction import redact

if TYPE_CHECKING:
    from ansible_collections.phala.cloud.plugins.plugin_utils.settings import ApiSettings

T = TypeVar("T")

MAX_BODY_BYTES = 64 * 1024 * 1024  # unpacked; a full page of the largest apps is far below
MAX_RETRY_AFTER = 30  # seconds; a service that asks for more patience gets an error that says so
BACKOFF_FACTOR = 0.5  # seconds; waits of 0, 1, 2, 4, 8 ... before the second try, the third and so on
RETRIED_STATUSES = frozenset((429, *range(500, 600)))
CHUNK_BYTES = 64 * 1024
SHOWN_CHARACTERS = 300  # of what the service says in an error
THREAD_NAME = "phala.cloud request"


def _is_of_others(record: logging.LogRecord) -> bool:
    return record.threadName != THREAD_NAME


# Headers that it cannot read are logged as they came, to Ansible's log file too, and a server may have put the key into them.
logging.getLogger("urllib3.connection").addFilter(_is_of_others)


class ApiError(Exception):
    """Asking failed; the message says what was tried, what came back and what to do.

    ``passing`` tells that the next try may do better, ``retry_after`` how many seconds it is asked to wait.
    """

    def __init__(self, message: str, *, passing: bool = False, retry_after: float = 0) -> None:
        super().__init__(message)
        self.passing = passing
        self.retry_after = retry_after


class UnavailableError(ApiError):
    """The service cannot be reached or cannot answer now."""


@dataclass(frozen=True)
class Page:
    """One page of apps, as the service counts them; ``retries`` are the faults on the way to it."""

    number: int
    apps: list[dict[str, Any]]
    total: int
    page_count: int
    seconds: float
    retries: list[str] = field(default_factory=list)


class Client:
    """Get pages from the service; one client serves several threads at once."""

    def __init__(self, access: ApiSettings) -> None:
        self._access = access
        self._stopped = threading.Event()
        self._sign = _signing_with(access.key)
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "X-Phala-Version": access.version}
        # The adapter alone follows no redirect and keeps no cookie; the session only reads the environment, and only once.
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=access.concurrency, max_retries=0)
        self._options: dict[str, Any] = {}
        self._options.update(requests.Session().merge_environment_settings(access.url, {}, True, access.verify, None))
        if access.verify is False:
            urllib3.disable_warnings(InsecureRequestWarning)  # one per page, for what was asked for
        if access.url.startswith("http:"):
            self._options["proxies"] = {}  # plain http goes to this machine alone, and a proxy would see the key

    def stop(self) -> None:
        """Begin no further try, in whatever thread."""
        self._stopped.set()

    def get_page(self, query: Sequence[tuple[str, str]], number: int) -> Page:
        """Return a page of the apps that a query asks for.

        :param query: the service's filter names with a value each
        :raises ApiError: when it cannot be had
        """
        parameters = [*query, ("page", str(number)), ("page_size", str(self._access.page_size))]
        # As authentication the key keeps requests from looking into .netrc for another one.
        request = requests.Request(
            "GET", f"{self._access.url}/apps", params=parameters, headers=self._headers, auth=self._sign
        ).prepare()
        started = time.monotonic()
        answer, retries = self._retried(request, number)
        return Page(
            number=number,
            apps=[condensed(app) for app in answer["dstack_apps"]],
            total=answer["total"],
            page_count=max(answer["total_pages"], -(-answer["total"] // answer["page_size"])),
            seconds=time.monotonic() - started,
            retries=retries,
        )

    def _retried(self, request: requests.PreparedRequest, number: int) -> tuple[dict[str, Any], list[str]]:
        """Try until there is an answer or the retries are used up."""
        retries: list[str] = []
        policy = Retry(total=self._access.retries, backoff_factor=BACKOFF_FACTOR)
        while True:
            try:
                return _within(self._access.timeout, lambda: self._attempt(request, number), request.url), retries
            except ApiError as error:
                if not error.passing or error.retry_after > MAX_RETRY_AFTER:
                    _give_up(error, len(retries))
                try:
                    policy = policy.increment(error=error)
                except MaxRetryError:
                    _give_up(error, len(retries))
                delay = max(policy.get_backoff_time(), error.retry_after)
                if self._stopped.wait(delay):
                    _give_up(error, len(retries))
                retries.append(f"{error} (after {delay:g} s)")

    def _attempt(self, request: requests.PreparedRequest, number: int) -> dict[str, Any]:
        timeout = self._access.timeout
        deadline = time.monotonic() + timeout
        url = str(request.url)
        try:
            response = self._adapter.send(request, timeout=timeout, **self._options)
            with response:
                body = _read_body(response, deadline, url)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _network_error(error, url, timeout) from error
        if response.status_code != 200:
            raise self._status_error(response, body)
        return _checked_answer(response, body, number)

    def _status_error(self, response: requests.Response, body: bytes) -> ApiError:
        status, url = response.status_code, response.url
        said = _said(body, self._access.key)
        request_id = response.headers.get("X-Request-ID") or _json_object(body).get("request_id")
        suffix = f" (the service says: {said})" if said else ""
        suffix += f" (request id {_shown(request_id, self._access.key)})" if request_id else ""
        if status in RETRIED_STATUSES:
            wait = _retry_after(response)
            advice = (
                f"it asks to wait {wait:g} s, more than the {MAX_RETRY_AFTER} s that this waits" if wait > MAX_RETRY_AFTER else ""
            )
            reason = "too many requests" if status == 429 else "the service cannot answer now"
            return UnavailableError(
                f"{status} from {url}: {'; '.join(filter(None, (reason, advice)))}: try again later{suffix}",
                passing=True,
                retry_after=wait,
            )
        return ApiError(f"{status} from {url}: {self._advice(response)}{suffix}")

    def _advice(self, response: requests.Response) -> str:
        status = response.status_code
        if status in (401, 403):
            return (
                f"the API key from {self._access.key_source} was refused; check that it is whole, not revoked, and made for"
                f" {urlsplit(self._access.url).hostname}"
            )
        if 300 <= status < 400:
            target = _shown(response.headers.get("Location"), self._access.key)
            return f"redirects are not followed, because the API key would go along; it points to {target}: correct api_url"
        return {
            404: "there is no such endpoint; check api_url, which ends in /api/v1 for the service itself",
            422: "the service does not accept the query; correct the filters, page_size or api_version",
        }.get(status, "the service refused the request")


def _signing_with(key: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-API-Key"] = key
        return request

    return sign


def _give_up(error: ApiError, retries: int) -> NoReturn:
    tried = f" (tried {retries + 1} times)" if retries else ""
    raise type(error)(f"{error}{tried}") from error


def _within(seconds: float, call: Callable[[], T], url: str | None) -> T:
    """Return what the call returns, in a thread that is left to itself when it takes too long.

    Timeouts of sockets are between bytes, and looking up a name has none at all.
    """
    outcome: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((call(), None))
        except Exception as error:
            outcome.put((None, error))

    threading.Thread(target=run, daemon=True, name=THREAD_NAME).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise UnavailableError(_too_slow(url, seconds), passing=True) from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def _too_slow(url: str | None, seconds: float) -> str:
    return f"GET {url}: no whole answer within {seconds:g} s: check the network, or raise timeout or lower page_size"


# What came back


def _read_body(response: requests.Response, deadline: float, url: str) -> bytes:
    body = bytearray()
    response.raw.enforce_content_length = True  # urllib3 before 2.0 takes half an answer for a whole one
    for chunk in response.iter_content(CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(
                f"GET {url}: the answer is larger than {MAX_BODY_BYTES // 1024**2} MiB, so it is not the service's; check api_url"
            )
        if time.monotonic() > deadline:
            raise requests.Timeout
    return bytes(body)


def _checked_answer(response: requests.Response, body: bytes, number: int) -> dict[str, Any]:
    """Return the answer as JSON of the described shape."""
    url, kind = response.url, response.headers.get("Content-Type", "no content type")
    try:
        answer = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if "json" in kind.lower():
            raise ApiError(
                f"GET {url}: the answer is broken JSON ({type(error).__name__}, {len(body)} bytes): try again", passing=True
            ) from error
        raise ApiError(
            f"GET {url}: the answer is {_shown(kind)}, not JSON: something in between answered, such as a proxy or a login page;"
            " check api_url and the proxy settings"
        ) from error
    fault = _shape_fault(answer, number)
    if fault:
        raise ApiError(f"GET {url}: the answer is not what the service describes: {fault}; check api_url and api_version")
    return dict(answer)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _shape_fault(answer: Any, number: int) -> str | None:
    if not isinstance(answer, dict):
        return f"{type(answer).__name__} where an object belongs"
    apps = answer.get("dstack_apps")
    if not isinstance(apps, list) or not all(isinstance(app, dict) for app in apps):
        return "dstack_apps is no list of objects"
    if not all(isinstance(app.get("app_id"), str) and app["app_id"] for app in apps):
        return "an app has no app_id"
    if fault := next(filter(None, map(app_fault, apps)), None):
        return _shown(fault)
    for name, minimum in (("page", 1), ("page_size", 1), ("total", 0), ("total_pages", 0)):
        value = answer.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            return f"{name} is {_shown(value)}"
    return None if answer["page"] == number else f"it is page {answer['page']} where {number} was asked for"


def _retry_after(response: requests.Response) -> float:
    """Return the seconds of ``Retry-After``, given as such or as a date; 0 where there are none to be read."""
    try:
        return max(0.0, Retry().parse_retry_after(response.headers.get("Retry-After", "0")))
    except (HTTPError, ValueError, OverflowError):
        return 0.0


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _said(body: bytes, key: str) -> str:
    """Return what an error's body says, in the service's two ways: a text, or a list of wrong parameters."""
    content = _json_object(body)
    said = content.get("message") or content.get("detail")
    if isinstance(said, list):
        said = "; ".join(_wrong_parameter(entry) for entry in said if isinstance(entry, dict))
    return _shown(said, key) if isinstance(said, str) and said else ""


def _wrong_parameter(entry: Mapping[str, Any]) -> str:
    location = entry.get("loc")
    name = ".".join(map(str, location)) if isinstance(location, list) else "?"
    return f"{name}: {entry.get('msg')}"


def _shown(text: Any, key: str = "") -> str:
    """Return somebody else's text fit for a terminal and a log: short, without control characters and without the key."""
    shown = redact(str(text), key)
    shown = "".join(character if character.isprintable() else "?" for character in shown[: SHOWN_CHARACTERS + 1])
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[:SHOWN_CHARACTERS]}..."


# What went wrong on the way


def _network_error(error: Exception, url: str, timeout: int) -> UnavailableError:
    causes = list(_causes(error))
    host = urlsplit(url).hostname

    def cause(*kinds: type[BaseException]) -> BaseException | None:
        return next((cause for cause in causes if isinstance(cause, kinds)), None)

    if refused := cause(ssl.SSLCertVerificationError, CertificateError):
        reason = getattr(refused, "verify_message", "") or str(refused)
        return UnavailableError(
            f"GET {url}: the certificate of {host} was not accepted: {_shown(reason)}; set ca_path if a CA of your own signs it"
        )
    if cause(requests.exceptions.ProxyError, requests.exceptions.InvalidProxyURL):
        return UnavailableError(
            f"GET {url}: the proxy did not connect: {_reason(causes)}; check HTTPS_PROXY and NO_PROXY", passing=True
        )
    if (broken := cause(ssl.SSLError)) and "EOF" not in str(broken):
        return UnavailableError(f"GET {url}: no TLS connection: {_reason(causes)}; check that api_url names an https port")
    if unknown := cause(socket.gaierror):
        return UnavailableError(
            f"GET {url}: the name {host} was not found: {_strerror(unknown)}; check api_url, the network and DNS", passing=True
        )
    if cause(requests.Timeout, ReadTimeoutError, TimeoutError):
        return UnavailableError(_too_slow(url, timeout), passing=True)
    return UnavailableError(f"GET {url}: the connection failed: {_reason(causes)}; check api_url and the network", passing=True)


def _reason(causes: Sequence[BaseException]) -> str:
    return _shown(_strerror(causes[-1]))


def _strerror(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was made from, from the outside in; requests and urllib3 wrap in three ways."""
    while error is not None:
        yield error
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
