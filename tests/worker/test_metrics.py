"""The metrics say what the status says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import event

from models.database import make_engine, make_sessions
from models.states import OrderState
from models.tables import Order, RequestCount
from tasks.connection import register
from tests.processes.plant import connections_toml
from tests.sync.conftest import Ledger, ledger, make_ledger
from tests.world import World
from worker.connections import load_connections
from worker.desk import OrderFilter, find_orders
from worker.metrics import Facts, Figures, figures
from worker.settings import ServiceUrls, Settings
from worker.status import status
from worker.today import turn_of, turns, unsafe_today

__all__ = ["ledger", "make_ledger"]


def facts_of(ledger: Ledger) -> Facts:
    with ledger.session() as session:
        return Facts(status(session, [ledger.settings], ledger.timing), turns(session))


def told(metrics: Any) -> dict[str, float]:
    """Figures by their names, with the values of their labels in the order of the labels' names."""
    return {
        ":".join([sample.name, *(value for _, value in sorted(sample.labels.items()))]): sample.value
        for metric in metrics
        for sample in metric.samples
    }


def test_orders_feeds_and_budget(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    world.place(lines=[world.line("1", article={"key": "A-9", "code": "NEW1", "description": "New one"})])
    ledger.live(300)
    facts = facts_of(ledger)
    said = told(figures(facts))
    assert said["axkomet_orders:miami:ordered"] == said["axkomet_orders:miami:mapping_required"] == 1
    assert said["axkomet_orders_waiting:miami:mapping_required"] == 1
    assert said["axkomet_feed_last_success_timestamp_seconds:miami:sales-orders"] > 0
    budget = facts.status["connections"][0]["budget"]
    assert said["axkomet_komet_requests_left:miami"] == budget["left"]
    assert said["axkomet_komet_requests_limit:miami"] == budget["limit"]
    assert said["axkomet_writes_in_doubt:miami"] == 0
    assert (said["axkomet_workers"], said["axkomet_healthy"]) == (0, 0)


def test_what_is_not_called_is_told(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger()
    world.settings(token_valid=False)
    ledger.live(120)
    said = told(figures(facts_of(ledger)))
    closed = {name: value for name, value in said.items() if name.startswith("axkomet_upstream_closed")}
    assert [name for name, value in closed.items() if value] == ["axkomet_upstream_closed:miami:token:komet"]
    assert len(closed) == 8


def test_open_orders_are_counted_by_whose_turn_they_are(ledger: Ledger, world: World) -> None:
    """As if each was asked by itself, and those that leave soon as `axkomet today` lists them."""
    unknown = [world.line("1", article={"key": "A-9", "code": "NEW1", "description": "New one"})]
    invalid = [world.line("1", boxes=0)]
    soon = [{"departureDate": world.day(day), "truckDate": world.day(day + 2)} for day in (1, 2)]
    for lines in ({}, {"lines": unknown}, {"lines": invalid}):
        for dates in soon:
            world.place(**lines, **dates)
    world.place(status="cancelled")
    ledger.live(120)
    with ledger.session() as session:
        orders, leaving = find_orders(session, OrderFilter()), unsafe_today(session)
    said = told(figures(facts_of(ledger)))
    for who in ("admin", "Komet user", "Axerrio user", "nobody"):
        mine = [each for each in orders if each["state"] not in ("closed", "cancelled") and turn_of(each).who == who]
        assert said[f"axkomet_open_orders:miami:{who}"] == len(mine)
        assert said[f"axkomet_departing_orders:miami:{who}"] == sum(each["whose_turn"] == who for each in leaving)
        assert not mine or len(mine) == 2
    assert said["axkomet_departing_orders:miami:admin"] == said["axkomet_departing_orders:miami:Axerrio user"] == 1
    assert any(each["state"] == "cancelled" for each in orders)


def test_an_order_leaves_with_the_first_of_its_lines_that_is_not_safe(ledger: Ledger, world: World) -> None:
    """And whoever has the draft, or has not said yet whether he takes it, has the turn."""
    world.in_axerrio("tenant-settings", inbound="pending")
    new = {"key": "A-9", "code": "NEW1", "description": "New one"}
    lines = [world.line("1", departureDate=world.day(1), article=new), world.line("2", departureDate=world.day(5))]
    parted = world.place(truckDate=world.day(7), lines=lines)
    draft = world.place(status="draft", departureDate=world.day(0), truckDate=world.day(2))
    ready = [world.line(str(n), departureDate=world.day(day)) for n, day in ((1, 1), (2, 5))]
    safe = world.place(truckDate=world.day(7), lines=ready)
    sold = world.sell_in_komet(items=[world.item(vendor_ship_date=world.day(1))])
    ledger.live(120)
    with ledger.runtime.sessions.begin() as session:
        row = session.get_one(Order, ledger.order(safe)["id"])
        row.lines[0].state = OrderState.APPROVED
    with ledger.session() as session:
        leaving = {each["id"]: (each["whose_turn"], each["by"]) for each in unsafe_today(session)}
    told_of = {
        name: leaving.pop(ledger.order(key)["id"])
        for name, key in (("parted", parted), ("draft", draft), ("sold", f"prebook:{sold['number']}"))
    }
    assert told_of == {
        "parted": ("admin", world.day(1)),
        "draft": ("Axerrio user", world.day(0)),
        "sold": ("Axerrio user", world.day(1)),
    }
    assert leaving == {}, "a line that is approved is safe"
    said = told(figures(facts_of(ledger)))
    assert said["axkomet_departing_orders:miami:Axerrio user"] == 2
    assert said["axkomet_departing_orders:miami:admin"] == 1


def test_a_feed_is_as_fresh_as_its_worst_read(ledger: Ledger, world: World) -> None:
    world.fault("html", "GET /labels/sync", system="axerrio")
    ledger.live(240)
    said = told(figures(facts_of(ledger)))
    assert said["axkomet_feed_failures:miami:labels"] >= 3
    assert said["axkomet_feed_failures:miami:sales-orders"] == 0
    ledger.pass_time(600)
    said = told(figures(facts_of(ledger)))
    assert 500 < said["axkomet_feed_overdue_seconds:miami:sales-orders"] < 700
    assert said["axkomet_feed_stopped:miami:sales-orders"] == 0


def test_what_the_file_and_the_ledger_do_not_share_is_told(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    other = ledger.settings.model_copy(update={"name": "lima"})
    with ledger.session() as session:
        said = told(figures(Facts(status(session, [other], ledger.timing))))
    assert said["axkomet_forgotten_orders:miami"] == 1
    assert said["axkomet_connection_taken_up:lima"] == 0


def test_a_scrape_asks_the_same_however_many_connections_there_are(
    database_url: str, redis_url: str, world: World, tmp_path: Path
) -> None:
    """And what workers counted is told of each."""
    asked: list[str] = []
    engine = make_engine(database_url)
    entries = [world.entry(name=f"c{n}") for n in range(5)]
    for n, entry in enumerate(entries):
        entry["komet"]["company_code"] = f"C{n}"
    for many in (1, 5):
        file = tmp_path / f"{many}.toml"
        file.write_text(connections_toml(*entries[:many]))
        with make_sessions(engine).begin() as session:
            for each in load_connections(file):
                id_ = register(session, each)
                session.merge(RequestCount(connection_id=id_, method="komet.x", outcome="done", count=3, seconds=1.5))
        settings = Settings.model_construct(home=tmp_path, connections=file)
        registry = CollectorRegistry()
        registry.register(served := Figures(settings, ServiceUrls(database_url, redis_url)))
        generate_latest(registry)
        assert served.ledger is not None
        event.listen(served.ledger.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
        said = told(text_string_to_metric_families(generate_latest(registry).decode()))
        served.ledger.engine.dispose()
        assert said[f"axkomet_request_duration_seconds_count:c{many - 1}:komet.x:done"] == 3
        assert said[f"axkomet_request_duration_seconds_sum:c{many - 1}:komet.x:done"] == 1.5
        assert said["axkomet_service_up:postgresql"] == said["axkomet_service_up:redis"] == 1
        assert said["axkomet_queue_messages:orders"] == said["axkomet_taken_messages"] == 0
    engine.dispose()
    half = len(asked) // 2
    assert asked[:half] == asked[half:]
    assert 10 < half < 25


def test_a_mistake_in_the_connections_file_is_no_database_that_is_away(
    ledger: Ledger, tmp_path: Path, database_url: str, redis_url: str
) -> None:
    ledger.work()
    file = tmp_path / "connections.toml"
    file.write_text("[[connection]]\nname = 1")
    served = Figures(Settings.model_construct(connections=file), ServiceUrls(database_url, redis_url))
    said = told(served.collect())
    assert served.ledger is not None
    served.ledger.engine.dispose()
    assert said["axkomet_healthy"] == 0
    assert said["axkomet_service_up:postgresql"] == said["axkomet_service_up:redis"] == 1
    assert not any(name.startswith("axkomet_forgotten_orders") for name in said)


@pytest.mark.parametrize("connections", ["", "[[connection]]\nname = 1"])
def test_where_nothing_can_be_said_the_whole_is_not_healthy(tmp_path: Any, connections: str) -> None:
    file = tmp_path / "connections.toml"
    file.write_text(connections)
    nowhere = ServiceUrls("postgresql+psycopg://nobody@127.0.0.1:1/nothing", "redis://127.0.0.1:1/0")
    settings = Settings.model_construct(
        home=tmp_path,
        connections=file,
        database_url=SecretStr(nowhere.database_url),
        redis_url=SecretStr(nowhere.redis_url),
    )
    registry = CollectorRegistry()
    registry.register(Figures(settings, nowhere))
    said = told(text_string_to_metric_families(generate_latest(registry).decode()))
    assert (said["axkomet_healthy"], said["axkomet_workers"]) == (0, 0)
    assert (said["axkomet_service_up:postgresql"], said["axkomet_service_up:redis"]) == (0, 0)
    assert not any(name.startswith(("axkomet_orders", "axkomet_queue")) for name in said)
