"""The door of each port: takes a request whole, has the work done, and answers well or as a fault says."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from sandbox.faults import Fault, Faults
from sandbox.wire import Call, World

TRANSPORT = "transport"  # where the server's protocol class leaves the connection in scope["state"]


@dataclass(frozen=True)
class Entry:
    """One answered (or unanswered) request."""

    n: int
    at: str
    system: str
    method: str
    outcome: str
    token_last4: str
    duration_ms: float


class RequestLog:
    """The last requests to both systems, in the order in which they ended."""

    def __init__(self, keep: int = 10_000) -> None:
        self.entries: deque[Entry] = deque(maxlen=keep)
        self._last = 0

    def add(self, system: str, call: Call, outcome: str, began: float) -> None:
        """Note a request that has ended."""
        self._last += 1
        self.entries.append(
            Entry(
                n=self._last,
                at=datetime.fromtimestamp(began, UTC).isoformat(),
                system=system,
                method=call.operation,
                outcome=outcome,
                token_last4=call.token[-4:],
                duration_ms=round((time.time() - began) * 1000, 1),
            )
        )

    def since(self, n: int) -> list[Entry]:
        """Entries with a higher number than `n`."""
        return [entry for entry in self.entries if entry.n > n]


class Desk(Protocol):
    """What answers the requests under /control."""

    def answer(self, request: Request, body: bytes) -> Response:
        """Answer one request."""
        ...


class Gate:
    """ASGI application of one port."""

    def __init__(self, world: World, desk: Desk, faults: Faults, log: RequestLog) -> None:
        self.world = world
        self.desk = desk
        self.faults = faults
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        if request.url.path.startswith("/control/"):
            await self.desk.answer(request, body)(scope, receive, send)
            return
        began = time.time()
        call = self.world.open(request, body)
        fault = self.faults.strike(self.world.system, call)
        outcome: str = fault.kind if fault else "unfinished"
        try:
            answer = await (_troubled(fault, call) if fault else _healthy(call))
            if not fault and answer:
                outcome = str(answer.status_code)
            if answer is None:
                await _hang_up(scope, receive)
            elif fault and fault.kind == "truncated":
                await answer(scope, receive, _only_half(send))
                await _hang_up(scope, receive)
            else:
                await answer(scope, receive, send)
        except asyncio.CancelledError:
            outcome = "stopped"  # the process ends: like a crash, it says nothing more
        finally:
            self.log.add(self.world.system, call, outcome, began)


async def _healthy(call: Call) -> Response:
    return call.work()


async def _troubled(fault: Fault, call: Call) -> Response | None:
    """Do the work or not, as the fault says; None means that the connection closes without an answer."""
    match fault.kind:
        case "reset_before":
            return None
        case "error_before":
            return PlainTextResponse("Internal Server Error", 500)
        case "rate_limited":
            return PlainTextResponse("Too Many Requests", 429, {"Retry-After": f"{fault.seconds:.0f}"})
        case "hollow":
            return JSONResponse({})
        case "refuse":
            return call.refusal(fault.message)
        case "slow_before":
            await asyncio.sleep(fault.seconds)
            return call.work()
    answer = call.work()
    match fault.kind:
        case "lost_answer":
            return None
        case "error_after":
            return PlainTextResponse("Internal Server Error", 500)
        case "html":
            return HTMLResponse("<!DOCTYPE html><html><body><h1>We will be right back</h1></body></html>")
        case "slow":
            await asyncio.sleep(fault.seconds)
    return answer


def _only_half(send: Send) -> Send:
    """Announce the whole length, send the first half of the body."""

    async def half(message: Message) -> None:
        if message["type"] == "http.response.body":
            whole = message.get("body", b"")
            message = {**message, "body": whole[: len(whole) // 2], "more_body": True}
        await send(message)

    return half


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Close the TCP connection after what was sent, and wait until the server has noticed."""
    scope["state"][TRANSPORT].close()
    while (await receive())["type"] != "http.disconnect":
        pass
