"""What is kept beside the moves of an order: lines of its history that change no state, and notes of a connection."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.tables import ConnectionNote, History, Order


def note(session: Session, row: Order, why: str, write_id: int | None = None) -> None:
    """A line of history."""
    state = row.state.value
    session.add(History(order_id=row.id, from_state=state, to_state=state, why=why, write_id=write_id))


def note_once(session: Session, row: Order, why: str) -> None:
    """The same, unless it was said before."""
    said = select(History.id).where(History.order_id == row.id, History.why == why).limit(1)
    if session.scalar(said) is None:
        note(session, row, why)


def note_connection(session: Session, connection_id: int, who: str, what: str, why: str = "") -> None:
    """What a person did to a connection as a whole, in a word or two, such as `paused`."""
    session.add(ConnectionNote(connection_id=connection_id, who=who, what=what, why=why))
