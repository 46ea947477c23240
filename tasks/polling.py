"""Polling on demand: feeds are read now, and not when their time comes."""

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from models.database import now
from models.states import WINDOW, Feed
from models.tables import Scope, Wait
from tasks.scopes import find_or_make, lock_all
from tasks.upstreams import probe_now


def poll(session: Session, connection_id: int, feed: Feed | None) -> Sequence[Scope]:
    """Make the scopes of a connection due: what is read always, and what somebody waits for.

    Args:
        session: its transaction records it.
        connection_id: of its row.
        feed: only this one; None: all.

    Returns:
        The scopes; one that stands still is among them, and is not made due.
    """
    if feed in (None, Feed.KOMET_PREBOOKS):
        find_or_make(session, connection_id, Feed.KOMET_PREBOOKS, WINDOW)
    is_waited_for = select(Wait.scope_id).where(Wait.scope_id == Scope.id).exists()
    meant = select(Scope).where(
        Scope.connection_id == connection_id,
        or_(Scope.due_at.is_not(None), is_waited_for, Scope.key == WINDOW, Scope.stopped_reason.is_not(None)),
    )
    if feed is not None:
        meant = meant.where(Scope.feed == feed)
    scopes = session.scalars(meant.order_by(Scope.feed, Scope.key)).all()
    moving = [scope.id for scope in scopes if scope.stopped_reason is None]
    make_due(session, moving)
    probe_now(session, connection_id)
    return scopes


def make_due(session: Session, scope_ids: Sequence[int]) -> None:
    """Make scopes due at once where no message can be sent: the next sweep sends one."""
    moment = now(session)
    for scope in lock_all(session, scope_ids):
        scope.requested += 1
        scope.due_at, scope.hinted_until = min(scope.due_at or moment, moment), None
