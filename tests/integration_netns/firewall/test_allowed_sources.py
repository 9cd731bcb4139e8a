# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may open connections to pods: anybody, or the cluster and whom allowed_sources names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.firewall.lan import IPV4, IPV6, Addresses, Lan, source_seen, sources_arrived
from tests.support.firewall.site_under_test import through

if TYPE_CHECKING:
    from tests.support.firewall.site_under_test import Site

CLUSTER = ["100.100.0.0/16", "200.0.0.20/32", "fd00:100::/48", "fd00:200::20/128"]
OUTSIDE = ["192.168.122.0/24", "2001:db8::/64"]
# As kube-proxy leads a NodePort to a pod: with externalTrafficPolicy Cluster it marks what it will masquerade.
NODE_PORT = """\
*filter
:KUBE-FORWARD - [0:0]
-I FORWARD 1 -j KUBE-FORWARD
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
COMMIT
*nat
-A PREROUTING -d {node} -p tcp -m tcp --dport 7777 -j MARK --or-mark {mark}
-A PREROUTING -d {node} -p tcp -m tcp --dport 7777 -j DNAT --to-destination {pod}
COMMIT
"""


def opened(lan: Lan, address: Addresses, called: str = "", timeout: float = 30) -> str:
    """Which address a pod is called from when the outside calls it, or what leads to it; empty if it is not."""
    return source_seen(lan.outside, lan.pod, called or address.pod, timeout=timeout)


@pytest.mark.parametrize("address", [IPV4, IPV6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("backend", ["nft", "legacy", "nftables"])
def test_nobody_else_opens_connections_to_pods(site: Site, backend: str, address: Addresses) -> None:
    lan, node = site.lan, site.node
    site.args["backend"] = backend
    command = ("iptables" if address is IPV4 else "ip6tables") + ("-legacy" if backend == "legacy" else "-nft")

    def lead_to_pod(mark: str) -> None:
        for words in ("-D FORWARD -j KUBE-FORWARD", "-F KUBE-FORWARD", "-X KUBE-FORWARD", "-t nat -F PREROUTING"):
            node.run(command, *words.split(), check=False)
        node.run(
            f"{command}-restore", "--noflush", input=NODE_PORT.format(node=address.node_outside, pod=pod, mark=mark)
        )

    pod = address.pod if address is IPV4 else f"[{address.pod}]"
    lead_to_pod("0x0")
    site.converge()
    assert opened(lan, address) == address.outside

    site.args["allowed_sources"] = CLUSTER
    assert site.converge()["changed"]
    assert not site.converge()["changed"]
    assert opened(lan, address, timeout=0.5) == ""
    # The other node, pods on it, and answers from anybody.
    assert site.sources(address) == through(address)
    assert sources_arrived([(lan.peer, [address.peer_pod])], lan.pod, address.pod, address.peer_pod) == []
    # NodePort with externalTrafficPolicy Local, and hostPort; then NodePort as it is by default.
    assert opened(lan, address, address.node_outside, timeout=0.5) == ""
    lead_to_pod("0x4000")
    if backend == "nftables":
        assert opened(lan, address, address.node_outside, timeout=0.5) == ""
    else:
        assert opened(lan, address, address.node_outside) == address.outside

    lead_to_pod("0x0")
    site.args["allowed_sources"] = CLUSTER + OUTSIDE
    site.converge()
    assert [opened(lan, address, called) for called in ("", address.node_outside)] == [address.outside] * 2
