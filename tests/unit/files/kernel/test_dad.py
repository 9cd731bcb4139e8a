# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for duplicate address detection: how it ends where the pod's interface does not stay."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from humanz_cni.kernel import dad, links, netlink, netns
from humanz_cni.protocol.errors import CNIError


class Kernel:
    """Takes the place of a netlink socket in a namespace without links."""

    def get(self, *_messages: tuple[int, int, bytes]) -> bytes:
        """Refuse, as the kernel does for a link that there is not."""
        raise netlink.NetlinkError(links.ENODEV, "No such device")


def test_an_interface_that_has_vanished_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netns, "Inside", nullcontext)
    monkeypatch.setattr(netlink, "Socket", Kernel)
    with pytest.raises(CNIError) as caught:
        dad.wait(7, "eth0")
    assert caught.value.message == "failed to settle addresses for eth0: link eth0 has vanished"
    assert caught.value.code == 11
