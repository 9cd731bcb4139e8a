# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What firewalld lets pass for the pods: a policy of its own, as firewalld rejects what others accept.

Zones, and what they let into the node itself, stay as they are.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._shared import marked_files
from .._shared.converge import ConvergeError
from .nft_syntax import FIREWALLD_POLICY

if TYPE_CHECKING:
    from typing import TypedDict

    from .._shared.converge import RunCommand

    class State(TypedDict):
        file: str | None
        rules: list[str] | None


POLICY = "humanz-cni"
FILE = FIREWALLD_POLICY
# Exit codes of firewall-cmd: firewalld, or the message bus to it, does not run; it does not know the option.
NOT_RUNNING = (252, 36)
UNKNOWN_OPTION = 2


class Firewalld:
    """The policy's file, and what the running firewalld has of it.

    The state is a dict of ``file`` (text or None) and ``rules``: the policy's rich rules, sorted, no rule where there
    is no policy, and None where firewalld does not run.
    """

    command = "firewall-cmd"
    backend = "firewalld"

    def __init__(self, run: RunCommand, command: str | None, pods: list[str]) -> None:
        """Take what is wanted.

        :param run: AnsibleModule.run_command.
        :param command: the path of firewall-cmd, or None where there is none, to remove.
        :param pods: the networks of this node's own pods; none, no policy.
        """
        self._run = run
        self._command = command
        self.pods = pods
        self._running: bool | None = None

    @property
    def running(self) -> bool:
        """Return whether firewalld runs, or ran when it was looked at last: that takes it a third of a second."""
        if self._running is None:
            self._rules()
        return bool(self._running)

    def read(self) -> State:
        """Return the state."""
        return {"file": marked_files.read(FILE, marked_files.XML_MARK), "rules": self._rules()}

    def desired(self) -> State:
        """Return the state wanted."""
        rules = sorted(rich_rule(*match) for match in _matches(self.pods))
        return {"file": policy_text(self.pods), "rules": rules if self.running else None}

    def rules(self, state: State) -> list[str]:
        """Return the policy's rich rules."""
        return list(state["rules"] or [])

    def render(self, state: State) -> str:
        """Return the state as the file, and the rules that firewalld has."""
        lines = ["# firewall-cmd --policy=%s" % POLICY] + state["rules"] if state["rules"] else []
        if state["file"] is not None:
            lines += ["", "# %s" % FILE, state["file"].rstrip("\n")]
        return "\n".join(lines) + "\n" if lines else ""

    def apply(self, actual: State, desired: State) -> None:
        """Write the file and have firewalld read it: a policy cannot be made at run time alone."""
        marked_files.write(FILE, desired["file"])
        if desired["rules"] is not None:
            status, output, error = self._run([self._command, "--reload"])
            if status:
                raise ConvergeError("%s --reload failed: %s" % (self._command, (error or output).strip()))

    def try_rules(self) -> None:
        """Nothing: the kernel gets none from here."""

    def firewalls(self) -> list[dict[str, str]]:
        """Return what was found, each as a dict of name, where and handled."""
        if not self.pods or not self.running:
            return []
        return [{"name": "firewalld", "where": "inet firewalld", "handled": "the policy %s" % POLICY}]

    def _rules(self) -> list[str] | None:
        self._running = False
        if self._command is None:
            return None
        status, output, error = self._run([self._command, "--policy=%s" % POLICY, "--list-rich-rules"])
        if status in NOT_RUNNING:
            return None
        self._running = True
        if status == UNKNOWN_OPTION and self.pods:
            raise ConvergeError(
                "firewalld on this node is older than 0.9 and has no policies, so that it would reject what pods send: "
                "upgrade it, or turn it off with `systemctl disable --now firewalld`: %s" % error.strip()
            )
        if status and status != UNKNOWN_OPTION and "INVALID_POLICY" not in error:
            raise ConvergeError("%s failed: %s" % (self._command, (error or output).strip()))
        return sorted(line.strip() for line in output.splitlines() if line.strip())


def _matches(pods: Iterable[str]) -> list[tuple[str, str, str]]:
    return [("ipv6" if ":" in cidr else "ipv4", end, cidr) for cidr in pods for end in ("source", "destination")]


def rich_rule(family: str, end: str, cidr: str) -> str:
    """Return a rule as ``firewall-cmd --list-rich-rules`` prints it."""
    return 'rule family="%s" %s address="%s" accept' % (family, end, cidr)


def policy_text(pods: list[str]) -> str | None:
    """Return the policy's file, or None without pods. It is asked ahead of the zones, of what is forwarded alone."""
    if not pods:
        return None
    lines = [
        '<policy priority="-1" target="CONTINUE">',
        "  <short>%s</short>" % POLICY,
        "  <description>What pods of this node send and get.</description>",
        '  <ingress-zone name="ANY"/>',
        '  <egress-zone name="ANY"/>',
    ]
    for match in _matches(pods):
        lines.append('  <rule family="%s"><%s address="%s"/><accept/></rule>' % match)
    return (
        "\n".join(
            ["%s.pod_firewall; changes here are overwritten. -->" % marked_files.XML_MARK] + lines + ["</policy>"]
        )
        + "\n"
    )
