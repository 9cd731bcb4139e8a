# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network configuration: the reference's ``bridge`` keys, and the flat ``subnet`` of the blog's plugin.

Keys, defaults, limits and error texts are those of containernetworking's bridge and host-local plugins. Keys that
nobody knows are passed over, as the specification allows and the reference does.
"""

from __future__ import annotations

from ..primitives import files
from ..protocol import cni_args, versions
from ..protocol.errors import INVALID_CONFIG, UNSUPPORTED_FIELD, CNIError, invalid_config
from . import ranges, routes
from .ipam_keys import DATA_DIR, OWN_IPAM
from .typed import field, number, parse_address, parse_mac

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..kernel.route import Route
    from ..primitives.address import Address
    from ..protocol.request import Request
    from .vlan_keys import Vlans

_MASQUERADE_BACKENDS = ("", "iptables", "nftables")
_BRIDGE_NAME_LENGTH = 15
_NO_NAMES = (".", "..", "all", "default")
_LOWEST_MTU, _LOWEST_MTU_OF_IPV6 = 68, 1280


class Ipam:
    """Where addresses come from.

    ``sets`` are range sets, ``requested`` the addresses asked for, ``routes`` the pod's routes, ``data_dir`` the
    directory of all records and ``durable`` whether it must survive a power failure.
    """

    __slots__ = ("sets", "requested", "routes", "data_dir", "durable", "resolv_conf")
    sets: list[ranges.RangeSet]
    requested: list[Address]
    routes: list[Route]
    data_dir: str
    durable: bool
    resolv_conf: str


class NetConf:
    """A checked configuration; see :func:`load`. The attributes are the keys' meanings."""

    __slots__ = (
        "cni_version", "name", "bridge", "is_gateway", "is_default_gateway", "force_address", "mtu", "hairpin",
        "promiscuous", "isolated", "dad", "leave_down", "masquerade", "mac", "dns", "runtime_dns",
        "ipam", "delegated", "vlans", "mac_check", "ip_check", "disable_ipv6",
    )  # fmt: skip
    cni_version: str
    name: str
    bridge: str
    is_gateway: bool
    is_default_gateway: bool
    force_address: bool
    mtu: int
    hairpin: bool
    promiscuous: bool
    isolated: bool
    dad: bool
    leave_down: bool
    masquerade: bool
    mac: bytes | None
    dns: dict[str, Any]
    runtime_dns: dict[str, Any]
    ipam: Ipam | None
    delegated: bool
    vlans: Vlans | None
    mac_check: bool
    ip_check: bool
    disable_ipv6: bool


def load(request: Request) -> NetConf:
    """Return the NetConf of *request*, an ADD or CHECK. Raises CNIError; nothing has been touched by then."""
    conf = request.conf
    args = cni_args.parse(request.args)
    runtime = field(conf, "runtimeConfig", dict, {})
    args_cni = field(field(conf, "args", dict, {}), "cni", dict, {}, "args.")
    ipam = field(conf, "ipam", dict, {})
    blog = not ipam.get("type") and conf.get("subnet") is not None

    loaded = NetConf()
    loaded.cni_version = request.cni_version
    loaded.name = request.network
    loaded.bridge = _bridge_name(conf)
    loaded.is_default_gateway = field(conf, "isDefaultGateway", bool, blog)
    loaded.is_gateway = field(conf, "isGateway", bool, blog) or loaded.is_default_gateway
    loaded.force_address = field(conf, "forceAddress", bool, False)
    loaded.mtu = number(conf, "mtu", 65535, 0)
    loaded.promiscuous = field(conf, "promiscMode", bool, False)
    loaded.hairpin = field(conf, "hairpinMode", bool, blog and not loaded.promiscuous)
    loaded.isolated = field(conf, "portIsolation", bool, False)
    loaded.dad = field(conf, "enabledad", bool, False)
    loaded.masquerade = field(conf, "ipMasq", bool, False)
    loaded.ip_check = field(conf, "ipspoofchk", bool, False)
    loaded.mac_check = field(conf, "macspoofchk", bool, False) or loaded.ip_check
    loaded.vlans = None
    if conf.get("vlan") is not None or conf.get("vlanTrunk") is not None:
        from . import vlan_keys

        loaded.vlans = vlan_keys.load(conf, loaded.bridge)
    loaded.leave_down = field(conf, "disableContainerInterface", bool, False)
    loaded.mac = (
        parse_mac(runtime.get("mac"), "runtimeConfig.mac")
        or parse_mac(args_cni.get("mac"), "args.cni.mac")
        or parse_mac(args.get("MAC"), "CNI_ARGS MAC")
    )
    loaded.dns = field(conf, "dns", dict, {})
    loaded.runtime_dns = field(runtime, "dns", dict, {}, "runtimeConfig.")
    kind = field(ipam, "type", str, "", "ipam.")
    loaded.delegated = bool(kind) and kind not in OWN_IPAM
    loaded.ipam = None
    if blog:
        loaded.ipam = _load_ipam(conf, "", runtime, args_cni, args)
    elif kind in OWN_IPAM:
        loaded.ipam = _load_ipam(ipam, "ipam.", runtime, args_cni, args)
    loaded.disable_ipv6 = field(conf, "disableIPv6", bool, blog and not _has_ipv6(loaded.ipam))
    _check(conf, loaded)
    return loaded


def _bridge_name(conf: dict[str, Any]) -> str:
    name = field(conf, "bridge", str, "") or "cni0"
    if len(name.encode("utf-8", "replace")) > _BRIDGE_NAME_LENGTH or name in _NO_NAMES or not name.isprintable():
        raise invalid_config("bridge", name, "it must be an interface name of at most 15 bytes")
    if any(character in "/:%" or character.isspace() for character in name):
        raise invalid_config("bridge", name, "an interface name has no / : % or whitespace")
    return name


def _load_ipam(
    conf: dict[str, Any], path: str, runtime: dict[str, Any], args_cni: dict[str, Any], args: dict[str, str]
) -> Ipam:
    ipam = Ipam()
    ipam.sets = ranges.load(conf, path, field(runtime, "ipRanges", list, [], "runtimeConfig."))
    ipam.routes = routes.load(field(conf, "routes", list, [], path), path + "routes")
    ipam.requested = _requested(runtime, args_cni, args)
    configured = field(conf, "dataDir", str, "", path)
    if configured and not files.is_path(configured):
        raise invalid_config(path + "dataDir", configured, "it must be an absolute path")
    ipam.data_dir = configured or DATA_DIR
    ipam.durable = bool(configured)
    ipam.resolv_conf = field(conf, "resolvConf", str, "", path)
    if ipam.resolv_conf and not files.is_path(ipam.resolv_conf):
        raise invalid_config(path + "resolvConf", ipam.resolv_conf, "it must be an absolute path")
    return ipam


def _requested(runtime: dict[str, Any], args_cni: dict[str, Any], args: dict[str, str]) -> list[Address]:
    """Return the addresses that the runtime asks for, by the convention's priority."""
    for key, items in (
        ("runtimeConfig.ips", field(runtime, "ips", list, [], "runtimeConfig.")),
        ("args.cni.ips", field(args_cni, "ips", list, [], "args.cni.")),
        ("CNI_ARGS IP", [args["IP"]] if args.get("IP") else []),
    ):
        if items:
            return [_parse_host(item, key) for item in items]
    return []


def _parse_host(text: Any, key: str) -> Address:
    """Return the Address of *text*, ADDRESS or ADDRESS/LENGTH."""
    host = text.partition("/")[0] if isinstance(text, str) else text
    return parse_address(host, key)


def _has_ipv6(ipam: Ipam | None) -> bool:
    return ipam is not None and any(one[0].start.bits == 128 for one in ipam.sets)


def _check(conf: dict[str, Any], loaded: NetConf) -> None:
    if loaded.hairpin and loaded.promiscuous:
        raise CNIError(INVALID_CONFIG, "cannot set hairpin mode and promiscuous mode at the same time")
    if loaded.leave_down and (loaded.ipam or loaded.delegated):
        raise CNIError(INVALID_CONFIG, "cannot use IPAM when DisableContainerInterface flag is set")
    if loaded.cni_version in versions.WITHOUT_INTERFACES and not (loaded.ipam or loaded.delegated):
        what = "a result of cniVersion %s has addresses and nothing else" % loaded.cni_version
        raise CNIError(INVALID_CONFIG, "cannot convert: no valid IP addresses", what + ": set ipam, or 0.3.0 or newer")
    if loaded.ip_check and not (loaded.ipam or loaded.delegated):
        raise CNIError(INVALID_CONFIG, "ipspoofchk takes ipam", "without it the pod has no address to send from")
    if loaded.ip_check and field(conf, "ipam", dict, {}).get("type") == "dhcp":
        what = "it asks for addresses from 0.0.0.0, also when it renews them: macspoofchk allows it"
        raise CNIError(INVALID_CONFIG, "ipspoofchk does not allow ipam.type dhcp", what)
    if loaded.mtu and loaded.mtu < _LOWEST_MTU:
        raise invalid_config("mtu", loaded.mtu, "it must be 0, for the kernel's default, or at least %d" % _LOWEST_MTU)
    has_ipv6 = _has_ipv6(loaded.ipam)
    if has_ipv6 and loaded.disable_ipv6:
        raise invalid_config("disableIPv6", True, "ipam has an IPv6 range: remove one of the two")
    if has_ipv6 and 0 < loaded.mtu < _LOWEST_MTU_OF_IPV6:
        raise invalid_config("mtu", loaded.mtu, "IPv6 needs at least %d" % _LOWEST_MTU_OF_IPV6)
    backend = field(conf, "ipMasqBackend", str, "")
    if backend not in _MASQUERADE_BACKENDS:
        raise invalid_config("ipMasqBackend", backend, "it must be nftables, or left out")
    if backend == "iptables" and loaded.masquerade:
        raise CNIError(
            UNSUPPORTED_FIELD, 'ipMasqBackend: "iptables" is not supported: ipMasq is done by nftables',
            "remove the key, or set nftables; what iptables exempts by -j ACCEPT in the table nat is masqueraded then",
        )  # fmt: skip
