# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters as sysctl.d(5) knows them. The standard library only.

Keys are written with dots; a dot within a name, as in the interface eth0.100, is a slash.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Mapping

from .._shared import files
from .._shared.converge import ConvergeError

PROC_SYS = "/proc/sys"
_NAME = r"[A-Za-z0-9_@-]+(?:/[A-Za-z0-9_@-]+)*"
KEY = re.compile(r"%s(?:\.%s)+\Z" % (_NAME, _NAME))
# What the kernel sets along with a key, so that setting the key back is not enough: inet_forward_change() of
# net/ipv4/devinet.c, addrconf_fixup_forwarding() and addrconf_disable_ipv6() of net/ipv6/addrconf.c.
FOLLOWERS = {
    "net.ipv4.ip_forward": ("net.ipv4.conf.*.forwarding", "net.ipv4.conf.all.accept_redirects"),
    "net.ipv4.conf.all.forwarding": ("net.ipv4.conf.*.forwarding", "net.ipv4.conf.all.accept_redirects"),
    "net.ipv6.conf.all.forwarding": ("net.ipv6.conf.*.forwarding",),
    "net.ipv6.conf.all.disable_ipv6": ("net.ipv6.conf.*.disable_ipv6",),
}
# What has the effect of a kernel that lacks the key. Others have that of the key's default.
LACKING = dict.fromkeys(("net.bridge.bridge-nf-call-%s" % name for name in ("iptables", "ip6tables", "arptables")), "0")

_SWAP = str.maketrans("./", "/.")


def path_of(key: str) -> str:
    """Return the file of the kernel parameter *key*."""
    return os.path.join(PROC_SYS, key.translate(_SWAP))


def read(key: str) -> str | None:
    """Return the running value of *key*, with single spaces in it, or None if the kernel has no such key."""
    try:
        text = files.read_text(path_of(key))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConvergeError("sysctl %s cannot be read: %s" % (key, exc)) from exc
    return None if text is None else normal(text)


def write(key: str, value: str) -> None:
    """Set the running value of *key*. Raises ConvergeError that names key and value."""
    try:
        with open(path_of(key), "w", encoding="utf-8") as stream:
            stream.write(value)
    except OSError as exc:
        raise ConvergeError("sysctl %s cannot be set to %s: %s" % (key, value, exc.strerror)) from exc


def normal(value: object) -> str:
    """Return *value* as text with single spaces, as the kernel separates the fields of a value by tabs."""
    return " ".join(str(value).split())


def followers(key: str) -> list[str]:
    """Return the existing keys that the kernel sets along with *key*."""
    keys = []
    for pattern in FOLLOWERS.get(key, ()):
        paths = sorted(glob.glob(path_of(pattern)))
        keys += [path[len(PROC_SYS) + 1 :].translate(_SWAP) for path in paths]
    return [found for found in keys if found != key]


def word_of(leader: str) -> str:
    """Return the last part of those keys which the kernel gives the value of *leader* along with it."""
    return leader.replace("ip_forward", "forwarding").rpartition(".")[2]


def follows(key: str, leaders: Iterable[str]) -> bool:
    """Return whether the kernel sets *key* along with one of *leaders*."""
    patterns = [pattern for leader in leaders if leader != key for pattern in FOLLOWERS.get(leader, ())]
    return any(re.match(re.escape(pattern).replace(r"\*", "[^.]+") + "$", key) for pattern in patterns)


def in_order(sysctls: Mapping[str, str | None]) -> list[str]:
    """Return the keys of *sysctls*, a dict, in the order in which they are to be set.

    What the kernel sets along with a key comes after it. Router advertisements are let in before and shut out after
    IPv6 is forwarded: rt6_purge_dflt_routers() of net/ipv6/route.c forgets the routes that came with others.
    """

    def rank(key: str) -> int:
        if key.endswith(".accept_ra"):
            return 0 if sysctls[key] == "2" else 3
        return 2 if follows(key, sysctls) else 1

    return sorted(sysctls, key=lambda key: (rank(key), key))


def dotted(key: str) -> str:
    """Return *key*, as written in a file of sysctl.d(5), with dots: the first separator decides which one it has."""
    slash, dot = key.find("/"), key.find(".")
    return key.translate(_SWAP) if slash >= 0 and (dot < 0 or slash < dot) else key


def parse(text: str) -> list[tuple[str, str]]:
    """Return the (key, value) pairs of *text*, a file of ours."""
    pairs = (line.partition(" = ") for line in text.splitlines() if not line.startswith("#"))
    return [(key, value) for key, equals, value in pairs if equals]


def suffices(key: str, value: str, wanted: str) -> bool:
    """Return whether *key* may have *value* where *wanted* is wanted. Of room for neighbours, more is as good."""
    if ".gc_thresh" in key and value.isdigit() and wanted.isdigit():
        return int(value) >= int(wanted)
    return value == wanted
