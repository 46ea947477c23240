"""`axkomet check --probe KEY`: one order goes to Komet and is read back, to learn how this company behaves.

Komet's pages leave some points open. Each finding names what it settles, by its switch of `[connection.komet.profile]`
where it has one. The order is sent as a worker would send it, under the same leases, budget and pace, and counts as
sent.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import closing
from decimal import Decimal

from redis import Redis
from sqlalchemy import select
from sqlalchemy.orm import Session

from clients.errors import ClientError
from models import canonical
from models.canonical import Json, Origin
from models.database import now
from models.states import Kind, WriteState
from models.tables import (
    Order,
    OrderLine,
    Prebook,
    PrebookItem,
    PurchaseOrder,
    PurchaseOrderItem,
    Scope,
    Wait,
    Write,
    WriteLine,
)
from tasks.advance import advance
from tasks.connection import Connection
from tasks.observe import observe
from tasks.plan.facts import PURCHASE_ORDER_CREATES
from tasks.polling import make_due
from tasks.runtime import Runtime
from tasks.wake import lock_order
from worker.assembly import Ledger, timing_of, tokens_of
from worker.offline import entry_of
from worker.problems import Problem
from worker.settings import ServiceUrls, Settings
from worker.wiring import make_connection

#: What it settles, what was seen, and what to set where the profile says something else.
Finding = tuple[str, str, str | None]

#: Seconds between two looks at the order, and until it must stand in Komet.
_PAUSE, _PATIENCE = 0.5, 120.0
_PROFILE = "under [connection.komet.profile], then start the workers again"


def run_probe(settings: Settings, urls: ServiceUrls, ledger: Ledger, order_id: int) -> Iterator[Json]:
    """Send an order to Komet, read it back, and tell what that settles: a line for each point, as `check` has them.

    Raises:
        Problem: it is no order to probe with.
    """
    with ledger.sessions() as session:
        row = session.get_one(Order, order_id)
        _check(row)
    found = entry_of(settings, ledger, row.connection_id)
    name = found.name
    if found.mode != "live":
        raise Problem(f'{name} only observes, so nothing goes to Komet: set mode = "live" to probe.')
    tokens = tokens_of(settings, found)
    with closing(Redis.from_url(urls.redis_url, socket_timeout=2, socket_connect_timeout=2)) as redis:
        connection = make_connection(row.connection_id, found, tokens, settings, ledger.sessions, redis)
        with closing(connection.komet), closing(connection.axerrio):
            runtime = Runtime(ledger.sessions, {row.connection_id: connection}, timing_of(settings))
            _lead_to_komet(runtime, order_id)
            for what, seen, fix in _findings(runtime, connection, order_id):
                yield {"name": f"{name}: probe, {what}", "ok": fix is None, "message": seen, "fix": fix}


def _check(row: Order) -> None:
    if row.origin != Origin.AXERRIO:
        raise Problem(f"{row.name} was born in Komet, so no prebook is made for it: name an order that Axerrio made.")
    if row.state.is_final:
        raise Problem(f"{row.name} is {row.state}, so nothing of it goes to Komet: name one that is confirmed.")


# -- create ----------------------------------------------------------------------------------------------------


def _lead_to_komet(runtime: Runtime, order_id: int) -> None:
    """Work on the order as a worker does, or wait for the worker that does, until its purchase orders were seen."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        with runtime.sessions.begin() as session:
            row = lock_order(session, order_id)
            if row is None or row.reason_code is not None or _is_bought(session, order_id):
                break
            if row.lease_until is None or row.lease_until < now(session):
                row.due_at = now(session)
        advance(runtime, order_id)
        with runtime.sessions.begin() as session:
            active = select(Wait.scope_id).where(Wait.order_id == order_id, Wait.active)
            waited_for = session.scalars(select(Scope.id).where(Scope.id.in_(active))).all()
            make_due(session, waited_for)
        for scope_id in waited_for:
            observe(runtime, scope_id)
        time.sleep(_PAUSE)


def _is_bought(session: Session, order_id: int) -> bool:
    creates = _done(session, order_id, PURCHASE_ORDER_CREATES)
    return bool(creates) and all(each.shown_at is not None for each in creates)


def _done(session: Session, order_id: int, kinds: Collection[Kind]) -> list[Write]:
    """Writes of these kinds that cover the order and were done, the oldest first."""
    covering = (
        select(WriteLine.write_id)
        .join(OrderLine, WriteLine.line_id == OrderLine.id)
        .where(OrderLine.order_id == order_id)
    )
    done = select(Write).where(Write.id.in_(covering), Write.kind.in_(kinds), Write.state == WriteState.DONE)
    return list(session.scalars(done.order_by(Write.id)))


# -- read back -------------------------------------------------------------------------------------------------


def _findings(runtime: Runtime, connection: Connection, order_id: int) -> Iterator[Finding]:
    with runtime.sessions() as session:
        row, writes = session.get_one(Order, order_id), _done(session, order_id, (Kind.PREBOOK_CREATE,))
    if not writes:
        why = row.reason or row.last_error or "it was not sent in time"
        fix = row.next_command or f"axkomet orders show id:{row.id}"
        yield "prebook.create", f"Komet took no prebook for {row.name}: {why}", fix
        return
    write = writes[-1]
    try:
        listed = connection.komet.list_prebooks(truck_date=row.truck_date).records
    except ClientError as error:
        yield "prebook.details.list", f"Komet could not be read back: {error.detail}", "probe again"
        return
    made = (write.result or {}).get("id")
    seen = [each for each in listed if each.prebook_id == made or (write.mark is not None and each.mark == write.mark)]
    if not seen:
        fix = "look at it in Komet: its items may lack a cost, or a vendor ship date (prebook_item_ship_date_field)"
        yield "visibility", "the prebook that Komet took is not listed, so that absence proves nothing", fix
        return
    yield from _of_prebook(connection, write, seen[0])
    with runtime.sessions() as session:
        items = session.scalars(
            select(PrebookItem)
            .join(Prebook, PrebookItem.prebook_row == Prebook.id)
            .where(Prebook.order_id == order_id, PrebookItem.boxes > 0, PrebookItem.sent.is_not(None))
        ).all()
        of_items = PurchaseOrderItem.prebook_item_id.in_([each.item_id for each in items])
        bought = session.scalars(
            select(PurchaseOrder)
            .where(
                PurchaseOrder.connection_id == connection.id,
                PurchaseOrder.items.any((PurchaseOrderItem.boxes > 0) & of_items),
            )
            .order_by(PurchaseOrder.id)
        ).all()
        creates = _done(session, order_id, PURCHASE_ORDER_CREATES)
    yield from _of_items(items)
    yield from _of_purchase_orders(creates, bought)
    yield "the rest", "deletes, splits and products that Komet does not know show only once they occur", None


def _of_prebook(connection: Connection, write: Write, seen: canonical.Prebook) -> Iterator[Finding]:
    lag = (
        f" {(write.shown_at - write.acknowledged_at).total_seconds():.0f} s after Komet took it"
        if write.shown_at is not None and write.acknowledged_at is not None
        else ""
    )
    yield "visibility", f"prebook {seen.number} was listed{lag}: absence counts as proof from now on", None
    if connection.settings.komet.profile.prebook_marker == "none":
        yield "prebook_marker", "not settled: by the profile no mark is sent", None
    elif seen.mark == write.mark:
        yield "prebook_marker", "the comments come back with our mark: a create without an answer is found again", None
    else:
        words = "the comments come back without our mark, so that a create without an answer is not found again"
        yield "prebook_marker", words, f'set prebook_marker = "none" {_PROFILE}'


def _of_items(items: Collection[PrebookItem]) -> Iterator[Finding]:
    """What the last read showed of the items, against what was sent."""
    pairs = [(each.sent, each.content) for each in items if each.sent is not None and each.content is not None]
    days = {(sent["departure_date"], content.get("ship_date")) for sent, content in pairs}
    moved = sorted((wanted or "none", shown or "none") for wanted, shown in days if wanted != shown)
    if moved:
        words = "; ".join(f"departs on {wanted} and has vendor ship date {shown} in Komet" for wanted, shown in moved)
        fix = f'set prebook_item_ship_date_field = "vendorShipDate" {_PROFILE}, and probe with another order'
        yield "prebook_item_ship_date_field", words, fix
    else:
        yield "prebook_item_ship_date_field", "Komet's vendor ship date is the day on which the line departs", None
    costs = {(sent["unit_cost"], content.get("cost")) for sent, content in pairs}
    other = sorted((str(sent), str(shown)) for sent, shown in costs if not _is_same(sent, shown))
    if other:
        words = "; ".join(f"a cost of {sent} comes back as {shown}" for sent, shown in other)
        fix = f"set price_decimals, or prebook_item_cost_fields where no cost comes back, {_PROFILE}"
        yield "price_decimals", words, fix
    else:
        yield "price_decimals", "costs come back as they were sent", None
    unknown = sum(not each.mapped for each in items)
    words = f"{unknown} of {len(items)} items are marked as unknown products: map them" if unknown else ""
    yield "unknown_markers", words or f"Komet knows the products of all {len(items)} items", None


def _is_same(sent: str | None, shown: str | None) -> bool:
    return sent == shown or (sent is not None and shown is not None and Decimal(sent) == Decimal(shown))


def _of_purchase_orders(creates: Collection[Write], bought: Collection[PurchaseOrder]) -> Iterator[Finding]:
    if not creates:
        yield "purchase orders", "not settled: none was made yet, since the order waits", None
        return
    if not bought:
        fix = f"look at its items in Komet: po_item_fields and mixed_link say how they name the prebook's, {_PROFILE}"
        yield "link", "no purchase order shows the items of the prebook that it was made for", fix
        return
    numbers = ", ".join(each.number for each in bought)
    yield "link", f"purchase order {numbers} names the prebook's items", None
    strange = sorted({each.status_text for each in bought if each.status is None})
    if strange:
        fix = f'set po_status_map = {{"{strange[0]}" = "pending"}}, or what it means, {_PROFILE}'
        yield "po_status_map", f"its status {', '.join(strange)} is not known, and counts as not approved", fix
    else:
        yield "po_status_map", f"its status is {', '.join(sorted({each.status or '' for each in bought}))}", None
