# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The regular check repairs, reports what lasts once, and narrows down what systemd is to watch."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.support.netns.healed_node import PROGRAM, PYTHON
from tests.support.netns.node import LOCK

if TYPE_CHECKING:
    from tests.support.netns.healed_node import HealedNode

CHECK = PROGRAM.with_name("check.py")
CONFLICT = "route 100.100.1.0/24 exists already and is not ours: blackhole 100.100.1.0/24"
# Stands for systemd's: the machine's own is not the node's.
SYSTEMCTL = """\
mkdir -p /run/bin /run/systemd/netif/links /run/NetworkManager/devices
cat > /run/bin/systemctl <<'END'
#!/bin/sh
case $1 in
    is-failed) cat /run/states 2>/dev/null;;
    *) echo "$@" >> /run/called;;
esac
END
chmod +x /run/bin/systemctl
"""
REPORT = "start --no-block humanz-cni-heal.service"


class Check:
    """The program, on a node with directories of both network managers."""

    def __init__(self, healed: HealedNode) -> None:
        self.healed = healed
        self.sh(SYSTEMCTL)
        self.run()
        self.calls()

    def sh(self, command: str) -> str:
        """What a shell on the node prints."""
        return self.healed.node.run("sh", "-ec", command).stdout.strip()

    def run(self) -> str:
        """What the program prints; it always succeeds."""
        path = "/run/bin:%s" % os.environ["PATH"]
        done = self.healed.node.run(PYTHON, "-I", str(CHECK), env={**os.environ, "PATH": path})
        assert done.stderr == ""
        return done.stdout

    def reports(self) -> int:
        """How often humanz-cni-heal.service was started."""
        lines = self.sh("cat /run/called || true").splitlines()
        assert set(lines) <= {REPORT}
        return len(lines)

    def calls(self) -> list[str]:
        """What systemd was asked for since this was asked last."""
        return self.sh("cat /run/called || true; rm -f /run/called").splitlines()

    def watched(self) -> dict[str, str]:
        """What the links lead to."""
        names = ("systemd-networkd", "NetworkManager")
        return {name: self.sh("readlink /run/humanz-cni-heal/%s" % name) for name in names}


@pytest.fixture
def check(healed: HealedNode) -> Check:
    """The program on a converged node."""
    return Check(healed)


def test_it_repairs_and_is_silent_when_all_is_well(check: Check) -> None:
    before = check.healed.routes() + check.healed.rules()
    assert (check.run(), check.reports()) == ("", 0)
    check.sh("ip route flush proto 217; iptables -F; iptables -t nat -F")
    check.healed.iptables("-A FORWARD -j KUBE-FORWARD")
    assert check.run().count("put back ") == 3
    assert "HUMANZ-POSTROUTING" in "\n".join(check.healed.rules())
    assert set(before) - set(check.healed.routes() + check.healed.rules()) == {
        "-A FORWARD -s 203.0.113.7/32 -j DROP",
        "-A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE",
    }
    assert (check.run(), check.reports()) == ("", 1)


def test_what_lasts_is_reported_when_it_begins_and_when_it_ends(check: Check) -> None:
    check.sh("ip route flush proto 217; ip route add blackhole 100.100.1.0/24")
    assert check.run() == "put back 1 route: 100.100.2.0/24 via 200.0.0.30\n"
    assert check.reports() == 1
    assert [check.run() for _tick in range(3)] == [""] * 3
    assert check.reports() == 1
    check.sh("ip route del 100.100.2.0/24; ip route add unreachable 100.100.2.0/24")
    assert (check.run(), check.reports()) == ("", 2)
    check.sh("touch -d '25 hours ago' /run/humanz-cni-heal/problems")
    assert (check.run(), check.reports()) == ("", 3)
    assert (check.run(), check.reports()) == ("", 3)
    check.sh("ip route del blackhole 100.100.1.0/24")
    assert check.run().splitlines() == ["put back 1 route: 100.100.1.0/24 via 200.0.0.20", "over: " + CONFLICT]
    assert check.reports() == 4
    check.sh("ip route del unreachable 100.100.2.0/24")
    assert check.run().count("over: ") == 1
    assert check.reports() == 5
    check.sh("touch -d '25 hours ago' /run/humanz-cni-heal/problems")
    assert (check.run(), check.reports()) == ("", 5)
    # It is not silent for ever: the same, again, is something new.
    check.sh("ip route del 100.100.1.0/24; ip route add blackhole 100.100.1.0/24")
    assert (check.run(), check.reports()) == ("", 6)


def test_only_the_interface_to_the_other_nodes_is_watched(check: Check) -> None:
    index = check.sh("cat /sys/class/net/enp8s0/ifindex")
    everything = {"systemd-networkd": "/run/systemd/netif/links", "NetworkManager": "/run/NetworkManager/devices"}
    check.run()
    assert check.watched() == everything
    check.sh("touch /run/systemd/netif/links/%s" % index)
    check.run()
    narrow = {**everything, "systemd-networkd": "/run/systemd/netif/links/%s" % index}
    assert check.watched() == narrow
    # Until all is well again, whatever changes may be what is waited for.
    check.sh("ip route flush proto 217; ip route add blackhole 100.100.1.0/24")
    check.run()
    assert check.watched() == everything
    check.sh("ip route del blackhole 100.100.1.0/24")
    check.run()
    assert check.watched() == narrow


def test_with_two_interfaces_to_other_nodes_all_are_watched(check: Check) -> None:
    check.sh("touch /run/systemd/netif/links/$(cat /sys/class/net/enp8s0/ifindex)")
    check.sh("sed -i 's/via 200.0.0.30/via 192.168.122.30/' /etc/humanz-cni/routes")
    check.run()
    assert check.watched()["systemd-networkd"] == "/run/systemd/netif/links"


def test_what_is_removed_meanwhile_is_put_back_too(check: Check) -> None:
    # As firewalld does: it empties all tables a second time, and leaves a trace where systemd is told to look.
    check.sh("mkdir /run/firewalld; ip route flush proto 217")
    again = (
        "until ip route show proto 217 | grep -q 200.0.0.30; do :; done; ip route flush proto 217; touch /run/firewalld"
    )
    enter = ["nsenter", f"--target={check.healed.node.pid}", "--mount", "--net", "--"]
    meanwhile = subprocess.Popen([*enter, "sh", "-c", again])
    assert check.run() == 2 * "put back 2 routes: 100.100.1.0/24 via 200.0.0.20, 100.100.2.0/24 via 200.0.0.30\n"
    assert meanwhile.wait() == 0


def test_a_module_at_work_is_waited_for(check: Check) -> None:
    check.sh("ip route flush proto 217")
    with check.healed.node.run_at_work() as module, ThreadPoolExecutor() as pool:
        said = pool.submit(check.run)
        time.sleep(0.5)
        assert not said.done()
        module.communicate("end\n")
        assert said.result().startswith("put back 2 routes: ")


def test_a_run_that_takes_its_time_is_no_fault_and_one_that_hangs_is(check: Check) -> None:
    check.sh("ip route flush proto 217")
    said = f"nothing was checked, as {LOCK} is locked by process 7, node_routes: see `fuser -v {LOCK}`"
    with check.healed.node.run_at_work("7 node_routes"):
        assert (check.run(), check.reports()) == (said + "\n", 0)
        check.sh(f"touch -d '6 minutes ago' {LOCK}")
        assert (check.run(), check.reports()) == ("", 1)
        assert (check.run(), check.reports()) == ("", 1)
    assert check.run().splitlines()[1:] == ["over: " + said]
    assert check.reports() == 2


def test_what_it_keeps_is_nobody_elses_to_write_whoever_calls(check: Check) -> None:
    check.sh("ip route flush proto 217; ip route add blackhole 100.100.1.0/24")
    path = "/run/bin:%s" % os.environ["PATH"]
    check.sh(f"umask 000; PATH={path} {PYTHON} -I {CHECK}")
    assert check.sh("find /run/humanz-cni-heal -perm /022 ! -type l") == ""


def test_another_look_follows_when_anything_has_changed(check: Check) -> None:
    check.sh("mkdir /run/firewalld")
    assert (check.run(), check.calls()) == ("", [REPORT])
    assert (check.run(), check.calls()) == ("", [])
    check.sh("ip route flush proto 217")
    assert (check.run() != "", check.calls()) == (True, [REPORT])
    # Whoever removes it again and again is not fought without a pause.
    check.sh("ip route flush proto 217")
    assert (check.run() != "", check.calls()) == (True, [])
    assert (check.run(), check.calls()) == ("", [])
    # What lasts is reported once.
    check.sh("mkdir /run/network; touch /run/network/ifstate; ip route del 100.100.1.0/24")
    check.sh("ip route add blackhole 100.100.1.0/24")
    assert (check.run(), check.calls()) == ("", [REPORT])
    check.sh("rm /run/network/ifstate")
    assert (check.run(), check.calls()) == ("", [])


def test_what_systemd_could_not_watch_is_started_again_and_said_once(check: Check) -> None:
    check.sh("printf 'failed\\nactive\\n' > /run/states")
    said = "humanz-cni-heal.path had failed and is started again: see `systemctl status humanz-cni-heal.path`\n"
    restart = "restart humanz-cni-heal.path"
    assert (check.run(), check.calls()) == (said, [restart, REPORT])
    assert (check.run(), check.calls()) == ("", [restart])
    check.sh("printf 'active\\nactive\\n' > /run/states")
    assert (check.run(), check.calls()) == ("over: " + said, [REPORT])
    assert (check.run(), check.calls()) == ("", [])
    # What an administrator has stopped stays so.
    check.sh("printf 'inactive\\nactive\\n' > /run/states")
    assert (check.run(), check.calls()) == ("", [])
