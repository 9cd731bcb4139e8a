# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the collection's artifact from HEAD, byte for byte the same wherever and whenever it is built.

``ansible-galaxy collection build`` says what goes in. It lists files in the order of the file system and stamps them
with their times on disk, so its archive is written anew here: sorted, at the commit's time, and with FILES.json and
MANIFEST.json to match. What is not committed has no part in it. Whoever builds with another release of ansible-core,
Python or zlib may get other bytes around the same files.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Dict, Tuple

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = "MANIFEST.json"
FILES = "FILES.json"

# A file of the archive, by name: its header and content. Content is empty for directories and symbolic links.
Members = Dict[str, Tuple[tarfile.TarInfo, bytes]]


def git(repository: Path, *arguments: str) -> str:
    """Return what git prints; raise CalledProcessError if it fails."""
    return subprocess.run(
        ["git", *arguments], cwd=repository, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def build_as_ansible_does(repository: Path, directory: Path) -> Path:
    """Let ansible-galaxy build what HEAD of *repository* has, below *directory*; return the archive's path."""
    exported, source, built = directory / "source.tar", directory / "source", directory / "built"
    source.mkdir()
    git(repository, "archive", "--format=tar", "--output=%s" % exported, "HEAD")
    subprocess.run(["tar", "--extract", "--file", exported, "--directory", source], check=True)
    command = ["ansible-galaxy", "collection", "build", "--output-path", str(built), str(source)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (archive,) = built.glob("*.tar.gz")
    return archive


def read(archive: Path) -> Members:
    members: Members = {}
    with tarfile.open(archive) as tar:
        for header in tar:
            content = tar.extractfile(header) if header.isfile() else None
            members[header.name] = (header, content.read() if content else b"")
    return members


def sort_manifest(members: Members) -> None:
    """Sort the list of files in FILES.json, and put its new checksum into MANIFEST.json."""
    files = json.loads(members[FILES][1])
    files["files"].sort(key=lambda entry: entry["name"])
    files_text = json.dumps(files, indent=1).encode()
    manifest = json.loads(members[MANIFEST][1])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(files_text).hexdigest()
    members[FILES] = (members[FILES][0], files_text)
    members[MANIFEST] = (members[MANIFEST][0], json.dumps(manifest, indent=1).encode())


def in_order(members: Members) -> list[str]:
    """Return the members' names, the manifests first, as ansible-galaxy has it."""
    first = [MANIFEST, FILES]
    return first + sorted(name for name in members if name not in first)


def archive_bytes(members: Members, time: int) -> bytes:
    """Return the gzipped archive of *members*, all of them from *time*, in seconds since the epoch."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=time) as compressed, tarfile.open(
        fileobj=compressed, mode="w"
    ) as tar:
        for name in in_order(members):
            old, content = members[name]
            header = tarfile.TarInfo(name)
            header.type, header.linkname, header.mode = old.type, old.linkname, old.mode
            header.size, header.mtime = len(content), time
            tar.addfile(header, io.BytesIO(content))
    return packed.getvalue()


def build(repository: Path, output: Path) -> Path:
    """Build HEAD of *repository* into the directory *output*, which is made if missing; return the artifact's path."""
    with tempfile.TemporaryDirectory() as directory:
        built = build_as_ansible_does(repository, Path(directory))
        members = read(built)
        sort_manifest(members)
        output.mkdir(parents=True, exist_ok=True)
        artifact = output / built.name
        artifact.write_bytes(archive_bytes(members, int(git(repository, "log", "-1", "--format=%ct"))))
    return artifact


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the artifact of HEAD, and print its SHA-256 checksum.")
    parser.add_argument("directory", type=Path, help="where to put humanz-cni-VERSION.tar.gz")
    artifact = build(ROOT, parser.parse_args().directory)
    print("%s  %s" % (hashlib.sha256(artifact.read_bytes()).hexdigest(), artifact))


if __name__ == "__main__":
    main()
