"""The day that `make requests` plays: what it needs at least, and that it comes out."""

from collections.abc import Callable

import pytest

from benchmarks.requests import LIMIT, Sale, Simulation, least_calls, sales
from tasks.runtime import Timing
from tests.sync.conftest import Ledger
from tests.sync.test_budget_turns import limited
from tests.world import World


def test_the_least_is_counted_by_komets_methods() -> None:
    plain, mixed = Sale(0.0, 2), Sale(0.0, 3, is_mixed=True)
    changed, cancelled = Sale(0.0, 2, is_changed=True), Sale(0.0, 2, is_cancelled=True)
    assert least_calls([plain], 1) == {
        "prebook.create": 1,
        "purchase.order.create": 1,
        "purchase.order.mixed.create": 0,
        "purchase.order.item.delete": 0,
        "prebook.item.delete": 0,
        "purchase.order.items.awb.add": 1,
        "boxtype.list": 1,
        "carrier.list": 1,
    }
    alone = sum(least_calls([plain], 0).values())
    assert sum(least_calls([plain, mixed], 0).values()) - alone == 3, "one more for mixed boxes"
    assert sum(least_calls([plain, changed], 0).values()) - alone == 6, "four more for a changed line"
    assert sum(least_calls([plain, cancelled], 0).values()) - alone == 8, "two deletions for each of three lines"


def test_a_days_orders_are_what_the_bar_names() -> None:
    day = sales(200, 8)
    assert len(day) == 200
    assert sum(sale.is_mixed for sale in day) == 40
    assert sum(sale.is_changed for sale in day) == 20
    assert sum(sale.is_cancelled for sale in day) == 10
    assert not any(sale.is_changed and sale.is_cancelled for sale in day)
    assert sales(200, 8) == day
    assert [sale.at for sale in day] == sorted(sale.at for sale in day)


@pytest.mark.thorough
def test_a_small_day_costs_the_least_and_nothing_is_lost(make_ledger: Callable[..., Ledger], world: World) -> None:
    world.in_axerrio("tenant-settings", print_labels=True)
    komet = world.entry()["komet"] | {"daily_requests": LIMIT}
    ledger = make_ledger(change_guard=0, komet=komet, timing=vars(Timing()))
    simulation = Simulation(world, ledger, sales(20, 8))
    with limited(ledger, LIMIT):
        simulation.play()
    assert simulation.wrong() == []
    least = least_calls(simulation.day, simulation.shipments)
    assert {name: world.requests(name) for name in least} == least
    assert sum(world.company["requests"].values()) < LIMIT // 2
    assert sum(read.is_early for read in simulation.reads) <= 2
