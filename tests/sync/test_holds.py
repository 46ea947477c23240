"""What is not built, or not ours to decide, waits safely: a plain sentence, and nothing is sent."""

from collections.abc import Callable

import pytest

from tasks.requeue import Requeued, requeue
from tests.sync.conftest import Ledger
from tests.world import World, assert_exactly_once


def message(ledger: Ledger, key: str) -> str:
    return str(ledger.order(key)["reason"]["message"])


def test_cancelled_before_sending_sends_nothing(make_ledger: Callable[..., Ledger], world: World) -> None:
    key = world.place(status="draft")
    ledger = make_ledger()
    ledger.live(30)
    world.place(key=key, status="cancelled")
    ledger.live(60)
    assert ledger.state(key) == "cancelled"
    assert world.requests("prebook.create") == 0


@pytest.mark.thorough
def test_an_unknown_product_waits_and_the_rest_goes_on(ledger: Ledger, world: World) -> None:
    strange = {"key": "A-7", "code": "TULIP", "description": "Tulip"}
    key = world.place(lines=[world.line("1"), world.line("2", article=strange)])
    ledger.live(180)
    assert ledger.state(key) == "mapping_required"
    assert "TULIP" in message(ledger, key)
    (purchase_order,) = world.company["purchase_orders"]
    assert len(purchase_order["items"]) == 1
    states = {line["line_key"]: line["state"] for line in ledger.order(key)["lines"]}
    assert states == {"1": "ordered", "2": "mapping_required"}
    product = {"id": 7010, "code": "TULIP", "description": "Tulip"}
    world.control("map", company_token=world.komet_token, code="TULIP", product=product)
    ledger.live(300)
    assert ledger.state(key) == "ordered"
    assert_exactly_once(world, key)
    assert len(world.company["purchase_orders"]) == 1, "the later line joins the pending purchase order"


def test_an_unmapped_buyer_waits_and_goes_on_when_mapped(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(buyers={})
    key = world.place()
    ledger.live(60)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "unmapped_reference")
    assert world.requests("prebook.create") == 0
    mapped = make_ledger()
    mapped.offset = ledger.offset
    mapped.live(120)
    assert mapped.state(key) == "ordered"


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"carrierCode": "NOBODY"}, "unmapped_reference", "NOBODY"),
        ({"packing": {"code": "ZZ"}}, "unmapped_reference", "ZZ"),
        ({"unitCost": None}, "invalid", "no cost"),
        ({"boxes": 0}, "invalid", "boxes is 0"),
        ({"carrierCode": None}, "invalid", "no carrier"),
    ],
)
def test_what_cannot_be_sent_is_held(
    ledger: Ledger, world: World, change: dict[str, object], code: str, says: str
) -> None:
    of_order = change if "carrierCode" in change else {"lines": [world.line("1", **change)]}
    key = world.place(**of_order)
    ledger.live(60)
    assert (ledger.state(key), ledger.reason(key)) == ("held", code)
    assert says in message(ledger, key)
    assert world.requests("prebook.create") == 0


def test_a_refusal_that_is_understood_holds_at_once(ledger: Ledger, world: World) -> None:
    world.fault("refuse", "prebook.create", message="Customer not found.")
    key = world.place()
    ledger.live(120)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "rejected")
    assert "Customer not found." in message(ledger, key)
    assert world.requests("prebook.create") == 1
    assert ledger.writes(key, "komet.prebook.create") == ["refused"]


def test_a_refusal_that_is_not_understood_is_tried_three_times(ledger: Ledger, world: World) -> None:
    world.fault("refuse", "prebook.create", message="The moon is full.", times=2)
    key = world.place()
    ledger.live(300)
    assert ledger.state(key) == "ordered"
    assert ledger.writes(key, "komet.prebook.create") == ["refused", "refused", "done"]
    world.fault("refuse", "prebook.create", message="The moon is full.")
    other = world.place()
    ledger.live(300)
    assert (ledger.state(other), ledger.reason(other)) == ("held", "rejected")
    assert ledger.writes(other, "komet.prebook.create") == ["refused"] * 3


@pytest.mark.thorough
def test_attempts_are_used_up(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(timing={"max_attempts": 3})
    ledger.earn_proof()
    world.fault("error_before", "prebook.create")
    key = world.place()
    ledger.live(1500)
    assert ledger.state(key) == "failed"
    assert ledger.order(key)["attempts"] == 3
    assert ledger.writes(key, "komet.prebook.create") == ["absent"] * 3


def test_a_failed_order_goes_on_when_requeued(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(timing={"max_attempts": 1})
    ledger.earn_proof()
    world.fault("error_before", "prebook.create", times=1)
    key = world.place()
    ledger.live(300)
    assert ledger.state(key) == "failed"
    with ledger.runtime.sessions.begin() as session:
        assert set(requeue(session, [ledger.order(key)["id"]], "it was down").values()) == {Requeued.DUE}
    ledger.live(120)
    assert ledger.state(key) == "ordered"
    assert_exactly_once(world, key)
    assert any("it was down" in row["why"] for row in ledger.order(key)["history"])


@pytest.mark.thorough
def test_a_refused_token_is_nobodys_attempt(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(timing={"retry_max": 120})
    ledger.earn_proof()
    world.settings(token_valid=False)
    key = world.place()
    ledger.live(600)
    assert (ledger.state(key), ledger.order(key)["attempts"]) == ("received", 0)
    world.settings(token_valid=True)
    ledger.live(1200)
    assert_exactly_once(world, key)
