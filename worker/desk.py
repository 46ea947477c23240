"""What the ledger says, for people and machines: orders, and the state of the whole.

The shapes are those of the public interface: every key is always there, and what is missing is null.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Select, and_, distinct, func, not_, or_, select
from sqlalchemy.orm import Session, selectinload

from clients.komet.convert import awb_text
from models.canonical import Line, PurchaseOrderStatus
from models.database import now
from models.states import OPEN, Feed, OrderState, WriteState
from models.tables import (
    Box,
    Connection,
    ConnectionNote,
    History,
    Label,
    Order,
    OrderLine,
    PausedMethod,
    Prebook,
    PrebookItem,
    Process,
    Proof,
    PurchaseOrder,
    PurchaseOrderItem,
    Scope,
    Shipment,
    ShipmentLine,
    UnreadableRecord,
    Upstream,
    Write,
)
from tasks import guard
from tasks.budget import Budget, requests_used
from tasks.connection import ConnectionSettings
from tasks.mapping import list_mappings
from tasks.material import MATERIAL_OF_ORDER_ITEM
from tasks.runtime import Timing
from tasks.upstreams import KOMET, LIMIT, PERSON, TOKEN, waiting_feeds
from worker.sides import AxerrioSide, changes, is_live, prebook_item

Json = dict[str, Any]
Row = TypeVar("Row", Upstream, PausedMethod, Scope)

#: A worker or beat that was not seen for so many intervals is gone; a feed unread for so many polls is late.
_INTERVALS = 3
#: So many orders are read at once: a statement takes 65,535 values at most.
_CHUNK = 500
#: So many notes of a connection are shown.
_NOTES = 10


@dataclass(frozen=True)
class OrderFilter:
    """Which orders are meant; None and empty mean all."""

    state: OrderState | None = None
    connection: str | None = None
    origin: str | None = None
    reason: str | None = None
    since: datetime | None = None
    departing: date | None = None
    limit: int | None = None


_NAMES = {
    "axerrio": "Axerrio key or number",
    "prebook": "prebook",
    "po": "purchase order",
    "box": "box code",
    "awb": "air waybill",
}


class AmbiguousKeyError(Exception):
    """A key that names several orders.

    Attributes:
        candidates: each with the prefix that makes it plain.
    """

    def __init__(self, candidates: Sequence[str]) -> None:
        super().__init__(", ".join(candidates))
        self.candidates = candidates


def find_orders(session: Session, wanted: OrderFilter) -> list[Json]:
    """Orders as the interface shows them, without history and writes; the nearest departure first."""
    query = select(Order).join(Connection, Order.connection_id == Connection.id)
    if wanted.state is not None:
        query = query.where(Order.state == wanted.state)
    if wanted.connection is not None:
        query = query.where(Connection.name == wanted.connection)
    if wanted.origin is not None:
        query = query.where(Order.origin == wanted.origin)
    if wanted.reason is not None:
        query = query.where(Order.reason_code == wanted.reason)
    if wanted.since is not None:
        query = query.where(Order.updated_at >= wanted.since)
    if wanted.departing is not None:
        query = query.where(Order.departure_date == wanted.departing)
    query = query.order_by(Order.departure_date, Order.id).limit(wanted.limit).options(selectinload(Order.lines))
    rows = session.scalars(query).all()
    return [view for first in range(0, len(rows), _CHUNK) for view in _views(session, rows[first : first + _CHUNK])]


def find_row(session: Session, key: str) -> Order | None:
    """The row of the order that a key names.

    Args:
        session: of the ledger.
        key: Axerrio key or number, prebook id or number, purchase order number, code of a box or its air waybill;
            `axerrio:`, `prebook:`, `po:`, `box:` or `awb:` before it says which, and `id:` before our own id is always
            plain.

    Raises:
        AmbiguousKeyError: the key names several orders.
    """
    kind, _, rest = key.partition(":")
    if kind not in ("id", *_NAMES) or not rest:
        kind, rest = "", key
    if kind == "id":
        return session.get(Order, int(rest), options=[selectinload(Order.lines)]) if rest.isdecimal() else None
    found: dict[int, str] = {}
    for name, query in _by_key(rest).items():
        if kind in ("", name):
            for order_id in session.scalars(query):
                found.setdefault(order_id, name)
    rows = session.scalars(select(Order).where(Order.id.in_(found)).options(selectinload(Order.lines))).all()
    if len(rows) > 1:
        raise AmbiguousKeyError(
            [f"id:{row.id} ({_known_as(row)}, by its {_NAMES[found[row.id]]} {rest})" for row in rows]
        )
    return rows[0] if rows else None


def find_order(session: Session, key: str) -> Json | None:
    """One order by any of its keys (see `find_row`), with history and writes.

    Raises:
        AmbiguousKeyError: the key names several orders.
    """
    row = find_row(session, key)
    if row is None:
        return None
    view = _views(session, [row])[0]
    view["history"] = [
        {"at": _time(each.at), "from": each.from_state, "to": each.to_state, "why": each.why}
        for each in session.scalars(select(History).where(History.order_id == row.id).order_by(History.id))
    ]
    view["writes"] = [
        {
            "kind": each.kind.value,
            "state": each.state.value,
            "attempts": each.attempts,
            "sent_at": _time(each.sent_at),
            "settled_at": _time(each.settled_at),
            "error": each.error,
        }
        for each in session.scalars(select(Write).where(Write.order_id == row.id).order_by(Write.id))
    ]
    return view


def _known_as(row: Order) -> str:
    return f"axerrio:{row.axerrio_key}" if row.axerrio_key is not None else row.name


_of_box = select(OrderLine.order_id).join(Box, Box.line_id == OrderLine.id).distinct()


def _by_key(key: str) -> dict[str, Select[int]]:
    return {
        "axerrio": select(Order.id).where(or_(Order.axerrio_key == key, Order.axerrio_number == key)),
        "prebook": select(Prebook.order_id).where(or_(Prebook.prebook_id == key, Prebook.number == key)),
        "po": select(Prebook.order_id)
        .join(PrebookItem, PrebookItem.prebook_row == Prebook.id)
        .join(PurchaseOrderItem, PurchaseOrderItem.prebook_item_id == PrebookItem.item_id)
        .join(PurchaseOrder, PurchaseOrderItem.purchase_order_row == PurchaseOrder.id)
        .where(PurchaseOrderItem.connection_id == PrebookItem.connection_id, PurchaseOrder.number == key)
        .distinct(),
        "box": _of_box.where(Box.connection_id.in_(select(Connection.id)), Box.box_code == key),
        "awb": _of_box.where(Box.awb.in_({key, awb_text(key)[0]})),
    }


def _views(session: Session, rows: Sequence[Order]) -> list[Json]:
    ids = [row.id for row in rows]
    names = dict(session.execute(select(Connection.id, Connection.name)).all())
    items: dict[int, list[PrebookItem]] = {}
    for item in session.scalars(
        select(PrebookItem)
        .join(Prebook, PrebookItem.prebook_row == Prebook.id)
        .where(Prebook.order_id.in_(ids))
        .order_by(PrebookItem.id)
    ):
        items.setdefault(item.line_id or 0, []).append(item)
    # After their items: each statement sees what was committed before it, and an item never comes before its prebook.
    prebooks: dict[int, list[Prebook]] = {}
    for prebook in session.scalars(select(Prebook).where(Prebook.order_id.in_(ids)).order_by(Prebook.id)):
        prebooks.setdefault(prebook.order_id, []).append(prebook)
    boxes: dict[int, list[Box]] = {}
    of_lines = [line.id for row in rows for line in row.lines]
    for box in session.scalars(select(Box).where(Box.line_id.in_(of_lines)).order_by(Box.id)):
        boxes.setdefault(box.line_id, []).append(box)
    purchased: dict[tuple[int, str], list[PurchaseOrderItem]] = {}
    for bought in session.scalars(
        select(PurchaseOrderItem)
        .where(PurchaseOrderItem.prebook_item_id.in_([each.item_id for of in items.values() for each in of]))
        .order_by(PurchaseOrderItem.id)
        .options(selectinload(PurchaseOrderItem.purchase_order))
    ):
        purchased.setdefault((bought.connection_id, bought.prebook_item_id), []).append(bought)
    sides = _axerrio_sides(session, rows)
    return [
        _view(row, names[row.connection_id], sides[row.id], prebooks.get(row.id, []), items, purchased, boxes)
        for row in rows
    ]


def _axerrio_sides(session: Session, rows: Sequence[Order]) -> dict[int, AxerrioSide]:
    """What Axerrio has of each order, by its id."""
    keys = {row.axerrio_key for row in rows}
    labels: dict[tuple[int, str], list[Label]] = {}
    found = select(Label).where(
        Label.connection_id.in_({row.connection_id for row in rows}),
        Label.order_key.in_(keys),
        Label.is_deleted.is_(False),
    )
    for label in session.scalars(found.order_by(Label.sequence, Label.key)):
        labels.setdefault((label.connection_id, label.order_key), []).append(label)
    shipments: dict[tuple[int, str], list[Shipment]] = {}
    carried = select(ShipmentLine.order_key, Shipment).join(Shipment, ShipmentLine.shipment_id == Shipment.id)
    carried = carried.where(ShipmentLine.order_key.in_(keys), Shipment.is_deleted.is_(False)).order_by(Shipment.id)
    for order_key, shipment in session.execute(carried):
        shipments.setdefault((shipment.connection_id, order_key), []).append(shipment)
    return {
        row.id: AxerrioSide(row, labels.get(known_by, []), shipments.get(known_by, []))
        for row in rows
        if (known_by := (row.connection_id, row.axerrio_key or ""))
    }


def _view(
    row: Order,
    connection: str,
    side: AxerrioSide,
    prebooks: Sequence[Prebook],
    items: dict[int, list[PrebookItem]],
    purchased: dict[tuple[int, str], list[PurchaseOrderItem]],
    boxes: dict[int, list[Box]],
) -> Json:
    by_row = {prebook.id: prebook for prebook in prebooks}
    lines = [
        _line(row, line, side, by_row, items.get(line.id, []), purchased, boxes.get(line.id, [])) for line in row.lines
    ]
    of_lines = [item for line in row.lines for item in items.get(line.id, [])]
    dead = {item.prebook_row for item in of_lines} - {item.prebook_row for item in of_lines if is_live(item)}
    prebooks = [prebook for prebook in prebooks if prebook.id not in dead]
    orders = {
        bought.purchase_order.purchase_order_id: bought.purchase_order
        for line in row.lines
        for item in items.get(line.id, [])
        for bought in purchased.get((row.connection_id, item.item_id), [])
        if is_live(bought)
    }
    reason = None
    if row.reason_code is not None:
        reason = {"code": row.reason_code, "message": row.reason, "next_command": row.next_command}
    return {
        "id": row.id,
        "name": row.name,
        "connection": connection,
        "origin": row.origin,
        "state": row.state.value,
        "reason": reason,
        "axerrio": {"key": row.axerrio_key, "number": row.axerrio_number, "version": row.version},
        "komet": {
            "prebook_id": prebooks[0].prebook_id if prebooks else None,
            "prebook_number": prebooks[0].number if prebooks else None,
            "prebooks": [{"id": each.prebook_id, "number": each.number} for each in prebooks],
            "purchase_orders": [
                {"id": each.purchase_order_id, "number": each.number, "status": _status(each)}
                for each in orders.values()
            ],
        },
        "departure_date": row.departure_date.isoformat(),
        "truck_date": row.truck_date.isoformat(),
        "lines": lines,
        "attempts": row.attempts,
        "due_at": _time(row.due_at),
        "last_error": row.last_error,
        "held_up_by": row.held_up_by,
        "created_at": _time(row.created_at),
        "updated_at": _time(row.updated_at),
    }


def _line(
    row: Order,
    line: OrderLine,
    axerrio: AxerrioSide,
    prebooks: dict[int, Prebook],
    items: Sequence[PrebookItem],
    purchased: dict[tuple[int, str], list[PurchaseOrderItem]],
    boxes: Sequence[Box],
) -> Json:
    wanted = Line.model_validate(line.wanted) if line.wanted is not None else None
    live = [item for item in items if is_live(item)]
    item = live[0] if live else None
    of_items = (each for item in items for each in purchased.get((row.connection_id, item.item_id), []))
    bought = [each for each in of_items if is_live(each)]
    carried = {box.purchase_order_item_id for box in boxes}
    first = next((each for each in bought if each.item_id not in carried), bought[0] if bought else None)
    return {
        "line_key": line.axerrio_line_key or line.line_key,
        "article_code": (wanted.article.code or None) if wanted else None,
        "description": wanted.article.description if wanted else None,
        "boxes": wanted.boxes if wanted else None,
        "state": line.state.value,
        "mapped": item.mapped if item and item.content is not None else None,
        "prebook_id": prebooks[item.prebook_row].prebook_id if item else None,
        "prebook_item_id": item.item_id if item else None,
        "purchase_order_item_id": first.item_id if first else None,
        "purchase_order_number": first.purchase_order.number if first else None,
        "purchase_order_items": [
            {
                "id": each.item_id,
                "number": each.purchase_order.number,
                "boxes": each.boxes,
                "status": _status(each.purchase_order),
                "ship_date": each.purchase_order.ship_date.isoformat() if each.purchase_order.ship_date else None,
                "box_codes": (each.content or {}).get("box_codes", []),
                "changes": changes(each, MATERIAL_OF_ORDER_ITEM),
            }
            for each in bought
        ],
        "axerrio": axerrio.line(line, wanted),
        "prebook_items": [prebook_item(each, prebooks[each.prebook_row]) for each in live],
        "boxes_shipped": [
            {"box_code": box.box_code, "awb": box.awb, "ship_date": box.ship_date.isoformat()} for box in boxes
        ],
    }


def _status(order: PurchaseOrder) -> str:
    """A status that we do not know counts as not approved."""
    return order.status or PurchaseOrderStatus.PENDING.value


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


# -- mappings --------------------------------------------------------------------------------------------------


def find_mappings(session: Session, connection: str | None, *, missing: bool) -> list[Json]:
    """Mappings and what is waited for, as the interface shows them (see `tasks.mapping.list_mappings`)."""
    return [
        {
            "connection": each.connection,
            "article_code": each.article_code,
            "description": each.description,
            "product_code": each.product_code,
            "product_description": each.product_description,
            "orders": each.orders,
            "nearest_departure": each.nearest_departure.isoformat() if each.nearest_departure else None,
            "candidates": [{"code": one.code, "description": one.description} for one in each.candidates],
        }
        for each in list_mappings(session, connection, missing=missing)
    ]


def reset_command(connection: str, feed: Feed) -> str:
    """The command that lets a feed that stands still be read again."""
    return f"axkomet feed reset {connection} {feed.value} --to 0"


def way_on(command: str) -> str:
    """What `reset_command` does."""
    return f"`{command}` reads all of it anew, and doubles nothing."


# -- the whole -------------------------------------------------------------------------------------------------


def status(session: Session, connections: Iterable[ConnectionSettings], timing: Timing) -> Json:
    """How the whole is: healthy or not, in words, and the figures behind it. Single orders that wait are no illness."""
    moment = now(session)
    problems: list[str] = []
    processes = session.scalars(select(Process)).all()
    alive = moment - timedelta(seconds=_INTERVALS * timing.sweep + 1)
    workers = sum(1 for each in processes if each.role == "worker" and each.seen_at > alive)
    tick = max((each.seen_at for each in processes if each.role == "beat"), default=None)
    if not workers:
        problems.append(f"No worker was seen for {_INTERVALS} intervals: start `axkomet worker`.")
    if tick is None or tick <= alive:
        problems.append(f"No tick came for {_INTERVALS} intervals: start `axkomet beat`, and look at worker and Redis.")
    facts = _facts(session, timing, moment)
    shown = []
    not_taken_up = []
    for settings in connections:
        connection_id = facts.ids.get(settings.name)
        if connection_id is None:
            problems.append(f"{settings.name}: no worker has taken this connection up yet.")
            not_taken_up.append(settings.name)
            continue
        shown.append(_connection(facts, connection_id, settings, timing, problems))
    known = {each["name"] for each in shown}
    left = {name: sum(facts.open[id_].values()) for name, id_ in facts.ids.items() if name not in known}
    forgotten = {name: count for name, count in sorted(left.items()) if count}
    problems += [
        f"{name} is not in the connections file, and {count} of its orders are not at their end: nobody works on them."
        for name, count in forgotten.items()
    ]
    return {
        "healthy": not problems,
        "problems": problems,
        "connections": shown,
        "not_taken_up": not_taken_up,
        "forgotten": [{"name": name, "orders": count} for name, count in forgotten.items()],
        "workers": workers,
        "beat": {"last_tick_at": _time(tick)},
    }


@dataclass(frozen=True)
class _Facts:
    """What the ledger holds of all connections, by the id of their row: few questions, however many they are."""

    moment: datetime
    ids: Mapping[str, int]
    orders: Mapping[int, Mapping[str, int]]
    #: Orders that are not at their end, by the code of their reason.
    open: Mapping[int, Mapping[str | None, int]]
    #: Seconds.
    oldest_due: Mapping[int, float]
    in_doubt: Mapping[int, int]
    unreadable: Mapping[int, int]
    over_limit: Mapping[int, int]
    #: By company.
    used: Mapping[str, int]
    closed: Mapping[int, Sequence[Upstream]]
    paused: Mapping[int, Sequence[PausedMethod]]
    feeds: Mapping[int, Sequence[Json]]
    #: Scopes of which something may be to be said.
    troubled: Mapping[int, Sequence[Scope]]
    proofs: Mapping[int, Mapping[str, bool]]
    notes: Mapping[int, Sequence[Json]]


def _facts(session: Session, timing: Timing, moment: datetime) -> _Facts:
    orders: dict[int, dict[str, int]] = defaultdict(dict)
    by_state = select(Order.connection_id, Order.state, func.count()).group_by(Order.connection_id, Order.state)
    for id_, state, count in session.execute(by_state):
        orders[id_][state.value] = count
    open_: dict[int, dict[str | None, int]] = defaultdict(dict)
    by_reason = select(Order.connection_id, Order.reason_code, func.count()).where(Order.state.in_(OPEN))
    for id_, reason, count in session.execute(by_reason.group_by(Order.connection_id, Order.reason_code)):
        open_[id_][reason] = count
    oldest = select(Order.connection_id, func.min(Order.due_at)).where(Order.due_at <= moment)
    in_doubt = select(Write.connection_id, func.count()).where(
        Write.state == WriteState.SENT, Write.deadline_at < moment
    )
    unreadable = (  # one record can stand in several lists
        select(Scope.connection_id, func.count(distinct(UnreadableRecord.digest)))
        .join(UnreadableRecord, UnreadableRecord.scope_id == Scope.id)
        .where(UnreadableRecord.resolved_at.is_(None))
    )
    proofs: dict[int, dict[str, bool]] = defaultdict(dict)
    for proof in session.scalars(select(Proof).order_by(Proof.connection_id, Proof.kind)):
        proofs[proof.connection_id][proof.kind.value] = proof.earned_at is not None
    return _Facts(
        moment=moment,
        ids=dict(session.execute(select(Connection.name, Connection.id)).all()),
        orders=orders,
        open=open_,
        oldest_due={
            id_: (moment - due).total_seconds()
            for id_, due in session.execute(oldest.group_by(Order.connection_id)).all()
            if due
        },
        in_doubt=dict(session.execute(in_doubt.group_by(Write.connection_id)).all()),
        unreadable=dict(session.execute(unreadable.group_by(Scope.connection_id)).all()),
        over_limit=guard.count_held(session),
        used=requests_used(session),
        closed=_by_connection(session.scalars(_closed().order_by(Upstream.system))),
        paused=_by_connection(session.scalars(_paused().order_by(PausedMethod.method))),
        feeds=_feeds(session, moment),
        troubled=_by_connection(
            session.scalars(
                select(Scope)
                .where(
                    or_(
                        Scope.stopped_reason.is_not(None),
                        Scope.due_at < _late(timing, moment),
                        Scope.failures >= _INTERVALS,
                        and_(Scope.feed == Feed.SALES_ORDERS, Scope.last_success_at.is_(None)),
                    )
                )
                .order_by(Scope.feed, Scope.key)
            )
        ),
        proofs=proofs,
        notes=_notes(session),
    )


def _by_connection(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.connection_id].append(row)
    return found


def _late(timing: Timing, moment: datetime) -> datetime:
    """What was due before that is late."""
    return moment - timedelta(seconds=_INTERVALS * timing.poll + 1)


def _feeds(session: Session, moment: datetime) -> dict[int, list[Json]]:
    """How fresh each feed is: of several scopes the one that was read last, and of what is wrong the worst."""
    found: dict[int, list[Json]] = defaultdict(list)
    stopped = Scope.stopped_reason.is_not(None)
    columns = (
        Scope.connection_id,
        Scope.feed,
        func.max(Scope.last_success_at).label("last_success_at"),
        func.max(Scope.cursor).label("cursor"),
        func.min(Scope.due_at).filter(not_(stopped)).label("due_at"),
        func.max(Scope.failures).label("failures"),
        func.bool_or(stopped).label("stopped"),
    )
    for row in session.execute(
        select(*columns).group_by(Scope.connection_id, Scope.feed).order_by(Scope.connection_id, Scope.feed)
    ):
        overdue = (moment - row.due_at).total_seconds() if row.due_at else 0.0
        found[row.connection_id].append(
            {
                "name": row.feed.value,
                "last_success_at": _time(row.last_success_at),
                "cursor": row.cursor,
                "overdue_seconds": max(0.0, overdue),
                "failures": row.failures,
                "stopped": row.stopped,
            }
        )
    return found


def _connection(
    facts: _Facts, connection_id: int, settings: ConnectionSettings, timing: Timing, problems: list[str]
) -> Json:
    budget = Budget(settings.komet.daily_requests, facts.used.get(settings.company, 0))
    closed, paused = facts.closed.get(connection_id, ()), facts.paused.get(connection_id, ())
    problems += _not_called(settings.name, closed, paused)
    told = waiting_feeds([each.system for each in closed] + [each.method for each in paused])
    for scope in facts.troubled.get(connection_id, ()):
        where = f"{settings.name}: {scope.feed.value} {scope.key}".strip()
        if scope.stopped_reason is not None:
            problems.append(
                f"{where} stands still: {scope.stopped_reason}. {way_on(reset_command(settings.name, scope.feed))}"
            )
        elif scope.feed in told:
            pass  # said above
        elif scope.due_at is not None and scope.due_at < _late(timing, facts.moment):
            problems.append(f"{where} was not read for {_INTERVALS} polls.")
        elif scope.failures >= _INTERVALS:
            problems.append(f"{where} could not be read {scope.failures} times: {scope.last_error}.")
        elif scope.feed is Feed.SALES_ORDERS and scope.last_success_at is None:
            problems.append(f"{where} was never read" + (f": {scope.last_error}." if scope.last_error else " yet."))
    held = facts.over_limit.get(connection_id, 0)
    if held:
        problems.append(
            f"{settings.name}: {held} order(s) are held, since too many were cancelled or changed at once: see them "
            f"with `axkomet orders list --connection {settings.name} --reason over_limit`; where it is meant, "
            f"`axkomet release --reason over_limit --connection {settings.name}`."
        )
    if not budget.left:
        problems.append(f"{settings.name}: all {budget.limit} Komet requests of the last 24 hours are used.")
    elif not budget.left_for_reads:
        problems.append(
            f"{settings.name}: the {budget.left} Komet requests left of {budget.limit} are kept for writes, so that "
            "Komet is not read until some of the last 24 hours are free again."
        )
    return {
        "name": settings.name,
        "mode": settings.mode,
        "paused": any(each.closed_by in (TOKEN, PERSON) for each in closed),
        "upstreams": [
            {
                "system": each.system,
                "closed_by": each.closed_by,
                "since": _time(each.closed_since),
                "why": each.closed_why,
            }
            for each in closed
        ],
        "paused_methods": [
            {"method": each.method, "since": _time(each.paused_since), "why": each.words} for each in paused
        ],
        "orders": facts.orders.get(connection_id, {}),
        "reasons": {code: count for code, count in facts.open.get(connection_id, {}).items() if code is not None},
        "oldest_due_seconds": facts.oldest_due.get(connection_id),
        "in_doubt": facts.in_doubt.get(connection_id, 0),
        "unreadable": facts.unreadable.get(connection_id, 0),
        "absence_is_proof": facts.proofs.get(connection_id, {}),
        "feeds": facts.feeds.get(connection_id, []),
        "budget": {
            "limit": budget.limit,
            "used": budget.used,
            "left": budget.left,
            "left_for_reads": budget.left_for_reads,
        },
        "notes": facts.notes.get(connection_id, []),
    }


def _notes(session: Session) -> dict[int, list[Json]]:
    """What people did to each connection last, the newest first."""
    found: dict[int, list[Json]] = defaultdict(list)
    newest = func.row_number().over(partition_by=ConnectionNote.connection_id, order_by=ConnectionNote.id.desc())
    ranked = select(ConnectionNote.id, newest.label("rank")).subquery()
    notes = select(ConnectionNote).join(ranked, ranked.c.id == ConnectionNote.id).where(ranked.c.rank <= _NOTES)
    for each in session.scalars(notes.order_by(ConnectionNote.id.desc())):
        found[each.connection_id].append(
            {"at": _time(each.at), "who": each.who, "what": each.what, "why": each.why or None}
        )
    return found


def not_called(session: Session, connection_id: int, name: str) -> list[str]:
    """What of a connection is not called now, since when, and what to do: a sentence each."""
    closed = _closed().where(Upstream.connection_id == connection_id).order_by(Upstream.system)
    paused = _paused().where(PausedMethod.connection_id == connection_id).order_by(PausedMethod.method)
    return _not_called(name, session.scalars(closed).all(), session.scalars(paused).all())


def _not_called(name: str, closed: Sequence[Upstream], paused: Sequence[PausedMethod]) -> list[str]:
    # A person pauses both systems at once.
    told = [each for each in closed if each.closed_by != PERSON or each.system == KOMET]
    return [*(_closed_in_words(name, each) for each in told), *(_paused_in_words(name, each) for each in paused)]


def _closed() -> Select[Upstream]:
    """The systems that are not called now."""
    return select(Upstream).where(Upstream.closed_by.is_not(None))


def _paused() -> Select[PausedMethod]:
    """The methods that are not called now."""
    return select(PausedMethod).where(PausedMethod.paused_since.is_not(None))


def _closed_in_words(connection: str, row: Upstream) -> str:
    """What is closed, since when, and what to do."""
    system, since = row.system.capitalize(), _minute(row.closed_since)
    at_once = f"`axkomet poll {connection}` asks at once"
    where = _WHERE_TOKENS_ARE[row.system]
    said = (row.closed_why or "").rstrip(".")
    probed = f"It is asked again at {_minute(row.probe_at)}, and then all goes on by itself"
    if row.closed_by == PERSON:
        return f"{connection} is paused since {since}: {said}. `axkomet resume {connection}` lets it go on."
    if row.closed_by == TOKEN:
        return (
            f"{connection} is paused: {system} has refused our token since {since} ({said}). Make it valid {where}, or "
            f"give the connection a new one and start its workers again. {probed}; {at_once}."
        )
    if row.closed_by == LIMIT:
        return f"{connection}: {system} has taken no more requests since {since} ({said}). {probed}."
    return (
        f"{connection}: {system} has not answered since {since} ({said}). Where that is no outage of theirs, look at "
        f"base_url and the network. {probed}; {at_once}."
    )


def _paused_in_words(connection: str, row: PausedMethod) -> str:
    """Which method is paused, since when, and what to tick."""
    system, _, method = row.method.partition(".")
    return (
        f"{connection}: {system.capitalize()} has refused {method} to our token since {_minute(row.paused_since)} "
        f"({row.words.rstrip('.')}). Tick {method} {_WHERE_TOKENS_ARE[system]}. It is tried again at "
        f"{_minute(row.probe_at)}, and then all that waits for it goes on by itself; `axkomet poll {connection}` tries "
        "it at once."
    )


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "-"


_WHERE_TOKENS_ARE = {"komet": "in Komet under Setup → Settings → Integrations → Tokens", "axerrio": "in Axerrio"}
