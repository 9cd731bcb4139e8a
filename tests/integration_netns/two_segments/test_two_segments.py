# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods on two networks that a router joins, from site.yml to reset.yml: docs/two-segments.md says how."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.netns.node import Node
from tests.support.netns.segments import NODE_IPS, OUTSIDE, Segments

PAGE = Path(__file__).resolve().parents[3] / "docs" / "two-segments.md"
CONF = "/etc/cni/net.d/10-humanz-cni-plugin.conflist"
RESET = {"pod_network_reset_confirmation": "yes"}
STATE = """
ip -br link | sed 's/@if[0-9]*//' | awk '{print $1}' | sort; ip route; ip neigh show nud permanent; bridge fdb
iptables-save | grep -Ev '^#|^:[A-Z]+ ACCEPT|^COMMIT|^\\*'
find /etc/cni /etc/humanz-cni /opt/cni /usr/local/lib/humanz-cni -type f 2> /dev/null
"""


def state(node: Node) -> str:
    """All that a run could leave on a node."""
    return node.run("sh", "-c", STATE, check=False).stdout


def passed(shown: str, title: str) -> int:
    """Return how many checks of a kind the table of verify.yml counts, all of which passed."""
    found = re.search(rf"{title} +(\d+) +(\d+) +0", shown)
    assert found, shown
    assert found[1] == found[2]
    return int(found[1])


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Segments]:
    """Nodes on which site.yml has run once; a reset at the end leaves nothing."""
    made = Segments(tmp_path_factory.mktemp("cluster"))
    try:
        before = [state(node) for node in made.nodes.values()]
        made.playbook("site")
        yield made
        made.playbook("reset", status=0, **RESET)
        assert [state(node) for node in made.nodes.values()] == before
    finally:
        made.close()


def test_all_pods_reach_each_other_and_the_router_never_sees_one(segments: Segments) -> None:
    # The router is a host of the nodes' own networks, too.
    shown = segments.playbook("verify", verify_outside=[OUTSIDE, "200.0.0.1", "200.0.1.1"])
    assert passed(shown, "pod to pod") == 6
    assert passed(shown, "node to pod") == 9
    assert passed(shown, "pod to outside") == 9
    assert segments.forwarded("pods") == 0
    assert segments.forwarded("tunnel") > 0
    page = segments.directory / "pod-network.html"
    assert f"The picture of the network is in {page}" in shown
    assert "All is well" in page.read_text()
    assert not re.search("changed=[1-9]", shown)


def test_the_picture_shows_what_differs_from_the_plan(segments: Segments) -> None:
    entry = "02:d9:c8:00:00:0a dev humanz-vxlan0 dst 200.0.0.10 self"
    changes = [
        ("n1", "ip route del 100.100.1.0/24", "ip route add 100.100.1.0/24 via 200.0.0.20 proto 217"),
        ("n1", "ip route add 100.100.9.0/24 via 200.0.0.20 proto 217", "ip route del 100.100.9.0/24"),
        ("n2", "ip route add blackhole 100.100.7.0/24", "ip route del blackhole 100.100.7.0/24"),
        ("n3", f"bridge fdb del {entry}", f"bridge fdb replace {entry} permanent"),
    ]
    for name, change, _back in changes:
        segments.nodes[name].run(*change.split())
    try:
        segments.playbook("verify", status=2, verify_timeout=1, verify_picture="picture/page.html")
    finally:
        for name, _change, back in changes:
            segments.nodes[name].run(*back.split())
    text = (segments.directory / "picture" / "page.html").read_text()
    assert "<li>no route to 100.100.1.0/24 via 200.0.0.20</li>" in text
    assert "<li>a route that is not planned: 100.100.9.0/24 via 200.0.0.20 dev enp8s0</li>" in text
    assert "<li>a route that is not ours: blackhole 100.100.7.0/24, of protocol boot</li>" in text
    assert "<li>no VXLAN peer 200.0.0.10</li>" in text
    assert "3 of 3 nodes also differ from the plan or have a nearly full pool." in text


def test_neighbours_stay_each_others_next_hop(segments: Segments) -> None:
    ways = {name: segments.nodes["n1"].ip(f"-N route get {address}") for name, address in pods("n2", "n3").items()}
    assert "via 200.0.0.20 dev enp8s0" in ways["n2"]
    assert "via 200.0.1.30 dev humanz-vxlan0" in ways["n3"]


def pods(*names: str) -> dict[str, str]:
    return {name: "100.100.%d.2" % (int(name[1:]) - 1) for name in names}


def test_packets_fit_with_what_vxlan_adds(segments: Segments) -> None:
    (plugin, *_chained) = json.loads(segments.nodes["n1"].run("cat", CONF).stdout)["plugins"]
    assert plugin["mtu"] == 1450
    one, far = segments.nodes["n1"], segments.nodes["n3"]
    far.ip("addr add 100.100.2.200/32 dev lo")
    try:
        fits = one.run("ping", "-c1", "-W30", "-Mdo", "-s", str(1450 - 28), "100.100.2.200", check=False)
        assert fits.returncode == 0, fits.stdout
        assert one.run("ping", "-c1", "-W2", "-Mdo", "-s", str(1451 - 28), "100.100.2.200", check=False).returncode
    finally:
        far.ip("addr del 100.100.2.200/32 dev lo")


def test_nodes_behind_the_router_see_the_nodes_address_of_a_pod(segments: Segments) -> None:
    """The router could not bring the answer back to a pod's own address."""
    rules = segments.nodes["n1"].run("iptables", "-t", "nat", "-S", "HUMANZ-POSTROUTING").stdout
    assert re.findall(r"-d (200\S+) -j RETURN", rules) == ["200.0.0.10/32", "200.0.0.20/32"]


def test_nodes_take_vxlan_from_the_nodes_behind_the_router_alone(segments: Segments) -> None:
    rules = segments.nodes["n3"].run("iptables", "-t", "raw", "-S", "HUMANZ-PREROUTING").stdout
    assert re.findall(r"-s (200\S+) -j RETURN", rules) == ["200.0.0.10/32", "200.0.0.20/32"]
    assert rules.rstrip().endswith('-m comment --comment "DROP VXLAN from no node" -j DROP')


def test_a_second_run_changes_nothing(segments: Segments) -> None:
    assert set(re.findall(r"changed=(\d+)", segments.playbook("site"))) == {"0"}


def test_the_pages_commands_show_what_it_says(segments: Segments) -> None:
    """Each block is a command on n1, and some of what it prints."""
    blocks = re.findall(r"^```console\n# (.*)\n((?:.+\n)+?)```", PAGE.read_text(), re.MULTILINE)
    assert len(blocks) == 6
    for command, said in blocks:
        shown = " ".join(segments.nodes["n1"].run("sh", "-c", command).stdout.split()).replace(" proto 217", "")
        for line in said.splitlines():
            assert line in shown.replace(" proto humanz-cni", ""), command


def test_without_vxlan_the_far_node_is_refused_by_name(segments: Segments) -> None:
    shown = segments.playbook("site", status=2, pod_network_cross_subnet="none")
    assert f"n1: next hop {NODE_IPS['n3']}: is behind the router 200.0.0.1 on enp8s0" in shown
    assert "or set pod_network_cross_subnet to vxlan" in shown
    assert "humanz-vxlan0" in segments.nodes["n1"].ip("link")
