# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""uv gets the index that pip uses."""

from __future__ import annotations

import configparser
import ensurepip
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.tools.package_index import pip_configuration, read_pip_settings, uv_variables

MIRROR = "https://mirror.example.org/simple"


def test_environment_takes_precedence_over_install_and_install_over_global() -> None:
    listing = ":env:.index-url='of environment'\nglobal.cert='of all'\nglobal.index-url='of all'\ninstall.cert='of install'\n"
    assert read_pip_settings(listing) == {"cert": "of install", "index-url": "of environment"}


def test_settings_of_other_commands_are_left_out() -> None:
    assert read_pip_settings(f"download.index-url='{MIRROR}'\nfreeze.all='1'\n") == {}


@pytest.mark.parametrize(
    ("settings", "variables"),
    [
        ({}, {}),
        ({"index-url": MIRROR, "timeout": "60"}, {"UV_DEFAULT_INDEX": MIRROR}),
        ({"extra-index-url": "\na\nb"}, {"UV_INDEX": "a b", "UV_INDEX_STRATEGY": "unsafe-best-match"}),
        ({"find-links": "/wheels /more", "no-index": "true"}, {"UV_FIND_LINKS": "/wheels,/more", "UV_NO_INDEX": "true"}),
        ({"no-index": "false"}, {}),
        ({"trusted-host": "one two:8080"}, {"UV_INSECURE_HOST": "one two:8080"}),
        ({"cert": "/ca.pem", "proxy": "http://proxy:3128"}, {"SSL_CERT_FILE": "/ca.pem", "ALL_PROXY": "http://proxy:3128"}),
    ],
)
def test_variables_of_uv_say_what_settings_of_pip_say(settings: dict[str, str], variables: dict[str, str]) -> None:
    assert uv_variables(settings) == variables


def test_written_configuration_is_read_by_configparser() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(pip_configuration({"index-url": MIRROR, "extra-index-url": "\na\nb"}))
    assert dict(parser["global"]) == {"index-url": MIRROR, "extra-index-url": "a b"}


def test_real_pip_lists_settings_in_the_form_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nextra-index-url =\n  a\n  b\n[install]\ncert = /ca.pem\n", encoding="utf-8")
    environment = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_INDEX_URL": MIRROR, "HOME": str(tmp_path)}
    command = [sys.executable, str(bundled_pip() / "pip"), "config", "list"]
    listing = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    expected = {"index-url": MIRROR, "extra-index-url": "\na\nb", "cert": "/ca.pem"}
    assert {option: value for option, value in read_pip_settings(listing).items() if option in expected} == expected


def bundled_pip() -> Path:
    """Return the pip that Python brings along: a wheel, which runs without being installed."""
    folder = sysconfig.get_config_var("WHEEL_PKG_DIR") or Path(ensurepip.__file__).parent / "_bundled"
    return next(Path(folder).glob("pip-*.whl"))
