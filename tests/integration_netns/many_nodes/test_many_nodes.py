# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty nodes, one run, and every pod answers every other one; benchmarks/all_pairs.py does it with fifty."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.netns.many_nodes import ManyNodes

NODES = 20


@pytest.mark.alone
def test_all_pairs_of_pods_on_twenty_nodes_after_one_run(tmp_path: Path) -> None:
    nodes = ManyNodes(tmp_path, NODES)
    try:
        nodes.playbook("site", "--tags", "pod_network_kernel,pod_network_routes", "--forks", "4")
        assert nodes.silent() == []
        nodes.nodes["n7"].ip("route del 100.100.3.0/24")
        assert sorted(nodes.silent()) == ["n3: 100.100.7.2", "n7: 100.100.3.2"]
    finally:
        nodes.close()
