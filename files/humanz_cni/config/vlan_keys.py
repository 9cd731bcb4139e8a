# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys ``vlan``, ``vlanTrunk`` and ``preserveDefaultVlan``, as the reference's bridge has them."""

from __future__ import annotations

from ..protocol.errors import INVALID_CONFIG, CNIError, invalid_config
from .typed import field, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PVID, UNTAGGED = 2, 4  # flags of linux/if_bridge.h
_HIGHEST = 4094
_DEFAULT = 1


class Vlans:
    """What a port carries: frames of VLAN *tag* without a tag (0: of none), those of *trunk*, a sorted list, with it.

    *keep_default*: also those of the VLAN that the bridge gives each new port.
    """

    __slots__ = ("tag", "trunk", "keep_default")

    def __init__(self, tag: int, trunk: list[int], keep_default: bool) -> None:
        self.tag = tag
        self.trunk = trunk
        self.keep_default = keep_default

    @property
    def members(self) -> list[tuple[int, int]]:
        """The port's VLANs as a list of (VLAN, flags)."""
        untagged = self.tag or (_DEFAULT if self.trunk else 0)
        found = [(vlan, 0) for vlan in self.trunk if vlan != untagged]
        return [(untagged, PVID | UNTAGGED), *found] if untagged else found


def load(conf: dict[str, Any], bridge_name: str) -> Vlans | None:
    """Return the Vlans of the decoded configuration *conf*, None if it wants none. Raises CNIError."""
    tag = conf.get("vlan")
    if isinstance(tag, int) and not 0 <= tag <= _HIGHEST:
        raise CNIError(INVALID_CONFIG, "invalid VLAN ID %d (must be between 0 and %d)" % (tag, _HIGHEST), "vlan")
    tag = number(conf, "vlan", _HIGHEST, 0)
    items = field(conf, "vlanTrunk", list, None)
    keep_default = field(conf, "preserveDefaultVlan", bool, False)
    if not tag and items is None:
        return None
    if tag and len(gateway_name(bridge_name, tag).encode()) > 15:
        raise invalid_config("bridge", bridge_name, "%s.%d must be an interface name as well" % (bridge_name, tag))
    return Vlans(tag, _trunk(items or []), keep_default)


def _trunk(items: list[Any]) -> list[int]:
    """Return the VLANs that the list *items* of ``vlanTrunk`` describes, sorted."""
    found: set[int] = set()
    for place, item in enumerate(items):
        path = "vlanTrunk[%d]" % place
        if not isinstance(item, dict):
            raise invalid_config(path, item, "it must be an object with id, or minID and maxID")
        lowest, highest, single = (_id(item, key, path) for key in ("minID", "maxID", "id"))
        if (lowest is None) != (highest is None):
            missing = "minID" if lowest is None else "maxID"
            said = "minID and maxID should be configured simultaneously, %s is missing" % missing
            raise CNIError(INVALID_CONFIG, said, path)
        if lowest is not None and highest is not None:
            if highest < lowest:
                raise CNIError(INVALID_CONFIG, "minID is greater than maxID in trunk parameter", path)
            found.update(range(lowest, highest + 1))
        if single is not None:
            found.add(single)
    return sorted(found)


def _id(item: dict[str, Any], key: str, path: str) -> int | None:
    value = item.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _HIGHEST:
        wanted = "%s.%s must be a number from 1 to %d" % (path, key, _HIGHEST)
        raise CNIError(INVALID_CONFIG, "incorrect trunk %s parameter" % key, wanted)
    return value


def gateway_name(bridge_name: str, tag: int) -> str:
    """Return the name of the node's own interface in VLAN *tag* of a bridge, which has the gateway's addresses."""
    return "%s.%d" % (bridge_name, tag)
