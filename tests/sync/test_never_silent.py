"""What could wait for ever without a word, or burn the budget: each ends, or is held and says why."""

from collections.abc import Callable
from dataclasses import replace as _replace
from datetime import date, timedelta
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from clients.axerrio.client import AxerrioClient
from clients.errors import NotSent
from clients.komet.client import KometClient
from clients.komet.settings import KometSettings
from clients.pacing import Pacer
from models.canonical import Identity, Unreadable
from models.database import now
from models.tables import Connection as ConnectionRow
from models.tables import Order, RequestBudget, Scope, Wait
from tasks.budget import KometGate, budget_of
from tasks.connection import ConnectionSettings, register, register_all
from tasks.rests import back_off
from tests.sync.conftest import Ledger
from tests.world import World, assert_exactly_once
from worker import assembly
from worker.problems import Exit, Problem
from worker.status import status


@pytest.mark.thorough
def test_an_empty_list_counts_once_nothing_of_ours_should_be_in_it(ledger: Ledger, world: World) -> None:
    """A person took the other order of that truck date out of Komet: the list is empty for ever."""
    ledger.earn_proof()
    world.settings(deleted_items="gone")
    for item in world.company["prebooks"][0]["items"]:
        world.control("edit", company_token=world.komet_token, prebook_item_id=item["id"], boxes=0)
    world.fault("reset_before", "prebook.create", times=1)
    key = world.place()
    ledger.live(1200, pace=60)
    assert ledger.state(key) == "ordered"
    assert_exactly_once(world, key)


def test_a_prebook_of_a_buyer_without_a_truck_date_is_told(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = KometClient.list_prebooks

    def list_prebooks(self: KometClient, **asked: Any) -> Any:
        listing = real(self, **asked)
        return _replace(
            listing, records=tuple(each.model_copy(update={"truck_date": None}) for each in listing.records)
        )

    monkeypatch.setattr(KometClient, "list_prebooks", list_prebooks)
    sold = world.sell_in_komet()
    ledger.live(120, pace=60)
    with ledger.session() as session:
        told = status(session, [ledger.settings], ledger.timing)
    assert told["connections"][0]["unreadable"] == 1
    assert any(f"{sold['id']} (truckDate is missing)" in problem for problem in told["problems"]), told["problems"]
    monkeypatch.undo()
    ledger.live(300, pace=60)
    assert world.requests("purchase.order.create") == 1, "it goes its way once it can be read"


def test_a_prebook_without_a_truck_date_that_holds_what_was_merged_into_it_is_not_lost(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.earn_proof()
    (mine,) = world.company["prebooks"]
    other = world.sell_in_komet(items=[world.item(boxes=0)])
    world.edit(prebook_id=mine["id"], merge_into=other["id"])
    real = KometClient.list_prebooks

    def list_prebooks(self: KometClient, **asked: Any) -> Any:
        listing = real(self, **asked)
        return _replace(
            listing, records=tuple(each.model_copy(update={"truck_date": None}) for each in listing.records)
        )

    monkeypatch.setattr(KometClient, "list_prebooks", list_prebooks)
    ledger.live(120, pace=60)
    with ledger.session() as session:
        assert status(session, [ledger.settings], ledger.timing)["connections"][0]["unreadable"] == 0


@pytest.mark.thorough
def test_one_unreadable_prebook_leads_to_a_hold(ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.earn_proof()
    real = KometClient.list_prebooks
    broken = Unreadable(sequence=None, key="1", reason="number is missing", raw="{}")

    def list_prebooks(self: KometClient, **asked: Any) -> Any:
        return _replace(real(self, **asked), unreadable=(broken,), complete=False)

    monkeypatch.setattr(KometClient, "list_prebooks", list_prebooks)
    world.fault("reset_before", "prebook.create", times=1)
    key = world.place()
    ledger.live(1200, pace=60)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "in_doubt")
    with ledger.session() as session:
        assert status(session, [ledger.settings], ledger.timing)["connections"][0]["unreadable"] == 1


def test_one_unreadable_purchase_order_leads_to_a_hold(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the buyer has bought of the farm already cannot be told, and a second purchase order would double it."""
    real = KometClient.list_purchase_orders
    broken = Unreadable(sequence=None, key="1", reason="number is missing", raw="{}")

    def list_purchase_orders(self: KometClient, **asked: Any) -> Any:
        return _replace(real(self, **asked), unreadable=(broken,), complete=False)

    monkeypatch.setattr(KometClient, "list_purchase_orders", list_purchase_orders)
    key = f"prebook:{world.sell_in_komet()['number']}"
    ledger.live(1200, pace=60)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "not_visible")
    assert not world.company["purchase_orders"]
    monkeypatch.undo()
    ledger.live(1200, pace=60)
    assert ledger.state(key) == "ordered"


def test_a_purchase_order_that_a_person_deleted_keeps_no_other_of_its_day_waiting(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of that day is empty, and nothing of ours should be in it."""
    first = ledger.earn_proof()
    deleted = world.company["purchase_orders"][0]["number"]

    for name in ("list_purchase_orders", "purchase_orders_by_number"):
        real = getattr(KometClient, name)

        def read(*asked: Any, _real: Any = real, **by: Any) -> Any:
            found = _real(*asked, **by)
            return _replace(found, records=tuple(each for each in found.records if each.number != deleted))

        monkeypatch.setattr(KometClient, name, read)
    ledger.live(600, pace=60)
    assert (ledger.state(first), ledger.reason(first)) == ("held", "conflict")
    key = f"prebook:{world.sell_in_komet(items=[world.item(vendor_ship_date=world.day(3))])['number']}"
    ledger.live(600, pace=60)
    assert ledger.state(key) == "ordered"


@pytest.mark.thorough
def test_a_purchase_order_whose_ship_date_procurement_moved_is_still_followed(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ledger.earn_proof()
    real = KometClient.list_purchase_orders

    def list_purchase_orders(self: KometClient, *, ship_date: date) -> Any:
        """Komet, with every purchase order a day later."""
        found = real(self, ship_date=ship_date - timedelta(days=1))
        return _replace(
            found, records=tuple(each.model_copy(update={"ship_date": ship_date}) for each in found.records)
        )

    monkeypatch.setattr(KometClient, "list_purchase_orders", list_purchase_orders)
    world.approve()
    ledger.live(7200, pace=600)
    assert ledger.state(key) == "approved"


@pytest.mark.thorough
def test_a_refused_write_back_is_not_repeated_for_ever(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(timing={"retry_base": 2, "retry_max": 300})
    world.control(
        "faults",
        faults=[{"system": "axerrio", "method": "*", "kind": "refuse", "token": world.axerrio_token, "skip": 2}],
    )
    key = world.place()
    for _ in range(60):
        ledger.pass_time(60)
        ledger.step()
    assert ledger.reason(key) == "rejected"
    assert len(ledger.writes(key, "axerrio.external-references")) <= 3


@pytest.mark.thorough
def test_axerrio_away_for_an_hour_fails_no_order(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(timing={"retry_base": 2, "retry_max": 300, "max_attempts": 12})
    world.control(
        "faults",
        faults=[{"system": "axerrio", "method": "*", "kind": "error_before", "token": world.axerrio_token, "skip": 2}],
    )
    key = world.place()
    for _ in range(60):
        ledger.pass_time(60)
        ledger.step()
    world.http.delete(f"{world.addresses['control']}/faults")
    for _ in range(60):
        ledger.pass_time(60)
        ledger.step()
    assert ledger.state(key) == "ordered"


def test_an_order_in_back_off_rests(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(timing={"retry_base": 200, "retry_max": 300})
    world.control(
        "faults",
        faults=[{"system": "axerrio", "method": "*", "kind": "error_before", "token": world.axerrio_token, "skip": 2}],
    )
    key = world.place()
    for _ in range(4):
        ledger.pass_time(30)
        ledger.step()
    with ledger.session() as session:
        row = session.scalars(select(Order).where(Order.axerrio_key == key)).one()
        moment = now(session)
        if row.not_before is not None and row.not_before > moment:
            assert row.due_at is not None
            assert row.due_at >= row.not_before - timedelta(seconds=1)


def test_a_wait_that_one_system_asked_for_holds_back_nothing_of_the_other(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    with ledger.runtime.sessions.begin() as session:
        row = session.get_one(Order, ledger.order(key)["id"])
        back_off(row, ledger.timing, now(session), "komet", at_least=86_400)
        until = row.not_before
    world.approve()
    ledger.live(120)
    assert ledger.writes(key, "axerrio.procurement-status") == ["done"]
    with ledger.session() as session:
        row = session.get_one(Order, ledger.order(key)["id"])
        assert (row.not_before, row.axerrio_not_before) == (until, None), "the answer ends no other wait"
        assert row.setbacks == 1


def test_while_work_for_one_system_rests_the_other_is_waited_for_all_the_same(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    ledger = make_ledger()
    key = ledger.earn_proof()
    used = ledger.settings.komet.daily_requests
    with ledger.runtime.sessions.begin() as session:
        session.add(RequestBudget(company=ledger.settings.company, slot=now(session), used=used))
    world.place(key=key, lines=[world.line("1"), world.line("2", boxes=2), world.line("3", boxes=1)])
    ledger.live(60)
    with ledger.runtime.sessions.begin() as session:
        row = session.get_one(Order, ledger.order(key)["id"])
        back_off(row, ledger.timing, now(session), "axerrio", at_least=3600)
        row.held_up_by = row.references_applied = None  # as after a call to the other system
        row.due_at = now(session)
    ledger.step()
    with ledger.session() as session:
        row = session.get_one(Order, row.id)
        assert row.held_up_by == "budget", "its turn is kept"


def test_each_system_has_a_wait_of_its_own(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(timing={"retry_base": 300, "retry_max": 300})
    ledger.work()
    world.fault("error_before", "prebook.create", times=1)
    key = world.place()
    ledger.pass_time(30)
    ledger.feed_and_send()
    with ledger.runtime.sessions.begin() as session:
        row = session.get_one(Order, ledger.order(key)["id"])
        assert (row.setbacks, row.axerrio_not_before) == (1, None)
        moment = now(session)
        asked = {each: back_off(row, ledger.timing, moment, each, at_least=7200) for each in ("komet", "axerrio")}
        back_off(row, ledger.timing, moment, "axerrio")
        assert row.not_before == asked["komet"], "a hiccup of one gives the other no wait"
        assert row.axerrio_not_before is not None
        assert row.axerrio_not_before < asked["axerrio"]


@pytest.mark.thorough
def test_a_right_that_is_refused_says_so(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(timing={"retry_base": 2, "retry_max": 300})
    world.fault("refuse", "prebook.create", message="You do not have permission to use this method")
    key = world.place()
    for _ in range(60):
        ledger.pass_time(60)
        ledger.step()
    assert (ledger.state(key), ledger.reason(key)) == ("held", "rejected")
    assert "tick it" in ledger.order(key)["reason"]["message"]
    assert ledger.writes(key, "komet.prebook.create") == ["refused"] * 3, "one alone may have met a hiccup"


def test_an_order_at_its_end_lets_its_day_go(ledger: Ledger, world: World) -> None:
    """It looks for a create that was judged absent and may show after all, until the day is over."""
    ledger.earn_proof()
    world.fault("reset_before", "prebook.create", times=1)
    key = world.place()
    ledger.live(300)
    world.place(key=key, status="closed")
    ledger.live(60)
    assert (ledger.state(key), ledger.writes(key, "komet.prebook.create")) == ("closed", ["absent", "done"])
    waits = select(Wait.scope_id).where(Wait.order_id == ledger.order(key)["id"])
    with ledger.session() as session:
        assert session.scalars(waits).all()
    ledger.live(7 * 86_400, pace=86_400)
    with ledger.session() as session:
        assert session.scalars(waits).all() == []
        assert session.get_one(Order, ledger.order(key)["id"]).due_at is None


@pytest.mark.thorough
def test_a_changed_truck_date_does_not_read_for_ever(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    world.settings(list_lag_seconds=3600)
    key = world.place()
    ledger.live(30)
    assert ledger.writes(key, "komet.prebook.create") == ["done"]
    world.place(key=key, truckDate=world.day(6))
    ledger.live(60)
    ledger.live(3600, pace=60)
    with ledger.session() as session:
        active = session.execute(
            select(Scope.key).join(Wait, Wait.scope_id == Scope.id).where(Wait.active, Scope.feed == "komet-prebooks")
        ).all()
    assert not active, (active, ledger.order(key)["reason"])


def test_a_time_zone_that_is_no_iana_name_heals(ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = AxerrioClient.identity
    wrong = Identity(tenant_id="farm1", name="", time_zone="W. Europe Standard Time", clock=None)
    monkeypatch.setattr(AxerrioClient, "identity", lambda *_: wrong)
    key = world.place()
    ledger.work()
    monkeypatch.setattr(AxerrioClient, "identity", real)  # Axerrio is put right
    ledger.pass_time(600)
    ledger.work()
    ledger.live(120)
    assert ledger.state(key) == "ordered"


def test_requests_that_were_never_sent_use_up_no_budget(ledger: Ledger, redis_url: str) -> None:
    gate = KometGate(ledger.runtime.sessions, Pacer(Redis.from_url(redis_url), "pace", 1000, "komet"), "company", 1000)
    settings = KometSettings(base_url="http://127.0.0.1:9/api", token_env="X", company_code="MIA")
    client = KometClient(settings, "t", timeout=1, gate=gate)
    for _ in range(10):
        with pytest.raises(NotSent):
            client.create_prebook({})
    with ledger.session() as session:
        assert budget_of(session, "company", 1000).used == 0


@pytest.mark.thorough
def test_a_cancelled_order_that_a_person_emptied_in_komet_ends(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    world.approve()
    ledger.live(60)
    world.place(key=key, status="cancelled")
    ledger.live(60)
    assert ledger.reason(key) == "conflict"
    for order in world.company["purchase_orders"]:
        world.edit(purchase_order_number=order["number"], status="X")
    for item in world.company["prebooks"][0]["items"]:
        world.control("edit", company_token=world.komet_token, prebook_item_id=item["id"], boxes=0)
    ledger.live(3600, pace=300)
    assert ledger.state(key) == "cancelled", ledger.order(key)["reason"]


def test_an_item_that_stands_under_another_prebook_blocks_no_read(ledger: Ledger, world: World) -> None:
    """Axerrio's references of one order are wrong; the others of the truck date must not wait for that."""
    wrong = {
        "system": "komet",
        "prebookId": "555",
        "prebookNumber": "55",
        "purchaseOrders": [],
        "lines": [
            {
                "lineKey": "1",
                "prebookId": "555",
                "prebookItemId": "881001",
                "purchaseOrderItemId": None,
                "purchaseOrderNumber": None,
            }
        ],
    }
    world.place(externalReferences=[wrong], lines=[world.line("1")])
    other = world.place()
    ledger.live(240)
    assert ledger.state(other) == "ordered"


@pytest.mark.thorough
def test_a_refused_product_goes_on_once_komet_knows_it(ledger: Ledger, world: World) -> None:
    world.settings(unknown_product="refused")
    unknown = {"article": {"key": "A-9", "code": "NEW", "description": "New rose"}}
    key = world.place(lines=[world.line("1", **unknown), world.line("2", boxes=2)])
    ledger.live(120)
    assert ledger.state(key) == "mapping_required", ledger.order(key)["reason"]
    world.control(
        "map",
        company_token=world.komet_token,
        code="NEW",
        product={"id": 8001, "code": "NEW", "description": "New rose"},
    )
    ledger.live(3 * 3600, pace=600)
    assert ledger.state(key) == "ordered", (ledger.order(key)["reason"], world.requests("prebook.create"))


def test_a_connection_that_was_renamed_goes_on(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger()
    ledger.work()
    world.fault("lost_answer", "prebook.create", times=1)
    key = world.place()
    ledger.pass_time(30)
    ledger.feed_and_send()
    assert len(world.company["prebooks"]) == 1
    with ledger.runtime.sessions.begin() as session:
        session.execute(update(Order).values(due_at=None))
    renamed = make_ledger(name="other")
    with renamed.session() as session:
        assert session.scalars(select(Order.due_at)).one() is not None, "what it says to type names the connection"
    renamed.pass_time(30)
    renamed.live(300)
    assert renamed.state(key) == "ordered"
    assert len(world.company["prebooks"]) == 1


def names(session: Session) -> dict[str, str]:
    """Of the connections' rows, by what they join."""
    return {row.joins: row.name for row in session.scalars(select(ConnectionRow))}


def test_names_may_change_hands(ledger: Ledger, world: World) -> None:
    """Two are swapped; one goes to a new connection, and stands in the file before the one that had it."""

    def to(name: str, tenant: str) -> ConnectionSettings:
        return world.connection(name=name, axerrio=world.entry()["axerrio"] | {"tenant": tenant})

    world.place()
    ledger.work()
    for file in (
        [to("miami", "farm1"), to("bogota", "farm2")],
        [to("miami", "farm2"), to("bogota", "farm1")],
        [to("bogota", "farm3"), to("quito", "farm1"), to("miami", "farm2")],
        [to("bogota", "farm1")],
    ):
        with ledger.runtime.sessions.begin() as session:
            ids = register_all(session, file)
            known = names(session)
            assert [known[each.joins] for each in file] == [each.name for each in file]
            assert session.scalars(select(Order.connection_id)).one() in ids, "whose it is, it stays"
    assert known[to("bogota", "farm3").joins].startswith("bogota."), "no file names it so"


def test_a_name_does_not_go_to_another_tenant_with_its_orders(ledger: Ledger, world: World) -> None:
    entry = world.entry()
    moved = world.connection(axerrio=entry["axerrio"] | {"base_url": "https://elsewhere.example", "tenant": None})
    others = [
        world.connection(axerrio=entry["axerrio"] | {"tenant": "farm2"}),
        world.connection(komet=entry["komet"] | {"company_code": "BOG"}),
    ]
    for settings in [*others, ledger.settings]:
        with ledger.runtime.sessions.begin() as session:
            assert register(session, settings) in ledger.runtime.connections, "nothing was read yet"
    world.place()
    ledger.work()
    for settings in others:
        with pytest.raises(Problem, match=r"connection miami joined .* and tenant farm1 until now") as told:
            assembly.register_connections(assembly.Ledger(ledger.engine, ledger.runtime.sessions), [settings])
        assert told.value.exit_code == Exit.MISUSED
    with ledger.runtime.sessions.begin() as session:
        assert register(session, moved) in ledger.runtime.connections


def test_a_connection_that_left_the_file_is_told(ledger: Ledger, world: World) -> None:
    world.place()
    ledger.live(60)
    with ledger.session() as session:
        told = status(session, [], ledger.timing)["problems"]
    assert any(each.startswith("miami is not in the connections file, and 1 of its orders") for each in told)
