# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses from another plugin, which ``ipam.type`` names: found in CNI_PATH and executed with this one's own input.

Specification, section 4; messages are those of containernetworking's ``invoke``.
"""

from __future__ import annotations

import _signal
import posix

from ..config import dns, prev_result, routes
from ..config.typed import address, field, number, parse_network
from ..primitives import files, jsontext, signals
from ..primitives.address import Address, Network
from ..protocol.errors import DECODING_FAILURE, INTERNAL, UNSUPPORTED_FIELD, CNIError, invalid_config, show
from .allocate import Assignment, Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..config.netconf import NetConf
    from ..kernel.route import Route
    from ..protocol.request import Request

_IGNORED = (_signal.SIGPIPE, _signal.SIGTERM, _signal.SIGINT)  # by this process, which a child must not inherit
_STDERR = 2


class Plugin:
    """The IPAM plugin that *request* names; CNIError 2 if CNI_PATH does not have it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._type = request.conf["ipam"]["type"]
        self._path = _find(self._type, request.path)

    def add(self, conf: NetConf) -> tuple[list[Assignment], list[Route], dict[str, Any]]:
        """Carry out its ADD and return the addresses (Assignments), the Routes, and the dns object.

        :param conf: the NetConf.

        A gateway that is left out is the subnet's first address, if there must be one. Raises the plugin's CNIError.
        """
        result = self._decode(self.call("ADD"))
        given = [_assignment(one, path, conf) for path, one in prev_result.items(result, "ips", self._where)]
        if not given:
            raise CNIError(INTERNAL, "IPAM plugin returned missing IP config", "ipam.type is %s" % show(self._type))
        ipv6 = [str(one.address) for one in given if one.address.bits == 128]
        if ipv6 and conf.disable_ipv6:
            raise invalid_config("disableIPv6", True, "ipam.type gives the pod the IPv6 address " + ipv6[0])
        wanted = routes.load(field(result, "routes", list, [], self._where), self._where + "routes")
        return given, wanted, dns.checked(field(result, "dns", dict, {}, self._where), self._where + "dns.")

    def call(self, command: str) -> bytes:
        """Carry out *command* and return what it prints. Raises the plugin's CNIError as it is."""
        status, output, said = _execute(self._path, self._request.data, command)
        _forward(said)
        if status:
            raise _failure(output, said, status)
        return output

    @property
    def _where(self) -> str:
        return "the result of %s: " % self._type

    def _decode(self, output: bytes) -> dict[str, Any]:
        try:
            result = jsontext.decode(output)
        except ValueError as exc:
            raise CNIError(DECODING_FAILURE, "%sit is not JSON: %s" % (self._where, exc)) from exc
        if not isinstance(result, dict):
            raise CNIError(DECODING_FAILURE, self._where + "it is not a JSON object")
        return prev_result.converted(result, self._where)


def delete(request: Request) -> None:
    """Carry out DEL by the IPAM plugin that *request* names."""
    Plugin(request).call("DEL")


def assigned(conf: NetConf, request: Request, result: dict[str, Any]) -> list[Assignment]:
    """Return the Assignments for the NetConf *conf* that prevResult *result* has for the interface of *request*."""
    interfaces = [
        (one.get("name"), one.get("sandbox")) for _path, one in prev_result.items(result, "interfaces", "prevResult.")
    ]
    found = []
    for path, one in prev_result.items(result, "ips", "prevResult."):
        index = number(one, "interface", len(interfaces) - 1, None, path)
        if index is not None and interfaces[index] == (request.ifname, request.netns):
            found.append(_assignment(one, path, conf))
    return found


def _assignment(one: dict[str, Any], path: str, conf: NetConf) -> Assignment:
    """Return the Assignment that the object *one* of a result's ``ips`` is."""
    given = parse_network(one.get("address"), path + "address")
    subnet = Network(given.first, given.prefix)
    gateway = address(one, "gateway", path)
    if gateway is None and conf.is_gateway:
        gateway = Address(subnet.address.bits, subnet.address.value + 1)
    return Assignment(given.address, Subnet(subnet, gateway))


def _find(name: str, search: str) -> str:
    """Return the path of the executable *name* in the directories *search*, with colons between them."""
    if "/" in name or "\0" in name:
        raise CNIError(UNSUPPORTED_FIELD, "ipam.type: %s: invalid plugin name" % show(name))
    directories = [directory for directory in search.split(":") if directory]
    for directory in directories:
        path = "%s/%s" % (directory, name)
        if files.is_file(path):
            return path
    raise CNIError(
        UNSUPPORTED_FIELD, "ipam.type: failed to find plugin %s in path [%s]" % (show(name), " ".join(directories)),
        "it must be host-local, or the name of an IPAM plugin in CNI_PATH",
    )  # fmt: skip


def _execute(path: str, data: bytes, command: str) -> tuple[int, bytes, bytes]:
    """Run the plugin *path* with *data* as input; return wait status, output and error output.

    Files in memory take the place of pipes: nobody has to read while the plugin writes.
    """
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)  # ignored by who calls, it would tell no status
    environ = dict(posix.environ)
    environ[b"CNI_COMMAND"] = command.encode()
    streams = [posix.memfd_create("humanz-cni") for _number in range(3)]
    try:
        files.write_all(streams[0], data)
        posix.lseek(streams[0], 0, 0)
        actions = [(posix.POSIX_SPAWN_DUP2, stream, number) for number, stream in enumerate(streams)]
        try:
            child = posix.posix_spawn(path, [path], environ, file_actions=actions, setsigdef=_IGNORED)
        except OSError as exc:
            raise CNIError(INTERNAL, "ipam.type: %s cannot be executed: %s" % (path, exc.strerror)) from exc
        status = _wait(child)
        return status, _read(streams[1]), _read(streams[2])
    finally:
        for stream in streams:
            posix.close(stream)


def _forward(said: bytes) -> None:
    try:
        files.write_all(_STDERR, said)
    except OSError:
        return  # nobody listens; the operation goes on


def _read(stream: int) -> bytes:
    return posix.pread(stream, files.LARGEST, 0)


def _wait(child: int) -> int:
    try:
        with signals.Waiting():
            return posix.waitpid(child, 0)[1]
    except signals.Terminated:  # and so is the plugin; its DEL comes next, now or from the runtime
        posix.kill(child, _signal.SIGKILL)
        posix.waitpid(child, 0)
        raise


def _failure(output: bytes, said: bytes, status: int) -> CNIError:
    """Return the CNIError of a plugin that ended with *status*, printed *output* and *said* something on stderr."""
    if not output.strip():
        words = said.decode("utf-8", "replace").strip()
        if words:
            return CNIError(INTERNAL, "netplugin failed: %s" % show(words))
        ended = "exit status %d" % (status >> 8) if posix.WIFEXITED(status) else "signal %d" % posix.WTERMSIG(status)
        return CNIError(INTERNAL, "netplugin failed with no error message: %s" % ended)
    try:
        error = jsontext.decode(output)
        code, message, details = error["code"], error.get("msg") or "", error.get("details") or ""
        if isinstance(code, int) and isinstance(message, str) and isinstance(details, str):
            return CNIError(code, message, details)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass  # it is not the specification's error object
    text = show(output.decode("utf-8", "replace"))
    return CNIError(INTERNAL, "netplugin failed but error parsing its diagnostic message %s" % text)
