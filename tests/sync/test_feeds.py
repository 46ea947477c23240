"""Feeds that misbehave: nothing of theirs is lost or doubled, none of them is asked for ever, and each is told."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, func, select

from models.database import now
from models.states import Feed
from models.tables import Article, Label, Order, OrderLine, Scope, Shipment, UnreadableRecord
from tasks.feeds import BY_CURSOR, reset
from tasks.observe import observe
from tests.between import Between, Reply, between, unchanged
from tests.sync.books import axerrio_order
from tests.sync.conftest import Ledger
from tests.sync.docks import approved, assert_shipped, polls, ship
from tests.sync.in_komet import record
from tests.world import ZONE, World, assert_exactly_once
from worker.aside import lost_records
from worker.status import status

Json = dict[str, Any]
#: Makes another page of a feed's page.
Another = Callable[[Json], Json]


@pytest.fixture
def axerrio(world: World) -> Iterator[Between]:
    """Between us and Axerrio."""
    with between(world.addresses["axerrio"]) as server:
        yield server


@pytest.fixture
def komet(world: World) -> Iterator[Between]:
    """Between us and Komet."""
    with between(world.addresses["komet"]) as server:
        yield server


@pytest.fixture
def led(make_ledger: Callable[..., Ledger], world: World, axerrio: Between, komet: Between) -> Ledger:
    """A ledger that is answered by both."""
    entry = world.entry()
    return make_ledger(
        axerrio=entry["axerrio"] | {"base_url": axerrio.url},
        komet=entry["komet"] | {"base_url": komet.url},
        timing={"http_timeout": 10},
    )


def pages(part: str, another: Another) -> Callable[[str, Reply], Reply]:
    """Gives another answer where a path has this part."""

    def change(path: str, reply: Reply) -> Reply:
        return replace(reply, body=json.dumps(another(json.loads(reply.body))).encode()) if part in path else reply

    return change


def feed(ledger: Ledger, which: Feed = Feed.SALES_ORDERS) -> Scope:
    with ledger.session() as session:
        return session.scalars(select(Scope).where(Scope.feed == which, Scope.key == "")).one()


def told(ledger: Ledger, which: Feed = Feed.SALES_ORDERS) -> list[str]:
    """What `status` says of a feed."""
    with ledger.session() as session:
        problems = status(session, [ledger.settings], ledger.timing)["problems"]
    return [each for each in problems if each.startswith(f"miami: {which.value} ")]


def unreadable(ledger: Ledger) -> int:
    with ledger.session() as session:
        return int(status(session, [ledger.settings], ledger.timing)["connections"][0]["unreadable"])


def count(ledger: Ledger, table: type[Any]) -> int:
    with ledger.session() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def row(ledger: Ledger, key: str) -> Order:
    with ledger.session() as session:
        return session.scalars(select(Order).where(Order.axerrio_key == key)).one()


def boxes(ledger: Ledger, key: str) -> list[int]:
    return [line["boxes"] for line in ledger.order(key)["lines"] if line["boxes"]]


def again(ledger: Ledger, cursor: int, *feeds: Feed) -> None:
    """An admin resets feeds."""
    for each in feeds:
        with ledger.runtime.sessions.begin() as session:
            reset(session, next(iter(ledger.runtime.connections)), each, cursor)


# -- back in time ------------------------------------------------------------------------------------------------


def restore(world: World, *orders: Json) -> None:
    """Axerrio's backup is put back: these orders in the versions they name, with sequences from 1 on."""
    tenant = {"token": world.axerrio_token, "tenant_id": "farm1", "time_zone": ZONE, "orders": orders}
    world.control("seed", tenants=[tenant])


@pytest.mark.thorough
def test_after_a_backup_was_put_back_what_axerrio_has_counts(ledger: Ledger, world: World) -> None:
    same, back, gone, ahead = (world.place(lines=[world.line("1")]) for _ in range(4))
    ledger.live(120)
    world.place(key=back, lines=[world.line("1", boxes=9)])
    for _ in range(4):
        world.place(status="draft")
    ledger.live(180)
    assert boxes(ledger, back) == [9]
    before = ledger.order(same)
    made = world.requests("prebook.create")
    was = {each["key"]: each for each in world.tenant["orders"]}
    backup = [
        world.order() | {"key": key, "number": was[key]["number"], "version": 1, "lines": [world.line("1")]}
        for key in (same, back, gone, ahead)
    ]
    restore(world, *backup)
    ledger.live(120)
    assert feed(ledger).stopped_reason is not None
    (sentence,) = told(ledger)
    assert "went back in time. `axkomet feed reset miami sales-orders --to 0`" in sentence
    again(ledger, 0, Feed.SALES_ORDERS)
    world.control("orders/delete", tenant_token=world.axerrio_token, keys=[gone])
    world.place(key=ahead, lines=[world.line("1", boxes=7)])
    ledger.live(300)
    assert told(ledger) == []
    assert feed(ledger).cursor == 6
    assert ledger.state(gone) == "cancelled"
    assert (boxes(ledger, back), boxes(ledger, ahead)) == ([4], [7])
    assert ledger.order(same) == before
    assert world.requests("prebook.create") == made + 2
    live = [item["boxes"] for each in world.company["prebooks"] for item in each["items"] if item["boxes"]]
    assert sorted(live) == [4, 4, 7]
    world.place(key=back, version=2, lines=[world.line("1", boxes=5)])
    ledger.live(240)
    assert boxes(ledger, back) == [5]


def test_an_order_born_in_komet_is_known_as_the_backup_has_it(ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet()
    ledger.live(240)
    (order,) = world.tenant["orders"]
    key = order["key"]
    with ledger.runtime.sessions.begin() as session:
        stored = session.scalars(select(Order)).one()
        held = stored.axerrio_holds
        assert held is not None
        stored.axerrio_holds = held | {"version": 40, "comments": "newer than the backup"}
    again(ledger, 0, Feed.SALES_ORDERS)
    ledger.live(60)
    now_held = row(ledger, key).axerrio_holds
    assert now_held is not None
    assert (now_held["version"], now_held["comments"]) == (held["version"], held["comments"])
    assert len(world.tenant["orders"]) == 1
    as_of = row(ledger, key).axerrio_as_of
    again(ledger, 0, Feed.SALES_ORDERS)
    ledger.live(60)
    assert row(ledger, key).axerrio_holds == now_held
    assert row(ledger, key).axerrio_as_of == as_of, "what says the same is no news"
    assert sold


def test_labels_shipments_and_articles_go_back_too(ledger: Ledger, world: World) -> None:
    def label(key: str, code: str, version: int) -> Json:
        where = {"salesOrderKey": "SO-1", "lineKey": "1", "boxIndex": 1, "boxCount": 1}
        return {"labelId": key, "boxCode": code, "version": version} | where

    def shipment(key: str, awb: str, version: int) -> Json:
        return {"key": key, "shipDate": world.day(3), "awb": awb, "version": version}

    def fill(*versions: tuple[str, int]) -> None:
        for code, version in versions:
            world.in_axerrio("labels", labels=[label(f"L-{n}", f"{code}{n}", version) for n in (1, 2, 3)])
            world.in_axerrio("shipments", shipments=[shipment(f"SH-{n}", f"{code}{n}", version) for n in (1, 2, 3)])
            names = [{"key": f"A-{n}", "code": f"{code}{n}", "description": code} for n in (1, 2, 3)]
            world.in_axerrio("articles", articles=names)

    fill(("X", 1), ("Y", 2), ("Z", 3))
    ledger.live(60)
    restore(world)
    fill(("X", 1), ("Y", 2))
    world.in_axerrio("labels", labels=[label("L-3", "V3", 4)])
    world.in_axerrio("shipments", shipments=[shipment("SH-3", "V3", 4)])
    for which, key in (("labels", "L-2"), ("shipments", "SH-2"), ("articles", "A-2")):
        world.in_axerrio("feed/delete", feed=which, keys=[key])
    ledger.live(900)
    assert feed(ledger, Feed.LABELS).stopped_reason is not None
    again(ledger, 0, Feed.LABELS, Feed.SHIPMENTS, Feed.ARTICLES)
    ledger.live(60)
    with ledger.session() as session:
        labels = {each.key: each for each in session.scalars(select(Label))}
        shipments = {each.key: each for each in session.scalars(select(Shipment))}
        articles = {each.key: each for each in session.scalars(select(Article))}
    assert [labels[f"L-{n}"].content["box_code"] for n in (1, 3)] == ["Y1", "V3"]
    assert [shipments[f"SH-{n}"].content["awb"] for n in (1, 3)] == ["Y1", "V3"]
    assert [articles[f"A-{n}"].code for n in (1, 3)] == ["Y1", "Y3"]
    assert (labels["L-2"].is_deleted, shipments["SH-2"].is_deleted, articles["A-2"].is_deleted) == (True, True, True)


@pytest.mark.thorough
def test_a_reset_to_0_doubles_nothing(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world)
    ship(world, key)
    polls(ledger)
    assert_shipped(ledger, world, key)
    before, asked = ledger.order(key), world.company["requests"]
    places = {which: feed(ledger, which).cursor for which in BY_CURSOR}
    sequence = row(ledger, key).sequence
    again(ledger, 0, *BY_CURSOR)
    assert row(ledger, key).sequence == 0
    polls(ledger)
    assert ledger.order(key) == before
    assert {which: feed(ledger, which).cursor for which in BY_CURSOR} == places
    assert row(ledger, key).sequence == sequence, "it has its place in the feed again"
    writes = ("prebook.create", "purchase.order.create", "purchase.order.items.awb.add")
    assert {each: world.requests(each) for each in writes} == {each: asked[each] for each in writes}


def test_a_reset_puts_a_read_off_that_is_under_way(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(timing={"http_timeout": 10})
    world.place()
    world.fault("slow", "GET /sales-orders/sync", system="axerrio", seconds=1.0, times=1)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(observe, ledger.runtime, feed(ledger).id)
        until_struck(world)
        again(ledger, 5, Feed.SALES_ORDERS)
        assert "somebody else read on" in reading.result()
    assert (feed(ledger).cursor, count(ledger, Order)) == (5, 0)


# -- records that cannot be read ----------------------------------------------------------------------------------


def until_struck(world: World) -> None:
    """Wait until the fault that was ordered has struck."""
    for _ in range(200):
        if world.http.get(f"{world.addresses['control']}/faults").json()["faults"][0]["struck"]:
            return
        time.sleep(0.02)
    raise AssertionError("no fault struck")


@pytest.mark.parametrize(
    ("which", "table", "good", "bad"),
    [
        (Feed.SALES_ORDERS, Order, {}, {"key": "bad", "status": "perhaps"}),
        (Feed.SALES_ORDERS, Order, {}, {"key": "bad", "lines": [{"lineKey": "1", "status": "lost"}]}),
        (
            Feed.LABELS,
            Label,
            {"salesOrderKey": "SO-1", "lineKey": "1", "boxIndex": 1, "boxCode": "AX-1", "state": "printed"},
            {"state": "smudged"},
        ),
        (Feed.SHIPMENTS, Shipment, {"shipDate": "2026-11-24", "awb": "729-1", "lines": []}, {"shipDate": "soon"}),
        (Feed.ARTICLES, Article, {"code": "RFREE50", "description": "Rose"}, {"code": {"is": "an object"}}),
    ],
    ids=["order status", "line status", "label", "shipment", "article"],
)
def test_one_record_is_put_aside_and_its_page_goes_on(
    ledger: Ledger, world: World, which: Feed, table: type[Any], good: Json, bad: Json
) -> None:
    name = "labelId" if which is Feed.LABELS else "key"
    path = "orders" if which is Feed.SALES_ORDERS else which.value
    content = world.order() | {"origin": "axerrio"} if which is Feed.SALES_ORDERS else good
    records = [
        {"raw": content | {name: "before", "number": "1", "version": 1, "isDeleted": False}},
        {"raw": content | {"number": "2", "version": 1, "isDeleted": False} | bad | {name: "bad"}},
        {"raw": content | {name: "after", "number": "3", "version": 1, "isDeleted": False}},
    ]
    ledger.work()
    start = feed(ledger, which).cursor or 0
    world.in_axerrio(path, **{path: records})
    ledger.live(900 if which is Feed.ARTICLES else 60)
    assert feed(ledger, which).cursor == start + 3
    keys = table.axerrio_key if table is Order else table.key
    with ledger.session() as session:
        stored = set(session.scalars(select(keys)))
        aside = session.scalars(select(UnreadableRecord)).one()
    assert {"before", "after"} <= stored
    assert "bad" not in stored
    assert (aside.record_key, json.loads(aside.raw)[name]) == ("bad", "bad")
    assert unreadable(ledger) == 1


def test_what_cannot_be_read_is_told_however_many_other_records_cannot(ledger: Ledger) -> None:
    ledger.work()
    with ledger.runtime.sessions.begin() as session:
        scopes = dict(session.execute(select(Scope.feed, Scope.id)).all())
        kept = [(Feed.SALES_ORDERS, f"SO-{n}") for n in range(30)] + [(Feed.LABELS, f"L-{n}") for n in range(25)]
        session.add_all(
            UnreadableRecord(scope_id=scopes[feed], digest=key, record_key=key, reason="no status.", raw="{}")
            for feed, key in kept
        )
        session.flush()
        labels, told = sorted(lost_records(session)["miami"])
        problems = status(session, [ledger.settings], ledger.timing)["problems"]
    assert told.startswith("miami: 30 record(s) of sales-orders cannot be read and are no order here")
    assert "25 record(s) of labels cannot be read, so that what they say of boxes reaches nobody: L-24" in labels
    assert "SO-29 (no status); SO-28 (no status); SO-27 (no status). Mend them in Axerrio" in told
    assert {labels, told} <= set(problems)


def bad_record(**changes: Any) -> Json:
    """A record of the sales orders that cannot be read."""
    return {"raw": {"key": "SO-BAD", "number": "1", "version": 1, "isDeleted": False, "status": "perhaps"} | changes}


def test_what_could_not_be_read_and_is_there_no_more_is_resolved_by_a_reset(ledger: Ledger, world: World) -> None:
    world.place(status="draft")
    world.in_axerrio("orders", orders=[bad_record()])
    ledger.live(60)
    assert unreadable(ledger) == 1
    restore(world)
    ledger.live(60)
    again(ledger, 0, Feed.SALES_ORDERS)
    ledger.live(60)
    assert unreadable(ledger) == 0
    world.in_axerrio("orders", orders=[bad_record()])
    ledger.live(60)
    assert unreadable(ledger) == 1, "and comes back where it does"


@pytest.mark.parametrize("is_reset", [True, False])
def test_an_order_born_in_komet_is_readable_again_by_what_was_known_of_it(
    ledger: Ledger, world: World, is_reset: bool
) -> None:
    sold = world.sell_in_komet()
    ledger.live(120)
    key, order = str(sold["number"]), record(world, axerrio_order(world, sold)["key"])
    del order["sequence"]
    bad = {"version": order["version"] + 1, "status": "perhaps"}
    world.in_axerrio("orders", orders=[bad_record(**order | bad)])
    ledger.live(60)
    assert ledger.reason(key) == "unreadable"
    if is_reset:
        again(ledger, 0, Feed.SALES_ORDERS)
    world.in_axerrio("orders", orders=[{"raw": order}])
    ledger.live(60)
    assert ledger.state(key) == "ordered", ledger.order(key)


@pytest.mark.parametrize("listed", ["prebook.details.list", "purchase.order.list"])
@pytest.mark.thorough
def test_one_record_of_komet_is_put_aside_and_its_list_goes_on(
    led: Ledger, world: World, komet: Between, listed: str
) -> None:
    first = world.place()
    led.live(180)
    (bad,) = world.company["prebooks" if listed == "prebook.details.list" else "purchase_orders"]

    def smudged(content: Json) -> Json:
        for entries in content.values():
            for each in entries if isinstance(entries, list) else ():
                if str(each.get("id")) == str(bad["id"]):
                    each["details"] = "smudged"
        return content

    komet.change = pages(listed, smudged)
    second = world.place()
    led.live(300)
    assert (led.state(first), led.state(second)) == ("ordered", "ordered")
    assert_exactly_once(world, second)
    assert unreadable(led) == 1
    with led.session() as session:
        assert "smudged" in session.scalars(select(UnreadableRecord.raw)).first()  # type: ignore[operator]
    komet.change = lambda _, reply: reply
    led.live(1800)
    assert unreadable(led) == 0


@pytest.mark.parametrize("listed", ["carrier.list", "boxtype.list"])
def test_a_carrier_or_box_type_that_cannot_be_read_is_told(
    led: Ledger, world: World, komet: Between, listed: str
) -> None:
    komet.change = pages(listed, lambda content: content | {name: [*content[name], 7] for name in _lists(content)})
    key = world.place()
    led.live(180)
    assert led.state(key) == "ordered"
    assert unreadable(led) == 1


def _lists(content: Json) -> list[str]:
    return [name for name, value in content.items() if isinstance(value, list)]


# -- pages without an end ----------------------------------------------------------------------------------------


def test_a_thousand_records_in_one_page(
    led: Ledger, world: World, axerrio: Between, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server gives 1,000 though fewer were asked for."""
    many = [{"key": f"D-{n}", "number": f"D{n}"} | world.order() | {"status": "draft"} for n in range(1000)]
    world.control("orders", tenant_token=world.axerrio_token, orders=many)
    headers = {"authorization": f"Bearer {world.axerrio_token}", "x-tenant-id": "farm1"}
    address = f"{world.addresses['axerrio']}/api/v1/sales-orders/sync"
    full = world.http.get(f"{address}/0", params={"limit": "1000"}, headers=headers).json()
    axerrio.change = pages("sales-orders/sync/0", lambda _: full)
    statements = 0

    @event.listens_for(led.engine, "before_cursor_execute")
    def counted(*_: object) -> None:
        nonlocal statements
        statements += 1

    began = time.monotonic()
    observe(led.runtime, feed(led).id)
    took = time.monotonic() - began
    with capsys.disabled():
        print(f"\n1,000 orders in one page: {took:.1f} s, {statements} statements")  # noqa: T201 - a figure for who looks
    assert (count(led, Order), count(led, OrderLine), feed(led).cursor) == (1000, 2000, 1000)
    assert statements <= 5_100, "a few for each order"


@pytest.mark.parametrize("which", BY_CURSOR)
def test_the_same_page_for_ever_is_told(
    led: Ledger, world: World, axerrio: Between, which: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A feed that was read for the first time is due again at random, else perhaps at once.
    monkeypatch.setattr("tasks.runtime.random.random", lambda: 0.9)
    good = world.place()
    where = {"salesOrderKey": good, "lineKey": "1", "boxIndex": 1}
    world.in_axerrio("labels", labels=[{"labelId": "L-1", "boxCode": "AX-1"} | where])
    world.in_axerrio("shipments", shipments=[{"key": "SH-1", "shipDate": world.day(3), "awb": ""}])
    asked: list[str] = []
    first: list[Json] = []

    def same(page: Json) -> Json:
        first.append(page)
        asked.append(which.value)
        return first[0]

    axerrio.change = pages(f"/{which.value}/sync/", same)
    led.work()
    assert len(asked) == 2, "only a page with nothing new is the last"
    assert told(led, which) == []
    led.live(2 * led.timing.poll)
    (sentence,) = told(led, which)
    assert "could not be read" in sentence
    assert "where it is asked for those after it" in sentence
    polled = len(asked)
    led.live(20 * led.timing.poll)
    assert len(asked) - polled <= 20
    axerrio.change = lambda _, reply: reply
    led.live(20 * led.timing.poll)
    assert told(led, which) == []
    assert led.state(good) == "ordered"


@pytest.mark.thorough
def test_a_full_page_that_is_the_same_for_ever_is_read_twice_and_then_left(
    led: Ledger, world: World, axerrio: Between
) -> None:
    many = [{"key": f"D-{n}", "number": f"D{n}"} | world.order() | {"status": "draft"} for n in range(250)]
    world.control("orders", tenant_token=world.axerrio_token, orders=many)
    first: list[Json] = []

    def same(page: Json) -> Json:
        first.append(page)
        return first[0]

    axerrio.change = pages("/sales-orders/sync/", same)
    led.work()
    assert (count(led, Order), feed(led).cursor) == (200, 200)
    assert len(first) == 1 + feed(led).failures, "each read after the first is one that failed, and rests"
    axerrio.change = lambda _, reply: reply
    led.live(60)
    assert (count(led, Order), feed(led).cursor, feed(led).failures) == (250, 250, 0)


def test_a_server_that_gives_fewer_than_it_is_asked_for_is_read_to_the_end_at_once(
    led: Ledger, world: World, axerrio: Between
) -> None:
    """Also where it names the highest sequence of the page, and not of the feed."""
    many = [{"key": f"D-{n}", "number": f"D{n}"} | world.order() | {"status": "draft"} for n in range(70)]
    world.control("orders", tenant_token=world.axerrio_token, orders=many)

    def few(page: Json) -> Json:
        results = page["results"][:3]
        return {"maximumSequence": max([each["sequence"] for each in results] or [70]), "results": results}

    axerrio.change = pages("/sales-orders/sync/", few)
    led.work()
    assert (count(led, Order), feed(led).cursor) == (70, 70)


@pytest.mark.thorough
def test_a_highest_sequence_that_no_record_of_the_feed_has_is_no_trouble(
    led: Ledger, world: World, axerrio: Between
) -> None:
    """It may be counted over all feeds, or be of a record that is no more."""
    world.place()

    def promised(page: Json) -> Json:
        return page | {"maximumSequence": page["maximumSequence"] + 500}

    axerrio.change = pages("/sales-orders/sync/", promised)
    led.live(7 * led.timing.poll)
    assert (told(led), feed(led).failures) == ([], 0)
    late = world.place()
    led.live(2 * led.timing.poll)
    assert feed(led).cursor == 2
    led.live(5 * led.timing.poll)
    assert led.state(late) == "ordered"


@pytest.mark.thorough
def test_a_sequence_beyond_the_highest_does_not_carry_the_cursor_away(
    led: Ledger, world: World, axerrio: Between
) -> None:
    slip = world.place(status="draft")

    def slipped(page: Json) -> Json:
        for each in page["results"]:
            each["sequence"] = 2**62 if each["key"] == slip else each["sequence"]
        return page

    axerrio.change = pages("/sales-orders/sync/", slipped)
    led.live(60)
    late = world.place()
    led.live(180)
    assert (feed(led).cursor, feed(led).stopped_reason) == (2, None)
    assert led.state(late) == "ordered"


def test_an_order_that_was_thrown_away_undecided_says_so(led: Ledger, world: World, axerrio: Between) -> None:
    world.in_axerrio("tenant-settings", inbound="pending")
    key = str(world.sell_in_komet()["number"])
    led.live(60)
    axerrio.change = lambda path, reply: Reply(b"{}", 404) if "/inbound-orders/" in path else reply
    led.live(60)
    assert sum("whether it was thrown away" in each["why"] for each in led.order(key)["history"]) == 1
    axerrio.change = unchanged
    with led.session() as session:
        external_id = session.scalars(select(Order.external_id)).one()
    world.in_axerrio("inbound", external_id=external_id, decision="accepted")
    led.live(90)
    assert led.state(key) == "ordered", "the answer was late"


@pytest.mark.thorough
def test_one_that_cannot_be_asked_for_keeps_no_other_from_its_turn(
    led: Ledger, world: World, axerrio: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of orders without a decision one poll asks for a few only, and one of them is always refused."""
    monkeypatch.setattr("tasks.observe.sales_orders._MOST_PENDING", 2)
    world.in_axerrio("tenant-settings", inbound="pending")
    sold = [world.sell_in_komet() for _ in range(4)]
    led.live(120)
    names = [f"komet-{world.komet_token}-{each['id']}" for each in sold]

    def refused(path: str, reply: Reply) -> Reply:
        return Reply(b'{"status": 403}', 403) if f"inbound-orders/{names[0]}" in path else reply

    axerrio.change = refused
    world.in_axerrio("inbound", external_id=names[-1], decision="accepted")
    assert feed(led).failures == 0
    for _ in range(40):
        led.live(led.timing.poll)
        with led.session() as session:
            taken = session.scalars(select(Order).where(Order.external_id == names[-1])).one()
        if taken.axerrio_key is not None and taken.inbound_answer["status"] == "accepted":  # type: ignore[index]
            break
    else:
        raise AssertionError("it never had its turn")
    assert (feed(led).failures, feed(led).last_error) == (0, None)


# -- two at once ---------------------------------------------------------------------------------------------------


def test_a_late_page_neither_moves_the_cursor_back_nor_brings_an_older_version(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    slow, quick = (make_ledger(timing={"http_timeout": 10}) for _ in range(2))
    key = world.place()
    world.fault("slow", "GET /sales-orders/sync", system="axerrio", seconds=1.5, times=1)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(observe, slow.runtime, feed(slow).id)
        until_struck(world)
        world.place(key=key, lines=[world.line("1", boxes=9)])
        others = [world.place() for _ in range(3)]
        quick.pass_time(60)  # its lease is over by this one's clock
        assert observe(quick.runtime, feed(quick).id) == "sales-orders read"
        assert feed(quick).cursor == 5
        assert "somebody else read on" in late.result()
    assert feed(quick).cursor == 5
    assert feed(quick).failures == 0
    assert (row(quick, key).version, boxes(quick, key)) == (2, [9])
    assert count(quick, Order) == 1 + len(others)


def test_a_read_that_fails_late_is_no_setback_for_the_one_who_read_on(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    slow, quick = make_ledger(timing={"http_timeout": 1}), make_ledger(timing={"http_timeout": 10})
    world.place()
    world.fault("slow", "GET /sales-orders/sync", system="axerrio", seconds=3, times=1)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(observe, slow.runtime, feed(slow).id)
        until_struck(world)
        quick.pass_time(60)
        assert observe(quick.runtime, feed(quick).id) == "sales-orders read"
        due_at = feed(quick).due_at
        late.result()
    assert (feed(quick).failures, feed(quick).last_error, feed(quick).due_at) == (0, None, due_at)


@pytest.mark.thorough
def test_two_workers_poll_at_once(make_ledger: Callable[..., Ledger], world: World) -> None:
    workers = [make_ledger(timing={"http_timeout": 10}) for _ in range(2)]
    keys = [world.place() for _ in range(12)]
    with ThreadPoolExecutor(6) as pool:
        words = list(pool.map(lambda n: observe(workers[n % 2].runtime, feed(workers[0]).id), range(6)))
    assert sorted(words) == ["nothing due"] * 5 + ["sales-orders read"]
    assert count(workers[0], Order) == 12
    for _ in range(6):
        for worker in workers:
            worker.pass_time(worker.timing.poll)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(Ledger.step, workers))
        if all(workers[0].state(key) == "ordered" for key in keys):
            break
    for key in keys:
        assert_exactly_once(world, key)
    with workers[0].session() as session:
        assert feed(workers[0]).last_success_at <= now(session)  # type: ignore[operator]
