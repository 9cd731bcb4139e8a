# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What molecule/healing measures by: a loss is seen however soon it is over, and nothing else is taken for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.lab.kernel_log import KernelLog

if TYPE_CHECKING:
    from tests.support.netns.healed_node import HealedNode

ROUTE = "ip route add 100.100.1.0/24 via 200.0.0.20 proto 217"
ROUTES = f"{ROUTE}; ip route add 100.100.2.0/24 via 200.0.0.30 proto 217"
AGAIN = "iptables-nft-restore < /run/rules"
# What is done, and what was lost by it.
EVENTS = {
    f"ip route del 100.100.1.0/24; {ROUTE}": {"routes"},
    f"ip link set enp8s0 down; ip link set enp8s0 up; {ROUTES}": {"routes"},
    f"ip addr flush dev enp8s0; ip addr add 200.0.0.10/24 dev enp8s0; {ROUTES}": {"routes"},
    f"iptables-nft -F; {AGAIN}": {"rules"},
    f"nft flush ruleset; {AGAIN}": {"rules"},
    f"iptables-nft -D FORWARD 2; {AGAIN}": {"rules"},
    AGAIN: set(),
    "iptables-nft -I FORWARD -s 203.0.113.7 -j DROP; iptables-nft -D FORWARD -s 203.0.113.7 -j DROP": set(),
    "ip route add 100.100.9.0/24 via 200.0.0.20; ip route del 100.100.9.0/24": set(),
    "ip addr add 200.0.0.110/24 dev enp8s0; ip addr del 200.0.0.110/24 dev enp8s0": set(),
}
SIGNS = "ip route add 198.51.100.255 dev lo table 999; ip route flush table 999; nft add table ip sign"


def test_a_loss_is_seen_however_soon_it_is_over(healed: HealedNode) -> None:
    healed.node.run("sh", "-ec", "iptables-nft-save > /run/rules")
    seen = {}
    for event in EVENTS:
        with KernelLog(f"/proc/{healed.node.pid}/ns/net") as log:
            healed.node.run("sh", "-ec", event)
            healed.node.run("sh", "-ec", SIGNS)
            log.routes.up_to("198.51.100.255")
            log.rules.up_to("add table ip sign")
            seen[event] = log.lost()
            assert log.lost() or log.longest() == 0
        healed.node.run("nft", "delete", "table", "ip", "sign")
    assert seen == EVENTS
