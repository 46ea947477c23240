"""Dates never shift, text is cut to what Komet takes and said so, money stays exact; and ship dates that pass."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from models.database import now
from tests.sync.conftest import Ledger
from tests.sync.docks import approved, assert_shipped, held, history, order_items, polls, ship, shipped, states
from tests.world import ZONE, World

Json = dict[str, Any]
DAY = 86_400


def prebook(world: World, key: str) -> Json:
    """The order's one live prebook in Komet."""
    number = world.axerrio_order(key)["number"]
    (found,) = [
        each
        for each in world.company["prebooks"]
        if f"Axerrio {number} [AX:" in each["comments"] and any(item["boxes"] for item in each["items"])
    ]
    assert isinstance(found, dict)
    return found


def ship_dates(world: World, key: str) -> dict[str, str]:
    """By line: the ship date of its purchase order in Komet."""
    by_item = {
        str(item["prebook_item_id"]): order["ship_date"]
        for order in world.company["purchase_orders"]
        for item in order["items"]
    }
    lines = world.axerrio_order(key)["external_references"]["lines"]
    return {line["lineKey"]: by_item[line["prebookItemId"]] for line in lines}


# -- dates -----------------------------------------------------------------------------------------------------


def next_sunday(month: int, number: int) -> date:
    """The next year's so many-th Sunday of a month; -1: its last."""
    year = datetime.now(ZoneInfo(ZONE)).year + 1
    days = [date(year, month, 1) + timedelta(days=n) for n in range(31)]
    return [day for day in days if day.month == month and day.weekday() == 6][number]


def test_dates_go_over_as_they_are_written_also_across_midnight_and_clock_changes(ledger: Ledger, world: World) -> None:
    world.control(
        "seed", tenants=[{"token": world.axerrio_token, "tenant_id": "farm1", "time_zone": "Europe/Amsterdam"}]
    )
    with ledger.session() as session:
        moment = now(session).astimezone(ZoneInfo(ZONE))
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    ledger.pass_time((midnight - moment).total_seconds() - 90)
    spring, autumn = next_sunday(3, 1), next_sunday(3, -1)  # clocks change in New York and in Amsterdam
    expected = {}
    for day in (date.fromisoformat(world.day(2)), spring, autumn):
        for offset in (0, 1):
            leaves, truck = (day + timedelta(days=offset)).isoformat(), (day + timedelta(days=2)).isoformat()
            created = f"{world.day(0)}T23:59:59+01:00"
            key = world.place(orderDate=world.day(0), departureDate=leaves, truckDate=truck, createdAt=created)
            expected[key] = (truck, {"1": leaves, "2": leaves})
    polls(ledger, 4)
    found = {key: (prebook(world, key)["truck_date"], ship_dates(world, key)) for key in expected}
    assert found == expected
    assert {ledger.state(key) for key in expected} == {"ordered"}


@pytest.mark.thorough
def test_lines_of_several_departures_get_a_purchase_order_each(ledger: Ledger, world: World) -> None:
    lines = [world.line("1"), world.line("2", boxes=2, departureDate=world.day(4)), world.line("3")]
    (key,) = approved(ledger, world, {"lines": lines})
    assert prebook(world, key)["truck_date"] == world.day(5)
    assert ship_dates(world, key) == {"1": world.day(3), "2": world.day(4), "3": world.day(3)}
    assert len(world.company["purchase_orders"]) == 2
    ship(world, key)
    polls(ledger, 4)
    assert_shipped(ledger, world, key, "1", "2", "3")


# -- text and money --------------------------------------------------------------------------------------------


def test_long_text_is_cut_to_what_komet_takes_and_the_history_says_so(ledger: Ledger, world: World) -> None:
    article = {"key": "A-100", "code": "RFREE50", "description": "Rose " + 60 * "long "}
    line = world.line("1", article=article, markCode="M" * 30, notes="n" * 300)
    key = world.place(lines=[line], comments="c" * 300, customerReference="R" * 30)
    polls(ledger)
    assert ledger.state(key) == "ordered"
    made = prebook(world, key)
    (item,) = made["items"]
    assert (item["mark_code"], item["notes"], made["customer_po"]) == ("M" * 20, "n" * 200, "R" * 20)
    assert len(item["product_description"]) <= 200
    number = world.axerrio_order(key)["number"]
    assert len(made["comments"]) == 200
    assert made["comments"].startswith("ccc")
    assert f"c Axerrio {number} [AX:" in made["comments"]
    for words in (
        "comments cut to",
        "customer reference cut to 20 characters",
        "line 1: mark code cut to 20 characters",
        "line 1: notes cut to 200 characters",
        "line 1: product description cut to 200 characters",
    ):
        assert words in history(ledger, key)


def test_letters_of_all_kinds_survive_and_control_characters_go(ledger: Ledger, world: World) -> None:
    line = world.line("1", markCode="Zoë \U0001f339 x", notes="naïve\u0007rosé\u0001\nnext")
    key = world.place(lines=[line], comments="¡Olé!\tÉté 花 \U0001f339\u2028end", customerReference="Ré\u00011")
    polls(ledger)
    assert ledger.state(key) == "ordered"
    made = prebook(world, key)
    assert made["comments"].startswith("¡Olé! Été 花 \U0001f339 end Axerrio ")
    assert made["customer_po"] == "Ré 1"
    (item,) = made["items"]
    assert (item["mark_code"], item["notes"]) == ("Zoë \U0001f339 x", "naïve rosé next")


@pytest.mark.parametrize(("decimals", "costs"), [(3, ["0.285", "1.005", "0.070"]), (2, ["0.28", "1.00", "0.07"])])
def test_money_is_exact(make_ledger: Callable[..., Ledger], world: World, decimals: int, costs: list[str]) -> None:
    """Half a cent is rounded to the even one, never by what a binary float makes of it."""
    world.settings(cost_decimals=decimals)
    ledger = make_ledger(komet=world.entry()["komet"] | {"profile": {"price_decimals": decimals}})
    lines = [world.line(str(n), unitCost=cost) for n, cost in enumerate(("0.285", 1.005, 0.07), start=1)]
    key = world.place(lines=lines)
    polls(ledger)
    assert ledger.state(key) == "ordered"
    assert [item["cost"] for item in prebook(world, key)["items"]] == costs


@pytest.mark.thorough
def test_a_line_that_cannot_be_sent_waits_alone_and_goes_once_it_is_mended(ledger: Ledger, world: World) -> None:
    changes: dict[str, Json] = {
        "Line 2: boxes is 0": {"boxes": 0},
        "Line 2: bunches per box is 0": {"bunchesPerBox": 0},
        "Line 2: stems per bunch is 0": {"stemsPerBunch": 0},
        "Line 2 has no cost": {"unitCost": None},
        "Line 2: unit cost is 0": {"unitCost": "0"},
    }
    keys = {words: world.place(lines=[world.line("1"), world.line("2") | change]) for words, change in changes.items()}
    polls(ledger)
    for words, key in keys.items():
        assert held(ledger, key).startswith(f"invalid: {words}")
        assert len(prebook(world, key)["items"]) == 1
        assert [line["state"] for line in ledger.order(key)["lines"]] == ["ordered", "held"]
        world.place(key=key, lines=[world.line("1"), world.line("2")])
    polls(ledger)
    for key in keys.values():
        assert ledger.state(key) == "ordered"
        assert sorted(ship_dates(world, key)) == ["1", "2"]
    assert world.requests("prebook.create") == 2 * len(keys)


# -- ship dates that pass --------------------------------------------------------------------------------------


def make_old(world: World, key: str) -> None:
    """Komet's own day goes on: it shows the order's items to a vendor's token no more."""
    for item in prebook(world, key)["items"]:
        world.edit(prebook_item_id=item["id"], vendor_ship_date=world.day(-3))


@pytest.mark.thorough
def test_what_komet_shows_no_more_since_it_is_old_is_not_missed(ledger: Ledger, world: World) -> None:
    late, waiting = approved(ledger, world, *[{"departureDate": world.day(1), "truckDate": world.day(3)}] * 2)
    ledger.live(3 * DAY, pace=DAY)
    for key in (late, waiting):
        make_old(world, key)
    ledger.live(2 * DAY, pace=DAY // 2)
    for key in (late, waiting):
        assert ledger.state(key) == "approved", ledger.order(key)["reason"]
    ship(world, late)
    polls(ledger)
    assert_shipped(ledger, world, late)
    assert states(ledger, waiting) == ["prebooked", "ordered", "approved"]


@pytest.mark.thorough
def test_an_order_is_closed_a_week_after_its_truck_left(ledger: Ledger, world: World) -> None:
    left, short = approved(ledger, world, *[{"departureDate": world.day(1), "truckDate": world.day(3)}] * 2)
    ship(world, left)
    ledger.live(3 * DAY, pace=DAY)
    for key in (left, short):
        make_old(world, key)
    ledger.live(6 * DAY, pace=3 * DAY)
    assert [ledger.state(key) for key in (left, short)] == ["shipped", "approved"]
    ledger.live(2 * DAY, pace=DAY)
    for key in (left, short):
        assert ledger.state(key) == "closed"
        assert "Its truck left a week ago, and nothing is open." in history(ledger, key)
    assert world.requests("prebook.create") == 2


@pytest.mark.thorough
def test_an_order_that_was_closed_in_axerrio_is_closed(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world)
    ship(world, key)
    polls(ledger)
    world.in_axerrio("mark-shipped", order_keys=[key])
    polls(ledger, 1)
    assert ledger.state(key) == "shipped"
    world.place(key=key, status="closed")
    polls(ledger, 1)
    assert ledger.state(key) == "closed"
    assert history(ledger, key).endswith("Closed in Axerrio.")
    assert len(shipped(world, key)) == 6


@pytest.mark.thorough
def test_a_change_of_an_order_that_left_long_ago_deletes_nothing_on_a_guess(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world, {"departureDate": world.day(1), "truckDate": world.day(3)})
    ship(world, key)
    ledger.live(3 * DAY, pace=DAY)
    make_old(world, key)
    ledger.live(DAY, pace=DAY // 2)
    world.place(key=key, lines=[world.line("1", boxes=5), world.line("2", boxes=2)])
    polls(ledger)
    assert held(ledger, key).startswith(
        "conflict: Line 1: Axerrio changed it (boxes 4 → 5), and its boxes have shipped"
    )
    assert world.requests("purchase.order.item.delete") == world.requests("prebook.item.delete") == 0
    (item,) = order_items(world, key)
    assert item["boxes"] == 4


@pytest.mark.thorough
def test_a_create_in_doubt_whose_ship_date_passed_is_held_since_komet_would_not_show_it(
    ledger: Ledger, world: World
) -> None:
    ledger.earn_proof()
    world.fault("reset_before", "prebook.create", times=1)
    key = world.place(departureDate=world.day(0), truckDate=world.day(2))
    ledger.pass_time(ledger.timing.poll)
    ledger.work()
    ledger.live(2 * DAY, pace=DAY // 2)
    assert held(ledger, key).startswith("in_doubt: Komet did not answer to the prebook, and does not show it;")
    assert world.requests("prebook.create") == 2
