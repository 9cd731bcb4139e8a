#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin cluster_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_plan
short_description: Plan the pod network of a whole cluster
version_added: 0.1.0
description:
  - Reads C(pod_network_pod_cidr) and C(pod_network_node_ip) of every host of a group from the inventory, never from
    facts, checks them against each other and against the cluster's networks, and writes the plan to a file on the
    controller.
  - Compares what the inventory gives the hosts of the group for variables of the role P(humanz.cni.pod_network#role)
    that hold for the whole cluster, such as C(pod_network_cluster_cidr). Hosts that disagree are a problem, also those
    that C(--limit) leaves out.
  - Compares them with what the inventory plugin P(humanz.cni.kubernetes_nodes#inventory) read from the cluster, where
    it was used. Other values than the cluster's are problems; hosts that are in the group but no nodes of the cluster,
    or the other way round, are warnings, as nodes may have yet to join. What that plugin does not use of a node,
    because it is no address, network or label, is a problem too.
  - The other modules of this collection take their node's part from that file.
  - Every problem is reported at once, naming node, value and remedy.
  - Runs on the controller only. No node is connected to, so use it with C(run_once).
options:
  group:
    description: The inventory group whose hosts are the cluster's nodes.
    type: str
    default: k8s_cluster
  cluster_cidr:
    description: The network that holds every node's pod CIDR; with dual stack, one for each address family.
    type: list
    elements: str
    required: true
  service_cidr:
    description: The cluster's service network; with dual stack, one for each address family.
    type: list
    elements: str
    default: []
  node_cidrs:
    description: The networks on which the nodes reach each other. At least one.
    type: list
    elements: str
    required: true
  non_masquerade_cidrs:
    description: Destinations that see the pods' own addresses, beside the cluster's pods and its nodes.
    type: list
    elements: str
    default: []
  allowed_sources:
    description:
      - The networks that may open connections to pods, beside the cluster's pods and its nodes. Empty means anybody.
      - If it names anything, it holds for IPv4 and IPv6.
    type: list
    elements: str
    default: []
  cross_subnet:
    description:
      - How nodes reach each other's pods if they are in different networks of O(node_cidrs), with a router in between.
      - V(none) needs every node to be on one network with all others. V(vxlan) puts such packets into UDP packets
        between the two nodes, see M(humanz.cni.node_vxlan).
    type: str
    choices: [none, vxlan]
    default: none
  vxlan_device:
    description: The name of the nodes' VXLAN interface.
    type: str
    default: humanz-vxlan0
  vxlan_id:
    description: The number of the VXLAN network (VNI).
    type: int
    default: 217
  vxlan_port:
    description: The UDP port that the nodes send VXLAN packets to.
    type: int
    default: 4789
  ipv6_prefix_length:
    description:
      - The prefix length of the network that a node's pods get IPv6 addresses of, the first one of this length in the
        node's pod CIDR. What is sent to the rest of the pod CIDR the node answers as unreachable.
      - Each address of that network can take a place in the kernel's table of neighbours, which all network namespaces
        of a node share, and which has room for 1024 by default. With a network such as a V(64) anybody who reaches the
        node can fill it, and IPv6 stops on the whole node.
      - A node whose IPv4 pod CIDR has more addresses gives its pods as many of IPv6. A pod CIDR that is smaller is used
        as a whole.
    type: int
    default: 120
  defer_problems:
    description:
      - Whether to succeed with RV(problems), for M(humanz.cni.node_preflight) to report them with those of the nodes.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: posix
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
requirements:
  - netaddr >= 0.10.0, on the controller
seealso:
  - name: Troubleshoot
    description: What each message means, and what to do.
    link: https://github.com/humanz/ansible-cni/blob/main/docs/operations/troubleshoot.md
  - plugin: humanz.cni.kubernetes_nodes
    plugin_type: inventory
  - module: humanz.cni.node_preflight
  - module: humanz.cni.node_routes
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Plan the cluster
  humanz.cni.cluster_plan:
    cluster_cidr: 100.100.0.0/16
    service_cidr: 10.96.0.0/12
    node_cidrs: [200.0.0.0/24]
  register: cluster
  run_once: true

- name: Plan it with one more network that may open connections to pods
  humanz.cni.cluster_plan:
    cluster_cidr: 100.100.0.0/16
    node_cidrs: [200.0.0.0/24]
    allowed_sources: [192.168.122.0/24]
  register: cluster
  run_once: true

- name: Reach the other nodes' pods
  humanz.cni.node_routes:
    plan: "{{ cluster.plan }}"
"""

RETURN = r"""
plan:
  description: The path of the plan on the controller. The file is gone when C(ansible-playbook) ends.
  returned: success
  type: str
  sample: /home/me/.ansible/tmp/ansible-local-4711/humanz-cni-plan-2f1d7a5c.json
nodes:
  description: The number of nodes in the plan.
  returned: success
  type: int
  sample: 3
problems:
  description: What is wrong, a line each.
  returned: success and failure
  type: list
  elements: str
  sample: ["ubuntu-nested-2: pod_network_pod_cidr 100.100.1.7/24: has host bits set: must be 100.100.1.0/24"]
"""

from ansible.module_utils.basic import AnsibleModule

OPTIONS = {
    "group": {"type": "str", "default": "k8s_cluster"},
    "cluster_cidr": {"type": "list", "elements": "str", "required": True},
    "service_cidr": {"type": "list", "elements": "str", "default": []},
    "node_cidrs": {"type": "list", "elements": "str", "required": True},
    "non_masquerade_cidrs": {"type": "list", "elements": "str", "default": []},
    "allowed_sources": {"type": "list", "elements": "str", "default": []},
    "cross_subnet": {"type": "str", "choices": ["none", "vxlan"], "default": "none"},
    "vxlan_device": {"type": "str", "default": "humanz-vxlan0"},
    "vxlan_id": {"type": "int", "default": 217},
    "vxlan_port": {"type": "int", "default": 4789},
    "ipv6_prefix_length": {"type": "int", "default": 120},
    "defer_problems": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    module.fail_json(msg="humanz.cni.cluster_plan runs on the controller: its action plugin was not found")


if __name__ == "__main__":
    main()
