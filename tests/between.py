"""A server between us and a system: passes on what is asked, and changes what is answered."""

import contextlib
import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_PASSED_ON = ("authorization", "x-tenant-id", "idempotency-key", "content-type", "accept")


@dataclass(frozen=True)
class Reply:
    """An answer as it goes over the wire."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


#: Makes another answer of a path and its answer.
Change = Callable[[str, Reply], Reply]


def unchanged(path: str, reply: Reply) -> Reply:
    return reply


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked went away."""


class Between:
    """Passes calls on to one system; many threads may ask at once."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.change: Change = unchanged
        self.calls = 0
        #: Answers that are given in place of a call, by a part of its path, each once.
        self.instead: dict[str, list[Reply]] = {}
        self._lock = threading.Lock()
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                reply = between.reply(self.command, self.path, dict(self.headers.items()), body)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - their names are given

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Says nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{self.target.path}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def secure(self, context: ssl.SSLContext) -> None:
        """From now on it speaks TLS."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def reply(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """What is answered to a call."""
        with self._lock:
            self.calls += 1
            for part, replies in self.instead.items():
                if part in path and method != "GET" and replies:
                    return replies.pop(0)
        return self.change(path, self._passed_on(method, path, headers, body))

    def _passed_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        connection = http.client.HTTPConnection(str(self.target.hostname), self.target.port, timeout=10)
        with contextlib.closing(connection):
            kept = {name: value for name, value in headers.items() if name.lower() in _PASSED_ON}
            connection.request(method, path, body=body or None, headers=kept)
            answer = connection.getresponse()
            names = ("date", "content-type", "retry-after")
            given = {name: value for name, value in answer.getheaders() if name.lower() in names}
            return Reply(answer.read(), answer.status, given)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def between(target: str) -> Iterator[Between]:
    """A server in front of this address."""
    server = Between(target)
    try:
        yield server
    finally:
        server.close()
