"""Is absence proof? Only where it was earned: one of ours was acknowledged and then seen by its mark or link.

Komet shows a vendor token only items with ship date, vendor and cost (Get a detailed Prebook list): whether a company
fills these in is not known until one of our own creates was seen.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.database import now
from models.states import HoldCode, Kind, WriteState
from models.tables import Observation, Order, Proof, Write
from tasks.connection import Connection
from tasks.runtime import Hint, Runtime, Timing
from tasks.scopes import Claim
from tasks.wake import lock_orders, wake

#: Lags may be longer than those seen: the grace is at least so many times the longest.
_LAGS = 3
#: Lags up to here need nobody's eye: what does not show after so many seconds is told.
_UNTOLD = 3600.0


def grace(proof: Proof | None, timing: Timing) -> timedelta:
    """How long after a call's end absence is not believed yet."""
    return timedelta(seconds=max(timing.grace, _LAGS * proof.longest_lag if proof else 0.0))


def patience(proof: Proof | None, timing: Timing) -> timedelta:
    """How long after a call's end nobody is told yet that it does not show.

    The grace, but no days of silence for every order to come where one create once showed after days.
    """
    return min(grace(proof, timing), timedelta(seconds=max(timing.grace, _UNTOLD)))


def shown(session: Session, writes: Iterable[Write], claim: Claim) -> bool:
    """A look showed the writes: adopt what nobody answered, and earn proof by what Komet had acknowledged.

    The lag that is kept is the time from the acknowledgement to the last look that began after it and did not show
    the write: the one that does show it may have come late for reasons of its own, such as reads that failed.

    Returns:
        Proof was earned by it: what is held for want of proof can be judged anew, after the commit.
    """
    acknowledged: defaultdict[Kind, list[Write]] = defaultdict(list)
    for write in writes:
        if write.shown_at is not None:
            continue
        write.shown_at = now(session)
        if write.state is not WriteState.DONE:
            write.settled_at = write.shown_at
            write.state = WriteState.DONE
            for line in write.lines:
                line.is_open = False
        if write.acknowledged_at is not None:
            acknowledged[write.kind].append(write)
    if not acknowledged:
        return False
    last_look = session.scalar(
        select(func.max(Observation.began_at)).where(
            Observation.scope_id == claim.scope_id, Observation.complete, Observation.began_at < claim.began_at
        )
    )
    earned = [_earn(session, kind, acknowledged[kind], last_look) for kind in sorted(acknowledged)]
    return any(earned)


def _earn(session: Session, kind: Kind, writes: Sequence[Write], last_look: datetime | None) -> bool:
    """Writes of a kind show that were acknowledged; a look before this one showed none of them."""
    connection_id = writes[0].connection_id
    proof = session.get(Proof, (connection_id, kind), with_for_update=True)
    if proof is None:
        session.execute(insert(Proof).values(connection_id=connection_id, kind=kind).on_conflict_do_nothing())
        proof = session.get_one(Proof, (connection_id, kind), with_for_update=True)
    since = min(each.acknowledged_at for each in writes if each.acknowledged_at is not None)
    if last_look is not None and last_look > since:
        proof.longest_lag = max(proof.longest_lag, (last_look - since).total_seconds())
    if proof.earned_at is not None:
        return False
    proof.earned_at, proof.revoked_why = now(session), None
    return True


def wake_in_doubt(runtime: Runtime, connection: Connection) -> list[Hint]:
    """Wake what is held for want of proof. In a transaction of its own, since orders are locked by ascending id."""
    with runtime.sessions.begin() as session:
        held = select(Order.id).where(
            Order.connection_id == connection.id, Order.reason_code == HoldCode.IN_DOUBT.value
        )
        return wake(session, lock_orders(session, session.scalars(held).all()), connection, runtime.timing)


def missed(session: Session, write: Write) -> None:
    """An acknowledged create did not show within its grace: absence proves nothing here until it is earned anew."""
    if write.missed_at is not None:
        return
    write.missed_at = now(session)
    why = f"write {write.id} was acknowledged and did not show within its grace"
    session.execute(
        update(Proof)
        .where(Proof.connection_id == write.connection_id, Proof.kind == write.kind, Proof.earned_at.is_not(None))
        .values(earned_at=None, revoked_why=why)
    )
