# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules after node_preflight would refuse on a node, and the plan cannot know. Reads only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .._cni import library
from .._node import boot_order, persistence
from .._routing import static_routes
from .._shared import marked_files, option_checks
from .._shared.converge import ConvergeError
from . import kernel_features
from .places import MARKED_FILES

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Optional

    from .._shared.converge import RunCommand

    FindCommand = Callable[[str], Optional[str]]


def found(options: dict[str, Any], run: RunCommand, find_command: FindCommand) -> list[str]:
    """Return a text for each refusal.

    :param options: those of node_preflight.
    :param run: AnsibleModule.run_command.
    :param find_command: returns the path of a command, or None.
    """
    systemctl = find_command("systemctl") if os.path.isdir(persistence.SYSTEMD) else None
    checks: list[Callable[[], object]] = [
        lambda: static_routes.require_protocol(options["protocol"]),
        lambda: library.Interpreter(options["interpreter"], run, "pod_network_python_interpreter"),
        lambda: option_checks.absolute_path("pod_network_log_file", options["log_file"]),
        lambda: option_checks.directories(options, "pod_network_"),
        lambda: option_checks.quotable_path("pod_network_library_dir", options["library_dir"]),
        lambda: option_checks.quotable_path("pod_network_sbin_dir", options["sbin_dir"]),
        lambda: persistence.require_interval("pod_network_heal_interval", options["heal_interval"]),
        *(functools.partial(marked_files.read, path) for path in MARKED_FILES),
        lambda: persistence.Persistence(run, systemctl, {}, {}, options["library_dir"]).read(),
    ]
    texts = [text for check in checks for text in _refusal(check)]
    texts += _places(options) + kernel_features.problems(options, run, find_command)
    return texts + (_units(run, systemctl) if options["persistence"] else [])


def _refusal(check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except ConvergeError as exc:
        yield str(exc)


def _places(options: dict[str, Any]) -> list[str]:
    path, sbin_dir = options["cni_bin_dir"], options["sbin_dir"]
    if os.path.realpath(path) != os.path.realpath(sbin_dir):
        return []
    return ["pod_network_sbin_dir %s: is pod_network_cni_bin_dir, where only plugins belong: name another" % sbin_dir]


def _units(run: RunCommand, systemctl: str | None) -> list[str]:
    if systemctl is None:
        return [
            "pod_network_persistence true: systemd does not run on this node, so that nothing would put routes and "
            "rules back: set it to false, and run humanz.cni.site for this node after each boot"
        ]
    try:
        return boot_order.problems(run, systemctl)
    except ConvergeError as exc:
        return [str(exc)]
