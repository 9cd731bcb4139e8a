# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of the controller's pyroute2: it runs, it is the same each time, and why it can't be made is said."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from ansible_collections.humanz.cni.plugins.plugin_utils._actions import pyroute2_archive

PYTHON = ".".join(str(part) for part in sys.version_info[:3])
LIST_LINKS = (
    "import sys; sys.path.insert(0, sys.argv[1]); from pyroute2 import IPRoute; print(len(list(IPRoute().get_links())))"
)


class Distribution:
    """As much of a distribution's metadata as is asked for."""

    def __init__(self, version: str, python: str) -> None:
        self.version = version
        self.metadata = {"Requires-Python": python}


def test_it_runs_without_anything_installed(tmp_path: Path) -> None:
    archive = pyroute2_archive.archive_for(PYTHON, str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LIST_LINKS, archive], check=False, capture_output=True, text=True
    )
    assert int(done.stdout) >= 1, done.stderr


def test_it_is_made_once_and_always_the_same(tmp_path: Path) -> None:
    archives = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        archives.append(Path(pyroute2_archive.archive_for(PYTHON, str(tmp_path / name))))
    assert archives[0].read_bytes() == archives[1].read_bytes()
    inode = archives[0].stat().st_ino
    pyroute2_archive.archive_for(PYTHON, str(tmp_path / "one"))
    assert archives[0].stat().st_ino == inode
    assert [path.name for path in archives[0].parent.iterdir()] == [archives[0].name]


@pytest.mark.parametrize(
    ("version", "python", "expected"),
    [
        ("0.9.7", ">=3.9", "the controller's pyroute2 0.9.7 needs Python >=3.9 while the node's is 3.8.10"),
        ("0.6.13", "", "the controller's is 0.6.13: install the distribution's package python3-pyroute2 on the node"),
    ],
)
def test_a_copy_that_would_not_run_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, python: str, expected: str
) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution(version, python))
    with pytest.raises(pyroute2_archive.NoArchiveError, match=expected.replace("(", r"\(")):
        pyroute2_archive.archive_for("3.8.10", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_controller_without_pyroute2_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(pyroute2_archive.NoArchiveError, match="neither on the node nor on the controller"):
        pyroute2_archive.archive_for(PYTHON, str(tmp_path))
