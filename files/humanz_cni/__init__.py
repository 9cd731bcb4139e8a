# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CNI plugin: a bridge with the node's gateway address, a veth pair per pod, and addresses from the node's PodCIDR.

It runs once per operation, so that most of its time is Python's start. Modules on the way of ADD and DEL therefore
import only C modules of the interpreter (``posix``, ``_socket``, ``_struct``, ``_json``, ``fcntl``); what a rare path
needs is imported there. Nothing but the standard library is used, on CPython 3.8 or newer.
"""

__version__ = "0.1.0"
