"""The sweep: a message for every due row that has none on its way.

Messages can be lost, doubled or late; rows cannot. A bounded number is on its way at a time, the nearest departure
first, so that a lost queue is soon filled again and a long one never grows without end.
"""

from datetime import timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.database import now
from models.tables import Connection as ConnectionRow
from models.tables import Order, Process, Scope
from tasks.runtime import Hint, Runtime
from tasks.scopes import words
from tasks.wake import hint_of

#: Messages on their way at a time, for orders and for scopes each.
MOST_HINTS = 500
#: A process that was not seen for so long is of no interest.
_FORGOTTEN_AFTER = timedelta(days=1)


def sweep(runtime: Runtime) -> int:
    """Send a message for every due row, as far as the bound allows.

    Returns:
        How many were sent.
    """
    with runtime.sessions.begin() as session:
        seen(session, "beat", "beat")
        moment = now(session)
        session.execute(delete(Process).where(Process.seen_at < moment - _FORGOTTEN_AFTER))
        until = moment + timedelta(seconds=runtime.timing.hint)
        names = dict(session.execute(select(ConnectionRow.id, ConnectionRow.name)).all())
        on_their_way = select(func.count()).select_from(Order).where(Order.hinted_until > moment)
        room = MOST_HINTS - (session.scalar(on_their_way) or 0)
        due_orders = (
            select(Order.id)
            .where(
                Order.due_at <= moment,
                or_(Order.hinted_until.is_(None), Order.hinted_until < moment),
                or_(Order.lease_until.is_(None), Order.lease_until < moment),
                Order.connection_id.in_(runtime.connections),
            )
            .order_by(Order.departure_date, Order.id)
            .limit(max(0, room))
            .with_for_update(skip_locked=True, key_share=True)
        )
        due_scopes = (
            select(Scope.id)
            .where(
                Scope.due_at <= moment,
                or_(Scope.hinted_until.is_(None), Scope.hinted_until < moment),
                or_(Scope.lease_until.is_(None), Scope.lease_until < moment),
                Scope.stopped_reason.is_(None),
                Scope.connection_id.in_(runtime.connections),
            )
            .order_by(Scope.due_at, Scope.id)
            .limit(MOST_HINTS)
            .with_for_update(skip_locked=True, key_share=True)
        )
        orders = session.scalars(
            update(Order).where(Order.id.in_(due_orders)).values(hinted_until=until).returning(Order)
        ).all()
        found = session.scalars(
            update(Scope).where(Scope.id.in_(due_scopes)).values(hinted_until=until).returning(Scope)
        ).all()
        hints = [Hint("observe", scope.id, f"{words(scope)} {names[scope.connection_id]}") for scope in found]
        hints += [
            hint_of(order, names[order.connection_id])
            for order in sorted(orders, key=lambda order: (order.departure_date, order.id))
        ]
    runtime.send_hints(hints)
    return len(hints)


def seen(session: Session, name: str, role: str) -> None:
    """Note that a process was alive just now."""
    moment = func.axkomet_now()
    values = insert(Process).values(name=name, role=role, seen_at=moment)
    session.execute(values.on_conflict_do_update(index_elements=["name"], set_={"seen_at": moment}))
