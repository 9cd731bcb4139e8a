# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's bridge, where somebody else deletes it at the worst moment; the kernel's part is played here."""

from __future__ import annotations

import pytest

from humanz_cni.config import netconf
from humanz_cni.kernel import links, netlink
from humanz_cni.network import bridge
from humanz_cni.protocol import request
from humanz_cni.protocol.errors import TRY_AGAIN_LATER, CNIError


class Forgetful(netlink.Socket):
    """A kernel that makes every link that it is asked for, and has none a moment later."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def request(self, *messages: netlink.Message, after: object = ()) -> None:
        """Note the types of *messages*."""
        self.made += [kind for kind, _flags, _body in messages]

    def get(self, message: netlink.Message, *before: netlink.Message) -> bytes:
        """Say that there is no such link."""
        raise netlink.NetlinkError(links.ENODEV, "No such device")


def test_a_bridge_deleted_right_after_it_was_made_is_worth_another_try() -> None:
    asked = request.Request()
    asked.conf, asked.args = {"cniVersion": "1.0.0", "name": "net1", "bridge": "br1"}, ""
    kernel = Forgetful()

    with pytest.raises(CNIError, match="interface br1 has vanished during ADD") as refused:
        bridge.ensure(kernel, netconf.load(asked), [])

    assert refused.value.code == TRY_AGAIN_LATER
    assert kernel.made == [links.RTM_NEWLINK]
