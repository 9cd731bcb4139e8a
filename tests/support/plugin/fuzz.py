# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Malformed requests: how they are made up, and what must hold of the answer to every one of them."""

from __future__ import annotations

import copy
import json
import re
from typing import Any, NamedTuple

from hypothesis import strategies as st

# All of the specification, and 8 of containernetworking's library. 999 would be a mistake of ours.
CODES = {1, 2, 3, 4, 5, 6, 7, 8, 11, 50, 51}
COMMANDS = ("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION")
VERSIONS = ("1.1.0", "1.1.0", "1.1.0", "1.0.0", "0.4.0", "0.3.1")
NO_NAMESPACE = "/run/netns/gone"

# Every key that the plugin knows, with a value that is right.
VALID: dict[str, Any] = {
    "cniVersion": "1.1.0", "name": "net1", "type": "humanz-cni", "bridge": "br1", "isGateway": True,
    "isDefaultGateway": True, "forceAddress": False, "ipMasq": False, "ipMasqBackend": "nftables", "mtu": 1400,
    "hairpinMode": True, "promiscMode": False, "portIsolation": False, "enabledad": False, "macspoofchk": False,
    "ipspoofchk": False, "disableContainerInterface": False, "disableIPv6": False, "vlan": 0, "vlanTrunk": [],
    "preserveDefaultVlan": False,
    "logFile": "/dev/null", "logLevel": "debug",
    "dns": {"nameservers": ["10.0.0.53"], "domain": "example", "search": ["example"], "options": ["ndots:5"]},
    "capabilities": {"ips": True, "mac": True},
    "runtimeConfig": {"mac": "0a:00:00:00:00:01", "ips": ["10.9.0.9/24"], "ipRanges": [[{"subnet": "10.8.0.0/24"}]]},
    "args": {"cni": {"mac": "0a:00:00:00:00:01", "ips": ["10.9.0.9"]}},
    "ipam": {
        "type": "host-local", "dataDir": "/run/data", "resolvConf": "/etc/resolv.conf",
        "ranges": [
            [{"subnet": "10.9.0.0/24", "rangeStart": "10.9.0.5", "rangeEnd": "10.9.0.99", "gateway": "10.9.0.1"}],
            [{"subnet": "fd00:9::/64"}],
        ],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.9.0.1", "mtu": 1400, "advmss": 1300, "priority": 9, "table": 99,
                    "scope": 0}],
    },
    "prevResult": {
        "cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "mac": "0a:00:00:00:00:01", "sandbox": NO_NAMESPACE}],
        "ips": [{"address": "10.9.0.9/24", "gateway": "10.9.0.1", "interface": 0}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.9.0.1"}], "dns": {},
    },
    "cni.dev/valid-attachments": [{"containerID": "pod1", "ifname": "eth0"}],
}  # fmt: skip
FLAT: dict[str, Any] = {
    "cniVersion": "0.3.1", "name": "humanz-cni", "type": "humanz-cni", "bridge": "br1", "network": "100.100.0.0/16",
    "subnet": "100.100.1.0/24", "dataDir": "/run/data", "prevResult": VALID["prevResult"],
}  # fmt: skip

# Texts that look like something, so that they get past the first check.
_TEXTS = st.sampled_from(
    (
        "", "x", ".", "..", "/", "../../x", "/run/../x", "/run/data", "a b", "a\nb", "a/b", "\0", "é", "\ud800",
        "\u00a0",
        "\U0001f600" * 5, "x" * 300, "%d", "all", "default", "lo", "eth0", "host-local", "0.0.0.0/0", "10.9.0.0/24",
        "10.9.0.1/24", "10.9.0.0/32", "10.9.0.0/33", "10.9.0.0/-1", "255.255.255.255", "255.255.255.254/31",
        "0.0.0.0/8", "224.0.0.1", "::/0", "::1", "fd00::/127", "fd00::/128", "::ffff:10.9.0.1", "::ffff:10.9.0.0/120",
        "fe80::1%eth0", "10.9.0.1\n", "1e9", "0x0a000001", "0a:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", "1.0.0",
        "9.9.9", "1.1", "1.0.0-rc1", "٣.٠.٠", "K=V",
    )
)  # fmt: skip
_NUMBERS = st.sampled_from(
    (0, 1, -1, 7, 67, 255, 256, 1280, 4095, 65535, 65536, 2**31, 2**32 - 1, 2**32, 2**63, 10**400, -(10**30))
) | st.floats(allow_nan=False)  # fmt: skip
_SCALARS = st.none() | st.booleans() | _NUMBERS | _TEXTS | st.text(max_size=20)
VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS | st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_VARIABLES = ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH", "CNI_ARGS", "CNI_NETNS_OVERRIDE")
_ARGS = st.lists(
    st.tuples(st.sampled_from(("IP", "MAC", "IgnoreUnknown", "K8S_POD_NAME", "X", "")), _TEXTS).map("=".join) | _TEXTS,
    max_size=4,
).map(";".join)

# What DEL cannot do without, beside versions and variables that are right: a name, and the plugin that it is to call.
WHAT_DEL_NEEDS = re.compile("^(missing network name|invalid characters found in network name|ipam.type: )")

# What is wrong with a request, apart from its configuration.
KINDS = ("environment", "arguments", "arguments", "bytes", "value", *("configuration",) * 5)


class Sent(NamedTuple):
    """A request: the environment, and what standard input holds."""

    environment: dict[str, bytes]
    data: bytes


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value within *value*."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [found for key, one in items for found in _paths(one, (*path, key))]


PATHS = {id(conf): _paths(conf) for conf in (VALID, FLAT)}


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Make a configuration with some keys left out and a few values replaced, wherever they are."""
    base: dict[str, Any] = draw(st.sampled_from((VALID, FLAT)))
    conf = copy.deepcopy(base)
    for key in draw(st.sets(st.sampled_from(sorted(base.keys() - {"name"})), max_size=8)):
        del conf[key]
    conf["cniVersion"] = draw(st.sampled_from(VERSIONS))
    for path in draw(st.lists(st.sampled_from(PATHS[id(base)]), max_size=3)):
        _replace(draw, conf, path)
    return conf


def _replace(draw: st.DrawFn, conf: Any, path: tuple[Any, ...]) -> None:
    place = conf
    for key in path[:-1]:
        try:
            place = place[key]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(place, dict) or (isinstance(place, list) and isinstance(path[-1], int) and path[-1] < len(place)):
        value = place[path[-1]] if isinstance(place, list) else place.get(path[-1])
        of_its_type = _TEXTS if isinstance(value, str) else _NUMBERS if isinstance(value, (int, float)) else VALUES
        place[path[-1]] = draw(st.sampled_from((of_its_type, VALUES)).flatmap(lambda strategy: strategy))


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """Make a configuration's text with a piece of it cut out or replaced."""
    data = json.dumps(draw(configurations())).encode()
    start = draw(st.integers(0, len(data)))
    piece = draw(st.sampled_from((b"", b"{", b"]", b'"', b"\\", b"\0", b"\xff", b"NaN", b"1e999", b"[" * 3000)))
    return data[:start] + piece + data[start + draw(st.integers(0, 20)) :]


@st.composite
def requests(draw: st.DrawFn, netns: str = NO_NAMESPACE) -> Sent:
    """Make up a request of any command, of which any part may be wrong; the right namespace is *netns*."""
    command = draw(st.sampled_from(COMMANDS))
    environment = {
        "CNI_COMMAND": command.encode(), "CNI_CONTAINERID": b"pod1", "CNI_IFNAME": b"eth0", "CNI_PATH": b"/x",
        "CNI_NETNS": netns.encode(),
    }  # fmt: skip
    kind = draw(st.sampled_from(KINDS))
    if kind == "arguments":
        environment["CNI_ARGS"] = draw(_ARGS).encode("utf-8", "surrogatepass").replace(b"\0", b"")
    for name in draw(st.sets(st.sampled_from(_VARIABLES), min_size=1, max_size=2)) if kind == "environment" else ():
        wrong = _TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=20)
        environment[name] = draw(wrong).replace(b"\0", b"")
    if kind == "bytes":
        return Sent(environment, draw(st.binary(max_size=60) | _damaged()))
    conf = draw(VALUES if kind == "value" else configurations())
    return Sent(environment, json.dumps(conf).encode())


def problem(sent: Sent, status: int, output: bytes, error: bytes) -> str:
    """Return what is wrong with the answer to *sent*, or an empty string."""
    command = sent.environment["CNI_COMMAND"].decode()
    if b"Traceback" in output or b"Traceback" in error:
        return "there is a traceback"
    if status == 0 and command in ("DEL", "CHECK", "GC", "STATUS"):
        return "something is printed" if output else ""
    try:
        document = json.loads(output)
    except ValueError:
        return "it is not one JSON document"
    if not isinstance(document, dict) or not isinstance(document.get("cniVersion"), str):
        return "it is no object with cniVersion"
    if status == 0:
        return "" if ("supportedVersions" in document) == (command == "VERSION") else "it is another kind of result"
    if status != 1:
        return "the status is %d" % status
    if not {"code", "msg"} <= document.keys() <= {"cniVersion", "code", "msg", "details"}:
        return "the keys are %s" % sorted(document)
    if document["code"] not in CODES:
        return "the code is %s" % document["code"]
    if command == "DEL" and document["code"] not in (1, 4, 6) and not WHAT_DEL_NEEDS.search(document["msg"]):
        return "DEL can do without it"
    return "" if isinstance(document["msg"], str) and document["msg"] else "there is no message"
