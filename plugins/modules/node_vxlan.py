#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge the VXLAN interface by which a node reaches pods on nodes behind a router."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_vxlan
short_description: Converge the VXLAN interface to nodes behind a router
version_added: 0.1.0
description:
  - Nodes that are not on one network cannot be each other's next hop. A VXLAN interface carries packets between their
    pods in UDP packets between the two nodes, so that routers in between see the nodes' addresses only.
  - Makes the interface, and for each peer a neighbour entry and a forwarding entry (FDB), which are permanent. Nothing
    is learned, flooded or resolved, as each node's MAC address there follows from its node IP.
  - M(humanz.cni.node_routes) makes the routes by it.
  - Only a VXLAN interface that has the alias C(humanz-cni) is changed or removed.
  - The MTU is that of the interface that holds O(node_ip), less O(overhead).
  - Writes C(/etc/humanz-cni/vxlan), as lines for C(ip -force -batch), and C(/etc/humanz-cni/vxlan-fdb), for
    C(bridge -force -batch).
  - With O(plan), a node that has no peers behind a router gets no interface.
options:
  device:
    description: The name of the interface.
    type: str
    default: humanz-vxlan0
  vni:
    description: The number of the VXLAN network.
    type: int
    default: 217
  port:
    description: The UDP port that all nodes send VXLAN packets to. A firewall on a node must let them in.
    type: int
    default: 4789
  node_ip:
    description:
      - The address by which the other nodes reach this one.
      - Required with O(state=present), unless O(plan) says it.
    type: str
  mac:
    description:
      - The MAC address of the interface, which the other nodes know it by, in lower case.
      - Required with O(state=present), unless O(plan) says it.
    type: str
  overhead:
    description: What VXLAN adds to each packet, in bytes. 50 with an IPv4 O(node_ip), 70 with IPv6.
    type: int
    default: 50
  addresses:
    description: The interface's own addresses, by which the node itself speaks to pods behind a router.
    type: list
    elements: str
    default: []
  peers:
    description: The nodes behind a router.
    type: list
    elements: dict
    default: []
    suboptions:
      node_ip:
        description: The address by which the peer is reached.
        type: str
        required: true
      mac:
        description: The MAC address of the peer's VXLAN interface, in lower case.
        type: str
        required: true
      neighbours:
        description: The addresses that are next hops of routes to the peer's pods.
        type: list
        elements: str
        required: true
  state:
    description: Whether there is such an interface.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - humanz.cni._attributes
  - humanz.cni._plan
seealso:
  - name: Nodes behind a router
    description: When the nodes are in more than one network.
    link: https://github.com/humanz/ansible-cni/blob/main/docs/two-segments.md
  - module: humanz.cni.cluster_plan
  - module: humanz.cni.node_routes
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Plan a cluster whose nodes are in two networks
  humanz.cni.cluster_plan:
    cluster_cidr: 100.100.0.0/16
    node_cidrs: [200.0.0.0/24, 200.0.1.0/24]
    cross_subnet: vxlan
  register: cluster
  run_once: true

- name: Reach nodes behind the router as the plan says
  humanz.cni.node_vxlan:
    plan: "{{ cluster.plan }}"

- name: Remove the interface
  humanz.cni.node_vxlan:
    state: absent
"""

RETURN = r"""
device:
  description: The interface that is there, or would be. Empty for none.
  returned: success
  type: str
  sample: humanz-vxlan0
peers:
  description: How many nodes behind a router it leads to, or would.
  returned: success
  type: int
  sample: 2
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._routing.vxlan import Vxlan
from ..module_utils._shared.converge import converge


def main() -> None:
    """Run the module."""
    peer = {
        "node_ip": {"type": "str", "required": True},
        "mac": {"type": "str", "required": True},
        "neighbours": {"type": "list", "elements": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            "plan": {"type": "str"},
            "device": {"type": "str", "default": "humanz-vxlan0"},
            "vni": {"type": "int", "default": 217},
            "port": {"type": "int", "default": 4789},
            "node_ip": {"type": "str"},
            "mac": {"type": "str"},
            "overhead": {"type": "int", "default": 50},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "peers": {"type": "list", "elements": "dict", "default": [], "options": peer},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ("node_ip", "mac"))],
        supports_check_mode=True,
    )
    converge(module, Vxlan)


if __name__ == "__main__":
    main()
