#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let pods' traffic through a node, and masquerade what leaves the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_firewall
short_description: Let pods' traffic pass a node, and masquerade what leaves the cluster
version_added: 0.1.0
description:
  - Keeps the chain C(HUMANZ-FORWARD), which accepts what comes from or goes to this node's own pods through their
    bridge, and the chain C(HUMANZ-POSTROUTING), which gives pods' traffic that leaves the cluster the node's address.
  - The jump in C(FORWARD) stands behind the leading rules of Kubernetes' network policies and ahead of everybody
    else's, so that a C(DROP), a C(REJECT) or the chain's policy does not cut pods off. It is put back in its place when
    another program got ahead of it.
  - Both chains are declared and filled in one transaction of C(iptables-restore), so that there is no moment without
    the rules while they change. Rules of anybody else are neither changed nor moved.
  - The content of both chains is also kept in a file, from which C(iptables-restore --noflush) can replay it.
  - IPv4 and IPv6 are kept alike, each if the node has pods of it.
options:
  state:
    description:
      - V(present) keeps chains, jumps and their files in O(state_dir). An address family that O(pod_cidrs) has none of
        is left alone, or cleared of these if it had them.
      - V(absent) removes these, and nothing else.
    type: str
    choices: [present, absent]
    default: present
  plan:
    description:
      - The cluster's plan on the controller, as returned by M(humanz.cni.cluster_plan).
      - The action plugin takes O(pod_cidrs) and O(non_masquerade_cidrs) from it, for this node.
    type: path
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
      - Destinations that see the pods' own addresses, such as the cluster's pod network and the nodes' networks.
      - O(pod_cidrs) and multicast are always among them.
    type: list
    elements: str
    default: []
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
    type: str
    choices: [auto, nft, legacy]
    default: auto
  state_dir:
    description:
      - The directory of the files that hold the content of both chains, C(rules.v4) and C(rules.v6), in the syntax of
        C(iptables-restore) and C(ip6tables-restore).
    type: path
    default: /etc/humanz-cni
extends_documentation_fragment:
  - humanz.cni._attributes
notes:
  - Chains are read one by one, so that the thousands of rules of a large cluster's services cost nothing.
requirements:
  - iptables
seealso:
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
      - 200.0.0.0/24

- name: The same, as the cluster's plan says
  humanz.cni.pod_firewall:
    plan: "{{ cluster.plan }}"

- name: Masquerade only out of one interface
  humanz.cni.pod_firewall:
    pod_cidrs:
      - 100.100.0.0/24
    uplink: enp1s0

- name: Remove the rules
  humanz.cni.pod_firewall:
    state: absent
"""

RETURN = r"""
backends:
  description: What is behind each command that was used, C(nft) or C(legacy).
  returned: success
  type: dict
  sample:
    iptables: nft
rules:
  description: The wanted chains and jumps by command, in the syntax of C(iptables-restore).
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

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.humanz.cni.plugins.module_utils import _checks, _iptables, _pod_rules
from ansible_collections.humanz.cni.plugins.module_utils._converge import ConvergeError, converge
from ansible_collections.humanz.cni.plugins.module_utils._pod_firewall import Firewall, Ruleset

FAMILIES = (4, 6)


def _pods(params):
    """Return the networks of this node's pods. Raises ConvergeError for a bad option."""
    if params["plan"]:
        raise ConvergeError(
            "plan is on the controller: run the module by its action plugin, as humanz.cni.pod_firewall"
        )
    if params["state"] == "absent":
        return []
    pods = _checks.networks("pod_cidrs", params["pod_cidrs"] or [])
    if not pods:
        raise ConvergeError("pod_cidrs: at least one network of this node's pods is needed, such as 100.100.0.0/24")
    return pods


def _rules(params, pods, family, random_fully):
    """Return the rules of each table of one *family*. Raises ConvergeError for a bad option."""
    if not pods:
        return {"filter": [], "nat": []}
    bridge = _checks.device("bridge", params["bridge"])
    uplink = _checks.device("uplink", params["uplink"]) if params["uplink"] else ""
    kept = _checks.networks("non_masquerade_cidrs", params["non_masquerade_cidrs"])
    kept = _of_family(family, pods + kept + [_pod_rules.MULTICAST[family]])
    masquerade = params["masquerade"]
    if family == 6 and params["masquerade_ipv6"] is not None:
        masquerade = params["masquerade_ipv6"]
    nat = _pod_rules.masquerade_rules(pods, kept, uplink, random_fully) if masquerade else []
    return {"filter": _pod_rules.forward_rules(pods, bridge), "nat": nat}


def _of_family(family, cidrs):
    return _pod_rules.without_subnets(cidr for cidr in cidrs if (":" in cidr) == (family == 6))


def _ruleset(module, pods, family):
    """Return the Ruleset of one *family*, or None if there is nothing of it to keep or to remove."""
    params = module.params
    state_file = os.path.join(params["state_dir"], "rules.v%d" % family)
    if not pods and params["state"] == "present" and not os.path.exists(state_file):
        return None
    iptables = _iptables.locate(module, params["backend"], family)
    if iptables is None and pods:
        raise ConvergeError(
            "%s is not on this node: install the package iptables (iptables-nft on RHEL and its kin)"
            % (_iptables.COMMANDS[family] + _iptables.SUFFIXES[params["backend"]])
        )
    random_fully = params["random_fully"] and iptables is not None and iptables.random_fully
    rules = _rules(params, pods, family, random_fully)
    return Ruleset(iptables, _iptables.COMMANDS[family], rules, state_file)


def _firewall(module):
    pods = _pods(module.params)
    rulesets = [_ruleset(module, _of_family(family, pods), family) for family in FAMILIES]
    return Firewall([ruleset for ruleset in rulesets if ruleset])


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "plan": {"type": "path"},
            "pod_cidrs": {"type": "list", "elements": "str"},
            "bridge": {"type": "str", "default": "humanz-cni0"},
            "masquerade": {"type": "bool", "default": True},
            "masquerade_ipv6": {"type": "bool"},
            "non_masquerade_cidrs": {"type": "list", "elements": "str", "default": []},
            "uplink": {"type": "str", "default": ""},
            "random_fully": {"type": "bool", "default": True},
            "backend": {"type": "str", "choices": ["auto", "nft", "legacy"], "default": "auto"},
            "state_dir": {"type": "path", "default": "/etc/humanz-cni"},
        },
        supports_check_mode=True,
    )
    converge(module, _firewall)


if __name__ == "__main__":
    main()
