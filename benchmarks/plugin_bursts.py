# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long many pods at once wait, and what a pool that is nearly full costs, in one interleaved run.

    python -m benchmarks.plugin_bursts [--count 20] [--plugin /opt/cni/bin/humanz-cni]

Bursts of 10 and 30 ADDs at once are timed to the last pod, beside containernetworking's bridge with host-local. Then
single ADDs with 60,000 addresses of a /16 taken are timed beside ADDs from an empty /16, both of this plugin. Needs
root. Everything happens in network and mount namespaces that end with the run.
"""

from __future__ import annotations

import ipaddress
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks import surroundings
from benchmarks.plugin_add_del import Candidate
from humanz_cni.ipam import store
from humanz_cni.kernel import owner

BURSTS = (10, 30)
TAKEN = 60000
SUBNET = "10.%d.0.0/16"


def candidate(name: str, executable: Path, number: int) -> Candidate:
    """Return a plugin with a bridge and a /16 of its own."""
    ipam = {"type": "host-local", "ranges": [[{"subnet": SUBNET % number}]], "routes": [{"dst": "0.0.0.0/0"}]}
    ipam["dataDir"] = "/run/benchmark"  # on tmpfs, for each of them
    conf = {
        "cniVersion": "1.0.0", "name": "bursts%d" % number, "type": executable.name, "bridge": "burst%d" % number,
        "isGateway": True, "hairpinMode": True, "ipam": ipam,
    }  # fmt: skip
    return Candidate(name, executable, conf)


def burst(one: Candidate, command: str, pods: list[str], path: str) -> float:
    """Run *command* for all *pods* at once; return the time to the last, in milliseconds."""
    with tempfile.NamedTemporaryFile() as conf:
        conf.write(json.dumps(one.conf).encode())
        conf.flush()
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, conf.name, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        ]
        argv = [str(one.executable)]
        started = time.perf_counter()
        for pod in pods:
            os.posix_spawn(argv[0], argv, one.environment(command, pod, path), file_actions=actions)
        statuses = [os.waitpid(-1, 0)[1] for _pod in pods]
        wall = time.perf_counter() - started
    if any(statuses):
        raise RuntimeError("%s %s failed" % (one.name, command))
    return wall * 1e3


def measure_bursts(measured: list[Candidate], count: int, path: str) -> str:
    """Return a table of the time to the last pod of each burst, with ratios to the first of *measured*."""
    lines = ["%-27s %5s %8s %6s" % ("", "pods", "wall ms", "x")]
    for size in BURSTS:
        pods = ["burst%d" % number for number in range(size)]
        for pod in pods:
            subprocess.run(["ip", "netns", "add", pod], check=True)
        walls: dict[str, list[float]] = {one.name: [] for one in measured}
        for number in range(count + 1):
            for one in measured:
                wall = burst(one, "ADD", pods, path)
                burst(one, "DEL", pods, path)
                if number:  # the first makes the bridge
                    walls[one.name].append(wall)
        for pod in pods:
            subprocess.run(["ip", "netns", "delete", pod], check=True)
        medians = {name: statistics.median(figures) for name, figures in walls.items()}
        first = medians[measured[0].name]
        lines += ["%-27s %5d %8.1f %6.2f" % (name, size, wall, wall / first) for name, wall in medians.items()]
    return "\n".join(lines)


def fill(one: Candidate) -> None:
    """Reserve :data:`TAKEN` addresses of the pool, the first ones, for pods of this boot."""
    reservations = store.Store(one.conf["ipam"]["dataDir"], one.conf["name"])
    reservations.create()
    boot = store.boot_id()
    network = int(ipaddress.ip_network(one.conf["ipam"]["ranges"][0][0]["subnet"]).network_address)
    with reservations.locked() as state:
        for number in range(2, TAKEN + 2):
            held = owner.Owner(one.conf["name"], "taken%d" % number, "eth0")
            address = str(ipaddress.ip_address(network + number))
            record = dict(held.document(), addresses=[address], boot=boot, netns="/proc/1/ns/net", pod="", time=0)
            reservations.add(held, record)
        state.remember(boot, [])


def measure_pools(empty: Candidate, full: Candidate, count: int, path: str) -> str:
    """Return a table of a single ADD from an empty and from a nearly full pool."""
    fill(full)
    subprocess.run(["ip", "netns", "add", "single"], check=True)
    for _number in range(count + 1):
        for one in (empty, full):
            one.call("ADD", "single", path)
            one.call("DEL", "single", path)
    lines = ["%-27s %8s %6s" % ("", "wall ms", "x")]
    for one in (empty, full):
        del one.figures["ADD"][0]  # it makes the bridge
        wall = one.median("ADD", 0)
        lines.append("%-27s %8.2f %6.2f" % (one.name, wall, wall / empty.median("ADD", 0)))
    return "\n".join(lines)


def main() -> None:
    """Measure and print the tables."""
    with surroundings.entered(__doc__, 20, "bursts of each size") as around:
        plugin, reference = around.plugin, around.reference / "bridge"
        beside = [candidate("bridge + host-local", reference, 1), candidate("humanz-cni", plugin, 2)]
        print(measure_bursts(beside, around.count, around.path))
        empty, full = candidate("empty pool", plugin, 3), candidate("%d addresses taken" % TAKEN, plugin, 4)
        print(measure_pools(empty, full, 2 * around.count, around.path))


if __name__ == "__main__":
    main()
