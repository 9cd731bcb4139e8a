# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters and modules as sysctl.d(5) and modules-load.d(5) know them. The standard library only.

Keys are written with dots; a dot within a name, as in the interface eth0.100, is a slash.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import glob
import os
import platform
import re
from collections.abc import Iterable, Mapping

from ansible_collections.humanz.cni.plugins.module_utils import _files
from ansible_collections.humanz.cni.plugins.module_utils._converge import ConvergeError

PROC_SYS = "/proc/sys"
# In the order in which files of one name hide each other, as sysctl.d(5) has it.
DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
SYSCTL_CONF = "/etc/sysctl.conf"
_NAME = r"[A-Za-z0-9_@-]+(?:/[A-Za-z0-9_@-]+)*"
KEY = re.compile(r"%s(?:\.%s)+\Z" % (_NAME, _NAME))
# What the kernel sets along with a key, so that setting the key back is not enough: inet_forward_change() of
# net/ipv4/devinet.c and addrconf_fixup_forwarding() of net/ipv6/addrconf.c.
FOLLOWERS = {
    "net.ipv4.ip_forward": ("net.ipv4.conf.*.forwarding", "net.ipv4.conf.all.accept_redirects"),
    "net.ipv6.conf.all.forwarding": ("net.ipv6.conf.*.forwarding",),
}
# What only exists once a module is loaded, as a module that is built in may be found nowhere else.
TRACES = {"br_netfilter": "/proc/sys/net/bridge"}

_SWAP = str.maketrans("./", "/.")


def path_of(key: str) -> str:
    """Return the file of the kernel parameter *key*."""
    return os.path.join(PROC_SYS, key.translate(_SWAP))


def read(key: str) -> str | None:
    """Return the running value of *key*, with single spaces in it, or None if the kernel has no such key."""
    try:
        text = _files.read_text(path_of(key))
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


def overrides(sysctl_file: str, sysctls: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the settings of other files that win over *sysctl_file* at the next boot.

    :param sysctls: the values that the file sets, a dict.
    :returns: a list of dicts with file, key and value.
    """
    last: dict[str, dict[str, str]] = {}
    for path in _later_files(sysctl_file):
        for key, value in parse(_text(path)):
            last[key] = {"file": path, "key": key, "value": value}
    return [last[key] for key in sorted(last) if key in sysctls and last[key]["value"] != sysctls[key]]


def _later_files(sysctl_file: str) -> list[str]:
    found: dict[str, str] = {}
    for directory in reversed(DIRECTORIES):
        found.update((os.path.basename(path), path) for path in glob.glob(os.path.join(directory, "*.conf")))
    name = os.path.basename(sysctl_file)
    paths = [found[other] for other in sorted(found) if other > name]
    # Where it is not linked into one of the directories, procps reads this file last.
    linked = any(os.path.realpath(path) == SYSCTL_CONF for path in paths)
    return paths if linked or not os.path.exists(SYSCTL_CONF) else paths + [SYSCTL_CONF]


def _text(path: str) -> str:
    try:
        return _files.read_text(path) or ""
    except (OSError, UnicodeDecodeError) as exc:
        raise ConvergeError("%s cannot be read: %s" % (path, exc)) from exc


def parse(text: str) -> list[tuple[str, str]]:
    """Return the (key, value) pairs of *text*, in the syntax of sysctl.d(5). Patterns are left out."""
    pairs = []
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        key = key.strip().lstrip("-").strip()
        if not equals or not key or key[0] in "#;" or "*" in key:
            continue
        # The first separator decides which of the two is the separator.
        slash, dot = key.find("/"), key.find(".")
        if slash >= 0 and (dot < 0 or slash < dot):
            key = key.translate(_SWAP)
        pairs.append((key, normal(value)))
    return pairs


def is_loaded(module: str) -> bool:
    """Return whether the kernel module *module* is loaded or built into the kernel."""
    name = module.replace("-", "_")
    if os.path.isdir("/sys/module/" + name) or os.path.exists(TRACES.get(name, "/nonexistent")):
        return True
    builtin = _text("/lib/modules/%s/modules.builtin" % platform.release())
    return any(os.path.basename(line).replace("-", "_") == name + ".ko" for line in builtin.splitlines())
