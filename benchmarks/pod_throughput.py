# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``ipspoofchk`` costs packets: TCP and small packets between two pods of one node, with it and without.

    python -m benchmarks.pod_throughput [--count 20] [--plugin /opt/cni/bin/humanz-cni]

Needs root. Everything happens in network and mount namespaces that end with the run. Each round measures a pair of pods
with the key, and two without, in an order of its own; the figure is the median of the rounds' ratios. What counts
is a second of the sender's CPU time, in which the kernel does most of the bridge's work: other load matters less then.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
from typing import Any

from benchmarks import plugin_add_del, surroundings

SECONDS = "0.3"
SERVER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], 8080), family=family)
print("ready", flush=True)
while True:
    connection = server.accept()[0]
    while True:
        data = connection.recv(1 << 20)
        if not data:
            break
        if len(data) == 1:
            connection.sendall(data)
"""
# Prints megabytes in a second of CPU time, and how many times one byte goes to and fro in it.
CLIENT = """
import socket, sys, time
connection = socket.create_connection((sys.argv[1], 8080))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
def rate(step):
    done, start, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() < start + float(sys.argv[2]):
        done += step()
    return done / (time.process_time() - used)
def ping():
    connection.sendall(b"x")
    return len(connection.recv(1))
pings, block = rate(ping), bytes(1 << 18)
print(rate(lambda: connection.send(block)) / 1e6, pings)
"""


def attach(
    candidate: plugin_add_del.Candidate, path: str, servers: list[subprocess.Popen[bytes]]
) -> tuple[str, list[str]]:
    """Attach two pods and start *servers* in the second; return the first, and the addresses of the second."""
    names = ["%s-%d" % (candidate.conf["name"], number) for number in range(2)]
    for name in names:
        subprocess.run(["ip", "netns", "add", name], check=True)
        candidate.call("ADD", name, path)
    listed = subprocess.run(["ip", "-n", names[1], "-o", "addr"], capture_output=True, text=True, check=True).stdout
    words = [line.split() for line in listed.splitlines()]
    addresses = [word[3].partition("/")[0] for word in words if word[1] == "eth0" and not word[3].startswith("fe80")]
    for address in addresses:
        command = ["ip", "netns", "exec", names[1], sys.executable, "-c", SERVER, address]
        server = subprocess.Popen(command, stdout=subprocess.PIPE)
        servers.append(server)
        assert server.stdout is not None
        server.stdout.readline()
    return names[0], addresses


def measure(pod: str, address: str) -> list[float]:
    """Return what the client in *pod* prints."""
    command = ["ip", "netns", "exec", pod, sys.executable, "-c", CLIENT, address, SECONDS]
    return [float(word) for word in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]


def candidate_of(plugin: Any, number: int, **further: object) -> plugin_add_del.Candidate:
    """Return the plugin with a dual-stack configuration of its own."""
    return plugin_add_del._candidate("humanz-cni", plugin, number, dual_stack=True, **further)


def main() -> None:
    """Measure and print the ratios."""
    order = random.Random(0)
    with surroundings.entered(__doc__, 20, "rounds") as around:
        keys = {"without": {}, "without again": {}, "ipspoofchk": {"ipspoofchk": True}}
        servers: list[subprocess.Popen[bytes]] = []
        made = {
            name: attach(candidate_of(around.plugin, number, **further), around.path, servers)
            for number, (name, further) in enumerate(keys.items(), 1)
        }
        ratios: dict[tuple[str, int, int], list[float]] = {}
        for _round in range(around.count):
            for family in range(2):
                found = {
                    name: measure(made[name][0], made[name][1][family]) for name in order.sample(list(made), len(made))
                }
                for name, figures in found.items():
                    for column, figure in enumerate(figures):
                        ratios.setdefault((name, family, column), []).append(figure / found["without"][column])
        for server in servers:
            server.kill()
            server.communicate()
    for (name, family, column), values in sorted(ratios.items()):
        what = "%s, %s" % (("IPv4", "IPv6")[family], ("TCP throughput", "round trips")[column])
        print("%-16s %-24s x %.3f (median of %d)" % (name, what, statistics.median(values), len(values)))


if __name__ == "__main__":
    main()
