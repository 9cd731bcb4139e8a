#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin cluster_group."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_group
short_description: Find the inventory group of the cluster's nodes, and how many of them are changed at a time
version_added: 0.1.0
description:
  - Finds C(pod_network_group) and C(pod_network_serial) wherever the inventory has them, for the keywords C(hosts) and
    C(serial) of a play, which cannot use variables of hosts.
  - Fails if hosts have different values, and if the inventory has no such group or no host in it.
  - Runs on the controller only. No node is connected to, so use it with C(run_once), and with C(delegate_to) that names
    C(localhost), as the first host may be one that Ansible knows no way to.
options:
  group:
    description:
      - C(pod_network_group) as it is in the play.
      - A value that no host of the inventory has is that of the play, and wins. By default C(k8s_cluster).
    type: str
  serial:
    description: C(pod_network_serial) likewise. Each is a number of nodes, or a percentage of them.
    type: list
    elements: str
attributes:
  check_mode:
    description: Does the same in check mode.
    support: full
  diff_mode:
    description: Changes nothing, and so has no differences to show.
    support: none
  platform:
    description: What the controller runs.
    support: full
    platforms: posix
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Find the cluster's nodes
  hosts: all
  gather_facts: false
  tasks:
    - name: Find the inventory group of the nodes
      humanz.cni.cluster_group:
        group: "{{ pod_network_group | default(omit) }}"
        serial: "{{ pod_network_serial | default(omit) }}"
      register: found
      delegate_to: localhost
      run_once: true
"""

RETURN = r"""
group:
  description: The group. It has hosts.
  returned: success
  type: str
  sample: k8s_cluster
serial:
  description: How many nodes are changed at a time, batch by batch.
  returned: if somebody says so
  type: list
  elements: str
  sample: ["1", "25%", "100%"]
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={"group": {"type": "str"}, "serial": {"type": "list", "elements": "str"}},
        supports_check_mode=True,
    )
    module.fail_json(msg="humanz.cni.cluster_group runs on the controller: its action plugin was not found")


if __name__ == "__main__":
    main()
