# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ADD that failed has made, taken away in DEL's order."""

from __future__ import annotations

from ..network import spoofcheck_elements
from ..primitives import files, signals
from . import delete

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Any

    from ..ipam.delegate import Plugin
    from ..ipam.store import Store
    from ..kernel.owner import Owner


def run(made: Container[str], of_owner: Owner, reservations: Store, plugin: Plugin | None) -> None:
    """Undo what *made* names: ``delegation``, ``link``, ``reservation``, ``checks`` and ``masquerading``.

    No link is there unchecked, and no address free that a link has. What fails stops nothing: it is said on standard
    error, as the error that led here is the one to report.

    :param reservations: the network's; *plugin*: the IPAM plugin that gives the addresses in their place, or None.
    """
    signals.ignore()
    steps: tuple[tuple[Any, ...], ...] = (
        ("link", delete.delete_link, of_owner),
        ("delegation", plugin and plugin.call, "DEL"),
        ("reservation", delete.release, reservations, of_owner),
        ("checks", spoofcheck_elements.remove, of_owner.host_veth),
        ("masquerading", delete.remove_masquerading, reservations),
    )
    for name, step, *arguments in steps:
        if name in made:
            try:
                step(*arguments)
            except Exception as exc:
                files.complain("undoing ADD of %s: %s" % (of_owner.alias, exc))
