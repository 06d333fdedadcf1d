# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the platform in miniature needs of the machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .names import names_work
from .sshd import find_sshd


def missing_tools(folder: Path) -> list[str]:
    """Name what the machine lacks, each with the Debian package that has it."""
    missing = [f"{name} (openssh-client)" for name in ("ssh", "scp", "sftp", "ssh-keygen") if not shutil.which(name)]
    if not find_sshd():
        missing.append("sshd (openssh-server)")
    if not openssl_version().startswith("OpenSSL"):
        missing.append("OpenSSL's openssl, which checks host names (openssl)")
    if not names_work(folder):
        missing.append("a working nss_wrapper (libnss-wrapper)")
    return missing


def openssl_version() -> str:
    """Give what openssl says it is; LibreSSL's has another name and cannot check host names."""
    if not shutil.which("openssl"):
        return ""
    return subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout
