# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line per operation, in systemd's journal or in a file. Nothing here can make an operation fail, or wait.

Keys of the configuration: ``logFile``, a path, takes the journal's place; ``logLevel`` is ``info``, ``debug``, which
adds the request as it was parsed, or ``off``. The journal is one datagram away, in the form of its native protocol.
"""

from __future__ import annotations

import _socket
import posix
import time

from .primitives import files, jsontext
from .protocol import cni_args
from .protocol.errors import TRY_AGAIN_LATER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .protocol.errors import CNIError
    from .protocol.request import Request

    Fields = dict[str, str | int]  # of a line, by the journal's names

JOURNAL = "/run/systemd/journal/socket"
_ERROR, _WARNING, _INFO, _DEBUG = 3, 4, 6, 7  # priorities of syslog(3)
# Bytes of a line; of another field a quarter. What is beyond is cut off, or a datagram would not hold it.
_LONGEST = 65536
_FLAGS = (
    posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_CLOEXEC | posix.O_NOFOLLOW | posix.O_NONBLOCK
    | posix.O_NOCTTY
)  # fmt: skip


def operation(request: Request, started: float, addresses: Iterable[str] = (), error: CNIError | None = None) -> None:
    """Log what became of *request*.

    :param started: ``time.monotonic()`` at the start.
    :param addresses: texts: those that were given or released.
    :param error: the CNIError that it failed with, or None.
    """
    try:
        level = (request.conf or {}).get("logLevel")
        # A runtime may ask for STATUS every few seconds.
        if level == "off" or (request.command == "STATUS" and not error and level != "debug"):
            return
        lines = [_outcome(request, time.monotonic() - started, addresses, error)]
        if level == "debug":
            lines.append(_request(request))
        _write(request.conf or {}, lines)
    except Exception:  # whatever it is, the operation is done and its outcome printed
        return


def warning(request: Request, text: str) -> None:
    """Log the warning *text*, which does not make *request* fail."""
    try:
        conf = request.conf
        if conf.get("logLevel") != "off":
            message = "%s network=%s %s" % (request.command, conf["name"], text)
            line: Fields = {"MESSAGE": message, "PRIORITY": _WARNING, "CNI_COMMAND": request.command}
            _write(conf, [dict(line, CNI_NETWORK=conf["name"])])
    except Exception:  # as above
        return


def _write(conf: dict[str, Any], lines: list[Fields]) -> None:
    path = conf.get("logFile")
    if files.is_path(path):
        _to_file(path, lines)
    else:
        _to_journal(lines)


def _outcome(request: Request, seconds: float, addresses: Iterable[str], error: CNIError | None) -> Fields:
    """Return the fields of the line about the outcome, by the journal's names."""
    pod = cni_args.pod(request.args)
    given = ",".join(addresses)
    name = str((request.conf or {}).get("name"))
    said = "ok %s" % given
    if error:
        said = "error=%d %s" % (error.code, error.message)
        said += " (%s)" % error.details if error.details else ""
    message = "%s network=%s container=%s ifname=%s pod=%s ms=%.1f %s" % (
        request.command, name, request.container_id, request.ifname, pod, seconds * 1000, said,
    )  # fmt: skip
    return {
        "MESSAGE": message.rstrip(),
        "PRIORITY": _INFO if not error else _WARNING if error.code == TRY_AGAIN_LATER else _ERROR,
        "CNI_COMMAND": request.command,
        "CNI_NETWORK": name,
        "CNI_CONTAINERID": request.container_id,
        "CNI_IFNAME": request.ifname,
        "CNI_NETNS": request.netns,
        "CNI_POD": pod,
        "CNI_ADDRESSES": given,
        "CNI_CODE": error.code if error else 0,
        "CNI_DURATION_USEC": int(seconds * 1e6),
    }


def _request(request: Request) -> Fields:
    """Return the fields of the line that has the request."""
    parsed = {
        "containerID": request.container_id, "netns": request.netns, "ifname": request.ifname, "args": request.args,
        "path": request.path, "netnsOverride": request.netns_override, "conf": request.conf,
    }  # fmt: skip
    message = "%s request %s" % (request.command, jsontext.encode(parsed))
    return {"MESSAGE": message, "PRIORITY": _DEBUG, "CNI_COMMAND": request.command}


def _to_journal(lines: list[Fields]) -> None:
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        for fields in lines:
            text = "".join(
                "%s=%s\n" % (name, _one_line(value, _LONGEST if name == "MESSAGE" else _LONGEST // 4))
                for name, value in fields.items()
                if value != ""
            )
            sock.sendto(("SYSLOG_IDENTIFIER=humanz-cni\n" + text).encode("utf-8", "replace"), JOURNAL)
    finally:
        sock.close()


def _to_file(path: str, lines: list[Fields]) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    text = "".join("%s %s\n" % (stamp, _one_line(fields["MESSAGE"])) for fields in lines)
    descriptor = posix.open(path, _FLAGS, 0o644)
    try:
        if posix.fstat(descriptor).st_nlink == 1:  # by another name it may be a file of somebody else
            files.write_all(descriptor, text.encode("utf-8", "replace"))
    finally:
        posix.close(descriptor)


def _one_line(value: object, longest: int = _LONGEST) -> str:
    """Return *value* as text of one line that no terminal takes for commands, with at most *longest* bytes."""
    text = str(value)[:longest]
    if not text.isprintable():
        text = "".join(one if one.isprintable() else " " for one in text)
    return text if text.isascii() else text.encode("utf-8", "replace")[:longest].decode("utf-8", "ignore")
