"""check --probe: one order goes to Komet, and what comes back settles how this company behaves."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from models.states import Feed
from models.tables import Scope
from tasks.observe import observe
from tests.cli.conftest import Shell
from tests.sync.conftest import Ledger
from tests.world import World


def probe(shell: Shell, key: str, code: int = 0) -> dict[str, Any]:
    """The lines of the probe, by what they settle."""
    done = shell.run("check", "--probe", key, "--json")
    assert done.returncode == code, done
    lines = {each["name"].partition("probe, ")[2]: each for each in json.loads(done.stdout) if "probe" in each["name"]}
    assert all(each["ok"] is (each["fix"] is None) for each in lines.values())
    return lines


def received(ledger: Ledger, world: World, **changes: Any) -> str:
    """An order of Axerrio that was read, and of which nothing was sent yet."""
    key = world.place(**changes)
    with ledger.session() as session:
        (scope,) = session.scalars(select(Scope.id).where(Scope.feed == Feed.SALES_ORDERS))
    observe(ledger.runtime, scope)
    return key


def test_a_company_as_we_take_it_to_be(shell: Shell, ledger: Ledger, world: World) -> None:
    key = received(ledger, world)
    lines = probe(shell, key)
    assert set(lines) == {
        "visibility",
        "prebook_marker",
        "prebook_item_ship_date_field",
        "price_decimals",
        "unknown_markers",
        "link",
        "po_status_map",
        "the rest",
    }
    assert "absence counts as proof from now on" in lines["visibility"]["message"]
    assert world.requests("prebook.create") == world.requests("purchase.order.create") == 1
    again = probe(shell, key)
    assert set(again) == set(lines)
    assert world.requests("prebook.create") == 1, "it counts as sent"
    ledger.live(120)
    assert ledger.state(key) == "ordered"


@pytest.mark.parametrize(
    ("settings", "what", "words"),
    [
        ({"comments_visible": False}, "prebook_marker", 'prebook_marker = "none"'),
        ({"transit_days": 0}, "prebook_item_ship_date_field", 'prebook_item_ship_date_field = "vendorShipDate"'),
        ({"cost_decimals": 0}, "price_decimals", "set price_decimals"),
    ],
)
def test_a_company_of_another_kind(
    shell: Shell, ledger: Ledger, world: World, settings: dict[str, Any], what: str, words: str
) -> None:
    world.settings(**settings)
    key = received(ledger, world, lines=[world.line("1", unitCost="0.28")])
    lines = probe(shell, key, 1)
    assert words in lines[what]["fix"]
    assert [name for name, each in lines.items() if not each["ok"]] == [what]


@pytest.mark.thorough
def test_answers_that_name_nothing_are_read_back(shell: Shell, ledger: Ledger, world: World) -> None:
    world.settings(create_answers_bare=True)
    lines = probe(shell, received(ledger, world))
    assert lines["link"]["message"].startswith("purchase order ")


def test_an_order_that_komet_does_not_take(shell: Shell, ledger: Ledger, world: World) -> None:
    key = received(ledger, world, carrierCode="NOBODY")
    lines = probe(shell, key, 1)
    assert "Komet took no prebook" in lines["prebook.create"]["message"]
    assert world.requests("prebook.create") == 0


def test_orders_that_are_no_good_for_it(shell: Shell, ledger: Ledger, world: World) -> None:
    assert shell.complaint(3, "check", "--probe", "2026-404") == "axkomet: No order has the key 2026-404."
    over = received(ledger, world, status="cancelled")
    ledger.live(60)
    assert "is cancelled, so nothing of it goes to Komet" in shell.complaint(2, "check", "--probe", over)
    sold = world.sell_in_komet()
    ledger.live(120)
    assert "was born in Komet" in shell.complaint(2, "check", "--probe", str(sold["number"]))
