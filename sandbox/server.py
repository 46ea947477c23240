"""Both systems in one process: two listening sockets, one event loop, one shared control interface."""

import asyncio
import contextlib
import json
import signal
import socket
import sys
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.axerrio.api import Axerrio
from sandbox.control import Control
from sandbox.faults import Faults
from sandbox.gate import TRANSPORT, Gate, RequestLog
from sandbox.komet.api import Komet

HOST = "127.0.0.1"


def run(komet_port: int, axerrio_port: int) -> None:
    """Serve both systems until SIGINT or SIGTERM; port 0 picks a free one.

    One line of JSON on stdout tells the addresses once both are served.

    Raises:
        OSError: a port is taken; nothing was served.
    """
    with socket.create_server((HOST, komet_port)) as komet, socket.create_server((HOST, axerrio_port)) as axerrio:
        ports = komet.getsockname()[1], axerrio.getsockname()[1]
        config = uvicorn.Config(
            _by_port(*ports),
            http=_Protocol,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        addresses = {
            "komet": f"http://{HOST}:{ports[0]}/api",
            "axerrio": f"http://{HOST}:{ports[1]}",
            "control": f"http://{HOST}:{ports[1]}/control",
        }
        asyncio.run(_Server(config, addresses).serve(sockets=[komet, axerrio]))


def _by_port(komet_port: int, axerrio_port: int) -> ASGIApp:
    """Build the application: each port shows its own system, and both show the control interface."""
    komet, axerrio, faults, log = Komet(), Axerrio(), Faults(), RequestLog()
    control = Control(komet, axerrio, faults, log)
    gates = {
        komet_port: Gate(komet, control, faults, log),
        axerrio_port: Gate(axerrio, control, faults, log),
    }

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await gates[scope["server"][1]](scope, receive, send)

    return application


class _Protocol(H11Protocol):
    """Gives the application its connection, since only closing that can lose an answer for good."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Head and body are two small writes; without this each answer waits 40 ms for the client's ACK.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, TRANSPORT: transport}


class _Server(uvicorn.Server):
    """Tells its addresses when it is ready, and returns to its caller when it is told to stop."""

    def __init__(self, config: uvicorn.Config, addresses: dict[str, str]) -> None:
        super().__init__(config)
        self.addresses = addresses

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write(json.dumps(self.addresses) + "\n")
        sys.stdout.flush()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        stopping = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._stop) for number in stopping}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Protocol):
                connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        await super().shutdown(sockets)

    def _stop(self, _number: int, _frame: object) -> None:
        self.should_exit = True
