# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository with one commit, of what this checkout has in it now, to clone and release from."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIST_FILES = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]


@pytest.fixture(scope="session", autouse=True)
def _committer() -> Iterator[None]:
    """Git's author and committer, by environment variables as a tester's configuration is not to be relied on."""
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv("GIT_%s_NAME" % role, "tester")
            patch.setenv("GIT_%s_EMAIL" % role, "tester@localhost")
        yield


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a bare repository whose branch main has one commit."""
    directory = tmp_path_factory.mktemp("origin")
    checkout, bare = directory / "checkout", directory / "origin.git"
    checkout.mkdir()
    listed = subprocess.run(LIST_FILES, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    existing = [name for name in listed.split(b"\0") if name and os.path.lexists(ROOT / os.fsdecode(name))]
    packed = subprocess.run(
        ["tar", "--create", "--null", "--files-from=-"],
        cwd=ROOT,
        check=True,
        input=b"\0".join(existing),
        stdout=subprocess.PIPE,
    )
    subprocess.run(["tar", "--extract"], cwd=checkout, check=True, input=packed.stdout)
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main"],
        ["git", "add", "--all"],
        ["git", "commit", "--quiet", "--message=All of it"],
        ["git", "clone", "--quiet", "--bare", str(checkout), str(bare)],
    ):
        subprocess.run(command, cwd=checkout, check=True)
    return bare
