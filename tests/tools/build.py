# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the collection so that two builds of one commit are the same, byte for byte.

    python -m tests.tools.build SOURCE FOLDER SECONDS

builds the collection in SOURCE into FOLDER; SECONDS since 1970 is the time that every file gets.
``ansible-galaxy`` writes the time of the build into the tarball and lists files in the order of the file system.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST, FILES = "MANIFEST.json", "FILES.json"


def main(source: Path, folder: Path, seconds: int) -> None:
    with tempfile.TemporaryDirectory() as built:
        subprocess.run(
            ["ansible-galaxy", "collection", "build", "--output-path", built, source], check=True, stdout=subprocess.DEVNULL
        )
        (tarball,) = Path(built).glob("*.tar.gz")
        content = repack(tarball.read_bytes(), seconds=seconds)
    (folder / tarball.name).write_bytes(content)
    print(f"Built {folder / tarball.name}, SHA-256 {hashlib.sha256(content).hexdigest()}")


def repack(tarball: bytes, *, seconds: int) -> bytes:
    """Return the tarball with sorted files that all have this time."""
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        held = {member.name: member for member in archive}
        contents = {name: read(archive, member) for name, member in held.items()}
    contents |= sorted_manifests(contents)
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=seconds) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(held):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.size, entry.mtime = held[name].type, held[name].mode, len(contents[name]), seconds
            archive.addfile(entry, io.BytesIO(contents[name]))
    return packed.getvalue()


def read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member) if member.isfile() else None
    return file.read() if file else b""


def sorted_manifests(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return FILES.json in the order of the names, and MANIFEST.json with the checksum of that."""
    files, manifest = json.loads(contents[FILES]), json.loads(contents[MANIFEST])
    files["files"].sort(key=lambda entry: str(entry["name"]))
    listed = encode(files)
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(listed).hexdigest()
    return {FILES: listed, MANIFEST: encode(manifest)}


def encode(manifest: Any) -> bytes:
    return json.dumps(manifest, indent=1, sort_keys=True).encode()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
