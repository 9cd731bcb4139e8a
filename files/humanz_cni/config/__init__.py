# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network configuration: what each key means, its limits and what is said of a wrong value.

May use kernel, protocol and primitives. Nothing here touches the kernel or the disk, but for ipam.resolvConf.
"""
