"""Changes and cancellations after the fact: at every stage Komet ends with what is wanted, once."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from models.database import now
from models.states import Feed
from models.tables import RequestBudget, Scope
from tasks.advance import advance
from tasks.observe import observe
from tasks.requeue import requeue
from tasks.resolve import By, Choice, decide_conflicts
from tests.sync.conftest import Ledger
from tests.sync.in_komet import assert_gone, assert_in_step, covering, items_of, prebooks_of
from tests.world import World

Json = dict[str, Any]
Change = Callable[[World], Json]

PREBOOK_DELETE, ORDER_DELETE = "komet.prebook.item.delete", "komet.purchase.order.item.delete"


def _line_1(**changes: Any) -> Change:
    return lambda world: {"lines": [world.line("1", **changes), world.line("2", boxes=2)]}


MONDIAL = {"key": "A-101", "code": "RMOND50", "description": "Rose Mondial 50 cm"}
CHANGES: dict[str, Change] = {
    "quantity": _line_1(boxes=6),
    "cost": _line_1(unitCost="0.30"),
    "product": _line_1(article=MONDIAL),
    "pack": _line_1(bunchesPerBox=12),
    "mark code": _line_1(markCode="DOCK9"),
    "line departs earlier": lambda world: _line_1(departureDate=world.day(2))(world),
    "departure date": lambda world: {"departureDate": world.day(4)},
    "truck date": lambda world: {"truckDate": world.day(6)},
    "carrier": lambda _: {"carrierCode": "PRIME"},
    "line added": lambda world: {"lines": [*world.order()["lines"], world.line("3", boxes=1)]},
    "line removed": lambda world: {"lines": [world.line("2", boxes=2)]},
    "line cancelled": lambda world: {"lines": [world.line("1", status="cancelled"), world.line("2", boxes=2)]},
}


@pytest.fixture
def ledger(make_ledger: Callable[..., Ledger]) -> Ledger:
    """A ledger that may re-make many orders at once."""
    return make_ledger(change_guard=0)


#: One for each way in which a change is carried out.
WAYS = ("quantity", "departure date", "line added", "line removed")


def place_all(world: World, names: Iterable[str] = tuple(CHANGES)) -> dict[str, str]:
    """An order for each change, by the change's name."""
    return {name: world.place() for name in names}


def change_all(world: World, keys: dict[str, str]) -> None:
    for name, key in keys.items():
        world.place(key=key, **CHANGES[name](world))


def assert_all_in_step(ledger: Ledger, world: World, keys: Iterable[str], state: str) -> None:
    for key in keys:
        assert ledger.state(key) == state, ledger.order(key)
        assert_in_step(world, key)


def hide(world: World, *methods: str, kind: str = "html") -> None:
    """Let Komet answer nothing that can be read to these methods."""
    token = world.komet_token
    faults = [{"system": "komet", "method": each, "kind": kind, "token": token} for each in methods]
    world.control("faults", faults=faults)


def show(world: World) -> None:
    """End all faults."""
    world.http.delete(f"{world.addresses['control']}/faults")


# -- changes, by stage -------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_changed_before_anything_was_sent(make_ledger: Callable[..., Ledger], world: World) -> None:
    waiting = make_ledger(buyers={}, change_guard=0)
    keys = place_all(world, WAYS)
    waiting.live(30)
    change_all(world, keys)
    waiting.live(30)
    ledger = make_ledger(change_guard=0)
    ledger.offset = waiting.offset
    ledger.live(120)
    assert_all_in_step(ledger, world, keys.values(), "ordered")
    assert world.requests("prebook.create") == len(keys), "nothing was sent twice"
    assert world.requests("prebook.item.delete") == 0


@pytest.mark.thorough
def test_changed_before_its_prebook_was_seen(ledger: Ledger, world: World) -> None:
    hide(world, "prebook.details.list")
    keys = place_all(world, WAYS)
    ledger.work()
    change_all(world, keys)
    ledger.live(30)
    assert world.requests("prebook.create") == len(keys) + 1, "but for the new line it waits until its items are known"
    show(world)
    ledger.live(240, pace=40)
    assert_all_in_step(ledger, world, keys.values(), "ordered")


@pytest.mark.thorough
def test_changed_before_its_purchase_order(ledger: Ledger, world: World) -> None:
    """Komet refuses the purchase orders: what was wrong may be what is changed now."""
    world.fault("refuse", "purchase.order.create", message="The moon is full.")
    keys = place_all(world, ("quantity", "truck date"))
    ledger.live(120, pace=60)
    assert {ledger.reason(key) for key in keys.values()} == {"rejected"}
    show(world)
    change_all(world, keys)
    ledger.live(160, pace=40)
    assert_all_in_step(ledger, world, keys.values(), "ordered")


@pytest.mark.parametrize("setting", ["zero", "gone"])
def test_changed_while_its_purchase_order_is_pending(ledger: Ledger, world: World, setting: str) -> None:
    world.settings(deleted_items=setting, deleted_order_items=setting)
    keys = place_all(world, CHANGES if setting == "gone" else WAYS)
    ledger.live(120, pace=40)
    untouched = {key: items_of(world, key)[1][1]["id"] for key in keys.values()}
    change_all(world, keys)
    ledger.live(160, pace=40)
    assert_all_in_step(ledger, world, keys.values(), "ordered")
    for name, key in keys.items():
        if name not in ("truck date", "carrier", "departure date"):
            assert untouched[key] in [item["id"] for _, item in items_of(world, key)], f"{name}: line 2 stays as it was"
    assert len(prebooks_of(world, keys["line removed"])) == 1
    assert len(prebooks_of(world, keys["quantity"])) == 2, "what is made anew lands in a prebook of its own"


def test_changed_after_the_approval_waits_for_a_person(ledger: Ledger, world: World) -> None:
    keys = place_all(world, (*WAYS, "carrier"))
    ledger.live(120, pace=40)
    world.approve()
    ledger.live(40)
    before = {key: items_of(world, key) for key in keys.values()}
    change_all(world, keys)
    ledger.live(120, pace=40)
    added = keys.pop("line added")
    assert ledger.state(added) == "ordered", "what was approved is not touched"
    assert_in_step(world, added)
    for name, key in keys.items():
        assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict"), name
        assert items_of(world, key) == before[key], name
        said = ledger.order(key)["reason"]["message"]
        assert "Axerrio" in said, said
        assert "approved" in said, said
    assert "boxes 4 → 6" in ledger.order(keys["quantity"])["reason"]["message"]
    for key in keys.values():  # changed back: nothing is to be done any more
        world.place(key=key, **world.order())
    ledger.live(60)
    assert_all_in_step(ledger, world, keys.values(), "approved")
    assert world.requests("purchase.order.item.delete") == 0


@pytest.mark.thorough
def test_changed_after_the_approval_is_applied_where_the_connection_says_so(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    ledger = make_ledger(change_guard=0, change_after_approval="apply")
    keys = place_all(world, WAYS)
    ledger.live(120, pace=40)
    world.approve()
    ledger.live(40)
    change_all(world, keys)
    ledger.live(160, pace=40)
    for key in keys.values():
        assert_in_step(world, key)
    assert {ledger.state(key) for name, key in keys.items() if name != "line removed"} == {"ordered"}
    world.approve()
    ledger.live(80, pace=40)
    assert_all_in_step(ledger, world, keys.values(), "approved")


def test_what_komet_need_not_know_sends_nothing(ledger: Ledger, world: World) -> None:
    key = world.place()
    ledger.live(120)
    before = world.company["requests"]
    line = world.line("1", unitPrice="0.99", notes="new")
    changes = {"comments": "call first", "customerReference": "PO 9", "shipTo": {"code": "D", "name": "Dock"}}
    world.place(key=key, lines=[line, world.line("2", boxes=2)], **changes)
    ledger.live(60)
    assert ledger.order(key)["axerrio"]["version"] == 2
    assert ledger.state(key) == "ordered"
    after = world.company["requests"]
    assert {name: after[name] for name in before if not name.endswith("list")} == {
        name: count for name, count in before.items() if not name.endswith("list")
    }


@pytest.mark.thorough
def test_changed_again_before_the_first_change_was_through(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    world.place(key=key, **_line_1(boxes=6)(world))
    hide(world, "prebook.item.delete", kind="refuse")
    ledger.live(60)
    assert [len(covering(world, item["id"])) for _, item in items_of(world, key)] == [0, 1]
    world.place(key=key, **_line_1(boxes=7)(world))
    show(world)
    ledger.live(30)
    world.place(key=key, **_line_1(boxes=8)(world))
    ledger.live(210)
    assert_all_in_step(ledger, world, [key], "ordered")


def test_changed_back_before_anything_was_taken_away(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    before = items_of(world, key)
    hide(world, "purchase.order.list")
    world.place(key=key, **_line_1(boxes=6)(world))
    ledger.live(60)
    world.place(key=key, **world.order())
    show(world)
    ledger.live(90)
    assert_all_in_step(ledger, world, [key], "ordered")
    assert items_of(world, key) == before


@pytest.mark.thorough
def test_changed_back_after_the_purchase_order_item_went(ledger: Ledger, world: World) -> None:
    """The prebook item is as it is wanted again: it is bought once more, and stays."""
    key = ledger.earn_proof()
    before = items_of(world, key)
    hide(world, "prebook.item.delete", kind="refuse")
    world.place(key=key, **_line_1(boxes=6)(world))
    ledger.live(60)
    assert not covering(world, before[0][1]["id"])
    world.place(key=key, **world.order())
    show(world)
    ledger.live(120)
    assert_all_in_step(ledger, world, [key], "ordered")
    assert items_of(world, key) == before


@pytest.mark.thorough
def test_changed_back_after_it_was_made_anew(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    world.place(key=key, **_line_1(boxes=6)(world))
    ledger.live(150)
    assert_all_in_step(ledger, world, [key], "ordered")
    world.place(key=key, **world.order())
    ledger.live(150)
    assert_all_in_step(ledger, world, [key], "ordered")
    assert len(prebooks_of(world, key)) == 3


@pytest.mark.thorough
def test_late_lines_join_the_pending_purchase_order(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    world.place(key=key, lines=[*world.order()["lines"], world.line("3", boxes=1), world.mixed("4")])
    ledger.live(150)
    assert ledger.state(key) == "ordered", ledger.order(key)
    numbers = {order["number"] for _, item in items_of(world, key) for order, _ in covering(world, item["id"])}
    assert len(items_of(world, key)) == 4
    assert len(numbers) == 1
    world.approve()
    ledger.live(60)
    world.place(key=key, lines=[*world.order()["lines"], world.line("3", boxes=1), world.mixed("4"), world.line("5")])
    ledger.live(150)
    numbers = {order["number"] for _, item in items_of(world, key) for order, _ in covering(world, item["id"])}
    assert len(numbers) == 2, "nothing joins what was approved"
    assert ledger.state(key) == "ordered"


def test_what_komet_lets_join_no_purchase_order_any_more_gets_its_own(ledger: Ledger, world: World) -> None:
    """Procurement approved the one that it was to join, and we did not know."""
    key = ledger.earn_proof()
    world.fault("refuse", "purchase.order.create", times=1, message="The purchase order is approved")
    world.place(key=key, lines=[*world.order()["lines"], world.line("3", boxes=1)])
    while world.requests("purchase.order.create") < 2:
        ledger.pass_time(1)
        ledger.step(1)
    world.approve()
    ledger.live(120, pace=30)
    assert ledger.state(key) == "ordered", ledger.order(key)
    assert ledger.writes(key, "komet.purchase.order.create") == ["done", "refused", "done"]
    numbers = {order["number"] for _, item in items_of(world, key) for order, _ in covering(world, item["id"])}
    assert len(numbers) == 2


# -- cancellations, by stage -------------------------------------------------------------------------------------


def cancel(world: World, key: str, how: str) -> None:
    if how == "tombstone":
        world.control("orders/delete", tenant_token=world.axerrio_token, keys=[key])
    elif how == "lines":
        world.place(key=key, lines=[line | {"status": "cancelled"} for line in world.order()["lines"]])
    else:
        world.place(key=key, status="cancelled")


HOW = ("status", "tombstone", "lines")


def cancelling_of(ledger: Ledger, key: str) -> list[str]:
    """The states since it was cancelled."""
    states = [row["to"] for row in ledger.order(key)["history"]]
    return states[states.index("cancelling") :] if "cancelling" in states else states[-1:]


@pytest.mark.thorough
def test_cancelled_before_its_prebook_was_seen(ledger: Ledger, world: World) -> None:
    hide(world, "prebook.details.list")
    keys = [world.place() for _ in HOW]
    ledger.work()
    for key, how in zip(keys, HOW, strict=True):
        cancel(world, key, how)
    ledger.live(30)
    assert {ledger.state(key) for key in keys} == {"cancelling"}
    show(world)
    ledger.live(150)
    for key in keys:
        assert cancelling_of(ledger, key) == ["cancelling", "cancelled"]
        assert_gone(world, key)
    assert world.requests("purchase.order.create") == 0


@pytest.mark.parametrize("setting", ["zero", "gone"])
def test_cancelled_while_its_purchase_order_is_pending(ledger: Ledger, world: World, setting: str) -> None:
    empty = "cancelled" if setting == "gone" else "kept"
    world.settings(deleted_items=setting, deleted_order_items=setting, empty_order=empty)
    keys = [world.place() for _ in HOW]
    ledger.live(120)
    for key, how in zip(keys, HOW, strict=True):
        cancel(world, key, how)
    ledger.live(180)
    for key in keys:
        assert ledger.state(key) == "cancelled", ledger.order(key)
        assert_gone(world, key)
    deletes = world.requests("purchase.order.item.delete"), world.requests("prebook.item.delete")
    assert deletes == (6, 6)
    ledger.live(1200, pace=300)
    assert {ledger.state(key) for key in keys} == {"cancelled"}
    assert (world.requests("purchase.order.item.delete"), world.requests("prebook.item.delete")) == deletes


@pytest.mark.thorough
def test_cancelled_while_the_prebook_is_in_doubt(ledger: Ledger, world: World) -> None:
    """One of them arrived, the other did not: each ends cancelled, and nothing of it stands."""
    ledger.earn_proof()
    arrived, lost = "lost_answer", "reset_before"
    keys = []
    for kind in (arrived, lost):
        world.fault(kind, "prebook.create", times=1)
        keys.append(world.place())
        ledger.pass_time(30)
        ledger.feed_and_send()
        assert ledger.writes(keys[-1], "komet.prebook.create") == ["sent"]
        cancel(world, keys[-1], "status")
    ledger.live(300)
    for key in keys:
        assert ledger.state(key) == "cancelled", ledger.order(key)
        assert_gone(world, key)
    assert [ledger.writes(key, "komet.prebook.create") for key in keys] == [["done"], ["absent"]]
    assert world.requests("purchase.order.create") == 1


@pytest.mark.thorough
def test_cancelled_while_the_purchase_order_is_in_doubt(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    world.fault("lost_answer", "purchase.order.create", times=1)
    key = world.place()
    ledger.live(30)
    cancel(world, key, "status")
    ledger.live(180)
    assert ledger.state(key) == "cancelled", ledger.order(key)
    assert_gone(world, key)


@pytest.mark.parametrize("rule", ["hold", "apply"])
def test_cancelled_after_the_approval(make_ledger: Callable[..., Ledger], world: World, rule: str) -> None:
    ledger = make_ledger(change_guard=0, change_after_approval=rule)
    keys = [world.place() for _ in HOW]
    ledger.live(120)
    world.approve()
    ledger.live(60)
    for key, how in zip(keys, HOW, strict=True):
        cancel(world, key, how)
    ledger.live(150)
    for key in keys:
        if rule == "apply":
            assert ledger.state(key) == "cancelled", ledger.order(key)
            assert_gone(world, key)
        else:
            assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict")
            assert len(items_of(world, key)) == 2
            assert "stands in Komet, approved" in ledger.order(key)["reason"]["message"]


@pytest.mark.thorough
def test_komet_refuses_to_delete_what_is_approved(make_ledger: Callable[..., Ledger], world: World) -> None:
    """Tried three times, each time after a look; then held with Komet's words, and on with a fresh start."""
    ledger = make_ledger(change_after_approval="apply")
    world.settings(delete_approved="refused")
    changed, cancelled = world.place(), world.place()
    ledger.live(120)
    world.approve()
    ledger.live(60)
    world.place(key=changed, **_line_1(boxes=6)(world))
    cancel(world, cancelled, "status")
    ledger.live(240)
    for key, lines in ((changed, 1), (cancelled, 2)):
        assert (ledger.state(key), ledger.reason(key)) == ("held", "rejected")
        assert "is approved: its items cannot be deleted" in ledger.order(key)["reason"]["message"]
        assert ledger.writes(key, ORDER_DELETE) == ["refused"] * 3 * lines
        assert len(items_of(world, key)) == 2
    ledger.live(7200, pace=1800)
    assert world.requests("purchase.order.item.delete") == 9, "it is not tried for ever"
    world.settings(delete_approved="allowed")
    with ledger.runtime.sessions.begin() as session:
        requeue(session, [ledger.order(key)["id"] for key in (changed, cancelled)], "Komet allows it now")
    ledger.live(180)
    assert ledger.state(cancelled) == "cancelled"
    assert_gone(world, cancelled)
    assert_in_step(world, changed)
    assert ledger.state(changed) == "ordered"


def ship(ledger: Ledger, world: World, *keys: str) -> None:
    world.approve()
    ledger.live(90)
    world.in_axerrio("ship", order_keys=list(keys), awb="729-1234 5675")
    ledger.live(90)
    assert {ledger.state(key) for key in keys} == {"shipped"}


def test_nothing_is_changed_once_its_boxes_left(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(change_after_approval="apply")
    world.in_axerrio("tenant-settings", print_labels=True)
    changed, cancelled = world.place(), world.place()
    ledger.live(120)
    ship(ledger, world, changed, cancelled)
    world.place(key=changed, **_line_1(boxes=6)(world))
    cancel(world, cancelled, "status")
    ledger.live(120)
    for key, says in ((changed, "boxes 4 → 6"), (cancelled, "cancelled")):
        assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict")
        message = ledger.order(key)["reason"]["message"]
        assert says in message
        assert "have shipped on purchase order" in message
        assert len(items_of(world, key)) == 2
    assert (world.requests("purchase.order.item.delete"), world.requests("prebook.item.delete")) == (0, 0)


@pytest.mark.thorough
def test_uncancelled_again(ledger: Ledger, world: World) -> None:
    """Before anything was taken away, half way, and after all was gone."""
    at_once, half_way, after = ledger.earn_proof(), ledger.earn_proof(), ledger.earn_proof()
    cancel(world, after, "status")
    ledger.live(60)
    assert ledger.state(after) == "cancelled"
    hide(world, "purchase.order.list")
    cancel(world, at_once, "status")
    ledger.live(60)
    assert ledger.state(at_once) == "cancelling"
    world.place(key=at_once, status="confirmed")
    hide(world, "prebook.item.delete", kind="refuse")
    cancel(world, half_way, "status")
    ledger.live(60)
    assert [covering(world, item["id"]) for _, item in items_of(world, half_way)] == [[], []]
    for key in (half_way, after):
        world.place(key=key, status="confirmed")
    show(world)
    ledger.live(180)
    assert_all_in_step(ledger, world, [at_once, half_way, after], "ordered")


@pytest.mark.parametrize("choice", ["ours", "theirs"])
@pytest.mark.thorough
def test_back_to_draft_after_it_was_sent(ledger: Ledger, world: World, choice: str) -> None:
    key = ledger.earn_proof()
    world.place(key=key, status="draft")
    ledger.live(60)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict")
    assert_in_step(world, key)
    decide(ledger, key, choice)
    ledger.live(120, pace=40)
    if choice == "ours":
        assert_gone(world, key)
    else:
        assert ledger.state(key) == "ordered"
    assert len(items_of(world, key)) == (0 if choice == "ours" else 2)
    world.place(key=key, status="confirmed")
    ledger.live(160, pace=40)
    assert_all_in_step(ledger, world, [key], "ordered")
    world.place(key=key, status="draft")
    ledger.live(60)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict"), "that was decided of the first time"


@pytest.mark.parametrize("choice", ["ours", "theirs"])
@pytest.mark.thorough
def test_what_came_after_the_approval_is_decided(ledger: Ledger, world: World, choice: str) -> None:
    """Ours makes it as Axerrio has it, theirs leaves what Komet has; either way the question does not come back."""
    keys = place_all(world, ("quantity", "departure date", "line removed"))
    cancelled = world.place()
    ledger.live(120, pace=40)
    world.approve()
    ledger.live(40)
    before = {key: items_of(world, key) for key in (*keys.values(), cancelled)}
    change_all(world, keys)
    cancel(world, cancelled, "status")
    ledger.live(80, pace=40)
    for key in before:
        assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict")
        decide(ledger, key, choice)
    ledger.live(200, pace=40)
    world.approve()
    ledger.live(80, pace=40)
    if choice == "ours":
        assert_all_in_step(ledger, world, keys.values(), "approved")
        assert_gone(world, cancelled)
        assert ledger.state(cancelled) == "cancelled"
    else:
        assert {ledger.state(key) for key in keys.values()} == {"approved"}, ledger.order(keys["line removed"])
        assert ledger.state(cancelled) == "closed"
        assert "it stays in Komet" in ledger.order(cancelled)["history"][-1]["why"]
        assert {key: items_of(world, key) for key in before} == before
    states = [ledger.state(key) for key in before]
    ledger.live(1200, pace=600)
    assert [ledger.state(key) for key in before] == states
    world.place(key=keys["quantity"], **_line_1(boxes=7)(world))
    ledger.live(80, pace=40)
    assert ledger.reason(keys["quantity"]) == "conflict", "a newer change is a new question"


def test_changed_and_cancelled_while_the_call_is_in_flight(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(timing={"http_timeout": 20.0})
    ledger.earn_proof()
    world.fault("slow", "prebook.create", seconds=3)
    changed, cancelled = world.place(), world.place()
    ledger.pass_time(30)
    with ledger.session() as session:
        (feed,) = session.scalars(select(Scope.id).where(Scope.feed == Feed.SALES_ORDERS))
    observe(ledger.runtime, feed)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(advance, ledger.runtime, ledger.order(key)["id"]) for key in (changed, cancelled)]
        while world.requests("prebook.create") < 3:
            time.sleep(0.02)
        world.place(key=changed, **_line_1(boxes=6)(world))
        cancel(world, cancelled, "status")
        with ledger.runtime.sessions.begin() as session:
            session.execute(update(Scope).where(Scope.id == feed).values(due_at=now(session)))
        observe(ledger.runtime, feed)
        assert not any(call.done() for call in calls), "it was read while the calls were under way"
    show(world)
    ledger.live(200, pace=40)
    assert_all_in_step(ledger, world, [changed], "ordered")
    assert ledger.state(cancelled) == "cancelled"
    assert_gone(world, cancelled)


# -- faults at the deletes ---------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("kinds", [("lost_answer", "error_after", "html"), ("error_before", "reset_before")])
def test_deletes_without_an_answer(ledger: Ledger, world: World, kinds: tuple[str, ...]) -> None:
    """Both deletes, done or not, of a change and of a cancellation: nothing is doubled, and nothing is left."""
    changed, cancelled = ledger.earn_proof(), ledger.earn_proof()
    methods = (PREBOOK_DELETE.removeprefix("komet."), ORDER_DELETE.removeprefix("komet."))
    once = {"system": "komet", "token": world.komet_token, "times": 1}
    world.control("faults", faults=[once | {"method": each, "kind": kind} for each in methods for kind in kinds])
    world.settings(repeated_delete="refused")
    world.place(key=changed, **_line_1(boxes=6)(world))
    cancel(world, cancelled, "status")
    ledger.live(900, pace=60)
    assert ledger.state(cancelled) == "cancelled", ledger.order(cancelled)
    assert_gone(world, cancelled)
    assert_all_in_step(ledger, world, [changed], "ordered")
    assert {world.requests(each) for each in methods} == {3 if "html" in kinds else 5}


@pytest.mark.thorough
def test_deletes_that_the_lists_show_late(ledger: Ledger, world: World) -> None:
    changed, cancelled = ledger.earn_proof(), ledger.earn_proof()
    world.settings(list_lag_seconds=0.5, repeated_delete="refused")
    world.place(key=changed, **_line_1(boxes=6)(world))
    cancel(world, cancelled, "status")
    ledger.live(60)
    time.sleep(0.5)
    ledger.live(60)
    time.sleep(0.5)
    ledger.live(60)
    time.sleep(0.5)
    ledger.live(120)
    assert ledger.state(cancelled) == "cancelled", ledger.order(cancelled)
    assert_gone(world, cancelled)
    assert_all_in_step(ledger, world, [changed], "ordered")
    assert (world.requests("purchase.order.item.delete"), world.requests("prebook.item.delete")) == (3, 3)


@pytest.mark.thorough
def test_deletes_in_the_query(make_ledger: Callable[..., Ledger], world: World) -> None:
    world.settings(delete_style="query")
    entry = world.entry()
    ledger = make_ledger(komet=entry["komet"] | {"profile": {"delete_style": "query"}})
    key = ledger.earn_proof()
    world.place(key=key, **_line_1(boxes=6)(world))
    ledger.live(120)
    assert_all_in_step(ledger, world, [key], "ordered")


# -- the budget --------------------------------------------------------------------------------------------------


def use_budget(ledger: Ledger, left: int) -> None:
    """So many of Komet's requests are left."""
    company, limit = ledger.settings.company, ledger.settings.komet.daily_requests
    with ledger.runtime.sessions.begin() as session:
        session.execute(delete(RequestBudget))
        session.add(RequestBudget(company=company, slot=now(session), used=limit - left))


@pytest.mark.thorough
def test_a_replacement_begins_only_when_all_of_it_is_in_the_budget(ledger: Ledger, world: World) -> None:
    """Two deletes, a prebook and a purchase order. Once begun it goes on, and a cancellation waits for nothing."""
    key, cancelled = ledger.earn_proof(), ledger.earn_proof()
    use_budget(ledger, 3)
    world.place(key=key, **_line_1(boxes=6)(world))
    cancel(world, cancelled, "status")
    ledger.live(2 * 3600, pace=600)  # with so few left, reads are an hour apart
    assert world.requests("purchase.order.item.delete") == 2, "of the cancelled one"
    assert ledger.state(cancelled) == "cancelled"
    assert len(items_of(world, key)) == 2
    assert ledger.order(key)["held_up_by"] == "budget"
    use_budget(ledger, 4)
    world.fault("refuse", "prebook.item.delete", times=1)
    ledger.live(3600, pace=3600)
    assert world.requests("purchase.order.item.delete") == 3
    use_budget(ledger, 3)
    ledger.live(3 * 3600, pace=600)
    assert_all_in_step(ledger, world, [key], "ordered")


# -- late truth --------------------------------------------------------------------------------------------------

OURS, NOBODY = 201, 999


def given_up(ledger: Ledger, world: World, *, send_again: bool = True) -> tuple[str, Json]:
    """An order whose first prebook nobody answered to and no list showed; gives its key and that prebook."""
    world.fault("lost_answer", "prebook.create", times=1)
    key = world.place()
    ledger.pass_time(30)
    ledger.feed_and_send()
    (late,) = prebooks_of(world, key)
    set_vendor(world, late, NOBODY)  # not listed to our token
    if not send_again:
        cancel(world, key, "status")
    ledger.live(200, pace=40)
    expected = ["absent", "done"] if send_again else ["absent"]
    assert ledger.writes(key, "komet.prebook.create") == expected, ledger.order(key)
    return key, late


def set_vendor(world: World, prebook: Json, vendor_id: int) -> None:
    for item in prebook["items"]:
        world.edit(prebook_item_id=item["id"], vendor_id=vendor_id)


@pytest.mark.thorough
def test_a_prebook_that_shows_late_is_taken_away_while_nothing_covers_it(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    key, late = given_up(ledger, world)
    set_vendor(world, late, OURS)
    ledger.live(160, pace=40)
    assert_all_in_step(ledger, world, [key], "ordered")
    assert late["id"] not in [prebook["id"] for prebook, _ in items_of(world, key)]


@pytest.mark.parametrize("choice", ["ours", "theirs"])
@pytest.mark.thorough
def test_a_prebook_that_shows_late_and_was_bought_is_for_a_person_to_decide(
    ledger: Ledger, world: World, choice: str
) -> None:
    ledger.earn_proof()
    key, late = given_up(ledger, world)
    bought = [{"prebook_item_id": item["id"]} for item in late["items"]]
    world.control("purchase-orders", company_token=world.komet_token, ship_date=world.day(3), items=bought)
    set_vendor(world, late, OURS)
    ledger.live(160, pace=40)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict")
    assert "stands twice in Komet" in ledger.order(key)["reason"]["message"]
    assert len(items_of(world, key)) == 4
    decide(ledger, key, choice)
    ledger.live(160, pace=40)
    assert ledger.state(key) == "ordered", ledger.order(key)
    if choice == "ours":
        assert_in_step(world, key)
    else:
        assert len(items_of(world, key)) == 4
    ledger.live(1200, pace=600)
    assert ledger.state(key) == "ordered", "what was decided does not come back"


@pytest.mark.thorough
def test_a_prebook_of_a_cancelled_order_that_shows_late_is_taken_away(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    key, late = given_up(ledger, world, send_again=False)
    assert ledger.state(key) == "cancelled"
    set_vendor(world, late, OURS)
    ledger.live(160, pace=40)
    assert ledger.state(key) == "cancelled"
    assert_gone(world, key)


@pytest.mark.parametrize("then", ["decided", "cancelled"])
@pytest.mark.thorough
def test_a_purchase_order_that_shows_late(ledger: Ledger, world: World, then: str) -> None:
    ledger.earn_proof()
    world.fault("lost_answer", "purchase.order.create", times=1)
    key = world.place()
    while not world.requests("purchase.order.create") > 1:  # the list is read in the step after it
        ledger.pass_time(1)
        ledger.step(1)
    ((late, _),) = covering(world, items_of(world, key)[0][1]["id"])
    world.edit(purchase_order_number=late["number"], vendor_id=NOBODY)
    ledger.live(240, pace=40)
    assert ledger.writes(key, "komet.purchase.order.create") == ["absent", "done"], ledger.order(key)
    world.edit(purchase_order_number=late["number"], vendor_id=OURS)
    ledger.live(80, pace=40)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict")
    assert "holds 8 boxes, the prebook 4" in ledger.order(key)["reason"]["message"]
    if then == "decided":
        decide(ledger, key, "ours")
        ledger.live(160, pace=40)
        assert_all_in_step(ledger, world, [key], "ordered")
    else:
        cancel(world, key, "status")
        ledger.live(120, pace=40)
        assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict"), "it may be a person's doing"
        decide(ledger, key, "ours")
        ledger.live(200, pace=40)
        assert ledger.state(key) == "cancelled", ledger.order(key)
        assert_gone(world, key)


@pytest.mark.thorough
def test_what_our_own_purchase_order_covers_is_not_deleted_before_that_was_seen(ledger: Ledger, world: World) -> None:
    """Nor where the order leaves on another day by then, on which no purchase order covers it."""
    ledger.earn_proof()
    made = world.requests("purchase.order.create")
    key = world.place()
    while world.requests("purchase.order.create") == made:
        ledger.pass_time(1)
        ledger.step(1)
    ((bought, _),) = covering(world, items_of(world, key)[0][1]["id"])
    world.edit(purchase_order_number=bought["number"], vendor_id=NOBODY)  # no list shows it yet
    world.approve()
    world.place(key=key, departureDate=world.day(4), truckDate=world.day(6))
    ledger.live(35, pace=5)
    assert ledger.order(key)["axerrio"]["version"] == 2
    assert world.requests("prebook.item.delete") == 0, ledger.order(key)
    world.edit(purchase_order_number=bought["number"], vendor_id=OURS)
    ledger.live(160, pace=40)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict"), ledger.order(key)
    assert "approved" in ledger.order(key)["reason"]["message"]
    assert world.requests("prebook.item.delete") == 0
    decide(ledger, key, "ours")
    ledger.live(200, pace=40)
    assert_all_in_step(ledger, world, [key], "ordered")


def test_a_purchase_order_that_was_moved_before_it_was_seen_is_found_by_its_number(
    ledger: Ledger, world: World
) -> None:
    """Else it would stand on when its order is cancelled."""
    ledger.earn_proof()
    made = world.requests("purchase.order.create")
    key = world.place()
    while world.requests("purchase.order.create") == made:
        ledger.pass_time(1)
        ledger.step(1)
    ((bought, _),) = covering(world, items_of(world, key)[0][1]["id"])
    world.edit(purchase_order_number=bought["number"], ship_date=world.day(4))
    cancel(world, key, "status")
    ledger.live(400, pace=40)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict"), ledger.order(key)
    assert f"ship date {world.day(3)} → {world.day(4)}" in ledger.order(key)["reason"]["message"]
    decide(ledger, key, "ours")
    ledger.live(200, pace=40)
    assert ledger.state(key) == "cancelled", ledger.order(key)
    assert_gone(world, key)


def decide(ledger: Ledger, key: str, choice: str) -> None:
    """A person decides everything that the order is held for."""
    (connection,) = ledger.runtime.connections.values()
    with ledger.runtime.sessions.begin() as session:
        order_id = ledger.order(key)["id"]
        by = By("jan", "I asked them")
        settled = decide_conflicts(session, connection, order_id, Choice(choice), by, ledger.timing)
    assert settled.decided, settled


def test_an_order_of_which_no_line_is_wanted_is_cancelled_and_comes_back_with_one(ledger: Ledger, world: World) -> None:
    key = world.place(lines=[world.line("1", status="cancelled")])
    ledger.live(120, pace=40)
    assert ledger.state(key) == "cancelled"
    assert world.requests("prebook.create") == 0
    world.place(key=key, lines=[world.line("1", status="cancelled"), world.line("2")])
    ledger.live(120, pace=40)
    assert ledger.state(key) == "ordered", ledger.order(key)
    assert_in_step(world, key)
