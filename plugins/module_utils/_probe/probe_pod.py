# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe pods: a network namespace, attached as a container runtime would, that tells callers which address it sees.

A probe pod outlives the module that starts it, but not for long and not without its two processes: the *worker*
makes and serves it; the *guard* ends the worker when its time is over and removes the pod when the worker ends,
however it ends. If the guard itself is killed, the worker removes the pod. The record of a pod is written before the
first change, so that the next run can find and remove whatever is left after both were killed.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

from .._cni.invoke import PLUGIN_TIMEOUT, CniError, Runtime
from .._shared import files
from .._shared import netns as _netns
from .._shared.converge import ConvergeError
from .._shared.lock import Lock, LockError
from . import full_size

if TYPE_CHECKING:
    from typing import NotRequired, TypedDict

    from .._cni.invoke import Network

    class Guard(TypedDict):
        """A process; *started* in clock ticks after boot."""

        pid: int
        started: int | None

    class Pod(TypedDict):
        """A probe pod's record; *result* is ADD's, or None before that."""

        name: str
        network: Network
        cni_path: list[str]
        port: int
        guard: NotRequired[Guard]
        result: dict[str, Any] | None

    class Report(TypedDict, total=False):
        """What the worker tells the module: the pod, or the error and ConvergeError's facts."""

        pod: Pod
        error: str
        facts: dict[str, Any]


DIRECTORY = "/run/humanz-cni-probe"
PREFIX = "humanz-probe-"
PROCESS_NAME = b"humanz-probe"
PR_SET_NAME = 15  # linux/prctl.h
BACKLOG = 4096
LOCK_SECONDS = 2 * PLUGIN_TIMEOUT
_RELEASING = Lock("probe")  # one process at a time releases pods


def records() -> dict[str, Pod]:
    """Return the records of all probe pods of this node, by name.

    ``{"name", "network", "cni_path", "port", "guard": {"pid", "started"}, "result": ADD's result or None}``
    """
    try:
        names = sorted(os.listdir(DIRECTORY))
    except FileNotFoundError:
        return {}
    found = {name[: -len(".json")]: _read_record(name[: -len(".json")]) for name in names if name.endswith(".json")}
    return {name: record for name, record in found.items() if record}


def is_running(record: Pod) -> bool:
    """Return whether the guard of the pod *record* lives."""
    return _started(record["guard"]["pid"]) == record["guard"]["started"]


def addresses(result: dict[str, Any]) -> list[str]:
    """Return the addresses in a CNI *result*, without prefix lengths."""
    of_0_2_0 = [result[key]["ip"] for key in ("ip4", "ip6") if key in result]
    listed = [ip["address"] for ip in result.get("ips", [])]
    return [address.split("/")[0] for address in of_0_2_0 + listed]


def start(name: str, network: Network, cni_path: list[str], port: int, lifetime: int) -> Pod:
    """Make the probe pod *name*; return its record.

    :param network: as ``invoke.read_network`` returns it.
    :param port: TCP port on which the pod tells each caller the caller's address, as one line.
    :param lifetime: seconds after which it removes itself.
    Raises ConvergeError; then nothing of it is left.
    """
    stop(name)
    for leftover in [other for other, record in records().items() if not is_running(record)]:
        with contextlib.suppress(ConvergeError):
            release(leftover)
    pod: Pod = {"name": name, "network": network, "cni_path": cni_path, "port": port, "result": None}
    return _await_report(_launch(pod, lifetime))


def stop(name: str) -> bool:
    """Take the probe pod *name* away; return whether there was one. Raises ConvergeError."""
    record = _read_record(name)
    if record is None:
        return False
    if is_running(record):
        with contextlib.suppress(ProcessLookupError):  # its lifetime has just ended
            os.kill(record["guard"]["pid"], signal.SIGTERM)
        deadline = time.monotonic() + 2 * PLUGIN_TIMEOUT
        while is_running(record) and time.monotonic() < deadline:
            time.sleep(0.01)
    release(name)
    return True


def release(name: str) -> None:
    """Detach the pod *name* and remove its namespace and record; nothing there is no error.

    Raises ConvergeError if a plugin failed. The record of a pod that was attached then stays, for another try.
    """
    try:
        with _RELEASING.held(LOCK_SECONDS, "release of %s" % name):
            _release(name)
    except LockError as exc:
        raise ConvergeError("the probe pod %s cannot be removed: %s" % (name, exc), reason="probe_failed") from exc


def _release(name: str) -> None:
    record = _read_record(name)
    if record is None:
        return
    runtime = Runtime(record["network"], record["cni_path"], name, _netns.path_of(name))
    failure = None
    try:
        runtime.detach(record["result"])
    except CniError as exc:
        failure = exc
    _netns.delete(name)
    if failure is None or record["result"] is None:
        _remove_record(name)
    if failure:
        raise failure


def _record_path(name: str) -> str:
    return os.path.join(DIRECTORY, name + ".json")


def _read_record(name: str) -> Pod | None:
    text = files.read_text(_record_path(name))
    try:
        record: Pod | None = json.loads(text) if text else None
    except ValueError:
        return None
    return record


def _remove_record(name: str) -> None:
    files.remove(_record_path(name))
    with contextlib.suppress(OSError):  # another pod's record
        os.rmdir(DIRECTORY)


def _write_record(pod: Pod) -> None:
    files.write_text(_record_path(pod["name"]), json.dumps(pod), mode=0o600)


def _started(pid: int) -> int | None:
    """Return when the process *pid* was started, in clock ticks after boot, or None: a number may be used again."""
    try:
        text = files.read_text("/proc/%d/stat" % pid)
    except ProcessLookupError:  # it ended after the file was opened
        return None
    fields = text.rpartition(")")[2].split() if text else []
    return int(fields[19]) if fields and fields[0] != "Z" else None


def _launch(pod: Pod, lifetime: int) -> int:
    """Start guard and worker of *pod*; return the descriptor that the worker reports to."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        try:
            _become_daemon(keep=writing)
            _guard(pod, writing, lifetime)
        finally:
            os._exit(0)  # the module's own ending is not this process's
    os.waitpid(child, 0)
    os.close(writing)
    return reading


def _await_report(reading: int) -> Pod:
    with os.fdopen(reading, encoding="utf-8") as stream:
        text = stream.read()
    if not text:
        raise ConvergeError("the probe pod's process ended before the pod was attached", reason="probe_failed")
    report: Report = json.loads(text)
    if "error" in report:
        raise ConvergeError(report["error"], **report["facts"])
    return report["pod"]


def _become_daemon(keep: int) -> None:
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    for descriptor in [int(entry) for entry in os.listdir("/proc/self/fd")]:
        if descriptor > 2 and descriptor != keep:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(descriptor)
    ctypes.CDLL(None).prctl(PR_SET_NAME, PROCESS_NAME, 0, 0, 0)


def _guard(pod: Pod, report: int, lifetime: int) -> None:
    """Run the worker; remove the pod when it ends, at the latest after *lifetime* seconds."""
    pod["guard"] = {"pid": os.getpid(), "started": _started(os.getpid())}
    alive, alive_end = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.setpgid(0, 0)
        os.close(alive_end)
        try:
            _work(pod, report, alive)
        finally:
            os._exit(0)
    os.close(alive)
    os.close(report)
    with contextlib.suppress(OSError):  # the worker was faster, or has ended
        os.setpgid(worker, worker)

    def end_worker(*unused: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker, signal.SIGKILL)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, end_worker)
    signal.alarm(lifetime)
    os.waitpid(worker, 0)
    end_worker()  # a plugin that was still at work must not undo what follows
    with contextlib.suppress(ConvergeError):  # the record stays, for the next run
        release(pod["name"])


def _work(pod: Pod, report: int, alive: int) -> None:
    """Make the pod, write what became of it to *report*, and serve it until the guard is gone."""
    try:
        listeners = _make(pod)
        answer: Report = {"pod": pod}
    except (ConvergeError, OSError) as exc:
        listeners = []
        answer = {"error": _with_cleanup(pod["name"], exc), "facts": getattr(exc, "facts", {"reason": "probe_failed"})}
    with os.fdopen(report, "w", encoding="utf-8") as stream:
        json.dump(answer, stream)
    if listeners:
        _serve(listeners, alive)
        release(pod["name"])


def _with_cleanup(name: str, exc: Exception) -> str:
    try:
        release(name)
    except ConvergeError as cleanup:
        return "%s; and afterwards: %s" % (exc, cleanup)
    return str(exc)


def _make(pod: Pod) -> list[socket.socket]:
    """Attach the pod; return its listening sockets: for each family TCP, and for each of its addresses UDP."""
    netns = _netns.path_of(pod["name"])
    runtime = Runtime(pod["network"], pod["cni_path"], pod["name"], netns)
    runtime.require_plugins()
    _write_record(pod)
    _netns.add(pod["name"])
    pod["result"] = result = runtime.attach()
    _write_record(pod)
    families = {socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses(result)}
    if not families:
        raise CniError("ADD gave the pod no address: %s" % json.dumps(result), reason="plugin_failed")
    with _netns.inside(netns):
        datagrams = [full_size.listen(address, pod["port"]) for address in addresses(result)]
        return [_listen(family, pod["port"]) for family in families] + datagrams


def _listen(family: int, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind(("", port))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _serve(listeners: list[socket.socket], alive: int) -> None:
    """Answer every connection with the address it came from, every datagram in kind, until *alive* is closed."""
    with selectors.DefaultSelector() as selector:
        selector.register(alive, selectors.EVENT_READ)
        for listener in listeners:
            selector.register(listener, selectors.EVENT_READ, listener)
        while True:
            for key, _events in selector.select():
                if key.fileobj == alive:
                    return
                with contextlib.suppress(OSError):  # the caller went away
                    _answer(key.data)


def _answer(listener: socket.socket) -> None:
    if listener.type == socket.SOCK_DGRAM:
        full_size.answer(listener)
        return
    connection, peer = listener.accept()
    with connection:
        connection.setblocking(False)
        connection.sendall(("%s\n" % peer[0]).encode("ascii"))
