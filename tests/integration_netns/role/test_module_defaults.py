# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that are given once to a group of modules reach these modules and their action plugins."""

from __future__ import annotations

from pathlib import Path

from tests.support.netns.node import Node
from tests.support.netns.playbook import Playbook

PLAN = {
    "humanz.cni.cluster_plan": {"cluster_cidr": "100.100.0.0/16", "node_cidrs": "200.0.0.0/24"},
    "register": "cluster",
}
DEFAULTS = {
    "group/humanz.cni.plan": {"plan": "{{ cluster.plan }}"},
    "group/humanz.cni.bridge": {"bridge": "pods0"},
    "group/humanz.cni.conf_dir": {"conf_dir": "/etc/pods"},
}


def test_defaults_of_groups_reach_their_modules(nested: Node, tmp_path: Path) -> None:
    tasks = [
        {f"humanz.cni.{name}": {}, "module_defaults": DEFAULTS} for name in ("node_routes", "pod_firewall", "cni_conf")
    ]
    _plan, routes, firewall, conf = Playbook(tmp_path, nested).run(PLAN, *tasks)["n1"]
    assert routes["routes"] == 2
    assert "-i pods0" in str(firewall["rules"])
    assert conf["file"] == "/etc/pods/10-humanz-cni-plugin.conflist"
    assert '"bridge": "pods0"' in nested.run("cat", conf["file"]).stdout
