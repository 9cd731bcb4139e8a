# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel parameters that pods' packets need, for each family of their addresses.

A kernel that forwards IPv6 forgets the routes that it learned from router advertisements, and learns no more, except on
interfaces whose accept_ra is 2. A node that has its default route or its address from there must keep it.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from . import sysctl

if TYPE_CHECKING:
    from .._shared.converge import RunCommand

FORWARDING = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
BRIDGE = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")
ACCEPT_RA = "net.ipv6.conf.%s.accept_ra"
# How many neighbours a kernel knows before it refuses more, drops old ones at once, and looks for old ones at all; on
# all interfaces together. Namespaces other than the first have no such parameters.
NEIGHBOURS = {4: "net.ipv4.neigh.default.gc_thresh%d", 6: "net.ipv6.neigh.default.gc_thresh%d"}
SHARES = {3: 1, 2: 2, 1: 8}
USUAL = 1024  # neighbours
OTHERS = 256  # neighbours that are no nodes: pods, gateways
MOST = 65536  # nodes and addresses of a pod CIDR that room is made for
# So that no pod's packet gives its node a route. The plugin sets them too: files/humanz_cni/network/sysctls.py.
PROTECTED = {
    "net.ipv4.conf.%s.accept_redirects": "0",
    "net.ipv4.conf.%s.accept_source_route": "0",
    "net.ipv6.conf.%s.accept_ra": "0",
    "net.ipv6.conf.%s.accept_redirects": "0",
    "net.ipv6.conf.%s.accept_dad": "0",
}
# Decides on what comes in by that interface. IPv6 has no such parameter: there, that of all interfaces decides.
OF_INTERFACE = "net.ipv4.conf.%s.forwarding"
DISABLE_IPV6 = "net.ipv6.conf.%s.disable_ipv6"
IPV6_ROUTES = "/proc/net/ipv6_route"
RTF_ADDRCONF = 0x00040000  # linux/ipv6_route.h: learned from a router advertisement


def sysctls(families: Collection[int], sysctl_file: str | None) -> dict[str, str]:
    """Return the parameters and their values, both texts.

    :param families: the families of the pods' addresses, 4 and 6.
    :param sysctl_file: the text of the file of ours that sets them at boot, or None. An interface that it keeps
        advertisements for stays among the values, also at a moment without any.
    """
    wanted = {FORWARDING[family]: "1" for family in families}
    wanted.update(dict.fromkeys(BRIDGE, "1"))
    if 6 in families:
        kept = [key for key, value in sysctl.parse(sysctl_file or "") if _is_kept(key, value)]
        advertised = [ACCEPT_RA % name.replace(".", "/") for name in advertised_devices()]
        kept += [key for key in advertised if sysctl.read(key) == "1"]
        wanted.update(dict.fromkeys(kept, "2"))
    return wanted


def neighbour_tables(pod_cidrs: Iterable[str], nodes: int, sysctl_file: str | None) -> dict[str, str]:
    """Return the parameters for a kernel that has room for its pods and so many other *nodes* twice over, both texts.

    What anybody sends to addresses of *pod_cidrs* that no pod has takes as much room as pods would.

    What the kernel has room for already is left alone, and so is what it has by default if that is enough. A table that
    somebody made larger since stays so: which part of it is ours is not known.
    """
    addresses = [ipaddress.ip_network(cidr).num_addresses for cidr in pod_cidrs]
    size = USUAL
    while size < 2 * max(nodes + OTHERS, min(MOST, nodes + max([0, *addresses]))):
        size *= 2
    ours = dict(sysctl.parse(sysctl_file or ""))
    wanted = {}
    for key, value in (
        (NEIGHBOURS[of] % number, size // SHARES[number]) for of in families_of(pod_cidrs) for number in SHARES
    ):
        running = sysctl.read(key)
        if size > USUAL and running is not None and (key in ours or int(running) < value):
            # What our file holds stays among the values, or the kernel would get back what it had before.
            wanted[key] = str(max(value, int(running)))
    return wanted


def ways(run: RunCommand, ip: str | None, next_hops: Iterable[str], masquerade: bool, uplink: str) -> dict[str, str]:
    """Return the parameters of the interfaces by which IPv4 packets to this node's pods come in, both texts.

    :param run: AnsibleModule.run_command.
    :param ip: the path of the command, or None.
    :param next_hops: the other nodes' addresses.
    :param masquerade: whether pods reach what is outside of the cluster, so that answers come from there,
    :param uplink: and out of which interface; empty for that of the default route.
    """
    found = {uplink} if masquerade and uplink else set()
    if ip and masquerade and not uplink:
        found.update(_devices(run([ip, "-4", "-o", "route", "show", "default"])[1]))
    queries = ["route get %s" % address for address in sorted(set(next_hops)) if ":" not in address]
    if ip and queries:
        # A next hop that cannot be reached is an error, and others are asked for all the same.
        answers = run([ip, "-o", "-force", "-batch", "-"], data="\n".join(queries) + "\n")[1]
        found.update(_devices("\n".join(line for line in answers.splitlines() if line[:1].isdigit())))
    keys = [OF_INTERFACE % name.replace(".", "/") for name in sorted(found)]
    return {key: "1" for key in keys if os.path.exists(sysctl.path_of(key))}


def _devices(text: str) -> list[str]:
    words = text.split()
    return [name for word, name in zip(words, words[1:]) if word == "dev"]


def healed_sysctls(
    bridge: str, devices: Iterable[str], families: Collection[int], disable_ipv6: bool
) -> dict[str, str]:
    """Return the parameters of the pods' *bridge*, and of our further *devices*, and their values, both texts."""
    protected = dict(PROTECTED, **({DISABLE_IPV6: "1"} if disable_ipv6 else {}))
    needed = {**({OF_INTERFACE: "1"} if 4 in families else {}), **({DISABLE_IPV6: "0"} if 6 in families else {})}
    of_each = [(bridge, protected), *((name, needed) for name in (bridge, *devices))]
    return {key % name.replace(".", "/"): value for name, values in of_each for key, value in values.items()}


def bridge_addresses(bridge: str, pod_cidrs: Iterable[str]) -> list[str]:
    """Return the addresses that the plugin gives the *bridge* as pods' gateways, in the words of ``ip address``."""
    networks = [ipaddress.ip_network(cidr) for cidr in pod_cidrs]
    return ["%s/%d dev %s" % (one.network_address + 1, one.prefixlen, bridge) for one in networks]


def families_of(cidrs: Iterable[str]) -> list[int]:
    """Return the families of *cidrs*; IPv4 if there are none."""
    return sorted({ipaddress.ip_network(cidr).version for cidr in cidrs}) or [4]


def advertised_devices() -> list[str]:
    """Return the names of the interfaces on which the kernel itself learned a route from a router advertisement.

    Where systemd-networkd or NetworkManager listen to advertisements in its place, there are none.
    """
    found = set()
    # Line by line: a router may have as many routes as the Internet.
    with contextlib.suppress(FileNotFoundError), open(IPV6_ROUTES, encoding="utf-8") as stream:
        for words in map(str.split, stream):
            if int(words[8], 16) & RTF_ADDRCONF:
                found.add(words[9])
    return sorted(found)


def _is_kept(key: str, value: str) -> bool:
    return (
        value == "2"
        and re.match(re.escape(ACCEPT_RA).replace("%s", "[^.]+") + r"\Z", key) is not None
        and os.path.exists(sysctl.path_of(key))
    )
