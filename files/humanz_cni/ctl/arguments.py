# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line."""

from __future__ import annotations

import argparse
import os

from .. import __version__
from ..config import ipam_keys

NAME = "humanz-cni-ctl"
CONF_DIR = "/etc/cni/net.d"
_DESCRIPTION = (
    "Show and release the addresses that the CNI plugin humanz-cni has reserved, and\nrestore the spoof checks of pods."
)
_EPILOG = """\
exit status:
  0  everything asked for was read and done
  1  something could not be read or done: standard error names it
  2  wrong usage; nothing was done

examples:
  %(prog)s list                    who has which address
  %(prog)s list --leaks -o wide    what nobody will release, and why
  %(prog)s pools                   how full the pools are
  %(prog)s reclaim --dry-run       what reclaim would release
  %(prog)s reclaim                 release it
  %(prog)s list --json             for programs
  %(prog)s restore-checks          put back the spoof checks of pods

All columns, and the keys of the JSON documents, are described in
docs/operator-command.md of the collection humanz.cni.
"""
_STATUSES = """\
status of a reservation:
  live        its network namespace or its host veth is there
  pending     neither is, but it is so young that its ADD may be under way
  leaked      it is of an earlier boot, or both have been gone for longer
  unreadable  its record is damaged
  unrecorded  a pod's host veth is there, but no record of it
"""
_RECLAIM = """\
Releases what list shows as leaked, and never what belongs to a pod that runs or
is being attached. Pods may be attached and detached meanwhile.
"""
_RESTORE = """\
For pods that were attached with ipspoofchk or macspoofchk, after their rules or
set elements were removed, as nft flush ruleset does. Healing calls it. It says
what it has put back, and nothing if nothing was missing.
"""


def parse(words: list[str]) -> argparse.Namespace:
    """Return the options that *words* are; ends the process with status 2 if they are wrong."""
    parser = argparse.ArgumentParser(NAME, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=_AsWritten)
    parser.add_argument("--version", action="version", version="%s %s" % (NAME, __version__))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)

    listing = _command(commands, "list", "list reservations with their owners", _STATUSES)
    listing.add_argument("--leaks", action="store_true", help="only those that are leaked or unreadable")
    pools = _command(commands, "pools", "show how many addresses of each range set are used", "")
    reclaiming = _command(commands, "reclaim", "release leaked reservations", _RECLAIM)
    reclaiming.add_argument("-n", "--dry-run", action="store_true", help="only show what would be released")
    reclaiming.add_argument(
        "--unreadable", action="store_true", help="also damaged records that cannot be those of a running pod"
    )
    for one, formats in ((listing, ("table", "wide", "json")), (pools, ("table", "json")),
                         (reclaiming, ("table", "wide", "json"))):  # fmt: skip
        output = one.add_mutually_exclusive_group()
        output.add_argument("-o", "--output", choices=formats, help="default: table")
        output.add_argument("--json", action="store_const", const="json", dest="output", help="the same as -o json")
    commands.add_parser(
        "restore-checks",
        help="put back the spoof checks of pods",
        description="Put back the spoof checks of pods.",
        epilog=_RESTORE,
        formatter_class=_AsWritten,
    )
    return parser.parse_args(words)


class _AsWritten(argparse.RawDescriptionHelpFormatter):
    """Leaves the lines of longer texts as they are."""


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, epilog: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", epilog=epilog, formatter_class=_AsWritten
    )
    parser.add_argument("--network", metavar="NAME", help="only this network's")
    parser.add_argument(
        "--conf-dir", metavar="DIR", type=_directory, help="directory of the CNI configurations; default: %s" % CONF_DIR
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", type=_directory, action="append", default=[],
        help="another directory of reservations, beside %s and those that configurations name; may be repeated"
        % ipam_keys.DATA_DIR,
    )  # fmt: skip
    return parser


def _directory(text: str) -> str:
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError("%r is not a directory" % text)
    return os.path.abspath(text)
