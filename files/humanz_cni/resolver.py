# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dns part of a result, from the configuration or from a resolv.conf."""

from . import disk
from .errors import INVALID_CONFIG, CNIError

_WORDS = {"nameserver": "nameservers", "search": "search", "options": "options"}


def dns(conf):
    """Return the dns object for the NetConf *conf*: its own if it has any, else what ipam.resolvConf names."""
    if any(conf.dns.get(key) for key in ("nameservers", "domain", "search", "options")):
        return conf.dns
    if conf.ipam and conf.ipam.resolv_conf:
        return parse(_read(conf.ipam.resolv_conf))
    return {}


def parse(text):
    """Return the dns object that the resolv.conf *text* describes."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if not words or line[0] in "#;":
            continue
        if words[0] == "domain" and len(words) > 1:
            found["domain"] = words[1]
        elif words[0] in _WORDS:
            found.setdefault(_WORDS[words[0]], []).extend(words[1:])
    return found


def _read(path):
    try:
        return disk.read(path).decode("utf-8", "replace")
    except OSError as exc:
        raise CNIError(INVALID_CONFIG, "ipam.resolvConf: %s: %s" % (path, exc.strerror)) from exc
