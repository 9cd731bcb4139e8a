# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wired on the host: bridge, VLANs, kernel parameters, masquerading, and what pods may send from.

May use ipam and all below. What it does is undone here as well.
"""
