# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts stop a run: those that have failed, wherever they did, and none that could not be reached."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.action.play_check import SHOWN, SHOWN_PROBLEMS, deferred, failures

WELL = {"changed": False, "failed": False}
REFUSED = {"failed": True, "msg": "no"}
OFF = {"unreachable": True, "msg": "off"}


@pytest.mark.parametrize(
    ("registered", "active", "said"),
    [
        ({"n1": WELL, "n2": WELL}, {"n1", "n2"}, None),
        ({"n1": WELL, "n2": OFF}, {"n1"}, None),
        ({"n1": WELL, "n2": REFUSED}, {"n1"}, "n2 reported problems, see above."),
        # In a block with a rescue section, a host that has failed stays in the play.
        ({"n1": WELL, "n2": REFUSED}, {"n1", "n2"}, "n2 reported problems, see above."),
        ({"n1": WELL, "n2": {}}, {"n1", "n2"}, "n2 failed before the checks, see above."),
        ({"n1": WELL, "n2": {}}, {"n1"}, "n2 failed before the checks, see above."),
        ({"n1": WELL, "n2": WELL}, {"n1"}, "n2 failed before the checks, see above."),
        (
            {"n1": REFUSED, "n2": OFF, "n3": {}, "n4": WELL},
            {"n4"},
            "n1 reported problems and n3 failed before the checks, see above.",
        ),
        # Nothing was to be registered.
        ({"n1": None, "n2": None}, {"n1", "n2"}, None),
        ({"n1": None, "n2": None}, {"n1"}, "n2 failed before the checks, see above."),
    ],
)
def test_who_has_failed(registered: dict[str, dict[str, Any] | None], active: set[str], said: str | None) -> None:
    assert failures(registered, active) == said


def test_a_thousand_are_not_all_named() -> None:
    said = failures({f"n{number}": REFUSED for number in range(SHOWN + 3)}, set())
    assert said is not None
    assert f"n{SHOWN - 1} and 3 more reported problems" in said


def test_what_several_nodes_have_found_is_said_once_and_what_a_failed_one_has_said_not_again() -> None:
    found = {"n1": ["cluster: a", "n1: b"], "n2": ["cluster: a"]}
    registered: dict[str, Any] = {host: {"problems": lines} for host, lines in found.items()}
    registered.update(n3={"failed": True, "problems": ["n3: c"]}, n4=None, n5=WELL)
    assert deferred(registered) == "2 problems must be solved first:\ncluster: a\nn1: b"
    assert deferred({"n2": registered["n2"]}) == "1 problem must be solved first: cluster: a"
    assert deferred({"n5": WELL}) is None
    many = deferred({"n1": {"problems": ["n1: %d" % number for number in range(SHOWN_PROBLEMS + 3)]}})
    assert many is not None
    assert many.endswith(f"n1: {SHOWN_PROBLEMS - 1} and 3 more")


def test_where_problems_are_is_said_only_if_nobody_says_them() -> None:
    see = {"problems": ["cluster: the plan has problems: see n2"]}
    assert deferred({"n1": see, "n2": {"problems": ["n2: low"]}}) == "1 problem must be solved first: n2: low"
    assert deferred({"n1": see, "n3": see}) == f"1 problem must be solved first: {see['problems'][0]}"
