#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let pods' traffic through a node, drop forged sources, and masquerade what leaves the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_firewall
short_description: Let pods' traffic pass a node, drop forged sources, and masquerade what leaves the cluster
version_added: 0.1.0
description:
  - Keeps the chain C(HUMANZ-FORWARD), which accepts what comes from or goes to this node's own pods through their
    bridge, and the chain C(HUMANZ-POSTROUTING), which gives pods' traffic that leaves the cluster the node's address.
  - Keeps the chain C(HUMANZ-PREROUTING) of the table C(raw), which drops what comes by the bridge with a source that is
    none of O(pod_cidrs), and what carries such a source and comes from elsewhere, on its way to anybody or to the node
    itself. C(HUMANZ-FORWARD) drops the same.
  - With O(vxlan_peers), C(HUMANZ-PREROUTING) also drops what comes to the node's VXLAN port from any other address or
    from a pod.
  - The jumps in C(FORWARD) and C(PREROUTING) come after the leading rules of Kubernetes' network policies and before
    all others, so that a C(DROP), a C(REJECT) or the chain's policy does not cut pods off. They are put back
    in their places when another program got ahead of them.
  - Chains are declared and filled in one transaction of C(iptables-restore), so that there is no moment without
    the rules while they change. Rules of anybody else are neither changed nor moved.
  - The content of the chains is also kept in a file, from which C(iptables-restore --noflush) can replay it.
  - IPv4 and IPv6 are kept alike, each if the node has pods of it.
  - What another firewall of the node drops is let pass where it is dropped. In tables of the other iptables, by
    C(HUMANZ-FORWARD) there. In base chains of native nftables that drop what no rule accepts, by rules at their head,
    each with a comment that begins with C(humanz-cni). In firewalld, by the policy C(humanz-cni). All of it goes with
    O(state=absent).
options:
  state:
    description:
      - V(present) keeps chains, jumps and their files in O(state_dir). An address family that O(pod_cidrs) has none of
        is left alone, or cleared of these if it had them.
      - V(absent) removes these, and nothing else.
    type: str
    choices: [present, absent]
    default: present
  pod_cidrs:
    description:
      - The networks of this node's own pods in CIDR notation, IPv4, IPv6 or both.
      - Needed with O(state=present), unless O(plan) is given.
    type: list
    elements: str
  bridge:
    description: The bridge that this node's pods are attached to.
    type: str
    default: humanz-cni0
  masquerade:
    description: Whether to masquerade pods' traffic that leaves the cluster.
    type: bool
    default: true
  masquerade_ipv6:
    description:
      - The same for IPv6, as O(masquerade) says unless it is given. V(false) is for pods with addresses that the
        outside routes back to their nodes.
    type: bool
  non_masquerade_cidrs:
    description:
      - Destinations that see the pods' own addresses, such as the cluster's pod network and the nodes' addresses.
      - O(pod_cidrs) and multicast are always among them.
    type: list
    elements: str
    default: []
  allowed_sources:
    description:
      - The networks, IPv4 and IPv6, that may open connections to this node's pods. Empty means anybody.
      - O(pod_cidrs), the node itself, and answers to what pods have opened are always let through. The pods of other
        nodes and these nodes have to be named; where O(plan) says who may, it names them.
      - Clients of a C(NodePort) or C(hostPort) keep their addresses on the way to the pod, and need to be named. With
        iptables, what kube-proxy marks for masquerading passes all the same, as its own rule accepts it before.
    type: list
    elements: str
    default: []
  vxlan_peers:
    description:
      - The addresses, all IPv4 or all IPv6, from which this node takes VXLAN packets. All others' are dropped, as they
        would become packets between pods, with whatever source they claim. Empty means that the node has no VXLAN.
      - What a pod sends to O(vxlan_port) is not masqueraded, as it would come to another node from this one. Where
        pods use VXLAN to the outside themselves, choose another port for one of both.
    type: list
    elements: str
    default: []
  vxlan_port:
    description: The UDP port of the node's VXLAN interface.
    type: int
    default: 4789
  uplink:
    description:
      - The only interface out of which is masqueraded. Empty means any, which is right on nodes with several uplinks.
    type: str
    default: ""
  random_fully:
    description:
      - Whether masqueraded connections get a random source port, which avoids lost packets of pods that connect to one
        destination at once. Left out where iptables is older than 1.6.2 and does not know it.
    type: bool
    default: true
  backend:
    description:
      - Which iptables to use. V(auto) is the node's C(iptables), V(nft) its C(iptables-nft) and V(legacy) its
        C(iptables-legacy); for IPv6 C(ip6tables), C(ip6tables-nft) and C(ip6tables-legacy).
      - V(nftables) uses no iptables. It masquerades and drops in the table C(inet humanz-cni), by C(nft).
      - V(auto) does the same on nodes that have C(nft) but no iptables, and where firewalld runs, which may empty
        what iptables has when it loads its configuration.
    type: str
    choices: [auto, nft, legacy, nftables]
    default: auto
  state_dir:
    description:
      - The directory of the files that hold the content of the chains, C(rules.v4) and C(rules.v6), in the syntax of
        C(iptables-restore) and C(ip6tables-restore).
      - C(rules.v4-other) and C(rules.v6-other) are for the other iptables, C(rules.nft) is for C(nft).
    type: path
    default: /etc/humanz-cni
extends_documentation_fragment:
  - humanz.cni._attributes
  - humanz.cni._plan
notes:
  - Chains are read one by one, so that the thousands of rules of a large cluster's services cost nothing.
  - firewalld loads a policy only when it reloads its whole configuration, which ends what has been set at run time
    alone. This is done when the policy changes, and only then.
requirements:
  - iptables or nftables
seealso:
  - name: Firewalls
    description: The rules, and what is done about each firewall that a node may have.
    link: https://github.com/humanz/ansible-cni/blob/main/docs/firewalls.md
  - module: humanz.cni.node_kernel
  - module: humanz.cni.node_routes
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Let this node's pods talk, and masquerade what leaves the cluster
  humanz.cni.pod_firewall:
    pod_cidrs:
      - 100.100.0.0/24
    non_masquerade_cidrs:
      - 100.100.0.0/16
      - 200.0.0.10/32
      - 200.0.0.20/32

- name: The same, as the cluster's plan says
  humanz.cni.pod_firewall:
    plan: "{{ cluster.plan }}"

- name: Masquerade only out of one interface
  humanz.cni.pod_firewall:
    pod_cidrs:
      - 100.100.0.0/24
    uplink: enp1s0

- name: Let nobody but the cluster's pods, its nodes and one more network open connections to pods
  humanz.cni.pod_firewall:
    pod_cidrs:
      - 100.100.0.0/24
    non_masquerade_cidrs:
      - 100.100.0.0/16
      - 200.0.0.0/24
    allowed_sources:
      - 100.100.0.0/16
      - 200.0.0.0/24
      - 192.168.122.0/24

- name: Take VXLAN packets from two nodes behind a router, and from nobody else
  humanz.cni.pod_firewall:
    pod_cidrs:
      - 100.100.0.0/24
    non_masquerade_cidrs:
      - 100.100.0.0/16
      - 200.0.0.0/24
    vxlan_peers:
      - 200.0.1.30
      - 200.0.1.40

- name: Remove the rules
  humanz.cni.pod_firewall:
    state: absent
"""

RETURN = r"""
backends:
  description: What is behind each command that was used, C(nft), C(legacy), C(nftables) or C(firewalld).
  returned: success
  type: dict
  sample:
    iptables: nft
firewalls:
  description:
    - Firewalls of others on this node that would drop or reject what pods send.
    - Each with its C(name), C(where) it decides, and how it is C(handled).
  returned: success
  type: list
  elements: dict
  sample:
    - name: ufw
      where: iptables FORWARD, policy DROP
      handled: a jump ahead of it
    - name: nftables
      where: inet filter forward
      handled: rules ahead of it
rules:
  description: The wanted chains, jumps and rules by command, in the syntax that the command takes.
  returned: success
  type: dict
  sample:
    iptables:
      - "*nat"
      - ":HUMANZ-POSTROUTING - [0:0]"
      - -A POSTROUTING -m comment --comment "humanz-cni pod network" -j HUMANZ-POSTROUTING
      - -A HUMANZ-POSTROUTING -d 100.100.0.0/16 -j RETURN
      - -A HUMANZ-POSTROUTING -s 100.100.0.0/24 -m comment --comment "Nat from pods to outside" -j MASQUERADE
      - COMMIT
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._firewall import backends
from ..module_utils._shared.converge import converge


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "plan": {"type": "str"},
            "pod_cidrs": {"type": "list", "elements": "str"},
            "bridge": {"type": "str", "default": "humanz-cni0"},
            "masquerade": {"type": "bool", "default": True},
            "masquerade_ipv6": {"type": "bool"},
            "non_masquerade_cidrs": {"type": "list", "elements": "str", "default": []},
            "allowed_sources": {"type": "list", "elements": "str", "default": []},
            "vxlan_peers": {"type": "list", "elements": "str", "default": []},
            "vxlan_port": {"type": "int", "default": 4789},
            "uplink": {"type": "str", "default": ""},
            "random_fully": {"type": "bool", "default": True},
            "backend": {"type": "str", "choices": ["auto", "nft", "legacy", "nftables"], "default": "auto"},
            "state_dir": {"type": "path", "default": "/etc/humanz-cni"},
        },
        supports_check_mode=True,
    )
    converge(module, backends.firewall)


if __name__ == "__main__":
    main()
