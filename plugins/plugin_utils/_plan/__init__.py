# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of the whole cluster: how it is made, what it says to each node, and who contradicts it.

Pure: no Ansible, no file and no socket. May use no other room.
"""
