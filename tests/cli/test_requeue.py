"""requeue: orders that wait begin afresh, by key or by filter, and a dry run says what that would lead to."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select

from models.database import now
from models.states import OrderState
from models.tables import Order, RequestBudget
from tasks.advance import advance
from tasks.requeue import BATCH, requeue_all
from tasks.sweep import sweep
from tasks.turns import serve
from tasks.wake import MOST_HINTS
from tests.cli.conftest import Shell
from tests.sync.conftest import Ledger
from tests.sync.test_budget_turns import limited
from tests.sync.test_fairness import Queue, orders
from tests.world import World


@pytest.fixture
def waiting(ledger: Ledger, world: World) -> list[str]:
    """An order of a buyer that is not mapped, one that is cancelled, and one that Komet refused thrice."""
    keys = [world.place(buyer={"code": "NOBODY", "name": "Nobody"}), world.place(status="draft"), world.place()]
    world.fault("refuse", "prebook.create", message="Come back later.")
    ledger.live(600)
    world.place(key=keys[1], status="cancelled")
    ledger.live(60)
    world.http.delete(f"{world.addresses['control']}/faults")
    assert [(ledger.state(key), ledger.reason(key)) for key in keys] == [
        ("held", "unmapped_reference"),
        ("cancelled", None),
        ("held", "rejected"),
    ]
    return keys


def due(ledger: Ledger) -> set[str | None]:
    with ledger.session() as session:
        return set(session.scalars(select(Order.axerrio_key).where(Order.due_at <= now(session))))


def test_a_dry_run_says_what_would_go_and_changes_nothing(shell: Shell, ledger: Ledger, waiting: list[str]) -> None:
    shell.later(ledger)
    before = [ledger.order(key) for key in waiting]
    done = shell.run("requeue", "--all", "--dry-run", "--json")
    assert done.returncode == 0, done
    shown = {each["name"].replace("2026-", "SO-"): each for each in json.loads(done.stdout)}
    assert shown.keys() == {waiting[0], waiting[2]}
    refused = shown[waiting[2]]
    assert refused["outcome"] == "due now"
    assert refused["stands"] == [f"line {n}: nothing stands in Komet" for n in (1, 2)]
    assert refused["would"] == [
        "+ prebook, line 1: 4 HB RFREE50 Rose Freedom 50 cm",
        "+ prebook, line 2: 2 HB RFREE50 Rose Freedom 50 cm",
    ]
    assert refused["waits"] is None
    assert shown[waiting[0]]["would"] == []
    assert "NOBODY" in shown[waiting[0]]["waits"]
    assert "add it to [connection.buyers] of miami" in shell.run("orders", "list").stdout, "brackets are no markup"
    screen = shell.run("requeue", waiting[1], waiting[2], "--dry-run").stdout
    assert "is at its end" in screen
    assert "  + prebook, line 1: 4 HB RFREE50 Rose Freedom 50 cm" in screen
    assert [ledger.order(key) for key in waiting] == before
    assert due(ledger) == set()


@pytest.mark.thorough
def test_what_is_chosen_begins_afresh(shell: Shell, ledger: Ledger, waiting: list[str]) -> None:
    shell.later(ledger)
    day = ledger.order(waiting[0])["departure_date"]
    assert "No order matches" in shell.complaint(3, "requeue", "--all", "--departing", "2020-01-01")
    one = shell.run("requeue", "--state", "held", "--departing", day, "--limit", "1", "--json")
    assert one.returncode == 0
    assert [(each["requeued"], each["outcome"]) for each in json.loads(one.stdout)] == [(True, "due now")]
    assert due(ledger) == {waiting[0]}
    rest = shell.run("requeue", "--all", "--origin", "axerrio", "--connection", "miami", "--reason", "Komet rang")
    assert len(rest.stdout.splitlines()) == 2
    assert due(ledger) == {waiting[0], waiting[2]}
    assert "Requeued: Komet rang" in [each["why"] for each in ledger.order(waiting[2])["history"]]
    done = shell.run("requeue", waiting[1])
    assert (done.returncode, done.stdout) == (0, f"{waiting[1].replace('SO-', '2026-')} is at its end\n")
    ledger.live(120)
    assert ledger.state(waiting[2]) == "ordered"


# -- many ------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(ledger: Ledger) -> list[int]:
    """More held orders than one transaction takes, by their departure; those made last leave first."""
    (connection_id,) = ledger.runtime.connections
    with ledger.runtime.sessions.begin() as session:
        today = now(session).date()
        rows = [
            Order(
                connection_id=connection_id,
                origin="axerrio",
                axerrio_key=f"SO-{n}",
                axerrio_number=f"2026-{n}",
                version=1,
                sequence=n,
                wanted={},
                departure_date=today + timedelta(days=BATCH * 2 - n),
                truck_date=today + timedelta(days=BATCH * 2),
                state=OrderState.HELD,
                next_task="create_prebook",
            )
            for n in range(BATCH + 50)
        ]
        session.add_all(rows)
        session.flush()
        return [row.id for row in reversed(rows)]


def test_no_transaction_holds_them_all(ledger: Ledger, many: list[int]) -> None:
    batches = requeue_all(ledger.runtime.sessions, many, "by hand")
    assert list(next(batches)) == sorted(many[:BATCH])
    with ledger.runtime.sessions.begin() as session:  # the first batch is free, and the second not begun
        assert len(session.scalars(select(Order.id).with_for_update(nowait=True)).all()) == len(many)
        assert (
            session.scalars(select(Order.id).where(Order.due_at.is_(None)).order_by(Order.id.desc())).all()
            == (many[BATCH:])
        )
    assert list(next(batches)) == sorted(many[BATCH:])
    assert list(batches) == []
    assert len(due(ledger)) == len(many)


def test_many_are_worked_on_bit_by_bit_the_nearest_departure_first(ledger: Ledger, many: list[int]) -> None:
    """However many are due at once, the connection has a bounded number of messages on their way."""
    queue = Queue(ledger)
    for _ in requeue_all(ledger.runtime.sessions, many, "by hand"):
        sweep(queue.runtime)
    sweep(queue.runtime)
    assert orders(queue.take()) == many[:MOST_HINTS]


def test_many_get_the_requests_that_are_left_by_their_departure(
    shell: Shell, make_ledger: Callable[..., Ledger], world: World
) -> None:
    """What all would send is more than the day allows: not one request too many, none for those that leave later."""
    ledger = make_ledger(komet=world.entry()["komet"] | {"daily_requests": 40})
    world.fault("refuse", "prebook.create", message="Come back later.")
    keys = [world.place(departureDate=world.day(day), truckDate=world.day(day + 2)) for day in (9, 3, 8, 4, 7, 5)]
    ledger.live(600)
    assert {ledger.reason(key) for key in keys} == {"rejected"}
    world.http.delete(f"{world.addresses['control']}/faults")
    with ledger.runtime.sessions.begin() as session:
        session.add(RequestBudget(company=ledger.settings.company, slot=func.axkomet_now(), used=38))
    shell.later(ledger)
    before = world.requests("prebook.create")
    with limited(ledger, 40):
        assert shell.run("requeue", "--all").returncode == 0
        queue = Queue(ledger)
        sweep(queue.runtime)
        while turns := orders(queue.take()):
            for order_id in turns:
                serve(queue.runtime, Order, order_id, None, partial(advance, queue.runtime, order_id))
        ledger.live(3900, pace=300)
    assert world.requests("prebook.create") - before == 2
    made = {key for key in keys if ledger.writes(key, "komet.prebook.create")[-1] == "done"}
    assert made == {keys[1], keys[3]}


@pytest.mark.thorough
def test_a_bar_is_shown_to_people_only(shell: Shell, ledger: Ledger, many: list[int]) -> None:
    done = shell.run("requeue", "--all")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(many)
    screen = shell.run_on_terminal("requeue", "--all", "--yes").stdout
    assert f"{BATCH}/{len(many)} requeued" in re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", screen)
    asked = shell.run_on_terminal("requeue", "--all", answers={f"Requeue {len(many)} order(s)?": "n\n"})
    assert (asked.returncode, len(due(ledger))) == (1, len(many))
    shown = shell.run_on_terminal("requeue", "--all", "--yes", "--json").stdout
    assert len(json.loads(shown)) == len(many)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name either keys of orders, or a state with --state, or --all."),
        (["--connection", "miami"], "or --all"),
        (["SO-1", "--all"], "Name either keys"),
        (["SO-1", "--origin", "komet"], "Filters go with --state or --all"),
        (["--state", "shipped"], "--state shipped cannot be requeued"),
        (["--all", "--connection", "lima"], "--connection lima is no connection of the ledger"),
    ],
)
def test_mistakes(shell: Shell, ledger: Ledger, arguments: list[str], said: str) -> None:
    assert said in shell.complaint(2, "requeue", *arguments)
