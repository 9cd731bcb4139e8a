# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's command humanz-cni-ctl: who has which address, how full the pools are, which addresses leaked.

It reads what the plugin writes, by the plugin's own code, and is no part of any of the plugin's operations.
"""
