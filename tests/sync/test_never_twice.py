"""What could double or swallow an order: other hands in Komet, links that Axerrio names, versions that cross a call."""

import time
from collections.abc import Callable
from dataclasses import replace as _replace
from typing import Any

import pytest
from sqlalchemy import text, update

from models.tables import Scope
from tasks.connection import register
from tasks.failpoints import reach as real
from tasks.observe import observe
from tests.sync.conftest import Ledger
from tests.world import World


def live_prebooks(world: World, key: str) -> list[dict[str, Any]]:
    number = world.axerrio_order(key)["number"]
    return [
        each
        for each in world.company["prebooks"]
        if f"Axerrio {number} [AX:" in each["comments"] and any(item["boxes"] for item in each["items"])
    ]


def covered(world: World, prebook: dict[str, Any]) -> dict[int, int]:
    return {
        item["id"]: sum(
            bought["boxes"]
            for po in world.company["purchase_orders"]
            if po["status"] != "X"
            for bought in po["items"]
            if bought["prebook_item_id"] == item["id"]
        )
        for item in prebook["items"]
    }


def forget_everything(ledger: Ledger) -> None:
    """A new ledger, as after the loss of the old one."""
    with ledger.runtime.sessions.begin() as session:
        session.execute(text("TRUNCATE connections CASCADE"))
    ledger.pass_time(0)
    with ledger.runtime.sessions.begin() as session:
        fresh = register(session, ledger.settings)
    (old,) = ledger.runtime.connections.values()
    ledger.runtime = _replace(ledger.runtime, connections={fresh: _replace(old, id=fresh)})


def by_hand(world: World, truck_date: str, *, boxes: int = 4, comments: str = "by hand") -> dict[str, Any]:
    """A person's prebook in Komet."""
    answer = world.http.post(
        f"{world.addresses['komet']}/prebook.create",
        json={
            "authenticationToken": world.komet_token,
            "customerCode": "C100",
            "customerDescription": "Miami Flowers Inc",
            "carrierId": 1878,
            "shipDate": truck_date,
            "comments": comments,
            "prebookItems": [
                {
                    "productCode": "RFREE50",
                    "productDescription": "Rose Freedom 50 cm",
                    "boxTypeId": 1057,
                    "unitType": "Stem",
                    "boxes": each,
                    "bunches": 10,
                    "stemsBunch": 25,
                    "cost": 0.28,
                    "markCode": "DOCK2",
                }
                for each in (boxes, 2)
            ],
        },
    ).json()
    assert str(answer["status"]) == "1", answer
    made: dict[str, Any] = answer
    return made


def references(made: dict[str, Any], *lines: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "system": "komet",
            "prebookId": str(made["prebookId"]),
            "prebookNumber": str(made["prebookNumber"]),
            "purchaseOrders": [],
            "lines": list(lines),
        }
    ]


def test_a_process_that_stood_still_after_sent_does_not_send_late(
    make_ledger: Callable[..., Ledger], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_ledger()
    first.earn_proof()
    world_key = world.place()
    second = make_ledger()
    second.pass_time(first.offset)
    stopped: list[int] = []

    def reach(kind: str, point: str, key: str | None) -> None:
        if (kind, point) == ("komet.prebook.create", "sent") and not stopped:
            stopped.append(1)
            second.live(400)  # this process is stopped (SIGSTOP, VM pause, swap); the others go on
            time.sleep(first.timing.http_timeout)  # the call's own clock is no ledger's
        real(kind, point, key)

    monkeypatch.setattr("tasks.advance.reach", reach)
    first.pass_time(30)
    first.work()
    assert stopped
    assert len(live_prebooks(world, world_key)) == 1


def test_references_that_come_with_a_later_version_are_believed(ledger: Ledger, world: World) -> None:
    key = world.place(status="draft")
    ledger.work()
    made = by_hand(world, world.day(5))
    world.place(key=key, status="confirmed", externalReferences=references(made))
    ledger.live(300)
    assert len(world.company["prebooks"]) == 1, "made again although Axerrio says that it stands"


def test_a_seeded_prebook_that_differs_is_not_made_again(ledger: Ledger, world: World) -> None:
    made = by_hand(world, world.day(5), boxes=5)  # a person changed 4 to 5
    key = world.place(externalReferences=references(made))
    ledger.live(600)
    assert len(world.company["prebooks"]) == 1, ledger.order(key)["writes"]


def test_a_line_that_partial_references_leave_out_is_looked_for_first(ledger: Ledger, world: World) -> None:
    made = by_hand(world, world.day(5))
    item = world.company["prebooks"][0]["items"][0]["id"]
    line = {
        "lineKey": "1",
        "prebookId": str(made["prebookId"]),
        "prebookItemId": str(item),
        "purchaseOrderItemId": None,
        "purchaseOrderNumber": None,
    }
    world.place(externalReferences=references(made, line))
    ledger.live(600)
    assert len(world.company["prebooks"]) == 1


@pytest.mark.thorough
def test_two_orders_that_name_one_prebook(ledger: Ledger, world: World) -> None:
    made = by_hand(world, world.day(5))
    world.place(externalReferences=references(made))
    second = world.place(externalReferences=references(made))
    ledger.live(600)
    assert len(world.company["prebooks"]) == 1
    assert ledger.state(second) == "held"


def test_a_purchase_order_that_axerrio_does_not_name_yet_is_looked_for(ledger: Ledger, world: World) -> None:
    """The write-back was told of the prebook; the purchase order was made, and then the ledger was lost."""
    world.control(
        "faults",
        faults=[{"system": "komet", "method": "purchase.order.list", "kind": "html", "token": world.komet_token}],
    )
    key = world.place()
    ledger.live(60)
    assert world.axerrio_order(key)["external_references"]["lines"][0]["purchaseOrderItemId"] is None
    world.http.delete(f"{world.addresses['control']}/faults")
    forget_everything(ledger)
    ledger.live(600)
    (prebook,) = live_prebooks(world, key)
    assert list(covered(world, prebook).values()) == [4, 2]


@pytest.mark.thorough
def test_a_purchase_order_that_a_person_made_while_the_line_waited(ledger: Ledger, world: World) -> None:
    unknown = {"article": {"key": "A-9", "code": "NEW", "description": "New rose"}}
    key = world.place(lines=[world.line("1", **unknown)])
    ledger.live(120)
    assert ledger.state(key) == "mapping_required"
    (prebook,) = live_prebooks(world, key)
    answer = world.http.post(
        f"{world.addresses['komet']}/purchase.order.create",
        json={
            "authenticationToken": world.komet_token,
            "shipDate": world.day(3),
            "purchaseOrderItems": [{"prebookItemId": prebook["items"][0]["id"], "boxes": 4}],
        },
    ).json()
    assert str(answer["status"]) == "1"
    world.control(
        "map", company_token=world.komet_token, code="NEW", product={"id": 8001, "code": "NEW", "description": "New"}
    )
    ledger.live(900)
    (prebook,) = live_prebooks(world, key)
    assert list(covered(world, prebook).values()) == [4], ledger.order(key)["reason"]


def test_a_version_that_comes_between_the_intent_and_the_send_is_not_lost(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = world.place()
    struck: list[int] = []

    def reach(kind: str, point: str, key: str | None) -> None:
        if (kind, point) == ("komet.prebook.create", "intended") and not struck:
            struck.append(1)
            world.place(
                key=key, truckDate=world.day(6), lines=[world.line("1", unitCost="0.99"), world.line("2", boxes=2)]
            )
            with ledger.runtime.sessions.begin() as session:
                feed = session.scalars(
                    update(Scope)
                    .where(Scope.feed == "sales-orders")
                    .values(due_at=text("axkomet_now() - interval '1 s'"))
                    .returning(Scope.id)
                ).one()
            observe(ledger.runtime, feed)  # the gate may wait up to 20 s: another thread stores version 2
        real(kind, point, key)

    monkeypatch.setattr("tasks.advance.reach", reach)
    ledger.live(300)
    assert struck
    stands = live_prebooks(world, key)
    shown = [(each["truck_date"], each["items"][0]["cost"]) for each in stands]
    in_step = shown == [(world.day(6), "0.99")]
    assert in_step or ledger.state(key) == "held", (shown, ledger.state(key), ledger.order(key)["axerrio"])


@pytest.mark.thorough
def test_a_mark_that_a_person_removed_while_in_doubt(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    world.fault("lost_answer", "prebook.create", times=1)
    key = world.place()
    ledger.pass_time(30)
    ledger.feed_and_send()
    (prebook,) = live_prebooks(world, key)
    world.control("edit", company_token=world.komet_token, prebook_id=prebook["id"], comments="call before delivery")
    ledger.live(600)
    assert len(world.company["prebooks"]) == 2, "the first order's and ours"


@pytest.mark.thorough
def test_comments_that_are_hidden_after_proof_was_earned(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    world.settings(comments_visible=False)
    world.fault("lost_answer", "prebook.create", times=1)
    key = world.place()
    ledger.live(600)
    assert len(live_prebooks(world, key)) == 1, ledger.writes(key, "komet.prebook.create")
