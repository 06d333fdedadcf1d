# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have uv use the package index that pip is configured to use."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping

SECTIONS = ("global.", "install.", ":env:.")  # each takes precedence over those before it, as in pip


def find_pip_settings() -> dict[str, str]:
    """Return pip's settings of this machine and user, or none where this Python has no pip."""
    command = (sys.executable, "-m", "pip", "config", "list")
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return read_pip_settings(listed.stdout) if listed.returncode == 0 else {}


def read_pip_settings(listing: str) -> dict[str, str]:
    """Map the options of ``pip install`` to their values; `listing` is what ``pip config list`` prints."""
    settings = {}
    for section in SECTIONS:
        for line in listing.splitlines():
            name, equals, value = line.partition("=")
            if equals and name.startswith(section):
                settings[name.removeprefix(section)] = str(ast.literal_eval(value))
    return settings


def uv_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that give uv the same index, certificates and proxy."""
    words = {option: value.split() for option, value in settings.items()}
    variables = {
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": " ".join(words.get("extra-index-url", ())),
        "UV_INDEX_STRATEGY": "unsafe-best-match" if "extra-index-url" in settings else "",  # pip compares all indexes
        "UV_FIND_LINKS": ",".join(words.get("find-links", ())),
        "UV_NO_INDEX": "true" if settings.get("no-index", "").lower() in ("1", "true", "yes", "on") else "",
        "UV_INSECURE_HOST": " ".join(words.get("trusted-host", ())),
        "SSL_CERT_FILE": settings.get("cert", ""),
        "ALL_PROXY": settings.get("proxy", ""),
    }
    return {name: value for name, value in variables.items() if value}


def pip_configuration(settings: Mapping[str, str]) -> str:
    """Return a pip.conf with these settings, for commands that run with another home."""
    lines = (f"{option} = {' '.join(value.split())}\n" for option, value in settings.items())
    return "[global]\n" + "".join(lines)
