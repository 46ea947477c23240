"""What the plan says of orders born in Komet when Axerrio changes, refuses or has shipped them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from models.canonical import Component, InboundStatus, LabelState, Line, LineStatus, Order, OrderStatus
from models.states import HoldCode, Kind, OrderState, WriteState
from tasks.plan import judge, judged, make_plan
from tasks.plan.facts import (
    KOMET_WRITES,
    PURCHASE_ORDER_CREATES,
    Change,
    PrebookItemFacts,
    Situation,
    WriteFacts,
)
from tests.tasks.examples import (
    ROSE,
    SHIP_DATE,
    TRUCK_DATE,
    a_label,
    a_line,
    a_mixed_line,
    a_shipment,
    a_write,
    an_answer,
    approved,
    bought,
    facts,
    item,
    left,
)
from tests.tasks.test_plan import born_in_komet, decided, linked, planned, told

LABELS = tuple(a_label("1", index) for index in range(1, 5))
LEFT = (a_shipment("S1", left("1", range(1, 5))),)


def sold(key: str, **changes: Any) -> Line:
    """A line by the id of its prebook item."""
    return a_line(key, external_line_id=key, **changes)


def standing(*covered: Any, **changes: Any) -> Situation:
    """An order of one line that Axerrio took and that is bought, with labels for it."""
    line = facts("1", wanted=sold("1"), prebook_items=(item("1", *(covered or (approved("1"),))),))
    new = born_in_komet(line, labels=LABELS)
    return replace(linked(told(new, make_plan(new).writes[0])), **changes)


def held_there(order: Situation, **changes: Any) -> Situation:
    """Axerrio's record of it says something else since."""
    applied = order.axerrio.applied
    assert applied is not None
    record = applied.model_copy(update=changes)
    return replace(order, axerrio=replace(order.axerrio, holds=record, record=record))


def with_line(order: Situation, **changes: Any) -> Situation:
    """Axerrio's record says something else of its line."""
    record = held_there(order).axerrio.holds
    assert record is not None
    return held_there(order, lines=(record.lines[0].model_copy(update=changes),))


def changed_in_komet(order: Situation, **changes: Any) -> Situation:
    """A Komet user changed the prebook's header."""
    return replace(order, wanted=order.wanted.model_copy(update=changes))


@pytest.mark.parametrize("status", [InboundStatus.PENDING, InboundStatus.REJECTED])
@pytest.mark.parametrize("of_line", [None, False])
def test_what_stands_leaves_although_axerrio_does_not_take_a_change(
    status: InboundStatus, of_line: bool | None
) -> None:
    there = standing(shipments=LEFT)
    answer = an_answer({"1": of_line} if of_line is not None else {}, status)
    refused = replace(there, axerrio=replace(there.axerrio, answer=answer))
    plan = make_plan(refused)
    assert planned(plan, Kind.AWB_ADD)
    assert not planned(plan, Kind.EXTERNAL_REFERENCES), "the links are what they were"
    assert (plan.reason_code == HoldCode.REJECTED) == (status is InboundStatus.REJECTED)
    assert not planned(make_plan(replace(refused, shipments=())), *KOMET_WRITES), "and nothing is bought anew"


def test_a_line_that_axerrio_passed_over_is_told() -> None:
    lines = (facts(key, wanted=sold(key), prebook_items=(item(key),)) for key in "12")
    new = born_in_komet(*lines)
    taken = told(new, make_plan(new).writes[0])
    silent = replace(taken, axerrio=replace(taken.axerrio, answer=an_answer({"1": True})))
    silent = replace(silent, lines=(silent.lines[0], replace(silent.lines[1], axerrio_line_key=None)))
    assert not make_plan(silent).holds, "its record may tell"
    applied = silent.axerrio.applied
    assert applied is not None
    plan = make_plan(held_there(silent, lines=applied.lines[:1]))
    assert plan.reason_code == HoldCode.REJECTED
    assert plan.reason
    assert "without line 2" in plan.reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"article": ROSE.model_copy(update={"code": "RMOND50"})}, "article RFREE50 → RMOND50"),
        ({"packing_code": "QB"}, "packing code HB → QB"),
        ({"article": ROSE.model_copy(update={"code": "rfree50", "description": "other words"})}, None),
        ({"packing_code": ""}, None),
    ],
)
def test_other_goods_in_axerrio_are_a_persons_change(changes: dict[str, Any], words: str | None) -> None:
    plan = make_plan(with_line(standing(), **changes))
    assert (plan.reason_code == HoldCode.CONFLICT) == (words is not None)
    assert words is None or (plan.reason is not None and words in plan.reason)


@pytest.mark.parametrize(("field", "is_edit"), [("buyer_code", True), ("carrier_code", True), ("comments", False)])
def test_another_buyer_or_carrier_in_axerrio_is_a_persons_change(field: str, is_edit: bool) -> None:
    plan = make_plan(held_there(standing(), **{field: "OTHER"}))
    assert (plan.reason_code == HoldCode.CONFLICT) == is_edit
    assert not make_plan(held_there(standing(), carrier_code=None)).holds, "it may leave the carrier out"


def test_other_contents_of_a_mixed_box_in_axerrio_are_a_persons_change() -> None:
    mixed = a_mixed_line("1", external_line_id="1")
    new = born_in_komet(facts("1", wanted=mixed, prebook_items=(item("1", approved("1")),)))
    there = linked(told(new, make_plan(new).writes[0]))
    parts = mixed.breakdown
    assert not make_plan(with_line(there, breakdown=parts[::-1])).holds
    assert not make_plan(with_line(there, breakdown=())).holds, "it may say nothing of them"
    other: tuple[Component, ...] = (parts[0].model_copy(update={"bunches": 6}), parts[1])
    plan = make_plan(with_line(there, breakdown=other))
    assert plan.reason
    assert "5 A + 5 B → 5 B + 6 A" in plan.reason


def test_what_a_person_left_to_axerrio_is_not_undone_by_the_next_trifle() -> None:
    fewer = with_line(standing(), boxes=2)
    settled = decided(fewer, "theirs")
    assert not make_plan(settled).writes
    touched = changed_in_komet(settled, comments="call first")
    plan = make_plan(touched)
    assert plan.reason_code == HoldCode.CONFLICT
    assert not planned(plan, Kind.INBOUND_ORDER)
    assert not make_plan(decided(touched, "theirs")).writes
    ((write, _),) = planned(make_plan(decided(touched, "ours")), Kind.INBOUND_ORDER)
    assert write.inbound is not None
    assert write.inbound.comments == "call first"


@pytest.mark.parametrize("is_deleted", [True, False])
def test_nothing_is_bought_for_an_order_that_stays_cancelled_in_axerrio(is_deleted: bool) -> None:
    new = born_in_komet(facts("1", wanted=sold("1"), prebook_items=(item("1"),)), begun_version=1)
    there = told(new, make_plan(new).writes[0])
    gone = replace(there, axerrio=replace(there.axerrio, is_deleted=True))
    gone = gone if is_deleted else held_there(there, status=OrderStatus.CANCELLED)
    assert make_plan(gone).reason_code == HoldCode.CONFLICT
    settled = make_plan(decided(gone, "theirs"))
    assert not planned(settled, *PURCHASE_ORDER_CREATES)
    assert settled.state is OrderState.CANCELLED
    assert planned(make_plan(decided(gone, "ours")), Kind.INBOUND_ORDER)


def test_an_edit_in_axerrio_of_what_has_shipped_is_only_told() -> None:
    there = with_line(standing(), boxes=2)
    by_ours = decided(there, "ours")
    shipped = with_line(by_ours, boxes=2, status=LineStatus.SHIPPED)
    plan = make_plan(shipped)
    assert [hold.choices for hold in plan.holds] == [("theirs",)]
    assert plan.reason
    assert "takes no change any more" in plan.reason


def test_a_prebook_line_that_was_set_to_0_after_its_boxes_left_is_told_of_them() -> None:
    shipped = standing(shipments=LEFT)
    record = held_there(shipped, status=OrderStatus.SHIPPED).axerrio.record
    assert isinstance(record, Order)
    zero = replace(
        shipped.lines[0],
        wanted=sold("1", boxes=0, status=LineStatus.CANCELLED),
        prebook_items=(replace(shipped.lines[0].prebook_items[0], boxes=0),),
    )
    late = replace(shipped, lines=(zero,), axerrio=replace(shipped.axerrio, record=record))
    asked = make_plan(late)
    assert HoldCode.CONFLICT in [hold.code for hold in asked.holds]
    fact = next(hold for hold in asked.holds if hold.line_key == "1")
    settled = replace(late, decisions={(fact.line_key, fact.fact or ""): "theirs"})
    assert planned(make_plan(settled), Kind.AWB_ADD)
    assert not planned(make_plan(settled), Kind.EXTERNAL_REFERENCES)


def test_a_ship_date_that_komet_does_not_show_is_followed_all_the_same() -> None:
    ours = a_write(90, Kind.PURCHASE_ORDER_CREATE, WriteState.DONE, "1", shown=True)
    there = standing(bought("1"), writes=(ours,))
    silent = replace(there.lines[0].prebook_items[0], material={"ship_date": None, "cost": "0.28"})
    later = replace(there.lines[0], ship_date=SHIP_DATE.replace(day=27), prebook_items=(silent,))
    assert planned(make_plan(replace(there, lines=(later,))), Kind.PURCHASE_ORDER_ITEM_DELETE)
    same = replace(later, ship_date=SHIP_DATE)
    assert not planned(make_plan(replace(there, lines=(same,))), *KOMET_WRITES)


@pytest.mark.parametrize("is_approved", [True, False])
def test_a_purchase_order_that_a_person_put_right_himself_stays(is_approved: bool) -> None:
    ours = a_write(90, Kind.PURCHASE_ORDER_CREATE, WriteState.DONE, "1", shown=True)
    right = bought("1", boxes=3, first_boxes=4)
    there = standing(right, writes=(ours,))
    covered = approved("1", boxes=3, first_boxes=4) if is_approved else right
    fewer = replace(there.lines[0].prebook_items[0], boxes=3, purchase_order_items=(covered,))
    line = replace(there.lines[0], wanted=sold("1", boxes=3), prebook_items=(fewer,))
    plan = make_plan(replace(there, lines=(line,)))
    assert not plan.holds
    assert not planned(plan, *KOMET_WRITES)
    day = "2026-11-27"
    moved = replace(right, boxes=4, ship_date=SHIP_DATE.replace(day=27), changes=(Change("ship_date", "x", day),))
    both = replace(fewer, boxes=4, material={"ship_date": day}, purchase_order_items=(moved,))
    later = replace(there.lines[0], ship_date=SHIP_DATE.replace(day=27), prebook_items=(both,))
    plan = make_plan(replace(there, lines=(later,)))
    assert not plan.holds
    assert not planned(plan, *KOMET_WRITES)


def test_a_cancellation_says_what_ours_does() -> None:
    there = standing()
    zero = replace(there.lines[0].prebook_items[0], boxes=0)
    line = replace(there.lines[0], wanted=None, prebook_items=(zero,))
    plan = make_plan(replace(there, lines=(line,)))
    assert plan.reason
    assert "Ours takes it away, theirs leaves Komet as it is" in plan.reason


def test_a_label_that_was_deleted_after_its_box_left_has_its_successor() -> None:
    gone = LABELS[0].model_copy(update={"state": LabelState.VOID})
    successor = a_label("1", 1, box_code="AX-NEW").model_copy(update={"key": "L-new"})
    there = standing(shipments=LEFT, labels=(gone, *LABELS[1:], successor))
    ((write, _),) = planned(make_plan(there), Kind.AWB_ADD)
    assert "AX-NEW" in {code for part in write.awb for code in part.box_codes}


def test_boxes_that_left_go_before_their_line_is_taken_from_axerrio() -> None:
    there = standing(approved("1"))
    zero = replace(there.lines[0], wanted=sold("1", boxes=0, status=LineStatus.CANCELLED), prebook_items=(gone(there),))
    other = facts("2", wanted=sold("2"), prebook_items=(item("2", approved("2"), sent=None, write_id=None),))
    both = linked(replace(there, lines=(*there.lines, other)))
    asked = replace(both, lines=(zero, both.lines[1]), shipments=(a_shipment("S1", left("1", (1, 2))),))
    fact = next(hold for hold in make_plan(asked).holds if hold.line_key == "1")
    settled = make_plan(replace(asked, decisions={("1", fact.fact or ""): "theirs"}))
    assert planned(settled, Kind.AWB_ADD)
    assert not planned(settled, Kind.INBOUND_ORDER)


def gone(order: Situation) -> PrebookItemFacts:
    """The item of its line, which a Komet user set to 0."""
    return replace(order.lines[0].prebook_items[0], boxes=0)


def test_an_edit_is_seen_while_axerrio_is_asked_again() -> None:
    answer = an_answer({"1": True, "2": False}).model_copy(
        update={"status": InboundStatus.PENDING, "said": InboundStatus.ACCEPTED}
    )
    edited = with_line(standing(), boxes=2)
    asked = changed_in_komet(replace(edited, axerrio=replace(edited.axerrio, answer=answer)), comments="call first")
    plan = make_plan(asked)
    assert plan.reason_code == HoldCode.CONFLICT
    assert not planned(plan, Kind.INBOUND_ORDER)


def test_a_line_that_axerrio_passed_over_is_sent_again_after_a_requeue() -> None:
    new = born_in_komet(*(facts(key, wanted=sold(key), prebook_items=(item(key),)) for key in "12"))
    taken = told(new, make_plan(new).writes[0])
    lines = (taken.lines[0], replace(taken.lines[1], axerrio_line_key=None))
    silent = replace(taken, lines=lines, axerrio=replace(taken.axerrio, answer=an_answer({"1": True})))
    applied = silent.axerrio.applied
    assert applied is not None
    without = held_there(silent, lines=applied.lines[:1])
    counts = replace(without, axerrio=replace(without.axerrio, answer_counts=True))
    assert not planned(make_plan(counts), Kind.INBOUND_ORDER)
    requeued = replace(without, axerrio=replace(without.axerrio, answer_counts=False))
    assert planned(make_plan(requeued), Kind.INBOUND_ORDER)


def test_a_mapping_that_was_corrected_after_axerrio_shipped_is_no_change_of_komets() -> None:
    shipped = with_line(standing(), status=LineStatus.SHIPPED)
    article = ROSE.model_copy(update={"code": "RFREE51"})
    line = replace(shipped.lines[0], wanted=sold("1", article=article, packing_code="HALF"))
    assert not make_plan(replace(shipped, lines=(line,))).holds
    fewer = replace(shipped.lines[0], wanted=sold("1", boxes=3))
    assert make_plan(replace(shipped, lines=(fewer,))).reason_code == HoldCode.CONFLICT


def test_what_komet_follows_is_no_conflict() -> None:
    edited = with_line(standing(), boxes=2)
    line = replace(edited.lines[0], wanted=sold("1", boxes=2))
    for order in (edited, decided(edited, "theirs")):
        plan = make_plan(replace(order, lines=(line,)))
        assert not [hold for hold in plan.holds if hold.line_key is None]
        assert planned(plan, Kind.INBOUND_ORDER)


def test_codes_come_back_in_other_letters() -> None:
    assert not make_plan(with_line(standing(), packing_code="hb")).holds
    assert not make_plan(held_there(standing(), buyer_code="c100", carrier_code="arm")).holds


def test_of_two_purchase_orders_of_a_prebook_line_the_approved_one_is_asked_about_first() -> None:
    there = standing(bought("1", boxes=2), approved("1", item_id="791", number="70020", boxes=2))
    zero = replace(there.lines[0], wanted=None, prebook_items=(gone(there),))
    plan = make_plan(replace(there, lines=(zero,)))
    assert plan.reason_code == HoldCode.CONFLICT
    assert not planned(plan, *KOMET_WRITES)


def failed_at(kind: Kind, **changes: Any) -> WriteFacts:
    """A write at which Axerrio failed twelve times, while it answered others."""
    how = {"strikes": 12, "deadline_in": timedelta(seconds=-1)} | changes
    return a_write(90, kind, WriteState.SENT, "1", **how)


def test_what_axerrio_failed_at_goes_as_it_is_wanted_once_the_order_begins_afresh() -> None:
    new = born_in_komet(facts("1", wanted=sold("1", boxes=5), prebook_items=(item("1", boxes=5),)))
    asked = replace(new, writes=(failed_at(Kind.INBOUND_ORDER),))
    assert make_plan(asked).state is OrderState.FAILED
    for kept in ({"counts": True}, {"counts": False, "strikes": 0}, {"counts": False, "deadline_in": timedelta(1)}):
        assert not judge(replace(new, writes=(failed_at(Kind.INBOUND_ORDER, **kept),))), "it is repeated as it was"
    plan = make_plan(judged(replace(new, writes=(failed_at(Kind.INBOUND_ORDER, counts=False),))))
    assert plan.repeats == ()
    ((write, _),) = planned(plan, Kind.INBOUND_ORDER)
    assert write.inbound is not None
    assert [line.boxes for line in write.inbound.lines] == [5]


def test_what_axerrio_failed_at_may_stand_there_until_it_is_told_otherwise() -> None:
    new = born_in_komet(facts("1", wanted=sold("1"), prebook_items=(item("1"),)))
    given_up = a_write(90, Kind.INBOUND_ORDER, WriteState.ABSENT, "1", counts=False)
    withdrawn = replace(new, writes=(given_up,), cancelled_by=("ann", "no truck"))
    ((write, _),) = planned(make_plan(withdrawn), Kind.INBOUND_ORDER)
    assert write.inbound is None, "it is cancelled there"
    over = a_write(91, Kind.INBOUND_ORDER, WriteState.DONE, "1")
    assert make_plan(replace(withdrawn, writes=(given_up, over))).state is OrderState.CANCELLED
    back = replace(standing(), writes=(given_up,))
    assert planned(make_plan(back), Kind.INBOUND_ORDER), "what is wanted again is what it took before"
    for kind in (Kind.EXTERNAL_REFERENCES, Kind.PROCUREMENT_STATUS):
        there = replace(standing(), writes=(a_write(90, kind, WriteState.ABSENT, "1", counts=False),))
        assert planned(make_plan(there), kind)
        assert not planned(make_plan(replace(there, writes=(*there.writes, a_write(91, kind, WriteState.DONE)))), kind)


def test_what_axerrio_was_sent_and_never_answered_is_no_edit_of_a_persons() -> None:
    stored = with_line(standing(), boxes=6)
    line = replace(stored.lines[0], wanted=sold("1", boxes=8), prebook_items=(item("1", approved("1"), boxes=8),))
    given_up = a_write(90, Kind.INBOUND_ORDER, WriteState.ABSENT, "1", counts=False)
    afresh = replace(stored, lines=(line,), writes=(given_up,))
    plan = make_plan(afresh)
    assert not plan.holds
    ((write, _),) = planned(plan, Kind.INBOUND_ORDER)
    assert write.inbound is not None
    assert [each.boxes for each in write.inbound.lines] == [8]
    edited = replace(afresh, writes=(given_up, a_write(91, Kind.INBOUND_ORDER, WriteState.DONE, "1")))
    assert [hold.line_key for hold in make_plan(edited).holds] == [None], "that was answered, and is another one now"


def test_an_order_on_which_axerrio_never_decides_is_told_once_it_left() -> None:
    new = born_in_komet(facts("1", wanted=sold("1"), prebook_items=(item("1"),)))
    there = told(new, make_plan(new).writes[0])
    pending = replace(
        there, lines=new.lines, axerrio=replace(there.axerrio, answer=an_answer({}, InboundStatus.PENDING))
    )
    assert not make_plan(pending).holds
    left = replace(pending, today=TRUCK_DATE + timedelta(days=1))
    plan = make_plan(left)
    assert (plan.state, plan.reason_code) == (OrderState.HELD, HoldCode.DEPARTED)
    assert plan.reason == f"It left on {SHIP_DATE}, and Axerrio has not decided on it."
    over = make_plan(replace(pending, today=TRUCK_DATE + timedelta(days=8)))
    assert over.state is OrderState.CLOSED
    assert over.reason
    assert "Axerrio has not decided" in over.reason
    taken = replace(left, lines=there.lines)
    assert not make_plan(taken).holds, "it took the order, and thinks a change of it over"
