"""What people do by hand in either system is seen, told with both values, and neither undone nor doubled."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from models.states import CHANGED, WINDOW, Feed
from models.tables import Scope
from tasks.advance import advance
from tasks.observe import observe
from tasks.polling import make_due
from tasks.resolve import By, Choice, decide_conflicts
from tests.sync.conftest import Ledger
from tests.sync.in_komet import assert_gone, assert_in_step, covering, items_of, prebooks_of, references
from tests.world import World

Json = dict[str, Any]
Hand = Callable[[World, str], object]
WRITES = ("prebook.create", "prebook.item.delete", "purchase.order.create", "purchase.order.item.delete")


def line_1(world: World, key: str) -> Json:
    """The prebook item of line 1, as it stands in Komet, also when it is at 0."""
    return next(item for prebook in prebooks_of(world, key) for item in prebook["items"])


def bought(world: World, key: str) -> tuple[Json, Json]:
    """Purchase order and item of line 1."""
    (found,) = covering(world, line_1(world, key)["id"])
    return found


def writes(world: World) -> dict[str, int]:
    """How often Komet was asked to change something."""
    return {name: world.requests(name) for name in WRITES}


def read_all(ledger: Ledger) -> None:
    """Long enough for two full reads of the window, which come every fifteen polls."""
    ledger.live(1500, pace=500)


def read(ledger: Ledger, feed: Feed, key: str = "") -> None:
    """Read one scope now, and let nobody work on what it brings."""
    with ledger.runtime.sessions.begin() as session:
        scope_id = session.scalars(select(Scope.id).where(Scope.feed == feed, Scope.key == key)).one()
        make_due(session, [scope_id])
    observe(ledger.runtime, scope_id)


def decide(ledger: Ledger, key: str, choice: str) -> None:
    """A person decides everything that the order is held for."""
    (connection,) = ledger.runtime.connections.values()
    with ledger.runtime.sessions.begin() as session:
        order_id = ledger.order(key)["id"]
        by = By("jan", "I asked them")
        settled = decide_conflicts(session, connection, order_id, Choice(choice), by, ledger.timing)
    assert settled.decided, (settled, ledger.order(key)["reason"])


def assert_held(ledger: Ledger, key: str, *says: str) -> None:
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict"), ledger.order(key)
    reason = ledger.order(key)["reason"]
    for each in says:
        assert each in reason["message"], reason
    assert reason["next_command"].startswith("axkomet resolve"), reason


# -- prebooks in Komet -------------------------------------------------------------------------------------------

MONDIAL = {"product_code": "RMOND50", "product_description": "Rose Mondial 50 cm"}
ITEM_EDITS: dict[str, tuple[Json, tuple[str, ...]]] = {
    "boxes": ({"boxes": 9}, ("boxes 4 → 9",)),
    "cost": ({"cost": "0.31"}, ("cost 0.28 → 0.31",)),
    "product": (MONDIAL, ("product",)),
    "mark code": ({"mark_code": "DOCK9"}, ("mark code DOCK2 → DOCK9",)),
    "set to 0": ({"boxes": 0}, ("deleted or set to 0", "still wants 4 boxes")),
    "deleted": ({"delete": True}, ("deleted or set to 0", "still wants 4 boxes")),
}


@pytest.mark.parametrize("choice", ["ours", "theirs"])
@pytest.mark.thorough
def test_a_prebook_item_is_edited(ledger: Ledger, world: World, choice: str) -> None:
    keys = {name: world.place() for name in ITEM_EDITS}
    ledger.live(120, pace=40)
    before = writes(world)
    items = {name: line_1(world, key)["id"] for name, key in keys.items()}
    for name, (edit, _) in ITEM_EDITS.items():
        world.edit(prebook_item_id=items[name], **edit)
    read_all(ledger)
    for name, (_, says) in ITEM_EDITS.items():
        assert_held(ledger, keys[name], *says)
    assert writes(world) == before, "nothing is undone"
    for key in keys.values():
        decide(ledger, key, choice)
    ledger.live(160, pace=40)
    stands = writes(world)
    for name, key in keys.items():
        assert ledger.state(key) == "ordered", (name, ledger.order(key))
        if choice == "ours":
            assert_in_step(world, key)
    if choice == "theirs":
        assert stands == before
        assert line_1(world, keys["boxes"])["boxes"] == 9
    read_all(ledger)
    assert writes(world) == stands, "what was decided is settled"
    assert {ledger.state(key) for key in keys.values()} == {"ordered"}


@pytest.mark.parametrize("choice", ["ours", "theirs"])
def test_a_newer_version_undoes_nothing_that_a_person_did(ledger: Ledger, world: World, choice: str) -> None:
    """Nor does a cancellation. The hold names both changes, and one decision settles them."""
    hands: dict[str, tuple[Hand, str]] = {
        "item": (lambda w, key: w.edit(prebook_item_id=line_1(w, key)["id"], boxes=6), "boxes 4 → 6"),
        "order item": (lambda w, key: w.edit(purchase_order_item_id=bought(w, key)[1]["id"], cost="0.31"), "0.31"),
        "order": (lambda w, key: w.edit(purchase_order_number=bought(w, key)[0]["number"], status="X"), "cancelled"),
        "deleted": (lambda w, key: w.edit(prebook_item_id=line_1(w, key)["id"], delete=True), "deleted or set to 0"),
        "withdrawn": (lambda w, key: w.edit(prebook_item_id=line_1(w, key)["id"], boxes=6), "boxes 4 → 6"),
    }
    keys = {name: world.place(lines=[world.line("1")]) for name in hands}
    ledger.live(120, pace=40)
    for name, (hand, _) in hands.items():
        hand(world, keys[name])
    read_all(ledger)
    before = writes(world)
    for name, key in keys.items():
        assert_held(ledger, key)
        newer = {"status": "cancelled"} if name == "withdrawn" else {"lines": [world.line("1", boxes=8)]}
        world.place(key=key, **newer)
    read_all(ledger)
    assert writes(world) == before, "nothing is undone"
    for name, (_, says) in hands.items():
        assert_held(ledger, keys[name], says, "cancelled it" if name == "withdrawn" else "boxes 4 → 8")
        decide(ledger, keys[name], choice)
    ledger.live(160, pace=40)
    cancelled = keys.pop("withdrawn")
    if choice == "theirs":
        assert writes(world) == before
        states = {name: ledger.state(key) for name, key in keys.items()}
        assert states == {"item": "ordered", "order item": "ordered", "order": "cancelled", "deleted": "cancelled"}
        assert next(item["boxes"] for _, item in items_of(world, cancelled)) == 6
        return
    assert ledger.state(cancelled) == "cancelled"
    assert_gone(world, cancelled)
    for name, key in keys.items():
        assert ledger.state(key) == "ordered", (name, ledger.order(key))
        assert_in_step(world, key)
        assert line_1(world, key)["boxes"] in (8, 0), name


@pytest.mark.parametrize("choice", ["ours", "theirs"])
@pytest.mark.thorough
def test_the_vendors_ship_date_or_the_prebook_itself_is_edited(ledger: Ledger, world: World, choice: str) -> None:
    keys = [world.place() for _ in range(3)]
    ledger.live(120, pace=40)
    before = writes(world)
    world.edit(prebook_item_id=line_1(world, keys[0])["id"], vendor_ship_date=world.day(4))
    world.edit(prebook_id=prebooks_of(world, keys[1])[0]["id"], truck_date=world.day(6))
    world.edit(prebook_id=prebooks_of(world, keys[2])[0]["id"], carrier_code="PRIME")
    read_all(ledger)
    assert_held(ledger, keys[0], f"ship date {world.day(3)} → {world.day(4)}")
    assert_held(ledger, keys[1], f"truck date {world.day(5)} → {world.day(6)}")
    assert_held(ledger, keys[2], "carrier", "1878 → 1879")
    assert writes(world) == before
    for key in keys:
        decide(ledger, key, choice)
    ledger.live(160, pace=40)
    for key in keys:
        assert ledger.state(key) == "ordered", ledger.order(key)
        if choice == "ours":
            assert_in_step(world, key)
    if choice == "theirs":
        assert writes(world) == before


@pytest.mark.parametrize("then", ["set back", "set to 0", "cancelled"])
def test_items_that_no_line_can_be_told_to_have_are_a_persons_to_mend(ledger: Ledger, world: World, then: str) -> None:
    """Of two lines that are one a person changed the mark of one, before the first look."""
    ledger.live(60)
    key = world.place(lines=[world.line("1"), world.line("2")])
    ledger.pass_time(60)
    ledger.feed_and_send()
    items = [item["id"] for item in prebooks_of(world, key)[0]["items"]]
    world.edit(prebook_item_id=items[0], mark_code="DOCK9")
    ledger.live(300, pace=60)
    assert ledger.reason(key) == "conflict"
    assert "a person changed it in Komet" in ledger.order(key)["reason"]["message"]
    if then == "set back":
        world.edit(prebook_item_id=items[0], mark_code="DOCK2")
    else:
        for each in items:
            world.edit(prebook_item_id=each, boxes=0)
        if then == "cancelled":
            world.place(key=key, status="cancelled")
        else:
            read_all(ledger)
            assert_held(ledger, key, "none that is shown holds boxes")
            decide(ledger, key, "ours")
    read_all(ledger)
    assert ledger.state(key) == ("cancelled" if then == "cancelled" else "ordered"), ledger.order(key)["reason"]
    assert_gone(world, key) if then == "cancelled" else assert_in_step(world, key)


def test_an_item_that_komet_moves_to_the_day_of_our_purchase_order_is_no_conflict(ledger: Ledger, world: World) -> None:
    """Komet chose a day of its own first; a person who moves it elsewhere is one."""
    ledger.live(60)
    key = world.place()
    ledger.pass_time(60)
    ledger.feed_and_send()
    for item in prebooks_of(world, key)[0]["items"]:
        world.edit(prebook_item_id=item["id"], vendor_ship_date=world.day(4))
    ledger.live(120, pace=40)
    assert ledger.state(key) == "ordered"
    stands = writes(world)
    for item in prebooks_of(world, key)[0]["items"]:
        world.edit(prebook_item_id=item["id"], vendor_ship_date=world.day(3))
    read_all(ledger)
    assert ledger.state(key) == "ordered", ledger.order(key)
    assert [item["changes"] for line in ledger.order(key)["lines"] for item in line["prebook_items"]] == [[], []]
    world.edit(prebook_item_id=line_1(world, key)["id"], vendor_ship_date=world.day(2))
    read_all(ledger)
    assert_held(ledger, key, f"ship date {world.day(4)} → {world.day(2)}")
    assert writes(world) == stands


@pytest.mark.thorough
def test_an_item_that_comes_back_ends_the_hold_by_itself(ledger: Ledger, world: World) -> None:
    key, other = ledger.earn_proof(), ledger.earn_proof()
    edited, hidden = line_1(world, key)["id"], line_1(world, other)["id"]
    world.edit(prebook_item_id=edited, boxes=9)
    world.edit(prebook_item_id=hidden, vendor_id=999)  # nobody shows it to us any more
    read_all(ledger)
    assert_held(ledger, key)
    assert_held(ledger, other, "deleted or set to 0")
    world.edit(prebook_item_id=edited, boxes=4)
    world.edit(prebook_item_id=hidden, vendor_id=201)
    read_all(ledger)
    assert [ledger.state(each) for each in (key, other)] == ["ordered", "ordered"], ledger.order(other)
    for each in (key, other):
        assert_in_step(world, each)


@pytest.mark.thorough
def test_one_list_without_an_item_says_nothing(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    world.edit(prebook_item_id=line_1(world, key)["id"], vendor_id=999)
    read(ledger, Feed.KOMET_PREBOOKS, WINDOW)
    ledger.work()
    assert ledger.state(key) == "ordered"
    world.edit(prebook_item_id=line_1(world, key)["id"], vendor_id=201)
    read_all(ledger)
    assert ledger.state(key) == "ordered"
    assert not [row for row in ledger.order(key)["history"] if row["to"] == "held"]


@pytest.mark.thorough
def test_nothing_is_missed_after_its_ship_date(ledger: Ledger, world: World) -> None:
    """Komet shows a vendor nothing that has left: that is no deletion."""
    key = ledger.earn_proof()
    ledger.pass_time(4 * 86_400)
    for item in prebooks_of(world, key)[0]["items"]:
        world.edit(prebook_item_id=item["id"], vendor_id=999)
    read_all(ledger)
    assert ledger.state(key) == "ordered", ledger.order(key)


@pytest.mark.thorough
def test_what_is_not_ours_in_our_prebook_is_told_and_left_alone(ledger: Ledger, world: World) -> None:
    added, copied = ledger.earn_proof(), ledger.earn_proof()
    (prebook,) = prebooks_of(world, added)
    world.edit(prebook_id=prebook["id"], add_item=world.item(boxes=7))
    copy = world.edit(prebook_id=prebooks_of(world, copied)[0]["id"], copy=True)
    before = writes(world)
    read_all(ledger)
    assert "7 boxes" in "".join(row["why"] for row in ledger.order(added)["history"])
    told = [row["why"] for row in ledger.order(copied)["history"]]
    assert any(f"Prebook {copy['number']}" in each and "copied" in each for each in told), told
    assert [ledger.state(key) for key in (added, copied)] == ["ordered", "ordered"]
    assert writes(world) == before
    for key in (added, copied):
        world.place(key=key, status="cancelled")
    ledger.live(120, pace=40)
    assert [ledger.state(key) for key in (added, copied)] == ["cancelled", "cancelled"]
    assert [item["boxes"] for _, item in items_of(world, added)] == [7], "a person's"
    assert {prebook["id"] for prebook, _ in items_of(world, copied)} == {copy["prebook_id"]}


@pytest.mark.thorough
def test_comments_that_are_edited_or_hidden_are_no_conflict(ledger: Ledger, world: World) -> None:
    edited, hidden = ledger.earn_proof(), ledger.earn_proof()
    (prebook,) = prebooks_of(world, edited)
    items = [item["id"] for item in prebook["items"]]
    world.edit(prebook_id=prebook["id"], comments="Call Maria before loading")
    read_all(ledger)
    world.settings(comments_visible=False)
    read_all(ledger)
    assert [ledger.state(key) for key in (edited, hidden)] == ["ordered", "ordered"]
    for key in (edited, hidden):
        world.place(key=key, status="cancelled")
    ledger.live(120, pace=40)
    assert [ledger.state(key) for key in (edited, hidden)] == ["cancelled", "cancelled"]
    assert_gone(world, hidden)
    left = {item["id"]: item["boxes"] for each in world.company["prebooks"] for item in each["items"]}
    assert [left[each] for each in items] == [0, 0], "known by its id"


@pytest.mark.parametrize("setting", [{"cost_decimals": 2}, {"cost_factor": "4.1"}])
@pytest.mark.thorough
def test_costs_that_komet_rounds_or_converts_are_no_conflict(
    ledger: Ledger, world: World, setting: dict[str, object]
) -> None:
    world.settings(**setting)
    key = world.place(lines=[world.line("1", unitCost="0.285")])
    ledger.live(120)
    world.approve()
    read_all(ledger)
    assert ledger.state(key) == "approved", ledger.order(key)
    world.place(key=key, lines=[world.line("1", unitCost="0.285", notes="again")])
    ledger.live(60)
    assert ledger.state(key) == "approved"
    assert writes(world)["prebook.create"] == 1


@pytest.mark.thorough
def test_a_mapping_on_the_screen_is_no_conflict(ledger: Ledger, world: World) -> None:
    strange = {"key": "A-7", "code": "TULIP", "description": "Tulip"}
    key = world.place(lines=[world.line("1", article=strange)])
    ledger.live(60)
    assert ledger.state(key) == "mapping_required"
    product = {"id": 7010, "code": "KTULIP", "description": "Tulip, red"}
    world.control("map", company_token=world.komet_token, code="TULIP", product=product)
    ledger.live(160, pace=40)
    assert ledger.state(key) == "ordered", ledger.order(key)
    read_all(ledger)
    assert ledger.state(key) == "ordered"
    assert writes(world)["prebook.create"] == 1


# -- purchase orders in Komet ------------------------------------------------------------------------------------

ORDER_ITEM_EDITS: dict[str, tuple[Json, tuple[str, ...]]] = {
    "boxes": ({"boxes": 9}, ("holds 9 boxes, the prebook 4",)),
    "cost": ({"cost": "0.31"}, ("cost 0.28 → 0.31",)),
    "product": (MONDIAL, ("product",)),
    "deleted": ({"delete": True}, ("was removed in Komet",)),
}


@pytest.mark.thorough
@pytest.mark.parametrize("choice", ["ours", "theirs"])
def test_a_purchase_order_item_is_edited(ledger: Ledger, world: World, choice: str) -> None:
    keys = {name: world.place() for name in ORDER_ITEM_EDITS}
    ledger.live(120, pace=40)
    before = writes(world)
    for name, (edit, _) in ORDER_ITEM_EDITS.items():
        world.edit(purchase_order_item_id=bought(world, keys[name])[1]["id"], **edit)
    ledger.live(160, pace=40)
    for name, (_, says) in ORDER_ITEM_EDITS.items():
        assert_held(ledger, keys[name], *says)
    assert writes(world) == before
    for key in keys.values():
        decide(ledger, key, choice)
    ledger.live(160, pace=40)
    stands = writes(world)
    for name, key in keys.items():
        assert ledger.state(key) == "ordered", (name, ledger.order(key))
        if choice == "ours":
            assert_in_step(world, key)
    if choice == "theirs":
        assert stands == before
        assert bought(world, keys["boxes"])[1]["boxes"] == 9
    ledger.live(1200, pace=600)
    assert writes(world) == stands
    assert {ledger.state(key) for key in keys.values()} == {"ordered"}


@pytest.mark.thorough
def test_a_cancelled_purchase_order_does_not_stand_for_the_next_one(ledger: Ledger, world: World) -> None:
    """It names the same prebook item: the next create, which never arrived, is not taken for it."""
    key = ledger.earn_proof()
    world.edit(purchase_order_number=bought(world, key)[0]["number"], status="X")
    ledger.live(120, pace=60)
    world.fault("reset_before", "purchase.order.create", times=1)
    decide(ledger, key, "ours")
    ledger.live(300, pace=60)
    assert ledger.writes(key, "komet.purchase.order.create") == ["done", "absent", "done"]
    assert ledger.state(key) == "ordered"
    assert_in_step(world, key)


@pytest.mark.thorough
@pytest.mark.parametrize("choice", ["ours", "theirs"])
def test_a_purchase_order_is_cancelled_or_taken_away(ledger: Ledger, world: World, choice: str) -> None:
    cancelled, removed = ledger.earn_proof(), ledger.earn_proof()
    before = writes(world)
    world.edit(purchase_order_number=bought(world, cancelled)[0]["number"], status="X")
    world.edit(purchase_order_number=bought(world, removed)[0]["number"], vendor_id=999)  # shown nowhere any more
    ledger.live(160, pace=40)
    assert_held(ledger, cancelled, "Procurement cancelled purchase order")
    assert_held(ledger, removed, "removed in Komet")
    assert writes(world) == before
    for key in (cancelled, removed):
        decide(ledger, key, choice)
    ledger.live(160, pace=40)
    stands = writes(world)
    if choice == "ours":
        assert [ledger.state(key) for key in (cancelled, removed)] == ["ordered", "ordered"]
        assert_in_step(world, cancelled)
        assert stands["purchase.order.create"] == before["purchase.order.create"] + 2
    else:
        assert stands == before
        assert {ledger.state(key) for key in (cancelled, removed)}.isdisjoint({"held", "failed"})
    ledger.live(1200, pace=600)
    assert writes(world) == stands


@pytest.mark.parametrize("choice", ["ours", "theirs"])
@pytest.mark.thorough
def test_a_purchase_order_is_moved_to_another_day(ledger: Ledger, world: World, choice: str) -> None:
    """It is found by its number, and is not taken for gone."""
    key = ledger.earn_proof()
    before = writes(world)
    number = bought(world, key)[0]["number"]
    world.edit(purchase_order_number=number, ship_date=world.day(4))
    ledger.live(160, pace=40)
    assert_held(ledger, key, f"ship date {world.day(3)} → {world.day(4)}", number)
    assert writes(world) == before
    decide(ledger, key, choice)
    ledger.live(200, pace=40)
    stands = writes(world)
    assert ledger.state(key) == "ordered", ledger.order(key)
    if choice == "ours":
        assert_in_step(world, key)
    else:
        assert stands == before
        world.approve()
        ledger.live(80, pace=40)
        assert ledger.state(key) == "approved", "it is followed where it stands now"
    ledger.live(1200, pace=600)
    assert writes(world) == stands


@pytest.mark.thorough
def test_cancelled_where_a_person_emptied_the_prebook_and_bought_on(ledger: Ledger, world: World) -> None:
    """What was approved covers items at 0: it is not passed over."""
    key = ledger.earn_proof()
    world.approve()
    ledger.live(60)
    for item in prebooks_of(world, key)[0]["items"]:
        world.edit(prebook_item_id=item["id"], boxes=0)
    world.place(key=key, status="cancelled")
    ledger.live(120, pace=40)
    assert_held(ledger, key, "stands in Komet, approved")
    decide(ledger, key, "ours")
    ledger.live(120, pace=40)
    assert ledger.state(key) == "cancelled", ledger.order(key)
    assert_gone(world, key)


def prebook_named(world: World, number: Any) -> Json:
    """A prebook as it stands in Komet."""
    return next(each for each in world.company["prebooks"] if str(each["number"]) == str(number))


def test_what_is_merged_into_a_new_prebook_is_not_sold_to_axerrio(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    mine = prebooks_of(world, key)[0]
    stranger = world.sell_in_komet(items=[world.item(boxes=1)])
    world.edit(prebook_id=mine["id"], merge_into=stranger["id"])
    before = writes(world)
    read_all(ledger)
    assert ledger.state(key) == "ordered", ledger.order(key)
    assert any(f"in prebook {stranger['number']}" in row["why"] for row in ledger.order(key)["history"])
    assert [line["boxes"] for line in ledger.order(f"prebook:{stranger['number']}")["lines"]] == [1]
    assert writes(world)["prebook.create"] == before["prebook.create"]
    assert {line["prebookId"] for line in references(world, key)["lines"]} == {str(stranger["id"])}
    world.edit(prebook_item_id=mine["items"][0]["id"], boxes=3)
    read_all(ledger)
    assert_held(ledger, key, "boxes 4 → 3")


def test_an_order_of_which_items_were_merged_into_another_prebook_is_changed_and_cancelled(
    ledger: Ledger, world: World
) -> None:
    key = ledger.earn_proof()
    mine = prebooks_of(world, key)[0]
    stranger = world.sell_in_komet(items=[world.item(boxes=1)], truck_date=world.day(6))
    world.edit(prebook_id=mine["id"], merge_into=stranger["id"])
    read_all(ledger)
    world.place(key=key, lines=[world.line("1"), world.line("2", boxes=3)])
    ledger.live(160, pace=40)
    assert ledger.state(key) == "ordered", ledger.order(key)
    live = [item["boxes"] for item in prebook_named(world, stranger["number"])["items"] if item["boxes"]]
    assert (live, [item["boxes"] for _, item in items_of(world, key)]) == ([1, 4], [3])
    world.place(key=key, status="cancelled")
    ledger.live(160, pace=40)
    assert ledger.state(key) == "cancelled", ledger.order(key)
    assert_gone(world, key)
    assert [item["boxes"] for item in prebook_named(world, stranger["number"])["items"] if item["boxes"]] == [1]


def test_prebooks_of_two_orders_born_in_komet_that_are_merged_stay_two(ledger: Ledger, world: World) -> None:
    number, key = born(ledger, world)
    mine = prebook_named(world, number)
    other = world.sell_in_komet(items=[world.item(boxes=1)])
    ledger.live(160, pace=40)
    world.edit(prebook_id=mine["id"], merge_into=other["id"])
    read_all(ledger)
    assert (ledger.state(number), ledger.state(str(other["number"]))) == ("ordered", "ordered")
    assert world.axerrio_order(key)["status"] == "confirmed"
    assert [line["boxes"] for line in ledger.order(str(other["number"]))["lines"]] == [1]


def test_what_is_changed_of_an_item_that_was_merged_reaches_axerrio(ledger: Ledger, world: World) -> None:
    number, key = born(ledger, world)
    mine = prebook_named(world, number)
    other = world.sell_in_komet(items=[world.item(boxes=1)])
    world.edit(prebook_id=mine["id"], merge_into=other["id"])
    world.edit(prebook_item_id=mine["items"][0]["id"], boxes=3)
    ledger.live(160, pace=40)
    assert ledger.state(number) == "ordered", ledger.order(number)
    assert [line["boxes"] for line in world.axerrio_order(key)["lines"]] == [3, 2]
    for item in mine["items"]:
        world.edit(prebook_item_id=item["id"], boxes=0)
    ledger.live(160, pace=40)
    assert ledger.state(number) == "cancelled", ledger.order(number)
    assert world.axerrio_order(key)["status"] == "cancelled"
    assert ledger.state(str(other["number"])) == "ordered"


# -- orders born in Komet, edited in Axerrio ---------------------------------------------------------------------


def born(ledger: Ledger, world: World) -> tuple[str, str]:
    """An order born in Komet and ordered; gives its number in Komet and its key in Axerrio."""
    number = str(world.sell_in_komet()["number"])
    ledger.live(160, pace=40)
    order = ledger.order(number)
    assert order["state"] == "ordered", order
    return number, order["axerrio"]["key"]


def edit_in_axerrio(world: World, key: str, how: str) -> None:
    if how == "deleted":
        world.control("orders/delete", tenant_token=world.axerrio_token, keys=[key])
    elif how == "cancelled":
        world.place(key=key, status="cancelled")
    else:
        lines = [dict(line) for line in world.axerrio_order(key)["lines"]]
        lines[0]["boxes"] = 9
        world.place(key=key, lines=lines)


@pytest.mark.thorough
def test_what_axerrio_does_not_say_of_an_order_born_in_komet_is_no_change(ledger: Ledger, world: World) -> None:
    number, key = born(ledger, world)
    lines = [line | {"bunchesPerBox": 0, "unitCost": None} for line in world.axerrio_order(key)["lines"]]
    world.place(key=key, lines=lines)
    ledger.live(120, pace=40)
    assert ledger.state(number) == "ordered", ledger.order(number)


def test_what_is_edited_in_axerrio_before_a_lost_answer_is_repeated_is_seen(ledger: Ledger, world: World) -> None:
    """Axerrio has the order since the first try, and what it answers to the second is of then."""
    ledger.work()
    world.fault("lost_answer", "PUT inbound-orders", system="axerrio", times=1)
    number = str(world.sell_in_komet()["number"])
    read(ledger, Feed.KOMET_PREBOOKS, CHANGED)
    advance(ledger.runtime, ledger.order(number)["id"])
    assert ledger.writes(number, "axerrio.inbound-orders") == ["sent"]
    (order,) = world.tenant["orders"]
    edit_in_axerrio(world, order["key"], "boxes")
    read(ledger, Feed.SALES_ORDERS)
    ledger.live(120, pace=40)
    assert ledger.writes(number, "axerrio.inbound-orders") == ["done"]
    assert_held(ledger, number, "boxes 4 → 9")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("how", "says"), [("boxes", "boxes 4 → 9"), ("cancelled", "cancelled there"), ("deleted", "deleted there")]
)
@pytest.mark.parametrize("choice", ["ours", "theirs"])
def test_an_order_born_in_komet_is_edited_in_axerrio(
    ledger: Ledger, world: World, how: str, says: str, choice: str
) -> None:
    number, key = born(ledger, world)
    before = writes(world)
    edit_in_axerrio(world, key, how)
    ledger.live(120, pace=40)
    assert_held(ledger, number, says)
    assert writes(world) == before
    sent = len(ledger.writes(number, "axerrio.inbound-orders"))
    decide(ledger, number, choice)
    ledger.live(160, pace=40)
    if (how, choice) == ("deleted", "ours"):
        assert_held(ledger, number, "was deleted in Axerrio", "HTTP 410")
        decide(ledger, number, "theirs")
        ledger.live(40)
    assert ledger.state(number) not in ("held", "failed"), ledger.order(number)
    state = ledger.state(number)
    told = len(ledger.writes(number, "axerrio.inbound-orders"))
    assert (told > sent) == (choice == "ours")
    if choice == "ours" and how == "boxes":
        assert world.axerrio_order(key)["lines"][0]["boxes"] == 4
        assert state == "ordered"
    if choice == "theirs" and how == "boxes":
        assert world.axerrio_order(key)["lines"][0]["boxes"] == 9
    ledger.live(1200, pace=600)
    assert ledger.state(number) == state, "it does not come back"
    assert len(ledger.writes(number, "axerrio.inbound-orders")) == told
