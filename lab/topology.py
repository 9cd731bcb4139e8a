"""The lab's topologies as pure values: who has which address on which wire.

The directory of inventory/ that has a topology's name says the same to Ansible, and inventory/ubuntu-nested-dual-stack
with the IPv6 addresses that stand beside them; tests/integration_lab compares them.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.shell import LabError

# Of both families: the machine outside, and the router's addresses on the way to it.
OUTSIDE = ("203.0.113.10", "fd00:203::10")
OUTSIDE_GATEWAY = ("203.0.113.1", "fd00:203::1")
# Outside, on the LAN host, and in every pod, a server on this port answers with the address it was called from.
PEER_PORT = 8080
MAX_NODES = 25  # 200.0.0.250 is the last address of the scheme


@dataclass(frozen=True)
class Network:
    """A network of the nodes: its switch, and who is in it by the last number of an address, in both families."""

    name: str
    switch: str
    ipv4: str
    ipv6: str
    nodes: range
    nic: str
    third_nic: str  # the third machine may have it in another slot
    router: int | None = None
    lan_host: int | None = None

    def addresses(self, number: int) -> tuple[str, str]:
        """The IPv4 and the IPv6 address of a host, without prefix lengths, which are 24 and 64."""
        return self.ipv4 % number, self.ipv6 % number

    def port(self, index: int) -> str:
        """The port of the switch that the node with that index is at."""
        return "%s%d" % (self.name, index)

    def nic_of(self, index: int) -> str:
        """The NIC of the node with that index."""
        return self.third_nic if index == 3 else self.nic


@dataclass(frozen=True)
class Topology:
    """What nodes are called, and the networks that they have a NIC in.

    The *uplink* has the router to the outside, and Ansible connects by it; *between* has the nodes' next hops. They may
    be one. With *resolver*, the router is the DNS server of nodes and pods. What playbooks/verify.yml has pods call is
    the machine *verify_outside*, or else what it calls by default.
    """

    name: str
    node_name: str
    uplink: Network
    between: Network
    resolver: bool = False
    verify_outside: tuple[str, str] | None = None

    @property
    def networks(self) -> list[Network]:
        """Each network once."""
        return list(dict.fromkeys((self.uplink, self.between)))

    @property
    def gateway(self) -> tuple[str, str]:
        """The router's addresses in the uplink."""
        assert self.uplink.router is not None
        return self.uplink.addresses(self.uplink.router)

    @property
    def resolvers(self) -> tuple[str, ...]:
        """The addresses of the DNS server, if there is one."""
        return self.gateway if self.resolver else ()


UBUNTU_NESTED = Topology(
    name="ubuntu-nested",
    node_name="ubuntu-nested-%d",
    uplink=Network(
        name="uplink",
        switch="virbr0",
        ipv4="192.168.122.%d",
        ipv6="fd00:122::%d",
        router=1,
        nodes=range(11, 11 + MAX_NODES),
        nic="enp1s0",
        third_nic="enp1s0",
    ),
    between=Network(
        name="nodes",
        switch="virbr1",
        ipv4="200.0.0.%d",
        ipv6="fd00:200::%d",
        nodes=range(10, 10 * MAX_NODES + 1, 10),
        nic="enp8s0",
        third_nic="enp3s0",
    ),
    verify_outside=OUTSIDE,
)

_LAN = Network(
    name="lan",
    switch="virbr0",
    ipv4="200.0.0.%d",
    ipv6="fd00:200::%d",
    router=1,
    lan_host=5,
    nodes=range(10, 10 * MAX_NODES + 1, 10),
    nic="enp1s0",
    third_nic="enp1s0",
)
ONE_NETWORK = Topology(name="one-network", node_name="node-%d", uplink=_LAN, between=_LAN, resolver=True)

TOPOLOGIES = {topology.name: topology for topology in (UBUNTU_NESTED, ONE_NETWORK)}


@dataclass(frozen=True)
class Node:
    """One node; ``index`` counts from 1."""

    topology: Topology
    index: int

    @property
    def name(self) -> str:
        """The host name, which is also the inventory name."""
        return self.topology.node_name % self.index

    def addresses(self, network: Network) -> tuple[str, str]:
        """The IPv4 and the IPv6 address in a network of the topology."""
        return network.addresses(network.nodes[self.index - 1])

    @property
    def uplink_address(self) -> str:
        """The address that Ansible connects to."""
        return self.addresses(self.topology.uplink)[0]

    @property
    def node_address(self) -> str:
        """The address that is the other nodes' next hop."""
        return self.addresses(self.topology.between)[0]

    @property
    def pod_cidr(self) -> str:
        """This node's part of 100.100.0.0/16."""
        return "100.100.%d.0/24" % (self.index - 1)

    def mac(self, network: Network) -> str:
        """A MAC that stays the same across reboots, as a machine's does."""
        return mac(self.topology, network, self.index)


def mac(topology: Topology, network: Network, index: int) -> str:
    """The MAC in a network of a node, or of its switch: index 0."""
    return "52:54:00:00:%02x:%02x" % (topology.networks.index(network), index)


def nodes(topology: Topology, count: int) -> list[Node]:
    """The first ``count`` nodes; LabError if the address scheme has no room for so many."""
    if not 1 <= count <= MAX_NODES:
        raise LabError("--nodes %d: must be between 1 and %d" % (count, MAX_NODES))
    return [Node(topology, index) for index in range(1, count + 1)]


def node_named(topology: Topology, name: str) -> Node:
    """The node that ``name`` stands for, in full (ubuntu-nested-2) or by its number (2)."""
    number = name.rsplit("-", 1)[-1]
    if number.isdigit() and 1 <= int(number) <= MAX_NODES:
        node = Node(topology, int(number))
        if name in (number, node.name):
            return node
    expected = topology.node_name.replace("%d", "N")
    raise LabError("%s is no node: expected %s or N, with N from 1 to %d" % (name, expected, MAX_NODES))
