# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action cluster_picture in real runs: what it writes, when that is a change, and what check mode and diff say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.pictured_cluster import PicturedCluster

ROOT = Path(__file__).resolve().parents[4]
LONG_AGO = 1_000_000_000


class Run:
    """A directory for one playbook, with a picture of two nodes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "ansible_collections" / "humanz").mkdir(parents=True)
        (directory / "ansible_collections" / "humanz" / "cni").symlink_to(ROOT)
        self.options = {"path": "made/page.html", "svg": "page.svg", "table": "table.json", "results": "node"}
        self.page = directory / "made" / "page.html"

    def __call__(self, cluster: PicturedCluster, *options: str, status: int = 0) -> str:
        table = {"cluster": cluster.cluster, "failures": cluster.failures}
        (self.directory / "table.json").write_text(json.dumps(table))
        task = {"humanz.cni.cluster_picture": self.options}
        play = {"hosts": "node-1", "gather_facts": False, "tasks": [task]}
        (self.directory / "play.json").write_text(json.dumps([play]))
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(self.directory),
            "ANSIBLE_HOME": str(self.directory / "home"),
            "ANSIBLE_NOCOLOR": "1",
        }
        command = [sys.executable, "-m", "ansible", "playbook", "-i", "node-1,node-2", "play.json", *options]
        done = subprocess.run(command, env=environment, cwd=self.directory, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout


def test_a_page_is_a_change_only_if_something_is_another_way(tmp_path: Path) -> None:
    run, well, cut = Run(tmp_path), PicturedCluster(2), PicturedCluster(2)
    cut.cut("node-1", "node-2")

    assert "changed=1" in run(well, "--check")
    assert not run.page.parent.exists()

    assert "changed=1" in run(well)
    assert run.page.stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "page.svg").read_text().startswith("<svg")

    text = run.page.read_text()
    os.utime(run.page, (LONG_AGO, LONG_AGO))
    assert "changed=0" in run(well, "--check", "--diff")
    assert run.page.stat().st_mtime == LONG_AGO
    assert "changed=0" in run(well)
    assert run.page.stat().st_mtime > LONG_AGO
    assert run.page.read_text() == text

    shown = run(cut, "--check", "--diff")
    assert "changed=1" in shown
    assert any(line.startswith("+") and "4 of 8 connections fail" in line for line in shown.splitlines())
    assert run.page.read_text() == text


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    run = Run(tmp_path)
    (tmp_path / "made").write_text("a file")
    shown = run(PicturedCluster(2), status=2)
    assert f"path: {run.page} cannot be written" in shown


def test_a_page_that_was_closed_to_others_stays_so(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run(PicturedCluster(2))
    run.page.chmod(0o600)
    cut = PicturedCluster(2)
    cut.cut("node-1", "node-2")
    assert "changed=1" in run(cut)
    assert run.page.stat().st_mode & 0o777 == 0o600


def test_a_wrong_table_is_named_with_what_it_takes(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for wrong in ("nowhere.json", "play.json"):
        run.options["table"] = wrong
        shown = " ".join(run(PicturedCluster(2), status=2).split())
        assert f"{wrong} is not a table (" in shown
        assert "it takes the file that humanz.cni.pod_reachability returned in this run" in shown
        assert "Traceback" not in shown
