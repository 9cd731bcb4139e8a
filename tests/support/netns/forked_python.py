# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs what Ansible sends to a node by Pythons that are forked from one which has imported what all modules use.

That spares them half of their time, most of which goes into compiling ansible.module_utils anew for every task. All of
this collection comes from what was sent. As a program: SOCKET NODE SCRIPT, which stands for a Python on the node whose
namespaces are those of the process NODE. Without SCRIPT it is read from standard input, as pipelining has it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import types

PRELOADED = (
    "ansible.module_utils.basic",
    "ansible.module_utils.common.locale",
    "ansible.module_utils._internal._ansiballz._loader",
    "ansible.module_utils._internal._json._profiles._module_legacy_c2m",
    "ansible.module_utils._internal._json._profiles._module_legacy_m2c",
    "pyroute2",
)
REQUEST_BYTES = 1 << 17  # the environment is most of it


def ask(path: str, node: int, script: str) -> int:
    """Have the server at *path* run *script* with the files and environment of this process; return the status."""
    umask = os.umask(0)
    request = {"node": node, "script": script, "environment": dict(os.environ), "umask": umask}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(path)
        socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
        return int(server.recv(16) or 1)


def serve(listening: socket.socket) -> None:
    """Carry out requests, each in a process of its own, for as long as standard input is open."""
    import contextlib
    import importlib
    import threading

    for name in PRELOADED:
        with contextlib.suppress(ImportError):  # each ansible-core has what it needs
            importlib.import_module(name)
    threading.Thread(target=lambda: os._exit(len(os.read(0, 1))), daemon=True).start()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        client, _address = listening.accept()
        if os.fork() == 0:
            listening.close()
            _carry_out(client)
            return
        client.close()


def _carry_out(client: socket.socket) -> None:
    """Run the script, and have another process wait for it: what the script starts may outlive it."""
    data, descriptors, _flags, _address = socket.recv_fds(client, REQUEST_BYTES, 3)
    request = json.loads(data)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    script = os.fork()
    if script:
        client.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(script, 0)[1]))
        os._exit(0)
    client.close()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.umask(request["umask"])
    enter(request["node"])
    sys.argv = [request["script"]]
    sys.path[0] = os.path.dirname(request["script"])
    if not request["script"]:
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        with open(0, "rb", closefd=False) as source:
            exec(compile(source.read(), "<stdin>", "exec"), main.__dict__)  # noqa: S102
        return

    import runpy

    runpy.run_path(request["script"], run_name="__main__")


def enter(node: int) -> None:
    """Enter the namespaces of the process *node*."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    # Both are opened first, as another /proc may be in there.
    namespaces = [os.open(f"/proc/{node}/ns/{kind}", os.O_RDONLY) for kind in ("net", "mnt")]
    for namespace in namespaces:
        if libc.setns(namespace, 0):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(namespace)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        sys.exit(ask(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
    serve(socket.socket(fileno=int(sys.argv[1])))
