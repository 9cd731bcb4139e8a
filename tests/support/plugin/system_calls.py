# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls of one operation of the plugin, and the operation sent a signal at a chosen one of them."""

from __future__ import annotations

import collections
import json
import re
import shutil
import subprocess
from typing import Any, NamedTuple

from tests.support.plugin.runtime import Outcome, Runtime

# They change the process' own memory only, and how often they come differs from run to run.
_OWN_MEMORY = {"brk", "mmap", "munmap", "mremap", "mprotect", "madvise"}
# Whatever they were asked, all is as it was before when the process has ended.
_READS = {
    *("close", "fcntl", "fstat", "getdents64", "getpid", "getrandom", "getsockname", "lseek", "newfstatat", "poll"),
    *("pread64", "read", "readlink", "recvfrom", "recvmsg", "rt_sigaction", "rt_sigprocmask"),
}
_CALL = re.compile(r"(\w+)\(")


class Call(NamedTuple):
    """The *number*-th call, from 1, of the system call *name*."""

    name: str
    number: int


def _strace() -> str:
    path = shutil.which("strace")
    assert path, "strace is needed to stop the plugin at a chosen system call"
    return path


def traced(
    runtime: Runtime, command: str, conf: dict[str, Any], options: list[str], container: str = "pod1"
) -> Outcome:
    """Carry out an operation under strace with *options*; a process ended by a signal has that as negative status."""
    environment = {
        "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_IFNAME": "eth0",
        "CNI_NETNS": f"/run/netns/{container}", "CNI_PATH": str(runtime.executable.parent),
    }  # fmt: skip
    *enter, executable = runtime.command(environment)
    done = subprocess.run(
        [*enter, _strace(), *options, executable], input=json.dumps(conf).encode(), capture_output=True, check=False
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def calls_of(runtime: Runtime, command: str, conf: dict[str, Any]) -> list[Call]:
    """Carry out an operation and return its calls, from where the interpreter opens the plugin's first file.

    What comes before is Python's own start, which knows nothing of the plugin yet.
    """
    assert traced(runtime, command, conf, ["-o", "/run/trace"]).status == 0
    installed = str(runtime.executable.parent.parent)
    count: collections.Counter[str] = collections.Counter()
    calls = []
    begun = False
    for line in runtime.node.run("cat", "/run/trace").stdout.splitlines():
        name = _CALL.match(line)
        if not name:
            continue
        count[name[1]] += 1
        begun = begun or (name[1] == "openat" and installed in line)
        if begun and name[1] not in _OWN_MEMORY:
            calls.append(Call(name[1], count[name[1]]))
    return calls


def after_changes(calls: list[Call]) -> list[Call]:
    """Return the calls that come after one which may have changed something, and the first.

    A process that is killed at any other leaves no more and no less than one that is killed at the call before.
    """
    return [call for before, call in zip([None, *calls], calls) if before is None or before.name not in _READS]


def interrupted(runtime: Runtime, command: str, conf: dict[str, Any], call: Call, signal: str) -> Outcome:
    """Carry out an operation that gets *signal* as it enters *call*; SIGKILL ends it before the call is made."""
    inject = f"inject={call.name}:signal={signal}:when={call.number}"
    return traced(runtime, command, conf, ["-o", "/dev/null", "-e", inject])
