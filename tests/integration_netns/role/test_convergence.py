# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every run is to be, from the first one in check mode to the reset."""

from __future__ import annotations

from pathlib import Path

from two_nodes import Cluster, changes


def test_predicted_done_once_and_undone(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    try:
        before = cluster.state()
        assert "0" not in changes(cluster.playbook("site", "--check"))
        assert cluster.state() == before
        cluster.playbook("site")
        cluster.playbook("verify")
        assert changes(cluster.playbook("site")) == {"0"}
        cluster.playbook("reset", pod_network_reset_confirmation="yes")
        assert cluster.state() == before
    finally:
        cluster.close()
