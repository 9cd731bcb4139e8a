# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run modules of this checkout as they run on a node, with arguments that are JSON on standard input.

With a module's name as argument, runs that one. Without, standard input is a socket, and each request on it runs one in
a process of its own, which is forked from this one and so need not import all that modules use: half of what they cost.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
from types import ModuleType
from typing import Any

from ansible.module_utils.testing import patch_module_args

from tests.support.netns.forked_python import REQUEST_BYTES, enter


def load(name: str) -> ModuleType:
    return importlib.import_module("ansible_collections.humanz.cni.plugins.modules." + name)


def run(name: str) -> None:
    module = load(name)
    with patch_module_args(json.load(sys.stdin)):
        module.main()


def serve() -> None:
    """Carry out requests until there are no more: JSON, with descriptors to answer on, and to be 0, 1 and 2."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    requests = socket.socket(fileno=0)
    while True:
        data, descriptors, _flags, _address = socket.recv_fds(requests, REQUEST_BYTES, 4)
        if not data:
            return
        request = json.loads(data)
        load(request["module"])  # for this one, and all that follow
        if os.fork() == 0:
            carry_out(request, *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def carry_out(request: dict[str, Any], answer: int, *streams: int) -> None:
    """Run the module, and have another process wait for it: what the module starts may outlive it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    module = os.fork()
    if module:
        os.write(answer, b"%d" % os.waitpid(module, 0)[1])
        os._exit(0)
    os.close(answer)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    enter(request["node"])
    run(request["module"])


if __name__ == "__main__":
    if sys.argv[1:]:
        run(sys.argv[1])
    else:
        serve()
