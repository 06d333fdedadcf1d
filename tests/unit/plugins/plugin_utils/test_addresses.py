# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import (
    bare_id,
    is_this_machine,
    is_within,
    split_domain,
    url_problem,
    with_lower_case_host,
)

LABEL, LONG = "a" * 63, "x" * 300


@pytest.mark.parametrize(
    "url",
    [
        "https://cloud-api.phala.com/api/v1",
        "HTTPS://Phala.Example.org:8443/",
        "https://phala.example.org./",
        "http://127.0.0.1:8000/api/v1",
        "HTTP://LOCALHOST/",
        "http://[::1]:80/",
    ],
)
def test_url_of_a_service_is_accepted(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("phala.example.org", "is not a URL"),
        ("ftp://phala.example.org", "is not a URL"),
        ("https://", "is not a URL"),
        ("https://[::1", "is not a URL"),
        ("https://phala.example.org:port", "is not a URL"),
        ("https://phala.example.org:99999", "is not a URL"),
        ("https://phala.example.org:0/", "is not a URL"),
        ("http://[::1]evil.example/", "is not a URL"),
        ("https://a\\b/", "is not a URL"),
        ("https://phala.example.org/a b", "is not a URL"),
        ("https://%00/", "is not a URL"),
        ("https://./", "is not a URL"),
        ("https://a..b/", "is not a URL"),
        (f"https://{'a' * 64}.org/", "is not a URL"),
        ("http://[::1].evil.example/", "is not a URL"),
        ("https://me:secret@phala.example.org/", "contains a user name or password. Remove them"),
        ("https://secret@phala.example.org/", "contains a user name or password"),
        ("https://phala.example.org/?a=b", "has a query or a fragment"),
        ("https://phala.example.org/#a", "has a query or a fragment"),
        ("http://phala.example.org/", "would send the API key unencrypted"),
        ("http://127.0.0.1.evil.example/", "would send the API key unencrypted"),
        ("http://192.0.2.1/", "would send the API key unencrypted"),
    ],
)
def test_url_that_is_not_one_or_not_safe_is_refused(url: str, problem: str) -> None:
    refusal = url_problem(url)
    assert refusal is not None
    assert refusal.startswith((f"the URL {problem}", f"{url!r} {problem}"))
    assert "secret" not in refusal


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("gw.example.org", ("gw.example.org", None)),
        ("gw.example.org:8443", ("gw.example.org", 8443)),
        ("GW.Example.ORG", ("gw.example.org", None)),
        ("gw.example.org.", ("gw.example.org", None)),
        ("gw.example.org.:8443", ("gw.example.org", 8443)),
        ("localhost", ("localhost", None)),
        ("gw-1.example2.org", ("gw-1.example2.org", None)),
        ("xn--gw-1.example.org", ("xn--gw-1.example.org", None)),
        (f"{LABEL}.org", (f"{LABEL}.org", None)),
        ("gw.example.org:1", ("gw.example.org", 1)),
        ("gw.example.org:65535", ("gw.example.org", 65535)),
        *(
            (text, None)
            for text in (
                "", ".", "..", "gw..org", ".gw.org", "gw.org..", "-gw.org", "gw-.org", "gw_1.org", "gw org", "gw.org\n",
                "gw.org:0", "gw.org:65536", "gw.org:123456", "gw.org:", "gw.org:-1", "gw.org:80:80", "10.0.0.1", "127.1", "[::1]",
                "::1", "1.2.3", "https://gw.org", "gw.org/", "root@gw.org", "$(id).org", "`id`", "gw.org;id", "%h", "'", '"',
                "gw.org -oProxyCommand=id", "gw.org\0", "gw.\N{LATIN SMALL LETTER E WITH ACUTE}.org", f"a{LABEL}.org", "*.org",
                ".".join([LABEL] * 4), "gw.org:\N{ARABIC-INDIC DIGIT EIGHT}",
            )
        ),
    ],
)  # fmt: skip
def test_domain_is_split_or_refused(text: str, parts: tuple[str, int | None] | None) -> None:
    assert split_domain(text) == parts


@pytest.mark.parametrize(
    "name",
    [
        "localhost", "LocalHost", "localhost.", "localhost4", "ip6-loopback", "web.localhost", "127.0.0.1", "127.1", "::1",
        "127.255.255.254", "0x7f.1", "0177.0.0.1", "2130706433", "0", "0.0.0.0", "[::ffff:127.0.0.1]", "0:0::1",
    ],
)  # fmt: skip
def test_name_or_address_of_this_machine_is_recognized(name: str) -> None:
    assert is_this_machine(name)


@pytest.mark.parametrize(
    "name", ["localhost1", "mylocalhost", "all", "::2", "128.0.0.1", "10.0.0.1", "127-0-0-1", "1", "127.x", LONG]
)
def test_other_names_and_addresses_are_not_this_machine(name: str) -> None:
    assert not is_this_machine(name)


@pytest.mark.parametrize(
    ("domain", "within"),
    [("a.org", True), ("x.a.org", True), ("b.org", True), ("xa.org", False), ("a.org.x", False), ("org", False)],
)
def test_domain_is_within_those_that_it_is_or_is_below(domain: str, *, within: bool) -> None:
    assert is_within(domain, ["a.org", "b.org"]) is within


def test_url_keeps_the_case_of_its_path() -> None:
    assert with_lower_case_host("HTTPS://A.Example.ORG:1/Api/V1") == "https://a.example.org:1/Api/V1"


@pytest.mark.parametrize("text", ["ab", "AB", "0xAB", "app_ab", "APP_0xAB"])
def test_id_is_bare_without_prefixes_and_in_lower_case(text: str) -> None:
    assert bare_id(text) == "ab"


def test_end_of_an_id_is_kept() -> None:
    assert bare_id("abapp_0x") == "abapp_0x"
