#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the CNI configuration that attaches a node's pods to the pod network."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cni_conf
short_description: Write a node's CNI configuration
version_added: 0.1.0
description:
  - Writes the configuration by which a container runtime attaches pods through the plugin C(humanz-cni).
  - The file is written beside its name and renamed, so that a runtime finds the old one or the new one, and notices the
    change. Nothing needs to be restarted.
  - A node becomes C(Ready) with this file, so it should be the last thing that is put there.
  - Removes and replaces only files whose first plugin is C(humanz-cni).
options:
  state:
    description:
      - V(present) writes the file.
      - V(absent) removes it, in either format.
    type: str
    choices: [present, absent]
    default: present
  conf_dir:
    description: The directory of CNI configurations. The first file in it by name is in force.
    type: path
    default: /etc/cni/net.d
  format:
    description:
      - V(conflist) writes C(10-humanz-cni-plugin.conflist), a list that other plugins can be chained in.
      - V(conf) writes C(10-humanz-cni-plugin.conf), the file of the humanz-cni blog series as it stands there, with
        this node's network filled in. It has only the keys that follow from O(name), O(bridge), O(cluster_cidr) and
        O(pod_cidrs); everything else is left to the plugin's defaults, and the CNI version is 0.3.1. It has room for
        one network, of either address family, so that dual stack takes V(conflist).
      - A file of ours in the other format is removed once the new one stands.
    type: str
    choices: [conflist, conf]
    default: conflist
  name:
    description: The network's name.
    type: str
    default: humanz-cni
  bridge:
    description: The bridge that pods are attached to. The plugin creates it with the first pod.
    type: str
    default: humanz-cni0
  pod_cidrs:
    description:
      - The networks of this node's own pods, in CIDR notation. A pod gets an address of each, in this order, and a
        default route for each address family.
      - Needed with O(state=present), unless O(plan) is given.
    type: list
    elements: str
  cluster_cidr:
    description: The network of all nodes' pods, in CIDR notation. Needed for O(format=conf) only.
    type: str
  cni_version:
    description:
      - The version of the CNI specification.
      - From V(1.1.0) on a runtime asks the plugin for its status, and says that the node's network is not ready as long
        as no pod can be attached for a reason that the end of pods does not cure, such as an unwritable data directory.
        A pool without free addresses is a line in the log instead.
    type: str
    choices: ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]
    default: "1.0.0"
  cni_versions:
    description:
      - Further versions that a runtime may choose from, as the key C(cniVersions).
      - A runtime that does not know this key, which came with version 1.1.0, uses O(cni_version).
    type: list
    elements: str
    choices: ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]
    default: []
  mtu:
    description:
      - The MTU, in bytes, of the bridge and of the pods' interfaces. IPv6 takes 1280 or more.
      - 0 takes that of the interface that holds O(node_ip), or leaves it to the plugin if there is no O(node_ip).
    type: int
    default: 0
  node_ip:
    description:
      - The address by which the other nodes reach this one; with dual stack, one for each address family.
      - Where they are on several interfaces, the smallest MTU counts.
    type: list
    elements: str
  mtu_overhead:
    description:
      - How many bytes less than the MTU found with O(mtu=0) the pods get, as M(humanz.cni.node_vxlan) adds them to
        packets on their way.
    type: int
    default: 0
  hairpin:
    description: Whether a pod can reach itself through a service.
    type: bool
    default: true
  ipv6_link_local:
    description:
      - Whether the bridge and the pods keep the kernel's IPv6 link-local addresses where O(pod_cidrs) has no IPv6
        network.
      - By default the file has the plugin's key C(disableIPv6), and they have no IPv6 at all. With V(true) a bridge
        on which IPv6 was disabled gets it back when it is recreated, as after a reboot.
      - With V(true) and O(spoof_check=false) a pod reaches what listens on the node by the bridge's link-local address,
        which rules for IPv4 do not see, unless the rules of M(humanz.cni.pod_firewall) are those of nftables or
        firewalld, which drop it. With O(spoof_check=true) nothing passes that a pod without an IPv6 address sends by
        IPv6.
    type: bool
    default: false
  spoof_check:
    description:
      - Whether a pod can send only from its own hardware address and its own IP addresses, with ARP and neighbour
        discovery for these alone, as the key C(ipspoofchk). All else that it sends is dropped where it enters the
        bridge.
      - It takes a kernel with nf_tables for bridges, C(CONFIG_NF_TABLES_BRIDGE). Each ADD fails on another one.
      - It holds for pods that are attached from then on. O(format=conf) has no such key.
    type: bool
    default: false
  port_isolation:
    description:
      - Whether the bridge keeps frames of this node's pods from each other, as the key C(portIsolation). They reach the
        node, and through it everything else.
      - Pods of one node then do not reach each other by their addresses, unless the node answers for them, as with the
        sysctl C(net.ipv4.conf.BRIDGE.proxy_arp_pvlan); IPv6 has no such sysctl.
      - It holds for pods that are attached from then on. O(format=conf) has no such key.
    type: bool
    default: false
  chain:
    description:
      - Plugins that follow in the list, for pods that ask for host ports or for limits of their bandwidth.
      - Each is left out where its executable is not in O(cni_bin_dir), or does not support the list's CNI versions.
    type: list
    elements: str
    choices: [portmap, bandwidth]
    default: [portmap, bandwidth]
  cni_bin_dir:
    description: The directory in which the container runtime looks for CNI plugins.
    type: path
    default: /opt/cni/bin
  data_dir:
    description:
      - The directory in which the plugin keeps reserved addresses. By default one below C(/run), which a reboot empties
        when it ends the pods.
      - Only root may be able to write it, which excludes C(/tmp). Where others can, the plugin attaches no pod.
      - It may be changed while pods are attached. Their reservations stay where they are, and are found there when the
        pods end.
    type: path
  log_file:
    description: A file to which the plugin appends a line for each of its calls, instead of sending it to the journal.
    type: path
  log_level:
    description:
      - What the plugin says of its calls. V(info) is one line for each.
      - V(debug) adds the request as the plugin understood it. V(off) says nothing.
    type: str
    choices: ["off", info, debug]
    default: info
  foreign:
    description:
      - What to do if another program's configuration comes before ours by name, so that runtimes would load it instead.
      - V(fail) names it and changes nothing. V(keep) accepts it, which is right for a meta plugin that calls ours.
    type: str
    choices: [fail, keep]
    default: fail
extends_documentation_fragment:
  - humanz.cni._attributes
  - humanz.cni._plan
  - humanz.cni._pyroute2
seealso:
  - module: humanz.cni.cni_plugin
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Attach this node's pods
  humanz.cni.cni_conf:
    pod_cidrs:
      - 100.100.0.0/24
    node_ip: [200.0.0.10]

- name: Attach this node's pods with both address families
  humanz.cni.cni_conf:
    pod_cidrs:
      - 100.100.0.0/24
      - fd00:100::/64
    node_ip: [200.0.0.10, "fd00:200::10"]

- name: Attach them as the cluster's plan says
  humanz.cni.cni_conf:
    plan: "{{ cluster.plan }}"

- name: Attach them with spoof checks
  humanz.cni.cni_conf:
    plan: "{{ cluster.plan }}"
    spoof_check: true

- name: Write the file that the blog series shows
  humanz.cni.cni_conf:
    format: conf
    pod_cidrs:
      - 100.100.0.0/24
    cluster_cidr: 100.100.0.0/16

- name: Attach no further pods
  humanz.cni.cni_conf:
    state: absent
"""

RETURN = r"""
file:
  description: The path of the file.
  returned: O(state=present)
  type: str
  sample: /etc/cni/net.d/10-humanz-cni-plugin.conflist
mtu:
  description: The MTU in the file, in bytes; 0 if the plugin decides.
  returned: O(state=present)
  type: int
  sample: 1500
chained:
  description: The plugins that follow in the list.
  returned: O(state=present)
  type: list
  elements: str
  sample: [portmap, bandwidth]
not_chained:
  description: The plugins of O(chain) that were left out, and why.
  returned: O(state=present)
  type: dict
  sample:
    bandwidth: /opt/cni/bin/bandwidth is not there
foreign:
  description: Others' configurations that runtimes would load instead.
  returned: on failure, if there are any
  type: list
  elements: str
  sample: [/etc/cni/net.d/05-other.conflist]
"""

import ipaddress
import os
import socket
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._cni import network_conf
from ..module_utils._shared import kernel as _kernel
from ..module_utils._shared import option_checks
from ..module_utils._shared.converge import ConvergeError, converge

VERSIONS = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]


class _Present(network_conf.CniConf):
    """A file that is wanted, and what is to be said of it."""

    def __init__(self, params: dict[str, Any], text: str, facts: dict[str, Any]) -> None:
        super().__init__(params["conf_dir"], params["format"], text, params["foreign"] == "keep")
        self._facts = dict(facts, file=os.path.join(params["conf_dir"], network_conf.NAMES[params["format"]]))

    def result(self, actual: dict[str, str], desired: dict[str, str]) -> dict[str, Any]:
        """Return the return values."""
        return self._facts


def _present(module: AnsibleModule) -> _Present:
    params = module.params
    option_checks.network_name("name", params["name"])
    bridge = option_checks.device("bridge", params["bridge"])
    pod_cidrs = option_checks.networks("pod_cidrs", params["pod_cidrs"] or [])
    if not pod_cidrs:
        raise ConvergeError("pod_cidrs: at least one network of this node's pods is needed, such as 100.100.0.0/24")
    if params["format"] == "conf":
        return _conf(params, bridge, pod_cidrs)
    return _conflist(module, bridge, pod_cidrs)


def _conf(params: dict[str, Any], bridge: str, pod_cidrs: list[str]) -> _Present:
    network_conf.require_one("pod_cidrs", pod_cidrs)
    if not params["cluster_cidr"]:
        raise ConvergeError("cluster_cidr: the network of all nodes' pods is needed with format=conf")
    cluster_cidr = option_checks.networks("cluster_cidr", [params["cluster_cidr"]])[0]
    text = network_conf.conf_text(params["name"], bridge, cluster_cidr, pod_cidrs[0], params["ipv6_link_local"])
    return _Present(params, text, {"mtu": 0, "chained": [], "not_chained": {}})


def _conflist(module: AnsibleModule, bridge: str, pod_cidrs: list[str]) -> _Present:
    params = module.params
    mtu = _mtu(module, pod_cidrs)
    versions = [params["cni_version"]] + params["cni_versions"]
    chained, not_chained = network_conf.choose_chained(
        module.run_command, params["cni_bin_dir"], params["chain"], versions
    )
    further: dict[str, Any] = {key: option_checks.absolute_path(key, params[key]) for key in ("data_dir", "log_file")}
    further.update((key, params[key]) for key in ("log_level", "spoof_check", "port_isolation", "ipv6_link_local"))
    plugin = network_conf.plugin_conf(bridge, pod_cidrs, params["hairpin"], mtu, **further)
    text = network_conf.conflist_text(params["name"], params["cni_version"], params["cni_versions"], plugin, chained)
    return _Present(params, text, {"mtu": mtu, "chained": chained, "not_chained": not_chained})


def _mtu(module: AnsibleModule, pod_cidrs: list[str]) -> int:
    """Return the MTU for the file, 0 if the plugin is to decide. Raises ConvergeError."""
    mtu, node_ips = option_checks.mtu("mtu", module.params["mtu"], pod_cidrs), module.params["node_ip"]
    if mtu or not node_ips:
        return mtu
    wanted = [ipaddress.ip_address(text) for text in option_checks.addresses("node_ip", node_ips)]
    _kernel.require_pyroute2(module)
    with _kernel.Kernel() as kernel:
        mtus = {link.name: link.mtu for link in kernel.links()}
        held = {
            ipaddress.ip_address(found.address): mtus[found.device]
            for family in (socket.AF_INET, socket.AF_INET6)
            for found in kernel.addresses(family)
        }
    for address in wanted:
        if address not in held:
            raise ConvergeError(
                "node_ip: no interface of this node has the address %s: it must be an address of the node, or mtu must "
                "be given" % address
            )
    overhead: int = module.params["mtu_overhead"]
    return min(held[address] for address in wanted) - overhead


def _resource(module: AnsibleModule) -> network_conf.CniConf:
    """Return the Resource that the options describe. Raises ConvergeError."""
    params = module.params
    if params["plan"]:
        raise ConvergeError("plan is on the controller: run the module by its action plugin, as humanz.cni.cni_conf")
    option_checks.directories(params)
    return _present(module) if params["state"] == "present" else network_conf.CniConf(params["conf_dir"])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "plan": {"type": "str"},
            "pyroute2_archive": {"type": "path"},
            "conf_dir": {"type": "path", "default": "/etc/cni/net.d"},
            "format": {"type": "str", "choices": ["conflist", "conf"], "default": "conflist"},
            "name": {"type": "str", "default": "humanz-cni"},
            "bridge": {"type": "str", "default": "humanz-cni0"},
            "pod_cidrs": {"type": "list", "elements": "str"},
            "cluster_cidr": {"type": "str"},
            "cni_version": {"type": "str", "choices": VERSIONS, "default": "1.0.0"},
            "cni_versions": {"type": "list", "elements": "str", "choices": VERSIONS, "default": []},
            "mtu": {"type": "int", "default": 0},
            "node_ip": {"type": "list", "elements": "str"},
            "mtu_overhead": {"type": "int", "default": 0},
            "hairpin": {"type": "bool", "default": True},
            "spoof_check": {"type": "bool", "default": False},
            "port_isolation": {"type": "bool", "default": False},
            "ipv6_link_local": {"type": "bool", "default": False},
            "chain": {
                "type": "list",
                "elements": "str",
                "choices": ["portmap", "bandwidth"],
                "default": ["portmap", "bandwidth"],
            },
            "cni_bin_dir": {"type": "path", "default": "/opt/cni/bin"},
            "data_dir": {"type": "path"},
            "log_file": {"type": "path"},
            "log_level": {"type": "str", "choices": ["off", "info", "debug"], "default": "info"},
            "foreign": {"type": "str", "choices": ["fail", "keep"], "default": "fail"},
        },
        supports_check_mode=True,
    )
    converge(module, _resource)


if __name__ == "__main__":
    main()
