# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab never alters the machine that it runs on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.lab.lab_under_test import LabUnderTest

pytestmark = pytest.mark.alone  # other labs would alter it
KERNEL_SETTINGS = "net.bridge|net.ipv4.ip_forward|kernel.pid_max|fs.protected"
OURS = "humanz-(passing|failing)|peer.py serve|resolver.py"
STATE = {
    "links": "ip -oneline link",
    "addresses": "ip -oneline address show scope global",
    "routes": "ip route show table all",
    "policy rules": "ip rule",
    "namespaces": "ls /run/netns || true",
    "iptables": "iptables-save | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'",
    "nftables": "nft --stateless list ruleset",
    "mounts": "cut -d' ' -f1-4 /proc/self/mounts",
    "/dev": "stat --format '%n %A %U %G' /dev/* | sort",
    "kernel settings": "sysctl --all 2> /dev/null | grep -E '^(" + KERNEL_SETTINGS + ")'",
    "cgroups": "find /sys/fs/cgroup -type d | grep -E 'humanz-lab|libpod|k8s.io|containerd' || true",
    "processes": "ps -eo stat=,args= | grep -v ^Z | grep -E '" + OURS + "' | grep -v grep || true",
    "files": "ls -d /run/{humanz-lab,libpod} /var/lib/humanz-lab{,/*} /dev/shm/* 2> /dev/null || true",
}


def machine() -> dict[str, str]:
    """What of the machine a lab could alter, by name."""
    return {
        name: subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True).stdout
        for name, command in STATE.items()
    }


def test_up_and_down_leave_the_machine_as_it_was(image: None) -> None:
    before = machine()
    lab = LabUnderTest("humanz-passing")
    lab.run("up", "--nodes", "1")
    try:
        dev_null = os.stat("/dev/null").st_mode & 0o777
        lab.ansible("ansible", "ubuntu-nested-1", "-m", "ansible.builtin.ping")
    finally:
        lab.run("down")
    assert dev_null == 0o666
    assert machine() == before


def test_a_failed_up_cleans_up_after_itself(image: None, tmp_path: Path) -> None:
    before = machine()
    real = subprocess.run(["which", "podman"], check=True, capture_output=True, text=True).stdout.strip()
    broken = tmp_path / "podman"
    broken.write_text(
        "#!/usr/bin/env bash\n"
        '[[ "$*" == *" start "*nested-2 ]] && { echo "no more power" >&2; exit 1; }\n'
        'exec %s "$@"\n' % real
    )
    broken.chmod(0o755)
    failed = LabUnderTest("humanz-failing").run("up", check=False, PATH="%s:%s" % (tmp_path, os.environ["PATH"]))
    assert failed.returncode == 1
    assert "no more power" in failed.stderr
    assert machine() == before


def test_down_of_a_lab_that_is_not_up_is_no_error(image: None) -> None:
    LabUnderTest("humanz-absent").run("down")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["up", "--nodes", "26"], "--nodes 26: must be between 1 and 25"),
        (["status"], "lab humanz-absent is not up"),
        (["exec", "web-1", "--", "true"], "web-1 is no node: expected ubuntu-nested-N"),
        (["exec", "1", "--", "true"], "ubuntu-nested-1 is absent"),
    ],
)
def test_a_wrong_call_says_what_would_be_right(args: list[str], words: str) -> None:
    done = LabUnderTest("humanz-absent").run(*args, check=False)
    assert done.returncode == 1
    assert words in done.stderr


def test_a_node_that_the_lab_has_never_had_is_to_be_added(tmp_path: Path) -> None:
    record = tmp_path / "humanz-absent" / "lab.json"
    record.parent.mkdir()
    record.write_text('{"topology": "ubuntu-nested", "nodes": [1]}')
    lab = LabUnderTest("humanz-absent")
    for number, words in (
        ("9", "ubuntu-nested-9 is no node of the lab; 'python3 lab add 9' adds it"),
        ("1", "ubuntu-nested-1 is absent; 'python3 lab up' starts it"),
    ):
        done = lab.run("exec", number, "--", "true", check=False, HUMANZ_LAB_STATE=str(tmp_path))
        assert (done.returncode, done.stderr.strip()) == (1, f"lab: {words}")


def test_without_root_it_says_so() -> None:
    code = "import os, runpy; os.geteuid = lambda: 1000; runpy.run_path('lab', {}, '__main__')"
    done = subprocess.run([sys.executable, "-c", code, "status"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "lab: this needs root: it makes network namespaces and containers",
    )
