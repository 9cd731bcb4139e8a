# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every run is to be, from the first one in check mode to the reset."""

from __future__ import annotations

from pathlib import Path

from tests.support.netns.two_nodes import Cluster, changes

DIRECTORIES = ("find", "/etc", "/opt", "/usr/local/lib", "/usr/local/sbin", "-type", "d")


def test_predicted_done_once_and_undone(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    try:
        one, other = cluster.nodes.values()
        one.run("rm", "-rf", "/etc/cni", "/opt/cni")
        before, directories = cluster.state(), one.run(*DIRECTORIES).stdout
        assert "0" not in changes(cluster.playbook("site", "--check"))
        assert cluster.state() == before
        cluster.playbook("site")
        cluster.playbook("verify")
        assert changes(cluster.playbook("site")) == {"0"}
        other.ip("link add left type bridge")
        other.run("ip", "link", "set", "left", "alias", "humanz-cni default/web-0")
        there = cluster.state()
        refused = cluster.playbook("reset", status=2, pod_network_reset_confirmation="yes")
        assert "or set force to cut them off (pod_network_force_detach: true)" in refused
        assert "Nothing was changed on any node, as n2 reported problems" in refused
        assert cluster.state() == there
        other.ip("link del left")
        cluster.playbook("reset", pod_network_reset_confirmation="yes")
        assert cluster.state() == before
        assert one.run(*DIRECTORIES).stdout == directories
    finally:
        cluster.close()
