# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates made for the run: one that the gateway should present, and those that must be refused."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from pathlib import Path

import trustme


@dataclasses.dataclass(frozen=True)
class Certificates:
    """The CA that clients trust, and what a gateway may present (certificate and key in one PEM file)."""

    ca: Path
    unknown_ca: Path
    good: Path
    other_name: Path
    expired: Path
    untrusted: Path


def make_certificates(folder: Path, domain: str) -> Certificates:
    """Write a CA and the gateway's certificates for `*.<domain>` into the folder."""
    ca, unknown_ca = trustme.CA(), trustme.CA()
    wildcard = f"*.{domain}"
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    leaves = {
        "good": ca.issue_cert(wildcard),
        "other_name": ca.issue_cert("*.elsewhere.test"),
        "expired": ca.issue_cert(wildcard, not_before=yesterday - timedelta(days=1), not_after=yesterday),
        "untrusted": unknown_ca.issue_cert(wildcard),
    }
    paths = {name: folder / f"{name}.pem" for name in ("ca", "unknown_ca", *leaves)}
    ca.cert_pem.write_to_path(str(paths["ca"]))
    unknown_ca.cert_pem.write_to_path(str(paths["unknown_ca"]))
    for name, leaf in leaves.items():
        leaf.private_key_and_cert_chain_pem.write_to_path(str(paths[name]))
    return Certificates(**paths)
