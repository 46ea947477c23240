"""Komet's client: the methods of a vendor token, canonical records in and out.

Facts from the pages: reads are GET with URL parameters, the token among them; writes POST one JSON object with the
token in it. A failure comes as HTTP 200 with `status` 0 and a `message`; a list without hits says so in the message
and leaves its array out (seen by a public client). No method repeats a call.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Generic, TypeVar

import httpx

from clients.errors import RefusalKind, Refused, Unanswered
from clients.http import Answer, Gate, HttpCore, Tell, json_text, tell_nobody
from clients.komet import answers
from clients.komet.bodies import encode_body
from clients.komet.profile import KometProfile
from clients.komet.settings import KometSettings
from clients.komet.wire import AwbResultRecord, BoxCodeResultRecord
from clients.reading import Wire, flag, identifier, reason
from models.canonical import BoxType, Carrier, Json, Prebook, PurchaseOrder, Unreadable

T = TypeVar("T")
R = TypeVar("R", bound=Wire)
BeforeSend = Callable[[], None]

_SYSTEM = "komet"
#: Noes that speak of the caller, whatever else their words remind of.
_NOT_EMPTY = (RefusalKind.TOKEN, RefusalKind.RIGHT, RefusalKind.LIMIT)


@dataclass(frozen=True)
class Listing(Generic[T]):
    """One completed read of a list.

    Attributes:
        records: what could be read.
        unreadable: what could not.
        complete: what is not among `records` is not in the list: the array was there and every record of it was
            read, or the message was exactly Komet's "nothing found".
        served_at: Komet's clock at the answer, UTC; None where it did not say.
    """

    records: tuple[T, ...]
    unreadable: tuple[Unreadable, ...]
    complete: bool
    served_at: datetime | None


@dataclass(frozen=True)
class PrebookCreated:
    """Komet made the prebook. Id and number are there only if the answer named them."""

    prebook_id: str | None
    number: str | None


@dataclass(frozen=True)
class PurchaseOrderCreated:
    """Komet made the purchase order, or added to it. Id and number are there only if the answer named one each."""

    purchase_order_id: str | None
    number: str | None


@dataclass(frozen=True)
class AwbResult:
    """What Komet said to one entry of an air waybill.

    Attributes:
        item_id: of the purchase order's item; more than once where it stood in several entries.
        done: whether its boxes are on the air waybill now.
        message: Komet's words.
        new_item_id: of the item that was split off, where the answer names one.
    """

    item_id: str
    done: bool
    message: str
    new_item_id: str | None


@dataclass(frozen=True)
class BoxCodeResult:
    """What Komet said to the change of one box's code; it names the new code only."""

    new_code: str
    done: bool
    message: str


class KometClient:
    """One Komet company. Used from many threads at once.

    Every method raises `NotSent`, `Unanswered` or `Refused`; a refusal carries Komet's own words.
    """

    def __init__(
        self,
        settings: KometSettings,
        token: str,
        *,
        timeout: float,
        gate: Gate,
        transport: httpx.BaseTransport | None = None,
        tell: Tell = tell_nobody,
    ) -> None:
        self._profile = settings.profile
        self._token = token
        self._core = HttpCore(
            _SYSTEM, settings.base_url, timeout=timeout, gate=gate, secret=token, transport=transport, tell=tell
        )

    def close(self) -> None:
        """Close all connections."""
        self._core.close()

    def list_box_types(self) -> Listing[BoxType]:
        """All box types of the company ("Get a list of Box-Types")."""
        return self._list("boxtype.list", "boxtypes", {}, answers.read_box_type)

    def list_carriers(self) -> Listing[Carrier]:
        """All carriers of the company, inbound and outbound alike ("Get a list of Carriers")."""
        return self._list("carrier.list", "carriers", {}, answers.read_carrier)

    def list_prebooks(
        self,
        *,
        truck_date: date | None = None,
        ship_dates: tuple[date, date] | None = None,
        updated_since: datetime | None = None,
    ) -> Listing[Prebook]:
        """The prebooks that fit all that is given ("Get a detailed Prebook list").

        A vendor token sees its own items only, and of them those with vendor, cost and a vendor ship date from
        yesterday on: so absence alone proves nothing. Komet wants a truck date or ship dates, whatever else is given.

        Args:
            truck_date: this one.
            ship_dates: first and last of the vendor's, at most `max_range_days` of the profile apart.
            updated_since: with offset; whole seconds go over the wire, in GMT.
        """
        params: dict[str, str] = {}
        if truck_date is not None:
            params["date"] = truck_date.isoformat()
        if ship_dates is not None:
            params["vendorShipDateFrom"], params["vendorShipDateTo"] = (each.isoformat() for each in ship_dates)
        if updated_since is not None:
            params["updatedAsOf"] = _gmt(updated_since)
        return self._list("prebook.details.list", "prebooks", params, answers.read_prebook)

    def list_purchase_orders(self, *, ship_date: date) -> Listing[PurchaseOrder]:
        """The purchase orders of one vendor ship date, of every status ("Get a list of Purchase Orders")."""
        params = {"date": ship_date.isoformat()}
        return self._list("purchase.order.list", "purchaseOrders", params, answers.read_purchase_order)

    def purchase_orders_by_number(self, numbers: Sequence[str]) -> Listing[PurchaseOrder]:
        """Purchase orders by their numbers, wherever their ship date was moved ("Get a list of Purchase Orders").

        Asks for many in one call, as many as the profile allows. Complete only if every call was.
        """
        size = self._profile.po_numbers_per_call
        parts = [
            self._list(
                "purchase.order.list",
                "purchaseOrders",
                {"number": ",".join(numbers[start : start + size])},
                answers.read_purchase_order,
            )
            for start in range(0, len(numbers), size)
        ]
        return Listing(
            records=tuple(record for part in parts for record in part.records),
            unreadable=tuple(record for part in parts for record in part.unreadable),
            complete=all(part.complete for part in parts),
            served_at=parts[-1].served_at if parts else None,
        )

    def create_prebook(self, body: Json, before_send: BeforeSend | None = None) -> PrebookCreated:
        """Make a prebook ("Create a Prebook") of a body by `prebook_body`."""
        answer = self._write("prebook.create", body, before_send)
        return PrebookCreated(
            prebook_id=_id(answer, ("prebookId", "id")),
            number=_id(answer, ("prebookNumber", "number")),
        )

    def create_purchase_order(self, body: Json, before_send: BeforeSend | None = None) -> PurchaseOrderCreated:
        """Make a purchase order ("Create a Purchase Order") of a body by `purchase_order_body`."""
        return _purchase_order_created(self._write("purchase.order.create", body, before_send))

    def create_mixed_purchase_order(self, body: Json, before_send: BeforeSend | None = None) -> PurchaseOrderCreated:
        """Make a purchase order ("Create a Purchase Order with Breakdowns") of a body by `mixed_purchase_order_body`.

        Komet leaves out products that it does not know and says nothing of it.
        """
        return _purchase_order_created(self._write("purchase.order.mixed.create", body, before_send))

    def delete_prebook_item(self, body: Json, before_send: BeforeSend | None = None) -> None:
        """Set an item to 0 boxes ("Delete an Item from a Prebook") by a body of `prebook_item_delete_body`."""
        self._delete("prebook.item.delete", body, before_send)

    def delete_purchase_order_item(self, body: Json, before_send: BeforeSend | None = None) -> None:
        """Delete an item ("Delete an Item from a Purchase Order") by a body of `purchase_order_item_delete_body`."""
        self._delete("purchase.order.item.delete", body, before_send)

    def add_awb(self, body: Json, before_send: BeforeSend | None = None) -> tuple[AwbResult, ...]:
        """Ship items ("Add Purchase Order Items to an AWB") by a body of `awb_body`.

        Returns:
            What Komet said to each entry, as far as it can be read. Komet may skip a product that it does not know:
            what is not named is not known, and must be read back.
        """
        results = self._write_each(
            "purchase.order.items.awb.add",
            body,
            before_send,
            "purchaseOrderItemDetailsAWBAddAPIResultList",
            AwbResultRecord,
        )
        return tuple(
            AwbResult(
                item_id=each.item_id,
                done=each.done,
                message=self._core.words(each.message),
                new_item_id=None if each.new_item_id == "0" else each.new_item_id,
            )
            for each in results
        )

    def change_box_codes(self, body: Json, before_send: BeforeSend | None = None) -> tuple[BoxCodeResult, ...]:
        """Give boxes other codes ("Change Box Codes") by a body of `box_codes_body`.

        Returns:
            What Komet said to each, as far as it can be read. A change that was done before fails, since its current
            code is not there any more: only reading back tells.
        """
        results = self._write_each("box.code.change", body, before_send, "boxes", BoxCodeResultRecord)
        return tuple(BoxCodeResult(each.new_code, each.done, self._core.words(each.message)) for each in results)

    def _list(
        self,
        operation: str,
        array: str,
        params: Mapping[str, str],
        read: Callable[[Any, KometProfile], T],
    ) -> Listing[T]:
        query = {"authenticationToken": self._token, **params}

        def listing(answer: Answer) -> Listing[T]:
            return self._listing(operation, array, answer, read)

        return self._core.call(operation, "GET", operation, listing, params=query, write=False)

    def _listing(
        self, operation: str, array: str, answer: Answer, read: Callable[[Any, KometProfile], T]
    ) -> Listing[T]:
        content, succeeded = self._opened(operation, answer)
        found = content.get(array)
        entries = found if isinstance(found, list) else []
        message = _message(content)
        is_empty = (
            not entries
            and self._profile.refusal_kind(message) not in _NOT_EMPTY
            and (self._profile.means_nothing_found(message) or (isinstance(found, list) and not message.strip()))
        )
        if succeeded is False and not is_empty:
            raise self._refusal(operation, message)
        if succeeded is None and found is None and not is_empty:
            raise Unanswered(_SYSTEM, operation, f"the answer holds neither status nor {array}")
        records: list[T] = []
        unreadable: list[Unreadable] = []
        if not isinstance(found, list) and not is_empty:
            said = f"an answer without {array} that does not say in words of `empty_patterns` that there are none"
            unreadable.append(Unreadable(sequence=None, key=None, reason=said, raw=json_text(content)))
        for entry in entries:
            try:
                records.append(read(entry, self._profile))
            except ValueError as error:
                unreadable.append(_unreadable(entry, error))
        return Listing(
            records=tuple(records),
            unreadable=tuple(unreadable),
            complete=not unreadable,
            served_at=answer.served_at,
        )

    def _delete(self, operation: str, body: Json, before_send: BeforeSend | None) -> None:
        """A public client had to change from JSON to the query; the pages show JSON."""
        self._write(operation, body, before_send, in_query=self._profile.delete_style == "query")

    def _write_each(
        self, operation: str, body: Json, before_send: BeforeSend | None, array: str, record: type[R]
    ) -> tuple[R, ...]:
        """What Komet said to each entry of a write of many, as far as it can be read.

        No page tells the status of a call some of whose entries failed: where it says 0, the entries decide.
        """

        def results(content: Json) -> tuple[R, ...]:
            return tuple(_readable(content.get(array), record))

        return results(self._write(operation, body, before_send, results=results))

    def _write(
        self,
        operation: str,
        body: Json,
        before_send: BeforeSend | None,
        *,
        in_query: bool = False,
        results: Callable[[Json], Sequence[object]] = lambda _: (),
    ) -> Json:
        query = {"authenticationToken": self._token, **{name: str(value) for name, value in body.items()}}
        encoded = encode_body(body, self._token, self._profile)
        return self._core.call(
            operation,
            "POST",
            operation,
            lambda answer: self._written(operation, answer, results),
            params=query if in_query else None,
            body=None if in_query else encoded,
            write=True,
            before_send=before_send,
        )

    def _written(self, operation: str, answer: Answer, results: Callable[[Json], Sequence[object]]) -> Json:
        content, succeeded = self._opened(operation, answer)
        if succeeded is None:
            raise Unanswered(_SYSTEM, operation, "the answer does not say whether it was done")
        if not succeeded and not results(content):
            raise self._refusal(operation, _message(content))
        return content

    def _opened(self, operation: str, answer: Answer) -> tuple[Json, bool | None]:
        """The answer's object, and whether it says that the call succeeded; None where it does not say."""
        content = answer.payload
        if answer.status >= 400:
            raise self._refusal(operation, _message(content) or f"HTTP {answer.status}")
        if not isinstance(content, dict):
            raise Unanswered(_SYSTEM, operation, "the answer is not an object")
        try:
            return content, flag(content.get("status"))
        except ValueError:
            return content, None

    def _refusal(self, operation: str, message: str) -> Refused:
        said = self._core.words(message) or "no reason given"
        return Refused(_SYSTEM, operation, said, self._profile.refusal_kind(message))


def _purchase_order_created(answer: Json) -> PurchaseOrderCreated:
    return PurchaseOrderCreated(
        purchase_order_id=_id(answer, ("purchaseOrderId", "id")),
        number=_id(answer, ("purchaseOrderNumber", "number", "purchaseOrderNumbers")),
    )


def _readable(entries: Any, record: type[R]) -> Iterator[R]:
    """The entries of a result list that can be read."""
    for entry in entries if isinstance(entries, list) else ():
        with suppress(ValueError):
            yield record.model_validate(entry)


def _gmt(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a time without offset")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "seconds")


def _message(content: Any) -> str:
    message = content.get("message") if isinstance(content, dict) else None
    return message if isinstance(message, str) else ""


def _id(content: Json, names: Iterable[str]) -> str | None:
    """The first of these fields that holds one id or number; of a list only a single one counts."""
    for name in names:
        value = content.get(name)
        try:
            return identifier(value[0] if isinstance(value, list) and len(value) == 1 else value)
        except ValueError:
            continue
    return None


def _unreadable(entry: Any, error: ValueError) -> Unreadable:
    return Unreadable(
        sequence=None,
        key=_id(entry, ("id",)) if isinstance(entry, dict) else None,
        reason=reason(error),
        raw=json_text(entry),
    )
