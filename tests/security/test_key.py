# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API key goes to the service in one header, and nowhere else: whatever fails, however much is logged."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import pytest
import yaml

from ansible_collections.phala.cloud.tests.cache_entries import unpacked
from ansible_collections.phala.cloud.tests.certificates import Certificates
from ansible_collections.phala.cloud.tests.credentials import log_in
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator, make_fleet
from ansible_collections.phala.cloud.tests.simulator.faults import Redirect, Replace, Status

from .project import KEY, Project
from .sockets import answering, closed_port, echoing, serving, silent, tunnelling
from .test_faults import LASTING, PASSING
from .test_transport import ANSWERS

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
    "capital hex": SECRET.encode().hex().upper(),
}


def forms_in(text: str) -> list[str]:
    """Name the forms of the key that a text holds, also where line ends were put into it."""
    squeezed = "".join(text.split())
    return [name for name, form in FORMS.items() if form in text or form in squeezed]


def assert_unsaid(outcome: Loaded) -> None:
    """Assert that neither what was displayed, nor any exception on the way, holds the key."""
    assert not forms_in("\n".join(outcome.displayed))
    error: BaseException | None = outcome.error
    while error is not None:
        assert not forms_in(f"{error} {error!r} {error.args!r}"), repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert not forms_in(outcome.text)


# What a server can do with a key to get it shown

JSON_HEAD: Final = "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nConnection: close\r\n{headers}\r\n{body}"


def http(body: Any = "{}", *, status: int = 401, reason: str = "No", kind: str = "application/json", headers: str = "") -> bytes:
    text = body if isinstance(body, str) else json.dumps(body)
    return JSON_HEAD.format(status=status, reason=reason, kind=kind, headers=headers, body=text).encode()


PAGE: Final = {"dstack_apps": [], "page": 1, "page_size": 1, "total": 0, "total_pages": 0}
ECHOES: Final[Mapping[str, Callable[[str], bytes]]] = {
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
        f"a message, the key {form}": functools.partial(lambda shown, _key: http({"message": f"the key {shown} is wrong"}), text)
        for form, text in FORMS.items()
    },
}


@pytest.mark.parametrize("kind", ECHOES)
def test_a_server_that_echoes_the_key(project: Project, kind: str) -> None:
    """What comes of an echo as an app's own name is no matter of messages, and left out."""
    with serving(echoing(ECHOES[kind])) as server:
        outcome = project.read(api_url=server.url, verbosity=5).assert_nothing()
    assert_unsaid(outcome)


@pytest.mark.parametrize("form", FORMS)
def test_a_key_in_the_fleet_itself_is_masked_everywhere(project: Project, simulator: Simulator, form: str) -> None:
    """A hostile service returns the key that it was sent as the name of an app, a CVM, a region or a node."""
    text = FORMS[form]
    app = App(name=f"a {text}", cvms=(Cvm(name=text, region=text), Cvm(name=text, node=f"{text}-b")))
    simulator.add_account(KEY, [app])
    caching: dict[str, Any] = {"cache": True, "cache_plugin": "jsonfile", "cache_connection": str(project.folder / "cache")}
    grouped: dict[str, Any] = {"group_by": ["app", "region", "node"], "compose": {"composed": "phala_name ~ phala_region"}}
    outcomes = [project.read(timeout=30, verbosity=5, **caching, **grouped).assert_whole() for _run in range(2)]
    assert [len(outcome.hosts) for outcome in outcomes] == [2, 2]
    for outcome in outcomes:
        assert_unsaid(outcome)
    for entry in (project.folder / "cache").iterdir():
        kept = unpacked(entry.read_text())
        assert '"vm_uuid"' in kept
        assert not forms_in(kept)


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
@pytest.mark.parametrize("place", ["file", "environment", "profile"])
def test_a_key_that_cannot_be_sent_is_a_clear_error(
    project: Project, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, key: str, place: str
) -> None:
    options: dict[str, Any] = {"api_key": None}
    if place == "file":
        options["api_key"] = key
    elif place == "profile":
        monkeypatch.setenv("PHALA_CLOUD_DIR", str(project.folder))
        log_in(project.folder, main={"token": key})
    elif "\x00" in key:
        pytest.skip("an environment variable cannot hold it")
    else:
        monkeypatch.setenv("PHALA_CLOUD_API_KEY", key)
    outcome = project.read(verbosity=5, **options).assert_nothing()
    assert "the API key contains a space, a line break or a character outside ASCII" in outcome.message
    assert not simulator.requests
    assert_unsaid(outcome)


@pytest.mark.parametrize("content", [f'{{"token": "{KEY}"', f'["{KEY}"]', f'{{"schema_version": "{KEY}", "profiles": {{}}}}'])
def test_broken_credentials_are_not_shown(project: Project, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("PHALA_CLOUD_DIR", str(project.folder))
    (project.folder / "credentials.json").write_text(content)
    assert_unsaid(project.read(api_key=None, verbosity=5).assert_nothing())


UNOPENED: Final = "!vault |\n    $ANSIBLE_VAULT;1.1;AES256\n    3132333435\n"  # no password opens it

WRONG_SOURCES: Final[tuple[Mapping[str, Any], ...]] = (
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
    {"api_key": KEY, "hostnames": ["{{ name + 1 }}"], "strict": True},
    {"api_key": KEY, "hostnames": ["{{ nothing }}"], "strict": True},
    {"api_key": KEY, "compose": {"x": "phala_nothing"}, "strict": True},
    {"api_key": KEY, "compose": {"x": "phala_name +"}, "strict": True},
    {"api_key": KEY, "groups": {"x": "phala_nothing"}, "strict": True},
    {"api_key": KEY, "keyed_groups": [{"key": "phala_nothing"}], "strict": True},
    {"api_key": KEY, "keyed_groups": [{"key": "phala_vcpu / 0"}], "strict": True},
    {"api_key": KEY, "filters": {"region": "{{ nothing }}"}},
    {"api_key": KEY, "profile": "{{ nothing }}"},
    {"api_key": KEY, "timeout": "long"},
    {"api_key": KEY, "connect_with": "love"},
    {"api_key": KEY, "api_url": f"https://{KEY}@example.org/"},
    {"api_key": KEY, "api_url": f"https://user:{SECRET}@example.org/"},
    {"api_key": KEY, "api_url": f"https://127.0.0.1:1/?key={KEY}"},
    {"api_key": KEY, "api_url": KEY},
    {"api_key": KEY, "compose": {"my-var": "phala_name"}},
    {"api_key": KEY, "compose": {"{{ x }}": "phala_name"}},
    {"api_key": KEY, "compose": {5: "phala_name"}},
    {"api_key": KEY, "compose": {"true": "phala_name"}},
    {"api_key": KEY, "region": "UNOPENED"},
    {"api_key": KEY, "ssh_user": "UNOPENED"},
    {"api_key": KEY, "strict": "UNOPENED"},
    {"api_key": KEY, "filters": {"region": "UNOPENED"}},
    {"api_key": KEY, "host_filters": ["UNOPENED"]},
    {"api_key": KEY, "compose": {"x": "UNOPENED"}},
    {"api_key": "UNOPENED", "profile": KEY},
)


@pytest.mark.parametrize("position", ["before", "after"])
def test_an_error_in_the_source_shows_no_key(project: Project, position: str) -> None:
    """ansible-core shows the lines around what is wrong, and the key's may be one of them."""
    arguments: list[str] = []
    for number, options in enumerate(WRONG_SOURCES):
        source = {"plugin": "phala.cloud.phala", "api_url": project.url, "retries": 0, **options}
        names = list(source) if position == "before" else list(source)[::-1]
        path = project.folder / f"{number:02}.phala.yml"
        text = "".join(yaml.safe_dump({name: source[name]}, width=1000) for name in names)
        path.write_text(text.replace("UNOPENED", UNOPENED))
        arguments += ["-i", str(path)]
    completed = project.run("ansible-inventory", *arguments, "--list")
    said = "".join(completed.stderr.split())
    for number, options in enumerate(WRONG_SOURCES):
        assert f"Unabletoparse{project.folder}/{number:02}.phala.ymlas" in said, options
    assert not forms_in(completed.printed), completed.printed


# Where requests go


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(project: Project, simulator: Simulator, status: int) -> None:
    with serving(answering(b"HTTP/1.1 200 OK\r\n\r\n{}")) as elsewhere:
        for location in (f"{elsewhere.url}/apps", f"//127.0.0.1:{elsewhere.port}/", f"http://{KEY}@127.0.0.1:{elsewhere.port}/"):
            simulator.misbehave(Redirect(location, status))
            outcome = project.read(verbosity=5).assert_nothing()
            assert "does not follow redirects" in outcome.message
            assert_unsaid(outcome)
        assert (elsewhere.connections, elsewhere.received) == (0, b"")


def test_not_even_to_the_same_server(project: Project, simulator: Simulator) -> None:
    simulator.misbehave(Redirect("/api/v1/apps?page=1", 307))
    project.read().assert_nothing()
    assert len(simulator.requests) == 1


@pytest.fixture
def netrc(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write credentials for every host of this machine where requests looks for them."""
    for name in (".netrc", "_netrc"):
        hosts = "".join(f"machine {host} login me password other\n" for host in ("127.0.0.1", "localhost"))
        (project.folder / name).write_text(f"{hosts}default login me password other\n")
        (project.folder / name).chmod(0o600)
    monkeypatch.setenv("HOME", str(project.folder))
    monkeypatch.setenv("NETRC", str(project.folder / ".netrc"))


def assert_sent_as_header(simulator: Simulator, key: str = KEY) -> None:
    """Assert that the requests carried the key in its header, and no other credentials."""
    assert simulator.requests
    for request in simulator.requests:
        assert request.headers["x-api-key"] == key
        assert not {"authorization", "proxy-authorization", "cookie"} & set(request.headers)
        assert not forms_in(f"{request.path} {request.query}")


@pytest.mark.usefixtures("netrc")
def test_netrc_neither_replaces_nor_adds_credentials(project: Project, simulator: Simulator) -> None:
    project.read().assert_whole()
    assert_sent_as_header(simulator)


@pytest.fixture(params=["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def proxy_variable(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_plain_http_goes_through_no_proxy(
    project: Project, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, proxy_variable: str
) -> None:
    with serving(answering(b"HTTP/1.1 502 No\r\n\r\n")) as proxy:
        monkeypatch.setenv(proxy_variable, f"http://me:other@127.0.0.1:{proxy.port}")
        project.read().assert_whole()
        assert (proxy.connections, proxy.received) == (0, b"")
    assert_sent_as_header(simulator)


@pytest.fixture(scope="module")
def secure(certificates: Certificates) -> Iterator[Simulator]:
    with Simulator(fleet=make_fleet(cvms=3), api_key=KEY, certfile=certificates.good, keyfile=certificates.good) as simulator:
        yield simulator


@pytest.mark.usefixtures("netrc")
def test_a_proxy_carries_the_key_unseen(
    project: Project, secure: Simulator, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, proxy_variable: str
) -> None:
    """The variable of plain HTTP does not count here; with the others the proxy sees its own credentials at most."""
    secure.clear()
    with serving(tunnelling) as proxy:
        monkeypatch.setenv(proxy_variable, f"http://me:other@127.0.0.1:{proxy.port}")
        project.read(api_url=secure.url, ca_path=str(certificates.ca)).assert_whole()
        assert proxy.connections == (0 if proxy_variable.lower() == "http_proxy" else 1)
        assert not forms_in(proxy.received.decode("latin-1"))
        assert proxy.received.startswith(b"CONNECT 127.0.0.1:") or not proxy.connections
    assert_sent_as_header(secure)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>",
        b"noise\r\n\r\n",
        b"",
    ],
    ids=lambda answer: repr(answer[:16]),
)
def test_a_proxy_that_refuses_is_told(
    project: Project, secure: Simulator, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    secure.clear()
    with serving(answering(answer)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:pass-word@127.0.0.1:{proxy.port}")
        outcome = project.read(api_url=secure.url, verbosity=5).assert_nothing()
        assert not forms_in(proxy.received.decode("latin-1"))
    assert "the proxy did not connect" in outcome.message or not answer.startswith(b"HTTP")
    assert "pass-word" not in "".join(outcome.displayed)
    assert not secure.requests
    assert_unsaid(outcome)


def test_the_key_goes_to_no_other_machine_unencrypted(project: Project) -> None:
    for url in (
        "http://example.org/api/v1",
        "http://127.0.0.1.example.org/",
        "http://localhost@example.org/",
        "HTTP://EXAMPLE.ORG/",
    ):
        outcome = project.read(api_url=url, verbosity=5).assert_nothing()
        assert "Use https" in outcome.message or "Remove them" in outcome.message
        assert_unsaid(outcome)


def test_a_profile_of_another_service_takes_no_other_key_along(
    project: Project, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of the environment must not go to the base URL that a profile names, nor a profile's to the environment's."""
    with serving(answering(b"HTTP/1.1 401 No\r\n\r\n")) as other:
        monkeypatch.setenv("PHALA_CLOUD_DIR", str(project.folder))
        log_in(project.folder, main={"token": "phak_of_the_profile", "api_prefix": other.url})
        monkeypatch.setenv("PHALA_CLOUD_API_KEY", KEY)
        project.read(api_key=None).assert_whole()
        assert other.connections == 0
        monkeypatch.delenv("PHALA_CLOUD_API_KEY")
        project.read(api_key=None, api_url=None).assert_nothing()
        assert b"phak_of_the_profile" in other.received
        assert not forms_in(other.received.decode("latin-1"))
    assert_sent_as_header(simulator)


# Everything that is written, at every failure


def failing_sources(project: Project, simulator: Simulator, certificates: Certificates, stack: ExitStack) -> list[Path]:
    """Write a source for each failure; those of the service come from a queue, in the order in which they are read."""
    folder = project.folder / "sources"
    folder.mkdir()
    sources: list[Path] = []

    def add(**options: Any) -> None:
        cache = {"cache": True, "cache_plugin": "jsonfile", "cache_connection": str(project.folder / "cache"), "timeout": 1}
        source = Project(folder, project.url).write(name=f"{len(sources):03}.phala.yml", **{**cache, **options})
        sources.append(source)

    faults = [fault for fault, _message in {**PASSING, **LASTING}.values()]
    faults += [Status(429, retry_after=31), Replace("dstack_apps", 12), Replace("dstack_apps.*.cvms", 12), Replace("total", -1)]
    simulator.page_size_limit = 100
    simulator.misbehave(*faults, Status(503))
    for _fault in faults:
        add()
    add(retries=1)
    for kind, (answer, _message) in ANSWERS.items():
        add(api_url=stack.enter_context(serving(answering(answer))).url, compose={"x": f"'{kind}'"})
    for echo in ECHOES.values():
        add(api_url=stack.enter_context(serving(echoing(echo))).url)
    for name in ("expired", "other_name", "untrusted"):
        file = getattr(certificates, name)
        add(api_url=stack.enter_context(Simulator(certfile=file, keyfile=file)).url, ca_path=str(certificates.ca))
    add(api_url=f"http://127.0.0.1:{stack.enter_context(closed_port())}/api/v1")
    add(api_url=simulator.url.replace("http:", "https:"))
    add(api_url=stack.enter_context(serving(silent)).url)
    add(api_url="https://service.invalid/api/v1")
    add(filters={"region": "{{ nothing }}"})
    add(host_filters=["phala_nothing > 3"])
    add(hostnames=["{{ nothing }}"], strict=True)
    add(filter={})
    return sources


@pytest.mark.parametrize(
    "place", ["file", *(pytest.param(place, marks=pytest.mark.slow) for place in ("environment", "profile"))]
)
def test_nothing_that_is_written_holds_the_key(
    project: Project, simulator: Simulator, certificates: Certificates, place: str
) -> None:
    """With -vvvvv, debugging, a log file and a cache: what is printed, logged, cached and left in temporary files."""
    env = {
        "ANSIBLE_DEBUG": "1",
        "ANSIBLE_DISPLAY_TRACEBACK": "always",
        "ANSIBLE_LOG_PATH": str(project.folder / "ansible.log"),
        "ANSIBLE_LOG_VERBOSITY": "5",
        "ANSIBLE_KEEP_REMOTE_FILES": "1",
    }
    with ExitStack() as stack:
        sources = failing_sources(project, simulator, certificates, stack)
        good = Project(project.folder / "sources", project.url).write(
            name="good.phala.yml", cache=True, cache_plugin="jsonfile", cache_connection=str(project.folder / "cache")
        )
        if place != "file":
            move_key(project, [*sources, good], place, env)
        arguments = [argument for source in [*sources, good] for argument in ("-i", str(source))]
        completed = project.run("ansible-inventory", *arguments, "--list", "-vvvvv", env=env)
    written = {"stdout": completed.stdout, "stderr": completed.stderr, **files_of(project.folder)}
    assert {name: forms for name, text in written.items() if (forms := forms_in(text))} == {}
    # None of it would tell anything if the sources had not been read, each failed, and the last one been cached.
    assert completed.status == 0
    assert len(json.loads(completed.stdout[completed.stdout.index('{\n    "_meta"') :])["_meta"]["hostvars"]) == 14
    assert completed.printed.count("Failed to parse") >= len(sources)
    assert len(list((project.folder / "cache").iterdir())) == 1
    assert (project.folder / "ansible.log").stat().st_size > 1000


def move_key(project: Project, sources: list[Path], place: str, env: dict[str, str]) -> None:
    """Take the key out of the sources and put it where the user of the CLI has it: a profile for each service."""
    profiles = {}
    for source in sources:
        options = yaml.safe_load(source.read_text())
        del options["api_key"]
        if place == "profile":
            options["profile"] = source.name
            profiles[source.name] = {"token": KEY, "api_prefix": options["api_url"]}
        source.write_text(yaml.safe_dump(options, sort_keys=False))
    if place == "environment":
        env["PHALA_CLOUD_API_KEY"] = KEY
    else:
        env["PHALA_CLOUD_DIR"] = str(log_in(project.folder / "sources" / "cli", **profiles).parent)


def files_of(folder: Path) -> dict[str, str]:
    """Return the content of every file but those in which the key stands by right."""
    files = [path for path in folder.rglob("*") if path.is_file() and folder / "sources" not in path.parents]
    return {str(path.relative_to(folder)): unpacked(path.read_bytes().decode("utf-8", "replace")) for path in files}
