# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node takes by VXLAN comes from its peers: no other host, and no pod, gets packets to pods that way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.firewall.lan import IPV4, IPV6, PORT, VNI, VXLAN_MAC, Addresses, sources_arrived

if TYPE_CHECKING:
    from tests.support.firewall.site_under_test import Site

NODE = {IPV4: "200.0.0.10", IPV6: "fd00:200::10"}
# The node, all hosts, and of IPv6 the anycast address of all routers of a network.
FROM_OUTSIDE = {
    IPV4: ["192.168.122.10", "200.0.0.10", "192.168.122.255", "224.0.0.1"],
    IPV6: ["2001:db8::10", "fd00:200::10", "ff02::1%enp1s0", "fd00:100::"],
}
FROM_POD = {IPV4: ["100.100.0.1", "200.0.0.10"], IPV6: ["fd00:100::1", "fd00:200::10"]}
ANOTHER_NODES_POD = {IPV4: ["100.100.1.2", "100.100.1.3"], IPV6: ["fd00:100:0:1::2", "fd00:100:0:1::3"]}
ANOTHER_POD = {IPV4: "100.100.0.3", IPV6: "fd00:100::3"}
CASES = [(IPV4, IPV4), (IPV6, IPV6), (IPV4, IPV6)]


@pytest.mark.parametrize(("underlay", "address"), CASES, ids=["IPv4", "IPv6", "IPv6 in IPv4"])
@pytest.mark.parametrize("backend", ["nft", "legacy", "nftables"])
def test_nobody_but_peers_sends_by_vxlan(site: Site, backend: str, underlay: Addresses, address: Addresses) -> None:
    lan, node = site.lan, site.node
    node.ip(f"link add vx0 address {VXLAN_MAC} type vxlan id {VNI} local {NODE[underlay]} dstport {PORT} nolearning")
    node.ip("link set vx0 up")
    node.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.vx0.rp_filter=0")
    lan.outside.ip("route add 224.0.0.0/4 dev enp1s0")
    forged, known = ANOTHER_NODES_POD[address]

    def arrived() -> int:
        """How many of what is forged gets to the pod, with one of the peer's at last."""
        sends = [(lan.outside, [forged], to) for to in FROM_OUTSIDE[underlay]]
        sends += [(lan.pod, [forged], to) for to in FROM_POD[underlay]]
        seen = sources_arrived([*sends, (lan.peer, [known], NODE[underlay])], lan.pod, address.pod, known)
        assert set(seen) <= {forged}
        return len(seen)

    def masqueraded(pod: str) -> bool:
        """Whether what a pod sends to the port of a node behind a router is said to be of its node."""
        sends = [(lan.pod, [pod]), (lan.node, [known_to_outside])]
        return underlay.node_outside in sources_arrived(sends, lan.outside, underlay.outside, known_to_outside)

    known_to_outside = FROM_OUTSIDE[underlay][1]
    site.args.update(backend=backend)
    site.converge()
    assert arrived() == len(FROM_OUTSIDE[underlay]) + len(FROM_POD[underlay])
    assert masqueraded(underlay.pod)

    site.args.update(vxlan_peers=[underlay.peer], vxlan_port=int(PORT))
    assert "DROP VXLAN from no node" in site.converge(diff=True)["diff"]["after"]
    assert not site.converge()["changed"]
    assert site.heal() == ""
    assert arrived() == 0
    assert not masqueraded(ANOTHER_POD[underlay])  # of which connection tracking knows nothing
    if underlay is not address:
        site.args["pod_cidrs"] = ["fd00:100::/64"]
        site.converge()
        assert arrived() == 0
    site.remove()
    assert "VXLAN" not in site.ruleset()
