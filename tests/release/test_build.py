# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifact that release/build.py makes: the same from every clone, complete, and one that ansible-galaxy takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

IN_MEMORY = "/dev/shm"
# What must be in the artifact as it is in the repository.
NEEDED = ["LICENSE", "README.md", "changelogs", "docs", "files", "inventory", "meta", "playbooks", "plugins", "roles"]
# What may be in the artifact. Tests, the lab and what a forge or a linter wants to see stay out of it.
TOP_LEVEL = {
    *("FILES.json", "MANIFEST.json", "README.md", "LICENSE", "CHANGELOG.rst", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md"),
    "MAINTAINERS",
    *("changelogs", "docs", "files", "inventory", "meta", "playbooks", "plugins", "roles"),
    "execution-environment.yml",
}


def clone_and_build(origin: Path, clone: Path, umask: int = 0o022, **environment: str) -> Path:
    """Clone *origin* to *clone*, build there, and return the path of the artifact."""
    subprocess.run(["git", "clone", "--quiet", str(origin), str(clone)], check=True, umask=umask)
    subprocess.run(
        [sys.executable, "release/build.py", "dist"],
        cwd=clone,
        check=True,
        umask=umask,
        env={**os.environ, **environment},
    )
    (artifact,) = (clone / "dist").iterdir()
    return artifact


@pytest.fixture(scope="module")
def artifact(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clone_and_build(origin, tmp_path_factory.mktemp("first") / "clone")


def test_two_builds_are_the_same_bytes(origin: Path, artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Another path, file system, umask, time zone and locale, and files in the tree that are not committed."""
    elsewhere = Path(IN_MEMORY, tmp_path_factory.getbasetemp().name + "-build")
    elsewhere.mkdir()
    environment = {"TMPDIR": str(elsewhere), "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "7"}
    try:
        second = clone_and_build(origin, elsewhere / "a" / "b", 0o077, **environment)
        assert second.read_bytes() == artifact.read_bytes()
        (second.parents[1] / "plugins" / "left_over.py").write_text("")
        for path in second.parents[1].glob("plugins/**/*.py"):
            os.utime(path, (1, 1))
        subprocess.run([sys.executable, "release/build.py", "dist"], cwd=second.parents[1], check=True)
        assert second.read_bytes() == artifact.read_bytes()
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)


def test_every_member_has_the_time_of_the_commit_and_no_owner(origin: Path, artifact: Path) -> None:
    log = ["git", "log", "-1", "--format=%ct"]
    committed = int(subprocess.run(log, cwd=origin, check=True, stdout=subprocess.PIPE).stdout)
    with tarfile.open(artifact) as tar:
        members = tar.getmembers()
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(committed, 0, 0, "")}
    assert {member.mode for member in members} == {0o644, 0o755}
    assert [member.name for member in members[:2]] == ["MANIFEST.json", "FILES.json"]


def test_it_installs_and_verifies(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ansible-galaxy compares every file with its checksum, in the archive and on disk."""
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(tmp_path))
    galaxy = ["ansible-galaxy", "collection"]
    subprocess.run([*galaxy, "install", "--collections-path", str(tmp_path), str(artifact)], check=True)
    verify = [*galaxy, "verify", "--offline", "humanz.cni"]
    subprocess.run(verify, check=True)
    with (tmp_path / "ansible_collections" / "humanz" / "cni" / "README.md").open("a") as readme:
        readme.write("changed\n")
    assert subprocess.run(verify, check=False).returncode != 0


def test_it_has_what_users_need_and_no_more(origin: Path, artifact: Path) -> None:
    with tarfile.open(artifact) as tar:
        files = {member.name for member in tar if not member.isdir()}
        manifest = tar.extractfile("FILES.json")
        assert manifest
        listed = json.load(manifest)["files"]
    assert {entry["name"] for entry in listed if entry["ftype"] == "file"} == files - {"FILES.json", "MANIFEST.json"}
    committed = ["git", "ls-tree", "-r", "--name-only", "HEAD", "--", *NEEDED]
    assert (
        set(subprocess.run(committed, cwd=origin, check=True, stdout=subprocess.PIPE, text=True).stdout.split())
        <= files
    )
    assert {name.split("/")[0] for name in files} <= TOP_LEVEL
