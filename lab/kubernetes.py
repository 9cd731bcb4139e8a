"""A real Kubernetes on the lab's nodes: what its programs read, in /etc/lab/kubernetes of every node.

The first node is the control plane. Nodes stay NotReady until somebody gives them a pod network.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Sequence

from lab import nodes
from lab.settings import Lab
from lab.shell import run, wait_until
from lab.topology import Node, Topology

ON_NODE = "/etc/lab/kubernetes"
KUBECTL = ["/opt/kubernetes/kubectl", "--kubeconfig=%s/admin.kubeconfig" % ON_NODE]
SERVICE_ADDRESS = "10.96.0.1"  # the first of the service network: the API server's
API_SECONDS = 120
_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
_USERS = {
    "admin": "/O=system:masters/CN=kubernetes-admin",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "kube-proxy": "/CN=system:kube-proxy",
}


def control_plane(topology: Topology) -> Node:
    """The node that runs what there is one of."""
    return Node(topology, 1)


def configure(lab: Lab, members: Sequence[Node]) -> None:
    """Write certificates and kubeconfigs, unless they are there, for these nodes."""
    place, control = lab.etc / "kubernetes", control_plane(members[0].topology)
    place.mkdir(mode=0o700, exist_ok=True)
    _authority(place)
    _server(place, control)
    for user, subject in _USERS.items():
        # The lab's user reaches the nodes by their uplink.
        _user(place, user, subject, control.uplink_address if user == "admin" else control.node_address)
    for node in members:
        _user(place, node.name, "/O=system:nodes/CN=system:node:%s" % node.name, control.node_address)
        (place / ("%s.env" % node.name)).write_text("NODE_IP=%s\n" % node.node_address)


def _openssl(place: Path, name: str, subject: str, *options: str) -> None:
    if not (place / (name + ".crt")).exists():
        files = ["-keyout", str(place / (name + ".key")), "-out", str(place / (name + ".crt"))]
        run(["openssl", "req", "-x509", *_KEY, "-subj", subject, *files, *options])


def _signed(place: Path, name: str, subject: str, *extensions: str) -> None:
    added = [
        word for extension in ("basicConstraints=critical,CA:FALSE", *extensions) for word in ("-addext", extension)
    ]
    authority = ["-CA", str(place / "ca.crt"), "-CAkey", str(place / "ca.key")]
    _openssl(place, name, subject, *authority, *added)


def _authority(place: Path) -> None:
    _openssl(place, "ca", "/CN=humanz-lab")
    # Service accounts' tokens are signed with this one.
    _openssl(place, "service-accounts", "/CN=service-accounts")


def _server(place: Path, control: Node) -> None:
    addresses = dict.fromkeys(("127.0.0.1", control.node_address, control.uplink_address, SERVICE_ADDRESS))
    names = ["IP:%s" % address for address in addresses] + ["DNS:kubernetes.default.svc", "DNS:%s" % control.name]
    _signed(place, "apiserver", "/CN=kube-apiserver", "subjectAltName=" + ",".join(names))


def _user(place: Path, name: str, subject: str, address: str) -> None:
    _signed(place, name, subject, "extendedKeyUsage=clientAuth")
    # JSON is YAML, and relative paths are relative to the file.
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name}}],
        "clusters": [
            {"name": "lab", "cluster": {"server": "https://%s:6443" % address, "certificate-authority": "ca.crt"}}
        ],
        "users": [{"name": name, "user": {"client-certificate": name + ".crt", "client-key": name + ".key"}}],
    }
    (place / (name + ".kubeconfig")).write_text(json.dumps(config, indent=1) + "\n")


def wait_for_nodes(lab: Lab, members: Sequence[Node]) -> None:
    """Wait until the API server knows these nodes and has given each a pod CIDR. LabError after API_SECONDS."""
    template = "jsonpath={range .items[*]}{.metadata.name} {.spec.podCIDR}{'\\n'}{end}"
    expected, control = {node.name for node in members}, control_plane(members[0].topology)

    def known() -> bool:
        done = nodes.attempt(lab, control, [*KUBECTL, "get", "nodes", "--output", template])
        return expected <= {line.split()[0] for line in done.stdout.splitlines() if len(line.split()) == 2}

    wait_until(known, "registration of %s" % ", ".join(sorted(expected)), API_SECONDS)
