"""The plan: a pure function of what is wanted, known and open, and of what people decided.

No network, no clock, no session, no broker: everything it needs stands in a `Situation`, and all it says stands in
a `Plan`. The worker acts a plan, a dry run prints it, and a drift report compares with it: there is no second way.

`judge` comes first: it settles what time and observations have decided about open writes. Then `make_plan` says
which writes lead on, what the rest waits for, and where the order and its lines stand.

    facts      what a plan may know and may say
    questions  what all parts ask of a situation
    sent       what of a line counts as it was sent
    lines      one line, up to its prebook item; taking away what is not wanted any more
    purchases  the purchase orders that cover an item
    labels     which label belongs to which box
    shipping   one line, from its purchase order to the boxes that left
    back       what Axerrio is told
    order      all of it together
    drift      where the two systems differ, for people
"""

from dataclasses import replace

from clients.errors import RefusalKind
from models.states import WriteState
from tasks.plan.facts import (
    KOMET_WRITES,
    LOOKS_FOR_ABSENCE,
    Plan,
    PlannedWrite,
    Situation,
    Verdict,
)
from tasks.plan.order import Planner

__all__ = ["LOOKS_FOR_ABSENCE", "Plan", "PlannedWrite", "Situation", "Verdict", "judge", "judged", "make_plan"]


def judge(situation: Situation) -> tuple[Verdict, ...]:
    """Settle open writes: one that was never sent is void; one that is proven not to have arrived is absent.

    Only the order that leads a call may void it: another's run may be about to send it. One at which Axerrio fails,
    though it answers others, is not repeated for ever: once the order begins afresh it is given up, whether it arrived
    or not. It replaces the whole of what stands there, and so does the next one, with today's body and a new key.
    """
    verdicts = []
    for write in situation.writes:
        if write.state is WriteState.INTENDED and write.is_led:
            verdicts.append(Verdict(write.id, WriteState.VOID, "it was never sent"))
        elif (
            write.state is WriteState.SENT
            and write.kind in KOMET_WRITES
            and write.looks >= LOOKS_FOR_ABSENCE
            and write.absence_is_proof
            and write.may_be is None
        ):
            why = f"{write.looks} reads after its grace did not show it: it never arrived"
            verdicts.append(Verdict(write.id, WriteState.ABSENT, why))
        elif (
            write.state is WriteState.SENT
            and write.kind not in KOMET_WRITES
            and write.overdue
            and write.strikes
            and not write.counts
        ):
            why = "Axerrio failed at it, though it answered others: it is given up, and goes anew as it is wanted now"
            verdicts.append(Verdict(write.id, WriteState.ABSENT, why))
    return tuple(verdicts)


def judged(situation: Situation) -> Situation:
    """The same, with its writes as they are once they were judged. Of one that shows in part the rest was left out."""
    verdicts = {verdict.write_id: verdict for verdict in judge(situation)}
    shown = {write.id for write in situation.writes if not write.state.is_open}
    writes = []
    for write in situation.writes:
        verdict = verdicts.get(write.id) if write.state.is_open else None
        if verdict is None:
            writes.append(write)
        elif verdict.state is WriteState.ABSENT and write.id in shown:
            writes.append(replace(write, state=WriteState.REFUSED, refusal=RefusalKind.OTHER, error=verdict.why))
        else:
            writes.append(replace(write, state=verdict.state))
    return replace(situation, writes=tuple(writes))


def make_plan(situation: Situation) -> Plan:
    """Say what leads on, for an order whose open writes were judged."""
    return Planner(situation).plan()
