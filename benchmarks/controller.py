# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's work for a cluster of 1,000 nodes beside that of a task that does nothing, interleaved.

    python -m benchmarks.controller [--hosts 1000] [--count 3] [--forks 10] [--role]

Nothing is connected to: each module is answered at once. Planning the cluster and giving each node its routes, of which
there are as many as nodes, is compared with one ``ansible.builtin.ping`` over the same hosts; with a quarter of the
hosts too, for how processor time grows. With --role, the whole role is compared with as many pings as it runs modules
on each node, which takes a quarter of an hour. Figures are medians of whole runs of ansible-playbook: seconds passed,
seconds that processors work, which other programs on the machine change less, and the memory of the largest process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
TARGETS = {"time": 1.5, "processor time": 1.5, "memory": 2.0, "growth": 5.0}
PLAN = {"humanz.cni.cluster_plan": {"cluster_cidr": "10.0.0.0/8", "node_cidrs": ["172.16.0.0/16"]}}
PLAYS: dict[str, list[dict[str, Any]]] = {
    "ping": [{"ansible.builtin.ping": {}}],
    "plan and routes": [
        {**PLAN, "register": "cluster", "run_once": True},
        {"humanz.cni.node_routes": {"plan": "{{ cluster.plan }}"}},
    ],
}
ROLE: list[dict[str, Any]] = [{"ansible.builtin.import_role": {"name": "humanz.cni.pod_network"}}]
ROLE_FILES = ("preflight.yml", "present.yml")
VARIABLES = {
    "ansible_connection": "no_node",
    "ansible_python_interpreter": "/usr/bin/python3",
    "pod_network_cluster_cidr": "10.0.0.0/8",
    "pod_network_service_cidr": "192.168.0.0/16",
    "pod_network_node_cidrs": ["172.16.0.0/16"],
}


def role_modules() -> set[str]:
    """The names of the modules that the role runs on each node, once each: a second task is for what a first skips."""
    tasks = ROOT / "roles" / "pod_network" / "tasks"
    found = [task for name in ROLE_FILES for task in yaml.safe_load((tasks / name).read_text())]
    return {key for task in found if "run_once" not in task for key in task if key.startswith("humanz.cni.")}


class Controller:
    """Runs ansible-playbook in *directory* with *forks*."""

    def __init__(self, directory: Path, forks: int) -> None:
        self.directory, self.forks = directory, forks
        (directory / "ansible_collections" / "humanz").mkdir(parents=True)
        (directory / "ansible_collections" / "humanz" / "cni").symlink_to(ROOT)

    def run(self, tasks: list[dict[str, Any]], hosts: int) -> tuple[float, float, float]:
        """Return seconds, seconds of processors and megabytes of a run over so many *hosts*."""
        nodes = {
            f"node-{number}": {
                "pod_network_pod_cidr": "10.%d.%d.0/24" % (number // 250, number % 250),
                "pod_network_node_ip": "172.16.%d.%d" % (number // 250, number % 250 + 1),
            }
            for number in range(hosts)
        }
        inventory, play = self.directory / "hosts.json", self.directory / "play.json"
        inventory.write_text(json.dumps({"k8s_cluster": {"hosts": nodes, "vars": VARIABLES}}))
        play.write_text(json.dumps([{"hosts": "k8s_cluster", "gather_facts": False, "tasks": tasks}]))
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(self.directory),
            "ANSIBLE_CONNECTION_PLUGINS": str(Path(__file__).with_name("connection")),
            "ANSIBLE_HOME": str(self.directory / "home"),
            "ANSIBLE_FORKS": str(self.forks),
        }
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), str(play)]
        started = time.perf_counter()
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            output = process.stdout.read()
            _pid, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or output.count("failed=0") != hosts:
            raise RuntimeError("ansible-playbook failed: " + output[-2000:])
        return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Measure and print the table; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=1000, help="nodes of the cluster (default 1000)")
    parser.add_argument("--count", type=int, default=3, help="runs of each candidate (default 3)")
    parser.add_argument("--forks", type=int, default=10, help="forks of ansible-playbook (default 10)")
    parser.add_argument("--role", action="store_true", help="the whole role, instead of plan and routes")
    arguments = parser.parse_args()
    plays = {"ping": PLAYS["ping"] * len(role_modules()), "role": ROLE} if arguments.role else PLAYS
    sizes = (arguments.hosts // 4, arguments.hosts)
    figures: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as directory:
        controller = Controller(Path(directory), arguments.forks)
        for number in range(arguments.count):
            for size in sizes:
                for name, tasks in plays.items():
                    figures.setdefault((name, size), []).append(controller.run(tasks, size))
            print("round %d of %d" % (number + 1, arguments.count), file=sys.stderr, flush=True)
    medians = {key: [statistics.median(values) for values in zip(*runs, strict=True)] for key, runs in figures.items()}
    for (name, size), figure in medians.items():
        print("%-16s %5d hosts %8.2f s %8.2f s of processors %6.0f MB" % (name, size, *figure))
    base, ours = plays
    kinds = ("time", "processor time", "memory")
    pairs = zip(kinds, medians[ours, arguments.hosts], medians[base, arguments.hosts], strict=True)
    ratios = {kind: figure / of_base for kind, figure, of_base in pairs}
    ratios["growth"] = medians[ours, sizes[1]][1] / medians[ours, sizes[0]][1]
    print("%d forks, %s beside ping:" % (arguments.forks, ours))
    for name, ratio in ratios.items():
        print("  %-14s %.2f x; the target is at most %.1f" % (name, ratio, TARGETS[name]))
    sys.exit(any(ratio > TARGETS[name] for name, ratio in ratios.items()))


if __name__ == "__main__":
    main()
