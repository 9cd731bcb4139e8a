# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who must reach whom, who does, and why not, from what the nodes' probes found.

Pure: no Ansible, no file and no socket. May use no other room.
"""
