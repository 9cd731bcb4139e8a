#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report the state of the pod network on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_network_info
short_description: Report the state of the pod network on a node
version_added: 0.1.0
description:
  - Returns the CNI plugin, configurations, routes, rules, bridge, address pool and sysctls of a node.
  - With O(paths), instead returns what the node does with packets from one address to another.
  - With O(plan), also compares the node with its part of the cluster's plan.
  - Needs nothing of the collection on the node, pyroute2 included, so that it also answers where nothing was installed.
options:
  plugin:
    description: The type of the CNI plugin.
    type: str
    default: humanz-cni
  cni_path:
    description: The directories in which CNI plugins are looked up.
    type: list
    elements: path
    default: [/opt/cni/bin]
  conf_dir:
    description: The directory of CNI configurations.
    type: path
    default: /etc/cni/net.d
  protocol:
    description: The routing protocol number that marks the collection's routes.
    type: int
    default: 217
  chains:
    description: The iptables chains whose rules, and jumps into which, are returned.
    type: list
    elements: str
    default: [HUMANZ-PREROUTING, HUMANZ-FORWARD, HUMANZ-POSTROUTING]
  bridge:
    description: The bridge that pods are attached to.
    type: str
    default: humanz-cni0
  cluster_cidrs:
    description: The networks of all pods. Routes into them that are not the collection's are RV(foreign_routes).
    type: list
    elements: str
    default: []
  vxlan_device:
    description: The name of the VXLAN interface to nodes behind a router. None by default.
    type: str
  tables:
    description:
      - Whether to return RV(routes), RV(route_lines), RV(foreign_routes) and RV(rules) too. Registered for a thousand
        nodes, they would be a million routes; RV(comparison) says what they come to. Rules are not read then.
    type: bool
    default: true
  paths:
    description:
      - The connections that the node's tables are asked about. Only RV(paths) is returned then.
      - Mutually exclusive with O(paths_file). O(plan) is not used then, so that it may be given to all modules by
        C(module_defaults).
    type: list
    elements: dict
    suboptions:
      source:
        description: The address that the connection is made from.
        type: str
        required: true
      destination:
        description: The address that it is made to.
        type: str
        required: true
      port:
        description: The port that it is made to. V(0) stands for ICMP echo.
        type: int
        default: 0
      protocol:
        description: The protocol that the port is of.
        type: str
        choices: [tcp, udp]
        default: tcp
      end:
        description:
          - Which end of the connection is on this node. With it, the connection is also looked at as if what comes from
            the network arrived on each other interface, see RV(paths).
        type: str
        choices: [source, destination]
  paths_file:
    description:
      - A file on the controller that M(humanz.cni.pod_reachability) wrote. This node's O(paths) are taken from it. A
        node that has none is not connected to. O(plan) is not used then.
    type: path
attributes:
  check_mode:
    description: Nothing is ever changed.
    support: full
  diff_mode:
    description: Nothing is ever changed.
    support: N/A
  platform:
    description: Target OS or families that can be operated against.
    support: full
    platforms: linux
requirements:
  - iproute2 on the node
  - iptables or nftables on the node, for rules
extends_documentation_fragment:
  - humanz.cni._plan
seealso:
  - module: humanz.cni.cluster_plan
  - module: humanz.cni.cluster_picture
  - module: humanz.cni.pod_probe
  - module: humanz.cni.pod_reachability
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Look at the pod network of a node
  humanz.cni.pod_network_info:
  register: node

- name: Show how full the address pool is
  ansible.builtin.debug:
    msg: "{{ node.pool.sets[0].reserved }} of {{ node.pool.sets[0].total }} addresses are reserved"

- name: Show what differs from the plan
  humanz.cni.pod_network_info:
    plan: "{{ cluster.plan }}"
  register: node

- name: Ask why a pod does not reach another one
  humanz.cni.pod_network_info:
    paths:
      - source: 100.100.0.2
        destination: 100.100.1.2
        port: 80
"""

RETURN = r"""
plugin:
  description: >-
    The CNI plugin. RV(ignore:library) is where its Python package lies, RV(ignore:versions) are the versions of the CNI
    specification that it supports, RV(ignore:error) is why it cannot be asked for them.
  returned: without O(paths)
  type: dict
  sample: {"path": "/opt/cni/bin/humanz-cni", "interpreter": "/usr/bin/python3",
           "library": "/usr/local/lib/humanz-cni/5f0c1d2e3f405162", "versions": ["0.3.1", "0.4.0", "1.0.0"],
           "error": null}
conf:
  description: The CNI configuration files in the order they are read, and the network that is in force.
  returned: without O(paths)
  type: dict
  sample: {"files": ["/etc/cni/net.d/10-humanz-cni-plugin.conflist"], "error": null,
           "in_force": {"path": "/etc/cni/net.d/10-humanz-cni-plugin.conflist", "name": "humanz-cni",
                        "cni_version": "1.0.0", "plugins": ["humanz-cni", "portmap"]}}
routes:
  description: The routes to other nodes' pods, those that carry O(protocol).
  returned: without O(paths), unless O(tables=false)
  type: list
  elements: dict
  sample: [{"dst": "100.100.1.0/24", "gateway": "200.0.0.20", "dev": "enp8s0"}]
route_lines:
  description: The same routes as C(ip route) shows them.
  returned: without O(paths), unless O(tables=false)
  type: list
  elements: str
  sample: ["100.100.1.0/24 via 200.0.0.20 dev enp8s0"]
foreign_routes:
  description: The routes of the main table into O(cluster_cidrs) that carry another protocol.
  returned: without O(paths), unless O(tables=false)
  type: list
  elements: dict
  sample: [{"dst": "100.100.1.0/24", "gateway": "192.168.122.1", "dev": "enp1s0", "protocol": "boot",
            "type": "unicast"}]
vxlan:
  description: The interface O(vxlan_device) and the nodes that its static entries lead to, or null if there is none.
  returned: without O(paths)
  type: dict
  sample: {"name": "humanz-vxlan0", "up": true, "vni": 217, "port": 4789, "node_ip": "200.0.0.10",
           "peers": ["200.0.1.30"]}
comparison:
  description: >-
    How the node compares with the plan. RV(ignore:routes) are counts: RV(ignore:present) of RV(ignore:planned) routes
    are there; RV(ignore:missing), RV(ignore:unplanned) ones that carry O(protocol), and RV(ignore:foreign) ones.
    RV(ignore:differences) says all that differs, a line each.
  returned: with O(plan)
  type: dict
  sample: {"routes": {"planned": 2, "present": 1, "missing": 1, "unplanned": 0, "foreign": 0},
           "differences": ["no route to 100.100.1.0/24 via 200.0.0.20"]}
rules:
  description: >-
    The pod network's rules by the tool that shows them: those in and into O(chains) with their counters, and under
    C(nft) those in the table C(inet humanz-cni), with its sets, and in other chains of nftables, in its own syntax.
  returned: without O(paths), unless O(tables=false)
  type: dict
  sample: {"iptables-save": [":HUMANZ-FORWARD - [0:0]", "[12:720] -A FORWARD -j HUMANZ-FORWARD"],
           "nft": ["insert rule inet filter forward iifname \"humanz-cni0\" ip saddr 100.100.0.0/24 accept"]}
bridge:
  description: The bridge, or null if there is none.
  returned: without O(paths)
  type: dict
  sample: {"name": "humanz-cni0", "kind": "bridge", "up": true, "mac": "0a:58:64:64:00:01", "mtu": 1500,
           "alias": "humanz-cni", "addresses": ["100.100.0.1/24"], "ports": ["veth0123456789a"]}
pool:
  description: >-
    How many addresses are reserved of each range set, of which a pod has one each, or null if no configuration is in
    force.
  returned: without O(paths)
  type: dict
  sample: {"directory": "/run/humanz-cni/humanz-cni",
           "sets": [{"subnets": ["100.100.0.0/24"], "reserved": 12, "total": 253}]}
sysctls:
  description: The kernel settings that the pod network needs. One that the kernel does not have is null.
  returned: without O(paths)
  type: dict
  sample: {"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "2", "net.ipv4.conf.default.rp_filter": "2",
           "net.ipv6.conf.all.forwarding": "0", "net.bridge.bridge-nf-call-iptables": "1",
           "net.bridge.bridge-nf-call-ip6tables": "1"}
probes:
  description: The probe pods on the node. One that is not running was left behind, and goes with the next one started.
  returned: without O(paths)
  type: list
  elements: dict
  sample: [{"name": "humanz-probe-5f0c1d2e3f", "running": true}]
paths:
  description: >-
    What becomes of a packet of each of O(paths) and of its answer. RV(ignore:route) leads to the destination and
    RV(ignore:back) to the source, as the kernel looks them up with source and arriving interface;
    RV(ignore:instead_of) is the route that other sources take. RV(ignore:forwarding) is whether it forwards at
    all; RV(ignore:drop) is the rule that drops the connection or its answer, RV(ignore:dnat) the one that translates
    its destination, RV(ignore:nat) the one that translates its source, each with the tool that shows it;
    RV(ignore:nat_elsewhere) is one that would do so if the packet left by another interface.
    RV(ignore:stops) is what else stops it, such as a setting of an interface. RV(ignore:undecided) is what may stop it,
    which cannot be judged from outside, and RV(ignore:not_examined) what could not be read. RV(ignore:arrivals) has
    all that, and the RV(ignore:addresses), of each interface that it may arrive on instead.
  returned: with O(paths)
  type: list
  elements: dict
  sample:
    - {"source": "100.100.0.2", "destination": "100.100.1.2",
       "route": {"type": "unicast", "dst": "100.100.1.0/24", "gateway": "200.0.0.20", "dev": "enp8s0",
                 "protocol": "217", "neighbour": "REACHABLE"},
       "back": {"type": "unicast", "dst": "100.100.0.0/24", "dev": "humanz-cni0", "protocol": "kernel",
                "neighbour": "REACHABLE"},
       "forwarding": true, "drop": null, "dnat": null, "nat": null, "nat_elsewhere": null, "stops": [], "undecided": [],
       "not_examined": [], "arrivals": {}}
"""

from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._inspect import pod_network
from ..module_utils._probe import probe_pod
from ..module_utils._shared import option_checks
from ..module_utils._shared.converge import ConvergeError
from ..module_utils._trace import packet_path

if TYPE_CHECKING:
    from ..module_utils._shared.converge import RunCommand

PATH = {
    "source": {"type": "str", "required": True},
    "destination": {"type": "str", "required": True},
    "port": {"type": "int", "default": 0},
    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
    "end": {"type": "str", "choices": ["source", "destination"]},
}
CHAINS = ["HUMANZ-PREROUTING", "HUMANZ-FORWARD", "HUMANZ-POSTROUTING"]
OPTIONS = {
    "plugin": {"type": "str", "default": "humanz-cni"},
    "cni_path": {"type": "list", "elements": "path", "default": ["/opt/cni/bin"]},
    "conf_dir": {"type": "path", "default": "/etc/cni/net.d"},
    "protocol": {"type": "int", "default": 217},
    "chains": {"type": "list", "elements": "str", "default": CHAINS},
    "bridge": {"type": "str", "default": "humanz-cni0"},
    "cluster_cidrs": {"type": "list", "elements": "str", "default": []},
    "vxlan_device": {"type": "str"},
    "plan": {"type": "str"},
    "tables": {"type": "bool", "default": True},
    "paths": {"type": "list", "elements": "dict", "options": PATH},
    "paths_file": {"type": "path"},
}


def paths(params: dict[str, Any], run: RunCommand) -> dict[str, Any]:
    """Return what the node's tables say about each path."""
    for end in ("source", "destination"):
        option_checks.addresses("paths: %s" % end, [path[end] for path in params["paths"]])
    tables = packet_path.Tables(run)
    return {"paths": [tables.examine(**path) for path in params["paths"]]}


def everything(params: dict[str, Any], run: RunCommand) -> dict[str, Any]:
    """Return all that the node has of the pod network."""
    cluster_cidrs = option_checks.networks("cluster_cidrs", params["cluster_cidrs"])
    conf, network = pod_network.configuration(params["conf_dir"])
    routes = pod_network.routes(run, params["protocol"])
    found: dict[str, Any] = {
        "plugin": pod_network.plugin(params["plugin"], params["cni_path"]),
        "conf": conf,
        "routes": [pod_network.shown(route) for route in routes],
        "foreign_routes": pod_network.foreign_routes(run, cluster_cidrs, routes, params["bridge"]),
        "vxlan": pod_network.vxlan(run, params["vxlan_device"]),
        "bridge": pod_network.bridge(run, params["bridge"]),
        "pool": pod_network.pool(network),
        "sysctls": pod_network.sysctls(),
        "probes": [
            {"name": name, "running": probe_pod.is_running(record)}
            for name, record in sorted(probe_pod.records().items())
        ],
    }
    if params["tables"]:
        found["route_lines"] = pod_network.route_lines(run, params["protocol"])
        found["rules"] = pod_network.rules(run, params["chains"])
    return found


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=OPTIONS, mutually_exclusive=[("paths", "paths_file")], supports_check_mode=True
    )
    run = pod_network.runner(module)
    try:
        result = everything(module.params, run) if module.params["paths"] is None else paths(module.params, run)
    except ConvergeError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
