# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dns part of a result, from the configuration or from a resolv.conf."""

from __future__ import annotations

import posix

from ..primitives import files
from ..primitives.address import Address
from ..protocol.errors import INVALID_CONFIG, CNIError, invalid_config
from .typed import field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .netconf import NetConf

_LISTS = ("nameservers", "search", "options")
# key of runtimeConfig.dns -> key of dns, by the conventions
_OF_RUNTIME = {"servers": "nameservers", "searches": "search", "options": "options"}


def result(conf: NetConf, offered: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the dns object for the NetConf *conf*.

    It is the configuration's if that has any, else *offered* by a delegate, else what ipam.resolvConf says; but
    nameservers, search and options are the runtime's where it names any.
    """
    chosen = checked(conf.dns, "dns.") or offered or _of_file(conf)
    for key, name in _OF_RUNTIME.items():
        asked = _texts(conf.runtime_dns, key, "runtimeConfig.dns.")
        if asked:
            chosen = dict(chosen, **{name: asked})
    return chosen


def checked(conf: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the dns object *conf*, with only the keys that one has. Raises CNIError for a value of a wrong type."""
    found = {key: _texts(conf, key, path) for key in _LISTS if conf.get(key) is not None}
    domain = field(conf, "domain", str, "", path)
    return dict(found, domain=domain) if domain else found


def parse(text: str) -> dict[str, Any]:
    """Return the dns object that the resolv.conf *text* describes.

    As glibc reads it: a nameserver's line ends with its address, whatever comes after that; what is none is left out.
    """
    found: dict[str, Any] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0][0] in "#;":
            continue
        if words[0] == "domain":
            found["domain"] = words[1]
        elif words[0] == "nameserver":
            if _is_address(words[1]):
                found.setdefault("nameservers", []).append(words[1])
        elif words[0] in ("search", "options"):
            found.setdefault(words[0], []).extend(words[1:])
    return found


def _texts(conf: dict[str, Any], key: str, path: str) -> list[str]:
    texts = field(conf, key, list, [], path)
    for text in texts:
        if not isinstance(text, str):
            raise invalid_config(path + key, texts, "it must be a list of strings")
    return texts


def _is_address(text: str) -> bool:
    """Return whether *text* is an IP address, possibly with a scope such as %eth0."""
    try:
        Address.parse(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _of_file(conf: NetConf) -> dict[str, Any]:
    if not (conf.ipam and conf.ipam.resolv_conf):
        return {}
    path = conf.ipam.resolv_conf
    try:
        return parse(files.read(path, posix.O_NONBLOCK).decode("utf-8", "replace"))
    except (OSError, ValueError) as exc:
        raise CNIError(INVALID_CONFIG, "ipam.resolvConf: %s: %s" % (path, getattr(exc, "strerror", exc))) from exc
