# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes, each for all tests of this one, that fork to run modules: see module_driver.py and forked_python.py."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import ROOT

DRIVER = ("-m", "tests.support.netns.module_driver")  # words for a Python, in the checkout
FORKED_PYTHON = Path(__file__).with_name("forked_python.py")
# Whatever else a Python is asked for, it does itself.
PYTHON = """\
#!/bin/sh
case "$1" in
  '' | */AnsiballZ_*.py) exec /usr/bin/python3 -IS {program} {socket} {node} "$1" ;;
esac
exec nsenter --target={node} --mount --net -- {python} "$@"
"""


class ModuleServer:
    """Runs modules by the tests' own Python; ends with the tests."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen([sys.executable, *DRIVER], cwd=ROOT, stdin=theirs.fileno())

    def run(
        self, module: str, arguments: str, node: int, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a module with *arguments*, JSON, in the namespaces of the process *node*; wait for its end."""
        request = {"module": module, "node": node, "environment": environment}
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(tempfile.TemporaryFile("w+")) for _name in ("stdin", "stdout", "stderr")]
            streams[0].write(arguments)
            streams[0].seek(0)
            ended, answer = os.pipe()
            stack.callback(os.close, ended)
            try:
                descriptors = [answer, *(stream.fileno() for stream in streams)]
                socket.send_fds(self._requests, [json.dumps(request).encode()], descriptors)
            finally:
                os.close(answer)
            status = os.read(ended, 16)
            for stream in streams[1:]:
                stream.seek(0)
            output, error = (stream.read() for stream in streams[1:])
        if not status:
            raise AssertionError(f"{module}: nobody runs modules any more")
        return subprocess.CompletedProcess([module], os.waitstatus_to_exitcode(int(status)), output, error)


class PythonServer:
    """Has Ansible's modules run by Pythons that are forked from one; ends with the tests."""

    def __init__(self) -> None:
        self._path = Path(tempfile.mkdtemp(prefix="forked-python-")) / "socket"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            listening.bind(str(self._path))
            listening.listen(64)
            number = listening.fileno()
            command = [sys.executable, str(FORKED_PYTHON), str(number)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[number])

    def python(self, node: int) -> str:
        """Return the text of a program that is a Python on the node of the process *node*."""
        return PYTHON.format(program=FORKED_PYTHON, socket=self._path, node=node, python=sys.executable)
