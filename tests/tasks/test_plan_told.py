"""What the plan must say to somebody: what left, what was taken away, what cannot be read, what is decided once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from clients.errors import RefusalKind
from models.canonical import InboundStatus, Line, LineStatus, OrderStatus, PurchaseOrderStatus
from models.states import Feed, HoldCode, Kind, OrderState, WriteState
from tasks.plan import make_plan
from tasks.plan.facts import (
    KOMET_WRITES,
    PURCHASE_ORDER_CREATES,
    Change,
    LineFacts,
    Look,
    PurchaseOrderItemFacts,
    Situation,
    WriteFacts,
)
from tests.tasks.examples import (
    SHIP_DATE,
    TRUCK_DATE,
    a_box,
    a_label,
    a_line,
    a_mixed_line,
    a_shipment,
    a_situation,
    a_write,
    an_answer,
    an_order,
    approved,
    as_sent,
    bought,
    code_of,
    facts,
    item,
    left,
)
from tests.tasks.test_drift import told as drift_of
from tests.tasks.test_plan import EDIT, born_in_komet, decided, linked, on_the_way, planned, told

SHIPPED = a_line("1", status=LineStatus.SHIPPED)


def refused_create(**changes: object) -> Situation:
    """A new order that Komet refused."""
    refused = a_write(1, Kind.PREBOOK_CREATE, WriteState.REFUSED, "1", refusal=RefusalKind.UNKNOWN_REFERENCE)
    return a_situation((facts("1"),), **{"begun_version": 1, "writes": (refused,)} | changes)


def left_by(order: Situation, line: LineFacts) -> Situation:
    """The order in a newer version, in which the line left."""
    shipped = replace(line, wanted=a_line(line.line_key, status=LineStatus.SHIPPED))
    wanted = an_order((shipped.wanted for _ in "1" if shipped.wanted), OrderStatus.SHIPPED, version=2)
    return replace(order, wanted=wanted, lines=(shipped,))


# -- what left -------------------------------------------------------------------------------------------------


def test_an_order_that_left_while_komet_had_none_of_it_is_not_closed_in_silence() -> None:
    held = refused_create()
    assert make_plan(held).reason_code == HoldCode.REJECTED
    gone = left_by(held, held.lines[0])
    plan = make_plan(gone)
    assert (plan.state, plan.reason_code) == (OrderState.HELD, HoldCode.DEPARTED)
    assert plan.reason
    assert "nothing of it stands in Komet" in plan.reason
    over = replace(gone, today=TRUCK_DATE + timedelta(days=8))
    assert make_plan(over).state is OrderState.CLOSED
    first_seen = replace(gone, wanted=gone.wanted.model_copy(update={"version": 1}))
    assert make_plan(first_seen).state is OrderState.CLOSED, "it left before it was ever seen"


def test_what_a_person_gave_up_in_komet_may_leave_without_it() -> None:
    held = a_situation((facts("1", prebook_items=(item("1", boxes=0),)),), begun_version=1)
    gone = left_by(held, held.lines[0])
    assert make_plan(gone).reason_code == HoldCode.DEPARTED
    assert make_plan(left_by(decided(held, "theirs"), held.lines[0])).state is OrderState.CLOSED


def test_what_is_bought_of_an_item_that_a_person_deleted_is_named_and_its_boxes_leave() -> None:
    there = on_the_way(facts("1", prebook_items=(item("1", approved("1")),)), begun_version=1)
    deleted = replace(there, lines=(replace(there.lines[0], prebook_items=(item("1", approved("1"), boxes=0),)),))
    plan = make_plan(deleted)
    assert plan.reason
    assert "purchase order 70012" in plan.reason.casefold()
    stays = decided(deleted, "theirs")
    assert make_plan(stays).state is OrderState.APPROVED
    assert not make_plan(stays).writes
    leaves = replace(stays, shipments=(a_shipment("S1", left("1", range(1, 5))),))
    assert planned(make_plan(leaves), Kind.AWB_ADD)
    ((write, _),) = planned(make_plan(decided(deleted, "ours")), Kind.PURCHASE_ORDER_ITEM_DELETE)
    assert write.requests == 3, "it goes, and prebook and purchase order are made"
    cancelled = bought("1", status=PurchaseOrderStatus.CANCELLED)
    nothing = replace(stays, lines=(replace(there.lines[0], prebook_items=(item("1", cancelled, boxes=0),)),))
    assert make_plan(linked(nothing)).state is OrderState.CANCELLED


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_line_that_left_while_komet_did_not_have_it_is_told(is_alone: bool) -> None:
    missing = facts("2", wanted=a_line("2", status=LineStatus.SHIPPED))
    lines = (missing,) if is_alone else (facts("1", prebook_items=(item("1", approved("1")),)), missing)
    wanted = an_order((line.wanted for line in lines if line.wanted), version=2)
    plan = make_plan(linked(a_situation(lines, wanted=wanted, begun_version=1)))
    assert plan.reason_code == HoldCode.DEPARTED
    assert plan.reason
    assert "Line 2 left" in plan.reason
    new = replace(missing, since_version=2)
    assert not make_plan(a_situation((*lines[:-1], new), wanted=wanted, begun_version=1)).holds


def test_what_is_shipped_after_a_person_shipped_some_by_hand_is_asked_about_and_never_sent_twice() -> None:
    by_hand = approved("1", boxes=2, first_boxes=4, box_codes=("H1", "H2"))
    rest = approved("1", item_id="791", boxes=2, first_boxes=2)
    line = facts("1", prebook_items=(item("1", by_hand, rest),))
    settled = decided(on_the_way(line), "theirs")
    assert make_plan(settled).state is OrderState.APPROVED
    same = replace(settled, shipments=(a_shipment("S1", left("1", (1, 2))),))
    assert not planned(make_plan(same), Kind.AWB_ADD), "they may be what the person shipped"
    later = replace(decided(same, "theirs"), shipments=(*same.shipments, a_shipment("S2", left("1", (3, 4)))))
    ((write, _),) = planned(make_plan(decided(later, "ours")), Kind.AWB_ADD)
    assert [(part.shipment_key, part.item_id) for part in write.awb] == [("S2", "791")]
    assert {code for part in write.awb for code in part.box_codes} == {code_of("1", 3), code_of("1", 4)}
    boxes = tuple(a_box("1", index, "S2", purchase_order_item_id="791") for index in (3, 4))
    shown = replace(rest, box_codes=tuple(box.box_code for box in boxes))
    all_left = replace(line, prebook_items=(item("1", by_hand, shown),), boxes=boxes)
    assert make_plan(replace(decided(later, "ours"), lines=(all_left,))).state is OrderState.SHIPPED
    over = left_by(decided(same, "theirs"), line)
    assert make_plan(over).state is OrderState.SHIPPED, "two boxes were all that left"
    assert {each.kind for each in drift_of(same)} == {"missing", "different"}
    assert drift_of(decided(same, "theirs")) == []


def test_a_shipment_of_which_a_person_shipped_some_by_hand_goes_by_hand() -> None:
    by_hand = approved("1", boxes=2, first_boxes=4, box_codes=("H1", "H2"))
    rest = approved("1", item_id="791", boxes=2, first_boxes=2)
    line = facts("1", prebook_items=(item("1", by_hand, rest),))
    order = decided(on_the_way(line, shipments=(a_shipment("S1", left("1", range(1, 5))),)), "theirs")
    assert [hold.choices for hold in make_plan(order).holds] == [("theirs",)], "there is no room for four"
    among = decided(order, "theirs")
    for each in (among, left_by(among, line)):
        plan = make_plan(each)
        assert plan.reason_code == HoldCode.NOT_VISIBLE
        assert plan.reason
        assert "4 boxes left, and Komet shows 2" in plan.reason
    all_there = replace(line, prebook_items=(item("1", by_hand, replace(rest, box_codes=("H3", "H4"))),))
    assert make_plan(decided(replace(among, lines=(all_there,)), "theirs")).state is OrderState.SHIPPED


def test_a_shipment_that_is_none_of_what_a_person_shipped_by_hand_grows_without_a_question() -> None:
    by_hand = approved("1", boxes=2, first_boxes=4, box_codes=("H1", "H2"))
    rest = approved("1", item_id="791", boxes=2, first_boxes=2)
    line = facts("1", prebook_items=(item("1", by_hand, rest),))
    one = decided(decided(on_the_way(line, shipments=(a_shipment("S2", left("1", (3,))),)), "theirs"), "ours")
    assert planned(make_plan(one), Kind.AWB_ADD)
    gone = replace(rest, boxes=1, box_codes=(code_of("1", 3),))
    last = approved("1", item_id="792", boxes=1, first_boxes=1)
    sent = replace(line, prebook_items=(item("1", by_hand, gone, last),), boxes=(a_box("1", 3, "S2"),))
    both = replace(one, lines=(sent,), shipments=(a_shipment("S2", left("1", (3, 4))),))
    ((write, _),) = planned(make_plan(both), Kind.AWB_ADD)
    assert [part.item_id for part in write.awb] == ["792"]


def test_codes_that_komet_shows_already_are_not_sent_again() -> None:
    """A person typed our labels' codes."""
    typed = approved("1", boxes=2, first_boxes=4, box_codes=(code_of("1", 1), code_of("1", 2)))
    rest = approved("1", item_id="791", boxes=2, first_boxes=2)
    line = facts("1", prebook_items=(item("1", typed, rest),))
    order = on_the_way(line, shipments=(a_shipment("S1", left("1", (1, 2))),))
    settled = decided(decided(order, "theirs"), "ours")
    assert not planned(make_plan(settled), Kind.AWB_ADD)


def test_a_code_that_another_box_carries_is_not_sent_for_a_second_one() -> None:
    line = facts("1", prebook_items=(item("1", approved("1")),))
    all_of_it, one = (a_shipment("S1", left("1", range(1, 5))),), (a_shipment("S1", left("1", (3,))),)
    elsewhere = frozenset({code_of("1", 3)})
    ((write, _),) = planned(make_plan(on_the_way(line, shipments=all_of_it, codes_elsewhere=elsewhere)), Kind.AWB_ADD)
    assert {code for part in write.awb for code in part.box_codes} == {code_of("1", index) for index in (1, 2, 4)}
    held = make_plan(on_the_way(line, shipments=one, codes_elsewhere=elsewhere))
    assert held.reason_code == HoldCode.INVALID
    assert not planned(held, Kind.AWB_ADD)
    carries = a_box("2", 1, box_code=code_of("1", 3))
    other = facts("2", prebook_items=(item("2", approved("2", box_codes=(code_of("1", 3),))),), boxes=(carries,))
    twice = make_plan(on_the_way(line, other, shipments=one))
    assert not any(part.line_id == 1 for write in twice.writes for part in write.awb)


@pytest.mark.parametrize("boxes", [0, 1, 5])
def test_a_purchase_order_that_a_person_changed_after_boxes_left_is_told(boxes: int) -> None:
    codes = (code_of("1", 1), code_of("1", 2))
    gone = approved("1", boxes=2, first_boxes=4, box_codes=codes)
    rest = approved("1", item_id="791", boxes=boxes, first_boxes=2)
    line = facts("1", prebook_items=(item("1", gone, rest),), boxes=(a_box("1", 1), a_box("1", 2)))
    held = on_the_way(line, shipments=(a_shipment("S1", left("1", (1, 2))),))
    plan = make_plan(held)
    assert (plan.reason_code, [hold.choices for hold in plan.holds]) == (HoldCode.CONFLICT, [("theirs",)])
    assert not make_plan(decided(held, "theirs")).holds
    over = make_plan(left_by(held, held.lines[0]))
    assert (over.state, bool(over.notices)) == (OrderState.SHIPPED, boxes != 0), "nothing more leaves"


def test_what_procurement_changes_on_an_order_that_left_is_for_information() -> None:
    boxes = tuple(a_box("1", index) for index in range(1, 5))
    dearer = approved("1", box_codes=tuple(box.box_code for box in boxes), changes=EDIT)
    line = facts("1", prebook_items=(item("1", dearer),), boxes=boxes)
    there = on_the_way(line, shipments=(a_shipment("S1", left("1", range(1, 5))),))
    plan = make_plan(there)
    assert (plan.state, plan.holds) == (OrderState.SHIPPED, ())
    assert "cost 0.28 → 0.30" in plan.notices[0]


def test_what_was_decided_of_a_purchase_orders_boxes_holds_when_they_leave_one_by_one() -> None:
    fewer = approved("1", boxes=3, first_boxes=4)
    held = on_the_way(facts("1", prebook_items=(item("1", fewer),)))
    settled = decided(held, "theirs")
    gone = approved("1", boxes=2, first_boxes=4, box_codes=(code_of("1", 1), code_of("1", 2)))
    split = (gone, approved("1", item_id="791", boxes=1, first_boxes=1))
    line = facts("1", prebook_items=(item("1", *split),), boxes=(a_box("1", 1), a_box("1", 2)))
    shipments = (a_shipment("S1", left("1", (1, 2))), a_shipment("S2", left("1", (3,))))
    ((write, _),) = planned(make_plan(replace(settled, lines=(line,), shipments=shipments)), Kind.AWB_ADD)
    assert [(part.shipment_key, part.item_id) for part in write.awb] == [("S2", "791")]


@pytest.mark.parametrize("status", [OrderStatus.SHIPPED, OrderStatus.CLOSED])
def test_a_line_that_was_taken_off_an_order_before_it_left_did_not_leave(status: OrderStatus) -> None:
    leaves = facts("1", prebook_items=(item("1", approved("1")),))
    for covered, kind in ((bought("2"), Kind.PURCHASE_ORDER_ITEM_DELETE), (approved("2"), None)):
        there = on_the_way(leaves, facts("2", prebook_items=(item("2", covered),)))
        removed = replace(there.lines[1], wanted=None, wanted_as_sent=None)
        gone = replace(there, lines=(leaves, removed), wanted=an_order((a_line("1"),), status, version=2))
        plan = make_plan(gone)
        assert [write.kind for write, _ in planned(plan, *KOMET_WRITES)] == ([kind] if kind else [])
        assert [(hold.line_key, hold.choices) for hold in plan.holds] == ([] if kind else [("2", ("ours", "theirs"))])
        of_it = replace(gone, shipments=(a_shipment("S1", left("2", range(1, 5))),))
        assert ("2", ("theirs",)) in [(hold.line_key, hold.choices) for hold in make_plan(of_it).holds]
    assert planned(make_plan(decided(gone, "ours")), Kind.PURCHASE_ORDER_ITEM_DELETE)


@pytest.mark.parametrize("status", [OrderStatus.SHIPPED, OrderStatus.CLOSED])
def test_a_record_that_is_tidied_away_after_the_order_left_asks_for_nothing(status: OrderStatus) -> None:
    boxes = tuple(a_box("1", index) for index in range(1, 5))
    covering = approved("1", box_codes=tuple(box.box_code for box in boxes))
    line = facts("1", wanted=SHIPPED, prebook_items=(item("1", covering),), boxes=boxes)
    there = on_the_way(line, shipments=(a_shipment("S1", left("1", range(1, 5))),), wanted=an_order((SHIPPED,), status))
    before, after = make_plan(there), make_plan(replace(there, is_deleted=True))
    assert (after.state, after.holds, after.writes) == (before.state, (), ())


# -- what is taken back ----------------------------------------------------------------------------------------


def test_a_change_since_a_cancellation_by_hand_is_asked_about_until_the_order_is_over() -> None:
    there = a_situation((facts("1"),), cancelled_by=("ann", "sold twice"), changed_since_cancelled="wanted anew")
    assert make_plan(there).reason_code == HoldCode.CONFLICT
    over = replace(there, today=TRUCK_DATE + timedelta(days=8))
    assert make_plan(over).state is OrderState.CANCELLED
    assert make_plan(replace(over, changed_on=over.today)).reason_code == HoldCode.CONFLICT, "it changed just now"


def test_a_cancellation_by_hand_that_axerrio_refuses_is_told_and_keeps_the_purchase_order() -> None:
    there = linked(born_in_komet(facts("1", prebook_items=(item("1", bought("1")),))))
    cancelled = replace(there, cancelled_by=("ann", "sold twice"))
    assert planned(make_plan(cancelled), Kind.INBOUND_ORDER)
    too_late = a_write(7, Kind.INBOUND_ORDER, WriteState.REFUSED, "1", refusal=RefusalKind.CONFLICT)
    held = replace(cancelled, writes=(*cancelled.writes, too_late))
    plan = make_plan(held)
    assert plan.reason_code == HoldCode.CONFLICT
    assert plan.reason
    assert "ann cancelled it here" in " ".join(hold.message for hold in plan.holds)
    assert not planned(plan, *KOMET_WRITES)
    other = replace(held, writes=(*cancelled.writes, replace(too_late, refusal=RefusalKind.INVALID)))
    assert HoldCode.REJECTED in [hold.code for hold in make_plan(other).holds]


def test_links_stay_while_axerrio_has_not_decided_on_a_change() -> None:
    new = born_in_komet(facts("1", prebook_items=(item("1", bought("1")),)))
    taken = linked(told(new, make_plan(new).writes[0]))
    unsure = replace(taken.lines[0], axerrio_line_key=None)
    pending = replace(
        taken, lines=(unsure,), axerrio=replace(taken.axerrio, answer=an_answer({}, InboundStatus.PENDING))
    )
    assert not planned(make_plan(pending), Kind.EXTERNAL_REFERENCES)


# -- what cannot be read ---------------------------------------------------------------------------------------


def test_a_list_that_is_never_whole_holds_the_line_that_waits_for_it() -> None:
    line = facts("1", prebook_items=(item("1"),), unlooked_days=(SHIP_DATE,))
    waiting = make_plan(a_situation((line,)))
    assert (waiting.state, [look.active for look in waiting.looks]) == (OrderState.PREBOOKED, [True])
    held = make_plan(a_situation((replace(line, hidden_days=(SHIP_DATE,)),)))
    assert (held.reason_code, [look.active for look in held.looks]) == (HoldCode.NOT_VISIBLE, [False])
    assert not planned(held, *PURCHASE_ORDER_CREATES)


def test_what_may_be_approved_by_now_is_not_deleted_by_a_list_that_is_never_whole() -> None:
    line = facts("1", wanted=a_line("1", boxes=6), prebook_items=(item("1", bought("1")),), stale_days=(SHIP_DATE,))
    assert not planned(make_plan(a_situation((line,))), *KOMET_WRITES)
    held = make_plan(a_situation((replace(line, hidden_days=(SHIP_DATE,)),)))
    assert held.reason_code == HoldCode.NOT_VISIBLE
    assert not planned(held, *KOMET_WRITES)


def test_after_a_refusal_a_list_that_is_never_whole_is_waited_for_no_longer_than_a_look() -> None:
    line = facts("1", wanted=a_line("1", boxes=6), prebook_items=(item("1", bought("1")),))
    refused = a_write(1, Kind.PURCHASE_ORDER_ITEM_DELETE, WriteState.REFUSED, "1", refusal=RefusalKind.OTHER)
    assert not planned(make_plan(a_situation((line,), writes=(refused,))), *KOMET_WRITES)
    read = make_plan(a_situation((line,), writes=(replace(refused, reads=1),)))
    assert planned(read, Kind.PURCHASE_ORDER_ITEM_DELETE)


def test_a_purchase_order_of_which_a_list_shows_another_line_only_is_not_made_twice() -> None:
    both = a_write(9, Kind.PURCHASE_ORDER_CREATE, WriteState.DONE, "1", "2", shown=True, look_key=SHIP_DATE.isoformat())
    lines = (facts("1", prebook_items=(item("1", bought("1")),)), facts("2", prebook_items=(item("2"),)))
    plan = make_plan(linked(a_situation(lines, writes=(both,))))
    assert not planned(plan, *PURCHASE_ORDER_CREATES)
    assert any(look.active for look in plan.looks)
    unseen = make_plan(linked(a_situation(lines, writes=(replace(both, reads=2),))))
    assert unseen.reason_code == HoldCode.NOT_VISIBLE
    removed = replace(lines[1], prebook_items=(item("2", bought("2", boxes=0, first_boxes=4)),))
    assert make_plan(linked(a_situation((lines[0], removed), writes=(both,)))).reason_code == HoldCode.CONFLICT


@pytest.mark.parametrize("wanted", [a_line("1", boxes=6), None])
def test_a_purchase_order_that_no_list_ever_showed_is_not_forgotten_with_its_prebook_item(wanted: Line | None) -> None:
    """It may stand: neither is a second one made beside it, nor is the order over, before a person looked."""
    made = a_write(7, Kind.PURCHASE_ORDER_CREATE, WriteState.DONE, "1", looks=2, look_key=SHIP_DATE.isoformat())
    gone = facts("1", wanted=wanted, prebook_items=(item("1", boxes=0, is_deleted_by_us=True),))
    unseen = a_situation((gone,), writes=(made,), begun_version=1)
    plan = make_plan(unseen)
    (hold,) = plan.holds
    assert (hold.code, hold.fact, hold.choices) == (HoldCode.NOT_VISIBLE, "write 7", ("resend",))
    assert [(look.key, look.active) for look in plan.looks] == [(SHIP_DATE.isoformat(), False)]
    assert not planned(plan, *KOMET_WRITES)
    early = make_plan(replace(unseen, writes=(replace(made, looks=0, reads=0),)))
    assert ([look.active for look in early.looks], planned(early, *KOMET_WRITES)) == ([True], [])
    given_up = replace(unseen, writes=(replace(made, state=WriteState.ABSENT),))
    settled = make_plan(given_up)
    assert bool(planned(settled, Kind.PREBOOK_CREATE)) == (wanted is not None)
    assert settled.state is OrderState.CANCELLED or wanted is not None
    assert [(look.key, look.active) for look in settled.looks] == [(SHIP_DATE.isoformat(), False)], "it may be late"
    assert not make_plan(replace(given_up, today=SHIP_DATE + timedelta(days=1))).looks
    over = make_plan(replace(unseen, today=TRUCK_DATE + timedelta(days=9)))
    assert over.state is OrderState.CLOSED


def test_a_purchase_order_that_was_given_up_is_looked_for_though_its_order_is_over() -> None:
    lost = a_write(7, Kind.PURCHASE_ORDER_CREATE, WriteState.ABSENT, "1", look_key=SHIP_DATE.isoformat())
    gone = facts("1", prebook_items=(item("1", boxes=0, is_deleted_by_us=True),))
    cancelled = an_order((a_line("1"),), OrderStatus.CANCELLED)
    over = make_plan(a_situation((gone,), wanted=cancelled, writes=(lost,), begun_version=1))
    assert (over.state, [look.key for look in over.looks]) == (OrderState.CANCELLED, [SHIP_DATE.isoformat()])
    late = facts("1", prebook_items=(item("1", bought("1"), boxes=0, is_deleted_by_us=True),))
    shown = make_plan(a_situation((late,), wanted=cancelled, writes=(lost,), begun_version=1))
    assert planned(shown, Kind.PURCHASE_ORDER_ITEM_DELETE)


# -- what is decided -------------------------------------------------------------------------------------------


def test_a_decision_is_on_one_purchase_order_item_and_the_next_change_is_asked_anew() -> None:
    def changed(item_id: str) -> Situation:
        fewer = bought("1", item_id=item_id, boxes=3, first_boxes=4)
        return on_the_way(facts("1", prebook_items=(item("1", fewer),)))

    first = decided(changed("781"), "ours")
    assert planned(make_plan(first), Kind.PURCHASE_ORDER_ITEM_DELETE)
    again = make_plan(replace(changed("799"), decisions=first.decisions))
    assert again.reason_code == HoldCode.CONFLICT
    assert not planned(again, Kind.PURCHASE_ORDER_ITEM_DELETE)


def test_a_changed_prebook_is_asked_about_anew_once_it_was_bought_anew() -> None:
    ours = a_write(90, Kind.PURCHASE_ORDER_CREATE, WriteState.DONE, "1", shown=True)
    there = linked(born_in_komet(facts("1", prebook_items=(item("1", approved("1")),)), writes=(ours,)))
    grown = replace(there.lines[0].prebook_items[0], boxes=6)
    line = replace(there.lines[0], wanted=a_line("1", boxes=6), prebook_items=(grown,))
    first = decided(replace(there, lines=(line,)), "ours")
    assert planned(make_plan(first), Kind.PURCHASE_ORDER_ITEM_DELETE)
    anew = replace(grown, purchase_order_items=(approved("1", item_id="799"),))
    again = make_plan(replace(first, lines=(replace(line, prebook_items=(anew,)),)))
    assert again.reason_code == HoldCode.CONFLICT
    assert not planned(again, Kind.PURCHASE_ORDER_ITEM_DELETE)


def test_a_loss_that_was_decided_is_not_asked_about_again_for_a_newer_version() -> None:
    lost = item("1", boxes=0)
    held = a_situation((facts("1", wanted=a_line("1", boxes=8), prebook_items=(lost,)),), begun_version=1)
    settled = decided(held, "ours")
    assert planned(make_plan(settled), Kind.PREBOOK_CREATE)
    ours = item("1", item_id="8817", boxes=0, sent=as_sent(a_line("1", boxes=8)), is_deleted_by_us=True)
    newer = facts("1", wanted=a_line("1", boxes=9), prebook_items=(lost, ours))
    plan = make_plan(replace(settled, lines=(newer,)))
    assert not plan.holds
    assert planned(plan, Kind.PREBOOK_CREATE)


def test_a_loss_that_was_given_up_and_wanted_again_is_not_given_up_for_an_older_word() -> None:
    lost = item("1", boxes=0)
    held = a_situation((facts("1", prebook_items=(lost,)),), begun_version=1)
    given_up = decided(held, "theirs")
    newer = replace(held.lines[0], wanted=a_line("1", boxes=6), wanted_as_sent=as_sent(a_line("1", boxes=6)))
    wanted_again = decided(replace(given_up, lines=(newer,)), "ours")
    assert planned(make_plan(wanted_again), Kind.PREBOOK_CREATE)
    ours = item("1", item_id="8817", boxes=0, sent=as_sent(a_line("1", boxes=6)), is_deleted_by_us=True)
    back = replace(held.lines[0], prebook_items=(lost, ours))
    plan = make_plan(replace(wanted_again, lines=(back,)))
    assert planned(plan, Kind.PREBOOK_CREATE), "it is wanted as it was first, and the last word was ours"


@pytest.mark.parametrize("boxes", [4, 6])
def test_a_draft_that_is_left_in_komet_changes_nothing_there(boxes: int) -> None:
    wanted = a_line("1", boxes=boxes)
    for covered in ((), (bought("1"),)):
        line = facts("1", wanted=wanted, prebook_items=(item("1", *covered),))
        draft = on_the_way(line, wanted=an_order((wanted,), OrderStatus.DRAFT, version=2))
        plan = make_plan(decided(draft, "theirs"))
        assert not planned(plan, *KOMET_WRITES)
        confirmed = replace(draft, wanted=an_order((wanted,), version=3))
        assert planned(make_plan(confirmed), *KOMET_WRITES) or (covered and boxes == 4)


def test_a_draft_that_nobody_confirms_comes_to_an_end() -> None:
    draft = a_situation((facts("1"),), wanted=an_order((a_line("1"),), OrderStatus.DRAFT))
    assert make_plan(draft).state is OrderState.RECEIVED
    assert make_plan(replace(draft, today=TRUCK_DATE + timedelta(days=8))).state is OrderState.CLOSED


@pytest.mark.parametrize(
    ("line", "order", "code"),
    [
        ({"unit_cost": None}, {}, HoldCode.INVALID),
        ({"boxes": 6, "bunches_per_box": 0}, {}, HoldCode.INVALID),
        ({"boxes": 6, "packing_code": "ZZ"}, {"unknown_packings": ("ZZ",)}, HoldCode.UNMAPPED_REFERENCE),
        ({"departure_date": SHIP_DATE - timedelta(days=9)}, {}, HoldCode.CONFLICT),
        ({"boxes": 6}, {"carrier_code": None}, HoldCode.INVALID),
        ({"boxes": 6}, {"carrier_known": False}, HoldCode.UNMAPPED_REFERENCE),
        ({"boxes": 6}, {"customer_code": None}, HoldCode.UNMAPPED_REFERENCE),
    ],
)
@pytest.mark.parametrize("covered", [(), (bought("1"),)])
def test_nothing_is_taken_away_for_what_cannot_be_made(
    line: dict[str, Any], order: dict[str, Any], code: HoldCode, covered: tuple[PurchaseOrderItemFacts, ...]
) -> None:
    wanted = a_line("1", **line)
    there = a_situation((facts("1", wanted=wanted, prebook_items=(item("1", *covered),)),), begun_version=1, **order)
    plan = make_plan(there)
    assert plan.reason_code == code
    assert [hold.line_key for hold in plan.holds] == ["1"], "its other lines go on"
    assert not planned(plan, *KOMET_WRITES)
    begun = replace(there.lines[0], prebook_items=(item("1", is_deleted_by_us=True),))
    assert planned(make_plan(replace(there, lines=(begun,))), Kind.PREBOOK_ITEM_DELETE) or order, "it goes on"


def test_a_change_after_its_day_is_a_persons_matter_and_what_left_is_told() -> None:
    dearer = a_line("1", unit_cost="0.30")
    shipments = (a_shipment("S1", left("1", range(1, 5))),)
    for covered, choices in ((approved("1"), ("ours", "theirs")), (bought("1"), ("theirs",))):
        line = facts("1", wanted=dearer, prebook_items=(item("1", covered),))
        late = replace(on_the_way(line, shipments=shipments), today=SHIP_DATE + timedelta(days=1))
        assert [hold.choices for hold in make_plan(late).holds] == [choices]
        settled = make_plan(decided(late, "theirs"))
        assert not settled.holds
        assert bool(planned(settled, Kind.AWB_ADD)) == (covered.status is PurchaseOrderStatus.APPROVED)


def test_for_what_is_not_made_anew_no_word_of_the_order_is_needed() -> None:
    twice = (item("1", approved("1")), item("1", item_id="8899", prebook_id="991209"))
    there = a_situation((facts("1", prebook_items=twice),), begun_version=1, carrier_known=False)
    assert planned(make_plan(there), Kind.PREBOOK_ITEM_DELETE), "the surplus goes"


def test_a_line_waits_for_all_its_days_at_once() -> None:
    days = (SHIP_DATE, SHIP_DATE + timedelta(days=1))
    line = facts("1", wanted=a_line("1", boxes=6), prebook_items=(item("1"),), unlooked_days=days)
    looks = {look.key for look in make_plan(a_situation((line,), begun_version=1)).looks if look.active}
    assert looks == {day.isoformat() for day in days}


def test_of_a_draft_no_conflict_of_a_line_is_asked() -> None:
    removed = facts("1", prebook_items=(item("1", bought("1", boxes=0, first_boxes=4)),))
    draft = on_the_way(removed, wanted=an_order((a_line("1"),), OrderStatus.DRAFT, version=2))
    assert [hold.fact for hold in make_plan(draft).holds] == ["draft"]
    assert not make_plan(decided(draft, "theirs")).holds
    bought_already = facts("1", prebook_items=(item("1", approved("1")),))
    taken_back = make_plan(decided(replace(draft, lines=(bought_already,)), "ours"))
    assert [hold.line_key for hold in taken_back.holds] == ["1"], "what was approved is asked about then"


def test_a_refusal_is_told_whether_its_day_was_looked_at_or_not() -> None:
    refused = tuple(
        a_write(id_, Kind.PURCHASE_ORDER_CREATE, WriteState.REFUSED, "1", refusal=RefusalKind.OTHER, reads=1)
        for id_ in (1, 2, 3)
    )
    line = facts("1", prebook_items=(item("1"),), unlooked_days=(SHIP_DATE,))
    assert make_plan(a_situation((line,), writes=refused)).reason_code == HoldCode.REJECTED


def test_a_box_that_a_person_took_back_as_he_was_asked_is_awaited_no_more() -> None:
    boxes = tuple(a_box("1", index) for index in (1, 2))
    covered = approved("1", boxes=2, first_boxes=2, box_codes=tuple(box.box_code for box in boxes))
    line = facts("1", wanted=a_line("1", boxes=2), prebook_items=(item("1", covered, boxes=2, sent=None),), boxes=boxes)
    other = on_the_way(line, shipments=(a_shipment("S1", left("1", (1, 3))),))
    plan = make_plan(other)
    assert plan.reason_code == HoldCode.CONFLICT
    assert plan.reason
    assert f"box codes {code_of('1', 2)} → others" in plan.reason
    settled = decided(other, "theirs")
    by_hand = replace(covered, box_codes=(code_of("1", 1), code_of("1", 3)))
    done = replace(line, prebook_items=(item("1", by_hand, boxes=2, sent=None),))
    last = make_plan(decided(replace(settled, lines=(done,)), "theirs"))
    assert (last.state, last.holds) == (OrderState.SHIPPED, ())


# -- boxes that change their shipment ---------------------------------------------------------------------------


def on_s1(*there: int, count: int = 4, rest: PurchaseOrderItemFacts | None = None, **changes: Any) -> LineFacts:
    """A line whose boxes (so many) were told in shipment S1, and Komet shows some of them there."""
    boxes = tuple(a_box("1", index) for index in range(1, count + 1))
    stands = approved("1", boxes=len(there) or 4, first_boxes=4, box_codes=tuple(code_of("1", each) for each in there))
    covered = item("1", *(each for each in (stands, rest) if each is not None))
    return facts("1", **{"prebook_items": (covered,), "boxes": boxes} | changes)


def told_of(count: int, **changes: Any) -> WriteFacts:
    """The write that told S1's boxes."""
    keys = [f"L1-{index}" for index in range(1, count + 1)]
    codes = [code_of("1", index) for index in range(1, count + 1)]
    says = {"shipment": "S1", "items": [{"item_id": "781", "box_codes": codes, "label_keys": keys}]}
    fields: dict[str, Any] = {"shown": True, "sent": {"1": says}}
    return a_write(50, Kind.AWB_ADD, WriteState.DONE, "1", **fields | changes)


@pytest.mark.parametrize("keys", [("S1", "S2"), ("S2", "S1")])
def test_a_box_that_stayed_behind_leaves_in_a_later_shipment(keys: tuple[str, str]) -> None:
    first = a_shipment("S1", left("1", (1, 2, 3)), version=2)
    later = a_shipment("S2", left("1", (4,)), awb="020-8114-0743")
    stayed = on_the_way(on_s1(1, 2, 3, 4), shipments=(first,), writes=(told_of(4),))
    assert [hold.fact for hold in make_plan(stayed).holds] == ["shipment S1: boxes 4 → 3"]
    rest = approved("1", item_id="791", boxes=1, first_boxes=1)
    shipments = tuple({"S1": first, "S2": later}[key] for key in keys)
    back = replace(decided(stayed, "theirs"), lines=(on_s1(1, 2, 3, rest=rest),), shipments=shipments)
    ((write, _),) = planned(make_plan(back), Kind.AWB_ADD)
    assert [(part.shipment_key, part.item_id, part.box_codes) for part in write.awb] == [
        ("S2", "791", (code_of("1", 4),))
    ]
    gone = replace(rest, box_codes=(code_of("1", 4),))
    boxes = (*back.lines[0].boxes[:3], a_box("1", 4, "S2", purchase_order_item_id="791", awb="020-8114-0743"))
    done = make_plan(replace(back, lines=(on_s1(1, 2, 3, rest=gone, boxes=boxes),)))
    assert (done.state, done.holds) == (OrderState.SHIPPED, ())


@pytest.mark.parametrize("is_last", [True, False])
def test_a_box_that_stayed_behind_and_was_relabelled_asks_nothing_once_it_left(is_last: bool) -> None:
    labels = tuple(a_label("1", index) for index in range(1, 6))
    relabelled = labels[3].model_copy(update={"box_code": "AX-NEW", "version": 2})
    rest = approved("1", item_id="791", boxes=1, first_boxes=1, box_codes=("AX-NEW",))
    last = () if is_last else (approved("1", item_id="792", boxes=1, first_boxes=1),)
    new = a_box("1", 4, "S2", box_code="AX-NEW", purchase_order_item_id="791")
    line = on_s1(1, 2, 3, rest=rest, wanted=a_line("1", boxes=4 + len(last)))
    covered = replace(
        line.prebook_items[0],
        boxes=4 + len(last),
        sent=as_sent(a_line("1", boxes=4 + len(last))),
        purchase_order_items=(*line.prebook_items[0].purchase_order_items, *last),
    )
    order = on_the_way(
        replace(line, prebook_items=(covered,), boxes=(*line.boxes, new)),
        shipments=(a_shipment("S1", left("1", (1, 2, 3)), version=2), a_shipment("S2", left("1", (4,)))),
        labels=(*labels[:3], relabelled, labels[4]),
        writes=(told_of(4),),
    )
    plan = make_plan(order)
    assert not plan.holds
    assert plan.state is (OrderState.SHIPPED if is_last else OrderState.APPROVED), "the fifth box has not left"


def test_boxes_that_wait_for_their_air_waybill_have_not_left_and_are_told_at_the_end() -> None:
    rest = approved("1", item_id="791", boxes=2, first_boxes=2)
    line = on_s1(1, 2, count=2, rest=rest)
    first, second = a_shipment("S1", left("1", (1, 2))), a_shipment("S2", left("1", (3, 4)), awb="")
    unread = second.model_copy(update={"awb": "020-8114-0743", "is_readable": False})
    for waits in (second, second.model_copy(update={"awb": "TMP-7", "is_temporary": True}), unread):
        over = left_by(on_the_way(line, shipments=(first, waits), writes=(told_of(2),)), line)
        plan = make_plan(over)
        assert plan.state is OrderState.APPROVED
        assert any("is awaited" in notice for notice in plan.notices)
        last = make_plan(replace(over, today=TRUCK_DATE + timedelta(days=8)))
        assert last.state is OrderState.CLOSED
        assert last.reason
        assert "Komet was never told what left of line 1" in last.reason
        edited = replace(over.lines[0], prebook_items=(replace(line.prebook_items[0], boxes=3),))
        assert make_plan(replace(over, lines=(edited,))).state is not OrderState.SHIPPED
    assert make_plan(replace(over, shipments=(first,))).state is OrderState.SHIPPED, "two boxes were all that left"
    same = a_shipment("S2", left("1", (1, 2)), awb="")
    assert make_plan(replace(over, shipments=(first, same))).state is OrderState.SHIPPED, "its boxes were told in S1"


def test_what_left_by_no_shipment_that_was_read_is_told_at_the_end() -> None:
    line = replace(on_s1(), boxes=())
    over = left_by(on_the_way(line), line)
    late = make_plan(replace(over, today=TRUCK_DATE + timedelta(days=8)))
    closed = make_plan(replace(over, wanted=over.wanted.model_copy(update={"status": OrderStatus.CLOSED})))
    for plan in (late, closed):
        assert plan.state is OrderState.CLOSED
        assert plan.reason
        assert "no shipment says what left of line 1" in plan.reason


def test_boxes_of_a_shipment_that_was_withdrawn_go_in_its_successor_once_they_were_taken_back() -> None:
    other_flight = a_shipment("S2", left("1", range(1, 5)), awb="020-8114-0743")
    there = on_the_way(on_s1(1, 2, 3, 4), shipments=(other_flight,), writes=(told_of(4),))
    assert [hold.fact for hold in make_plan(there).holds] == ["shipment S1 withdrawn"]
    asked = decided(there, "theirs")
    assert not planned(make_plan(asked), *KOMET_WRITES), "they stand in Komet"
    back = replace(asked, lines=(on_s1(),))
    ((write, _),) = planned(make_plan(back), Kind.AWB_ADD)
    assert {(part.shipment_key, part.awb, len(part.box_codes)) for part in write.awb} == {("S2", "02081140743", 4)}
    assert not any("none of these codes" in each.theirs for each in drift_of(back))
    unseen = replace(back, writes=(told_of(4, shown=False),))
    assert not planned(make_plan(unseen), *KOMET_WRITES), "what was never seen there was taken back by nobody"


def test_an_order_whose_boxes_were_taken_back_can_be_cancelled() -> None:
    asked = decided(on_the_way(on_s1(1, 2, 3, 4), writes=(told_of(4),)), "theirs")
    cancelled = an_order((a_line("1", status=LineStatus.CANCELLED),), OrderStatus.CANCELLED, version=2)
    for there, choices in (((1, 2, 3, 4), [("theirs",)]), ((), [("ours", "theirs")])):
        line = on_s1(*there, wanted=cancelled.lines[0])
        order = replace(asked, wanted=cancelled, lines=(line,))
        assert [hold.choices for hold in make_plan(order).holds] == choices
    assert planned(make_plan(decided(order, "ours")), Kind.PURCHASE_ORDER_ITEM_DELETE)


def test_boxes_that_were_taken_back_have_not_left() -> None:
    asked = decided(on_the_way(on_s1(1, 2, 3, 4), writes=(told_of(4),)), "theirs")
    over = left_by(asked, on_s1())
    assert make_plan(over).state is OrderState.APPROVED
    closed = make_plan(replace(over, wanted=over.wanted.model_copy(update={"status": OrderStatus.CLOSED})))
    assert closed.reason
    assert "no shipment says what left of line 1" in closed.reason
    fewer = replace(on_s1(), prebook_items=(item("1", approved("1", boxes=3, first_boxes=4)),))
    assert [hold.choices for hold in make_plan(replace(asked, lines=(fewer,))).holds] == [("ours", "theirs")]


def test_a_prebook_whose_boxes_were_taken_back_is_bought_anew_for_another_day() -> None:
    ours = a_write(40, Kind.PURCHASE_ORDER_CREATE, WriteState.DONE, "1", shown=True)
    born = linked(born_in_komet(on_s1(1, 2, 3, 4), writes=(ours, told_of(4))))
    asked = decided(born, "theirs")
    back, day = on_s1(), SHIP_DATE + timedelta(days=1)
    for line, loss in ((born.lines[0], 0), (back, 1)):
        later = replace(asked, lines=(replace(line, wanted=a_line("1", departure_date=day), ship_date=day),))
        held = [hold for hold in make_plan(later).holds if hold.choices == ("ours", "theirs")]
        assert len(held) == loss
    person = replace(back, prebook_items=(item("1", approved("1", boxes=3, first_boxes=4), boxes=6, sent=None),))
    (hold,) = make_plan(replace(asked, lines=(replace(person, wanted=a_line("1", boxes=6)),))).holds
    assert "A person did that in Komet" in hold.message


def test_a_shipment_that_says_the_same_of_boxes_as_one_that_was_withdrawn_asks_nobody() -> None:
    line = on_s1(1, 2, 3, 4)
    same = on_the_way(line, shipments=(a_shipment("S3", left("1", range(1, 5))),), writes=(told_of(4),))
    plan = make_plan(same)
    assert (plan.state, plan.holds) == (OrderState.SHIPPED, ())
    fewer = make_plan(replace(same, shipments=(a_shipment("S3", left("1", (1, 2, 3))),)))
    assert [hold.fact for hold in fewer.holds] == ["shipment S1 withdrawn"]
    assert fewer.reason
    assert f"after its boxes {code_of('1', 4)} were told" in fewer.reason


@pytest.mark.parametrize("state", [WriteState.VOID, WriteState.ABSENT, WriteState.REFUSED])
def test_a_box_that_was_never_told_may_be_taken_off_its_shipment(state: WriteState) -> None:
    says = {"shipment": "S1", "items": [{"item_id": "791", "box_codes": [code_of("1", 3)], "label_keys": ["L1-3"]}]}
    third = a_write(51, Kind.AWB_ADD, state, "1", sent={"1": says})
    rest = approved("1", item_id="791", boxes=2, first_boxes=2)
    order = on_the_way(
        on_s1(1, 2, count=2, rest=rest),
        shipments=(a_shipment("S1", left("1", (1, 2)), version=3),),
        writes=(told_of(2), third),
    )
    assert not make_plan(order).holds
    left_out = replace(order, writes=(told_of(2), replace(third, state=WriteState.REFUSED, acknowledged=True)))
    assert [hold.fact for hold in make_plan(left_out).holds] == ["shipment S1: boxes 3 → 2"]


def test_a_line_of_no_boxes_is_taken_away() -> None:
    none = facts("1", wanted=a_line("1", boxes=0), prebook_items=(item("1"),))
    assert planned(make_plan(a_situation((none,), begun_version=1)), Kind.PREBOOK_ITEM_DELETE)


def test_a_packing_that_komet_does_not_know_stops_its_line_and_no_other() -> None:
    leaves = facts("1", prebook_items=(item("1", approved("1")),))
    unknown = facts("2", wanted=a_line("2", packing_code="EB"))
    shipments = (a_shipment("S1", left("1", range(1, 5))),)
    plan = make_plan(on_the_way(leaves, unknown, shipments=shipments, unknown_packings=("EB",)))
    assert plan.reason_code == HoldCode.UNMAPPED_REFERENCE
    assert plan.line_states["2"] is OrderState.HELD
    assert planned(plan, Kind.AWB_ADD)
    assert not planned(plan, Kind.PREBOOK_CREATE)


@pytest.mark.parametrize(
    ("order", "is_looked_for"),
    [({"unknown_packings": ("HB",)}, True), ({"carrier_known": False}, True), ({"customer_code": None}, False)],
)
def test_komets_lists_are_read_again_only_for_what_they_could_tell(order: dict[str, Any], is_looked_for: bool) -> None:
    plan = make_plan(a_situation((facts("1"),), **order))
    assert plan.reason_code == HoldCode.UNMAPPED_REFERENCE
    assert (Look(Feed.KOMET_REFERENCE, "", active=False) in plan.looks) == is_looked_for


def test_mixed_boxes_of_a_packing_that_komet_does_not_know_are_not_bought() -> None:
    mixed = facts("1", wanted=a_mixed_line("1", packing_code="EB"), prebook_items=(item("1", sent=None),))
    there = linked(a_situation((mixed, facts("2", prebook_items=(item("2"),))), unknown_packings=("EB",)))
    plan = make_plan(there)
    assert plan.reason_code == HoldCode.UNMAPPED_REFERENCE
    assert [key for _, key in planned(plan, *PURCHASE_ORDER_CREATES)] == ["2"]


def test_a_change_that_comes_after_all_was_over_is_not_closed_before_it_was_looked_at() -> None:
    over = TRUCK_DATE + timedelta(days=8)
    line = facts("1", prebook_items=(item("1", bought("1")),), stale_days=(SHIP_DATE,))
    wanted = an_order((a_line("1"),), OrderStatus.CANCELLED, version=2)
    cancelled = replace(on_the_way(line), wanted=wanted, today=over)
    late = replace(cancelled, changed_on=over)
    assert make_plan(late).state is OrderState.CANCELLING
    assert make_plan(replace(late, today=over + timedelta(days=8))).state is OrderState.CLOSED
    assert make_plan(cancelled).state is OrderState.CLOSED


def test_what_stands_in_two_purchase_orders_is_asked_about_before_any_of_it_goes() -> None:
    parts = (bought("1", boxes=2), approved("1", item_id="791", number="70020", boxes=2))
    there = on_the_way(facts("1", prebook_items=(item("1", *parts),)))
    cancelled = replace(there, wanted=there.wanted.model_copy(update={"status": OrderStatus.CANCELLED}))
    plan = make_plan(cancelled)
    assert plan.reason_code == HoldCode.CONFLICT
    assert not planned(plan, *KOMET_WRITES)
    assert planned(make_plan(decided(cancelled, "ours")), Kind.PURCHASE_ORDER_ITEM_DELETE)


@pytest.mark.parametrize("changes", [(), EDIT])
def test_of_two_purchase_orders_both_go_once_a_person_agreed(changes: tuple[Change, ...]) -> None:
    older = approved("1", boxes=2, changes=changes)
    newer = bought("1", item_id="791", number="70020", boxes=2)
    line = facts("1", wanted=a_line("1", boxes=6), prebook_items=(item("1", older, newer),))
    there = on_the_way(line)
    assert [hold.choices for hold in make_plan(there).holds] == [("ours", "theirs")]
    agreed = decided(there, "ours")
    for covered in ((older, newer), (older, replace(newer, boxes=0, is_deleted_by_us=True))):
        left = replace(line, prebook_items=(item("1", *covered),))
        plan = make_plan(replace(agreed, lines=(left,)))
        assert not plan.holds
        ((write, _),) = planned(plan, *KOMET_WRITES)
        assert write.item_id == [each.item_id for each in covered if each.boxes][-1]
    newest = replace(left, wanted=a_line("1", boxes=8), wanted_as_sent=as_sent(a_line("1", boxes=8)))
    again = make_plan(replace(agreed, lines=(newest,)))
    assert [hold.choices for hold in again.holds] == [("ours", "theirs")], "that nobody agreed to"


def test_of_a_mixed_box_the_products_that_may_be_unknown_are_named() -> None:
    mixed = facts("1", wanted=a_mixed_line("1"), prebook_items=(item("1", mapped=False, sent=None),))
    plan = make_plan(a_situation((mixed,), begun_version=1))
    assert plan.reason_code == HoldCode.MAPPING_REQUIRED
    assert plan.reason
    assert "article A or B (line 1)" in plan.reason
