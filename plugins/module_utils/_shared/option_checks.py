# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that several modules have in common, checked. Each error names the option, the value and what would be right.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from . import ip_addresses
from .converge import ConvergeError

if TYPE_CHECKING:
    from typing import Any

    from .ip_addresses import Network

IPV6_MTU = 1280  # bytes that every link must carry, RFC 8200


def networks(option: str, cidrs: Iterable[str], families: Collection[int] = (4, 6)) -> list[str]:
    """Return the networks *cidrs* in canonical CIDR notation. Raises ConvergeError."""
    found = []
    for text in cidrs:
        try:
            network = ip_addresses.network(text)
        except ValueError as exc:
            raise ConvergeError("%s: %s: it must be a network such as 100.100.0.0/24" % (option, exc)) from exc
        if network.version not in families:
            expected = " or ".join("IPv%d" % family for family in families)
            raise ConvergeError("%s: %s must be %s" % (option, text, expected))
        if not network.prefixlen:
            raise ConvergeError("%s: %s is the whole address space: it must be a part of it" % (option, text))
        found.append(str(network))
    return found


def addresses(option: str, texts: Iterable[str]) -> list[str]:
    """Return the addresses *texts*, each in the notation that the kernel has. Raises ConvergeError."""
    try:
        return [str(ip_addresses.address(text)) for text in texts]
    except ValueError as exc:
        raise ConvergeError("%s: %s: it must be an address such as 200.0.0.10" % (option, exc)) from exc


def is_within(network: Network, others: Iterable[Network]) -> bool:
    """Return whether *network* is one of *others* or a part of one."""
    same = [other for other in others if other.version == network.version]
    return any(network.subnet_of(other) for other in same)  # type: ignore[arg-type]  # both are of one version


def device(option: str, name: str) -> str:
    """Return *name* if it can be that of an interface, also in a rule. Raises ConvergeError."""
    if not re.match(r"[A-Za-z0-9_.@-]{1,15}\Z", name) or name in (".", ".."):
        raise ConvergeError("%s: %r must be an interface name of 1 to 15 letters, digits and . _ @ -" % (option, name))
    if name.lower() in ("false", "true", "no", "yes", "off", "on"):  # a boolean became text on its way
        raise ConvergeError("%s: %s must be the name of an interface, such as enp1s0" % (option, name))
    return name


def mac(option: str, text: str) -> str:
    """Return *text* if it is a MAC address as the kernel writes it. Raises ConvergeError."""
    if not re.match(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z", text):
        raise ConvergeError("%s: %r must be a MAC address such as 02:d9:c8:00:00:0a" % (option, text))
    return text


def network_name(option: str, name: str) -> str:
    """Return *name* if it can be that of a CNI network. Raises ConvergeError."""
    if not re.match(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z", name):
        raise ConvergeError("%s: %r must be letters, digits and _ . -, as CNI requires" % (option, name))
    return name


def absolute_path(option: str, path: str | None, such_as: str = "/var/log/cni.log") -> str | None:
    """Return *path*, which may be None, if it is absolute and has no detour by ``..``. Raises ConvergeError."""
    if path and (not path.startswith("/") or ".." in path.split("/")):
        raise ConvergeError("%s: %s must be an absolute path without .., such as %s" % (option, path, such_as))
    return path


def directories(options: dict[str, Any], prefix: str = "") -> None:
    """Raise ConvergeError for one that a container runtime could not look in, as relative to where somebody is.

    :param options: ``cni_bin_dir`` and ``conf_dir``.
    :param prefix: what their names begin with where they are variables.
    """
    absolute_path(prefix + "cni_bin_dir", options["cni_bin_dir"], "/opt/cni/bin")
    absolute_path(prefix + ("cni_" if prefix else "") + "conf_dir", options["conf_dir"], "/etc/cni/net.d")


def quotable_path(option: str, path: str) -> str:
    """Return *path* if it is absolute and means the same in a unit, in a script's first line and in quotes.

    Raises ConvergeError.
    """
    if not re.match(r"/[A-Za-z0-9_./+,:=@~-]*\Z", path):
        raise ConvergeError(
            "%s: %r must be an absolute path of letters, digits and _ . / + , : = @ ~ -" % (option, path)
        )
    return path


def mtu(option: str, size: int, pod_cidrs: Iterable[str] = ()) -> int:
    """Return *size*, in bytes, if pods in *pod_cidrs* can have it on their interfaces, or 0. Raises ConvergeError."""
    if size and not 68 <= size <= 65535:
        raise ConvergeError("%s: %d must be 0, or 68 to 65535 bytes" % (option, size))
    ipv6 = [cidr for cidr in pod_cidrs if ":" in cidr]
    if size and ipv6 and size < IPV6_MTU:
        raise ConvergeError("%s: %d must be %d bytes or more for IPv6, as in %s" % (option, size, IPV6_MTU, ipv6[0]))
    return size
