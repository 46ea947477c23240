"""The sweep: a message for every due row that has none on its way.

Messages can be lost, doubled or late; rows cannot. For each connection a bounded number is on its way at a time, the
nearest departure first, so that a lost queue is soon filled again and a long one never grows without end.
"""

from datetime import timedelta
from itertools import zip_longest

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.database import now
from models.tables import Order, Process, Scope
from tasks.runtime import Runtime
from tasks.turns import next_hints
from tasks.upstreams import tend
from tasks.wake import WITH_WORK

#: A process that was not seen for so long is of no interest.
_FORGOTTEN_AFTER = timedelta(days=1)


def sweep(runtime: Runtime) -> int:
    """Send messages for what is due, the connections in turn.

    Returns:
        How many were sent.
    """
    with runtime.sessions.begin() as session:
        seen(session, "beat", "beat")
        session.execute(delete(Process).where(Process.seen_at < now(session) - _FORGOTTEN_AFTER))
    tend(runtime)
    with runtime.sessions.begin() as session:
        with_work = {row: set(session.scalars(WITH_WORK[row])) for row in (Order, Scope)}
    due = []
    for connection in runtime.connections.values():
        for row in (each for each in (Order, Scope) if connection.id in with_work[each]):
            with runtime.sessions.begin() as session:
                due.append(next_hints(session, row, connection, runtime.timing))
    hints = [hint for turn in zip_longest(*due) for hint in turn if hint is not None]
    runtime.send_hints(hints)
    return len(hints)


def seen(session: Session, name: str, role: str) -> None:
    """Note that a process was alive just now."""
    moment = func.axkomet_now()
    values = insert(Process).values(name=name, role=role, seen_at=moment)
    session.execute(values.on_conflict_do_update(index_elements=["name"], set_={"seen_at": moment}))
