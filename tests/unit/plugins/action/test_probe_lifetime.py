# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe pod outlives the tasks of all other nodes, however few of them run at a time."""

from __future__ import annotations

import pytest

from ansible_collections.humanz.cni.plugins.action.pod_probe import lifetime


@pytest.mark.parametrize(
    ("hosts", "forks", "seconds"), [(3, 5, 130), (1000, 5, 2120), (1000, 50, 2120), (1000, 1, 10120), (3, 1, 150)]
)
def test_fewer_forks_take_longer(hosts: int, forks: int, seconds: int) -> None:
    assert lifetime(hosts, forks) == seconds
