# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the service and return plain JSON. Knows HTTP, and nothing of apps, CVMs or inventories."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from urllib.parse import urlencode

from ansible.release import __version__ as core_version

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import with_lower_case_host
from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import ApiError, Mask, UnavailableError
from ansible_collections.phala.cloud.plugins.plugin_utils._libraries import (
    IMPORT_ERROR as REQUESTS_IMPORT_ERROR,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._libraries import library_problem, requests, urllib3
from ansible_collections.phala.cloud.plugins.plugin_utils._masking import masking
from ansible_collections.phala.cloud.plugins.plugin_utils._network_errors import network_error, too_slow
from ansible_collections.phala.cloud.plugins.plugin_utils._patience import NOTICE_SECONDS, Notice, Pace, Tries, jitter
from ansible_collections.phala.cloud.plugins.plugin_utils._refusals import refusal
from ansible_collections.phala.cloud.plugins.plugin_utils._responses import TooSlowError, parse_json, read_body, seems_whole
from ansible_collections.phala.cloud.plugins.plugin_utils._route import check_proxy, find_route, make_adapter
from ansible_collections.phala.cloud.plugins.plugin_utils._timed_calls import OutOfTimeError, TimedCalls
from ansible_collections.phala.cloud.plugins.plugin_utils._version import COLLECTION_VERSION

if TYPE_CHECKING:
    from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Account, ApiSettings

__all__ = ["REQUESTS_IMPORT_ERROR", "ApiError", "Client", "Response", "UnavailableError", "library_problem"]

USER_AGENT = f"phala.cloud/{COLLECTION_VERSION} (ansible-core/{core_version})"

_quiet = threading.local()


def _is_of_others(_record: logging.LogRecord) -> bool:
    return not getattr(_quiet, "on", False)


# urllib3 logs headers that it cannot read, also to Ansible's log file, and a server may have put the key into them.
for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_is_of_others)


class Response(NamedTuple):
    """What the service returned: a JSON text that :meth:`Client.read` reads, and its digest.

    ``seconds`` includes the failed tries and the pauses. ``retries`` has a line for each failed try.
    """

    url: str
    body: bytes
    content_type: str
    digest: bytes
    seconds: float
    retries: tuple[str, ...]


class Content(NamedTuple):
    """A plain JSON value, and a line for each kind of value that was replaced in it."""

    value: Any
    faults: tuple[str, ...]


class Client:
    """Send requests to the service for one account; a context manager that stops the client and closes its connections.

    Several threads may use a client at once.

    :param mask: takes the API keys out of a text
    :param other_keys: the keys of other accounts, which a response must not show either
    :param say: called once, from any thread, with a line that says what the run waits for, when it has taken 30 s
    :raises ApiError: when a setting of this machine keeps requests from being sent
    """

    def __init__(
        self, account: Account, settings: ApiSettings, mask: Mask, say: Callable[[str], None], *, other_keys: Iterable[str] = ()
    ) -> None:
        if problem := library_problem():
            raise ApiError(problem)
        self._account = account
        self._settings = settings
        self._mask = mask
        url = with_lower_case_host(account.url)
        self._route = find_route(url, settings.verify)
        # The adapter alone follows no redirect, keeps no cookie and reads no .netrc.
        self._adapter = make_adapter(url, self._route, pool_connections=1, pool_maxsize=settings.concurrency, max_retries=0)
        check_proxy(self._route, self._adapter)
        if settings.verify is False:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # one per request, for what was asked for
        self._template = requests.Request("GET", url, headers=_headers(account.key, settings.version)).prepare()
        self._url = str(self._template.url).rstrip("/")
        self._masked = masking((account.key, *other_keys), mask)
        self._pace = Pace()
        self._notice = Notice(say)
        self._calls = TimedCalls()
        self._stopped = threading.Event()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        self._adapter.close()

    def url(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> str:
        """Return the URL of an endpoint below the base URL, such as ``/apps``."""
        return f"{self._url}{path}{'?' if parameters else ''}{urlencode(parameters)}"

    def stop(self) -> None:
        """Begin no further try, in whatever thread, and end the idle threads."""
        self._stopped.set()
        self._calls.stop()

    def get(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> Response:
        """Return what an endpoint responds, after as many tries as the settings allow.

        :raises UnavailableError: when the service cannot be reached, or cannot respond now
        :raises ApiError: when the response is an error, or a setting of this machine is wrong
        """
        url = self.url(path, parameters)
        started = time.monotonic()
        retries: list[str] = []
        tries = Tries(self._settings.retries, responses=self._pace.responses)
        while True:
            self._await_turn(url)
            sent_at = time.monotonic()
            try:
                body, content_type = self._try(url)
            except ApiError as error:
                further = tries.after(error, self._pace.responses)
                if further is None:
                    self._give_up(error, len(retries))
                tries = further
                retries.append(self._mask(str(error)))
                if error.is_throttled:
                    self._pace.pause(error.retry_after or tries.backoff, sent_at=sent_at)
                else:
                    self._wait(tries.backoff + jitter(), f"to try again: {error}")
            else:
                self._pace.count_response()
                digest = hashlib.sha256(body).digest()
                return Response(url, body, content_type, digest, time.monotonic() - started, tuple(retries))

    def read(self, response: Response) -> Content:
        """Return the content of a response, with the keys masked; this takes longer than to receive it.

        :raises ApiError: when the content is not JSON
        """
        try:
            value, faults = parse_json(response.body, url=response.url, content_type=response.content_type, mask=self._mask)
            return Content(self._masked(response.body, value), tuple(map(self._mask, faults)))
        except ApiError as error:
            self._give_up(error, 0)
        except RecursionError:
            self._give_up(ApiError(f"GET {response.url}: the response is nested too deeply. Check api_url."), 0)

    def _await_turn(self, url: str) -> None:
        """Wait until a request may be sent."""
        while seconds := self._pace.take_turn():
            self._wait(seconds, f"for GET {url}, because the service asked for fewer requests")
        if self._stopped.is_set():
            raise self._stopped_error()

    def _wait(self, seconds: float, reason: str) -> None:
        """Wait, and say so if the run has taken long.

        :raises ApiError: when the client is stopped
        """
        left = self._notice.seconds_left()
        if left < seconds and not self._stopped.wait(max(0.0, left)):
            self._say_waiting(reason)
            seconds -= max(0.0, left)
        if self._stopped.wait(seconds):
            raise self._stopped_error()

    def _stopped_error(self) -> ApiError:
        return ApiError(f"{self._url}: stopped, because another request failed")

    def _say_waiting(self, reason: str) -> None:
        self._notice.say(self._mask(f"{self._name()}{self._url}: still waiting after {NOTICE_SECONDS} s {reason}"))

    def _name(self) -> str:
        return f"account {self._account.name!r}: " if self._account.name else ""

    def _give_up(self, error: ApiError, retries: int) -> NoReturn:
        tried = f" The plugin tried {retries + 1} times." if retries else ""
        # Without the cause: exceptions of other packages may show the key, and ansible-core shows causes.
        raise type(error)(self._mask(f"{self._name()}{error}{tried}")) from None

    def _try(self, url: str) -> tuple[bytes, str]:
        """Send one request; return the body and its content type."""
        timeout = self._settings.timeout
        deadline = time.monotonic() + timeout
        try:
            body, content_type = self._calls.run(
                lambda: self._receive(url, deadline),
                seconds=timeout,
                long=self._notice.seconds_left(),
                on_long=lambda: self._say_waiting(f"for the response to GET {url}"),
            )
        except OutOfTimeError:
            raise too_slow(url, timeout) from None
        if not seems_whole(body):  # this fails now, so that it is tried again
            parse_json(body, url=url, content_type=content_type, mask=self._mask)
        return body, content_type

    def _receive(self, url: str, deadline: float) -> tuple[bytes, str]:
        """Return the body of a response and its content type."""
        timeout = self._settings.timeout
        request = self._template.copy()
        request.url = url
        proxies = {"https": self._route.proxy} if self._route.proxy else {}
        _quiet.on = True
        try:
            with self._adapter.send(
                request, stream=True, timeout=timeout, verify=self._route.verify, proxies=proxies
            ) as response:
                body = read_body(response, deadline=deadline, mask=self._mask)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError, TooSlowError) as error:
            raise network_error(error, url=url, timeout=timeout, route=self._route, mask=self._mask) from error
        finally:
            _quiet.on = False
        if response.status_code != 200:
            raise refusal(response, body, key_source=self._account.key_source, mask=self._mask)
        return body, response.headers.get("Content-Type", "")


def _headers(key: str, version: str) -> dict[str, str]:
    return {
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "User-Agent": USER_AGENT,
        "X-API-Key": key,
        "X-Phala-Version": version,
    }
