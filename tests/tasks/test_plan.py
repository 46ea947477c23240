"""The plan, from any situation: nothing is made twice, only ours is taken away, nothing waits in silence."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import RefusalKind
from models.canonical import (
    InboundStatus,
    Label,
    LabelState,
    Line,
    LineStatus,
    OrderStatus,
    Origin,
    PurchaseOrderStatus,
    ShipmentLine,
)
from models.states import HoldCode, Kind, OrderState, WriteState
from tasks.plan import judge, judged, make_plan
from tasks.plan.facts import (
    CREATES,
    KOMET_WRITES,
    LOOKS_FOR_ABSENCE,
    PURCHASE_ORDER_CREATES,
    AwbPart,
    AxerrioFacts,
    BoxFacts,
    Change,
    LineFacts,
    Plan,
    PlannedWrite,
    PrebookItemFacts,
    PurchaseOrderItemFacts,
    Situation,
    WriteFacts,
)
from tests.tasks.examples import (
    SHIP_DATE,
    TODAY,
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

KEYS = ("1", "2", "3")
OURS = "ours"

# -- any situation ---------------------------------------------------------------------------------------------

unlikely = st.sampled_from((False,) * 11 + (True,))
likely = unlikely.map(lambda each: not each)
# What is usual is drawn more often than what is not.
kinds_of_item = st.sampled_from(
    ["seen"] * 4
    + ["none"] * 2
    + ["unseen", "unmapped", "zero", "deleted", "edited", "fewer", "two", "two and edited", "unmapped and edited"]
)
kinds_of_order = st.sampled_from(
    ["none", "approved"] * 2
    + ["pending", "cancelled", "short", "unknown", "removed", "deleted", "edited", "moved", "grown", "shipped", "split"]
    + ["many", "bought anew", "removed anew"]
)
statuses = st.sampled_from([OrderStatus.CONFIRMED] * 12 + list(OrderStatus))
calm_orders = st.sampled_from(("none", "pending", "approved", "approved", "approved", "split", "many"))
kinds_of_wish = st.sampled_from(
    ("same",) * 10 + ("boxes", "date", "carrier", "mapped", "cancelled", "shipped", "gone", "mixed", "no cost", "new")
)
kinds_of_shipping = st.sampled_from(
    ("none",) * 3
    + ("awaiting", "awaiting", "part", "recorded", "verified", "next", "by hand", "withdrawn", "changed", "no label")
)

EDIT = (Change("cost", "0.28", "0.30"),)


def orders_of(kind: str, key: str) -> tuple[PurchaseOrderItemFacts, ...]:
    """What covers a prebook item."""
    many = tuple(approved(key, item_id=f"78{key}{part}", number=f"7001{part}", boxes=2) for part in (1, 2))
    deleted = bought(key, item_id=f"77{key}", boxes=0, first_boxes=4, is_deleted_by_us=True)
    return {
        "none": (),
        "pending": (bought(key),),
        "approved": (approved(key),),
        "cancelled": (bought(key, status=PurchaseOrderStatus.CANCELLED),),
        "short": (bought(key, boxes=1),),
        "unknown": (bought(key, status=None),),
        "removed": (bought(key, boxes=0, first_boxes=4),),
        "deleted": (bought(key, boxes=0, first_boxes=4, is_deleted_by_us=True),),
        "edited": (bought(key, changes=EDIT),),
        "moved": (approved(key, ship_date=SHIP_DATE + timedelta(days=1), changes=(Change("ship_date", "a", "b"),)),),
        "grown": (approved(key, boxes=6, first_boxes=4),),
        "shipped": (bought(key, status=PurchaseOrderStatus.SHIPPED),),
        "split": many,
        "many": (replace(many[0], status=PurchaseOrderStatus.CANCELLED), approved(key)),
        "bought anew": (deleted, bought(key)),
        "removed anew": (deleted, bought(key, boxes=0, first_boxes=4)),
    }[kind]


def items_of(kind: str, key: str, covered: tuple[PurchaseOrderItemFacts, ...]) -> tuple[PrebookItemFacts, ...]:
    """What stands of a line."""
    another = item(key, item_id=f"889{key}", prebook_id="991209", prebook_number="4350")
    unmapped = item(key, *covered, mapped=False, unknown_articles=("RFREE50",))
    return {
        "none": (),
        "seen": (item(key, *covered),),
        "unseen": (item(key, *covered, seen=False, write_id=None),),
        "unmapped": (unmapped,),
        "unmapped and edited": (replace(unmapped, changes=EDIT),),
        "zero": (item(key, *covered, boxes=0),),
        "deleted": (item(key, *covered, boxes=0, is_deleted_by_us=True),),
        "edited": (item(key, *covered, changes=EDIT),),
        "fewer": (item(key, *covered, boxes=3),),
        "two": (item(key, *covered), another),
        "two and edited": (item(key, *covered), replace(another, boxes=3)),
    }[kind]


def wish_of(kind: str, key: str) -> dict[str, Any]:
    """What is wanted of a line, beside what was sent of it."""
    wanted: Line | None = {
        "boxes": a_line(key, boxes=9),
        "date": a_line(key, departure_date=SHIP_DATE + timedelta(days=1)),
        "cancelled": a_line(key, status=LineStatus.CANCELLED),
        "shipped": a_line(key, status=LineStatus.SHIPPED),
        "gone": None,
        "mixed": a_mixed_line(key),
        "no cost": a_line(key, unit_cost=None),
    }.get(kind, a_line(key))
    sent = as_sent(wanted, "UPS" if kind == "carrier" else "ARM") if wanted else None
    if sent and kind == "mapped":
        sent["product_code"] = "ROSE-FREEDOM-50"
    return {"wanted": wanted, "wanted_as_sent": sent, "since_version": 2 if kind == "new" else 1}


def shipped(
    kind: str, key: str, items: tuple[PrebookItemFacts, ...]
) -> tuple[tuple[PrebookItemFacts, ...], tuple[BoxFacts, ...], dict[str, ShipmentLine]]:
    """The line's items with the codes that Komet shows, its boxes, and its part of each shipment by key."""
    first, second, four = left(key, (1, 2)), left(key, (3, 4)), left(key, (1, 2, 3, 4))
    boxes = tuple(a_box(key, index) for index in (1, 2, 3, 4))
    stands = items[0].purchase_order_items[-1] if items and items[0].purchase_order_items else None

    def showing(*indexes: int, rest: int = 0) -> tuple[PrebookItemFacts, ...]:
        if stands is None:
            return items
        codes = tuple(code_of(key, index) for index in indexes)
        orders = [*items[0].purchase_order_items[:-1], replace(stands, boxes=len(codes), box_codes=codes)]
        if rest:
            orders.append(replace(stands, item_id=f"79{key}", boxes=rest))
        return (replace(items[0], purchase_order_items=tuple(orders)), *items[1:])

    cases: dict[str, tuple[tuple[PrebookItemFacts, ...], tuple[BoxFacts, ...], dict[str, ShipmentLine]]] = {
        "awaiting": (items, (), {"S1": four}),
        "no label": (items, (), {"S1": left(key, (1, 2, 8, 9))}),
        "part": (items, (), {"S1": first}),
        "recorded": (items, boxes, {"S1": four}),
        "verified": (showing(1, 2, 3, 4), boxes, {"S1": four}),
        "next": (showing(1, 2, rest=2), boxes[:2], {"S1": first, "S2": second}),
        "by hand": (showing(1, 2, 3, 4), (), {"S1": four}),
        "withdrawn": (showing(1, 2, 3, 4), boxes, {}),
        "changed": (showing(1, 2, 3, 4), boxes, {"S1": first}),
    }
    return cases.get(kind, (items, (), {}))


@st.composite
def lines(draw: st.DrawFn, key: str, origin: Origin, *, is_calm: bool) -> tuple[LineFacts, dict[str, ShipmentLine]]:
    covered = orders_of(draw(calm_orders if is_calm else kinds_of_order), key)
    stands = items_of("seen" if is_calm and covered else draw(kinds_of_item), key, covered)
    stands, boxes, of_shipments = shipped(draw(kinds_of_shipping), key, stands)
    wish = wish_of("same" if is_calm else draw(kinds_of_wish), key)
    if origin is Origin.KOMET:  # its item is the line: nobody sent it
        stands = tuple(replace(each, sent=None, write_id=None, seen=True) for each in stands)
        wish["wanted_as_sent"] = None
        if not any(each.is_live for each in stands):
            wish["wanted"] = a_line(key, status=LineStatus.CANCELLED)
    of_line = facts(
        key,
        **wish,
        prebook_items=stands,
        boxes=boxes if any(each.purchase_order_items for each in stands) else (),
        axerrio_line_key=key if origin is Origin.AXERRIO or draw(likely) else None,
        unlooked_days=() if draw(likely) else (SHIP_DATE,),
        stale_days=() if draw(likely) else (SHIP_DATE,),
        unknown_article="RFREE50" if not stands and draw(unlikely) else None,
    )
    return of_line, of_shipments


@st.composite
def writes(draw: st.DrawFn, of: tuple[str, ...] = KEYS, most: int = 4) -> tuple[WriteFacts, ...]:
    made: list[WriteFacts] = []
    open_for: set[tuple[Kind, str]] = set()
    for id_ in range(draw(st.integers(0, most))):
        kind = draw(st.sampled_from([*CREATES, *Kind]))
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
                shown=state is WriteState.DONE and draw(st.booleans()),
                may_be=draw(st.sampled_from((None, None, "4350"))),
                strikes=draw(st.sampled_from((0, 0, 0, 20))),
                absence_is_proof=draw(st.booleans()),
                deadline_in=timedelta(seconds=draw(st.sampled_from((20, -20)))),
                refusal=draw(st.sampled_from(list(RefusalKind))) if state is WriteState.REFUSED else None,
                looks_since_settled=draw(st.integers(0, 1)),
                counts=draw(st.booleans()),
                is_led=draw(likely),
            )
        )
    return tuple(made)


@st.composite
def bare_situations(draw: st.DrawFn) -> Situation:
    """Rows as they may stand, before anybody was told and before anybody decided."""
    origin = draw(st.sampled_from((Origin.AXERRIO, Origin.AXERRIO, Origin.KOMET)))
    is_calm = draw(st.booleans())
    rarely = st.just(False) if is_calm else unlikely
    mostly = st.just(True) if is_calm else likely
    keys = KEYS[: draw(st.integers(1, 3))]
    drawn = [draw(lines(key, origin, is_calm=is_calm)) for key in keys]
    of_lines = tuple(line for line, _ in drawn)
    shipments = [
        a_shipment(
            key,
            *entries,
            awb=draw(st.sampled_from(("729-1234-5675",) * 6 + ("", "7" * 26))),
            is_temporary=draw(unlikely),
        )
        for key in ("S1", "S2")
        if (entries := [parts[key] for _, parts in drawn if key in parts])
    ]
    labels = tuple(a_label(line.line_key, index) for line in of_lines for index in (1, 2, 3, 4))
    if draw(unlikely):  # reprinted with another code
        labels = (labels[0].model_copy(update={"box_code": "AX-NEW", "version": 2}), *labels[1:])
    if draw(unlikely):
        labels = (labels[0].model_copy(update={"state": LabelState.VOID}), *labels[1:])
    in_komet = origin is Origin.KOMET  # a prebook has no status, and its lines go one by one
    status = OrderStatus.CONFIRMED if is_calm or in_komet else draw(statuses)
    of_writes = draw(writes(keys, draw(st.sampled_from((0, 0, 2) if is_calm else (0, 4)))))
    if in_komet:
        of_writes = tuple(write for write in of_writes if write.kind is not Kind.PREBOOK_CREATE)
    return a_situation(
        of_lines,
        origin=origin,
        wanted=an_order((line.wanted for line in of_lines if line.wanted), status, origin=origin),
        writes=of_writes,
        begun_version=1 if any(line.prebook_items for line in of_lines) else draw(st.sampled_from((None, 1))),
        seeded_version=draw(st.sampled_from((None,) * 7 + (1,))),
        is_deleted=not in_komet and draw(rarely),
        unreadable="status: perhaps" if draw(rarely) else None,
        skipped="departed" if draw(rarely) else None,
        customer_code=None if draw(rarely) else "C100",
        carrier_code=None if draw(rarely) else "ARM",
        carrier_known=draw(mostly),
        unknown_packings=("QB",) if draw(rarely) else (),
        reference_known=draw(mostly),
        today=TODAY + timedelta(days=draw(st.sampled_from((0,) if is_calm else (-1, 0, 0, 0, 1, 3, 12)))),
        looks_since_received=draw(st.integers(0, 3)),
        unseen_prebook="991201" if draw(rarely) else None,
        applies_after_approval=draw(st.booleans()),
        axerrio_knows=origin is Origin.AXERRIO or draw(mostly),
        shipments=tuple(shipments),
        labels=labels,
        labels_current=draw(mostly),
        sends_temporary_awb=draw(st.booleans()),
        leaves_bad_items_out=draw(unlikely),
        awb_while_pending=draw(st.booleans()),
    )


def told(situation: Situation, write: PlannedWrite, *, is_rejected: bool = False) -> Situation:
    """Axerrio took a write."""
    if write.kind is Kind.EXTERNAL_REFERENCES:
        return replace(situation, references_applied=write.references)
    if write.kind is Kind.PROCUREMENT_STATUS:
        return replace(situation, report_applied=write.report)
    keys = [line.line_key for line in write.inbound.lines] if write.inbound else []
    answer = an_answer({key: not (is_rejected and key == keys[0]) for key in keys}) if keys else None
    taken = {each.external_line_id: each.line_key for each in answer.lines} if answer else {}
    of_lines = tuple(replace(line, axerrio_line_key=taken.get(line.line_key)) for line in situation.lines)
    facts_there = AxerrioFacts(applied=write.inbound, answer=answer, answer_counts=is_rejected)
    return replace(situation, axerrio=facts_there, lines=of_lines, axerrio_knows=True)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Rows as they may stand, with what Axerrio was told of them and what people decided on what was shown."""
    situation = draw(bare_situations())
    for _ in range(draw(st.integers(0, 5))):
        plan = make_plan(situation)
        decisions = dict(situation.decisions)
        for hold in plan.holds:
            choice = draw(st.sampled_from((None, *hold.choices)))
            if hold.fact is not None and choice is not None:
                decisions[hold.line_key, hold.fact] = choice
        situation = replace(situation, decisions=decisions)
        for write in plan.writes:
            if write.kind not in KOMET_WRITES:
                situation = told(situation, write, is_rejected=draw(unlikely))
    return situation


def is_desired(situation: Situation, line: LineFacts) -> bool:
    has_left = situation.wanted.status in (OrderStatus.SHIPPED, OrderStatus.CLOSED)
    withdrawn = (situation.is_deleted and not has_left) or situation.wanted.status is OrderStatus.CANCELLED
    if situation.wanted.status is OrderStatus.DRAFT and situation.decisions.get((None, "draft")) == OURS:
        withdrawn = True
    return not withdrawn and line.wanted is not None and line.wanted.status is not LineStatus.CANCELLED


def open_writes(situation: Situation, key: str, kinds: Iterable[Kind] = KOMET_WRITES) -> list[WriteFacts]:
    return [each for each in situation.writes if each.state.is_open and each.kind in kinds and key in each.line_keys]


def planned(plan: Plan, *kinds: Kind) -> list[tuple[PlannedWrite, str]]:
    """Each line of each planned write of these kinds."""
    return [(write, key) for write in plan.writes if write.kind in kinds for key in write.line_keys]


@given(situations())
def test_no_line_is_ever_created_twice(situation: Situation) -> None:
    plan = make_plan(situation)
    assert plan == make_plan(situation)
    of_lines = {line.line_key: line for line in situation.lines}
    for kinds in ((Kind.PREBOOK_CREATE,), PURCHASE_ORDER_CREATES):
        keys = [key for _, key in planned(plan, *kinds)]
        assert len(keys) == len(set(keys))
    for write, key in planned(plan, *CREATES):
        line = of_lines[key]
        assert line.wanted is not None
        assert not open_writes(situation, key), "an open write covers it"
        done = [each for each in situation.writes if each.state is WriteState.DONE and key in each.line_keys]
        if write.kind is Kind.PREBOOK_CREATE:
            assert situation.origin is Origin.AXERRIO
            assert line.is_open
            assert not line.live_items
            made = {each.id for each in done if each.kind is Kind.PREBOOK_CREATE}
            assert not made or max(made) in {each.write_id for each in line.prebook_items}, "it was acknowledged"
            gone = [each for each in line.prebook_items if each.seen and not each.is_deleted_by_us]
            decided = {fact for (of, fact), choice in situation.decisions.items() if of == key and choice == OURS}
            for each in gone:
                is_decided = any(fact.startswith(f"gone, item {each.item_id}") for fact in decided)
                assert is_decided or has_begun(each), "a person removed it"
        else:
            covering = [each for each in done if each.kind in PURCHASE_ORDER_CREATES]
            assert all(each.shown for each in covering[-1:]), "it was acknowledged"
            assert line.ship_date not in line.unlooked_days
            assert not [each for each in line.purchase_order_items if each.status != "cancelled"]
            assert any(each.mapped and each.seen for each in line.live_items)
            assert (write.kind is Kind.PURCHASE_ORDER_MIXED_CREATE) == line.wanted.is_mixed
            assert write.ship_date == line.ship_date


def has_begun(item: PrebookItemFacts) -> bool:
    """What was bought for it last was taken away from here."""
    return any(each.is_deleted_by_us for each in item.purchase_order_items[-1:])


@given(situations())
def test_nothing_is_sent_for_what_is_not_wanted(situation: Situation) -> None:
    plan = make_plan(situation)
    of_lines = {line.line_key: line for line in situation.lines}
    for write, key in planned(plan, *CREATES):
        assert is_desired(situation, of_lines[key]), write
    if situation.wanted.status is not OrderStatus.CONFIRMED:
        begun = {line.line_key for line in situation.lines if line.prebook_items}
        assert not [key for _, key in planned(plan, Kind.PREBOOK_CREATE) if key not in begun]
    if situation.unreadable or situation.skipped:
        assert not [write for write in plan.writes if write.kind in KOMET_WRITES]
    if any(hold.line_key is None and hold.code is HoldCode.UNMAPPED_REFERENCE for hold in plan.holds):
        assert not [write for write in plan.writes if write.kind in KOMET_WRITES]
    for hold in plan.holds:  # what waits for a person gets nothing
        if hold.line_key is not None:
            assert hold.line_key not in {key for _, key in planned(plan, *KOMET_WRITES)}
    if plan.state in (OrderState.FAILED, OrderState.CANCELLED, OrderState.CLOSED):
        assert not plan.writes
        assert not plan.repeats
    if plan.state.is_final and not situation.skipped:
        assert not any(write.state.is_open for write in situation.writes)


@given(situations())
def test_only_what_is_ours_is_deleted_and_only_while_the_table_allows_it(situation: Situation) -> None:
    plan = make_plan(situation)
    of_lines = {line.line_key: line for line in situation.lines}
    deletes = planned(plan, Kind.PREBOOK_ITEM_DELETE, Kind.PURCHASE_ORDER_ITEM_DELETE)
    assert len(deletes) == len({write.item_id for write, _ in deletes})
    for write, key in deletes:
        line = of_lines[key]
        ours = {fact for (of, fact), choice in situation.decisions.items() if of == key and choice == OURS}
        theirs = {fact for (of, fact), choice in situation.decisions.items() if of == key and choice == "theirs"}
        assert not open_writes(situation, key), "its boxes may have shipped"
        of_item = [each for each in line.prebook_items if write.item_id == each.item_id]
        of_orders = [each for each in line.purchase_order_items if write.item_id == each.item_id]
        if write.kind is Kind.PREBOOK_ITEM_DELETE:
            (doomed,) = of_item
            assert situation.origin is Origin.AXERRIO, "a person made it"
            assert doomed.is_live
            assert not [each for each in doomed.live_purchase_order_items if each.status != "cancelled"]
            is_edited = doomed.changes or (doomed.sent is not None and doomed.boxes != doomed.sent["boxes"])
            if is_edited and doomed.seen and not has_begun(doomed):
                assert ours, "a person changed it, and nobody decided"
        else:
            (order,) = of_orders
            assert not line.boxes, "they shipped"
            assert not order.box_codes
            assert order.status not in (PurchaseOrderStatus.SHIPPED, PurchaseOrderStatus.CANCELLED)
            if order.status is not PurchaseOrderStatus.PENDING:
                assert situation.applies_after_approval or ours, "procurement approved it"
            assert not line.stale_days
        assert not {f"removed, item {write.item_id}", f"cancelled, item {write.item_id}"} & theirs


@given(situations())
def test_a_box_is_put_on_an_air_waybill_once(situation: Situation) -> None:
    plan = make_plan(situation)
    of_lines = {line.line_key: line for line in situation.lines}
    for write, key in planned(plan, Kind.AWB_ADD, Kind.BOX_CODE_CHANGE):
        line = of_lines[key]
        assert not open_writes(situation, key), "an open write covers it"
        shown = {code for each in line.purchase_order_items for code in each.box_codes}
        assert {box.box_code for box in line.boxes} <= shown, "not read back"
        kind = (write.kind,)
        of_kind = [each for each in situation.writes if each.kind in kind and key in each.line_keys]
        if of_kind and of_kind[-1].state is WriteState.REFUSED and of_kind[-1].counts:
            refusal = of_kind[-1].refusal
            assert of_kind[-1].looks_since_settled or refusal in (RefusalKind.TOKEN, RefusalKind.LIMIT), "not read back"
    of_write = [part for write in plan.writes for part in write.awb]
    codes = [code for part in of_write for code in part.box_codes]
    assert len(codes) == len(set(codes))
    for part in of_write:
        check_part(situation, next(line for line in situation.lines if line.line_id == part.line_id), part)
    for change in (change for write in plan.writes for change in write.boxes):
        held = [box for line in situation.lines for box in line.boxes if box.box_code == change.current]
        assert [box.label_key for box in held] == [
            label.key for label in situation.labels if change.new == label.box_code
        ]
        assert change.current != change.new


def check_part(situation: Situation, line: LineFacts, part: AwbPart) -> None:
    """A part of an air waybill names boxes that have not left, within what procurement approved."""
    shipment = next(each for each in situation.shipments if each.key == part.shipment_key)
    assert part.shipment_key not in {box.shipment_key for box in line.boxes}, "boxes of that shipment left already"
    assert shipment.awb
    assert situation.sends_temporary_awb or not shipment.is_temporary
    assert situation.labels_current
    current = {label.key: label.box_code for label in situation.labels if label.state is not LabelState.VOID}
    assert [current[key] for key in part.label_keys] == [*part.box_codes]
    assert not {box.box_code for box in line.boxes} & set(part.box_codes)
    (of_item,) = [each for each in line.purchase_order_items if each.item_id == part.item_id]
    assert len(part.box_codes) <= of_item.boxes
    assert not of_item.box_codes
    assert of_item.status is not PurchaseOrderStatus.CANCELLED
    is_early = situation.origin is Origin.KOMET and situation.awb_while_pending
    assert is_early or (of_item.status is not None and of_item.status.is_approved)
    assert all(each.mapped for each in line.live_items)


@given(situations())
def test_nothing_waits_in_silence(situation: Situation) -> None:
    """What is not at its end has something to send, something to look for, a reason, or waits for a polled feed."""
    plan = make_plan(situation)
    says = plan.reason or plan.notices
    waits = plan.writes or plan.repeats or plan.looks or says or any(w.state.is_open for w in situation.writes)
    is_fed = plan.state in (OrderState.SHIPPED, OrderState.APPROVED)  # Axerrio's feeds bring shipments and labels
    answer = situation.axerrio.answer
    is_asked = situation.origin is Origin.KOMET and (answer is None or answer.status is InboundStatus.PENDING)
    is_empty = not any(line.is_open for line in situation.lines)
    assert waits or plan.state.is_final or is_fed or is_asked or is_empty
    if situation.skipped is None and plan.state is not OrderState.FAILED:
        for write in situation.writes:
            is_ours = write.kind in KOMET_WRITES and write.state.is_open and write.line_keys
            assert not is_ours or plan.holds or write.look_key in {look.key for look in plan.looks}, (
                "nobody looks for it"
            )
    for hold in plan.holds:
        assert hold.message
        assert hold.next_command.startswith("axkomet ")
    if plan.state in (OrderState.HELD, OrderState.MAPPING_REQUIRED, OrderState.FAILED):
        assert plan.reason
        assert plan.next_command


@given(writes())
def test_absence_needs_proof_and_looks(of_order: tuple[WriteFacts, ...]) -> None:
    verdicts = judge(a_situation(tuple(facts(key) for key in KEYS), writes=of_order))
    by_id = {write.id: write for write in of_order}
    for verdict in verdicts:
        write = by_id[verdict.write_id]
        assert verdict.state is WriteState.ABSENT
        assert write.state is WriteState.SENT
        if write.kind not in KOMET_WRITES:  # given up, so that it goes anew
            assert write.strikes
            assert not write.counts
            assert write.overdue
            continue
        assert write.absence_is_proof
        assert write.may_be is None
        assert write.looks >= LOOKS_FOR_ABSENCE


# -- single answers --------------------------------------------------------------------------------------------


def kinds_and_lines(plan: Plan) -> list[tuple[Kind, tuple[str, ...]]]:
    return [(write.kind, write.line_keys) for write in plan.writes]


def linked(situation: Situation) -> Situation:
    """The same, once Axerrio was told everything that it does not know."""
    while told_next := [write for write in make_plan(situation).writes if write.kind not in KOMET_WRITES]:
        situation = told(situation, told_next[0])
    return situation


def on_the_way(*lines: LineFacts, **changes: Any) -> Situation:
    """An order that both systems hold, with labels for its lines."""
    labels = tuple(a_label(line.line_key, index) for line in lines for index in range(1, 5))
    return linked(a_situation(lines, **{"labels": labels} | changes))


def decided(situation: Situation, choice: str) -> Situation:
    """A person decided on what the plan shows."""
    (hold,) = make_plan(situation).holds
    assert hold.fact is not None
    assert choice in hold.choices
    return replace(situation, decisions={**situation.decisions, (hold.line_key, hold.fact): choice})


def test_a_new_order_wants_one_prebook_with_all_its_lines() -> None:
    plan = make_plan(a_situation((facts("1"), facts("2"))))
    assert kinds_and_lines(plan) == [(Kind.PREBOOK_CREATE, ("1", "2"))]
    assert plan.state is OrderState.RECEIVED


def test_one_purchase_order_for_each_ship_date() -> None:
    later = a_line("2", departure_date=SHIP_DATE + timedelta(days=1))
    second = facts("2", wanted=later, prebook_items=(item("2", sent=as_sent(later)),))
    plan = make_plan(a_situation((facts("1", prebook_items=(item("1"),)), second)))
    creates = [write for write in plan.writes if write.kind is Kind.PURCHASE_ORDER_CREATE]
    assert [(write.ship_date, write.line_keys) for write in creates] == [
        (SHIP_DATE, ("1",)),
        (SHIP_DATE + timedelta(days=1), ("2",)),
    ]


def test_a_later_line_joins_the_pending_purchase_order_only() -> None:
    for covering, number in ((bought("1"), "70012"), (approved("1"), None), (bought("1", changes=EDIT), None)):
        first = facts("1", prebook_items=(item("1", covering),))
        plan = make_plan(a_situation((first, facts("2", prebook_items=(item("2"),)))))
        create = next(write for write in plan.writes if write.kind is Kind.PURCHASE_ORDER_CREATE)
        assert (create.line_keys, create.purchase_order_number) == (("2",), number)


def test_mixed_boxes_wait_for_the_purchase_order_of_the_plain_lines() -> None:
    mixed = facts("2", wanted=a_mixed_line("2"), prebook_items=(item("2", sent=as_sent(a_mixed_line("2"))),))
    first = make_plan(a_situation((facts("1", prebook_items=(item("1"),)), mixed)))
    assert (Kind.PURCHASE_ORDER_CREATE, ("1",)) in kinds_and_lines(first)
    assert not planned(first, Kind.PURCHASE_ORDER_MIXED_CREATE)
    made = a_write(1, Kind.PURCHASE_ORDER_CREATE, WriteState.DONE, "1", look_key=SHIP_DATE.isoformat())
    unread = make_plan(a_situation((facts("1", prebook_items=(item("1"),)), mixed), writes=(made,)))
    assert not planned(unread, *PURCHASE_ORDER_CREATES)
    plain = facts("1", prebook_items=(item("1", bought("1")),))
    then = make_plan(a_situation((plain, mixed), writes=(replace(made, shown=True),)))
    (create,) = [write for write, _ in planned(then, Kind.PURCHASE_ORDER_MIXED_CREATE)]
    assert (create.line_keys, create.purchase_order_number) == (("2",), "70012")


@pytest.mark.parametrize(
    ("changes", "patience"),
    [
        ({"settled_for": timedelta(seconds=3)}, 7),
        ({"settled_for": timedelta(seconds=11)}, 0),
        ({"settled_for": timedelta(seconds=3), "shown": True}, 0),
        ({"settled_for": timedelta(seconds=3), "state": WriteState.REFUSED}, 0),
    ],
)
def test_links_wait_a_moment_for_a_purchase_order_that_was_just_made(changes: dict[str, Any], patience: int) -> None:
    """One call then tells Axerrio of both. Where the list does not show it soon, Axerrio learns of the prebook."""
    made = replace(a_write(1, Kind.PURCHASE_ORDER_CREATE, WriteState.DONE, "1"), **changes)
    plan = make_plan(a_situation((facts("1", prebook_items=(item("1"),)),), writes=(made,)))
    (link,) = [write for write in plan.writes if write.kind is Kind.EXTERNAL_REFERENCES]
    assert link.patience == timedelta(seconds=patience)


def test_approval_is_reported_only_once_the_links_stand() -> None:
    line = facts("1", prebook_items=(item("1", approved("1")),))
    first = make_plan(a_situation((line,)))
    assert [write.kind for write in first.writes] == [Kind.EXTERNAL_REFERENCES]
    second = make_plan(a_situation((line,), references_applied=first.writes[0].references))
    assert [write.kind for write in second.writes] == [Kind.PROCUREMENT_STATUS]
    done = make_plan(
        a_situation((line,), references_applied=first.writes[0].references, report_applied=second.writes[0].report)
    )
    assert (done.state, done.writes) == (OrderState.APPROVED, ())
    assert [look.active for look in done.looks] == [False]


def test_a_late_purchase_order_makes_an_approved_order_pending_again() -> None:
    line = facts("1", prebook_items=(item("1", approved("1")),))
    told_both = linked(a_situation((line,)))
    late = facts("2", prebook_items=(item("2", bought("2", number="70013")),))
    both = make_plan(replace(told_both, lines=(line, late))).writes[0].references
    plan = make_plan(replace(told_both, lines=(line, late), references_applied=both))
    (report,) = [write.report for write in plan.writes if write.report]
    assert report.status is PurchaseOrderStatus.PENDING


def test_a_line_that_is_linked_after_the_approval_was_told_is_told_anew() -> None:
    """Axerrio prints the labels of what is linked when it is told; the purchase order may be the one it knows."""
    line = facts("1", prebook_items=(item("1", approved("1")),))
    told = linked(a_situation((line,)))
    assert make_plan(told).writes == ()
    late = facts("2", prebook_items=(item("2", approved("2")),))
    both = make_plan(replace(told, lines=(line, late))).writes[0].references
    plan = make_plan(replace(told, lines=(line, late), references_applied=both))
    (report,) = [write.report for write in plan.writes if write.report]
    assert (report.status, report.linked) == (PurchaseOrderStatus.APPROVED, ("881", "882"))
    again = make_plan(replace(told, lines=(line, late), references_applied=both, report_applied=report))
    assert again.writes == ()


def test_in_doubt_without_proof_is_held_with_what_to_look_for() -> None:
    write = a_write(1, Kind.PREBOOK_CREATE, WriteState.SENT, "1", looks=2)
    plan = make_plan(a_situation((facts("1"),), writes=(write,)))
    assert plan.state is OrderState.HELD
    assert plan.reason_code == HoldCode.IN_DOUBT
    assert plan.reason
    assert "the prebook" in plan.reason
    assert [look.active for look in plan.looks] == [False]


def test_of_two_writes_in_doubt_the_next_command_names_the_one_that_is_told() -> None:
    lines = tuple(facts(key, prebook_items=(item(key),)) for key in "12")
    created = (Kind.PURCHASE_ORDER_CREATE, WriteState.SENT)
    writes = tuple(a_write(int(key), *created, key, looks=2, trace=f"day {key}") for key in "12")
    plan = make_plan(a_situation(lines, writes=writes))
    assert "day 1" in (plan.reason or "")
    assert plan.next_command == "axkomet resolve 2026-1 --line 1 --resend"
    assert [(hold.line_key, hold.fact) for hold in plan.holds] == [("1", "write 1"), ("2", "write 2")]


@pytest.mark.parametrize("kind", [Kind.PREBOOK_CREATE, Kind.PURCHASE_ORDER_CREATE])
def test_what_komet_took_and_does_not_show_may_be_said_to_be_gone(kind: Kind) -> None:
    """Somebody deleted it before it was seen. Mostly it stands there, so that nobody is asked to type it."""
    items = (item("1"),) if kind is Kind.PURCHASE_ORDER_CREATE else ()
    made = a_write(1, kind, WriteState.DONE, "1", look_key=SHIP_DATE.isoformat(), reads=2)
    plan = make_plan(a_situation((facts("1", prebook_items=items),), begun_version=1, writes=(made,)))
    (hold,) = plan.holds
    assert (hold.code, hold.fact, hold.choices) == (HoldCode.NOT_VISIBLE, "write 1", ("resend",))
    assert "surely stands there no more: `axkomet resolve 2026-1 --line 1 --resend`" in hold.message
    assert plan.next_command == "axkomet orders show 2026-1"


@pytest.mark.parametrize("kind", [Kind.PREBOOK_CREATE, Kind.PURCHASE_ORDER_CREATE])
@pytest.mark.parametrize("shown", [False, True])
def test_only_a_prebook_that_a_person_named_and_that_shows_nowhere_may_be_another(kind: Kind, shown: bool) -> None:
    items = (item("1"),) if kind is Kind.PURCHASE_ORDER_CREATE else ()
    made = a_write(1, kind, WriteState.DONE, "1", reads=2, acknowledged=False, shown=shown)
    (hold,) = make_plan(a_situation((facts("1", prebook_items=items),), begun_version=1, writes=(made,))).holds
    may_be_another = kind is Kind.PREBOOK_CREATE and not shown
    assert hold.choices == (("adopt", "resend") if may_be_another else ("resend",))
    assert ("another prebook" in hold.message) == may_be_another


def test_what_is_judged_keeps_the_part_that_shows() -> None:
    shown = a_write(1, Kind.PREBOOK_CREATE, WriteState.DONE, "1", looks=2)
    missing = a_write(1, Kind.PREBOOK_CREATE, WriteState.SENT, "2", looks=2, absence_is_proof=True)
    there = a_situation((facts("1"), facts("2")), writes=(shown, missing))
    kept, left_out = judged(there).writes
    assert kept == shown
    assert (left_out.state, left_out.refusal) == (WriteState.REFUSED, RefusalKind.OTHER)
    (alone,) = judged(replace(there, writes=(missing,))).writes
    assert alone.state is WriteState.ABSENT


def test_a_changed_line_goes_purchase_order_item_first_and_comes_back_anew() -> None:
    line = facts("1", wanted=a_line("1", boxes=6), prebook_items=(item("1", bought("1")),))
    first = make_plan(a_situation((line,)))
    assert [(write.kind, write.item_id) for write in first.writes][:1] == [(Kind.PURCHASE_ORDER_ITEM_DELETE, "781")]
    uncovered = replace(line, prebook_items=(item("1", bought("1", boxes=0, is_deleted_by_us=True)),))
    second = make_plan(a_situation((uncovered,)))
    assert [(write.kind, write.item_id) for write in second.writes][:1] == [(Kind.PREBOOK_ITEM_DELETE, "881")]
    nothing = replace(line, prebook_items=(replace(uncovered.prebook_items[0], boxes=0, is_deleted_by_us=True),))
    assert planned(make_plan(a_situation((nothing,))), Kind.PREBOOK_CREATE)


def test_a_replacement_begins_only_when_the_budget_pays_for_all_of_it() -> None:
    line = facts("1", wanted=a_line("1", boxes=6), prebook_items=(item("1", bought("1")),))
    uncovered = replace(line, prebook_items=(item("1"),))
    begun = replace(line, prebook_items=(item("1", bought("1", boxes=0, first_boxes=4, is_deleted_by_us=True)),))
    removed = replace(line, wanted=None)
    for each, kind, requests in (
        (line, Kind.PURCHASE_ORDER_ITEM_DELETE, 4),
        (uncovered, Kind.PREBOOK_ITEM_DELETE, 3),
        (begun, Kind.PREBOOK_ITEM_DELETE, 1),
        (removed, Kind.PURCHASE_ORDER_ITEM_DELETE, 1),
    ):
        ((write, _),) = planned(make_plan(a_situation((each,))), kind)
        assert write.requests == requests


def test_what_procurement_approved_is_held_until_somebody_decides() -> None:
    line = facts("1", wanted=a_line("1", boxes=6), prebook_items=(item("1", approved("1")),))
    held = a_situation((line,))
    plan = make_plan(held)
    assert (plan.state, plan.reason_code) == (OrderState.HELD, HoldCode.CONFLICT)
    assert not planned(plan, *KOMET_WRITES)
    assert planned(make_plan(decided(held, "ours")), Kind.PURCHASE_ORDER_ITEM_DELETE)
    assert not planned(make_plan(decided(held, "theirs")), *KOMET_WRITES)
    assert planned(make_plan(replace(held, applies_after_approval=True)), Kind.PURCHASE_ORDER_ITEM_DELETE)


def test_what_has_shipped_is_never_taken_away() -> None:
    boxes = tuple(a_box("1", index) for index in range(1, 5))
    codes = tuple(box.box_code for box in boxes)
    stands = item("1", approved("1", box_codes=codes))
    line = facts("1", wanted=a_line("1", boxes=6), prebook_items=(stands,), boxes=boxes)
    held = on_the_way(line, applies_after_approval=True, shipments=(a_shipment("S1", left("1", range(1, 5))),))
    plan = make_plan(held)
    assert (plan.state, plan.reason_code) == (OrderState.HELD, HoldCode.CONFLICT)
    assert [hold.choices for hold in plan.holds] == [("theirs",)]
    assert not planned(make_plan(decided(held, "theirs")), *KOMET_WRITES)


def test_what_a_person_changed_waits_for_a_decision() -> None:
    edited = item("1", boxes=3)
    held = a_situation((facts("1", prebook_items=(edited,)),))
    plan = make_plan(held)
    assert plan.reason_code == HoldCode.CONFLICT
    assert plan.reason
    assert "boxes 4 → 3" in plan.reason
    assert kinds_and_lines(make_plan(decided(held, "ours")))[:1] == [(Kind.PREBOOK_ITEM_DELETE, ("1",))]
    assert planned(make_plan(decided(held, "theirs")), Kind.PURCHASE_ORDER_CREATE)


def test_an_item_that_a_person_removed_is_made_again_only_for_ours() -> None:
    held = a_situation((facts("1", prebook_items=(item("1", boxes=0),)),))
    assert make_plan(held).reason_code == HoldCode.CONFLICT
    assert planned(make_plan(decided(held, "ours")), Kind.PREBOOK_CREATE)
    assert not planned(make_plan(decided(held, "theirs")), *KOMET_WRITES)


@pytest.mark.parametrize("now", [bought("1"), bought("1", boxes=0, first_boxes=4)])
def test_what_a_person_does_after_it_was_bought_anew_is_asked_about_like_any_other(now: PurchaseOrderItemFacts) -> None:
    """What was once deleted from here is begun only until it is bought again."""
    before = bought("1", item_id="771", boxes=0, first_boxes=4, is_deleted_by_us=True)
    removed = a_situation((facts("1", prebook_items=(item("1", before, now, boxes=0),)),), begun_version=1)
    assert make_plan(removed).reason_code == HoldCode.CONFLICT
    assert not planned(make_plan(removed), *KOMET_WRITES)
    edited = facts("1", wanted=a_line("1", boxes=6), prebook_items=(item("1", before, now, boxes=5),))
    assert make_plan(a_situation((edited,), begun_version=1)).reason_code == HoldCode.CONFLICT
    without_cost = facts("1", wanted=a_line("1", unit_cost=None), prebook_items=(item("1", before, bought("1")),))
    held = make_plan(a_situation((without_cost,), begun_version=1))
    assert held.reason_code == HoldCode.INVALID
    assert not planned(held, *KOMET_WRITES)
    newer = facts("1", wanted=a_line("1", boxes=6), prebook_items=(item("1", before, bought("1")),))
    ((write, _),) = planned(make_plan(a_situation((newer,))), *KOMET_WRITES)
    assert write.requests == 4, "it is not begun yet"


def test_a_line_comes_first_in_the_budget_only_until_it_was_made_anew() -> None:
    deleted = bought("1", item_id="771", boxes=0, first_boxes=4, is_deleted_by_us=True)
    old, new = item("1", deleted, boxes=0, is_deleted_by_us=True), item("1", item_id="889")
    for stands in ((item("1", deleted),), (old,), (old, new)):
        assert facts("1", prebook_items=stands).is_half_remade
    for stands in ((item("1", deleted, bought("1")),), (old, replace(new, purchase_order_items=(bought("1"),)))):
        assert not facts("1", prebook_items=stands).is_half_remade


def test_half_of_what_was_bought_gone_is_no_new_question() -> None:
    parts = tuple(bought("1", item_id=f"78{part}", number=f"7001{part}", boxes=2) for part in (1, 2))
    line = facts("1", prebook_items=(item("1", *parts),))
    cancelled = a_situation((line,), wanted=an_order((a_line("1"),), OrderStatus.CANCELLED), begun_version=1)
    ((write, _),) = planned(make_plan(cancelled), *KOMET_WRITES)
    gone = tuple(
        replace(each, boxes=0, is_deleted_by_us=True) if each.item_id == write.item_id else each for each in parts
    )
    half = make_plan(replace(cancelled, lines=(replace(line, prebook_items=(item("1", *gone),)),)))
    assert not half.holds
    assert planned(half, Kind.PURCHASE_ORDER_ITEM_DELETE)


def test_the_surplus_of_a_line_goes_unless_a_person_changed_it_or_it_is_covered() -> None:
    late = item("1", item_id="8817", prebook_id="991209", prebook_number="4350", write_id=98)
    free = make_plan(a_situation((facts("1", prebook_items=(item("1", bought("1")), late)),)))
    assert [write.item_id for write in free.writes if write.kind is Kind.PREBOOK_ITEM_DELETE] == ["8817"]
    covered = replace(late, purchase_order_items=(bought("1", item_id="7817"),))
    for other, covering in ((replace(late, boxes=3), bought("1")), (covered, bought("1"))):
        plan = make_plan(a_situation((facts("1", prebook_items=(item("1", covering), other)),)))
        assert plan.reason_code == HoldCode.CONFLICT
        assert not planned(plan, *KOMET_WRITES)


def test_what_covers_an_item_that_is_gone_is_not_bought_again_for_the_line_elsewhere() -> None:
    another = item("1", item_id="8817", prebook_id="991209", prebook_number="4350", write_id=98)
    by_hand = a_situation((facts("1", prebook_items=(item("1", approved("1"), boxes=0), another)),))
    assert make_plan(by_hand).reason_code == HoldCode.CONFLICT
    assert not planned(make_plan(by_hand), *KOMET_WRITES)
    assert planned(make_plan(decided(by_hand, "ours")), Kind.PURCHASE_ORDER_ITEM_DELETE)
    late = item("1", bought("1"), boxes=0, is_deleted_by_us=True)
    ours = make_plan(a_situation((facts("1", prebook_items=(late, another)),)))
    assert [write.item_id for write, _ in planned(ours, *KOMET_WRITES)] == ["781"]


def test_a_mapping_makes_an_item_anew_unless_a_person_changed_it() -> None:
    named = {**as_sent(a_line("1")), "product_code": "ROSE-FREEDOM-50"}
    for changes, kind in (((), Kind.PREBOOK_ITEM_DELETE), (EDIT, None)):
        unmapped = item("1", mapped=False, changes=changes)
        plan = make_plan(a_situation((facts("1", wanted_as_sent=named, prebook_items=(unmapped,)),)))
        assert [write.kind for write, _ in planned(plan, *KOMET_WRITES)] == ([kind] if kind else [])


def test_a_refused_deletion_is_looked_at_before_it_is_tried_again() -> None:
    line = facts("1", wanted=a_line("1", boxes=6), prebook_items=(item("1"),))
    refused = a_write(1, Kind.PREBOOK_ITEM_DELETE, WriteState.REFUSED, "1", refusal=RefusalKind.OTHER)
    unseen = make_plan(a_situation((line,), writes=(refused,)))
    assert not planned(unseen, *KOMET_WRITES)
    assert [look.active for look in unseen.looks] == [True]
    seen = replace(refused, looks_since_settled=1)
    assert planned(make_plan(a_situation((line,), writes=(seen,))), Kind.PREBOOK_ITEM_DELETE)
    thrice = tuple(replace(seen, id=number) for number in (1, 2, 3))
    assert make_plan(a_situation((line,), writes=thrice)).reason_code == HoldCode.REJECTED


def test_a_refused_purchase_order_is_looked_at_on_its_day_before_it_is_asked_for_again() -> None:
    line = facts("1", prebook_items=(item("1"),))
    day = (SHIP_DATE + timedelta(days=1)).isoformat()
    refused = a_write(1, Kind.PURCHASE_ORDER_CREATE, WriteState.REFUSED, "1", refusal=RefusalKind.OTHER, look_key=day)
    unseen = make_plan(a_situation((line,), writes=(refused,)))
    assert not planned(unseen, *KOMET_WRITES)
    assert [(look.key, look.active) for look in unseen.looks] == [(day, True)]
    for seen in (replace(refused, looks_since_settled=1), replace(refused, reads=1)):
        assert planned(make_plan(a_situation((line,), writes=(seen,))), Kind.PURCHASE_ORDER_CREATE)


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("boxes", [4, 6])
def test_a_refused_prebook_that_may_hold_some_of_its_lines_is_looked_for_first(boxes: int, counts: bool) -> None:
    """Also where a line was changed or the order requeued since."""
    lines = (facts("1", wanted=a_line("1", boxes=boxes)), facts("2"))
    refused = a_write(1, Kind.PREBOOK_CREATE, WriteState.REFUSED, "1", "2", refusal=RefusalKind.OTHER, counts=counts)
    in_part = a_situation(lines, writes=(refused,), leaves_bad_items_out=True)
    unseen = make_plan(in_part)
    assert not planned(unseen, *KOMET_WRITES)
    assert {(look.key, look.active) for look in unseen.looks} == {(refused.look_key, True)}
    for seen in (replace(refused, looks_since_settled=1), replace(refused, reads=1)):
        assert planned(make_plan(replace(in_part, writes=(seen,))), Kind.PREBOOK_CREATE)
    assert planned(make_plan(replace(in_part, leaves_bad_items_out=False)), Kind.PREBOOK_CREATE)


@pytest.mark.parametrize("wanted", [a_line("1", departure_date=SHIP_DATE + timedelta(days=1)), None])
def test_an_item_is_not_deleted_before_the_purchase_order_that_covers_it_was_seen(wanted: Line | None) -> None:
    """On the day for which it was asked, whatever the line's day is now."""
    line = facts("1", wanted=wanted, prebook_items=(item("1"),))
    made = a_write(1, Kind.PURCHASE_ORDER_CREATE, WriteState.DONE, "1", look_key=SHIP_DATE.isoformat())
    plan = make_plan(a_situation((line,), writes=(made,)))
    assert not planned(plan, *KOMET_WRITES)
    assert [(look.key, look.active) for look in plan.looks] == [(SHIP_DATE.isoformat(), True)]
    unproven = make_plan(a_situation((line,), writes=(replace(made, reads=2),)))
    assert not planned(unproven, *KOMET_WRITES)
    for gone in (replace(made, looks=2, reads=2), replace(made, shown=True)):
        assert planned(make_plan(a_situation((line,), writes=(gone,))), Kind.PREBOOK_ITEM_DELETE)


def test_mixed_boxes_wait_for_a_purchase_order_only_while_a_line_does() -> None:
    """Not for one that a person deleted before it was seen, and whose items were made anew since."""
    mixed = a_mixed_line("2")
    mine = item("2", sent=as_sent(mixed))
    lines = (facts("1", prebook_items=(item("1"),)), facts("2", wanted=mixed, prebook_items=(mine,)))
    made = a_write(1, Kind.PURCHASE_ORDER_CREATE, WriteState.DONE, "1", look_key=SHIP_DATE.isoformat())
    waiting = make_plan(a_situation(lines, writes=(made,)))
    assert not planned(waiting, *PURCHASE_ORDER_CREATES)
    assert [(look.key, look.active) for look in waiting.looks] == [(SHIP_DATE.isoformat(), True)]
    anew = item("1", approved("1"), item_id="889")
    again = (facts("1", prebook_items=(anew,)), lines[1])
    assert planned(make_plan(a_situation(again, writes=(made,))), Kind.PURCHASE_ORDER_MIXED_CREATE)
    unseen = make_plan(a_situation(lines, writes=(replace(made, reads=2),)))
    assert unseen.reason_code == HoldCode.NOT_VISIBLE
    assert planned(unseen, Kind.PURCHASE_ORDER_MIXED_CREATE), "what cannot be seen keeps nothing else waiting"


def test_purchase_orders_are_read_before_what_covers_a_line_is_deleted() -> None:
    line = facts("1", wanted=a_line("1", boxes=6), prebook_items=(item("1", bought("1")),), stale_days=(SHIP_DATE,))
    plan = make_plan(a_situation((line,)))
    assert not planned(plan, *KOMET_WRITES)
    assert [look.active for look in plan.looks] == [True]


def test_a_cancelled_order_is_cancelled_once_nothing_of_ours_stands() -> None:
    line = facts("1", prebook_items=(item("1"),))
    withdrawn = a_situation((line,), wanted=an_order((a_line("1"),), OrderStatus.CANCELLED), begun_version=1)
    plan = make_plan(withdrawn)
    assert plan.state is OrderState.CANCELLING
    assert planned(plan, Kind.PREBOOK_ITEM_DELETE)
    gone = replace(withdrawn, lines=(facts("1", prebook_items=(item("1", boxes=0, is_deleted_by_us=True),)),))
    assert make_plan(gone).state is OrderState.CANCELLED


def test_a_purchase_order_that_procurement_cancelled_is_a_conflict() -> None:
    cancelled = bought("1", status=PurchaseOrderStatus.CANCELLED)
    held = a_situation((facts("1", prebook_items=(item("1", cancelled),)),))
    assert make_plan(held).reason_code == HoldCode.CONFLICT
    assert planned(make_plan(decided(held, "ours")), Kind.PURCHASE_ORDER_CREATE)
    assert not planned(make_plan(decided(held, "theirs")), *KOMET_WRITES)


def test_boxes_go_on_their_air_waybill_with_the_codes_of_their_labels() -> None:
    line = facts("1", prebook_items=(item("1", approved("1")),))
    plan = make_plan(on_the_way(line, shipments=(a_shipment("S1", left("1", (1, 2))),)))
    ((write, _),) = planned(plan, Kind.AWB_ADD)
    assert [(part.item_id, part.box_codes) for part in write.awb] == [("781", (code_of("1", 1), code_of("1", 2)))]
    pending = facts("1", prebook_items=(item("1", bought("1")),))
    early = on_the_way(pending, shipments=(a_shipment("S1", left("1", (1, 2))),))
    assert not planned(make_plan(early), Kind.AWB_ADD)


def test_boxes_fill_several_items_and_no_item_takes_more_than_it_has() -> None:
    covered = item("1", approved("1", item_id="a", boxes=3), approved("1", item_id="b", boxes=1))
    shipments = (a_shipment("S1", left("1", range(1, 5))),)
    plan = make_plan(on_the_way(facts("1", prebook_items=(covered,)), shipments=shipments))
    ((write, _),) = planned(plan, Kind.AWB_ADD)
    assert [(part.item_id, len(part.box_codes)) for part in write.awb] == [("a", 3), ("b", 1)]
    three = a_line("1", boxes=3)
    less = facts("1", wanted=three, prebook_items=(item("1", approved("1", boxes=3), boxes=3, sent=as_sent(three)),))
    held = make_plan(on_the_way(less, shipments=shipments))
    assert held.reason_code == HoldCode.INVALID


def test_boxes_that_left_are_read_back_and_shipped_once_all_left() -> None:
    boxes = (a_box("1", 1), a_box("1", 2))
    rest = approved("1", item_id="791", boxes=2, first_boxes=2)
    unread = facts("1", prebook_items=(item("1", approved("1", boxes=2, first_boxes=4), rest),), boxes=boxes)
    shipments = (a_shipment("S1", left("1", (1, 2))), a_shipment("S2", left("1", (3, 4))))
    waiting = make_plan(on_the_way(unread, shipments=shipments))
    assert not waiting.writes
    assert [look.active for look in waiting.looks] == [True]
    read = approved("1", boxes=2, first_boxes=4, box_codes=(code_of("1", 1), code_of("1", 2)))
    ((write, _),) = planned(
        make_plan(on_the_way(replace(unread, prebook_items=(item("1", read, rest),)), shipments=shipments)),
        Kind.AWB_ADD,
    )
    assert [(part.shipment_key, part.item_id) for part in write.awb] == [("S2", "791")]
    alone = on_the_way(replace(unread, prebook_items=(item("1", read, rest),)), shipments=shipments[:1])
    assert make_plan(alone).state is OrderState.APPROVED
    over = an_order((a_line("1", status=LineStatus.SHIPPED),), OrderStatus.SHIPPED)
    short = replace(alone, wanted=over, lines=(replace(alone.lines[0], wanted=over.lines[0]),))
    assert make_plan(short).state is OrderState.SHIPPED


def test_a_reprinted_label_changes_the_code_of_its_box() -> None:
    boxes = tuple(a_box("1", index) for index in range(1, 5))
    codes = tuple(box.box_code for box in boxes)
    line = facts("1", prebook_items=(item("1", approved("1", box_codes=codes)),), boxes=boxes)
    labels = (a_label("1", 1, box_code="AX-NEW", version=2), *(a_label("1", index) for index in (2, 3, 4)))
    shipments = (a_shipment("S1", left("1", range(1, 5))),)
    plan = make_plan(on_the_way(line, labels=labels, shipments=shipments))
    ((write, _),) = planned(plan, Kind.BOX_CODE_CHANGE)
    assert [(each.current, each.new) for each in write.boxes] == [(code_of("1", 1), "AX-NEW")]
    assert make_plan(on_the_way(line, shipments=shipments)).state is OrderState.SHIPPED


@pytest.mark.parametrize("code", [code_of("1", 2), ""])
@pytest.mark.parametrize("named", ["by its label", "by its old code", "by its new code"])
def test_a_box_whose_label_cannot_be_read_does_not_leave_with_another_code(code: str, named: str) -> None:
    """Nor in place of another box whose label is free: what the newest version carries is what counts."""
    unread = a_label("1", 2, box_code=code, is_readable=False)
    labels = (a_label("1", 1), unread, a_label("1", 3))
    line = facts("1", prebook_items=(item("1", approved("1")),))
    entry = left("1", (1, 2))
    if named != "by its label":
        second = "AX-NEW" if named == "by its new code" else code_of("1", 2)
        entry = entry.model_copy(update={"label_keys": (), "box_codes": (code_of("1", 1), second)})
    held = make_plan(on_the_way(line, labels=labels, shipments=(a_shipment("S1", entry),)))
    assert held.reason_code == HoldCode.INVALID
    assert f"Axerrio's newest label of box {code or unread.key} cannot be read" in (held.reason or "")
    assert not planned(held, Kind.AWB_ADD)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (a_label("1", 1, is_readable=False), "cannot be read (`axkomet status` names it), but the box has left"),
        (a_label("1", 1, state=LabelState.VOID), "is void and has no successor in Axerrio, but the box has left"),
    ],
)
def test_why_nobody_can_tell_the_code_of_a_box_that_left_is_said(label: Label, words: str) -> None:
    boxes = tuple(a_box("1", index) for index in range(1, 5))
    covering = approved("1", box_codes=tuple(box.box_code for box in boxes))
    line = facts("1", prebook_items=(item("1", covering),), boxes=boxes)
    labels = (label, *(a_label("1", index) for index in (2, 3, 4)))
    held = make_plan(on_the_way(line, labels=labels, shipments=(a_shipment("S1", left("1", range(1, 5))),)))
    assert held.reason_code == HoldCode.INVALID
    assert words in (held.reason or "")


def test_what_a_person_changes_on_a_line_that_left_is_told_and_stops_no_reprint() -> None:
    boxes = tuple(a_box("1", index) for index in range(1, 5))
    covering = approved("1", box_codes=tuple(box.box_code for box in boxes))
    shipments = (a_shipment("S1", left("1", range(1, 5))),)
    edited = facts("1", prebook_items=(item("1", covering, boxes=3),), boxes=boxes)
    told_of = make_plan(on_the_way(edited, shipments=shipments))
    assert told_of.state is OrderState.SHIPPED
    assert "boxes 4 → 3" in told_of.notices[0]
    labels = (a_label("1", 1, box_code="AX-NEW", version=2), *(a_label("1", index) for index in (2, 3, 4)))
    assert planned(make_plan(on_the_way(edited, labels=labels, shipments=shipments)), Kind.BOX_CODE_CHANGE)


def test_a_shipment_that_changed_or_was_withdrawn_is_a_persons_matter() -> None:
    boxes = tuple(a_box("1", index) for index in range(1, 5))
    codes = tuple(box.box_code for box in boxes)
    line = facts("1", prebook_items=(item("1", approved("1", box_codes=codes)),), boxes=boxes)
    four = left("1", range(1, 5))
    for shipments in (
        (),
        (a_shipment("S1", four, awb="729-0000-0000"),),
        (a_shipment("S1", four, house_awb="H1"),),
        (a_shipment("S1", left("1", (1, 2, 3))),),
        (a_shipment("S1", four, ship_date=SHIP_DATE + timedelta(days=1)),),
    ):
        held = on_the_way(line, shipments=shipments)
        plan = make_plan(held)
        assert (plan.reason_code, [hold.choices for hold in plan.holds]) == (HoldCode.CONFLICT, [("theirs",)])
        assert not planned(make_plan(decided(held, "theirs")), *KOMET_WRITES)
    same = make_plan(on_the_way(line, shipments=(a_shipment("S1", four, awb="72912345675"),)))
    assert same.state is OrderState.SHIPPED


def test_boxes_that_a_person_shipped_in_komet_are_never_sent_again() -> None:
    line = facts("1", prebook_items=(item("1", approved("1", box_codes=("X1", "X2", "X3", "X4"))),))
    held = on_the_way(line, shipments=(a_shipment("S1", left("1", range(1, 5))),))
    assert make_plan(held).reason_code == HoldCode.CONFLICT
    assert make_plan(decided(held, "theirs")).state is OrderState.SHIPPED


def born_in_komet(*lines: LineFacts, **changes: Any) -> Situation:
    of_lines = tuple(
        replace(
            line,
            wanted_as_sent=None,
            axerrio_line_key=None,
            prebook_items=tuple(replace(each, sent=None, write_id=None) for each in line.prebook_items),
        )
        for line in lines
    )
    wanted = an_order((line.wanted for line in of_lines if line.wanted), origin=Origin.KOMET)
    return a_situation(of_lines, **{"origin": Origin.KOMET, "wanted": wanted, "axerrio_knows": False} | changes)


def test_an_order_born_in_komet_goes_to_axerrio_and_then_gets_its_purchase_order() -> None:
    new = born_in_komet(facts("1", prebook_items=(item("1"),)))
    assert kinds_and_lines(make_plan(new)) == [(Kind.INBOUND_ORDER, ("1",))]
    taken = told(new, make_plan(new).writes[0])
    assert {kind for kind, _ in kinds_and_lines(make_plan(taken))} == {
        Kind.PURCHASE_ORDER_CREATE,
        Kind.EXTERNAL_REFERENCES,
    }
    unlooked = replace(taken, lines=(replace(taken.lines[0], unlooked_days=(SHIP_DATE,)),))
    plan = make_plan(unlooked)
    assert not planned(plan, *PURCHASE_ORDER_CREATES)
    assert [look.active for look in plan.looks] == [True]


def test_nothing_of_a_prebook_born_in_komet_is_deleted_but_our_own_purchase_order() -> None:
    covered = item("1", bought("1"))
    there = linked(born_in_komet(facts("1", prebook_items=(covered,)), facts("2", prebook_items=(item("2"),))))
    gone = replace(covered, boxes=0, sent=None, write_id=None)
    cancelled = a_line("1", status=LineStatus.CANCELLED)
    line = replace(there.lines[0], wanted=cancelled, prebook_items=(gone,))
    plan = make_plan(replace(there, lines=(line, there.lines[1])))
    assert [(write.kind, write.item_id) for write, _ in planned(plan, *KOMET_WRITES)][:1] == [
        (Kind.PURCHASE_ORDER_ITEM_DELETE, "781")
    ]
    assert any(write.inbound and len(write.inbound.lines) == 1 for write in plan.writes)


def test_a_purchase_order_that_says_the_old_boxes_of_a_changed_prebook_is_made_anew() -> None:
    ours = a_write(90, Kind.PURCHASE_ORDER_CREATE, WriteState.DONE, "1", shown=True)
    there = linked(born_in_komet(facts("1", prebook_items=(item("1", bought("1")),)), writes=(ours,)))
    grown = replace(there.lines[0].prebook_items[0], boxes=6)
    line = replace(there.lines[0], wanted=a_line("1", boxes=6), prebook_items=(grown,))
    plan = make_plan(replace(there, lines=(line,)))
    assert [write.item_id for write, _ in planned(plan, Kind.PURCHASE_ORDER_ITEM_DELETE)] == ["781"]
    assert any(write.inbound for write in plan.writes)
    by_hand = replace(grown.purchase_order_items[0], boxes=5, first_boxes=4)
    edited = replace(line, prebook_items=(replace(grown, purchase_order_items=(by_hand,)),))
    assert make_plan(replace(there, lines=(edited,))).reason_code == HoldCode.CONFLICT


def test_what_a_buyer_bought_of_a_changed_prebook_is_his() -> None:
    there = linked(born_in_komet(facts("1", prebook_items=(item("1", bought("1")),))))
    grown = replace(there.lines[0].prebook_items[0], boxes=6)
    line = replace(there.lines[0], wanted=a_line("1", boxes=6), prebook_items=(grown,))
    plan = make_plan(replace(there, lines=(line,)))
    assert plan.reason_code == HoldCode.CONFLICT
    assert not planned(plan, *KOMET_WRITES)


def test_a_change_that_waits_for_a_decision_waits_on_both_sides() -> None:
    there = linked(born_in_komet(facts("1", prebook_items=(item("1", approved("1")),))))
    bought_here = a_write(1, Kind.PURCHASE_ORDER_CREATE, WriteState.DONE, "1", shown=True)
    grown = replace(there.lines[0].prebook_items[0], boxes=6)
    line = replace(there.lines[0], wanted=a_line("1", boxes=6), prebook_items=(grown,))
    held = replace(there, lines=(line,), writes=(bought_here,))
    plan = make_plan(held)
    assert plan.reason_code == HoldCode.CONFLICT
    assert not plan.writes
    assert planned(make_plan(decided(held, "ours")), Kind.PURCHASE_ORDER_ITEM_DELETE, Kind.INBOUND_ORDER)
    new = replace(facts("2", prebook_items=(item("2"),)), axerrio_line_key=None)
    (write,) = make_plan(replace(held, lines=(line, new))).writes
    assert write.inbound is not None
    assert {each.line_key: each.boxes for each in write.inbound.lines} == {"1": 4, "2": 4}, "one that waits for nobody"
    other_day = held.wanted.model_copy(update={"truck_date": held.wanted.truck_date + timedelta(days=1)})
    assert not make_plan(replace(held, lines=(line, new), wanted=other_day)).writes


def test_axerrio_may_wait_refuse_or_be_changed_by_a_person() -> None:
    new = born_in_komet(facts("1", prebook_items=(item("1"),)))
    write = make_plan(new).writes[0]
    pending = replace(told(new, write), lines=new.lines)
    pending = replace(pending, axerrio=replace(pending.axerrio, answer=an_answer({}, InboundStatus.PENDING)))
    assert (make_plan(pending).state, planned(make_plan(pending), *KOMET_WRITES)) == (OrderState.RECEIVED, [])
    refused = replace(pending, axerrio=replace(pending.axerrio, answer=an_answer({"1": False}, InboundStatus.REJECTED)))
    assert make_plan(refused).reason_code == HoldCode.REJECTED
    taken = told(new, write)
    holds = taken.axerrio.applied
    assert holds is not None
    fewer = holds.lines[0].model_copy(update={"boxes": 2, "external_line_id": "1"})
    edited = replace(taken, axerrio=replace(taken.axerrio, holds=holds.model_copy(update={"lines": (fewer,)})))
    assert make_plan(edited).reason_code == HoldCode.CONFLICT
    assert not planned(make_plan(edited), Kind.INBOUND_ORDER)
