#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge a node's static routes to the other nodes' pods."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_routes
short_description: Converge a node's static routes to the other nodes' pods
version_added: 0.1.0
description:
  - Makes the routes that carry the protocol number O(protocol) in O(table) exactly those of O(routes) and
    O(unreachable), all in one call.
  - No other route is ever changed or removed. A prefix that another route holds is an error, as is a next hop that the
    kernel does not find on a network of this node. All such errors are reported at once, before the first change.
  - Nor is a change made that would send packets another way which go to the default gateway, or to the address that the
    SSH connection of this very task comes from.
  - A next hop is changed by replacing the route, so that no packet is lost, and routes are removed last.
  - If the kernel refuses one of the changes, those that were made are undone.
  - Writes the routes to O(state_file), as lines for C(ip -force -batch), and the protocol's name to
    C(/etc/iproute2/rt_protos.d/humanz-cni.conf), so that C(ip route show proto humanz-cni) lists them.
options:
  unreachable:
    description:
      - Networks that the node answers for as unreachable, in CIDR notation, where no narrower route leads.
      - With O(plan) the node's own pod CIDR, if its pods get addresses of a part of it only. What is sent to the rest
        would otherwise follow the default route, and come back from there.
    type: list
    elements: str
    default: []
  protocol:
    description: The routing protocol number that marks these routes. No other program of the node may use it.
    type: int
    default: 217
  table:
    description: The number of the routing table.
    type: int
    default: 254
  bridge:
    description:
      - The pods' bridge, as in M(humanz.cni.pod_bridge).
      - In check mode a prefix of O(routes) may be that of the bridge, as M(humanz.cni.pod_bridge) has it gone by then.
    type: str
    default: humanz-cni0
  state:
    description:
      - V(present) makes the routes those of O(routes), which is required then, unless O(plan) says it.
      - V(absent) removes every route that carries O(protocol), and both files.
    type: str
    choices: [present, absent]
    default: present
  allow_empty:
    description: Whether a list without routes of an address family may remove more than one of it.
    type: bool
    default: false
  max_prune:
    description:
      - At most this percentage of the node's routes of an address family is removed in one run, and never fewer than
        three.
      - Something is wrong with the inventory if most of the cluster's nodes are gone at once.
    type: int
    default: 50
  force:
    description:
      - Whether to remove any number of routes.
      - Also allows the removal of routes that carry O(protocol) although there is no O(state_file) yet.
    type: bool
    default: false
  state_file:
    description: The file that holds the routes, for whoever restores them.
    type: path
    default: /etc/humanz-cni/routes
extends_documentation_fragment:
  - humanz.cni._attributes
  - humanz.cni._plan
  - humanz.cni._pyroute2
  - humanz.cni._routes
seealso:
  - module: humanz.cni.cluster_plan
  - module: humanz.cni.node_preflight
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Reach the other nodes' pods as the plan says
  humanz.cni.node_routes:
    plan: "{{ plan.plan }}"

- name: Reach the pods of two other nodes
  humanz.cni.node_routes:
    routes:
      - dst: 100.100.1.0/24
        via: 200.0.0.20
      - dst: 100.100.2.0/24
        via: 200.0.0.30

- name: Remove the routes
  humanz.cni.node_routes:
    state: absent
"""

RETURN = r"""
routes:
  description: How many routes the node has, or would have.
  returned: success
  type: int
  sample: 2
added:
  description: The routes that were made, or would be.
  returned: success
  type: list
  elements: str
  sample: [100.100.1.0/24 via 200.0.0.20]
replaced:
  description: The routes that were changed, or would be, as they are then.
  returned: success
  type: list
  elements: str
  sample: []
removed:
  description: The routes that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: []
problems:
  description: What must be solved before the routes can be made, a line each.
  returned: failure, if nothing was changed
  type: list
  elements: str
  sample: ["next hop 200.0.0.10: is an address of this node: give each node a node IP of its own"]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._routing.static_routes import ROUTES, Routes
from ..module_utils._shared.converge import converge
from ..module_utils._shared.kernel import require_pyroute2


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "routes": ROUTES,
            "unreachable": {"type": "list", "elements": "str", "default": []},
            "plan": {"type": "str"},
            "pyroute2_archive": {"type": "path"},
            "protocol": {"type": "int", "default": 217},
            "table": {"type": "int", "default": 254},
            "bridge": {"type": "str", "default": "humanz-cni0"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "allow_empty": {"type": "bool", "default": False},
            "max_prune": {"type": "int", "default": 50},
            "force": {"type": "bool", "default": False},
            "state_file": {"type": "path", "default": "/etc/humanz-cni/routes"},
        },
        required_if=[("state", "present", ("routes",))],
        supports_check_mode=True,
    )
    require_pyroute2(module)
    converge(module, Routes)


if __name__ == "__main__":
    main()
