"""Writes to Axerrio are safe to repeat: with the same key and the same body, until they are answered."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from models.tables import Write
from tests.sync.conftest import Ledger
from tests.world import World, assert_exactly_once

RESOURCES = ("external-references", "procurement-status")


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("kind", ["lost_answer", "error_after", "error_before", "reset_before", "html", "truncated"])
def test_a_write_without_an_answer_is_repeated_as_it_was(
    ledger: Ledger, world: World, resource: str, kind: str
) -> None:
    world.fault(kind, f"PUT {resource}", system="axerrio", times=1)
    key = world.place()
    ledger.live(120)
    world.approve()
    ledger.live(600)
    assert ledger.state(key) == "approved"
    assert_exactly_once(world, key)
    assert set(ledger.writes(key, f"axerrio.{resource}")) == {"done"}
    with ledger.session() as session:
        tries = session.scalars(select(Write.attempts).where(Write.kind == f"axerrio.{resource}")).all()
    assert sorted(tries)[-1] == 2


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_yes_that_stored_nothing_is_no_yes(ledger: Ledger, world: World, resource: str) -> None:
    world.fault("hollow", f"PUT {resource}", system="axerrio", times=1)
    key = world.place()
    ledger.live(120)
    world.approve()
    ledger.live(600)
    assert ledger.state(key) == "approved"
    assert_exactly_once(world, key)
    assert len(ledger.writes(key, f"axerrio.{resource}")) == 2 or resource == "procurement-status"


@pytest.mark.parametrize("method", ["prebook.create", "purchase.order.create"])
def test_an_answer_of_komets_that_says_nothing_leaves_a_write_in_doubt(
    ledger: Ledger, world: World, method: str
) -> None:
    ledger.earn_proof()
    world.fault("hollow", method, times=1)
    key = world.place()
    ledger.live(600)
    assert ledger.state(key) == "ordered"
    assert_exactly_once(world, key)


@pytest.mark.thorough
def test_the_links_stand_before_the_approval_is_told(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(timing={"retry_base": 60, "retry_max": 60, "max_attempts": 50})
    world.settings(po_initial_status="A")
    world.fault("error_before", "PUT external-references", system="axerrio")
    key = world.place()
    ledger.live(300)
    assert world.axerrio_order(key)["procurement_status"] is None
    world.http.delete(f"{world.addresses['control']}/faults")
    ledger.live(300)
    assert ledger.state(key) == "approved"
