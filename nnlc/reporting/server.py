"""Server of a campaign's page for browsers on this machine: two addresses, read-only.

All users of a login node can reach its 127.0.0.1, and so can web pages by DNS rebinding.
Therefore both addresses begin with a secret, and the Host header must name this server. A path in
a request is never used as a path of a file.
"""

import contextlib
import errno
import secrets
import socket
import socketserver
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from nnlc.errors import NnlcError
from nnlc.reporting.live import LiveCampaign
from nnlc.reporting.page import content_policy

HOST = "127.0.0.1"
DEFAULT_PORT = 8765
_ALLOWED = ("GET", "HEAD")
_SECRET_BYTES = 16
_PATIENCE_SECONDS = 10
"""Seconds to wait for a browser that sends nothing more."""
MOST_CONNECTIONS = 64
"""Most connections at once. Every user of this machine can open some without the secret."""


class PageServer(ThreadingHTTPServer):
    """Server that listens on 127.0.0.1.

    Args:
        campaign: campaign to show.
        port: port number; 0 takes any free port.

    Raises:
        NnlcError: the port can't be used.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, campaign: LiveCampaign, port: int = DEFAULT_PORT) -> None:
        self.campaign = campaign
        self.secret = secrets.token_urlsafe(_SECRET_BYTES)
        self._connections: dict[Any, None] = {}
        """Connections; the one that has been silent for longest comes first."""
        self._lock = threading.Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as problem:
            raise NnlcError(_refusal(port, problem)) from None
        except OverflowError:
            raise NnlcError(f"--port {port}: a port is a number from 0 to 65535") from None

    def server_bind(self) -> None:
        """Bind without asking for the machine's full name, which could take minutes."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a new thread; of too many connections, close the one silent for longest."""
        with self._lock:
            self._connections[request] = None
            if len(self._connections) > MOST_CONNECTIONS:
                silent = next(iter(self._connections))
                del self._connections[silent]
                with contextlib.suppress(OSError):
                    silent.shutdown(socket.SHUT_RDWR)  # its thread sees the end, and closes it
        super().process_request(request, client_address)

    def heard_of(self, request: Any) -> None:
        """Make a connection that has sent the secret the last to be closed."""
        with self._lock:
            if request in self._connections:
                del self._connections[request]
                self._connections[request] = None

    def shutdown_request(self, request: Any) -> None:
        """Remove a connection that has ended."""
        with self._lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    @property
    def address(self) -> str:
        """Return the address to open."""
        return f"http://{HOST}:{self.server_port}/{self.secret}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the host names by which a browser may address this server."""
        return tuple(f"{name}:{self.server_port}" for name in (HOST, "localhost"))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors of browsers that went away."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def _refusal(port: int, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return f"port {port} is taken; give another with --port N, or --port 0 for any that is free"
    return (
        f"port {port} can't be had: {problem.strerror}; give another with --port N, such as "
        f"{DEFAULT_PORT}"
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "nnlc", ""
    timeout = _PATIENCE_SECONDS
    server: PageServer

    def do_GET(self) -> None:
        """Answer a request, or refuse it with the reason."""
        if self.headers.get("Content-Length") or self.headers.get("Transfer-Encoding"):
            self.close_connection = True  # the request's body is not read
        if self.headers.get_all("Host", []) not in ([host] for host in self.server.hosts):
            self._answer(
                HTTPStatus.FORBIDDEN,
                "This server is not what this address says. Open the address that 'nnlc serve' "
                f"printed; a tunnel must end at the same port: ssh -L {self.server.server_port}:"
                f"{HOST}:{self.server.server_port} HOST\n",
            )
            return
        answer = self._find()
        if answer is None:
            self._answer(
                HTTPStatus.NOT_FOUND,
                "Nothing is here. Open the address that 'nnlc serve' printed when it began.\n",
            )
            return
        self.server.heard_of(self.connection)
        self._answer(HTTPStatus.OK, *answer())

    do_HEAD = do_GET  # noqa: N815

    def __getattr__(self, name: str) -> Any:
        """Return a method that refuses; the library asks for `do_<METHOD>`."""
        if name.startswith("do_"):
            return self._refuse_method
        raise AttributeError(name)

    def _refuse_method(self) -> None:
        self.close_connection = True
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED, "This server is read-only.\n")

    def _find(self) -> Callable[[], tuple[bytes, str]] | None:
        try:
            asked = urlsplit(self.path)
            path = asked.path.encode("ascii")
            query = parse_qs(asked.query, max_num_fields=4)
        except ValueError:
            return None
        campaign, root = self.server.campaign, f"/{self.server.secret}/".encode()
        if secrets.compare_digest(path, root):
            return lambda: (campaign.page(), "text/html; charset=utf-8")
        if secrets.compare_digest(path, root + b"changes"):
            since = query.get("since", [""])[0]
            return lambda: (campaign.changes(since), "application/json")
        return None

    def _answer(
        self, status: HTTPStatus, content: str | bytes, kind: str = "text/plain; charset=utf-8"
    ) -> None:
        body = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": f"{content_policy(live=True)}; frame-ancestors 'none'",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_ALLOWED)
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing: a line for each request is of no use."""
