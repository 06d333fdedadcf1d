# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import url_problem


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
        ("phala.example.org", "is no URL"),
        ("ftp://phala.example.org", "is no URL"),
        ("https://", "is no URL"),
        ("https://[::1", "is no URL"),
        ("https://phala.example.org:port", "is no URL"),
        ("https://phala.example.org:99999", "is no URL"),
        ("https://phala.example.org/a b", "is no URL"),
        ("https://%00/", "is no URL"),
        ("https://./", "is no URL"),
        ("https://a..b/", "is no URL"),
        (f"https://{'a' * 64}.org/", "is no URL"),
        ("http://[::1].evil.example/", "is no URL"),
        ("https://me:secret@phala.example.org/", "holds a user name or password"),
        ("https://phala.example.org/?a=b", "must end with the path"),
        ("https://phala.example.org/#a", "must end with the path"),
        ("http://phala.example.org/", "would send the API key unencrypted"),
        ("http://127.0.0.1.evil.example/", "would send the API key unencrypted"),
        ("http://192.0.2.1/", "would send the API key unencrypted"),
    ],
)
def test_url_that_is_not_one_or_not_safe_is_refused(url: str, problem: str) -> None:
    refusal = url_problem(url)
    assert refusal is not None
    assert problem in refusal
    assert "secret" not in refusal
