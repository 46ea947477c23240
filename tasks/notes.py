"""Lines of an order's history that change no state."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.tables import History, Order


def note(session: Session, row: Order, why: str, write_id: int | None = None) -> None:
    """A line of history."""
    state = row.state.value
    session.add(History(order_id=row.id, from_state=state, to_state=state, why=why, write_id=write_id))


def note_once(session: Session, row: Order, why: str) -> None:
    """The same, unless it was said before."""
    said = select(History.id).where(History.order_id == row.id, History.why == why).limit(1)
    if session.scalar(said) is None:
        note(session, row, why)
