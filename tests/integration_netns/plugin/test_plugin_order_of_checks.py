# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of several mistakes in one request the one is reported that every plugin on the reference's skeleton reports."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.plugin.runtime import Runtime, nested

MISSING: dict[str, str | None] = {"CONTAINERID": None, "NETNS": None, "IFNAME": None, "PATH": None}

CASES: dict[str, tuple[str, Any, dict[str, str | None], int, str]] = {
    "S-007 DEL needs no namespace": (
        "DEL", nested(), MISSING, 4, "required env variables [CNI_CONTAINERID,CNI_IFNAME,CNI_PATH] missing",
    ),
    "S-010 all that CHECK misses": (
        "CHECK", nested(), MISSING, 4,
        "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing",
    ),
    "S-011 first of two invalid ones": (
        "ADD", nested(), {"CONTAINERID": "-", "IFNAME": "a/b"}, 4, "invalid characters in containerID",
    ),
    "S-011 invalid before missing": (
        "ADD", nested(), {"CONTAINERID": None, "IFNAME": ".."}, 4, "interface name is . or ..",
    ),
    "S-016 environment before standard input": (
        "ADD", b"no json", {"CONTAINERID": "-"}, 4, "invalid characters in containerID",
    ),
    "S-016 standard input before the command": ("FOO", b"no json", {}, 6, "error unmarshall network config: "),
    "S-016 name before the command": ("FOO", nested(name="a/b"), {}, 7, "invalid characters found in network name"),
    "S-016 command before the version": ("FOO", nested(cniVersion="9.9.9"), MISSING, 4, "unknown CNI_COMMAND: FOO"),
    "S-016 name before the version": ("ADD", nested(name=None, cniVersion="9.9.9"), {}, 7, "missing network name"),
    "S-016 version before the configuration": (
        "ADD", nested(cniVersion="9.9.9", mtu="high"), {}, 1, "incompatible CNI versions",
    ),
    "S-016 configuration before the namespace": ("ADD", nested(mtu="high"), {"NETNS": "/nowhere"}, 7, "mtu: "),
    "S-019 CHECK of an old version before its previous result": (
        "CHECK", nested(cniVersion="0.3.1"), {}, 1, "config version does not allow CHECK",
    ),
    "S-018 CHECK of a version to come": (
        "CHECK", nested(cniVersion="9.9.9"), {}, 1, "plugin version does not allow CHECK",
    ),
    "S-018 CHECK of what is no version": ("CHECK", nested(cniVersion="x.y"), {}, 6, "cniVersion: 'x.y' is not"),
    "S-018 DEL of what is no version": ("DEL", nested(cniVersion="x.y"), {}, 1, "incompatible CNI versions"),
    "S-004 commands are in capitals": ("add", nested(), {}, 4, "unknown CNI_COMMAND: add"),
}  # fmt: skip


@pytest.mark.parametrize(("command", "conf", "environment", "code", "message"), CASES.values(), ids=CASES)
def test_which_mistake_is_reported(
    runtime: Runtime, command: str, conf: Any, environment: dict[str, str | None], code: int, message: str
) -> None:
    runtime.pod("pod1")
    before = runtime.state()

    error = runtime.fail(command, conf, **environment)

    assert (error["code"], error["msg"][: len(message)]) == (code, message)
    assert runtime.state() == before
