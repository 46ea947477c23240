"""The guard: a feed that suddenly cancels or changes much must not empty a customer's books.

A version *upsets* an order when it takes away something that stands in the other system: it cancels the order, takes
it back to draft, removes a line, or changes a line so that it would be made anew. Upset orders are counted where they
are stored, before anything is sent for them. Once those of ten minutes reach the connection's limit, all of them that
were not begun are held as `over_limit`, until a person releases them or a later version takes the change back.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session, aliased

from models.canonical import Json, LineStatus, OrderStatus, Origin
from models.canonical import Order as CanonicalOrder
from models.database import now
from models.states import FINAL, HoldCode, Kind, WriteState
from models.tables import Connection as ConnectionRow
from models.tables import Order, OrderLine, Prebook, PrebookItem, Scope, Write, WriteLine
from tasks.connection import Connection, ConnectionSettings
from tasks.plan import Plan, Situation
from tasks.plan.back import losses
from tasks.plan.facts import MISSES_FOR_GONE
from tasks.plan.questions import is_shipped
from tasks.plan.sent import changes
from tasks.translation import translated
from tasks.wanted import as_sent, canonical, catalogue

log = structlog.get_logger()

#: What is upset within it counts together.
WINDOW = timedelta(minutes=10)
#: However few orders a connection has, so many may be upset at once before they are held ...
_LEAST = 10
#: ... and of many orders this part.
_PART = 0.3
#: Writes that take something away or change it: once one of them was sent, the change was begun.
_TAKING_AWAY = (Kind.PREBOOK_ITEM_DELETE, Kind.PURCHASE_ORDER_ITEM_DELETE, Kind.INBOUND_ORDER)

#: What an order's wanted version takes away, by what stands; None: altogether.
Losses = dict[Any, Any]


class Watch:
    """Watches the orders of one page while their newer versions are stored.

    Args:
        session: its transaction stores the page.
        connection: whose orders they are.
        scope_id: of the scope that is read.
        rows: those that the page may change, locked, as they were before.
    """

    def __init__(self, session: Session, connection: Connection, scope_id: int, rows: Iterable[Order]) -> None:
        self._session = session
        self._connection = connection
        self._scope_id = scope_id
        self._rows = list({row.id: row for row in rows}.values()) if connection.settings.change_guard else []
        self._standing = _standing(session, [row.id for row in self._rows if row.origin == Origin.AXERRIO])
        self._before = {row.id: self._losses(row) for row in self._rows}

    def close(self) -> None:
        """Count, once the page is stored, and hold what is too much.

        The last locks of the transaction: the scope, then the connection, so that two pages count one after the other;
        then other orders, which are left out where somebody has them: `is_held` finds them.
        """
        session = self._session
        session.flush()
        is_upset = False
        for row in self._rows:
            losses_now = self._losses(row)
            if not losses_now:
                row.over_limit_since = None
                row.upset_at = row.upset_at if row.upset_at is not None and _is_begun(session, row) else None
            elif losses_now != self._before[row.id]:
                row.upset_at, is_upset = now(session), True
        if is_upset:
            session.flush()
            self._count()

    def _count(self) -> None:
        session, id_ = self._session, self._connection.id
        session.execute(select(Scope.id).where(Scope.id == self._scope_id).with_for_update(key_share=True))
        session.execute(select(ConnectionRow.id).where(ConnectionRow.id == id_).with_for_update(key_share=True))
        moment = now(session)
        recent = (Order.connection_id == id_, Order.upset_at > moment - WINDOW)
        upset = session.scalars(select(func.count()).select_from(Order).where(*recent)).one()
        if upset < _limit(session, self._connection):
            return
        waiting = select(Order).where(*recent, Order.over_limit_since.is_(None), ~_sent_since(Order))
        free = waiting.order_by(Order.id).with_for_update(skip_locked=True, key_share=True)
        held = session.scalars(free).all()
        for row in held:
            row.over_limit_since = row.due_at = moment
            row.hinted_until = None
        session.flush()
        log.warning("over the limit", connection=self._connection.settings.name, upset=upset, held=len(held))

    def _losses(self, row: Order) -> Losses:
        """What the order as it is wanted takes away of what stands."""
        if row.origin == Origin.KOMET:
            return self._losses_of_komet(row)
        standing = {line: self._standing[line.id] for line in row.lines if line.id in self._standing}
        if not standing:
            return {}
        lost: Losses = {}
        order = canonical(row)
        is_withdrawn = order.status in (OrderStatus.CANCELLED, OrderStatus.DRAFT)
        is_withdrawn |= row.is_deleted and not is_shipped(order)  # what left is only tidied away
        lines = {line.line_key: line for line in order.lines if line.status is not LineStatus.CANCELLED}
        for line, stands in standing.items():
            wanted = None if is_withdrawn else lines.get(line.line_key)
            # Komet's words for the product do not count here, so no mapping is needed.
            sends = as_sent(order, wanted, self._connection, {}) if wanted is not None else None
            for name, sent in stands.items():
                changed = changes(sent, sends) if sends is not None else None
                if changed is None or changed:
                    lost[name] = changed
        return lost

    def _losses_of_komet(self, row: Order) -> Losses:
        if row.inbound_applied is None:
            return {}
        known = catalogue(self._session, row.connection_id)
        order = translated(self._session, self._connection, canonical(row), known.carriers)
        if not order.open_lines:
            return {"": None}
        return dict(losses(CanonicalOrder.model_validate(row.inbound_applied), order))


def _standing(session: Session, order_ids: Sequence[int]) -> dict[int, dict[Any, Json]]:
    """By line: what was sent of each of its items in Komet, and of those that a create made or may have made unseen."""
    standing: dict[int, dict[Any, Json]] = {}
    if not order_ids:
        return standing
    items = (
        select(PrebookItem.line_id, PrebookItem.item_id, PrebookItem.sent)
        .join(OrderLine, PrebookItem.line_id == OrderLine.id)
        .where(
            OrderLine.order_id.in_(order_ids),
            PrebookItem.boxes > 0,
            PrebookItem.missing < MISSES_FOR_GONE,
            PrebookItem.sent.is_not(None),
        )
    )
    seen = (
        select(PrebookItem.id)
        .join(Prebook, PrebookItem.prebook_row == Prebook.id)
        .where(PrebookItem.line_id == WriteLine.line_id, Prebook.write_id == WriteLine.write_id)
    )
    unseen = (
        select(WriteLine.line_id, WriteLine.write_id, WriteLine.sent)
        .join(Write, WriteLine.write_id == Write.id)
        .join(OrderLine, WriteLine.line_id == OrderLine.id)
        .where(
            OrderLine.order_id.in_(order_ids),
            WriteLine.kind == Kind.PREBOOK_CREATE,
            WriteLine.sent.is_not(None),
            WriteLine.error.is_(None),
            Write.state.in_((WriteState.SENT, WriteState.DONE)),
            ~exists(seen),
        )
    )
    for query in (items, unseen):
        for line_id, name, sent in session.execute(query):
            standing.setdefault(line_id, {})[name] = sent
    return standing


def _limit(session: Session, connection: Connection) -> float:
    is_open = (Order.connection_id == connection.id, Order.state.not_in(FINAL))
    count = session.scalars(select(func.count()).select_from(Order).where(*is_open)).one()
    return min(connection.settings.change_guard, max(_LEAST, _PART * count))


def _sent_since(order: type[Order]) -> ColumnElement[bool]:
    """Something of the change was done, or may have been: what was refused, never left or never arrived is not."""
    return exists(
        select(Write.id).where(
            Write.order_id == order.id,
            Write.kind.in_(_TAKING_AWAY),
            Write.state.in_((WriteState.SENT, WriteState.DONE)),
            Write.sent_at >= order.upset_at,
        )
    )


def _is_begun(session: Session, row: Order) -> bool:
    return session.scalar(select(Order.id).where(Order.id == row.id, _sent_since(Order))) is not None


# -- where an order is planned and sent ------------------------------------------------------------------------


def is_held(session: Session, settings: ConnectionSettings, row: Order) -> bool:
    """Nothing may be sent for the order, which is locked: it is held, or belongs to those that are.

    An order that somebody worked on when the limit was reached was left out then, and is found here.
    """
    if not settings.change_guard or row.upset_at is None:
        return False
    if row.over_limit_since is not None:
        return True
    other = aliased(Order)
    together = exists(
        select(other.id).where(
            other.connection_id == row.connection_id,
            other.upset_at.is_not(None),
            other.over_limit_since >= row.upset_at,
            other.over_limit_since < row.upset_at + WINDOW,
        )
    )
    return session.scalar(select(Order.id).where(Order.id == row.id, together, ~_sent_since(Order))) is not None


def upset_with(session: Session, row: Order) -> int:
    """How many other orders of the connection were upset within ten minutes of this one."""
    if row.upset_at is None:
        return 0
    near = (Order.upset_at > row.upset_at - WINDOW, Order.upset_at < row.upset_at + WINDOW)
    others = (Order.connection_id == row.connection_id, Order.id != row.id, *near)
    return session.scalars(select(func.count()).select_from(Order).where(*others)).one()


def record(row: Order, situation: Situation, plan: Plan) -> None:
    """Keep that an order is held, or that it is no more, since nothing of it would be taken away."""
    if any(hold.code is HoldCode.OVER_LIMIT for hold in plan.holds):
        row.over_limit_since = row.over_limit_since or row.upset_at
    elif situation.over_limit:
        row.over_limit_since = row.upset_at = None
    else:
        row.over_limit_since = None


# -- release ---------------------------------------------------------------------------------------------------


def held_orders(session: Session, connection: str | None = None) -> list[int]:
    """Ids of the orders that are held as over the limit."""
    query = select(Order.id).join(ConnectionRow, Order.connection_id == ConnectionRow.id)
    if connection is not None:
        query = query.where(ConnectionRow.name == connection)
    held = query.where(Order.over_limit_since.is_not(None), Order.upset_at.is_not(None))
    return list(session.scalars(held.order_by(Order.departure_date, Order.id)))


def count_held(session: Session) -> dict[int, int]:
    """How many they are, by the id of their connection's row."""
    held = select(Order.connection_id, func.count()).where(
        Order.over_limit_since.is_not(None), Order.upset_at.is_not(None)
    )
    return dict(session.execute(held.group_by(Order.connection_id)).all())


def let_go(row: Order) -> bool:
    """Hold a locked order as over the limit no more, and count it no more; gives whether it was held so."""
    if row.over_limit_since is None:
        return False
    row.over_limit_since = row.upset_at = None
    return True
