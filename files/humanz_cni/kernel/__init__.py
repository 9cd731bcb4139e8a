# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel is asked, by netlink and by namespace, and the names by which it shows an attachment.

May use protocol and primitives; knows no configuration.
"""
