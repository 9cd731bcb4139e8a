# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a node, beside its routes and rules, stops a packet or may stop it. Reads only, by the node's own tools.

Texts begin with a verb, as the reader puts the node's name ahead: "does not forward what arrives on enp8s0: ...".

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from .._shared import files

if TYPE_CHECKING:
    from .._shared.converge import RunCommand
    from .route_lookups import Route, RouteLookups

FORWARDING = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
# Queueing disciplines that let every packet pass, until the link itself is too slow.
PLAIN_QDISCS = ("noqueue", "noop", "pfifo_fast", "fq_codel", "fq", "mq", "pfifo", "sfq", "cake")
NO_ARP = "8"  # of arp_ignore: answers for no address
STRICT, LOOSE = 1, 2  # of rp_filter


def read(key: str, device: str = "") -> str | None:
    """Return the sysctl *key*, whose %s stands for *device*, or None if the kernel has none."""
    path = "/proc/sys/" + key.replace(".", "/")
    return (files.read_text(path % device if "%s" in path else path) or "").strip() or None


def name(key: str, device: str) -> str:
    """Return the sysctl *key* of *device* as sysctl writes it."""
    return key % device.replace(".", "/")


def forwards(family: int, device: str) -> bool:
    """Return whether the kernel forwards what arrives on *device*."""
    if family == 4:  # ip_forward is copied to each interface, which has the last word
        return (read("net.ipv4.conf.%s.forwarding", device) or read(FORWARDING[4])) != "0"
    forced = read("net.ipv6.conf.%s.force_forwarding", device) or "0"
    return forwards_at_all(6) or forced != "0"


def forwards_at_all(family: int) -> bool:
    """Return whether forwarding is on, whatever single interfaces have."""
    return read(FORWARDING[family]) not in (None, "0")


def not_forwarding(family: int, device: str) -> list[str]:
    """Return a text for a *device* of which the kernel forwards nothing, although it does of others."""
    if not forwards_at_all(family):
        return []
    key = name("net.ipv4.conf.%s.forwarding", device)
    return ["does not forward what arrives on %s: its sysctl %s is 0" % (device, key)]


def refused_source(lookups: RouteLookups, source: str, device: str, answer: Route) -> str | None:
    """Return why the kernel takes no packets from *source* on *device*, None if it is for another reason. IPv4 only.

    :param answer: the route of the answer, as the route back is looked up by the destination, too.
    """
    if any(source in link.addresses for link in lookups.links().values()):
        return "drops packets from %s on %s, as that is an address of its own" % (source, device)
    values = {each: int(read("net.ipv4.conf.%s.rp_filter", each) or 0) for each in ("all", device)}
    highest = max(values, key=lambda each: values[each])
    if not values[highest]:
        return None
    usual = lookups.to(source)
    backs = [usual] if "error" in usual else []
    if values[highest] == STRICT:
        backs += [back for back in (usual, answer) if back.get("dev", device) != device]
    if not backs:
        return None
    way = backs[0].get("error") or "dev %s" % backs[0]["dev"]
    key = name("net.ipv4.conf.%s.rp_filter", highest)
    kind = "strict" if values[highest] == STRICT else "loose"
    text = "drops packets from %s on %s: its sysctl %s is %d (%s), and its route back is another one (%s)"
    return text % (source, device, key, values[highest], kind, way)


def without_ipv6(devices: list[str]) -> list[str]:
    """Return a text for each of *devices* on which IPv6 is off."""
    keys = [name("net.ipv6.conf.%s.disable_ipv6", each) for each in devices if _ipv6_is_off(each)]
    return ["drops IPv6: its sysctl %s is 1" % key for key in keys]


def _ipv6_is_off(device: str) -> bool:
    return read("net.ipv6.conf.%s.disable_ipv6", device) == "1"


def silent_for_arp(device: str) -> list[str]:
    """Return a text if the node answers no ARP on *device*."""
    for each in ("all", device):
        if read("net.ipv4.conf.%s.arp_ignore", each) == NO_ARP:
            key = name("net.ipv4.conf.%s.arp_ignore", each)
            return ["answers no ARP on %s: its sysctl %s is %s" % (device, key, NO_ARP)]
    return []


def full_connection_table() -> list[str]:
    """Return a text if there is no room for another connection."""
    count, limit = (int(read("net.netfilter.nf_conntrack_" + each) or 0) for each in ("count", "max"))
    if not limit or count < limit:
        return []
    return ["has no room for another connection: its sysctl net.netfilter.nf_conntrack_max is %d, all in use" % limit]


class Obstacles:
    """What may stop packets on given interfaces, each read at most once.

    :param run: runs a command, a list, and returns its status, output and error output.
    """

    def __init__(self, run: RunCommand, lookups: RouteLookups) -> None:
        self._run = run
        self._lookups = lookups
        self._by_tc: dict[str, list[str]] = {}
        self._policies: dict[int, list[tuple[Any, Any, str]]] = {}
        self.not_examined: list[str] = []

    def may_stop(self, devices: list[str]) -> list[str]:
        """Return, in words, what there is on *devices* of which it cannot be told what it does to a packet."""
        found = []
        for device in devices:
            link = self._lookups.links().get(device)
            found += ["an XDP program on %s" % device] if link and link.xdp else []
            found += self._of_tc(device)
        return found

    def _of_tc(self, device: str) -> list[str]:
        if device not in self._by_tc:
            self._by_tc[device] = self._read_tc(device)
        return self._by_tc[device]

    def _read_tc(self, device: str) -> list[str]:
        status, output, error = self._run(["tc", "qdisc", "show", "dev", device])
        if status:
            self._leave_out("traffic control (%s)" % (error.strip().splitlines() or ["tc failed"])[0])
            return []
        kinds = re.findall(r"^qdisc (\S+) \S+ (\S+)", output, re.MULTILINE)
        found = ["tc qdisc %s on %s" % (kind, device) for kind, _parent in kinds if kind not in PLAIN_QDISCS]
        hooks = ["ingress", "egress"] if any(kind == "clsact" for kind, _parent in kinds) else []
        hooks += ["ingress"] if any(kind == "ingress" for kind, _parent in kinds) else []
        for hook in hooks:
            status, output, _error = self._run(["tc", "filter", "show", "dev", device, hook])
            found += ["tc filter on %s %s: %s" % (device, hook, _action(output))] if output.strip() else []
        return found

    def _leave_out(self, text: str) -> None:
        if text not in self.not_examined:
            self.not_examined.append(text)

    def policies(self, family: int, source: str, destination: str) -> tuple[list[str], list[str]]:
        """Return the IPsec policies that block packets between two addresses, and those that transform them."""
        if family not in self._policies:
            self._policies[family] = self._read_policies(family)
        pairs = [tuple(map(ipaddress.ip_address, pair)) for pair in ((source, destination), (destination, source))]
        hits = [text for near, far, text in self._policies[family] if any(a in near and b in far for a, b in pairs)]
        blocking = [text for text in hits if "action block" in text]
        return blocking, ["the IPsec policy %s" % text for text in hits if text not in blocking]

    def _read_policies(self, family: int) -> list[tuple[Any, Any, str]]:
        status, output, error = self._run(["ip", "-%d" % family, "xfrm", "policy", "show"])
        if status:
            self._leave_out("IPsec policies (%s)" % (error.strip().splitlines() or ["ip xfrm failed"])[0])
        found = []
        for entry in re.split(r"^(?=src )", output, flags=re.MULTILINE) if status == 0 else []:
            selector = re.match(r"src (\S+) dst (\S+)(.*)", entry)
            direction = re.search(r"^\s+dir (?:in|out|fwd).*?(?= ptype|$)", entry, re.MULTILINE)
            if selector and direction:  # sockets' own policies have another line there
                networks = [ipaddress.ip_network(text, strict=False) for text in selector.group(1, 2)]
                text = " ".join((selector.group() + direction.group()).split())
                found.append((networks[0], networks[1], text))
        return found


def _action(output: str) -> str:
    """Return what a filter does, or which classifier it is."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    actions = [line for line in lines if line.startswith(("action", "police"))]
    return (actions or lines)[0]
