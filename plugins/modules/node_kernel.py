#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set the kernel parameters and load the kernel modules that pods need."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_kernel
short_description: Kernel parameters and modules that pods need
version_added: 0.1.0
description:
  - Loads kernel modules and sets kernel parameters, now and for every boot.
  - Where the kernel is to forward IPv6, an interface that takes router advertisements goes on taking them, so that the
    node keeps a default route or an address that it has from there.
  - Writes all of them down, and the parameters of the pods' bridge that keep pods from changing the node's routes by
    router advertisements and redirects, which the plugin sets with each pod. M(humanz.cni.node_persistence) has them
    put back when somebody has changed them; so it has the bridge's addresses, which go along with IPv6 where that is
    disabled.
  - An interface that does not forward although the kernel does, and that no packets of pods come in by, is left so.
  - Warns of each file of C(sysctl.d) that sets one of them to another value.
  - Remembers each parameter's value from before the first change, and that of parameters which the kernel changes along
    with it, and puts them back when the parameter is wanted no more.
options:
  state:
    description:
      - V(present) loads O(modules), sets O(sysctls) and writes the files that do so at boot.
      - V(absent) puts back the values from before the first change and removes the files. A module that was loaded for
        this is unloaded, unless it is in use, as C(br_netfilter) is by rules of iptables with the match C(physdev), or
        another file loads it at boot. Where it stays, parameters that came
        with it get the value that another file of C(sysctl.d) sets, or the kernel's default; those of bridges get 0, as
        bridged packets do not pass iptables without the module. There is a warning that says what became of it.
    type: str
    choices: [present, absent]
    default: present
  pod_cidrs:
    description:
      - The networks that this node's own pods get addresses of, in CIDR notation. What is forwarded is their families.
      - Where they have more than 256 addresses, the kernel's tables of neighbours are made larger if they are smaller
        than twice of what those and O(neighbours) need, where these are up to 65536 together.
      - Without any, IPv4 is forwarded.
    type: list
    elements: str
    default: []
  bridge:
    description: The bridge that pods are attached to, as in M(humanz.cni.cni_conf).
    type: str
    default: humanz-cni0
  ipv6_link_local:
    description:
      - Whether the bridge keeps IPv6 where O(pod_cidrs) has networks, but none of IPv6, as in M(humanz.cni.cni_conf).
    type: bool
    default: false
  neighbours:
    description:
      - How many other nodes share a network with this one. From a few hundred on, the kernel's tables of neighbours are
        made larger if they are smaller than twice of what the nodes and a node's own pods need. By default they hold
        1024, and what is sent to further ones is dropped.
    type: int
    default: 0
  next_hops:
    description:
      - The other nodes' addresses. IPv4 is forwarded on the interfaces that lead there, also where somebody has turned
        it off for one of them, as pods' packets come in by these. IPv6 needs no such parameter.
    type: list
    elements: str
    default: []
  devices:
    description:
      - Further interfaces of the collection by which pods' packets come in, such as that of M(humanz.cni.node_vxlan).
        They need not be there yet.
    type: list
    elements: str
    default: []
  masquerade:
    description:
      - Whether pods' traffic that leaves the cluster is masqueraded, as in M(humanz.cni.pod_firewall). IPv4 is
        forwarded then also on the interface of the default route, or on O(uplink), by which the answers come in.
    type: bool
    default: false
  uplink:
    description: The interface out of which is masqueraded, as in M(humanz.cni.pod_firewall). Empty means any.
    type: str
    default: ""
  sysctls:
    description:
      - The parameters and their values. A dot within a name, as in the interface C(eth0.100), is written as a slash.
      - By default C(net.bridge.bridge-nf-call-iptables), C(net.bridge.bridge-nf-call-ip6tables), and for the families
        of O(pod_cidrs) C(net.ipv4.ip_forward) and C(net.ipv6.conf.all.forwarding), all 1. With IPv6 also
        C(net.ipv6.conf.INTERFACE.accept_ra), 2 for each interface on which the kernel has learned a route from a router
        advertisement, as one that forwards takes them only then.
      - With many O(neighbours), or large O(pod_cidrs), also C(net.ipv4.neigh.default.gc_thresh1) to C(gc_thresh3), and
        those of IPv6.
    type: dict
  modules:
    description: The modules that provide them. One that is built into the kernel counts as loaded.
    type: list
    elements: str
    default: [br_netfilter]
  warn:
    description:
      - Whether to warn of other files' values. M(humanz.cni.node_preflight) does so before anything is changed.
    type: bool
    default: true
  sysctl_file:
    description:
      - The file that sets O(sysctls) at boot.
      - Another file may set another value; this is warned of, see also RV(overridden_by).
    type: path
    default: /etc/sysctl.d/99-humanz-cni.conf
  modules_file:
    description: The file that loads O(modules) at boot.
    type: path
    default: /etc/modules-load.d/humanz-cni.conf
  bridge_file:
    description: The file that holds what is put back when somebody has changed it, that of O(bridge) included.
    type: path
    default: /etc/humanz-cni/sysctl
  before_file:
    description: The file that holds the values from before the first change.
    type: path
    default: /etc/humanz-cni/sysctl.before.json
extends_documentation_fragment:
  - humanz.cni._attributes
  - humanz.cni._plan
seealso:
  - module: ansible.posix.sysctl
  - module: community.general.modprobe
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Let the node forward pods' traffic, and iptables see what crosses a bridge
  humanz.cni.node_kernel:

- name: Forward what the cluster's plan says, with IPv6 if pods have addresses of it
  humanz.cni.node_kernel:
    plan: "{{ cluster.plan }}"

- name: Forward both families
  humanz.cni.node_kernel:
    pod_cidrs: [100.100.0.0/24, "fd00:100::/64"]

- name: Restore the former values
  humanz.cni.node_kernel:
    state: absent
"""

RETURN = r"""
sysctls:
  description: The wanted parameters and their values.
  returned: success
  type: dict
  sample:
    net.ipv4.ip_forward: "1"
overridden_by:
  description: Settings of other files that win over O(sysctl_file) at the next boot, until they are put back.
  returned: success
  type: list
  elements: dict
  contains:
    file:
      description: The other file.
      type: str
      sample: /etc/sysctl.d/99-sysctl.conf
    line:
      description: The number of the line in it.
      type: int
      sample: 1
    key:
      description: The parameter, or a pattern, as the line has it, with dots.
      type: str
      sample: net.ipv4.conf.all.forwarding
    value:
      description: The value that it sets.
      type: str
      sample: "0"
"""

import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._node import forwarding, kernel_modules, sysctl
from ..module_utils._node.kernel_settings import KernelSettings
from ..module_utils._shared import marked_files, option_checks
from ..module_utils._shared.converge import ConvergeError, converge


def _sysctls(module: AnsibleModule) -> dict[str, str]:
    """Return the parameters wanted, with texts as values. Raises ConvergeError that names key and value."""
    params = module.params
    values = params["sysctls"]
    if values is None:
        pod_cidrs = option_checks.networks("pod_cidrs", params["pod_cidrs"])
        families = forwarding.families_of(pod_cidrs)
        ours = marked_files.read(params["sysctl_file"])
        found = dict(
            forwarding.sysctls(families, ours),
            **forwarding.neighbour_tables(pod_cidrs, params["neighbours"], ours),
        )
        next_hops = option_checks.addresses("next_hops", params["next_hops"])
        if params["uplink"]:
            option_checks.device("uplink", params["uplink"])
        if 4 in families:
            ip = module.get_bin_path("ip")
            found.update(forwarding.ways(module.run_command, ip, next_hops, params["masquerade"], params["uplink"]))
        return found
    for key, value in values.items():
        if not sysctl.KEY.match(key):
            raise ConvergeError("sysctls: %r is not a sysctl such as net.ipv4.ip_forward" % key)
        if isinstance(value, bool) or not isinstance(value, (int, str)) or not sysctl.normal(value):
            raise ConvergeError("sysctls: %s is %r, it must be a number or a text such as 1" % (key, value))
    return {key: sysctl.normal(value) for key, value in values.items()}


def _bridge_sysctls(params: dict[str, Any]) -> dict[str, str]:
    """Return the parameters of the pods' bridge, and of our other interfaces. Raises ConvergeError."""
    bridge = option_checks.device("bridge", params["bridge"])
    devices = [option_checks.device("devices", name) for name in params["devices"]]
    pod_cidrs = option_checks.networks("pod_cidrs", params["pod_cidrs"])
    families = forwarding.families_of(pod_cidrs)
    without_ipv6 = bool(pod_cidrs) and 6 not in families and not params["ipv6_link_local"]
    return forwarding.healed_sysctls(bridge, devices, families, without_ipv6)


def _settings(module: AnsibleModule) -> KernelSettings:
    params = module.params
    for name in params["modules"]:
        if not re.match(r"[A-Za-z0-9_-]+\Z", name):
            raise ConvergeError("modules: %r is not the name of a kernel module such as br_netfilter" % name)
    wanted = params["state"] == "present"
    return KernelSettings(
        modules=kernel_modules.Modules(module.run_command, module.get_bin_path),
        sysctls=_sysctls(module) if wanted else {},
        names=params["modules"] if wanted else [],
        bridge_sysctls=_bridge_sysctls(params) if wanted else {},
        bridge_addresses=forwarding.bridge_addresses(params["bridge"], params["pod_cidrs"]) if wanted else [],
        paths={name: params[name + "_file"] for name in ("sysctl", "modules", "bridge", "before")},
        warn=params["warn"],
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "plan": {"type": "str"},
            "pod_cidrs": {"type": "list", "elements": "str", "default": []},
            "bridge": {"type": "str", "default": "humanz-cni0"},
            "ipv6_link_local": {"type": "bool", "default": False},
            "neighbours": {"type": "int", "default": 0},
            "next_hops": {"type": "list", "elements": "str", "default": []},
            "devices": {"type": "list", "elements": "str", "default": []},
            "masquerade": {"type": "bool", "default": False},
            "uplink": {"type": "str", "default": ""},
            "sysctls": {"type": "dict"},
            "modules": {"type": "list", "elements": "str", "default": ["br_netfilter"]},
            "warn": {"type": "bool", "default": True},
            "sysctl_file": {"type": "path", "default": "/etc/sysctl.d/99-humanz-cni.conf"},
            "modules_file": {"type": "path", "default": "/etc/modules-load.d/humanz-cni.conf"},
            "bridge_file": {"type": "path", "default": "/etc/humanz-cni/sysctl"},
            "before_file": {"type": "path", "default": "/etc/humanz-cni/sysctl.before.json"},
        },
        supports_check_mode=True,
    )
    converge(module, _settings)


if __name__ == "__main__":
    main()
