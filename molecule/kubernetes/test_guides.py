# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubectl commands of the guides, typed as they stand there; tests/documented_commands.yml says which."""

from __future__ import annotations

import re
import shlex

from tests.support import documented_commands
from tests.support.lab.cluster import items, kubectl, wait_for

README, KUBEADM, BY_HAND = "README.md", "docs/install-on-kubeadm.md", "docs/install-by-hand.md"
FLANNEL = "docs/migrate-from-flannel.md"
FLANNELS_DAEMONSET = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-flannel-ds, namespace: kube-flannel}
spec:
  selector: {matchLabels: {app: flannel}}
  template:
    metadata: {labels: {app: flannel}}
    spec:
      hostNetwork: true
      terminationGracePeriodSeconds: 0
      tolerations: [{operator: Exists, effect: NoSchedule}]
      containers:
        - name: kube-flannel
          image: localhost/lab-pod:latest
          imagePullPolicy: Never
          command: [/usr/bin/sleep, infinity]
          volumeMounts: [{name: usr, mountPath: /usr, readOnly: true}]
      volumes: [{name: usr, hostPath: {path: /usr}}]
"""


def commands(page: str) -> list[str]:
    return documented_commands.run_by("molecule/kubernetes/test_guides.py", page)


def in_the_lab(text: str) -> str:
    """Return *text* of a page with the lab's names of nodes, where the page has ``node-1`` to ``node-3``."""
    return re.sub(r"\bnode-(?=\d)", "ubuntu-nested-", text)


def typed(command: str) -> list[str]:
    """Run a page's kubectl command and return the lines that it prints."""
    program, *argv = shlex.split(in_the_lab(command))
    assert program == "kubectl", "the program of %s" % command
    return kubectl(*argv).splitlines()


def shape(lines: list[str]) -> list[str]:
    """What stays the same in a table of nodes: its columns but for their width, the names and who is ready."""
    return [re.sub(r" (control-plane|<none>) .*$", "", re.sub(r" +", " ", line)) for line in sorted(lines)]


def output(page: str, text: str) -> list[str]:
    """What the page says that a command of it prints, with the lab's names of nodes."""
    lines = next(command.output for command in documented_commands.read(page) if command.text == text)
    return [in_the_lab(line) for line in lines]


def test_waiting() -> None:
    """Before site.yml has run: nodes wait for a pod network, and have their pod CIDRs."""
    nodes, cidrs, *_later = commands(KUBEADM)
    assert shape(typed(nodes)) == shape(output(KUBEADM, nodes)), nodes
    cidr = re.compile(r"\b100\.100\.\d\.0/24$")
    seen, wanted = (
        [cidr.sub("CIDR", re.sub(r" +", " ", line)) for line in sorted(lines)]
        for lines in (typed(cidrs), output(KUBEADM, cidrs))
    )
    assert seen == wanted, cidrs


def test_ready() -> None:
    """When it has run."""
    _nodes, _cidrs, wait, pods, describe = commands(KUBEADM)
    assert sorted(typed(wait)) == sorted(output(KUBEADM, wait)), wait
    (nodes,) = commands(README)
    assert shape(typed(nodes)) == shape(output(README, nodes)), nodes
    assert any("coredns" in line for line in typed(pods)), pods
    assert any("PodCIDR:" in line for line in typed(describe)), describe
    (addresses,) = commands(BY_HAND)
    assert any(re.search(r"200\.0\.0\.10 +100\.100\.", line) for line in typed(addresses)), addresses


def daemons() -> list[str]:
    """Return the nodes that have a pod of what stands for flannel."""
    found = items("pods", "--namespace=kube-flannel")
    return sorted(pod["spec"]["nodeName"] for pod in found if "deletionTimestamp" not in pod["metadata"])


def test_migrate() -> None:
    """The steps of a migration that are Kubernetes': flannel's DaemonSet leaves a node, and comes back."""
    kubectl("create", "namespace", "kube-flannel")
    kubectl("apply", "--filename=-", stdin=FLANNELS_DAEMONSET)
    every = sorted(node["metadata"]["name"] for node in items("nodes"))
    wait_for("flannel on all nodes", lambda: daemons() == every)
    label, patch, rollout, drain, unlabel, uncordon, delete, namespace, relabel, again = commands(FLANNEL)
    for command in (label, patch, rollout):
        typed(command)
    wait_for("flannel where its label is", lambda: daemons() == every)
    typed(drain)
    typed(unlabel)
    wait_for("flannel after a node has lost its label", lambda: daemons() == every[1:])
    typed(uncordon)
    typed(delete)
    typed(relabel)
    wait_for("flannel when the label is back", lambda: daemons() == every)
    typed(again)
    typed(namespace)
    kubectl("label", "nodes", "--all", "pod-network-")
    kubectl("rollout", "status", "daemonset/published", "--timeout=300s")
