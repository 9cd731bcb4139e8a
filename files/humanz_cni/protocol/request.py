# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the container runtime asks for: the CNI environment variables and the configuration on standard input.

Checks, their order and their messages are those of containernetworking's ``skel``, which runtimes have seen so far;
a message names the variable in addition, as the specification asks.
"""

from __future__ import annotations

from ..primitives import jsontext
from .errors import DECODING_FAILURE, INVALID_CONFIG, INVALID_ENVIRONMENT, IO_FAILURE, CNIError
from .versions import NEWEST, UNSTATED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

# variable -> commands that cannot do without it
_REQUIRED = {
    "CNI_COMMAND": ("ADD", "CHECK", "DEL", "GC", "STATUS"),
    "CNI_CONTAINERID": ("ADD", "CHECK", "DEL"),
    "CNI_NETNS": ("ADD", "CHECK"),
    "CNI_IFNAME": ("ADD", "CHECK", "DEL"),
    "CNI_PATH": ("ADD", "CHECK", "DEL", "GC", "STATUS"),
}
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_IFNAME_LENGTH = 15
_NOT_FOR_LINKS = (".", "..", "all", "default")  # the kernel keeps the last two for parameters of all links

# Every key that means something, wherever it stands; the reference's decoder takes them in upper and lower case.
_KEYS = frozenset(
    (
        "cniVersion", "name", "type", "ipam", "dns", "args", "cni", "runtimeConfig", "capabilities", "prevResult",
        "bridge", "isGateway", "isDefaultGateway", "forceAddress", "ipMasq", "ipMasqBackend", "mtu", "hairpinMode",
        "promiscMode", "vlan", "vlanTrunk", "preserveDefaultVlan", "macspoofchk", "ipspoofchk", "enabledad",
        "portIsolation", "disableIPv6", "disableContainerInterface", "id", "minID", "maxID", "subnet", "network",
        "ranges", "rangeStart", "rangeEnd", "gateway", "routes", "dst", "gw", "advmss", "priority", "table", "scope",
        "resolvConf", "dataDir", "ipRanges", "ips", "mac", "nameservers", "domain", "search", "options", "servers",
        "searches", "logFile", "logLevel",
    )
)  # fmt: skip
_HOLDERS = ("ipam", "dns", "args", "cni", "runtimeConfig", "vlanTrunk", "ranges", "ipRanges", "routes")
_LEVELS = 6  # that keys can be below each other


class Request:
    """One call of the plugin.

    ``conf`` is the configuration as decoded (a dict; None until it is read), and ``data`` the bytes that it came as.
    All other attributes are the environment's strings, empty where unset: ``command``, ``container_id``, ``netns``,
    ``ifname``, ``args``, ``path``, ``netns_override``.
    """

    __slots__ = ("command", "container_id", "netns", "ifname", "args", "path", "netns_override", "conf", "data")
    command: str
    container_id: str
    netns: str
    ifname: str
    args: str
    path: str
    netns_override: str
    conf: dict[str, Any]
    data: bytes

    @property
    def cni_version(self) -> str:
        """The configuration's cniVersion; the newest where there is no configuration that could say it."""
        if self.conf is None:
            return NEWEST
        version = self.conf.get("cniVersion") or UNSTATED
        return version if isinstance(version, str) else NEWEST

    @property
    def network(self) -> str:
        """The configuration's network name."""
        name: str = self.conf["name"]
        return name

    def read_conf(self, read_input: Callable[[], bytes]) -> None:
        """Take the configuration that *read_input* returns as bytes. Raises CNIError."""
        try:
            self.data = read_input()
        except OSError as exc:
            raise CNIError(IO_FAILURE, "error reading from stdin: %s" % exc.strerror) from exc
        except ValueError as exc:
            raise CNIError(DECODING_FAILURE, "error unmarshall network config: %s" % exc) from exc
        self.conf = as_spelled(decode_conf(self.data))
        check_conf(self.conf)


def from_environment(environ: Mapping[bytes, bytes]) -> Request:
    """Return the Request of *environ* (bytes to bytes), without configuration. Raises CNIError."""

    def variable(name: str) -> str:
        return environ.get(name.encode(), b"").decode("utf-8", "surrogateescape")

    command = variable("CNI_COMMAND")
    missing = []
    for name, commands in _REQUIRED.items():
        value = variable(name)
        if not value:
            if command in commands or name == "CNI_COMMAND":
                missing.append(name)
        elif command in commands:
            _check_variable(name, value)
    if missing:
        raise CNIError(INVALID_ENVIRONMENT, "required env variables [%s] missing" % ",".join(missing))
    request = Request()
    request.conf = None  # type: ignore[assignment]  # whoever is called before it is read expects that
    request.command = command
    request.container_id = variable("CNI_CONTAINERID")
    request.netns = variable("CNI_NETNS")
    request.ifname = variable("CNI_IFNAME")
    request.args = variable("CNI_ARGS")
    request.path = variable("CNI_PATH")
    request.netns_override = variable("CNI_NETNS_OVERRIDE")
    return request


def decode_conf(data: bytes) -> dict[str, Any]:
    """Return the configuration that *data* (bytes) is, a dict. Raises CNIError."""
    try:
        conf = jsontext.decode(data)
    except ValueError as exc:
        raise CNIError(DECODING_FAILURE, "error unmarshall network config: %s" % exc) from exc
    if conf is None:
        conf = {}
    if not isinstance(conf, dict):
        raise CNIError(DECODING_FAILURE, "error unmarshall network config: it is not a JSON object")
    return conf


def as_spelled(value: Any, levels: int = _LEVELS) -> Any:
    """Return *value* of a configuration with its keys as the reference spells them; others stay as they are."""
    if isinstance(value, list):
        return [as_spelled(item, levels - 1) for item in value] if levels else value
    if not isinstance(value, dict):
        return value
    if not _KEYS.issuperset(value):
        value = _respelled(value)
    for key in _HOLDERS:
        if key in value and levels:
            value[key] = as_spelled(value[key], levels - 1)
    return value


def _respelled(conf: dict[str, Any]) -> dict[str, Any]:
    spellings = {key.lower(): key for key in _KEYS}
    found: dict[str, Any] = {}
    for key, value in conf.items():
        spelled = key if key in _KEYS else spellings.get(key.lower(), key)
        if value is not None or spelled not in found:  # null changes nothing
            found[spelled] = value
    return found


def check_conf(conf: dict[str, Any]) -> None:
    """Raise CNIError unless *conf* has a valid name and, if any, a cniVersion that is a string."""
    name = conf.get("name") or ""
    if not isinstance(name, str):
        raise CNIError(DECODING_FAILURE, "error unmarshall network config: name is not a string")
    if not name:
        raise CNIError(INVALID_CONFIG, "missing network name")
    if not is_name(name):
        raise CNIError(INVALID_CONFIG, "invalid characters found in network name", name)
    if not isinstance(conf.get("cniVersion") or "", str):
        raise CNIError(DECODING_FAILURE, "error unmarshall network config: cniVersion is not a string")


def is_name(text: str) -> bool:
    """Return whether *text* is a valid container ID and network name."""
    return text[:1].isalnum() and _NAME_CHARACTERS.issuperset(text)


def _check_variable(name: str, value: str) -> None:
    if name == "CNI_CONTAINERID" and not is_name(value):
        raise CNIError(INVALID_ENVIRONMENT, "invalid characters in containerID", "CNI_CONTAINERID is %r" % value)
    if name == "CNI_IFNAME":
        problem = _problem_of_ifname(value)
        if problem:
            raise CNIError(INVALID_ENVIRONMENT, problem, "CNI_IFNAME is %r" % value)


def _problem_of_ifname(name: str) -> str:
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return "interface name is not UTF-8"
    if length > _IFNAME_LENGTH:
        return "interface name is too long"
    if name in _NOT_FOR_LINKS:
        return "interface name is %s" % " or ".join(_NOT_FOR_LINKS[:2] if name[0] == "." else _NOT_FOR_LINKS[2:])
    if any(character in "/:" or character.isspace() for character in name):
        return "interface name contains / or : or whitespace characters"
    if "%" in name:
        return "interface name contains %, which the kernel takes for a pattern"
    if not name.isprintable():  # it ends up in the alias of the host's end, which ip shows as it is
        return "interface name contains unprintable characters"
    return ""
