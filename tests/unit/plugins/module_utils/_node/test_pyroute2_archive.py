# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's archive of pyroute2, where it no longer runs and where it cannot be put back."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from types import SimpleNamespace

import pyroute2
import pytest

from ansible_collections.humanz.cni.plugins.module_utils._node.pyroute2_archive import Archive
from ansible_collections.humanz.cni.plugins.module_utils._shared import kernel
from ansible_collections.humanz.cni.plugins.module_utils._shared.converge import ConvergeError


def archive(state: str, status: int) -> Archive:
    """Return what the module does before anything was brought; *status* is that of each proof."""
    run = SimpleNamespace(params={"state": state}, run_command=lambda command: (status, "", "IPRoute has failed\n"))
    return Archive(run, None)


def test_another_is_asked_for_where_the_one_that_is_there_can_be_imported_but_does_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernel, "ARCHIVE", os.path.dirname(pyroute2.__file__))
    broken = archive("present", status=1)
    assert broken.read() == "broken"
    with pytest.raises(ConvergeError, match="does not run on this node's Python") as caught:
        broken.desired("broken")
    assert caught.value.facts == {"pyroute2_missing": True, "python_version": platform.python_version()}


def test_a_removal_that_has_failed_says_that_there_is_no_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "ARCHIVE", str(tmp_path / "pyroute2.zip"))
    with pytest.raises(
        ConvergeError, match=r"pyroute2\.zip is removed until humanz\.cni\.node_python installs it again"
    ):
        archive("absent", status=0).undo("present")


def test_one_that_an_earlier_task_of_the_same_interpreter_was_brought_is_none_of_the_nodes_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pyroute2, "__file__", "/tmp/gone/humanz-cni-pyroute2-0.9.7.zip/pyroute2/__init__.py")
    assert archive("present", status=0).needed()


def test_a_module_takes_the_archive_that_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyroute2" / "netlink").mkdir(parents=True)
    (tmp_path / "pyroute2" / "__init__.py").write_text("IPRoute = 'of the archive'\n")
    (tmp_path / "pyroute2" / "netlink" / "__init__.py").touch()
    (tmp_path / "pyroute2" / "netlink" / "exceptions.py").write_text("NetlinkError = OSError\n")
    for name in ("pyroute2", "IPRoute", "NetlinkError", "PYROUTE2_ERROR"):
        monkeypatch.setattr(kernel, name, getattr(kernel, name))
    monkeypatch.setattr(sys, "path", list(sys.path))
    kept = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "pyroute2"}
    try:
        kernel.require_pyroute2(SimpleNamespace(params={"pyroute2_archive": str(tmp_path)}))
        assert getattr(kernel, "IPRoute") == "of the archive"  # noqa: B009
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "pyroute2"]:
            del sys.modules[name]
        sys.modules.update(kept)
