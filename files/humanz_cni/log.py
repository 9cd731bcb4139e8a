# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line per operation in a file, if the configuration names one. Nothing here can make an operation fail."""

import posix
import time

from . import arguments, disk

_FLAGS = (
    posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_CLOEXEC | posix.O_NOFOLLOW | posix.O_NONBLOCK
    | posix.O_NOCTTY
)  # fmt: skip


def operation(request, started, outcome):
    """Append what became of *request* to the file that key ``logFile`` names.

    :param started: ``time.monotonic()`` at the start.
    :param outcome: addresses, or an error's code and message.
    """
    path = request.conf.get("logFile")
    if not isinstance(path, str) or not path.startswith("/"):
        return
    fields = (
        time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        request.command,
        "network=%s" % request.network,
        "container=%s" % request.container_id,
        "ifname=%s" % request.ifname,
        "pod=%s" % arguments.pod(request.args),
        "ms=%.1f" % ((time.monotonic() - started) * 1000),
        outcome,
    )
    line = " ".join(fields).replace("\n", " ") + "\n"
    try:
        descriptor = posix.open(path, _FLAGS, 0o644)
        try:
            disk.write_all(descriptor, line.encode("utf-8", "replace"))
        finally:
            posix.close(descriptor)
    except (OSError, ValueError):
        return
