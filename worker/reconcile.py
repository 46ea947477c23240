"""`axkomet reconcile`: a fresh read of what open orders stand in, then where the two systems differ.

The reads are those of the worker, under the same leases, budget and pace, and store what they show. Nothing is written
to either system. What a read shows beside that (copies, comments, purchase orders of nobody) is kept for the report.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import cast

from redis import Redis
from sqlalchemy import or_, select, tuple_, update
from sqlalchemy.orm import Session, selectinload

from clients.errors import ClientError
from clients.komet.mark import NOBODYS
from models import canonical, tables
from models.canonical import Json, References
from models.database import now
from models.states import FINAL, WINDOW, Feed
from tasks.connection import Connection, ConnectionSettings
from tasks.dates import today_in
from tasks.observe import observe
from tasks.plan import Plan, Situation, make_plan
from tasks.plan.drift import Drift, Goods, Remark, Sight, copied, drift, goods, owner, unlinked
from tasks.plan.facts import MISSES_FOR_GONE
from tasks.polling import make_due
from tasks.runtime import NOTHING_DUE, Hint, Runtime, Timing
from tasks.scopes import ORDER_FEEDS, find_or_make, words
from tasks.situation import SituationReader
from tasks.upstreams import AXERRIO, Obstacles
from tasks.wake import lock_order
from worker.assembly import Ledger, id_of_connection, timing_of, tokens_of
from worker.settings import ServiceUrls, Settings
from worker.status import INTERVALS, not_called, not_taken_up
from worker.wiring import make_connection
from worker.witness import Witness

#: Seconds between two looks at a scope that somebody else reads.
_PAUSE = 0.2
_LINKS = "links in Axerrio"


@dataclass
class Report:
    """What was found."""

    drift: list[Json] = field(default_factory=list)
    #: Requests that were sent to Komet for it.
    requests: int = 0
    #: Orders that were compared.
    orders: int = 0
    #: What could not be read and why, for people.
    unread: list[str] = field(default_factory=list)


def reconcile(
    settings: Settings,
    urls: ServiceUrls,
    ledger: Ledger,
    connections: Sequence[ConnectionSettings],
    departing: date | None = None,
) -> Report:
    """Read afresh what the open orders of these connections stand in, and compare.

    Args:
        settings: of the process.
        urls: of the services.
        ledger: reached.
        connections: of the connections file.
        departing: only orders of this departure date.

    Raises:
        Problem: a token cannot be found, or a connection joined others until now.
    """
    tokens = [tokens_of(settings, each) for each in connections]
    report = Report()
    with closing(Redis.from_url(urls.redis_url, socket_timeout=2, socket_connect_timeout=2)) as redis:
        for each, of_both in zip(connections, tokens, strict=True):
            # Not registered: that is the workers' part, who then judge anew what waits for a setting that was changed.
            id_ = id_of_connection(ledger, each)
            if id_ is None:
                report.unread.append(not_taken_up(each.name))
                continue
            connection = make_connection(id_, each, of_both, settings, ledger.sessions, redis, komet=Witness)
            witness = cast("Witness", connection.komet)
            with closing(connection.axerrio), closing(witness):
                _Connection(ledger, connection, witness, timing_of(settings), departing, report).reconcile()
            report.requests += witness.gate.requests
    return report


class _Connection:
    """Reconciles one connection."""

    def __init__(
        self,
        ledger: Ledger,
        connection: Connection,
        witness: Witness,
        timing: Timing,
        departing: date | None,
        report: Report,
    ) -> None:
        self.connection, self.witness, self.timing = connection, witness, timing
        self.departing, self.report = departing, report
        self.sessions = ledger.sessions
        self.runtime = Runtime(ledger.sessions, {connection.id: connection}, timing, self._leave_to_the_sweep)
        self.name = connection.settings.name
        with self.sessions() as session:
            self.began_at = now(session)
        self.today = today_in(self.began_at, connection.settings.time_zone)
        #: Reasons by what could not be read.
        self.unread: dict[str, str] = {}

    def reconcile(self) -> None:
        """Read, compare, and add to the report."""
        for feed in ORDER_FEEDS:
            self._read(feed, "")
        is_seen = self._read(Feed.KOMET_PREBOOKS, WINDOW)
        dates = self._ship_dates() if is_seen else []
        blind = {day for day in dates if not self._read(Feed.KOMET_PURCHASE_ORDERS, day.isoformat())}
        self._look_elsewhere()
        found, wanted = self._compare(blind, is_seen=is_seen)
        bought = {item.item_id: (each, item) for each in self.witness.purchase_orders for item in each.items}
        for each, item in bought.values():
            line = owner(each, item, wanted)
            if line is not None:
                found.append((line.order, unlinked(each, item, line)))
        found += self._copies()
        self.report.drift += [
            {
                "kind": each.kind.value,
                "connection": self.name,
                "order": order,
                "line_key": each.line_key,
                "ours": each.ours,
                "theirs": each.theirs,
                "next_command": each.next_command,
            }
            for order, each in found
        ]
        self._say_what_was_not_read()

    # -- reading ---------------------------------------------------------------------------------------------

    def _read(self, feed: Feed, key: str) -> bool:
        """Read a scope now, after whoever reads it at the moment; False: it could not be."""
        patience = time.monotonic() + self.timing.scope_lease
        with self.sessions.begin() as session:
            scope = session.get_one(tables.Scope, find_or_make(session, self.connection.id, feed, key))
            scope_id, name, stopped = scope.id, words(scope), scope.stopped_reason
        if stopped is not None:
            self.unread[name] = stopped
            return False
        while True:
            with self.sessions.begin() as session:
                make_due(session, [scope_id])
            said = observe(self.runtime, scope_id)
            if said == f"{name} read":
                with self.sessions() as session:
                    due_at = session.get_one(tables.Scope, scope_id).due_at
                    has_more = due_at is not None and due_at <= now(session)
                if not (has_more and feed in ORDER_FEEDS):
                    return True
            elif said == NOTHING_DUE and time.monotonic() < patience:
                time.sleep(_PAUSE)
            else:
                why = said.removeprefix(f"{name}: ")
                self.unread[name] = "somebody else reads it, and comes to no end" if said == NOTHING_DUE else why
                return False

    def _leave_to_the_sweep(self, hints: Iterable[Hint]) -> None:
        """No message is sent from here: the next sweep does."""
        for hint in hints:
            table = tables.Scope if hint.task == "observe" else tables.Order
            with self.sessions.begin() as session:
                session.execute(update(table).where(table.id == hint.row_id).values(hinted_until=None))

    def _open_orders(self) -> list[int]:
        """Ids of the orders that are not at their end, or were just woken; the nearest departure first."""
        meant = select(tables.Order.id).where(
            tables.Order.connection_id == self.connection.id,
            or_(tables.Order.state.not_in(FINAL), tables.Order.due_at.is_not(None)),
        )
        if self.departing is not None:
            meant = meant.where(tables.Order.departure_date == self.departing)
        with self.sessions() as session:
            return list(session.scalars(meant.order_by(tables.Order.departure_date, tables.Order.id)))

    def _ship_dates(self) -> list[date]:
        """Ship dates of their open lines and purchase orders, while their truck has not left."""
        days: set[date] = set()
        rows = select(tables.Order).where(
            tables.Order.id.in_(self._open_orders()), tables.Order.truck_date >= self.today
        )
        with self.sessions() as session:
            ids = set()
            for row in session.scalars(rows.options(selectinload(tables.Order.lines))):
                ids.add(row.id)
                for line in row.lines:
                    if line.wanted is not None and line.wanted["status"] == canonical.LineStatus.OPEN:
                        word = line.wanted["departure_date"]
                        days.add(date.fromisoformat(word) if word else row.departure_date)
            days |= {order.ship_date for order, _ in self._known_items(session, ids) if order.ship_date is not None}
        return sorted(days)

    def _known_items(
        self, session: Session, order_ids: Iterable[int]
    ) -> list[tuple[tables.PurchaseOrder, tables.PurchaseOrderItem]]:
        """Purchase orders and items that stand for these orders, as far as the ledger knows."""
        known = (
            select(tables.PurchaseOrder, tables.PurchaseOrderItem)
            .join(tables.PurchaseOrderItem, tables.PurchaseOrderItem.purchase_order_row == tables.PurchaseOrder.id)
            .join(
                tables.PrebookItem,
                (tables.PrebookItem.connection_id == tables.PurchaseOrderItem.connection_id)
                & (tables.PrebookItem.item_id == tables.PurchaseOrderItem.prebook_item_id),
            )
            .join(tables.Prebook, tables.PrebookItem.prebook_row == tables.Prebook.id)
            .where(
                tables.Prebook.order_id.in_(order_ids),
                tables.PurchaseOrderItem.boxes > 0,
                tables.PurchaseOrderItem.missing < MISSES_FOR_GONE,
            )
        )
        return [(order, item) for order, item in session.execute(known)]

    def _look_elsewhere(self) -> None:
        """A purchase order that is not on its ship date any more may have been moved: it is asked for by its number."""
        shown = {item.item_id for each in self.witness.purchase_orders for item in each.items}
        with self.sessions() as session:
            numbers = {
                order.number
                for order, item in self._known_items(session, self._open_orders())
                if order.ship_date in self.witness.days and item.item_id not in shown
            }
        there = {each.number for each in self.witness.purchase_orders}
        if moved := sorted(numbers - self.witness.numbers - there):
            try:
                self.witness.purchase_orders_by_number(moved)
            except ClientError as error:
                self.unread[f"purchase orders {', '.join(moved)}"] = error.detail

    # -- comparing -------------------------------------------------------------------------------------------

    def _compare(self, blind: set[date], *, is_seen: bool) -> tuple[list[tuple[str, Drift]], list[Goods]]:
        """Drift by the order's key, and what the orders want; those whose lists were not read are left out."""
        found: list[tuple[str, Drift]] = []
        wanted: list[Goods] = []
        left_out = 0
        for order_id in self._open_orders():
            told, held = self._links(order_id)
            with self.sessions() as session:  # rolled back: nothing of it stays
                row = lock_order(session, order_id)
                if row is None:
                    continue
                situation = SituationReader(session, self.connection, self.timing).read(row)
                if not is_seen or blind & {line.ship_date for line in situation.lines}:
                    left_out += 1
                    continue
                plan = make_plan(situation)
                sight = self._sight(session, row, held if situation.references_applied == told else None)
                in_progress = self._in_progress(session, row, situation, plan)
            self.report.orders += 1
            found += [(situation.key, each) for each in drift(situation, plan, sight, in_progress=in_progress)]
            wanted += goods(situation)
            if told is not None and sight.links is not None and sight.links.lacks(told):
                self._note_links(order_id, told, sight.links)
        if left_out:
            self.report.unread.append(f"{self.name}: {left_out} order(s) were not compared, since they stand there.")
        return found, wanted

    def _in_progress(self, session: Session, row: tables.Order, situation: Situation, plan: Plan) -> bool:
        """A worker has it, will have it within a moment, or looks for what it wrote."""
        if not self.connection.writes_allowed:
            return False
        looks = [(look.feed, look.key) for look in plan.looks if look.active]
        if not (looks or plan.writes or plan.repeats or any(write.state.is_open for write in situation.writes)):
            return False
        moment = now(session)
        recently = moment - timedelta(seconds=INTERVALS * max(self.timing.poll, self.timing.sweep))
        is_looked_for = select(tables.Scope.id).where(
            tables.Scope.connection_id == row.connection_id,
            tuple_(tables.Scope.feed, tables.Scope.key).in_(looks),
            tables.Scope.due_at >= recently,
        )
        waits = (row.lease_until, row.not_before, row.axerrio_not_before)
        if any(each is not None and each > moment for each in waits):
            return True
        if session.scalar(is_looked_for.limit(1)) is not None:
            return True
        return row.held_up_by is None and row.due_at is not None and recently <= row.due_at <= moment

    def _sight(self, session: Session, row: tables.Order, held: References | None) -> Sight:
        """What was shown of an order and is not in the ledger."""
        window = self.witness.window
        records = {record.prebook_id: record for record in window.records} if window is not None else {}
        prebooks = session.scalars(select(tables.Prebook).where(tables.Prebook.order_id == row.id)).all()
        creates = {
            write.id: write
            for write in session.scalars(
                select(tables.Write).where(tables.Write.order_id == row.id, tables.Write.mark.is_not(None))
            )
        }
        marks = {write.mark for write in creates.values()}
        known = {each.prebook_id for each in prebooks}
        remarks, strays = [], []
        for each in prebooks:
            seen = records.get(each.prebook_id)
            if seen is None or not any(item.boxes for item in seen.items):
                continue
            if each.write_id in creates:
                remarks.append(Remark(seen.number, creates[each.write_id].body["comments"], seen.comments))
            bound = {item.item_id for item in each.items if item.line_id is not None}
            if row.origin == canonical.Origin.AXERRIO:
                strays += [(seen.number, item) for item in seen.items if item.boxes and item.item_id not in bound]
        is_whole = window is not None and window.complete
        # A worker may have made or seen them after our read.
        later = {item.item_id for each in prebooks for item in each.items if item.as_of >= self.began_at}
        bought = {item.item_id for _, item in self._known_items(session, [row.id]) if item.as_of >= self.began_at}
        return Sight(
            prebook_items=later | {item.item_id for seen in records.values() for item in seen.items}
            if is_whole
            else None,
            days=(self.today, self.witness.window_days[1]),
            order_items=bought | {item.item_id for each in self.witness.purchase_orders for item in each.items},
            ship_dates={day for day, each in self.witness.days.items() if each.complete and day >= self.today},
            remarks=tuple(remarks),
            copies=tuple(seen for seen in records.values() if seen.mark in marks and seen.prebook_id not in known),
            strays=tuple(strays),
            links=held,
        )

    def _copies(self) -> list[tuple[str, Drift]]:
        """Prebooks with the mark of an order that was not compared: one that is, tells of them itself."""
        window = self.witness.window
        marked = {
            each.prebook_id: each
            for each in (window.records if window is not None else ())
            if each.mark not in (None, NOBODYS) and any(item.boxes and self._is_meant(item) for item in each.items)
        }
        known = select(tables.Prebook.prebook_id).where(
            tables.Prebook.connection_id == self.connection.id, tables.Prebook.prebook_id.in_(marked)
        )
        of_marks = (
            select(tables.Write.mark, tables.Order.id, tables.Order.name)
            .join(tables.Order, tables.Write.order_id == tables.Order.id)
            .where(
                tables.Write.connection_id == self.connection.id,
                tables.Write.mark.in_({each.mark for each in marked.values()}),
            )
        )
        compared, found = set(self._open_orders()), []
        with self.sessions() as session:
            ours = set(session.scalars(known))
            orders = {mark: (order_id, name) for mark, order_id, name in session.execute(of_marks)}
        for each in (each for each in marked.values() if each.prebook_id not in ours):
            order_id, name = orders.get(each.mark, (None, None))
            if order_id not in compared:
                command = f"orders show id:{order_id}" if name else f"poll {self.name} {Feed.KOMET_PREBOOKS.value}"
                found.append((name or f"prebook:{each.number}", copied(each, f"axkomet {command}")))
        return found

    def _is_meant(self, item: canonical.PrebookItem) -> bool:
        return self.departing is None or item.ship_date == self.departing

    def _links(self, order_id: int) -> tuple[References | None, References | None]:
        """What Axerrio was told of the order's place in Komet, and what it holds; None where it is not asked."""
        with self.sessions() as session:
            row = session.get_one(tables.Order, order_id)
            key, applied, is_deleted = row.axerrio_key, row.references_applied, row.is_deleted
            closed = Obstacles(session, self.connection.id, self.timing).of_system(AXERRIO)
        told = References.model_validate(applied) if applied is not None else None
        if key is None or told is None or is_deleted or closed is not None or _LINKS in self.unread:
            return told, None
        try:
            record = self.connection.axerrio.order(key)
        except ClientError as error:
            self.unread[_LINKS] = error.detail
            return told, None
        return told, (record.references or References()) if isinstance(record, canonical.Order) else None

    def _note_links(self, order_id: int, told: References, held: References) -> None:
        """Axerrio lost them: the next look at the order tells them anew."""
        with self.sessions.begin() as session:
            row = lock_order(session, order_id)
            if row is not None and row.references_applied == told.model_dump(mode="json"):
                row.references_applied = held.model_dump(mode="json")

    def _say_what_was_not_read(self) -> None:
        reasons: dict[str, list[str]] = {}
        for what, why in self.unread.items():
            reasons.setdefault(why.rstrip("."), []).append(what)
        said = [f"{self.name}: {', '.join(names)} could not be read: {why}." for why, names in reasons.items()]
        lists = {"komet-prebooks": self.witness.window} | {
            f"komet-purchase-orders {day}": listing for day, listing in self.witness.days.items()
        }
        said += [
            f"{self.name}: {what} has records that cannot be read, so that what is missing there cannot be told."
            for what, listing in lists.items()
            if listing is not None and not listing.complete
        ]
        with self.sessions() as session:
            said += not_called(session, self.connection.id, self.name) if self.unread else []
        self.report.unread = [*said, *self.report.unread]
