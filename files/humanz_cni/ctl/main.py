# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""humanz-cni-ctl's entry: reads the command line, carries the command out, prints, and says how it went."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Callable

from ..network import spoofcheck_restore
from ..protocol.errors import CNIError
from . import arguments, networks, output, pools, reservations
from .reservations import LEAKED, UNREADABLE

if TYPE_CHECKING:
    from argparse import Namespace

    from .networks import Network
    from .reservations import Reservation

DONE, INCOMPLETE, WRONG_USAGE = 0, 1, 2


def main(words: list[str]) -> int:
    """Carry out the command *words* and return the exit status."""
    # Each step leaves a good state: the command may end wherever it is interrupted, and its lock ends with it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    options = arguments.parse(words)
    if os.geteuid() != 0:
        _complain("it must be run as root: nobody else may read the records and see the pods' namespaces")
        return INCOMPLETE
    if options.command == "restore-checks":
        return _restore_checks()
    found, problems = networks.find(options.conf_dir or arguments.CONF_DIR, options.data_dir)
    if options.network:
        known = sorted({one.name for one in found})
        found = [one for one in found if one.name == options.network]
        if not found:
            _complain("--network: %s is not one of %s" % (options.network, ", ".join(known) or "none"))
            return WRONG_USAGE
    return _say(_COMMANDS[options.command](options, found, problems), problems)


def _restore_checks() -> int:
    done, problems = spoofcheck_restore.run()
    return _say("".join(line + "\n" for line in done), problems)


def _say(text: str, problems: list[str]) -> int:
    """Write *text* and the *problems*, and return the exit status."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as exc:  # such as a file on a full disk
        problems.append("standard output: %s" % exc.strerror)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left of it is not written at the end
    for problem in problems:
        _complain(problem)
    return INCOMPLETE if problems else DONE


def _list(options: Namespace, found: list[Network], problems: list[str]) -> str:
    host = reservations.Host()
    listed = [one for network in found for one in _read(network, host, problems)]
    listed += reservations.unrecorded(found, listed, host)
    if options.leaks:
        listed = [one for one in listed if one.status in (LEAKED, UNREADABLE)]
    return _show_reservations(options, listed, problems)


def _pools(options: Namespace, found: list[Network], problems: list[str]) -> str:
    host = reservations.Host()
    documents = [one for network in found for one in pools.documents(network, _read(network, host, problems))]
    if options.output == "json":
        return output.as_json({"pools": documents}, problems)
    return output.pools(documents)


def _reclaim(options: Namespace, found: list[Network], problems: list[str]) -> str:
    host = reservations.Host()
    released: list[Reservation] = []
    for network in found:
        listed = _read(network, host, problems)
        chosen = [one for one in listed if one.status == LEAKED]
        if options.unreadable:
            chosen += [one for one in listed if one.status == UNREADABLE and one.is_unused(host.kernel)]
        if not options.dry_run:
            chosen = _attempt(problems, reservations.release, network, chosen)
        released += chosen
    text = _show_reservations(options, released, problems, dryRun=options.dry_run)
    if options.output == "json":
        return text
    return "%s%d %s\n" % (text, len(released), "would be released" if options.dry_run else "released")


def _show_reservations(options: Namespace, listed: list[Reservation], problems: list[str], **further: Any) -> str:
    documents = [one.document() for one in listed]
    if options.output == "json":
        return output.as_json(dict(further, reservations=documents), problems)
    return output.reservations(documents, options.output == "wide")


def _read(network: Network, host: reservations.Host, problems: list[str]) -> list[Reservation]:
    return _attempt(problems, reservations.of_network, network, host)


def _attempt(problems: list[str], step: Callable[..., list[Reservation]], *arguments: object) -> list[Reservation]:
    """Return the list that *step* returns, called with *arguments*; if it fails, note that and return an empty one."""
    try:
        return step(*arguments)
    except CNIError as exc:
        problems.append("; ".join(filter(None, (exc.message, exc.details))))
    except OSError as exc:
        problems.append("%s: %s" % (exc.filename or "the kernel", exc.strerror or exc))
    return []


def _complain(problem: str) -> None:
    sys.stderr.write("%s: %s\n" % (arguments.NAME, output.printable(problem)))


_COMMANDS = {"list": _list, "pools": _pools, "reclaim": _reclaim}
