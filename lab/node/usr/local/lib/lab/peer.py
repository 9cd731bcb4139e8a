"""Who calls? A TCP server that answers each caller with the caller's address, and its client.

python3 peer.py serve PORT          runs until it is told to end
python3 peer.py call ADDRESS PORT   prints the answer: the address the other side saw; exit code 1 and why, if none
"""

from __future__ import annotations

import ipaddress
import signal
import socket
import socketserver
import sys

TIMEOUT = 3.0  # seconds


class _Answer(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        address = ipaddress.ip_address(self.client_address[0].split("%")[0])
        # A socket for both families shows IPv4 callers as ::ffff:a.b.c.d.
        self.request.sendall(b"%s\n" % str(getattr(address, "ipv4_mapped", None) or address).encode())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


class _DualStackServer(_Server):
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def _server(port: int) -> _Server:
    try:
        return _DualStackServer(("::", port), _Answer)
    except OSError:  # no IPv6 here
        return _Server(("0.0.0.0", port), _Answer)


def serve(port: int) -> None:
    """Answer until SIGTERM, which the first process of a container would otherwise never notice."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _server(port) as server:
        server.serve_forever()


def call(address: str, port: int) -> str:
    """The address that the server at ``address`` saw; OSError if it can't be reached."""
    with socket.create_connection((address, port), TIMEOUT) as connection:
        return connection.makefile().readline().strip()


def main() -> int:
    """Read the command line."""
    if sys.argv[1:2] == ["serve"] and len(sys.argv) == 3:
        serve(int(sys.argv[2]))
        return 0
    if sys.argv[1:2] == ["call"] and len(sys.argv) == 4:
        try:
            print(call(sys.argv[2], int(sys.argv[3])))
        except OSError as error:
            print("%s port %s: %s" % (sys.argv[2], sys.argv[3], error), file=sys.stderr)
            return 1
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
