#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the CNI plugin on a node, or remove it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cni_plugin
short_description: Install the humanz-cni plugin on a node
version_added: 0.1.0
description:
  - Puts the CNI plugin C(humanz-cni) into the node's CNI bin directory, and the Python package that it runs into a
    directory of its own, with bytecode for the interpreter that was found fit for it.
  - Proves the plugin by calling C(VERSION) before and after it is put into place.
  - Where the interpreter cannot start the plugin fast, such as a CPython that is newer than this collection, the plugin
    starts in a slower way; see RV(start).
  - The executable is replaced by a rename, so that every call of a container runtime finds the old version or the new
    one, also if the installation is interrupted. The version before stays on the node until the next installation.
  - An unchanged plugin is verified, file by file, and not written.
  - Beside it comes C(humanz-cni-ctl), by which an operator on the node sees and cleans up address reservations.
options:
  state:
    description:
      - V(present) installs the plugin.
      - V(absent) removes it, its command, its library, its records, its bridge where no port of anybody else is left,
        and the directories that it was put into if they were missing before and nobody else has put anything there.
    type: str
    choices: [present, absent]
    default: present
  cni_bin_dir:
    description: The directory in which the container runtime looks for CNI plugins.
    type: path
    default: /opt/cni/bin
  library_dir:
    description:
      - The directory in which the versions of the plugin's Python package are kept.
      - From one that was named before they are removed as soon as no process uses them; with O(state=absent) from both.
    type: path
    default: /usr/local/lib/humanz-cni
  sbin_dir:
    description:
      - The directory of the operator's command C(humanz-cni-ctl). It should be on the search path of root.
      - It must not be O(cni_bin_dir), where runtimes expect plugins only.
    type: path
    default: /usr/local/sbin
  interpreter:
    description:
      - The Python that runs the plugin, CPython 3.8 or newer, with its standard library.
      - It should be one that the distribution keeps in place when it is upgraded.
      - Must be an absolute path of letters, digits and C(_./+,:=@~-), as it stands in scripts.
    type: path
    default: /usr/bin/python3
  data_dir:
    description: With O(state=absent), the directory in which the plugin keeps reserved addresses.
    type: path
    default: /run/humanz-cni
  conf_dir:
    description:
      - With O(state=absent), the directory of CNI configurations.
      - What the plugin keeps in another directory than O(data_dir), because one of its configurations says so, is
        removed as well.
    type: path
    default: /etc/cni/net.d
  force:
    description:
      - With O(state=absent), whether to delete the interfaces of pods that are still attached, and their records.
      - Otherwise the module fails and names them.
    type: bool
    default: false
  source:
    description:
      - The plugin's source, compressed. The action plugin of the same name fills it in.
    type: str
extends_documentation_fragment:
  - humanz.cni._attributes
notes:
  - The plugin itself needs no package beside Python, and no daemon.
seealso:
  - name: Who has which address
    description: The command humanz-cni-ctl, which comes with the plugin.
    link: https://github.com/humanz/ansible-cni/blob/main/docs/operator-command.md
  - module: humanz.cni.cni_conf
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Install the plugin
  humanz.cni.cni_plugin:

- name: Install the plugin for Debian's containerd, to be run by another Python
  humanz.cni.cni_plugin:
    cni_bin_dir: /usr/lib/cni
    interpreter: /usr/bin/python3.12

- name: Remove the plugin, also from under running pods
  humanz.cni.cni_plugin:
    state: absent
    force: true
"""

RETURN = r"""
path:
  description: The executable.
  returned: O(state=present)
  type: str
  sample: /opt/cni/bin/humanz-cni
command:
  description: The operator's command.
  returned: O(state=present)
  type: str
  sample: /usr/local/sbin/humanz-cni-ctl
version:
  description: The plugin's version.
  returned: O(state=present)
  type: str
  sample: 0.1.0
digest:
  description: What tells this source, compiled for this interpreter, from every other one.
  returned: O(state=present)
  type: str
  sample: 6a1f0c0e9b7d4c35
library:
  description: The directory of the plugin's Python package.
  returned: O(state=present)
  type: str
  sample: /usr/local/lib/humanz-cni/6a1f0c0e9b7d4c35
interpreter:
  description: The Python that runs the plugin.
  returned: O(state=present)
  type: str
  sample: /usr/bin/python3
python_version:
  description: Its version.
  returned: O(state=present)
  type: str
  sample: 3.11.2
start:
  description:
    - How the plugin starts, which was found by trying. The faster ways use what CPython has but does not promise.
    - V(early) is in place of the end of the interpreter's own start, as the supported CPython can from 3.11 on;
      V(bytecode) is by the launcher, from bytecode made at installation; V(sources) uses only what Python promises.
    - With a slower one than the Python's version should have, the module warns and says why.
  returned: O(state=present)
  type: str
  sample: early
"""

import base64
import json
import os
import zlib

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._cni.install import Plugin
from ..module_utils._cni.library import Interpreter, Library
from ..module_utils._cni.remove import NoPlugin
from ..module_utils._shared import option_checks
from ..module_utils._shared.converge import ConvergeError, converge


def _present(module: AnsibleModule) -> Plugin:
    params = module.params
    if not params["source"]:
        raise ConvergeError("source is missing: run the module by its action plugin, as humanz.cni.cni_plugin")
    option_checks.directories(params)
    packed = json.loads(zlib.decompress(base64.b64decode(params["source"])))
    if os.path.realpath(params["sbin_dir"]) == os.path.realpath(params["cni_bin_dir"]):
        raise ConvergeError(
            "sbin_dir: %s is cni_bin_dir, where only plugins belong: it should be one such as /usr/local/sbin"
            % params["sbin_dir"]
        )
    files = {name: text.encode("utf-8") for name, text in packed.items()}
    interpreter = Interpreter(params["interpreter"], module.run_command)
    library = Library(files, interpreter, params["library_dir"], module.run_command)
    return Plugin(library, interpreter, params["cni_bin_dir"], params["sbin_dir"], module.run_command)


def _absent(module: AnsibleModule) -> NoPlugin:
    params = module.params
    return NoPlugin(
        bin_dir=params["cni_bin_dir"],
        sbin_dir=params["sbin_dir"],
        library_dir=params["library_dir"],
        data_dir=params["data_dir"],
        conf_dir=params["conf_dir"],
        force=params["force"],
        run=module.run_command,
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "cni_bin_dir": {"type": "path", "default": "/opt/cni/bin"},
            "library_dir": {"type": "path", "default": "/usr/local/lib/humanz-cni"},
            "sbin_dir": {"type": "path", "default": "/usr/local/sbin"},
            "interpreter": {"type": "path", "default": "/usr/bin/python3"},
            "data_dir": {"type": "path", "default": "/run/humanz-cni"},
            "conf_dir": {"type": "path", "default": "/etc/cni/net.d"},
            "force": {"type": "bool", "default": False},
            "source": {"type": "str"},
        },
        supports_check_mode=True,
    )
    converge(module, _present if module.params["state"] == "present" else _absent)


if __name__ == "__main__":
    main()
