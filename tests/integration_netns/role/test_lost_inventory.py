# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory that has lost the other nodes is refused before anything that leads to them is taken away."""

from __future__ import annotations

from pathlib import Path

from tests.support.netns.node import Node
from tests.support.netns.playbook import Playbook

ROLE = {"ansible.builtin.import_role": {"name": "humanz.cni.pod_network"}}
STATE = """
ip -4 route show table all; ip -br link show type vxlan; bridge fdb show dev humanz-vxlan0
ip neigh show nud permanent dev humanz-vxlan0; cat /etc/humanz-cni/*
"""


def test_lost_nodes_keep_routes_and_vxlan_unless_it_is_meant(nested: Node, tmp_path: Path) -> None:
    playbook = Playbook(tmp_path, nested)
    playbook.variables.update(
        pod_network_node_cidrs=["200.0.0.0/24", "200.0.1.0/24"],
        pod_network_cross_subnet="vxlan",
        pod_network_persistence=False,
    )
    playbook.nodes["n3"]["pod_network_node_ip"] = "200.0.1.30"
    assert "file" in playbook.run(ROLE)["n1"][-1]

    def state() -> str:
        return nested.run("sh", "-c", STATE, check=False).stdout

    before = state()
    assert "100.100.2.0/24 via 200.0.1.30 dev humanz-vxlan0" in before
    assert "dst 200.0.1.30" in before
    del playbook.nodes["n2"], playbook.nodes["n3"]
    results = playbook.run(ROLE)["n1"]
    assert results[-1]["msg"] == (
        "Nothing was changed on any node, as 1 problem must be solved first: n1: routes: the list has no IPv4 route, "
        "but the node has 2: set allow_empty if that is meant (pod_network_force_prune: true)"
    )
    assert not any(result.get("changed") for result in results)
    assert state() == before

    playbook.variables["pod_network_force_prune"] = True
    assert "file" in playbook.run(ROLE)["n1"][-1]
    assert "humanz-vxlan0" not in nested.ip("link")
    assert "100.100." not in nested.ip("route")
