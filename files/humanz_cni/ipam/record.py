# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A record: what it says of an attachment, and of what belongs to that.

It is JSON: network, containerID, ifname, addresses, netns, namespace (its identity, see ``netns.identity``), boot, time
(seconds since the epoch), pod, spoofchk (``ip`` for ipspoofchk, ``mac`` for macspoofchk, null for neither), and ipMasq
(subnets) where that was set. Records of earlier versions have no namespace, no ipMasq and only ``ip``. What another
plugin has attached to the bridge has link and index in place of containerID and ifname, see ``holder.ForeignPort``.

One that cannot be read is ``{}``. Any value may be of a wrong type: a record may be damaged.
"""

from __future__ import annotations

from ..kernel.owner import Owner
from ..primitives.address import Address, Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, Any]


def owner_of(record: Record) -> Owner:
    """Return the Owner that *record* names; KeyError, TypeError or ValueError if it names none."""
    return Owner(record["network"], record["containerID"], record["ifname"])


def find_owner(record: Record) -> Owner | None:
    """Return the Owner that *record* names, or None if it names none."""
    try:
        owner = owner_of(record)
    except (KeyError, TypeError, ValueError):
        return None
    return owner if owner.network and owner.container_id and owner.ifname else None


def foreign_link(record: Record) -> str | None:
    """Return the name of the link that *record* is for if another plugin has made it, or None."""
    link = record.get("link")
    return link if isinstance(link, str) else None


def addresses_of(record: Record) -> list[Address]:
    """Return the addresses of *record*; KeyError, TypeError or ValueError if they cannot be read."""
    return [Address.parse(one) for one in record["addresses"]]


def checked_addresses(record: Record | None) -> list[Address] | None:
    """Return the addresses that the pod with *record* may send from; None if any, or if nobody knows."""
    if record is None or record.get("spoofchk") != "ip":
        return None
    try:
        return addresses_of(record)
    except (KeyError, TypeError, ValueError):  # it is damaged
        return []


def masqueraded_subnets(record: Record) -> list[Network] | None:
    """Return the subnets that the pod with *record* is masqueraded in; None if it does not tell, as an older one."""
    if "ipMasq" not in record and ("namespace" in record or "link" in record):
        return []
    try:
        return [Network.parse(one) for one in record["ipMasq"]]
    except (KeyError, TypeError, AttributeError, ValueError):
        return None


def show_holder(record: Record) -> str:
    """Return who has the addresses of *record*, as text; empty if that cannot be read."""
    if "link" in record:
        return "another plugin's interface %s" % record["link"]
    if "containerID" not in record:
        return ""
    whose = "container %s, interface %s" % (record["containerID"], record.get("ifname"))
    return "%s%s" % (whose, ", pod %s," % record["pod"] if record.get("pod") else "")
