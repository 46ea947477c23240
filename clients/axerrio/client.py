"""Axerrio's client: the calls of the adapter API v1 that this project uses, canonical records in and out.

Every write is a PUT or DELETE by our own id, so it may be repeated with the same idempotency key and body. Errors
are `application/problem+json` (RFC 9457). No method repeats a call, and none makes two: what a refusal calls for,
such as a look at what exists already, is the caller's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx

from clients.axerrio.answers import (
    read_approval,
    read_catalogue_article,
    read_inbound,
    read_label,
    read_order,
    read_references,
    read_shipment,
)
from clients.axerrio.settings import AxerrioSettings
from clients.axerrio.wire import Existence, Head, IdentityRecord, LabelHead
from clients.errors import RefusalKind, Refused, Unanswered
from clients.http import Answer, Gate, HttpCore, Tell, json_text, tell_nobody
from clients.reading import LONGEST_NAME, reason, text, whole
from models.canonical import (
    ApprovalReport,
    CatalogueArticle,
    Identity,
    InboundOrder,
    Json,
    Label,
    Order,
    References,
    Shipment,
    Tombstone,
    Unreadable,
)

T = TypeVar("T")
BeforeSend = Callable[[], None]

_SYSTEM = "axerrio"
_KINDS = {
    400: RefusalKind.INVALID,
    422: RefusalKind.INVALID,
    404: RefusalKind.GONE,
    410: RefusalKind.GONE,
}
#: Codes of a 409. One of another code, and a 412, say that somebody was there first: a later try may do.
_CONFLICTS = {"immutable": RefusalKind.CONFLICT, "already-exists": RefusalKind.EXISTS}
_MOST_SEQUENCE = 2**63 - 1


@dataclass(frozen=True)
class FeedRecord:
    """One record of a feed page.

    Attributes:
        sequence: its place in the feed; None where it names none that can be used.
        content: what it says, or why it could not be read.
    """

    sequence: int | None
    content: Order | Label | Shipment | CatalogueArticle | Tombstone | Unreadable


@dataclass(frozen=True)
class FeedPage:
    """A page of a change feed. The cursor moves to the highest sequence of its records, never to the maximum."""

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
        tell: Tell = tell_nobody,
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
            tell=tell,
        )

    def close(self) -> None:
        """Close all connections."""
        self._core.close()

    def identity(self) -> Identity:
        """Who the token belongs to."""
        operation = "identity"

        def found(answer: Answer) -> IdentityRecord:
            return self._read(operation, self._object(operation, answer), IdentityRecord.model_validate)

        record = self._ask(operation, "GET", "identity", found)
        return Identity(tenant_id=record.tenant_id, name=record.name, time_zone=record.time_zone, clock=record.clock)

    def sales_orders_after(self, sequence: int, limit: int) -> FeedPage:
        """The changed orders after a sequence, ascending, at most `limit` of them (1,000 at most)."""
        return self._page("sales-orders", sequence, limit, read_order)

    def labels_after(self, sequence: int, limit: int) -> FeedPage:
        """The changed labels after a sequence, ascending, at most `limit` of them (1,000 at most)."""
        return self._page("labels", sequence, limit, read_label, LabelHead)

    def shipments_after(self, sequence: int, limit: int) -> FeedPage:
        """The changed shipments after a sequence, ascending, at most `limit` of them (1,000 at most)."""
        return self._page("shipments", sequence, limit, read_shipment)

    def articles_after(self, sequence: int, limit: int) -> FeedPage:
        """The changed articles after a sequence, ascending, at most `limit` of them (1,000 at most)."""
        return self._page("articles", sequence, limit, read_catalogue_article)

    def order(self, key: str) -> Order | Tombstone | None:
        """One order as it is now; a tombstone if it was deleted, None if there is none."""
        operation = "sales-orders.get"

        def found(answer: Answer) -> Order | Tombstone | None:
            if answer.status == 404:
                return None
            if answer.status == 410:
                return Tombstone(key=key)
            return self._read(operation, self._object(operation, answer), _order_or_tombstone)

        return self._ask(operation, "GET", f"sales-orders/{quote(key, safe='')}", found)

    def inbound_order(self, external_id: str) -> InboundOrder | None:
        """What Axerrio said to an order born in Komet; None if it has none of that id."""
        operation = "inbound-orders.get"

        def found(answer: Answer) -> InboundOrder | None:
            if answer.status in (404, 410):
                return None
            return self._read(operation, self._object(operation, answer), read_inbound)

        return self._ask(operation, "GET", f"inbound-orders/{quote(external_id, safe='')}", found)

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
        return self._put(operation, path, body, read_references, idempotency_key, before_send)

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
        return self._put(operation, path, body, read_approval, idempotency_key, before_send)

    def put_inbound_order(
        self, external_id: str, body: Json, *, idempotency_key: str, before_send: BeforeSend | None = None
    ) -> InboundOrder:
        """Make or replace the order in Axerrio for a Komet prebook; gives what Axerrio said to it and to each line.

        Args:
            external_id: ours; it is what makes a repeat harmless.
            body: by `inbound_body`.
            idempotency_key: the same for every try of the same write.
            before_send: runs before the first byte.

        Raises:
            Refused: among others with kind `exists`, where a look by `inbound_order` shows what there is, and with
                kind `conflict` once it was shipped.
        """
        operation = "inbound-orders.put"
        path = f"inbound-orders/{quote(external_id, safe='')}"
        return self._put(operation, path, body, read_inbound, idempotency_key, before_send)

    def delete_inbound_order(
        self, external_id: str, *, idempotency_key: str, before_send: BeforeSend | None = None
    ) -> bool:
        """Cancel the order of a Komet prebook: True when it was done, False when there was none.

        Raises:
            Refused: among others with kind `conflict` (`immutable`) once it was shipped.
        """
        operation = "inbound-orders.delete"

        def was_there(answer: Answer) -> bool:
            if answer.status in (404, 410):
                return False
            if answer.status >= 400:
                raise self._refusal(operation, answer)
            return True

        return self._ask(
            operation,
            "DELETE",
            f"inbound-orders/{quote(external_id, safe='')}",
            was_there,
            headers={"idempotency-key": idempotency_key},
            before_send=before_send,
        )

    def _page(
        self,
        feed: str,
        sequence: int,
        limit: int,
        read: Callable[[Any], Order | Label | Shipment | CatalogueArticle],
        head: type[Head] = Head,
    ) -> FeedPage:
        operation = f"{feed}.sync"

        def page(answer: Answer) -> FeedPage:
            content = self._object(operation, answer)
            results = content.get("results")
            maximum = _sequence(content.get("maximumSequence"))
            if not isinstance(results, list) or maximum is None:
                raise Unanswered(
                    _SYSTEM, operation, "the answer is no feed page: results or maximumSequence is missing"
                )
            return FeedPage(maximum, tuple(_feed_record(each, read, head) for each in results))

        return self._ask(operation, "GET", f"{feed}/sync/{sequence}", page, params={"limit": str(limit)})

    def _put(
        self,
        operation: str,
        path: str,
        body: Json,
        read: Callable[[Any], T],
        idempotency_key: str,
        before_send: BeforeSend | None,
    ) -> T:
        return self._ask(
            operation,
            "PUT",
            path,
            lambda answer: self._read(operation, self._object(operation, answer), read),
            body=json_text(body).encode(),
            headers={"idempotency-key": idempotency_key},
            before_send=before_send,
        )

    def _ask(
        self,
        operation: str,
        method: str,
        path: str,
        read: Callable[[Answer], T],
        *,
        params: dict[str, str] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        before_send: BeforeSend | None = None,
    ) -> T:
        return self._core.call(
            operation,
            method,
            path,
            read,
            params=params,
            body=body,
            headers={"x-correlation-id": str(uuid4()), **(headers or {})},
            write=method != "GET",
            before_send=before_send,
        )

    def _object(self, operation: str, answer: Answer) -> Json:
        if answer.status >= 400:
            raise self._refusal(operation, answer)
        if not isinstance(answer.payload, dict):
            raise Unanswered(_SYSTEM, operation, "the answer is not an object")
        return answer.payload

    def _refusal(self, operation: str, answer: Answer) -> Refused:
        said = self._core.words(_problem(answer.payload)) or "no reason given"
        code = answer.payload.get("code") if isinstance(answer.payload, dict) else None
        code = self._core.words(code) if isinstance(code, str) else ""
        kind = _CONFLICTS.get(code) if answer.status == 409 else _KINDS.get(answer.status)
        return Refused(_SYSTEM, operation, f"HTTP {answer.status}: {said}", kind or RefusalKind.OTHER, code=code)

    def _read(self, operation: str, content: Json, read: Callable[[Any], T]) -> T:
        try:
            return read(content)
        except ValueError as error:
            detail = self._core.words(f"the answer cannot be read: {reason(error)}")
        raise Unanswered(_SYSTEM, operation, detail)


def _order_or_tombstone(raw: Any) -> Order | Tombstone:
    record = Existence.model_validate(raw)
    return Tombstone(key=record.key) if record.is_deleted else read_order(raw)


def _feed_record(
    raw: Any, read: Callable[[Any], Order | Label | Shipment | CatalogueArticle], head: type[Head]
) -> FeedRecord:
    sequence = _sequence(raw.get("sequence")) if isinstance(raw, dict) else None
    content: Order | Label | Shipment | CatalogueArticle | Tombstone | Unreadable
    try:
        found = head.model_validate(raw)
        content = Tombstone(key=found.key) if found.is_deleted else read(raw)
    except ValueError as error:
        key = _key(raw, head.model_fields["key"].alias or "key")
        content = Unreadable(sequence=sequence, key=key, reason=reason(error), raw=json_text(raw))
    return FeedRecord(sequence, content)


def _sequence(value: object) -> int | None:
    try:
        number = whole(value)
    except ValueError:
        return None
    return number if 0 <= number <= _MOST_SEQUENCE else None


def _key(raw: Any, name: str) -> str | None:
    try:
        found = text(raw.get(name)) if isinstance(raw, dict) else ""
    except ValueError:
        return None
    return found if 0 < len(found) <= LONGEST_NAME else None


def _problem(payload: Any) -> str:
    """The sentence of a problem, with its code and the fields it names."""
    if not isinstance(payload, dict):
        return ""
    said = [str(payload[name]) for name in ("code", "title", "detail", "message") if payload.get(name)]
    errors = payload.get("errors")
    fields = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    said += [f"{each.get('pointer') or '?'}: {each.get('message') or each.get('code')}" for each in fields]
    return "; ".join(said)
