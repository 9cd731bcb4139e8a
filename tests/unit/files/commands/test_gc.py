# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attachments that GC is told are valid."""

from __future__ import annotations

from typing import Any

import pytest

from humanz_cni.commands import gc
from humanz_cni.kernel.owner import Owner
from humanz_cni.protocol.errors import CNIError

OWNER = Owner("net1", "pod1", "eth0")
VALID = "cni.dev/valid-attachments"


@pytest.mark.parametrize(
    "conf",
    [{}, {VALID: {}}, {VALID: "x"}, {VALID: [7]}, {VALID: [{}]}, {VALID: [{"containerID": "a"}]}],
    ids=str,
)
def test_a_list_of_valid_attachments_that_is_none_is_refused(conf: dict[str, Any]) -> None:
    with pytest.raises(CNIError) as raised:
        gc.valid(conf, "net1")
    assert raised.value.code == 7


def test_a_list_of_valid_attachments() -> None:
    listed = gc.valid({VALID: [{"containerID": "pod1", "ifname": "eth0", "more": 1}]}, "net1")
    assert [one.host_veth for one in listed or ()] == [OWNER.host_veth]
    assert gc.valid({"cni.dev/attachments": []}, "net1") == []
    assert gc.valid({VALID: None, "cni.dev/attachments": []}, "net1") == []
    assert gc.valid({VALID: None}, "net1") is None
    assert gc.valid({VALID: None, "cni.dev/attachments": None}, "net1") is None
