# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API key goes to the service in one header, and nowhere else: whatever fails, however much is logged."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import pytest
import yaml

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .inventory import Outcome
from .project import KEY, Project
from .sockets import echoing, serving

SECRET: Final = KEY.removeprefix("phak_")
FORMS: Final[Mapping[str, str]] = {
    "whole": KEY,
    "without its prefix": SECRET,
    "URL-encoded": quote(SECRET, safe=""),
    "URL-encoded but for slashes": quote(SECRET),
    "form-encoded": quote_plus(SECRET),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64 of the secret": base64.b64encode(SECRET.encode()).decode(),
    "hex": SECRET.encode().hex(),
    "in capital hex": SECRET.encode().hex().upper(),
    "reversed": SECRET[::-1],
    "JSON": json.dumps(SECRET)[1:-1],
    "escaped JSON": SECRET.replace("/", "\\/"),
    "HTML": SECRET.replace("&", "&amp;"),
}


def forms_in(text: str) -> list[str]:
    """Name the forms of the key that a text holds, also where line ends were put into it."""
    squeezed = "".join(text.split())
    return [name for name, form in FORMS.items() if form in text or form in squeezed]


def assert_unsaid(outcome: Outcome) -> None:
    """Assert that neither what was displayed, nor any exception on the way, holds the key."""
    assert not forms_in("\n".join(outcome.displayed))
    error: BaseException | None = outcome.error
    while error is not None:
        assert not forms_in(f"{error} {error!r} {error.args!r}"), repr(error)
        error = error.__cause__ or error.__context__
    assert not forms_in(outcome.text)


# What a server can do with a key to get it shown

JSON_HEAD: Final = "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nConnection: close\r\n{headers}\r\n{body}"


def http(body: Any = "{}", *, status: int = 401, reason: str = "No", kind: str = "application/json", headers: str = "") -> bytes:
    text = body if isinstance(body, str) else json.dumps(body)
    return JSON_HEAD.format(status=status, reason=reason, kind=kind, headers=headers, body=text).encode()


PAGE: Final = {"dstack_apps": [], "page": 1, "page_size": 1, "total": 0, "total_pages": 0}
ECHOES: Final = {
    "a message": lambda key: http({"message": f"the key {key} is wrong"}),
    "a detail": lambda key: http({"detail": key}),
    "details": lambda key: http({"detail": [{"loc": ["header", key], "msg": key, "type": key}]}, status=422),
    "details of numbers": lambda key: http({"detail": [{"loc": [key, 1], "msg": [key], "type": 1}]}, status=422),
    "the key as a name": lambda key: http({"detail": {key: key}}, status=400),
    "an error code": lambda key: http({"message": "no", "error_code": key, "request_id": key}),
    "a request id": lambda key: http(headers=f"X-Request-ID: {key}\r\n"),
    "a cookie": lambda key: http(headers=f"Set-Cookie: key={key}\r\n"),
    "a challenge": lambda key: http(headers=f"WWW-Authenticate: Basic realm={key}\r\n"),
    "a redirect": lambda key: http(status=302, headers=f"Location: https://example.org/?key={quote(key)}\r\n"),
    "a bare redirect": lambda key: http(status=302, headers=f"Location: {key}\r\n"),
    "a pause": lambda key: http(status=429, headers=f"Retry-After: {key}\r\n"),
    "an unavailable service": lambda key: http({"message": key}, status=503),
    "a reason": lambda key: http(status=500, reason=key),
    "a kind of content": lambda key: http("<html>", status=200, kind=f"text/{key}"),
    "a charset": lambda key: http("<html>", status=200, kind=f"text/html; charset={key}"),
    "broken JSON": lambda key: http(f'{{"key": "{key}', status=200),
    "a page of HTML": lambda key: http(f"<html>{key}</html>", status=200, kind="text/html"),
    "an encoding": lambda key: http("x", status=200, headers=f"Content-Encoding: gzip, {key}\r\n"),
    "a length": lambda key: http("x", status=200, headers=f"Content-Length: {key}\r\n"),
    "a total": lambda key: http({**PAGE, "total": key}, status=200),
    "a page": lambda key: http({**PAGE, "page": key}, status=200),
    "a list": lambda key: http({**PAGE, "dstack_apps": key}, status=200),
    "apps": lambda key: http({**PAGE, "dstack_apps": [key]}, status=200),
    "cvms": lambda key: http({**PAGE, "dstack_apps": [{"app_id": key, "id": key, "cvms": key}], "total": 1}, status=200),
    "a CVM": lambda key: http({**PAGE, "dstack_apps": [{"app_id": key, "id": key, "cvms": [key]}], "total": 1}, status=200),
    "a status line": lambda key: f"{key}\r\n\r\n".encode(),
    "a version": lambda key: f"HTTP/{key} 200 OK\r\n\r\n".encode(),
    "a status": lambda key: f"HTTP/1.1 {key} OK\r\n\r\n".encode(),
    "a header": lambda key: f"HTTP/1.1 200 OK\r\n{key}\r\n\r\n{{}}".encode(),
    "a size of a chunk": lambda key: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{key}\r\n".encode(),
    **{
        f"a message, the key {form}": lambda _key, shown=text: http({"message": f"the key {shown} is wrong"})
        for form, text in FORMS.items()
    },
}


@pytest.mark.parametrize("kind", ECHOES)
def test_a_server_that_echoes_the_key(project: Project, kind: str) -> None:
    """What comes of an echo as an app's own name is no matter of messages, and left out."""
    with serving(echoing(ECHOES[kind])) as server:
        outcome = project.read(api_url=server.url, verbosity=5).assert_nothing()
    assert_unsaid(outcome)


# A key that is none


@pytest.mark.parametrize(
    "key",
    [
        f"{KEY}\n",
        f"\n{KEY}",
        f"phak_\n{SECRET}",
        f"{KEY}\r\nX-Evil: 1",
        f"{KEY} ",
        f"phak_ {SECRET}",
        f"{KEY}\t",
        f"{KEY}\x00",
        f"{KEY}\x7f",
        f"{KEY}é",
        f"\ufeff{KEY}",
        f"\u200b{KEY}",
        f"{KEY}\u2028",
        f"Bearer {KEY}",
        f'"{KEY}" ',
    ],
    ids=ascii,
)
@pytest.mark.parametrize("place", ["file", "environment", "profile", "template"])
def test_a_key_that_cannot_be_sent_is_a_clear_error(
    project: Project, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, key: str, place: str
) -> None:
    options: dict[str, Any] = {"api_key": None}
    if place == "file":
        options["api_key"] = key
    elif place == "template":
        options["api_key"] = "{{ " + json.dumps(key) + " }}"
    elif place == "profile":
        monkeypatch.setenv("PHALA_CLOUD_DIR", str(project.folder))
        log_in(project.folder, key)
    elif "\x00" in key:
        pytest.skip("an environment variable cannot hold it")
    else:
        monkeypatch.setenv("PHALA_CLOUD_API_KEY", key)
    outcome = project.read(verbosity=5, **options).assert_nothing()
    assert "the API key holds a blank, a line break or a character outside ASCII" in outcome.message
    assert not simulator.requests
    assert_unsaid(outcome)


def log_in(folder: Path, token: str, **entry: Any) -> None:
    """Write the credentials file of the official CLI."""
    profiles = {"main": {"token": token, **entry}}
    content = {"schema_version": 1, "current_profile": "main", "profiles": profiles}
    (folder / "credentials.json").write_text(json.dumps(content))


@pytest.mark.parametrize("content", [f'{{"token": "{KEY}"', f'["{KEY}"]', f'{{"schema_version": "{KEY}", "profiles": {{}}}}'])
def test_broken_credentials_are_not_shown(project: Project, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("PHALA_CLOUD_DIR", str(project.folder))
    (project.folder / "credentials.json").write_text(content)
    assert_unsaid(project.read(api_key=None, verbosity=5).assert_nothing())


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": "{{ nothing }}" + KEY},
        {"api_key": "{{ " + repr(KEY) + " | nothing }}"},
        {"api_key": "{{ " + KEY},
        {"api_key": [KEY]},
        {"api_key": {"key": KEY}},
        {"api_key": True},
        {"api_keys": KEY},
        {"api_key": KEY, "filter": {"region": "x"}},
        {"api_key": KEY, "host_filters": ["phala_nothing > 3"]},
        {"api_key": KEY, "host_filters": ["phala_name +"]},
        {"api_key": KEY, "host_filters": ["phala_name"]},
        {"api_key": KEY, "hostnames": ["{{ name + 1 }}"]},
        {"api_key": KEY, "hostnames": ["{{ nothing }}"], "strict": True},
        {"api_key": KEY, "compose": {"x": "phala_nothing"}, "strict": True},
        {"api_key": KEY, "compose": {"x": "phala_name +"}, "strict": True},
        {"api_key": KEY, "groups": {"x": "phala_nothing"}, "strict": True},
        {"api_key": KEY, "keyed_groups": [{"key": "phala_nothing"}], "strict": True},
        {"api_key": KEY, "keyed_groups": [{"key": "phala_vcpu"}], "strict": True},
        {"api_key": KEY, "filters": {"region": "{{ nothing }}"}},
        {"api_key": KEY, "profile": "{{ nothing }}"},
        {"api_key": KEY, "timeout": "long"},
        {"api_key": KEY, "connect_with": "love"},
        {"api_key": KEY, "cache": True, "cache_plugin": "no.such.plugin"},
        {"api_key": KEY, "cache": True, "cache_plugin": "jsonfile"},
        {"api_key": KEY, "api_url": f"https://{KEY}@example.org/"},
        {"api_key": KEY, "api_url": f"https://user:{SECRET}@example.org/"},
        {"api_key": KEY, "api_url": f"https://127.0.0.1:1/?key={KEY}"},
        {"api_key": KEY, "api_url": f"https://127.0.0.1:1/{quote(KEY, safe='')}"},
        {"api_key": KEY, "api_url": KEY},
        {"api_key": KEY, "api_version": KEY},
        {"api_key": KEY, "filters": {KEY: KEY}},
        {"api_key": KEY, KEY: KEY},
        {"api_key": KEY, "filters": {"listed": KEY}},
    ],
    ids=lambda options: str({name: value for name, value in options.items() if name != "api_key"} or options)[:60],
)
@pytest.mark.parametrize("position", ["before", "after"])
def test_an_error_in_the_source_shows_no_key(project: Project, options: Mapping[str, Any], position: str) -> None:
    """ansible-core shows the lines around what is wrong, and the key's may be one of them."""
    lines = [("plugin", "phala.cloud.phala"), ("api_url", project.url), *options.items()]
    if position == "after":
        lines = [*lines[:1], *lines[:0:-1]]
    path = project.write()
    path.write_text("".join(yaml.safe_dump({name: value}, width=1000) for name, value in dict(lines).items()))
    completed = project.run("ansible-inventory", "-i", path, "--list", env={"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1"})
    assert completed.status != 0
    assert not forms_in(completed.printed), completed.printed
