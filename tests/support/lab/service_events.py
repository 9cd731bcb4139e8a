# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What befalls a node's network, service by service, and who is to put routes and rules back each time."""

from __future__ import annotations

from typing import NamedTuple

INTERFACE = "enp8s0"
ADDRESS = "200.0.0.10/24"


class Event(NamedTuple):
    """*command* is a shell's, on the node; *healer* puts back what it removes.

    *busy* are the seconds that the command goes on for after the first loss. Without a command, the interface is
    without *carrier* for so many seconds. The next event waits for what the command *started*, a shell's condition.
    """

    command: str
    healer: str
    busy: float = 0
    carrier: float = 0
    started: str = "true"


class Stage(NamedTuple):
    """The *events* that a *service* brings about, from its first start to when it is gone again."""

    service: str
    prepare: str
    events: list[Event]
    finish: str


TIMER, PATH, START, BOOT, KEPT = "timer", "path", "service start", "boot", "nothing lost"
# What is promised, in seconds; the timer's is its interval and this.
LIMITS = {TIMER: 0.5, PATH: 1.0, START: 1.0, BOOT: 10.0, KEPT: 0.0}
REBOOT = "reboot"

_ADDRESS_IS_BACK = "until ip -4 -o address show dev enp8s0 | grep -q 200.0.0.10/24; do sleep 0.05; done\n"
_SET_ADDRESS = "ip address replace 200.0.0.10/24 dev enp8s0; ip link set enp8s0 up\n"


def handed_to_networkd(address: str) -> str:
    """A shell's commands that have systemd-networkd hold the interface, with *address*."""
    return f"""\
cat > /etc/systemd/network/10-nodes.network << END
[Match]
Name={INTERFACE}
[Network]
Address={address}
LinkLocalAddressing=no
IPv6AcceptRA=no
END
ip -4 address flush dev {INTERFACE}
systemctl start systemd-networkd
"""


NOBODY = Stage(
    "by hand",
    "",
    [
        Event("ip route flush proto 217", TIMER),
        Event("iptables -F; iptables -t nat -F", TIMER),
        Event("nft flush ruleset", TIMER),
        Event("ip link set enp8s0 down; ip link set enp8s0 up", TIMER),
        Event("", KEPT, carrier=1),
    ],
    "",
)

NETWORKD = Stage(
    "systemd-networkd",
    handed_to_networkd(ADDRESS) + _ADDRESS_IS_BACK,
    [
        Event("systemctl restart systemd-networkd", KEPT),
        Event("networkctl reload", KEPT),
        Event("networkctl reconfigure enp8s0", PATH),
        Event("ip link set enp8s0 down; ip link set enp8s0 up", PATH),
        Event("", PATH, carrier=1),
    ],
    "systemctl stop systemd-networkd systemd-networkd.socket; rm /etc/systemd/network/10-nodes.network\n",
)

NETPLAN = Stage(
    "netplan",
    """\
mkdir -p /etc/netplan
umask 077
cat > /etc/netplan/nodes.yaml << END
network:
  version: 2
  renderer: networkd
  ethernets:
    enp8s0:
      addresses: [200.0.0.10/24]
      link-local: []
END
netplan apply
"""
    + _ADDRESS_IS_BACK,
    [
        Event("netplan apply", PATH),
        Event("netplan set ethernets.enp8s0.addresses=[200.0.0.10/24,200.0.0.110/24]; netplan apply", PATH),
        Event("", PATH, carrier=1),
    ],
    "systemctl stop systemd-networkd systemd-networkd.socket; rm -r /etc/netplan /run/systemd/network\n" + _SET_ADDRESS,
)

NETWORKMANAGER = Stage(
    "NetworkManager",
    """\
cat > /etc/NetworkManager/conf.d/10-nodes.conf << END
[keyfile]
unmanaged-devices=interface-name:enp1s0
END
umask 077
cat > /etc/NetworkManager/system-connections/nodes.nmconnection << END
[connection]
id=nodes
type=ethernet
interface-name=enp8s0
[ipv4]
method=manual
address1=200.0.0.10/24
[ipv6]
method=disabled
END
ip -4 address flush dev enp8s0
systemctl start NetworkManager
"""
    + _ADDRESS_IS_BACK
    # The pods' bridge and wires are none of its business.
    + """\
python3 /usr/local/lib/lab/cri.py run pod default
nmcli -t -f DEVICE,STATE device | grep -E '^(humanz-cni0|veth.*):' > /run/pod-devices
python3 /usr/local/lib/lab/cri.py rm pod default
test "$(wc -l < /run/pod-devices)" -ge 2
! grep -v ':unmanaged$' /run/pod-devices
""",
    [
        Event("systemctl restart NetworkManager", KEPT),
        Event("nmcli device reapply enp8s0", KEPT),
        Event("nmcli connection up nodes", PATH),
        Event("nmcli networking off; nmcli networking on", PATH),
        Event("", PATH, carrier=9),  # it waits for six seconds
    ],
    "systemctl stop NetworkManager; rm /etc/NetworkManager/system-connections/nodes.nmconnection\n" + _SET_ADDRESS,
)

IFUPDOWN = Stage(
    "ifupdown",
    """\
cat > /etc/network/interfaces << END
auto enp8s0
iface enp8s0 inet static
    address 200.0.0.10/24
END
ip -4 address flush dev enp8s0
systemctl start networking
"""
    + _ADDRESS_IS_BACK,
    [
        Event("systemctl restart networking", PATH),
        Event("ifdown enp8s0; ifup enp8s0", PATH),
    ],
    "systemctl stop networking; rm /etc/network/interfaces\n" + _SET_ADDRESS,
)

NFTABLES = Stage(
    "nftables",
    "systemctl start nftables\n",
    [Event("systemctl restart nftables", START), Event("systemctl reload nftables", START)],
    "systemctl stop nftables\n",
)

# A firewalld that is stopped while it starts leaves the rules as they are.
_FIREWALLD_RUNS = "firewall-cmd --quiet --state"
FIREWALLD = Stage(
    "firewalld",
    "systemctl start firewalld; until %s; do sleep 0.1; done\n" % _FIREWALLD_RUNS,
    [
        Event("firewall-cmd --reload", PATH),
        Event("firewall-cmd --complete-reload", PATH),
        Event("systemctl reload firewalld", PATH),
        Event("systemctl restart firewalld", PATH, started=_FIREWALLD_RUNS),
        Event("systemctl stop firewalld", PATH),
    ],
    "",
)

UFW = Stage(
    "ufw",
    "",
    [
        Event("ufw --force enable", KEPT),
        Event("ufw reload", KEPT),
        Event("systemctl restart ufw", KEPT),
        Event("ufw --force disable", KEPT),
    ],
    "systemctl stop ufw\n",
)

UFW_ALONE = Stage(
    "ufw alone",
    "sed -i s/MANAGE_BUILTINS=no/MANAGE_BUILTINS=yes/ /etc/default/ufw; ufw --force enable\n",
    [Event("ufw reload", PATH, busy=1), Event("ufw --force disable", PATH)],
    "sed -i s/MANAGE_BUILTINS=yes/MANAGE_BUILTINS=no/ /etc/default/ufw\n",
)

DOCKER = Stage(
    "docker",
    "systemctl start docker\n",
    [Event("systemctl restart docker", KEPT)],
    "systemctl stop docker docker.socket\n",
)

MACHINE = Stage("node", "", [Event(REBOOT, BOOT)], "")

STAGES = [NOBODY, NETWORKD, NETPLAN, NETWORKMANAGER, IFUPDOWN, NFTABLES, FIREWALLD, UFW, UFW_ALONE, DOCKER, MACHINE]
