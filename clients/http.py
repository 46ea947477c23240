"""The HTTP core of both clients: one deadline for a whole call, one judgement of how it ended.

The question it answers is the one of `clients.errors`: may the request have arrived? What the JSON means
belongs to the clients. It never repeats a call and never follows a redirect, and no text of its errors is taken
from a URL, since Komet's token stands in URLs. Should the other side repeat the token, it is taken out of the answer
before anybody sees it.
"""

import functools
import json
import re
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from html.entities import codepoint2name
from typing import Any, Protocol, TypeVar, cast

import httpcore
import httpx

from clients.errors import ClientError, NotSent, RefusalKind, Refused, Unanswered

T = TypeVar("T")

#: An idle connection is used again only this long: should the server close it first, a call ends unanswered.
_KEEPALIVE_SECONDS = 4.0
#: No wait asked for by the other side is believed beyond a day, the longest window of a request budget.
_LONGEST_WAIT = 86_400.0
_LONGEST_WORDS = 500
_DEEPEST_JSON = 100
#: Many times a full page or list; what is small in bytes may be large in memory.
_MOST_VALUES = 2_000_000
#: As Python allows for whole numbers.
_LONGEST_NUMBER = 4_300
#: A shorter secret is taken out of errors only: as a part of some word it might stand in any order.
_SHORTEST_IN_DATA = 12
_WRITE_CHUNK = 8_192

_STATUS_KINDS = {401: RefusalKind.TOKEN, 403: RefusalKind.RIGHT, 429: RefusalKind.LIMIT}


class Gate(Protocol):
    """Pace and budget: taken in the send path, before anything is sent."""

    def enter(self, operation: str, *, write: bool, patience: float) -> None:
        """Let one request through; may sleep up to `patience` seconds.

        Raises:
            NoTurn: its turn comes later than `patience` allows.
            NoBudget: the request budget is used up.
        """

    def give_back(self) -> None:
        """The request that was let through last was surely not sent: it costs nothing."""


class OpenGate:
    """A gate that lets everything through."""

    def enter(self, operation: str, *, write: bool, patience: float) -> None:
        """Let the request through at once."""

    def give_back(self) -> None:
        """Nothing was taken."""


@dataclass(frozen=True)
class Answer:
    """An answer that was read: status 2xx, or 4xx other than 401, 403, 408, 425 and 429.

    Attributes:
        status: HTTP status.
        payload: the parsed JSON; numbers with a fraction are `Decimal` with the digits that were sent. None for a
            204, which has no body.
        headers: names in lower case.
        served_at: the `Date` header, UTC; None where missing or unreadable.
    """

    status: int
    payload: Any
    headers: Mapping[str, str]
    served_at: datetime | None


@dataclass(frozen=True)
class Ended:
    """How one call ended, for logs and metrics: nothing of its address, headers or body.

    Attributes:
        system: `komet` or `axerrio`.
        operation: the method's name.
        write: it was to change something over there.
        outcome: `done`, `refused`, `unanswered` or `not_sent`, as in `clients.errors`.
        status: HTTP status; None where no answer came.
        seconds: from the gate to the last byte, and what it took to read it.
    """

    system: str
    operation: str
    write: bool
    outcome: str
    status: int | None
    seconds: float


Tell = Callable[[Ended], None]


def tell_nobody(ended: Ended) -> None:
    """Nobody wants to know."""


def _outcome_of(error: ClientError) -> str:
    if isinstance(error, Refused):
        return "refused"
    return "not_sent" if isinstance(error, NotSent) else "unanswered"


class HttpCore:
    """Calls one server, from many threads at once; directly, whatever proxy the environment names."""

    def __init__(
        self,
        system: str,
        base_url: str,
        *,
        timeout: float,
        gate: Gate,
        headers: Mapping[str, str] | None = None,
        secret: str = "",
        max_bytes: int = 20_000_000,
        pool: int = 32,
        transport: httpx.BaseTransport | None = None,
        tell: Tell = tell_nobody,
    ) -> None:
        """Prepare; connects to nothing.

        Args:
            system: `komet` or `axerrio`, for errors.
            base_url: what every path is appended to.
            timeout: seconds from connect to last byte of one call; also the longest wait at the gate.
            gate: pace and budget.
            headers: sent with every call.
            secret: the token: taken out of the other side's answers, should it repeat it.
            max_bytes: longest answer that is read.
            pool: most connections at once.
            transport: in place of the network; None for the network.
            tell: is told how each call ended that passed the gate.
        """
        self._system = system
        self._tell = tell
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._gate = gate
        self._headers = {"accept": "application/json", "accept-encoding": "identity", **(headers or {})}
        self._secret = _pattern_of(secret)
        self._secret_in_data = self._secret if len(secret) >= _SHORTEST_IN_DATA else _pattern_of("")
        self._max_bytes = max_bytes
        self._own_network = transport is None
        self._transport = transport or _DeadlineTransport(pool)

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        read: Callable[[Answer], T],
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        write: bool,
        before_send: Callable[[], None] | None = None,
    ) -> T:
        """Make one call, once.

        Args:
            operation: the method's name, for errors and the gate.
            method: HTTP verb.
            path: appended to the base URL; already quoted.
            read: makes what is given back of the answer; the call ends as this says, by its errors too.
            params: the query.
            body: JSON, already encoded.
            headers: of this call.
            write: it changes something over there.
            before_send: runs after the gate and before the first byte; what it raises goes to the caller, and
                nothing is sent.

        Raises:
            NotSent: surely nothing was sent.
            Unanswered: the request may have arrived: broken off, out of time, 3xx, 408, 425, 5xx, not JSON.
            Refused: 401 (`token`), 403 (`right`), 429 (`limit`).
        """
        request = self._request(operation, method, path, params, body, headers or {})
        self._gate.enter(operation, write=write, patience=self._timeout)
        # Its time begins before the caller commits `sent`: whoever reads that commit may count on the call's end.
        deadline = _Deadline(self._timeout, began=not self._own_network)
        if before_send is not None:
            try:
                before_send()
            except BaseException:
                self._gate.give_back()
                raise
        began = time.monotonic()
        status = None
        try:
            response, content = self._response(operation, request, deadline)
            status = response.status_code
            result = read(self._judge(operation, response, content))
        except ClientError as error:
            self._tell(Ended(self._system, operation, write, _outcome_of(error), status, time.monotonic() - began))
            raise
        self._tell(Ended(self._system, operation, write, "done", status, time.monotonic() - began))
        return result

    def _response(self, operation: str, request: httpx.Request, deadline: "_Deadline") -> tuple[httpx.Response, bytes]:
        """The exchange, its errors by the taxonomy."""
        # Raised below and not in the handler: an httpx error holds the request, and so its URL, as context.
        failure: ClientError
        try:
            return self._exchange(request, deadline)
        except _Oversize:
            failure = Unanswered(self._system, operation, f"more than {self._max_bytes} bytes")
        except httpx.HTTPError as error:
            failure = self._failure(operation, error, deadline)
        if isinstance(failure, NotSent):
            self._gate.give_back()
        raise failure

    def words(self, text: str) -> str:
        """The other side's words, fit for an error: one line, no token, at most 500 characters."""
        return " ".join(self._secret.sub("…", text).split())[:_LONGEST_WORDS]

    def _request(
        self,
        operation: str,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> httpx.Request:
        sent_headers = {**self._headers, **headers}
        if body is not None:
            sent_headers["content-type"] = "application/json"
        try:
            return httpx.Request(
                method,
                f"{self._base_url}/{path}",
                params=params,
                content=body,
                headers=sent_headers,
                extensions={"timeout": httpx.Timeout(self._timeout).as_dict()},
            )
        except (ValueError, httpx.InvalidURL):
            pass  # the error names the URL or the header: the token
        raise NotSent(self._system, operation, "the request's address or a header cannot be encoded")

    def _exchange(self, request: httpx.Request, deadline: "_Deadline") -> tuple[httpx.Response, bytes]:
        mine = _deadline.set(deadline)
        try:
            response = self._transport.handle_request(request)
            try:
                content = bytearray()
                for chunk in cast("httpx.SyncByteStream", response.stream):
                    content += chunk
                    if len(content) > self._max_bytes:
                        raise _Oversize
            finally:
                response.close()
        finally:
            _deadline.reset(mine)
        return response, self._unpacked(bytes(content), response.headers.get("content-encoding", ""))

    def _unpacked(self, content: bytes, encoding: str) -> bytes:
        """The content as it was before a server packed it, unasked: a few bytes may unfold to gigabytes."""
        if encoding.strip().lower() in ("", "identity"):
            return content
        unpacker = zlib.decompressobj(wbits=47)  # gzip, or zlib as in `deflate`
        try:
            unpacked = unpacker.decompress(content, self._max_bytes + 1)
        except zlib.error:
            unpacked = b""
        if len(unpacked) > self._max_bytes:
            raise _Oversize
        if not unpacker.eof:
            raise httpx.DecodingError("packed in a way that was not asked for")
        return unpacked

    def _failure(self, operation: str, error: httpx.HTTPError, deadline: "_Deadline") -> ClientError:
        if isinstance(error, httpx.ConnectError):
            return NotSent(self._system, operation, self.words(f"no connection: {error}"))
        if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout) or not deadline.began:
            return NotSent(self._system, operation, f"nothing was sent: {type(error).__name__}")
        if isinstance(error, httpx.TimeoutException):
            return Unanswered(self._system, operation, f"no whole answer within {self._timeout:g} s")
        return Unanswered(self._system, operation, f"the connection broke: {type(error).__name__}")

    def _judge(self, operation: str, response: httpx.Response, content: bytes) -> Answer:
        status = response.status_code
        if not (200 <= status < 300 or 400 <= status < 500) or status in (408, 425):
            wait = _retry_after(response.headers.get("retry-after"), _http_date(response.headers.get("date")))
            raise Unanswered(self._system, operation, f"HTTP {status}", wait)
        payload, is_json = None, True
        try:
            payload = _cleaned(_parsed(content), self._secret_in_data)
        except ValueError:
            is_json = False
        served_at = _http_date(response.headers.get("date"))
        if status in _STATUS_KINDS:
            said, code = self.words(_message(payload)), f"HTTP {status}"
            raise Refused(
                self._system,
                operation,
                f"{code}: {said}" if said else code,
                _STATUS_KINDS[status],
                _retry_after(response.headers.get("retry-after"), served_at),
                code,
            )
        headers = {name: self._secret.sub("…", value) for name, value in response.headers.items()}
        if status != 204 and not is_json:  # a 204 says nothing in a body
            raise Unanswered(self._system, operation, f"HTTP {status} with something that is not JSON")
        return Answer(status, payload, headers, served_at)


def parse_json(content: bytes) -> Any:
    """Parse an answer: decimals exact, and NUL and lone surrogates, which no database takes, made U+FFFD.

    Raises:
        ValueError: not JSON, nested deeper than 100, more than two million values, or a number beyond all bounds.
    """
    return _cleaned(_parsed(content), _pattern_of(""))


def _parsed(content: bytes) -> Any:
    if sum(map(content.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise ValueError("too many values")
    try:
        return json.loads(content, parse_float=_decimal, parse_constant=Decimal)
    except (ArithmeticError, RecursionError) as error:
        raise ValueError(type(error).__name__) from None


def _decimal(digits: str) -> Decimal:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError("a number with too many digits")
    return Decimal(digits)


def json_text(value: Any) -> str:
    """JSON in ASCII, with every `Decimal` as a number of exactly its digits."""
    if isinstance(value, Mapping):
        members = (f"{json.dumps(str(name))}:{json_text(each)}" for name, each in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, Decimal):
        return str(value)
    return json.dumps(value)


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _cleaned(value: Any, secret: re.Pattern[str], depth: int = 0) -> Any:
    if depth > _DEEPEST_JSON:
        raise ValueError("nested too deep")
    if isinstance(value, str):
        return secret.sub("…", _UNSTORABLE.sub("\ufffd", value))
    if isinstance(value, list):
        return [_cleaned(each, secret, depth + 1) for each in value]
    if isinstance(value, dict):
        return {
            secret.sub("…", _UNSTORABLE.sub("\ufffd", key)): _cleaned(each, secret, depth + 1)
            for key, each in value.items()
        }
    return value


def _pattern_of(secret: str) -> re.Pattern[str]:
    """Finds a secret, plain or with any of its marks quoted for a URL, HTML or JSON; of none it finds nothing."""
    return re.compile("".join(each if each.isalnum() else _forms_of(each) for each in secret) or "(?!)")


def _forms_of(mark: str) -> str:
    code, name = ord(mark), codepoint2name.get(ord(mark), "apos")
    in_url, in_html, in_json = f"%(?:25)*{code:02x}", f"&(?:{name}|#0*{code}|#x0*{code:x});", f"u00{code:02x}"
    return rf"(?i:{in_url}|{in_html}|\\*(?:{in_json}|{re.escape(mark)}))"


def _message(payload: Any) -> str:
    """The sentence of an error's JSON, by the usual names; empty if there is none."""
    if isinstance(payload, dict):
        for name in ("message", "detail", "title", "error"):
            if isinstance(payload.get(name), str) and payload[name].strip():
                return str(payload[name])
    return ""


def _http_date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _retry_after(text: str | None, served_at: datetime | None) -> float | None:
    """Seconds to wait, from whole seconds or an HTTP date, which is taken against the server's own clock."""
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_WAIT)
    moment = _http_date(text)
    if moment is None:
        return None
    return min(max((moment - (served_at or datetime.now(UTC))).total_seconds(), 0.0), _LONGEST_WAIT)


# The deadline stands in the network itself, since httpx counts its time-outs anew at every read.


class _Oversize(Exception):  # noqa: N818 - a signal inside this module
    """The answer is too long."""


class _Deadline:
    """The time of one call, and whether its first byte was given to the network."""

    def __init__(self, seconds: float, *, began: bool) -> None:
        self._end = time.monotonic() + seconds
        self.began = began

    def left(self, error: type[Exception]) -> float:
        """Seconds left; raises `error` when there are none."""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise error("out of time")
        return seconds


#: The deadline of the call that this thread is making. A connection serves one call at a time.
_deadline: ContextVar[_Deadline] = ContextVar("_deadline")


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._inner.read(max_bytes, _deadline.get().left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        deadline = _deadline.get()
        for start in range(0, len(buffer), _WRITE_CHUNK):
            left = deadline.left(httpcore.WriteTimeout)
            deadline.began = True
            self._inner.write(buffer[start : start + _WRITE_CHUNK], left)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        left = _deadline.get().left(httpcore.ConnectTimeout)
        return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, left))

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _DeadlineBackend(httpcore.NetworkBackend):
    """Connects within the call's time, which all addresses of a name share.

    The resolver itself cannot be interrupted; when it took too long, nothing is sent.
    """

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        deadline = _deadline.get()
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for later, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            left = deadline.left(httpcore.ConnectTimeout) / later
            try:
                stream = self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if later == 1:
                    raise
            else:
                return _DeadlineStream(stream)
        raise httpcore.ConnectError("the name has no address")


@functools.cache
def trusted_issuers() -> ssl.SSLContext:
    """Whom we trust to vouch for a server: one for all connections, since it takes 35 ms and a megabyte to load."""
    return httpx.create_ssl_context()


class _DeadlineTransport(httpx.HTTPTransport):
    """httpx's transport over a pool of ours. httpx has no public way to name a network backend."""

    def __init__(self, pool: int) -> None:
        context = trusted_issuers()
        super().__init__(verify=context)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=pool,
            max_keepalive_connections=pool,
            keepalive_expiry=_KEEPALIVE_SECONDS,
            retries=0,
            network_backend=_DeadlineBackend(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.stream = _LastAnswer(cast("Any", response.stream), response.extensions["network_stream"])
        return response


class _LastAnswer(httpx.SyncByteStream):
    """Ends the connection where more came than the one answer: it would pass for the answer to the next call."""

    def __init__(self, inner: Any, network: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._network = network
        # httpcore has no public way to see what it has read ahead.
        self._http11 = inner._httpcore_stream._stream._connection._h11_state

    def __iter__(self) -> Iterator[bytes]:
        yield from self._inner

    def close(self) -> None:
        ahead, _ = self._http11.trailing_data
        if ahead:
            self._network.close()
        self._inner.close()
