# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where cri-dockerd looks, by its command line."""

from __future__ import annotations

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._runtimes import cri_dockerd, processes
from ansible_collections.humanz.cni.plugins.module_utils._runtimes.containerd import Wanted


@pytest.mark.parametrize(
    ("words", "wanted", "expected"),
    [
        (None, Wanted("/a", "/b"), None),
        ("cri-dockerd --network-plugin=cni", Wanted("/opt/cni/bin", "/etc/cni/net.d"), []),
        (
            "cri-dockerd --cni-bin-dir=/one,/two",
            Wanted("/opt/cni/bin", "/etc/cni/net.d"),
            [
                "pod_network_cni_bin_dir /opt/cni/bin: cri-dockerd looks in /one, /two: must be one of these, or have"
                " its unit start it with --cni-bin-dir=/opt/cni/bin"
            ],
        ),
        (
            "cri-dockerd --cni-conf-dir /etc/other",
            Wanted("/opt/cni/bin", "/etc/cni/net.d"),
            [
                "pod_network_cni_conf_dir /etc/cni/net.d: cri-dockerd looks in /etc/other: must be that, or have its"
                " unit start it with --cni-conf-dir=/etc/cni/net.d"
            ],
        ),
    ],
)
def test_where_it_looks(
    monkeypatch: pytest.MonkeyPatch, words: str | None, wanted: Wanted, expected: list[str] | None
) -> None:
    found = [] if words is None else [processes.Process(1, words.split())]
    monkeypatch.setattr(processes, "named", lambda _name: found)
    assert cri_dockerd.problems(wanted) == expected
