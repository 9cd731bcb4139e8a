#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove the addresses of former pod CIDRs from a node's bridge."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_bridge
short_description: Remove the bridge address of a former pod CIDR
version_added: 0.1.0
description:
  - Removes the addresses of former pod CIDRs from the pods' bridge, and with them the kernel's routes, and removes the
    CNI configuration that would attach further pods there. M(humanz.cni.cni_conf) writes the new one,
    and the plugin gives the bridge its new address with the next pod.
  - Refuses that while pods are attached, and says how to remove them.
  - Changes nothing where the node has its pod CIDRs already, or has no bridge yet.
options:
  pod_cidrs:
    description: The networks of this node's own pods, in CIDR notation. Needed, unless O(plan) is given.
    type: list
    elements: str
  pod_ranges:
    description:
      - The parts of O(pod_cidrs) that pods get addresses of, in CIDR notation. By default all of them.
      - If that was another part of the same pod CIDR until now, the bridge's address stays and gets the new prefix
        length. That needs no pod to end, unless it has an address outside of the new part.
    type: list
    elements: str
    default: []
  cluster_cidrs:
    description:
      - The networks that the cluster's pod CIDRs are parts of, in CIDR notation.
      - What the bridge has of them is of a pod CIDR, also where no CNI configuration of this collection says so. No
        other address of the bridge is ever removed.
    type: list
    elements: str
    default: []
  bridge:
    description: The pods' bridge, as in M(humanz.cni.cni_conf).
    type: str
    default: humanz-cni0
  name:
    description: The CNI network's name, as in M(humanz.cni.cni_conf).
    type: str
    default: humanz-cni
  conf_dir:
    description: The directory of CNI configurations, as in M(humanz.cni.cni_conf).
    type: path
    default: /etc/cni/net.d
extends_documentation_fragment:
  - humanz.cni._attributes
  - humanz.cni._plan
  - humanz.cni._pyroute2
seealso:
  - module: humanz.cni.cni_conf
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Remove the bridge address of a former pod CIDR
  humanz.cni.pod_bridge:
    plan: "{{ cluster.plan }}"

- name: Do so for a node whose pod CIDR is given here
  humanz.cni.pod_bridge:
    pod_cidrs:
      - 100.100.7.0/24
"""

RETURN = r"""
addresses:
  description: The addresses that were removed from the bridge, or would be.
  returned: success
  type: list
  elements: str
  sample: [100.100.1.1/24]
files:
  description: The CNI configurations that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/cni/net.d/10-humanz-cni-plugin.conflist]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._cni.old_bridge import OldNetwork
from ..module_utils._shared import option_checks
from ..module_utils._shared.converge import ConvergeError, converge
from ..module_utils._shared.kernel import require_pyroute2


def _old_network(module: AnsibleModule) -> OldNetwork:
    params = module.params
    pod_cidrs = option_checks.networks("pod_cidrs", params["pod_cidrs"] or [])
    if not pod_cidrs:
        raise ConvergeError("pod_cidrs: at least one network of this node's pods is needed, such as 100.100.0.0/24")
    bridge = option_checks.device("bridge", params["bridge"])
    name = option_checks.network_name("name", params["name"])
    cluster_cidrs = option_checks.networks("cluster_cidrs", params["cluster_cidrs"])
    pod_ranges = option_checks.networks("pod_ranges", params["pod_ranges"])
    return OldNetwork(module.run_command, bridge, pod_cidrs, cluster_cidrs, name, params["conf_dir"], pod_ranges)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "pod_cidrs": {"type": "list", "elements": "str"},
            "pod_ranges": {"type": "list", "elements": "str", "default": []},
            "cluster_cidrs": {"type": "list", "elements": "str", "default": []},
            "plan": {"type": "str"},
            "pyroute2_archive": {"type": "path"},
            "bridge": {"type": "str", "default": "humanz-cni0"},
            "name": {"type": "str", "default": "humanz-cni"},
            "conf_dir": {"type": "path", "default": "/etc/cni/net.d"},
        },
        supports_check_mode=True,
    )
    require_pyroute2(module)
    converge(module, _old_network)


if __name__ == "__main__":
    main()
