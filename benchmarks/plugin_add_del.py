# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long ADD and DEL take: this plugin beside containernetworking's bridge with host-local, in one interleaved run.

    python benchmarks/plugin_add_del.py [--count 40] [--plugin /opt/cni/bin/humanz-cni]

Needs root. Everything happens in network and mount namespaces that end with the run. Figures are medians over whole
processes, wall and CPU time in milliseconds; machines differ, so only the ratios to the reference mean anything.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import surroundings

RUNTIME_ARGS = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=benchmark"
WARM_UP = 2
PAUSE = 0.04  # seconds, longer than a grace period

# A process that is smaller than the one it measures: a child's peak counts from the size of its parent on.
PEAK = """
import posix, sys
child = posix.fork()
if child == 0:
    posix.dup2(posix.open("/dev/null", posix.O_WRONLY), 1)
    posix.execve(sys.argv[1], sys.argv[1:], posix.environ)
_pid, status, usage = posix.wait4(child, 0)
print(usage.ru_maxrss)
sys.exit(status != 0)
"""


@dataclass
class Candidate:
    """One plugin with one configuration, and what its calls cost by operation: wall, CPU (ms) and peak memory (MB)."""

    name: str
    executable: Path
    conf: dict[str, Any]
    options: tuple[str, ...] = ()
    figures: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {"ADD": [], "DEL": []})
    peaks: dict[str, float] = field(default_factory=dict)

    def call(self, command: str, pod: str, path: str) -> None:
        """Run one operation as a container runtime would, and note what it cost. Raises RuntimeError if it fails."""
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout:
            stdin.write(json.dumps(self.conf).encode())
            stdin.seek(0)
            actions = [
                (os.POSIX_SPAWN_DUP2, stdin.fileno(), 0),
                (os.POSIX_SPAWN_DUP2, stdout.fileno(), 1),
            ]
            argv = [str(self.executable), *self.options]
            started = time.perf_counter()
            child = os.posix_spawn(argv[0], argv, self.environment(command, pod, path), file_actions=actions)
            _pid, status, usage = os.wait4(child, 0)
            wall = time.perf_counter() - started
            if status != 0:
                stdout.seek(0)
                raise RuntimeError("%s %s failed: %s" % (self.name, command, stdout.read().decode()))
        self.figures[command].append((wall * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3))

    def weigh(self, command: str, pod: str, path: str) -> None:
        """Run one operation and note its peak memory."""
        done = subprocess.run(
            ["/usr/bin/python3", "-IS", "-c", PEAK, str(self.executable), *self.options],
            input=json.dumps(self.conf), env=self.environment(command, pod, path),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        self.peaks[command] = int(done.stdout) / 1024

    def median(self, command: str, column: int) -> float:
        """Return the median of one column of the figures of *command*."""
        return statistics.median(figure[column] for figure in self.figures[command])

    def p95(self, command: str) -> float:
        """Return the wall time of *command* that one call in twenty exceeds."""
        return statistics.quantiles((figure[0] for figure in self.figures[command]), n=20)[-1]

    @staticmethod
    def environment(command: str, pod: str, path: str) -> dict[str, str]:
        """Return the variables of one call."""
        return {
            "CNI_COMMAND": command, "CNI_CONTAINERID": pod, "CNI_NETNS": "/run/netns/" + pod, "CNI_IFNAME": "eth0",
            "CNI_ARGS": RUNTIME_ARGS, "CNI_PATH": path, "PATH": os.environ["PATH"],
        }  # fmt: skip


def candidates(plugin: Path, reference: Path) -> list[Candidate]:
    """Return what is measured, each with a bridge and a pool of its own; ratios are to the first and the second."""
    bridge = reference / "bridge"
    return [
        _candidate("bridge + host-local", bridge, 1),
        _candidate("bridge + host-local, ipMasq", bridge, 2, ipMasq=True),
        _candidate("humanz-cni", plugin, 3),
        _candidate("humanz-cni, ipMasq", plugin, 6, ipMasq=True),
        _candidate("bridge + host-local, dual stack", bridge, 4, dual_stack=True),
        _candidate("humanz-cni, dual stack", plugin, 5, dual_stack=True),
        _interpreter(plugin),
    ]


def _interpreter(plugin: Path) -> Candidate:
    """Return the interpreter as *plugin* starts it, making standard streams, which *plugin* does without."""
    shebang = plugin.read_text().splitlines()[0].split()[0]
    # The launcher's options, but apart: with them in one word this would be a call of the plugin.
    options = ("-IS", "-Xutf8", "-c", "import posix; posix._exit(0)")
    return Candidate("Python alone", Path(shebang[len("#!") :]), {}, options)


def _candidate(name: str, executable: Path, number: int, dual_stack: bool = False, **further: object) -> Candidate:
    ranges = [[{"subnet": "100.100.%d.0/24" % number}]]
    routes = [{"dst": "0.0.0.0/0"}]
    if dual_stack:
        ranges.append([{"subnet": "fd00:100:%d::/64" % number}])
        routes.append({"dst": "::/0"})
    ipam = {"type": "host-local", "ranges": ranges, "routes": routes}
    if executable.name == "bridge":
        ipam["dataDir"] = "/run/reference"  # on tmpfs, as this plugin's default is
    conf = {
        "cniVersion": "1.0.0", "name": "benchmark%d" % number, "type": executable.name, "bridge": "bench%d" % number,
        "isGateway": True, "hairpinMode": True, "ipam": ipam, **further,
    }  # fmt: skip
    return Candidate(name, executable, conf)


def measure(measured: list[Candidate], count: int, path: str) -> None:
    """Run ADD and DEL *count* times for each candidate, after a few for warm caches, and weigh them once.

    Each round has an order of its own: what a DEL leaves to the kernel's background would else always slow the same
    candidate's ADD. Each call begins at any time within PAUSE: half of a DEL is the kernel's wait for a grace period
    of RCU (rcu_barrier in netdev_run_todo), which takes as long as is left of the one under way, and the call before
    has begun that. Namespaces are made before and kept until the end, as the kernel takes them away there too.
    """
    order = random.Random(0)
    pods = {}
    for number in range(count + WARM_UP):
        for position in range(len(measured)):
            pods[number, position] = name = "bench-%d-%d" % (number, position)
            subprocess.run(["ip", "netns", "add", name], check=True)
    for number in range(count + WARM_UP):
        for position, candidate in order.sample(list(enumerate(measured)), len(measured)):
            for command in ("ADD", "DEL"):
                if number == 0:
                    candidate.weigh(command, pods[number, position], path)
                else:
                    time.sleep(order.uniform(0, PAUSE))
                    candidate.call(command, pods[number, position], path)
    for candidate in measured:
        for command in ("ADD", "DEL"):
            del candidate.figures[command][: WARM_UP - 1]


def table(measured: list[Candidate]) -> str:
    """Return the figures as text, with ratios to the reference without and with ipMasq."""
    plain, masq = measured[0], measured[1]
    heads = ("", "", "wall ms", "p95 ms", "CPU ms", "peak MB", "x plain", "x ipMasq")
    lines = ["%-33s %4s %8s %8s %8s %8s %9s %9s" % heads]
    for candidate in measured:
        for command in ("ADD", "DEL"):
            wall, cpu = (candidate.median(command, column) for column in range(2))
            ratios = wall / plain.median(command, 0), wall / masq.median(command, 0)
            values = (candidate.name, command, wall, candidate.p95(command), cpu, candidate.peaks[command], *ratios)
            lines.append("%-33s %4s %8.2f %8.2f %8.2f %8.1f %9.2f %9.2f" % values)
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    with surroundings.entered(__doc__, 40, "calls of each operation") as around:
        measured = candidates(around.plugin, around.reference)
        measure(measured, around.count, around.path)
    print("medians of %d calls" % around.count)
    print(table(measured))


if __name__ == "__main__":
    main()
