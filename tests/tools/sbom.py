# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the software bill of materials of a built collection, as CycloneDX 1.7.

    python -m tests.tools.sbom TARBALL

writes it beside the tarball. It lists the tarball's files, and what the collection requires of the machine.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def main(tarball: Path) -> None:
    text = json.dumps(bill_of(tarball), indent=2) + "\n"
    problem = JsonStrictValidator(SchemaVersion.V1_7).validate_str(text)
    if problem:
        sys.exit(f"The bill of materials is not valid CycloneDX 1.7: {problem}")
    written = tarball.with_name(f"{tarball.name.removesuffix('.tar.gz')}.cdx.json")
    written.write_text(text, encoding="utf-8")
    print(f"Wrote {written}")


def bill_of(tarball: Path) -> dict[str, Any]:
    """Return the bill of materials; the same tarball gives the same."""
    with tarfile.open(tarball) as archive:
        contents = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    about = json.loads(contents["MANIFEST.json"])["collection_info"]
    requirements = required_packages(contents)
    reference = f"{about['namespace']}.{about['name']}@{about['version']}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_OID, digest).urn,
        "version": 1,
        "metadata": {"component": described(about, reference=reference, digest=digest)},
        "components": [*requirements, *listed_files(json.loads(contents["FILES.json"])["files"])],
        "dependencies": [{"ref": reference, "dependsOn": [package["bom-ref"] for package in requirements]}],
    }


def described(about: Mapping[str, Any], *, reference: str, digest: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": reference,
        "group": about["namespace"],
        "name": about["name"],
        "version": about["version"],
        "description": about["description"],
        "licenses": [{"license": {"id": "GPL-3.0-or-later"}}],
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "externalReferences": [{"type": "vcs", "url": about["repository"]}],
    }


def required_packages(contents: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """List the Python packages that must be on the machine, each with the range of versions."""
    ansible = yaml.safe_load(contents["meta/runtime.yml"])["requires_ansible"]
    lines = (f"ansible-core{ansible}", *contents["requirements.txt"].decode().split())
    return [external_package(*line.partition(">=")) for line in lines]


def external_package(name: str, at_least: str, version: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "versionRange": f"vers:pypi/{at_least}{version}",
        "purl": f"pkg:pypi/{name}",
        "isExternal": True,
    }


def listed_files(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"type": "file", "name": entry["name"], "hashes": [{"alg": "SHA-256", "content": entry["chksum_sha256"]}]}
        for entry in entries
        if entry["ftype"] == "file"
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
