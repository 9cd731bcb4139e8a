# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The executable's entry: one request in, one JSON document or nothing out, one exit status."""

from __future__ import annotations

import posix
import sys
import time

from . import __version__
from .primitives import files, jsontext, signals
from .protocol import request, versions
from .protocol.errors import INTERNAL, INVALID_ENVIRONMENT, CNIError, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_STDIN, _STDOUT, _STDERR = 0, 1, 2

# command -> (module with run(request, finish), which may return addresses that it released; the oldest version of the
# configuration that allows it)
_COMMANDS = {
    "ADD": ("commands.add", None),
    "DEL": ("commands.delete", None),
    "CHECK": ("commands.check", "0.4.0"),
    "GC": ("commands.gc", "1.1.0"),
    "STATUS": ("commands.status", "1.1.0"),
}


def main() -> None:
    """Run the plugin and end the process, without Python's own leisurely end."""
    status = 1
    try:
        started = time.monotonic()
        _open_standard_streams()
        posix.umask(0o022)
        status = run(posix.environ, started)
    finally:
        posix._exit(status)


def run(environ: Mapping[bytes, bytes], started: float) -> int:
    """Carry out the request of *environ* and standard input; return the exit status."""
    if not environ.get(b"CNI_COMMAND"):
        _about()
        return 0
    asked: request.Request | None = None
    try:
        asked = request.from_environment(environ)
        if asked.command != "VERSION":
            asked.read_conf(lambda: files.read_all(_STDIN))
        return _carry_out(asked, started)
    except CNIError as exc:
        error = exc
    except BaseException as exc:  # whatever it is, the runtime gets one JSON document
        error = _unforeseen(exc)
    signals.ignore()
    _print(error.document(asked.cni_version if asked else versions.NEWEST))
    if asked:
        _load("log").operation(asked, started, error=error)
    return 1


def _carry_out(asked: request.Request, started: float) -> int:
    if asked.command == "VERSION":
        _print({"cniVersion": _version_asked(), "supportedVersions": list(versions.SUPPORTED)})
        return 0
    if asked.command not in _COMMANDS:
        raise CNIError(INVALID_ENVIRONMENT, "unknown CNI_COMMAND: %s" % asked.command)
    module, oldest = _COMMANDS[asked.command]
    if oldest:
        versions.require_allowed(asked.command, oldest, asked.cni_version)
    versions.require_supported(asked.cni_version)
    signals.watch()
    addresses: list[str] = []

    def finish(result: dict[str, Any]) -> None:
        addresses.extend(ip["address"] for ip in result.get("ips", ()))
        signals.check()
        signals.ignore()
        if asked.cni_version in versions.WITHOUT_INTERFACES:
            result = _load("protocol.result_020").written(result)
        _print(result)

    addresses.extend(_load(module).run(asked, finish) or ())
    signals.ignore()
    _load("log").operation(asked, started, addresses)
    return 0


def _load(module: str) -> Any:
    return __import__("%s.%s" % (__package__, module), fromlist=["run"])


def _version_asked() -> str:
    """Return the cniVersion that standard input has for VERSION, which may also come without any."""
    try:
        conf = jsontext.decode(_read_what_comes())
        version: str = conf["cniVersion"]
        versions.parse(version)
        return version
    except (OSError, ValueError, KeyError, TypeError, AttributeError, CNIError):
        return versions.NEWEST


def _read_what_comes() -> bytes:
    """Return standard input until it pauses for a tenth of a second: for VERSION it may be left open.

    Its first byte has a second: whoever starts this on a busy machine may come to write late, and finds no reader then.
    """
    import select

    poll = select.poll()
    poll.register(_STDIN, select.POLLIN)
    data = b""
    while poll.poll(100 if data else 1000) and len(data) <= files.LARGEST:
        piece = posix.read(_STDIN, 65536)
        if not piece:
            break
        data += piece
    return data


def _about() -> None:
    supported = ", ".join(versions.SUPPORTED)
    text = "CNI plugin humanz-cni v%s\nCNI protocol versions supported: %s\n" % (__version__, supported)
    files.write_all(_STDERR, text.encode("ascii"))


def _print(document: dict[str, Any]) -> None:
    files.write_all(_STDOUT, jsontext.encode(document).encode("ascii") + b"\n")


def _unforeseen(exc: BaseException) -> CNIError:
    """Return the CNIError for the exception *exc*, which nobody foresaw; its traceback goes to standard error."""
    if isinstance(exc, (signals.Terminated, KeyboardInterrupt)):
        return CNIError(INTERNAL, "terminated by a signal before it was done")
    sys.excepthook(type(exc), exc, exc.__traceback__)
    what = "%s: %s" % (type(exc).__name__, exc)
    if isinstance(exc, OSError) and exc.errno:
        what = "%s: %s" % (exc.filename or "the kernel refuses a request", words(exc))
    return CNIError(INTERNAL, what, "humanz-cni v%s" % __version__)


def _open_standard_streams() -> None:
    """Fill closed descriptors 0 to 2, so that no file opened later takes their place and gets what is printed.

    A result that nobody can get must not count as printed: the place of standard output is not for writing.
    """
    for descriptor in range(3):
        try:
            posix.fstat(descriptor)
        except OSError:
            posix.open("/dev/null", posix.O_RDONLY if descriptor == _STDOUT else posix.O_RDWR)
