# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates made for the run: a good one, and those that must be refused."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """The CA that clients trust, another one, and what a server may present (certificate and key in one PEM file)."""

    ca: Path
    unknown_ca: Path
    good: Path
    expired: Path
    not_yet: Path
    other_name: Path
    untrusted: Path


def make_certificates(folder: Path, *names: str) -> Certificates:
    """Write two CAs, and certificates for a server of these names, into the folder."""
    ca, unknown_ca = trustme.CA(), trustme.CA()
    now, day = datetime.now(timezone.utc), timedelta(days=1)
    leaves = {
        "good": ca.issue_cert(*names),
        "expired": ca.issue_cert(*names, not_before=now - 2 * day, not_after=now - day),
        "not_yet": ca.issue_cert(*names, not_before=now + day, not_after=now + 2 * day),
        "other_name": ca.issue_cert("elsewhere.test"),
        "untrusted": unknown_ca.issue_cert(*names),
    }
    paths = {name: folder / f"{name}.pem" for name in ("ca", "unknown_ca", *leaves)}
    ca.cert_pem.write_to_path(str(paths["ca"]))
    unknown_ca.cert_pem.write_to_path(str(paths["unknown_ca"]))
    for name, leaf in leaves.items():
        leaf.private_key_and_cert_chain_pem.write_to_path(str(paths[name]))
    return Certificates(**paths)


def presenting(certificate: Path) -> ssl.SSLContext:
    """Return the TLS context of a server that presents this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
