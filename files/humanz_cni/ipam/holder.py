# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a record is: an attachment's of this plugin, or a port's that another plugin has made."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from ..kernel.owner import Owner
    from ..kernel.veth_peers import Port

    Holder: TypeAlias = "Owner | ForeignPort"


class ForeignPort:
    """What is attached to the bridge by the link *port*, not by this plugin.

    Nobody asks this plugin to detach it: its addresses are reclaimed when the link is gone.
    """

    def __init__(self, network: str, port: Port) -> None:
        self._network = network
        self._port = port
        self.host_veth = "port-" + port.name

    def document(self) -> dict[str, Any]:
        """Return the owner's part of the record; the link's index stays when somebody renames it."""
        return {"network": self._network, "link": self._port.name, "index": self._port.index}
