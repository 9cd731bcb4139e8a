# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IP addresses and networks that come from outside, in exactly their own notation.

``ipaddress`` also takes numbers, netmasks and, since Python 3.9, any text at all after the ``%`` of an IPv6 address: a
template, or a further line for ``ip -batch``. What a node calls its interface means nothing to others, so that no zone
is ever right here.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Union

    Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
    Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,45}")
_NETWORK = re.compile(r"[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?")
_PLAIN = re.compile(r"[A-Za-z0-9.:/_,+@ -]{1,60}")
_SHOWN = 60  # letters of a value that is refused


def address(text: Any) -> Address:
    """Return the address that *text* is; ValueError if it is anything else."""
    if not isinstance(text, str) or not _ADDRESS.fullmatch(text):
        raise ValueError("%s is not an IP address" % shown(text))
    return ipaddress.ip_address(text)


def network(text: Any, strict: bool = True) -> Network:
    """Return the network that *text* is, ADDRESS/LENGTH or a single address; ValueError if it is anything else.

    :param strict: whether it must have no host bits.
    """
    if not isinstance(text, str) or not _NETWORK.fullmatch(text):
        raise ValueError("%s is not a network in CIDR notation" % shown(text))
    return ipaddress.ip_network(text, strict)


def is_address(text: Any) -> bool:
    """Return whether *text* is an IPv4 or IPv6 address."""
    try:
        address(text)
    except ValueError:
        return False
    return True


def shown(value: Any) -> str:
    """Return the refused *value* for a message: as it is if it is plain, else quoted, with all that could be a template
    or a terminal's escape sequence written as ``\\xNN``, and never long.
    """
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    quoted = ascii(text[:_SHOWN]).replace("{", "\\x7b").replace("}", "\\x7d")
    return quoted + ("..." if len(text) > _SHOWN else "")
