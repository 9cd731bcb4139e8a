# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the node's kernel lacks of what the pod network needs: types of interfaces, rules, br_netfilter.

What the kernel has, or could load, is there. The rest is tried, in a network namespace that ends with the trial.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import errno
import subprocess
import types
from typing import TYPE_CHECKING, Any, cast

from .._firewall import backends
from .._node import kernel_modules
from .._shared import files, netns
from .._shared.converge import ConvergeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Optional

    from ansible.module_utils.basic import AnsibleModule

    from .._shared.converge import RunCommand

    FindCommand = Callable[[str], Optional[str]]

NET_ADMIN = 12  # the capability's number
BR_NETFILTER = "br_netfilter"
TRIED = "humanz-probe0"
# Kinds of interfaces, which are the names of modules too, with the words that make one.
KINDS = {"bridge": [], "veth": [], "vxlan": ["id", "1", "dstport", "4789"]}


def problems(options: dict[str, Any], run: RunCommand, find_command: FindCommand) -> list[str]:
    """Return a text for each feature that is missing.

    :param options: those of node_preflight.
    :param run: AnsibleModule.run_command.
    :param find_command: returns the path of a command, or None.
    """
    found = []
    if not kernel_modules.is_loaded(BR_NETFILTER):
        why = _unloadable(BR_NETFILTER, run, find_command)
        remedy = "install kmod" if find_command("modprobe") is None else "boot a kernel that has it"
        found += ["kernel module %s: %s: %s" % (BR_NETFILTER, why, remedy)] if why else []
    if not _may_try():
        return found
    try:
        with netns.apart():
            return found + _without_kinds(options, run, find_command) + _refused_rules(options, find_command)
    except PermissionError:
        return found
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        return [
            *found,
            "this node cannot create another network namespace, and each pod needs one: raise user.max_net_namespaces",
        ]


def _may_try() -> bool:
    """Return whether this process has CAP_NET_ADMIN; without it, the kernel refuses what it does have."""
    status = files.read_text("/proc/thread-self/status") or ""
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> NET_ADMIN & 1)


def _unloadable(module: str, run: RunCommand, find_command: FindCommand) -> str | None:
    """Return why the *module*, which is not loaded, cannot be, or None. Loads nothing."""
    modprobe = find_command("modprobe")
    if modprobe is None:
        return "is not loaded, and this node has no modprobe"
    status, _output, error = run([modprobe, "--dry-run", module])
    return "cannot be loaded (%s)" % error.strip() if status else None


def _without_kinds(options: dict[str, Any], run: RunCommand, find_command: FindCommand) -> list[str]:
    takers = dict.fromkeys(("bridge", "veth"), "pods need it: boot a kernel that has it")
    if options["vxlan_device"]:
        takers["vxlan"] = (
            "pod_network_cross_subnet vxlan needs it: boot a kernel that has it, or put all nodes on one network and "
            "set it to none"
        )
    return [
        "this node's kernel does not support interfaces of type %s (%s), and %s" % (kind, why, taker)
        for kind, taker in takers.items()
        for why in [missing(kind, KINDS[kind], run, find_command)]
        if why
    ]


def missing(kind: str, words: list[str], run: RunCommand, find_command: FindCommand) -> str | None:
    """Return why the kernel makes no interface of the *kind*, or None. It is made where this runs, and deleted."""
    ip = find_command("ip")
    if ip is None or kernel_modules.is_loaded(kind) or _unloadable(kind, run, find_command) is None:
        return None
    status, _output, error = run([ip, "link", "add", TRIED, "type", kind, *words])
    if status:
        return " ".join(error.split())
    run([ip, "link", "delete", TRIED])
    return None


def _refused_rules(options: dict[str, Any], find_command: FindCommand) -> list[str]:
    """Try the rules themselves, as which modules they need depends on the kernel and on the command's release."""
    names = ("pod_cidrs", "bridge", "uplink", "masquerade", "backend")
    params = dict(
        {name: options[name] for name in names},
        vxlan_peers=options["vxlan_peers"][:1],
        **{"state": "present", "plan": None, "state_dir": "/etc/humanz-cni", "vxlan_port": 4789, "random_fully": True},
        **{"masquerade_ipv6": None, "non_masquerade_cidrs": options["cluster_cidrs"], "allowed_sources": []},
    )
    node = types.SimpleNamespace(params=params, run_command=_run, get_bin_path=find_command)
    try:
        firewall = backends.firewall(cast("AnsibleModule", node))
    except ConvergeError:  # a command or an option, which others have named
        return []
    try:
        firewall.try_rules()
    except ConvergeError as exc:
        return [
            "pod_network_firewall_backend %s: this node's kernel does not support the rules for pods (%s): boot one "
            "that does, or choose another" % (options["backend"], " ".join(str(exc).split()))
        ]
    return []


def _run(command: list[str], data: str | None = None) -> tuple[int, str, str]:
    """Run a command as AnsibleModule.run_command does, but also one that ends before it has read *data*."""
    done = subprocess.run(command, input=data, capture_output=True, text=True, errors="replace", check=False)
    return done.returncode, done.stdout, done.stderr
