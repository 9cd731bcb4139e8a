"""The blog's ubuntu-nested topology as pure values: who has which address on which wire.

``inventory/ubuntu-nested`` says the same to Ansible, and ``inventory/ubuntu-nested-dual-stack`` with the IPv6 addresses
that stand beside them; tests/integration_lab compares them.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.shell import LabError

UPLINK_GATEWAY = "192.168.122.1"
UPLINK_GATEWAY_MAC = "52:54:00:00:00:00"  # Node.mac's scheme, with no node's index
OUTSIDE_GATEWAY = "203.0.113.1"
OUTSIDE_ADDRESS = "203.0.113.10"
UPLINK_GATEWAY_IPV6 = "fd00:122::1"
OUTSIDE_GATEWAY_IPV6 = "fd00:203::1"
OUTSIDE_ADDRESS_IPV6 = "fd00:203::10"
# Outside, and in every pod, a server on this port answers with the address it was called from.
PEER_PORT = 8080
MAX_NODES = 25  # 200.0.0.250 is the last address of the scheme


@dataclass(frozen=True)
class Node:
    """One node; ``index`` counts from 1."""

    index: int

    @property
    def name(self) -> str:
        """The host name, which is also the inventory name."""
        return "ubuntu-nested-%d" % self.index

    @property
    def uplink_address(self) -> str:
        """Address on enp1s0, in 192.168.122.0/24; Ansible connects to it."""
        return "192.168.122.%d" % (10 + self.index)

    @property
    def node_address(self) -> str:
        """Address on the inter-node network 200.0.0.0/24."""
        return "200.0.0.%d" % (10 * self.index)

    @property
    def uplink_address_ipv6(self) -> str:
        """Address on enp1s0, in fd00:122::/64."""
        return "fd00:122::%d" % (10 + self.index)

    @property
    def node_address_ipv6(self) -> str:
        """Address on the inter-node network fd00:200::/64."""
        return "fd00:200::%d" % (10 * self.index)

    @property
    def node_interface(self) -> str:
        """The NIC on the inter-node network; the third machine has it in another slot."""
        return "enp3s0" if self.index == 3 else "enp8s0"

    @property
    def pod_cidr(self) -> str:
        """This node's part of 100.100.0.0/16."""
        return "100.100.%d.0/24" % (self.index - 1)

    def mac(self, wire: int) -> str:
        """A MAC that stays the same across reboots, as a machine's does; ``wire`` tells a node's NICs apart."""
        return "52:54:00:00:%02x:%02x" % (wire, self.index)


def nodes(count: int) -> list[Node]:
    """The first ``count`` nodes; LabError if the address scheme has no room for so many."""
    if not 1 <= count <= MAX_NODES:
        raise LabError("--nodes %d: must be between 1 and %d" % (count, MAX_NODES))
    return [Node(index) for index in range(1, count + 1)]


def node_named(name: str) -> Node:
    """The node that ``name`` stands for, in full (ubuntu-nested-2) or by its number (2)."""
    number = name.rsplit("-", 1)[-1]
    if number.isdigit() and 1 <= int(number) <= MAX_NODES:
        node = Node(int(number))
        if name in (number, node.name):
            return node
    raise LabError("%s is no node: expected ubuntu-nested-N or N, with N from 1 to %d" % (name, MAX_NODES))
