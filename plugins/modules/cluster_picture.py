#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a picture of the pod network: documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_picture
short_description: Write a picture of the pod network as one HTML page
version_added: 0.1.0
description:
  - Writes one HTML page on the controller. It shows what fails and why, which nodes to look at, the nodes and their
    next hops by network, who reaches whom, and of each node its pods' networks, the use of its address pool, its
    routes, and what differs from the plan.
  - The page is self-contained. It has no script, loads nothing, and its Content-Security-Policy forbids both.
  - Nothing in it tells the time, so that the same network gives the same page, and a change means that the
    network has changed. The file's own date is always that of the last run.
  - Runs on the controller only, once for all hosts. The role P(humanz.cni.verify#role) shows the order of tasks.
options:
  path:
    description: The page's file on the controller. It is replaced atomically, and keeps its permissions; missing
      directories are made.
    type: path
    required: true
  svg:
    description: A file on the controller for the drawing of the nodes alone, as SVG. None by default.
    type: path
  table:
    description: The RV(humanz.cni.pod_reachability#module:file) that M(humanz.cni.pod_reachability) wrote with
      O(humanz.cni.pod_reachability#module:stage=table).
    type: path
    required: true
  plan:
    description:
      - The path, on the controller, of the cluster's plan as returned by M(humanz.cni.cluster_plan).
      - Without it, the page knows neither next hops nor pod CIDRs.
    type: path
  plan_error:
    description: Why there is no O(plan). The page says it then.
    type: str
  results:
    description: The name under which every host registered the result of M(humanz.cni.pod_network_info).
    type: str
    required: true
attributes:
  check_mode:
    description: Says whether the files would change, and writes none.
    support: full
  diff_mode:
    description: Shows what changes in files that are not too long for that.
    support: full
  platform:
    description: Target OS or families that can be operated against.
    support: full
    platforms: posix
requirements:
  - jinja2, on the controller, which ansible-core brings
seealso:
  - module: humanz.cni.cluster_plan
  - module: humanz.cni.pod_network_info
  - module: humanz.cni.pod_reachability
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Read the network state of every node
  humanz.cni.pod_network_info:
    plan: "{{ cluster.plan }}"
    tables: false
  register: node

- name: Write the picture of the network
  humanz.cni.cluster_picture:
    path: pod-network.html
    svg: pod-network.svg
    table: "{{ reachability.file }}"
    plan: "{{ cluster.plan }}"
    results: node
  run_once: true
"""

RETURN = r"""
path:
  description: The page's file on the controller, in full.
  returned: success
  type: str
  sample: /home/operator/cluster/pod-network.html
svg:
  description: The drawing's file on the controller, in full.
  returned: success with O(svg)
  type: str
  sample: /home/operator/cluster/pod-network.svg
headline:
  description: What the page says first.
  returned: success
  type: str
  sample: All is well
"""

from ansible.module_utils.basic import AnsibleModule

OPTIONS = {
    "path": {"type": "path", "required": True},
    "svg": {"type": "path"},
    "table": {"type": "path", "required": True},
    "plan": {"type": "path"},
    "plan_error": {"type": "str"},
    "results": {"type": "str", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    module.fail_json(msg="humanz.cni.cluster_picture runs on the controller: its action plugin was not found")


if __name__ == "__main__":
    main()
