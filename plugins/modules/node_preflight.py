#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what keeps a node from taking its part in the plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_preflight
short_description: Find what keeps a node from taking its part in the plan
version_added: 0.1.0
description:
  - Fails with everything that keeps the node from taking its part in the pod network, as RV(problems).
  - Finds a node IP that is on no interface or that another machine has as well, IPv6 that is off, next hops that are
    not on a network of this node or are its own address, routes of others that hold one of the prefixes or overlap with
    one, prefixes that would take over the way to the default gateway or to the address that the SSH connection comes
    from, pods that are attached in a pod CIDR which is no longer the node's, commands that are missing, and a
    firewalld without policies.
  - Finds a kernel without C(br_netfilter), without bridges, veth or, for O(vxlan_device), VXLAN, and one that does not
    take the rules of M(humanz.cni.pod_firewall). A module that could be loaded counts as there. The rules are tried in
    a network namespace that ends with the trial; the kernel loads on demand what they need.
  - Finds a Python that cannot run the plugin, files of other programs where modules write, a node without systemd, and
    units that systemd could not start in the order that they ask for.
  - Finds addresses of the node that a pod or a service may have, and rules of C(ip rule) by which packets to pods take
    the route of another table, as those of a VPN may.
  - Finds directories that the modules after it could not put their files into, as they are on a read-only or full file
    system, immutable, a link to nothing or no directory, and file systems without the right to run programs. It leaves
    no trace there.
  - Finds that M(humanz.cni.node_routes) would refuse to remove so many routes, before M(humanz.cni.node_vxlan) takes
    away what they lead through. This is not looked for in a plan with problems, as such a plan lacks routes.
  - Finds names and numbers that the modules after it would refuse.
  - Finds files of C(sysctl.d) that disable IPv6 while O(pod_cidrs) has networks of it, and warns of files that set a
    parameter which pods need to another value, as M(humanz.cni.node_kernel) does.
  - Finds that the container runtime looks for CNI plugins or configurations elsewhere, that pods would get another
    network from it, and that containerd lacks the plugin C(loopback). The runtime that runs is asked itself, by
    C(containerd config dump), also that of k3s, RKE2, k0s and MicroK8s, or by C(crio status config); of cri-dockerd
    the options count that it was started with. A containerd beside CRI-O or cri-dockerd, or one whose CRI plugin is
    disabled, is not asked. Where none runs that could be asked, a warning says so.
  - Also reports the plan's own problems, those of this node, of the cluster, and of nodes that the run leaves out.
options:
  node:
    description:
      - The name of the node that each line about it starts with. By default its host name.
    type: str
  pod_cidrs:
    description: The networks of this node's own pods.
    type: list
    elements: str
    default: []
  pod_ranges:
    description: The parts of O(pod_cidrs) that pods get addresses of, as in M(humanz.cni.pod_bridge).
    type: list
    elements: str
    default: []
  unreachable:
    description: Networks that the node answers for as unreachable, as in M(humanz.cni.node_routes).
    type: list
    elements: str
    default: []
  cluster_cidrs:
    description: The networks that the cluster's pod CIDRs are parts of, as in M(humanz.cni.pod_bridge).
    type: list
    elements: str
    default: []
  service_cidrs:
    description: The networks of the cluster's services. No address of the node may be in one.
    type: list
    elements: str
    default: []
  node_ips:
    description: The addresses by which the other nodes reach this one.
    type: list
    elements: str
    default: []
  problems:
    description: Lines to report with those that are found on the node.
    type: list
    elements: str
    default: []
  protocol:
    description: The routing protocol number of routes that are ours.
    type: int
    default: 217
  table:
    description: The number of the routing table.
    type: int
    default: 254
  state_file:
    description: The file that holds the routes, as in M(humanz.cni.node_routes).
    type: path
    default: /etc/humanz-cni/routes
  force:
    description: Whether any number of routes may be removed, as in M(humanz.cni.node_routes).
    type: bool
    default: false
  allow_empty:
    description: Whether all routes of an address family may be removed, as in M(humanz.cni.node_routes).
    type: bool
    default: false
  max_prune:
    description: The percentage of the routes that may be removed, as in M(humanz.cni.node_routes).
    type: int
    default: 50
  bridge:
    description: The pods' bridge. Routes on it are ours.
    type: str
    default: humanz-cni0
  vxlan_device:
    description: The interface of M(humanz.cni.node_vxlan), if the plan has one.
    type: str
    default: ""
  vxlan_peers:
    description: The addresses of the nodes behind a router. The node must have a route to each of them.
    type: list
    elements: str
    default: []
  masquerade:
    description: Whether traffic out of the cluster is masqueraded, as in M(humanz.cni.node_kernel).
    type: bool
    default: false
  uplink:
    description: The interface out of which is masqueraded, as in M(humanz.cni.pod_firewall).
    type: str
    default: ""
  backend:
    description: What makes the rules, as in M(humanz.cni.pod_firewall). Its commands must be on the node.
    type: str
    choices: [auto, nft, legacy, nftables]
    default: auto
  name:
    description: The CNI network's name, as in M(humanz.cni.cni_conf).
    type: str
    default: humanz-cni
  mtu:
    description: The pods' MTU, as in M(humanz.cni.cni_conf).
    type: int
    default: 0
  mtu_overhead:
    description: How many bytes less than the interface's MTU the pods get, as in M(humanz.cni.cni_conf).
    type: int
    default: 0
  conf_dir:
    description: The directory of CNI configurations, as in M(humanz.cni.cni_conf).
    type: path
    default: /etc/cni/net.d
  cni_bin_dir:
    description: The directory of CNI plugins, as in M(humanz.cni.cni_plugin).
    type: path
    default: /opt/cni/bin
  library_dir:
    description: The directory of the plugin's library, as in M(humanz.cni.cni_plugin).
    type: path
    default: /usr/local/lib/humanz-cni
  sbin_dir:
    description: The directory of the operator's command, as in M(humanz.cni.cni_plugin).
    type: path
    default: /usr/local/sbin
  log_file:
    description: The file that the plugin logs to, as in M(humanz.cni.cni_conf).
    type: path
  persistence:
    description:
      - Whether M(humanz.cni.node_persistence) is to put routes and rules back. systemd must run then, and be able to
        start that module's units in their order.
    type: bool
    default: false
  format:
    description: The configuration's format, as in M(humanz.cni.cni_conf).
    type: str
    choices: [conflist, conf]
    default: conflist
  spoof_check:
    description: Whether pods' source addresses are checked, as in M(humanz.cni.cni_conf). The kernel must be able to.
    type: bool
    default: false
  foreign:
    description: Whether others' configurations may come first, as in M(humanz.cni.cni_conf).
    type: str
    choices: [fail, keep]
    default: fail
  interpreter:
    description: The Python that is to run the plugin, as in M(humanz.cni.cni_plugin). It must be fit for that.
    type: path
    default: /usr/bin/python3
  heal_interval:
    description: The seconds between two repairs, as in M(humanz.cni.node_persistence).
    type: int
    default: 30
  defer_problems:
    description:
      - Whether to succeed with RV(problems), for M(humanz.cni.play_check) to report those of all nodes at once. It must
        follow.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: linux
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - humanz.cni._plan
  - humanz.cni._pyroute2
  - humanz.cni._routes
seealso:
  - module: humanz.cni.cluster_plan
  - module: humanz.cni.node_routes
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Plan the cluster
  humanz.cni.cluster_plan:
    cluster_cidr: 100.100.0.0/16
    node_cidrs: [200.0.0.0/24]
    defer_problems: true
  register: cluster
  run_once: true

- name: Check every node before anything is changed
  humanz.cni.node_preflight:
    plan: "{{ cluster.plan }}"
"""

RETURN = r"""
problems:
  description: What was found, a line each. Empty if the module succeeds, unless O(defer_problems=true).
  returned: always
  type: list
  elements: str
  sample: ["ubuntu-nested-1: next hop 200.0.0.10: is an address of this node: give each node a node IP of its own"]
mtus:
  description: >-
    For each interface that holds one of O(node_ips), how many bytes the largest packets have that this node's pods
    would send by it, RV(ignore:sends), and that it takes from others, RV(ignore:takes).
  returned: when the node could be looked at, also beside problems
  type: list
  elements: dict
  sample: [{"node": "ubuntu-nested-1", "network": "200.0.0.0/24", "device": "enp8s0", "sends": 1500, "takes": 1500}]
"""

import platform
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._inspect import mtus as _mtus
from ..module_utils._inspect.preflight import Part, findings, of_runtime, other_sysctls, refused
from ..module_utils._routing.static_routes import ROUTES
from ..module_utils._shared import option_checks
from ..module_utils._shared import texts as _texts
from ..module_utils._shared.converge import ConvergeError
from ..module_utils._shared.kernel import require_pyroute2

NO_RUNTIME = (
    "neither containerd, CRI-O nor cri-dockerd runs on some nodes: nobody could say whether a runtime there will look "
    "in pod_network_cni_bin_dir and pod_network_cni_conf_dir"
)

_TEXTS = {"type": "list", "elements": "str", "default": []}
OPTIONS = {
    "node": {"type": "str"},
    "pod_cidrs": _TEXTS,
    "pod_ranges": _TEXTS,
    "unreachable": _TEXTS,
    "cluster_cidrs": _TEXTS,
    "service_cidrs": _TEXTS,
    "node_ips": _TEXTS,
    "routes": ROUTES,
    "problems": _TEXTS,
    "plan": {"type": "str"},
    "pyroute2_archive": {"type": "path"},
    "protocol": {"type": "int", "default": 217},
    "table": {"type": "int", "default": 254},
    "state_file": {"type": "path", "default": "/etc/humanz-cni/routes"},
    "force": {"type": "bool", "default": False},
    "allow_empty": {"type": "bool", "default": False},
    "max_prune": {"type": "int", "default": 50},
    "bridge": {"type": "str", "default": "humanz-cni0"},
    "vxlan_device": {"type": "str", "default": ""},
    "vxlan_peers": _TEXTS,
    "masquerade": {"type": "bool", "default": False},
    "uplink": {"type": "str", "default": ""},
    "backend": {"type": "str", "choices": ["auto", "nft", "legacy", "nftables"], "default": "auto"},
    "name": {"type": "str", "default": "humanz-cni"},
    "mtu": {"type": "int", "default": 0},
    "mtu_overhead": {"type": "int", "default": 0},
    "conf_dir": {"type": "path", "default": "/etc/cni/net.d"},
    "cni_bin_dir": {"type": "path", "default": "/opt/cni/bin"},
    "library_dir": {"type": "path", "default": "/usr/local/lib/humanz-cni"},
    "sbin_dir": {"type": "path", "default": "/usr/local/sbin"},
    "log_file": {"type": "path"},
    "persistence": {"type": "bool", "default": False},
    "format": {"type": "str", "choices": ["conflist", "conf"], "default": "conflist"},
    "spoof_check": {"type": "bool", "default": False},
    "foreign": {"type": "str", "choices": ["fail", "keep"], "default": "fail"},
    "interpreter": {"type": "path", "default": "/usr/bin/python3"},
    "heal_interval": {"type": "int", "default": 30},
    "defer_problems": {"type": "bool", "default": False},
}


def refusal(problems: list[str]) -> str:
    """Return the module's message about *problems*, which it returns beside it."""
    return "nothing was changed, as %s must be solved first" % _texts.counted(problems)


def _once(found: list[str]) -> list[str]:
    """Return *found* without what is a part of another text, as of a file that can be neither read nor replaced."""
    texts = list(dict.fromkeys(found))
    return [text for text in texts if not any(text in other for other in texts if other != text)]


def _check_notation(params: dict[str, Any]) -> None:
    """Raise ConvergeError for an option that a plan cannot have."""
    for option in ("pod_cidrs", "pod_ranges", "unreachable", "cluster_cidrs", "service_cidrs"):
        option_checks.networks(option, params[option])
    for option in ("node_ips", "vxlan_peers"):
        option_checks.addresses(option, params[option])


def _end(module: AnsibleModule, problems: list[str], result: dict[str, Any]) -> None:
    if problems and not module.params["defer_problems"]:
        module.fail_json(msg=refusal(problems), problems=problems, **result)
    module.exit_json(changed=False, problems=problems, **result)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    try:
        _check_notation(module.params)
    except ConvergeError as exc:
        _end(module, [str(exc)], {})
    require_pyroute2(module)
    params = dict(module.params, routes=module.params["routes"] or [])
    node = params["node"] or platform.node()
    found = _found(module, params)
    mtus: list[dict[str, Any]] = []
    try:
        mtus = _mtus.of_node(node, module.params)
    except ConvergeError as exc:
        found.append(str(exc))
    disabled, warnings = other_sysctls(params, module.run_command, module.get_bin_path)
    found += disabled
    for text in warnings + _mtus.doubts(module.params, mtus):
        module.warn("%s: %s" % (node, text))
    problems = module.params["problems"] + ["%s: %s" % (node, text) for text in _once(found)]
    _end(module, problems, {"mtus": mtus})


def _found(module: AnsibleModule, params: dict[str, Any]) -> list[str]:
    """Return what is wrong with the node, its files and its container runtime."""
    part = Part(**{name: params[name] for name in Part._fields})
    try:
        found = findings(part, module.get_bin_path)
    except ConvergeError as exc:
        found = str(exc).splitlines()
    found += refused(module.params, module.run_command, module.get_bin_path)
    runtime = of_runtime(module.params, module.run_command, module.get_bin_path)
    if runtime is None:
        module.warn(NO_RUNTIME)
    return found + (runtime or [])


if __name__ == "__main__":
    main()
