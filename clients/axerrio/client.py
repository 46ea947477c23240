"""Axerrio's client: the calls of the adapter API v1 that this project uses, canonical records in and out.

Every write is a PUT by our own id, so it may be repeated with the same idempotency key and body. Errors are
`application/problem+json` (RFC 9457). No method repeats a call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx

from clients.axerrio.convert import read_approval, read_order, read_references
from clients.axerrio.settings import AxerrioSettings
from clients.axerrio.wire import Head, IdentityRecord
from clients.errors import RefusalKind, Refused, Unanswered
from clients.http import Gate, HttpCore, Json, json_text
from clients.reading import reason, text, whole
from models.canonical import ApprovalReport, Identity, Order, References, Tombstone, Unreadable

T = TypeVar("T")
BeforeSend = Callable[[], None]

_SYSTEM = "axerrio"
_KINDS = {
    400: RefusalKind.INVALID,
    422: RefusalKind.INVALID,
    404: RefusalKind.GONE,
    410: RefusalKind.GONE,
    409: RefusalKind.CONFLICT,
    412: RefusalKind.CONFLICT,
}
_MOST_SEQUENCE = 2**63 - 1


@dataclass(frozen=True)
class FeedRecord:
    """One record of a feed page.

    Attributes:
        sequence: its place in the feed; None where it names none that can be used.
        content: what it says, or why it could not be read.
        raw: as received, decimals as text so that a JSON column takes it; JSON text if it is not an object.
    """

    sequence: int | None
    content: Order | Tombstone | Unreadable
    raw: Json | str


@dataclass(frozen=True)
class SalesOrderPage:
    """A page of the change feed. The cursor moves to the highest sequence of its records, never to the maximum."""

    maximum_sequence: int
    records: tuple[FeedRecord, ...]


class AxerrioClient:
    """One Axerrio tenant. Used from many threads at once.

    Every method raises `NotSent`, `Unanswered` or `Refused`.
    """

    def __init__(
        self,
        settings: AxerrioSettings,
        token: str,
        *,
        timeout: float,
        gate: Gate,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"authorization": f"Bearer {token}"}
        if settings.tenant is not None:
            headers["x-tenant-id"] = settings.tenant
        self._core = HttpCore(
            _SYSTEM,
            f"{settings.base_url}/api/v1",
            timeout=timeout,
            gate=gate,
            headers=headers,
            secret=token,
            transport=transport,
        )

    def close(self) -> None:
        """Close all connections."""
        self._core.close()

    def identity(self) -> Identity:
        """Who the token belongs to."""
        operation = "identity"
        content = self._call(operation, "GET", "identity")
        record = self._read(operation, content, IdentityRecord.model_validate)
        return Identity(tenant_id=record.tenant_id, name=record.name, time_zone=record.time_zone, clock=record.clock)

    def sales_orders_after(self, sequence: int, limit: int = 200) -> SalesOrderPage:
        """The changed orders after a sequence, ascending, at most `limit` of them (1,000 at most)."""
        operation = "sales-orders.sync"
        content = self._call(operation, "GET", f"sales-orders/sync/{sequence}", params={"limit": str(limit)})
        results = content.get("results")
        maximum = _sequence(content.get("maximumSequence"))
        if not isinstance(results, list) or maximum is None:
            raise Unanswered(_SYSTEM, operation, "the answer is no feed page: results or maximumSequence is missing")
        return SalesOrderPage(maximum, tuple(_feed_record(each) for each in results))

    def put_references(
        self, key: str, body: Json, *, idempotency_key: str, before_send: BeforeSend | None = None
    ) -> References:
        """Replace what Axerrio holds of the order's place in Komet; gives what it stored.

        Args:
            key: of the order.
            body: by `references_body`.
            idempotency_key: the same for every try of the same write.
            before_send: runs before the first byte.
        """
        operation = "external-references.put"
        path = f"sales-orders/{quote(key, safe='')}/external-references/komet"
        content = self._put(operation, path, body, idempotency_key, before_send)
        return self._read(operation, content, read_references)

    def put_procurement_status(
        self, key: str, body: Json, *, idempotency_key: str, before_send: BeforeSend | None = None
    ) -> ApprovalReport:
        """Tell Axerrio about procurement; gives what it holds now, which may be newer than the body.

        Args:
            key: of the order.
            body: by `procurement_body`.
            idempotency_key: the same for every try of the same write.
            before_send: runs before the first byte.
        """
        operation = "procurement-status.put"
        path = f"sales-orders/{quote(key, safe='')}/procurement-status"
        content = self._put(operation, path, body, idempotency_key, before_send)
        return self._read(operation, content, read_approval)

    def _put(self, operation: str, path: str, body: Json, idempotency_key: str, before_send: BeforeSend | None) -> Json:
        return self._call(
            operation,
            "PUT",
            path,
            body=json_text(body).encode(),
            headers={"idempotency-key": idempotency_key},
            before_send=before_send,
        )

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        before_send: BeforeSend | None = None,
    ) -> Json:
        answer = self._core.call(
            operation,
            method,
            path,
            params=params,
            body=body,
            headers={"x-correlation-id": str(uuid4()), **(headers or {})},
            write=body is not None,
            before_send=before_send,
        )
        if answer.status >= 400:
            kind = _KINDS.get(answer.status, RefusalKind.OTHER)
            said = self._core.words(_problem(answer.payload)) or "no reason given"
            raise Refused(_SYSTEM, operation, f"HTTP {answer.status}: {said}", kind)
        if not isinstance(answer.payload, dict):
            raise Unanswered(_SYSTEM, operation, "the answer is not an object")
        return answer.payload

    def _read(self, operation: str, content: Json, read: Callable[[Any], T]) -> T:
        try:
            return read(content)
        except ValueError as error:
            detail = self._core.words(f"the answer cannot be read: {reason(error)}")
        raise Unanswered(_SYSTEM, operation, detail)


def _feed_record(raw: Any) -> FeedRecord:
    sequence = _sequence(raw.get("sequence")) if isinstance(raw, dict) else None
    content: Order | Tombstone | Unreadable
    try:
        head = Head.model_validate(raw)
        content = Tombstone(key=head.key) if head.is_deleted else read_order(raw)
    except ValueError as error:
        content = Unreadable(sequence=sequence, key=_key(raw), reason=reason(error), raw=json_text(raw))
    return FeedRecord(sequence, content, _storable(raw) if isinstance(raw, dict) else json_text(raw))


def _sequence(value: object) -> int | None:
    try:
        number = whole(value)
    except ValueError:
        return None
    return number if 0 <= number <= _MOST_SEQUENCE else None


def _key(raw: Any) -> str | None:
    try:
        return text(raw.get("key")) or None if isinstance(raw, dict) else None
    except ValueError:
        return None


def _storable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _storable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_storable(each) for each in value]
    return str(value) if isinstance(value, Decimal) else value


def _problem(payload: Any) -> str:
    """The sentence of a problem, with its code and the fields it names."""
    if not isinstance(payload, dict):
        return ""
    said = [str(payload[name]) for name in ("code", "title", "detail", "message") if payload.get(name)]
    errors = payload.get("errors")
    fields = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    said += [f"{each.get('pointer') or '?'}: {each.get('message') or each.get('code')}" for each in fields]
    return "; ".join(said)
