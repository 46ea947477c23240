"""The plan, from any situation: it asks for no create twice, and for nothing while it holds the order."""

from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clients.errors import RefusalKind
from models.canonical import (
    Article,
    Line,
    LineStatus,
    Order,
    OrderStatus,
    Origin,
    PurchaseOrderStatus,
    References,
    UnitType,
)
from models.states import HoldCode, Kind, OrderState, WriteState
from tasks.plan import (
    LOOKS_FOR_ABSENCE,
    LineFacts,
    PrebookItemFacts,
    PurchaseOrderItemFacts,
    Situation,
    WriteFacts,
    judge,
    make_plan,
)

TODAY = date(2026, 11, 24)
CREATES = (Kind.PREBOOK_CREATE, Kind.PURCHASE_ORDER_CREATE)
KEYS = ("1", "2", "3")


def a_line(key: str, **changes: Any) -> Line:
    fields: dict[str, Any] = {
        "line_key": key,
        "status": LineStatus.OPEN,
        "article": Article(code="RFREE50", description="Rose Freedom 50 cm"),
        "packing_code": "HB",
        "boxes": 4,
        "bunches_per_box": 10,
        "stems_per_bunch": 25,
        "unit_type": UnitType.STEM,
        "unit_cost": "0.28",
        "departure_date": TODAY + timedelta(days=2),
    }
    return Line.model_validate(fields | changes)


def an_order(lines: tuple[Line, ...], status: OrderStatus = OrderStatus.CONFIRMED) -> Order:
    return Order(
        key="SO-1",
        number="2026-1",
        version=1,
        status=status,
        origin=Origin.AXERRIO,
        buyer_code="MIAFLOWERS",
        buyer_name="Miami Flowers Inc",
        carrier_code="ARM",
        departure_date=TODAY + timedelta(days=2),
        truck_date=TODAY + timedelta(days=4),
        lines=lines,
    )


def facts(key: str, **changes: Any) -> LineFacts:
    wanted = a_line(key)
    sent = {"boxes": wanted.boxes}
    fields: dict[str, Any] = {
        "line_key": key,
        "wanted": wanted,
        "wanted_as_sent": sent,
        "applied": sent,
        "since_version": 1,
    }
    return LineFacts(**fields | changes)


def item(key: str, **changes: Any) -> PrebookItemFacts:
    fields: dict[str, Any] = {
        "item_id": f"88{key}",
        "prebook_id": "991201",
        "prebook_number": "4343",
        "boxes": 4,
        "mapped": True,
        "seen": True,
    }
    return PrebookItemFacts(**fields | changes)


def bought(key: str, **changes: Any) -> PurchaseOrderItemFacts:
    fields: dict[str, Any] = {
        "item_id": f"78{key}",
        "purchase_order_id": "70012",
        "number": "70012",
        "boxes": 4,
        "ship_date": TODAY + timedelta(days=2),
        "status": PurchaseOrderStatus.PENDING,
    }
    return PurchaseOrderItemFacts(**fields | changes)


def a_write(id_: int, kind: Kind, state: WriteState, *keys: str, **changes: Any) -> WriteFacts:
    fields: dict[str, Any] = {
        "id": id_,
        "kind": kind,
        "state": state,
        "line_keys": frozenset(keys),
        "acknowledged": state is WriteState.DONE,
        "shown": False,
        "deadline_in": timedelta(seconds=20),
        "looks": 0,
        "reads": changes.get("looks", 0),
        "absence_is_proof": False,
        "may_be": None,
        "counts": True,
        "trace": "the prebook",
        "look_key": "2026-11-28",
    }
    return WriteFacts(**fields | changes)


def a_situation(lines: tuple[LineFacts, ...], **changes: Any) -> Situation:
    fields: dict[str, Any] = {
        "connection": "miami",
        "number": "2026-1",
        "begun_version": None,
        "seeded_version": None,
        "wanted": an_order(tuple(line.wanted for line in lines if line.wanted)),
        "is_deleted": False,
        "unreadable": None,
        "skipped": None,
        "lines": lines,
        "writes": (),
        "references_applied": None,
        "report_applied": None,
        "today": TODAY,
        "customer_code": "C100",
        "carrier_code": "ARM",
        "carrier_known": True,
        "unknown_packings": (),
        "reference_known": True,
        "max_attempts": 12,
    }
    return Situation(**fields | changes)


# -- any situation ---------------------------------------------------------------------------------------------

rarely = st.sampled_from((False,) * 7 + (True,))
known_items = st.sampled_from(("none", "none", "seen", "seen", "unseen", "unmapped", "zero", "fewer", "two"))
known_orders = st.sampled_from(("none", "none", "none", "pending", "approved", "cancelled", "short", "unknown"))
changes_of_line = st.sampled_from(("same",) * 8 + ("changed", "cancelled", "gone", "mixed", "no cost", "new"))


@st.composite
def lines(draw: st.DrawFn, key: str) -> LineFacts:
    stands: tuple[PrebookItemFacts, ...] = {
        "none": (),
        "seen": (item(key),),
        "unseen": (item(key, seen=False),),
        "unmapped": (item(key, mapped=False),),
        "zero": (item(key, boxes=0),),
        "fewer": (item(key, boxes=3),),
        "two": (item(key), item(f"9{key}")),
    }[draw(known_items)]
    orders: tuple[PurchaseOrderItemFacts, ...] = {
        "none": (),
        "pending": (bought(key),),
        "approved": (bought(key, status=PurchaseOrderStatus.APPROVED),),
        "cancelled": (bought(key, status=PurchaseOrderStatus.CANCELLED),),
        "short": (bought(key, boxes=1),),
        "unknown": (bought(key, status=None),),
    }[draw(known_orders) if stands else "none"]
    changes: dict[str, dict[str, Any]] = {
        "same": {},
        "changed": {"wanted_as_sent": {"boxes": 9}},
        "cancelled": {"wanted": a_line(key, status=LineStatus.CANCELLED)},
        "gone": {"wanted": None, "wanted_as_sent": None},
        "mixed": {
            "wanted": a_line(
                key, breakdown=[{"article": Article(code="A", description="A"), "bunches": 10, "stems_per_bunch": 25}]
            )
        },
        "no cost": {"wanted": a_line(key, unit_cost=None)},
        "new": {"applied": None, "since_version": 2},
    }
    return facts(key, prebook_items=stands, purchase_order_items=orders, **changes[draw(changes_of_line)])


@st.composite
def writes(draw: st.DrawFn, of: tuple[str, ...] = KEYS) -> tuple[WriteFacts, ...]:
    made: list[WriteFacts] = []
    open_for: set[tuple[Kind, str]] = set()
    for id_ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from([*CREATES, *CREATES, *Kind]))
        keys = draw(st.sets(st.sampled_from(of), min_size=1))
        state = draw(
            st.sampled_from([WriteState.SENT, WriteState.DONE, *sorted(set(WriteState) - {WriteState.INTENDED})])
        )
        if state.is_open:
            if any((kind, key) in open_for for key in keys):
                continue  # the database forbids it
            open_for |= {(kind, key) for key in keys}
        made.append(
            a_write(
                id_,
                kind,
                state,
                *keys,
                looks=(looks := draw(st.integers(0, 3))),
                reads=looks + draw(st.integers(0, 2)),
                may_be=draw(st.sampled_from((None, None, "4350"))),
                strikes=draw(st.sampled_from((0, 0, 0, 20))),
                absence_is_proof=draw(st.booleans()),
                deadline_in=timedelta(seconds=draw(st.sampled_from((20, -20)))),
                refusal=draw(st.sampled_from(list(RefusalKind))) if state is WriteState.REFUSED else None,
                counts=draw(st.booleans()),
            )
        )
    return tuple(made)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    keys = KEYS[: draw(st.integers(1, 3))]
    of_lines = tuple(draw(lines(key)) for key in keys)
    wanted = an_order(
        tuple(line.wanted for line in of_lines if line.wanted),
        draw(st.sampled_from([OrderStatus.CONFIRMED] * 8 + list(OrderStatus))),
    )
    return a_situation(
        of_lines,
        wanted=wanted,
        writes=draw(writes(keys)),
        begun_version=draw(st.sampled_from((None, 1))),
        seeded_version=draw(st.sampled_from((None, None, 1))),
        is_deleted=draw(rarely),
        unreadable="status: perhaps" if draw(rarely) else None,
        skipped="departed" if draw(rarely) else None,
        customer_code=None if draw(rarely) else "C100",
        carrier_known=not draw(rarely),
        reference_known=not draw(rarely),
        today=TODAY + timedelta(days=draw(st.integers(-1, 4))),
        looks_since_received=draw(st.integers(0, 3)),
        references_applied=draw(st.sampled_from((None, References()))),
    )


@settings(max_examples=1000, deadline=None)
@given(situations())
def test_no_line_is_ever_created_twice(situation: Situation) -> None:
    plan = make_plan(situation)
    assert plan == make_plan(situation)
    planned: dict[Kind, list[str]] = {kind: [] for kind in CREATES}
    for write in plan.writes:
        if write.kind in CREATES:
            planned[write.kind] += write.line_keys
    of_lines = {line.line_key: line for line in situation.lines}
    for kind, keys in planned.items():
        assert len(keys) == len(set(keys))
        for key in keys:
            line = of_lines[key]
            assert line.is_open
            covering = [write for write in situation.writes if write.kind is kind and key in write.line_keys]
            assert not any(write.state.is_open for write in covering), "an open write covers it"
            assert not any(write.state is WriteState.DONE for write in covering), "it was acknowledged"
            if kind is Kind.PREBOOK_CREATE:
                assert not line.prebook_items
            else:
                assert not line.purchase_order_items
                assert [each.boxes > 0 and each.mapped and each.seen for each in line.live_items] == [True]


@settings(max_examples=1000, deadline=None)
@given(situations())
def test_nothing_is_sent_for_what_is_not_wanted(situation: Situation) -> None:
    plan = make_plan(situation)
    stands = any(line.live_items for line in situation.lines)
    unwanted = situation.is_deleted or situation.wanted.status is not OrderStatus.CONFIRMED
    creates = [write for write in plan.writes if write.kind in CREATES]
    if (unwanted and not stands) or situation.unreadable or situation.skipped:
        assert not creates
    if unwanted:
        assert not [write for write in creates if write.kind is Kind.PREBOOK_CREATE]
    if plan.state in (OrderState.FAILED, OrderState.CANCELLED, OrderState.CLOSED):
        assert not plan.writes
        assert not plan.repeats
    if plan.state in (OrderState.CANCELLED, OrderState.CLOSED) and not situation.skipped:
        assert not any(write.state.is_open for write in situation.writes if write.kind in CREATES)


@settings(max_examples=1000, deadline=None)
@given(situations())
def test_nothing_waits_in_silence(situation: Situation) -> None:
    """An order that is not at its end has something to send, something to look for, or a reason for a person."""
    plan = make_plan(situation)
    waits = plan.writes or plan.repeats or plan.looks or plan.reason or any(w.state.is_open for w in situation.writes)
    assert waits or plan.state.is_final or plan.state is OrderState.APPROVED or not any(plan.line_states)


@settings(max_examples=1000, deadline=None)
@given(writes())
def test_absence_needs_proof_and_looks(of_order: tuple[WriteFacts, ...]) -> None:
    verdicts = judge(a_situation(tuple(facts(key) for key in KEYS), writes=of_order))
    by_id = {write.id: write for write in of_order}
    for verdict in verdicts:
        write = by_id[verdict.write_id]
        assert verdict.state is WriteState.ABSENT
        assert write.kind in CREATES
        assert write.state is WriteState.SENT
        assert write.absence_is_proof
        assert write.may_be is None
        assert write.looks >= LOOKS_FOR_ABSENCE


# -- single answers --------------------------------------------------------------------------------------------


def test_a_new_order_wants_one_prebook_with_all_its_lines() -> None:
    plan = make_plan(a_situation((facts("1", applied=None), facts("2", applied=None))))
    assert [(write.kind, write.line_keys) for write in plan.writes] == [(Kind.PREBOOK_CREATE, ("1", "2"))]
    assert plan.state is OrderState.RECEIVED


def test_one_purchase_order_for_each_ship_date() -> None:
    later = a_line("2", departure_date=TODAY + timedelta(days=3))
    plan = make_plan(
        a_situation((facts("1", prebook_items=(item("1"),)), facts("2", wanted=later, prebook_items=(item("2"),))))
    )
    creates = [write for write in plan.writes if write.kind is Kind.PURCHASE_ORDER_CREATE]
    assert [(write.ship_date, write.line_keys) for write in creates] == [
        (TODAY + timedelta(days=2), ("1",)),
        (TODAY + timedelta(days=3), ("2",)),
    ]


def test_a_later_line_joins_the_pending_purchase_order_only() -> None:
    for status, number in ((PurchaseOrderStatus.PENDING, "70012"), (PurchaseOrderStatus.APPROVED, None)):
        first = facts("1", prebook_items=(item("1"),), purchase_order_items=(bought("1", status=status),))
        plan = make_plan(a_situation((first, facts("2", prebook_items=(item("2"),)))))
        create = next(write for write in plan.writes if write.kind is Kind.PURCHASE_ORDER_CREATE)
        assert (create.line_keys, create.purchase_order_number) == (("2",), number)


def test_approval_is_reported_only_once_the_links_stand() -> None:
    approved = bought("1", status=PurchaseOrderStatus.APPROVED)
    line = facts("1", prebook_items=(item("1"),), purchase_order_items=(approved,))
    first = make_plan(a_situation((line,)))
    assert [write.kind for write in first.writes] == [Kind.EXTERNAL_REFERENCES]
    linked = a_situation((line,), references_applied=first.writes[0].references)
    second = make_plan(linked)
    assert [write.kind for write in second.writes] == [Kind.PROCUREMENT_STATUS]
    done = make_plan(
        a_situation((line,), references_applied=first.writes[0].references, report_applied=second.writes[0].report)
    )
    assert (done.state, done.writes, done.looks) == (OrderState.APPROVED, (), ())


def test_a_late_purchase_order_makes_an_approved_order_pending_again() -> None:
    approved = bought("1", status=PurchaseOrderStatus.APPROVED)
    line = facts("1", prebook_items=(item("1"),), purchase_order_items=(approved,))
    links = make_plan(a_situation((line,))).writes[0].references
    told = make_plan(a_situation((line,), references_applied=links)).writes[0].report
    late = facts("2", prebook_items=(item("2"),), purchase_order_items=(bought("2", number="70013"),))
    both = make_plan(a_situation((line, late), report_applied=told)).writes[0].references
    plan = make_plan(a_situation((line, late), references_applied=both, report_applied=told))
    (report,) = [write.report for write in plan.writes if write.report]
    assert report.status is PurchaseOrderStatus.PENDING


def test_in_doubt_without_proof_is_held_with_what_to_look_for() -> None:
    write = a_write(1, Kind.PREBOOK_CREATE, WriteState.SENT, "1", looks=2)
    plan = make_plan(a_situation((facts("1"),), writes=(write,)))
    assert plan.state is OrderState.HELD
    assert plan.reason_code == HoldCode.IN_DOUBT
    assert plan.reason
    assert "the prebook" in plan.reason
    assert [look.active for look in plan.looks] == [False]
