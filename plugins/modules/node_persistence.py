#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a node's routes and rules back at boot, and whenever something has removed them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_persistence
short_description: Put a node's routes and rules back at boot, and when something has removed them
version_added: 0.1.0
description:
  - Installs C(heal.py) in O(library_dir), a program that reads C(/etc/humanz-cni/routes) and
    C(/etc/humanz-cni/rules.*) and puts back what is missing of them, by C(ip) and C(iptables-restore). It never
    prunes, never overwrites a route of anybody else, and neither writes nor says anything when nothing is missing.
  - The program also gives kernel parameters their value again, those that are in C(/etc/humanz-cni/sysctl).
  - The unit C(humanz-cni.service) runs it at boot, before kubelet, k3s, RKE2, containerd, CRI-O and Docker start. It
    waits for the address that the routes need, for up to 30 seconds, and not until the machine is online.
  - Fails before it changes anything if one of these units would close a cycle of units that each start after the next,
    as systemd leaves one of them out at boot then, such as a firewall.
  - The units C(humanz-cni-heal.timer) and C(humanz-cni-heal.path) have C(check.py) there run it
    regularly, and whenever systemd-networkd, NetworkManager or ifupdown write down what became of the interface to the
    other nodes, or firewalld or ufw have changed rules. C(humanz-cni-heal.service) is started along with services that
    empty or reorder rules when they start, such as nftables, and reports what cannot be put back. None of them is a
    daemon.
  - Where systemd-networkd is installed, it is told to keep routes of other programs, from its next start on. Where
    NetworkManager is installed, it is told to leave the pods' bridge and veth pairs alone.
options:
  state:
    description:
      - V(present) keeps all this.
      - V(absent) stops and removes it, and nothing else. The routes and rules stay.
    type: str
    choices: [present, absent]
    default: present
  heal_interval:
    description:
      - The seconds between two regular repairs.
      - With V(0) there is no repair, neither regular nor after an event; routes and rules are still put back at boot.
    type: int
    default: 30
  interpreter:
    description:
      - The Python 3.8 or later that runs the program, with its standard library.
      - Must be an absolute path of letters, digits and C(_./+,:=@~-), as it stands in units.
    type: path
    default: /usr/bin/python3
  bridge:
    description: The bridge that this node's pods are attached to, which NetworkManager leaves alone.
    type: str
    default: humanz-cni0
  library_dir:
    description:
      - The directory of the programs. From one that was named before they are removed.
      - Must be an absolute path of letters, digits and C(_./+,:=@~-), as it stands in units.
    type: path
    default: /usr/local/lib/humanz-cni
  sbin_dir:
    description: The directory of C(humanz-cni-ctl), as in M(humanz.cni.cni_plugin), which the program calls.
    type: path
    default: /usr/local/sbin
  files:
    description:
      - The programs and the units, by their paths in C(files/host_network). The action plugin of the same name fills
        them in.
    type: dict
extends_documentation_fragment:
  - humanz.cni._attributes
requirements:
  - systemd
seealso:
  - name: Persistence and healing
    description: What heals when, and how to look at it.
    link: https://github.com/humanz/ansible-cni/blob/main/docs/persistence.md
  - module: humanz.cni.node_routes
  - module: humanz.cni.pod_firewall
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Put routes and rules back at boot and when something has removed them
  humanz.cni.node_persistence:

- name: Repair every five seconds
  humanz.cni.node_persistence:
    heal_interval: 5

- name: Put routes and rules back at boot only
  humanz.cni.node_persistence:
    heal_interval: 0

- name: Remove the units and the programs
  humanz.cni.node_persistence:
    state: absent
"""

RETURN = r"""
files:
  description: The files that are there, or would be.
  returned: success
  type: list
  elements: str
  sample:
    - /usr/local/lib/humanz-cni/heal.py
    - /etc/systemd/system/humanz-cni.service
units:
  description: The units that are enabled, or would be.
  returned: success
  type: list
  elements: str
  sample: [humanz-cni.service, humanz-cni-heal.service, humanz-cni-heal.timer, humanz-cni-heal.path]
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._cni import operator_command
from ..module_utils._node import boot_order, persistence
from ..module_utils._shared import option_checks
from ..module_utils._shared.converge import ConvergeError, converge


def _files(module: AnsibleModule) -> dict[str, str]:
    """Return ``{path: text}`` of the units and drop-ins. Raises ConvergeError for a bad option."""
    params = module.params
    if params["state"] == "absent":
        return {}
    if not params["files"]:
        raise ConvergeError("files is missing: run the module by its action plugin, as humanz.cni.node_persistence")
    persistence.require_interval("heal_interval", params["heal_interval"])
    interpreter = option_checks.quotable_path("interpreter", params["interpreter"])
    if not os.path.isfile(interpreter) or not os.access(interpreter, os.X_OK):
        raise ConvergeError("interpreter: %s does not exist or is not executable on this node" % interpreter)
    files = persistence.wanted_files(
        params["files"],
        interpreter,
        params["heal_interval"],
        option_checks.quotable_path("library_dir", params["library_dir"]),
    )
    bridge = option_checks.device("bridge", params["bridge"])
    if any(os.path.exists(path) for path in persistence.NETWORKD):
        files[persistence.NETWORKD_CONF] = persistence.networkd_text()
    if module.get_bin_path("NetworkManager"):
        files[persistence.NETWORKMANAGER_CONF] = persistence.networkmanager_text(bridge)
    return files


def _persistence_of(module: AnsibleModule) -> persistence.Persistence:
    systemctl = module.get_bin_path("systemctl") if os.path.isdir(persistence.SYSTEMD) else None
    if systemctl is None and module.params["state"] == "present":
        raise ConvergeError(
            "state: systemd does not run on this node, and would put routes and rules back: set it to absent "
            "(pod_network_persistence: false), and run humanz.cni.site for this node after each boot"
        )
    if systemctl and module.params["state"] == "present":
        cycles = boot_order.problems(module.run_command, systemctl)
        if cycles:
            raise ConvergeError("\n".join(cycles))
    files = _files(module)
    sbin_dir = option_checks.quotable_path("sbin_dir", module.params["sbin_dir"])
    command = os.path.join(sbin_dir, operator_command.NAME)
    programs = persistence.wanted_programs(module.params["files"], command) if files else {}
    return persistence.Persistence(module.run_command, systemctl, programs, files, module.params["library_dir"])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "heal_interval": {"type": "int", "default": 30},
            "interpreter": {"type": "path", "default": "/usr/bin/python3"},
            "bridge": {"type": "str", "default": "humanz-cni0"},
            "library_dir": {"type": "path", "default": "/usr/local/lib/humanz-cni"},
            "sbin_dir": {"type": "path", "default": "/usr/local/sbin"},
            "files": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    converge(module, _persistence_of)


if __name__ == "__main__":
    main()
