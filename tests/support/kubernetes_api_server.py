# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that lists nodes as kube-apiserver does: by TLS with client certificates or tokens, and in pages.

It answers what kube-apiserver 1.34 was seen to answer; a Status object where it refuses.
"""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-of-a-user-who-may-list-nodes"


def node(
    name: str, cidrs: list[str], addresses: list[str], labels: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    """Return a Node object as it is in a NodeList."""
    known = [{"type": "InternalIP", "address": address} for address in addresses]
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs, **spec} if cidrs else spec,
        "status": {"addresses": [*known, {"type": "Hostname", "address": name}]},
    }


class Certificates:
    """An authority, the server's certificate and a client's, each ``NAME.crt`` and ``NAME.key`` in *directory*."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self._make("authority", "keyUsage=critical,keyCertSign")
        for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
            issuer = ("-CA", str(self.path("authority.crt")), "-CAkey", str(self.path("authority.key")))
            self._make(name, extension, "-addext", "basicConstraints=critical,CA:FALSE", *issuer)

    def path(self, name: str) -> Path:
        return self.directory / name

    def data(self, name: str) -> str:
        """Return the file *name* as kubeconfig files embed it."""
        return base64.b64encode(self.path(name).read_bytes()).decode()

    def _make(self, name: str, extension: str, *options: str) -> None:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-noenc", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-subj", f"/CN={name}", "-days", "2", "-addext", extension, *options),
                *("-out", str(self.path(f"{name}.crt")), "-keyout", str(self.path(f"{name}.key"))),
            ],
            check=True,
            stderr=subprocess.PIPE,
        )


class ApiServer(ThreadingHTTPServer):
    """Lists *nodes*; *requests* are the queries so far, and *expired* makes it refuse each further page.

    Without *certificates* it speaks HTTP.
    """

    daemon_threads = True

    def __init__(self, certificates: Certificates | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        if certificates:
            self._encrypt(certificates)
        self.nodes: list[dict[str, Any]] = []
        self.requests: list[dict[str, str]] = []
        self.allowed = True
        self.expired = False
        self.moved_to = ""

    def _encrypt(self, certificates: Certificates) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.path("server.crt"), certificates.path("server.key"))
        context.load_verify_locations(certificates.path("authority.crt"))
        context.verify_mode = ssl.CERT_OPTIONAL
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server_port}"
        self.certificates = certificates

    def kubeconfig(self, **user: str) -> dict[str, Any]:
        """Return a kubeconfig's content for a *user*, by default the one with the client certificate."""
        certificates = self.certificates
        by_certificate = {
            "client-certificate-data": certificates.data("client.crt"),
            "client-key-data": certificates.data("client.key"),
        }
        cluster = {"server": self.url, "certificate-authority-data": certificates.data("authority.crt")}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "admin", "user": user or by_certificate}],
            "contexts": [{"name": "admin@lab", "context": {"cluster": "lab", "user": "admin"}}],
            "current-context": "admin@lab",
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks the handshake off is what some tests are about."""


@contextmanager
def serving(certificates: Certificates | None) -> Iterator[ApiServer]:
    with ApiServer(certificates) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.server.requests.append(query)
        if self.server.moved_to:
            self._answer(302, {}, Location=self.server.moved_to + self.path)
        elif url.path != "/api/v1/nodes":
            self._refuse(404, "NotFound", "the server could not find the requested resource")
        elif not self._user():
            self._refuse(401, "Unauthorized", "Unauthorized")
        elif not self.server.allowed:
            reason = f'nodes is forbidden: User "{self._user()}" cannot list resource "nodes" in API group ""'
            self._refuse(403, "Forbidden", reason)
        elif self.server.expired and "continue" in query:
            self._refuse(410, "Expired", "The provided continue parameter is too old")
        else:
            self._answer(200, self._page(query))

    def _user(self) -> str:
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return "token"
        assert isinstance(self.connection, ssl.SSLSocket)
        subject: Any = (self.connection.getpeercert() or {}).get("subject", ())
        return str(dict(pair for part in subject for pair in part).get("commonName", ""))

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        nodes = self.server.nodes
        start = int(base64.b64decode(query["continue"])) if "continue" in query else 0
        end = start + int(query.get("limit", len(nodes)))
        metadata: dict[str, Any] = {"resourceVersion": "4711"}
        if end < len(nodes):
            token = base64.b64encode(str(end).encode()).decode()
            metadata.update({"continue": token, "remainingItemCount": len(nodes) - end})
        return {"kind": "NodeList", "apiVersion": "v1", "metadata": metadata, "items": nodes[start:end]}

    def _refuse(self, code: int, reason: str, message: str) -> None:
        status = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code}
        self._answer(code, status)

    def _answer(self, code: int, content: dict[str, Any], **headers: str) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing: *requests* of the server tells what was asked."""
