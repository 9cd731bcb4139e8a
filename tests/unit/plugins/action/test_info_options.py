# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action pod_network_info in real runs: which options exclude each other, and which are none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[4]


def run(directory: Path, options: dict[str, Any], status: int = 0) -> str:
    """Run the module on this machine, which no path is asked of unless *options* have some; return what it says."""
    collections = directory / "ansible_collections" / "humanz"
    collections.mkdir(parents=True)
    (collections / "cni").symlink_to(ROOT)
    (directory / "failures.json").write_text(json.dumps({"paths": {"another": []}}))
    defaults = {"group/humanz.cni.plan": {"plan": str(directory / "nowhere.json")}}
    task = {"humanz.cni.pod_network_info": options}
    play = {"hosts": "all", "gather_facts": False, "module_defaults": defaults, "tasks": [task]}
    (directory / "play.json").write_text(json.dumps([play]))
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(directory),
        "ANSIBLE_HOME": str(directory / "home"),
        "ANSIBLE_NOCOLOR": "1",
    }
    node = ["-i", "localhost,", "-c", "local", "-e", "ansible_python_interpreter=%s" % sys.executable]
    command = [sys.executable, "-m", "ansible", "playbook", *node, "play.json"]
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_plan_for_all_modules_is_left_out_beside_paths(tmp_path: Path) -> None:
    assert "ok=1" in run(tmp_path / "file", {"paths_file": str(tmp_path / "file" / "failures.json")})
    assert "ok=1" in run(tmp_path / "paths", {"paths": []})
    assert "nowhere.json cannot be read" in run(tmp_path / "neither", {}, status=2)


def test_paths_come_from_one_place(tmp_path: Path) -> None:
    shown = run(tmp_path, {"paths": [], "paths_file": "failures.json"}, status=2)
    assert "paths, paths_file: give only one of them" in shown


def test_an_unknown_option_is_one_where_nothing_is_asked_too(tmp_path: Path) -> None:
    shown = run(tmp_path, {"paths_file": str(tmp_path / "failures.json"), "bogus": 1}, status=2)
    assert "Unsupported parameters" in shown
    assert "bogus" in shown
