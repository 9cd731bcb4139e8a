# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts back whatever is missing, of each kind, by the files in /etc/humanz-cni."""

from __future__ import annotations

import glob

from . import addresses, drops, iptables_rules, nft_rules, pod_checks, routes, sysctls, vxlan
from .commands import Refused, run
from .outcome import Outcome

VXLAN = "/etc/humanz-cni/vxlan*"
ROUTES = "/etc/humanz-cni/routes"
RULES = "/etc/humanz-cni/rules.v[46]*"
NFT_RULES = "/etc/humanz-cni/rules.nft"
SYSCTL = "/etc/humanz-cni/sysctl"


def heal() -> Outcome:
    """Put back what is missing and return the Outcome."""
    outcome, known = Outcome(), ""
    kinds = (
        (VXLAN, vxlan.put_back),  # ahead of the routes that lead through it
        (ROUTES, routes.put_back),
        (RULES, iptables_rules.put_back),
        (NFT_RULES, nft_rules.put_back),
        (SYSCTL, put_back_sysctls),
    )
    for path, put_back in [(path, put_back) for paths, put_back in kinds for path in sorted(glob.glob(paths))]:
        try:
            with open(path, encoding="utf-8") as stream:
                text = stream.read()
            if not text:
                raise ValueError("is empty: run humanz.cni.site for this node")
            known += text
            put_back(text.splitlines(), outcome)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, Refused) as exc:
            outcome.wrong.append("%s: %s" % (path, exc))
        except Exception as exc:  # whatever a file or a command's output makes of this program, the other files count
            outcome.wrong.append("%s: %s: %s" % (path, type(exc).__name__, exc))
    try:
        done, wrong = pod_checks.put_back(run)
        outcome.done += done
        outcome.wrong += wrong
    except (OSError, Refused) as exc:
        outcome.wrong.append("spoof checks of pods: %s" % exc)
    outcome.closed = drops.problems(known, run)
    return outcome


def put_back_sysctls(lines: list[str], outcome: Outcome) -> None:
    """Set the parameters that somebody has changed, and add the addresses that went along with one."""
    for put_back in (sysctls.put_back, addresses.put_back):
        done, wrong = put_back(lines, run)
        outcome.done += done
        outcome.wrong += wrong
