# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd does for healing, and what an operator sees of it; molecule/healing shows what is healed, and when.

docs/persistence.md is the page for both.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from tests.support import ROOT
from tests.support.lab.lab_under_test import LabUnderTest
from tests.support.lab.service_events import handed_to_networkd

NODE = "ubuntu-nested-4"
INTERVAL = 4  # seconds between two repairs by the timer
PATIENCE = 60  # seconds for a machine that is busy with something else
SITE = ("playbooks/site.yml", "-e", "pod_network_heal_interval=%d" % INTERVAL)
UNITS = ["humanz-cni.service", "humanz-cni-heal.service", "humanz-cni-heal.timer", "humanz-cni-heal.path"]
RESET = ("playbooks/reset.yml", "-e", "pod_network_reset_confirmation=yes")
NETWORKD_CONF = "/etc/systemd/networkd.conf.d/50-humanz-cni.conf"
# The node has no udev, and systemd-networkd waits for none where /sys cannot be written to.
START_NETWORKD = (
    "mount -o remount,bind,ro /sys\n"
    + handed_to_networkd("200.0.0.40/24")
    + "link=/run/systemd/netif/links/$(cat /sys/class/net/enp8s0/ifindex)\n"
    + "until grep -qs ADMIN_STATE=configured $link; do sleep 0.1; done\n"
)
LISTED = "systemctl list-unit-files --no-legend 'humanz-cni*' | awk '{print $1, $2}'"
# Waits until the timer has elapsed a number of times, however long that takes a busy machine.
TICKS = (
    "last() { systemctl show --value --property=LastTriggerUSecMonotonic humanz-cni-heal.timer; }\n"
    'for _ in $(seq %d); do was=$(last); while [ "$(last)" = "$was" ]; do sleep 0.1; done; done\n'
    "while systemctl list-jobs --no-legend 'humanz-cni*' | grep -q .; do sleep 0.1; done\n"
)
# Holds what keeps the timer from starting, as some mistake of an operator's may.
BROKEN = "/etc/systemd/system/humanz-cni-heal.timer.d"


class HealingNode:
    """A node with all that the role keeps on it."""

    def __init__(self, lab: LabUnderTest) -> None:
        self.lab = lab

    def sh(self, command: str) -> str:
        """What a shell command on the node prints."""
        return self.lab.node(NODE, "sh", "-c", command).strip()

    def state(self) -> list[str]:
        """Our routes and rules."""
        lines = self.sh("ip route show proto 217; iptables-save").splitlines()
        return sorted(line.strip() for line in lines if " via " in line or (line[0] == "-" and "HUMANZ" in line))

    def seconds_until(self, state: list[str], limit: float) -> float:
        """Wait until *state* is reached and return how long that took; fail after *limit* seconds."""
        started = time.monotonic()
        while self.state() != state:
            assert time.monotonic() - started < limit, self.sh("journalctl --no-pager -u 'humanz-cni*' -n 20")
            time.sleep(0.02)
        return time.monotonic() - started

    def last_check(self) -> str:
        """The ID of systemd's latest run of the check."""
        return self.sh("systemctl show --value --property=InvocationID humanz-cni-check.service")

    def persistence(self) -> str:
        """What Ansible prints of the module alone."""
        arguments = ("-m", "humanz.cni.node_persistence", "-a", json.dumps({"heal_interval": INTERVAL}))
        return self.lab.ansible("ansible", NODE, "--become", *arguments)

    def log(self) -> list[str]:
        """What was logged of our units."""
        return self.sh("journalctl --sync; journalctl --no-pager --quiet -o cat -u 'humanz-cni*'").splitlines()


@pytest.fixture(scope="module")
def node(lab: LabUnderTest) -> Iterator[HealingNode]:
    """A fourth node of a converged cluster; it goes at the end, with all that was done to it."""
    lab.run("add", NODE)
    try:
        lab.ansible("ansible-playbook", *SITE)
        yield HealingNode(lab)
        lab.ansible("ansible-playbook", *RESET)
        left = "ls -d /etc/humanz-cni /usr/local/lib/humanz-cni /run/humanz-cni-heal 2> /dev/null;"
        left += "ls -d /etc/systemd/networkd.conf.d 2> /dev/null;"
        left += "find /etc/systemd -name '*humanz*'; systemctl list-units --all --no-legend 'humanz-cni*'"
        for each in (NODE, "ubuntu-nested-1"):
            assert lab.node(each, "sh", "-c", left) == ""
    finally:
        lab.run("remove", NODE)


@pytest.fixture(scope="module")
def whole(node: HealingNode) -> list[str]:
    """Routes and rules as site.yml made them."""
    state = node.state()
    assert len([line for line in state if " via " in line]) == 3
    return state


@pytest.fixture
def _no_timer(node: HealingNode) -> Iterator[None]:
    """No regular repair, so that what is seen is the event's doing."""
    node.sh("systemctl stop humanz-cni-heal.timer")
    yield
    node.sh("systemctl start humanz-cni-heal.timer")


@pytest.fixture(scope="module")
def networkd(node: HealingNode, whole: list[str]) -> None:
    """systemd-networkd holds the inter-node interface."""
    node.sh(START_NETWORKD)
    node.seconds_until(whole, PATIENCE)


def test_an_operator_sees_what_heals(node: HealingNode, whole: list[str]) -> None:
    assert "humanz-cni-heal.timer" in node.sh("systemctl list-timers --no-pager humanz-cni-heal.timer")
    assert node.sh("systemctl is-enabled %s" % " ".join(UNITS)).split() == ["enabled"] * 4
    assert (
        node.sh("systemctl is-active humanz-cni.service humanz-cni-heal.timer humanz-cni-heal.path").split()
        == ["active"] * 3
    )
    assert node.sh("systemd-analyze verify %s humanz-cni-check.service 2>&1" % " ".join(UNITS)) == ""
    assert "ManageForeignRoutes=no" in node.sh("systemd-analyze cat-config systemd/networkd.conf")


def test_a_boot_brings_everything_back_before_a_runtime_starts_pods(node: HealingNode, whole: list[str]) -> None:
    node.lab.run("reboot", NODE)
    assert node.state() == whole
    stamp = "systemctl show --value --property=%s %s"
    ready = int(node.sh(stamp % ("ActiveEnterTimestampMonotonic", "humanz-cni.service")))
    runtime = int(node.sh(stamp % ("ExecMainStartTimestampMonotonic", "containerd.service")))
    assert 0 < ready < runtime
    assert "network-online" not in node.sh(
        "systemctl show --property=After,Wants humanz-cni.service containerd.service"
    )
    assert any(line.startswith("put back 3 routes: ") for line in node.log())


def test_nothing_is_logged_and_nothing_changes_when_nothing_is_wrong(node: HealingNode, whole: list[str]) -> None:
    watched = "ip monitor route rule > /run/routes.log & first=$!; nft monitor > /run/rules.log & second=$!\n"
    before = node.log()
    node.sh(watched + TICKS % 2 + "kill $first $second; wait")
    assert node.log() == before
    assert node.sh("cat /run/routes.log /run/rules.log") == ""


@pytest.mark.usefixtures("_no_timer", "networkd")
def test_a_pod_that_starts_or_ends_costs_no_check(node: HealingNode, whole: list[str]) -> None:
    node.sh("systemctl start humanz-cni-check.service")
    last = node.last_check()
    node.lab.run("pod", "run", NODE, "wire")
    node.sh("until grep -l ^OPER_STATE=enslaved /run/systemd/netif/links/*; do sleep 0.1; done; sleep 2")
    node.lab.run("pod", "rm", NODE, "wire")
    node.sh("sleep 1")
    assert node.last_check() == last
    # It still sees what matters.
    node.sh("ip route flush proto 217; systemctl restart systemd-networkd")
    node.seconds_until(whole, PATIENCE)
    assert node.last_check() != last


def test_a_conflict_that_lasts_is_logged_when_it_begins_and_when_it_ends(node: HealingNode, whole: list[str]) -> None:
    seen = len(node.log())
    node.sh("ip route flush proto 217; ip route add blackhole 100.100.0.0/24\n" + TICKS % 3)
    conflict = "route 100.100.0.0/24 exists already and is not ours: blackhole 100.100.0.0/24"
    lines = node.log()[seen:]
    assert lines.count(conflict) == 1
    assert len(lines) == 5, lines  # what was put back, the conflict, and three lines of systemd's own
    assert node.sh("systemctl is-failed humanz-cni-heal.service") == "failed"
    node.sh("ip route del blackhole 100.100.0.0/24\n" + TICKS % 2)
    lines = node.log()[seen + len(lines) :]
    assert lines == ["put back 1 route: 100.100.0.0/24 via 200.0.0.10", "over: " + conflict]
    assert node.sh("systemctl is-failed humanz-cni-heal.service || true") == "inactive"
    assert node.state() == whole


def test_an_operator_heals_by_hand(node: HealingNode, whole: list[str]) -> None:
    node.sh("systemctl stop humanz-cni-heal.timer humanz-cni-check; ip route flush proto 217")
    node.sh("systemctl start humanz-cni-heal.service")
    assert node.state() == whole
    assert node.log()[-1].startswith("put back 3 routes: ")
    node.sh("ip route flush proto 217")
    assert node.sh("python3 -I /usr/local/lib/humanz-cni/heal.py").startswith("put back 3 routes: ")
    assert node.sh("python3 -I /usr/local/lib/humanz-cni/heal.py") == ""
    node.sh("systemctl start humanz-cni-heal.timer")


def test_the_pages_commands_do_what_it_says(node: HealingNode, whole: list[str]) -> None:
    page = (ROOT / "docs" / "persistence.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    commands = [line[len("# ") :] for block in blocks for line in block.splitlines()]
    said = {command: node.sh(command) for command in commands}
    assert [command.split()[1] for command in commands] == ["list-timers", "is-active", "--no-pager", "start", "stop"]
    assert "humanz-cni-heal.timer" in said[commands[0]]
    assert said[commands[1]].split() == ["active"] * 3
    assert "put back 3 routes: " in said[commands[2]]
    stopped = "systemctl is-active humanz-cni-heal.timer humanz-cni-heal.path || true"
    assert node.sh(stopped).split() == ["inactive"] * 2
    node.sh("ip route flush proto 217")
    node.lab.ansible("ansible-playbook", *SITE, "--limit", NODE)
    assert node.sh(stopped).split() == ["active"] * 2
    assert node.state() == whole


def test_a_unit_that_was_written_and_not_loaded_is_loaded(node: HealingNode, whole: list[str]) -> None:
    stale = "systemctl show --value --property=NeedDaemonReload humanz-cni-check.service"
    node.sh("touch /etc/systemd/system/humanz-cni-check.service")
    assert node.sh(stale) == "yes"
    assert "CHANGED" in node.persistence()
    assert node.sh(stale) == "no"
    assert "SUCCESS" in node.persistence()


def test_a_firewall_that_systemd_would_leave_out_at_boot_is_refused(node: HealingNode, whole: list[str]) -> None:
    unit = "/etc/systemd/system/ufw.service"
    text = r"[Unit]\nAfter=containerd.service\n[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
    node.sh(f"printf '{text}' > {unit}; systemctl daemon-reload; systemctl --quiet enable ufw.service")
    said = "unit ufw.service: starts after containerd.service, which starts after humanz-cni.service"
    for run in (node.persistence, lambda: node.lab.ansible("ansible-playbook", *SITE, "--limit", NODE)):
        with pytest.raises(AssertionError, match=said):
            run()
    node.sh(f"systemctl --quiet disable ufw.service; rm {unit}; systemctl daemon-reload")
    assert "SUCCESS" in node.persistence()


def _a_healer_that_cannot_start_is_undone(node: HealingNode) -> None:
    """Ask for the healer on a node that has none: what of it was there already goes again."""
    shown = LISTED + "; systemctl list-units --all --plain --no-legend 'humanz-cni*'; "
    shown += "find /etc/systemd /usr/local/lib/humanz-cni | sort; cat /etc/systemd/system/humanz-cni*.service"
    node.sh("mkdir %s; printf '[Unit]\\nRequires=gone.service\\n' > %s/gone.conf" % (BROKEN, BROKEN))
    before = node.sh(shown)
    with pytest.raises(AssertionError) as failed:
        node.persistence()
    assert "systemctl restart humanz-cni-heal.timer failed: " in str(failed.value)
    assert "everything is as it was before this task" in str(failed.value)
    assert node.sh(shown) == before
    node.sh("rm -r %s; systemctl daemon-reload" % BROKEN)


def test_it_can_be_turned_off(node: HealingNode, whole: list[str]) -> None:
    only = ("playbooks/site.yml", "--limit", NODE, "-e")
    node.lab.ansible("ansible-playbook", *only, "pod_network_heal_interval=0")
    assert node.sh(LISTED) == "humanz-cni.service enabled"
    _a_healer_that_cannot_start_is_undone(node)
    node.lab.ansible("ansible-playbook", *only, '{"pod_network_persistence": false}')
    assert node.sh("systemctl list-unit-files --no-legend 'humanz-cni*'; ls -d %s || true" % NETWORKD_CONF) == ""
    assert node.state() == whole
    node.lab.ansible("ansible-playbook", *SITE, "--limit", NODE)
    assert node.sh("systemctl is-active humanz-cni-heal.timer") == "active"
