"""What came over the limit, from any situation: nothing is sent, it is told, and it ends where nothing is at stake."""

from dataclasses import replace

from hypothesis import given

from models.canonical import OrderStatus, Origin
from models.states import HoldCode, Kind, OrderState, WriteState
from tasks.plan import make_plan
from tasks.plan.back import losses
from tasks.plan.facts import Plan, Situation
from tests.tasks.examples import (
    a_line,
    a_situation,
    a_write,
    an_order,
    approved,
    as_sent,
    bought,
    facts,
    item,
)
from tests.tasks.test_plan import OURS, situations

DELETES = (Kind.PREBOOK_ITEM_DELETE, Kind.PURCHASE_ORDER_ITEM_DELETE)


def held(situation: Situation) -> Plan:
    return make_plan(replace(situation, over_limit=True, upset_with=99))


def is_over_limit(plan: Plan) -> bool:
    return any(hold.code is HoldCode.OVER_LIMIT for hold in plan.holds)


@given(situations())
def test_nothing_is_sent_and_nothing_is_taken_away(situation: Situation) -> None:
    free, plan = make_plan(situation), held(situation)
    if is_over_limit(plan):
        assert not plan.writes
        assert not plan.repeats
        assert plan.state in (OrderState.HELD, OrderState.FAILED)
        assert plan.reason_code == (HoldCode.OVER_LIMIT if plan.state is OrderState.HELD else "failed")
        assert not free.state.is_final
        is_under_way = any(write.state.is_open for write in situation.writes)
        assert is_under_way or not [look for look in plan.looks if look.active]
        assert plan.holds[1:] == free.holds
        return
    assert plan == free
    for write in free.writes:
        if write.kind in DELETES:  # a surplus that its own create left, or a person's word
            (line,) = [line for line in situation.lines if line.line_key in write.line_keys]
            decided = {choice for (key, _), choice in situation.decisions.items() if key == line.line_key}
            assert len(line.live_items) > 1 or OURS in decided, write
        if write.kind is Kind.INBOUND_ORDER and situation.axerrio.applied is not None:
            assert write.inbound is not None
            assert not losses(situation.axerrio.applied, write.inbound)


def test_what_would_be_done_is_told_whole() -> None:
    lines = tuple(facts(key, prebook_items=(item(key, bought(key)),)) for key in ("1", "2", "3"))
    cancelled = a_situation(lines, wanted=an_order((a_line("1"),), OrderStatus.CANCELLED), begun_version=1)
    plan = held(cancelled)
    assert plan.reason == (
        "It came with 99 other changes within ten minutes. Released, it would be cancelled in Komet: "
        "3 prebook items and 3 purchase order items deleted."
    )
    assert plan.next_command == "axkomet release --reason over_limit --connection miami"
    changed = facts("1", wanted=a_line("1", boxes=40), prebook_items=(item("1", bought("1")),))
    plan = held(a_situation((changed, *lines[1:])))
    assert "it would be changed in Komet: 1 prebook item and 1 purchase order item deleted." in (plan.reason or "")
    assert plan.line_states == {
        "1": OrderState.HELD,
        "2": OrderState.PREBOOKED,
        "3": OrderState.PREBOOKED,
    }


def test_what_procurement_approved_asks_a_person_twice() -> None:
    line = facts("1", wanted=a_line("1", boxes=40), prebook_items=(item("1", approved("1")),))
    plan = held(a_situation((line,)))
    assert [hold.code for hold in plan.holds] == [HoldCode.OVER_LIMIT, HoldCode.CONFLICT]
    assert "A person decides first: Line 1: Axerrio changed it (boxes 4 → 40)" in (plan.reason or "")


def test_what_was_made_and_not_seen_is_at_stake_too() -> None:
    made = a_write(9, Kind.PREBOOK_CREATE, WriteState.DONE, "1")
    gone = facts("1", wanted=None)
    assert is_over_limit(held(a_situation((gone,), writes=(made,), begun_version=1)))
    assert not is_over_limit(held(a_situation((facts("1"),), writes=(made,), begun_version=1)))
    other = facts("1", wanted_as_sent=as_sent(a_line("1", boxes=40)))
    assert is_over_limit(held(a_situation((other,), writes=(made,), begun_version=1)))


def test_an_order_back_to_draft_is_told_until_a_person_decided() -> None:
    line = facts("1", prebook_items=(item("1", bought("1")),))
    draft = a_situation((line,), wanted=an_order((a_line("1"),), OrderStatus.DRAFT), begun_version=1)
    assert "taken back to draft" in (held(draft).reason or "")
    assert not is_over_limit(held(replace(draft, decisions={(None, "draft"): "theirs"})))


def test_what_komets_prebook_lost_is_told() -> None:
    line = facts("1", wanted_as_sent=None, prebook_items=(item("1", boxes=0, sent=None),), wanted=None)
    there = an_order((a_line("1", external_line_id="1"),), origin=Origin.KOMET)
    situation = a_situation((line,), origin=Origin.KOMET, wanted=an_order((), origin=Origin.KOMET))
    situation = replace(situation, axerrio=replace(situation.axerrio, applied=there))
    assert "it would be cancelled in Axerrio." in (held(situation).reason or "")
    assert held(a_situation((line,), origin=Origin.KOMET)).state is OrderState.CANCELLED
