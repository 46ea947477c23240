"""An upstream that is away, or refuses token, right or requests: few calls, nothing lost, and it goes on by itself."""

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import func, select, update

from clients.errors import RefusalKind, Refused, Unanswered
from models.database import now
from models.states import Feed, Kind
from models.tables import Order, PausedMethod, Scope, Upstream, Write
from tasks import upstreams
from tasks.advance import advance
from tasks.observe import observe
from tasks.polling import poll
from tasks.requeue import requeue
from tasks.sweep import sweep
from tasks.upstreams import Call, Obstacles, Pause, tend
from tests.sync.conftest import Ledger
from tests.world import World, assert_exactly_once
from worker.screens import order_account
from worker.status import status

Json = dict[str, Any]
METHODS = [
    "prebook.create",
    "prebook.details.list",
    "prebook.item.delete",
    "purchase.order.create",
    "purchase.order.list",
    "boxtype.list",
    "carrier.list",
]
#: Calls that may be under way, or come from a caller of its own, before trouble is known.
FEW = 8


@dataclass
class Workers:
    """Two workers on one ledger."""

    world: World
    each: list[Ledger]

    @property
    def one(self) -> Ledger:
        return self.each[0]

    def live(self, seconds: float) -> None:
        """Let time pass; both do what is due."""
        for _ in range(round(seconds / self.one.timing.poll)):
            for ledger in self.each:
                ledger.pass_time(ledger.timing.poll)
            for ledger in self.each:
                ledger.work()

    def status(self) -> Json:
        with self.one.session() as session:
            shown = status(session, [self.one.settings], self.one.timing)
        connection: Json = shown["connections"][0]
        return connection | {"problems": shown["problems"]}

    def all_went_on(self, keys: list[str]) -> None:
        """Every order stands once on both sides, none failed, and nothing is closed any more."""
        for key in keys:
            order = self.one.order(key)
            assert order["state"] == "ordered", (order["reason"], order["last_error"], order["held_up_by"])
            assert "failed" not in {each["to"] for each in order["history"]}
            assert order["attempts"] <= 1, "the calls by which it became known that nobody answers"
            assert_exactly_once(self.world, key)
        shown = self.status()
        assert (shown["paused"], shown["upstreams"], shown["paused_methods"]) == (False, [], [])
        with self.one.session() as session:
            assert not session.scalar(select(func.count()).where(Order.held_up_by.is_not(None)))


@pytest.fixture
def workers(make_ledger: Callable[..., Ledger], world: World) -> Workers:
    """Two workers of a connection for which absence is proof."""
    first = make_ledger()
    first.earn_proof()
    second = make_ledger()
    second.pass_time(first.offset)
    return Workers(world, [first, second])


def asked(world: World) -> int:
    """Requests that Komet was sent so far."""
    return sum(world.company["requests"].values())


def asked_axerrio(world: World) -> int:
    """Requests that Axerrio was sent so far, as far back as the sandbox remembers."""
    entries = world.http.get(f"{world.addresses['control']}/requests").json()
    return sum(1 for each in entries if each["token_last4"] == world.axerrio_token[-4:])


def heal(world: World) -> None:
    world.http.delete(f"{world.addresses['control']}/faults")


def call_of(ledger: Ledger, by: str, method: str = "komet.prebook.create", began_at: datetime | None = None) -> Call:
    return Call(next(iter(ledger.runtime.connections.values())), method, by, began_at)


def miss(ledger: Ledger, by: str) -> bool:
    """A call that got no answer; True if Komet is closed now."""
    error = Unanswered("komet", "prebook.create", "HTTP 500")
    return upstreams.judge(ledger.runtime, call_of(ledger, by), error).closed is not None


# -- away ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["error_before", "reset_before"])
def test_komet_away_costs_a_probe_now_and_then(workers: Workers, world: World, kind: str) -> None:
    world.fault(kind, "*")
    keys = [world.place() for _ in range(6)]
    before = asked(world)
    workers.live(300)
    assert asked(world) - before <= FEW + 10, "more than a probe for each poll"
    shown = workers.status()
    assert [(each["system"], each["closed_by"]) for each in shown["upstreams"]] == [("komet", "away")]
    assert not shown["paused"]
    assert [each for each in shown["problems"] if "miami" in each] == [
        each for each in shown["problems"] if each.startswith("miami: Komet has not answered since ")
    ]
    with workers.one.session() as session:
        assert session.scalars(select(Write.id).where(Write.state == "void")).all() == [], "frozen for nothing"
    heal(world)
    workers.live(400)
    workers.all_went_on(keys)


@pytest.mark.thorough
def test_recovery_does_not_wait_for_another_interval(workers: Workers, world: World) -> None:
    world.fault("error_before", "*")
    keys = [world.place() for _ in range(3)]
    workers.live(300)
    heal(world)
    workers.live(30)
    for key in keys:
        assert workers.one.order(key)["held_up_by"] is None
    assert workers.status()["upstreams"] == []


@pytest.mark.thorough
def test_axerrio_away_keeps_nothing_of_komet_from_going_on(workers: Workers, world: World) -> None:
    key = world.place()
    for ledger in workers.each:
        ledger.pass_time(30)
    workers.one.feed_and_send()
    world.fault("error_before", "*", system="axerrio")
    before = asked_axerrio(world)
    workers.live(300)
    assert asked_axerrio(world) - before <= FEW + 10
    assert [each["system"] for each in workers.status()["upstreams"]] == ["axerrio"]
    assert workers.one.order(key)["held_up_by"] == "axerrio"
    assert len(world.company["purchase_orders"]) == 2, "Komet's side was done meanwhile"
    heal(world)
    workers.live(60)
    workers.all_went_on([key])
    assert workers.one.order(key)["attempts"] == 0


def test_one_caller_alone_never_opens_the_breaker(ledger: Ledger) -> None:
    assert not any(miss(ledger, "order 1") for _ in range(20))
    assert miss(ledger, "komet-prebooks 2026-12-01"), "and of two it takes no more than five in a row"


def test_four_are_not_enough_and_an_answer_begins_the_count_anew(ledger: Ledger) -> None:
    connection = next(iter(ledger.runtime.connections))
    for _ in range(2):
        assert not any(miss(ledger, f"order {n}") for n in range(4))
        with ledger.runtime.sessions.begin() as session:
            assert not upstreams.answered(session, connection, ["komet.prebook.create"], now(session)).opened
    refusal = Refused("komet", "prebook.create", "Unknown customer", RefusalKind.UNKNOWN_REFERENCE)
    assert not any(miss(ledger, f"order {n}") for n in range(4))
    upstreams.judge(ledger.runtime, call_of(ledger, "order 9"), refusal)
    assert not any(miss(ledger, f"order {n}") for n in range(4)), "a refusal is an answer"
    assert miss(ledger, "order 5")


def test_while_all_is_well_nothing_is_written(ledger: Ledger) -> None:
    ledger.earn_proof()
    with ledger.session() as session:
        assert session.scalars(select(Upstream)).all() == []
        assert session.scalars(select(PausedMethod)).all() == []


def test_what_began_before_it_was_closed_opens_nothing(ledger: Ledger) -> None:
    connection = next(iter(ledger.runtime.connections))
    with ledger.session() as session:
        before = now(session)
    assert [miss(ledger, f"order {n}") for n in range(5)][-1]
    with ledger.runtime.sessions.begin() as session:
        assert upstreams.answered(session, connection, ["komet.prebook.create"], before).opened == ()
        assert upstreams.answered(session, connection, ["komet.boxtype.list"], now(session)).opened == ("komet",)


def test_only_one_of_all_workers_probes(ledger: Ledger) -> None:
    connection = next(iter(ledger.runtime.connections))
    assert [miss(ledger, f"order {n}") for n in range(5)][-1]
    ledger.pass_time(31)

    def goes(_: int) -> bool:
        with ledger.runtime.sessions.begin() as session:
            return Obstacles(session, connection, ledger.timing).hold_back(Feed.KOMET_REFERENCE) is None

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(goes, range(12))) == 1
    with ledger.runtime.sessions.begin() as session:
        assert Obstacles(session, connection, ledger.timing).hold_back(Feed.KOMET_PREBOOKS) is not None


@pytest.mark.thorough
def test_a_probe_comes_later_and_later_up_to_a_bound(make_ledger: Callable[..., Ledger]) -> None:
    ledger = make_ledger(timing={"retry_max": 300})
    connection = next(iter(ledger.runtime.connections))
    assert [miss(ledger, f"order {n}") for n in range(5)][-1]
    probes = 0
    for _ in range(720):  # six hours
        ledger.pass_time(30)
        with ledger.runtime.sessions.begin() as session:
            probes += Obstacles(session, connection, ledger.timing).hold_back(Feed.KOMET_REFERENCE) is None
    assert 6 * 3600 / 330 <= probes <= 6 * 3600 / 300 + 20


def test_a_call_that_is_on_the_wire_when_it_closes_uses_up_no_attempt(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    key = world.place()
    ledger.pass_time(30)
    with ledger.session() as session:
        feed = session.scalars(select(Scope.id).where(Scope.feed == Feed.SALES_ORDERS)).one()
    observe(ledger.runtime, feed)
    with ledger.session() as session:
        order = session.scalars(select(Order.id).where(Order.axerrio_key == key)).one()
    world.fault("slow_before", "prebook.create", seconds=3, times=1)
    worker = threading.Thread(target=advance, args=(ledger.runtime, order))
    worker.start()
    while ledger.writes(key, "komet.prebook.create") != ["sent"]:
        pass
    assert [miss(ledger, f"order {n}") for n in range(1000, 1005)][-1]
    worker.join()
    with ledger.session() as session:
        assert session.scalars(select(Write.excused).where(Write.order_id == order)).all() == [True]


def test_whoever_dies_before_it_wakes_the_others_is_replaced_by_the_sweep(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    connection = next(iter(ledger.runtime.connections))
    assert [miss(ledger, f"order {n}") for n in range(1000, 1005)][-1]
    key = world.place()
    ledger.pass_time(29)
    ledger.pass_time(1)
    ledger.feed_and_send()
    assert ledger.order(key)["held_up_by"] == "komet"
    with ledger.runtime.sessions.begin() as session:
        assert upstreams.answered(session, connection, ["komet.boxtype.list"], now(session)).opened
    sweep(ledger.runtime)
    with ledger.session() as session:
        row = session.scalars(select(Order).where(Order.axerrio_key == key)).one()
        assert (row.held_up_by, row.not_before) == (None, None)
        assert row.due_at is not None
        assert row.due_at <= now(session)


# -- token -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["http401", "body"])
def test_a_refused_token_pauses_the_connection(workers: Workers, world: World, how: str) -> None:
    world.settings(token_valid=False, auth_failure=how)
    keys = [world.place() for _ in range(4)]
    before = asked(world)
    workers.live(300)
    assert asked(world) - before <= FEW + 10
    shown = workers.status()
    assert shown["paused"]
    assert [(each["system"], each["closed_by"]) for each in shown["upstreams"]] == [("komet", "token")]
    assert "Invalid authentication token" in shown["upstreams"][0]["why"]
    (problem,) = [each for each in shown["problems"] if each.startswith("miami is paused: Komet has refused our token")]
    assert "Setup → Settings → Integrations → Tokens" in problem
    assert {workers.one.state(key) for key in keys} == {"received"}
    order = workers.one.order(keys[0])
    assert order["held_up_by"] == "komet"
    screen = Console(file=io.StringIO(), width=200)
    screen.print(order_account(order))
    assert "Waits until Komet may be called again" in screen.file.getvalue()  # type: ignore[attr-defined]
    world.settings(token_valid=True)
    workers.live(120)
    workers.all_went_on(keys)
    for key in keys:
        assert workers.one.order(key)["attempts"] == 0


def test_one_refusal_for_want_of_a_right_needs_nobody(workers: Workers, world: World) -> None:
    world.fault("refuse", "prebook.create", message="This token may not do that", times=1)
    key = world.place()
    workers.live(300)
    workers.all_went_on([key])
    assert workers.one.writes(key, "komet.prebook.create") == ["refused", "done"]


@pytest.mark.thorough
def test_a_token_that_is_refused_for_one_method_only_is_a_missing_right(workers: Workers, world: World) -> None:
    world.fault("refuse", "prebook.create", message="This token may not do that")
    key = world.place()
    workers.live(300)
    assert not workers.status()["paused"]
    assert workers.one.reason(key) == "rejected"
    assert "tick it there" in workers.one.order(key)["reason"]["message"]
    others = [world.place() for _ in range(2)]
    workers.live(60)
    assert [each["method"] for each in workers.status()["paused_methods"]] == ["komet.prebook.create"]
    assert not workers.status()["paused"]
    heal(world)
    workers.live(120)
    workers.all_went_on([key, *others])


@pytest.mark.thorough
def test_without_any_right_it_is_the_token(workers: Workers, world: World) -> None:
    world.settings(rights=[], right_failure="http403")
    keys = [world.place() for _ in range(3)]
    workers.live(300)
    assert workers.status()["paused"]
    before = asked(world)
    workers.live(300)
    assert asked(world) - before <= 12
    world.settings(rights=None)
    workers.live(180)
    workers.all_went_on(keys)


@pytest.mark.thorough
def test_axerrio_refuses_the_token(make_ledger: Callable[..., Ledger], world: World) -> None:
    world.axerrio_token = f"axerrio-{world.komet_token}"
    ledger = make_ledger()
    workers = Workers(world, [ledger, make_ledger()])
    workers.live(300)
    shown = workers.status()
    assert shown["paused"]
    assert [(each["system"], each["closed_by"]) for each in shown["upstreams"]] == [("axerrio", "token")]
    assert any(each.startswith("miami is paused: Axerrio has refused our token") for each in shown["problems"])
    world.seed()
    key = world.place()
    workers.live(180)
    workers.all_went_on([key])


def test_whoever_mended_it_need_not_wait_for_the_next_probe(workers: Workers, world: World) -> None:
    world.settings(token_valid=False)
    workers.live(60)
    world.settings(token_valid=True)
    ledger = workers.one
    ledger.pass_time(1)
    with ledger.runtime.sessions.begin() as session:
        poll(session, next(iter(ledger.runtime.connections)), None)
    ledger.work()
    assert workers.status()["upstreams"] == []


# -- rights ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "how"), [("prebook.create", "body"), ("purchase.order.create", "http403")])
def test_a_missing_right_pauses_its_method_and_nothing_else(
    workers: Workers, world: World, method: str, how: str
) -> None:
    world.settings(rights=[each for each in METHODS if each != method], right_failure=how)
    keys = [world.place() for _ in range(4)]
    before = world.requests(method)
    workers.live(300)
    assert world.requests(method) - before <= FEW + 10
    shown = workers.status()
    assert not shown["paused"]
    assert shown["upstreams"] == []
    assert [each["method"] for each in shown["paused_methods"]] == [f"komet.{method}"]
    assert f"no permission for {method}" in shown["paused_methods"][0]["why"]
    where = f"Tick {method} in Komet under Setup → Settings → Integrations → Tokens"
    assert any(where in each for each in shown["problems"])
    for key in keys:
        order = workers.one.order(key)
        assert (order["reason"], order["held_up_by"], order["attempts"]) == (None, f"komet.{method}", 0)
    world.settings(rights=None)
    workers.live(180)
    workers.all_went_on(keys)


@pytest.mark.thorough
def test_a_read_that_is_not_allowed_is_told_and_made_seldom(workers: Workers, world: World) -> None:
    method = "purchase.order.list"
    world.settings(rights=[each for each in METHODS if each != method])
    key = world.place()
    workers.live(300)
    shown = workers.status()
    assert [each["method"] for each in shown["paused_methods"]] == [f"komet.{method}"]
    assert sum("purchase.order.list" in each for each in shown["problems"]) == 1, shown["problems"]
    before = world.requests(method)
    workers.live(300)
    assert world.requests(method) - before <= 10
    world.settings(rights=None)
    workers.live(120)
    workers.all_went_on([key])


@pytest.mark.thorough
def test_one_order_alone_pauses_nothing_however_often(workers: Workers, world: World) -> None:
    world.fault("refuse", "prebook.create", message="You have no permission to sell to customer C100")
    key = world.place()
    for _ in range(3):
        workers.live(60)
        assert workers.one.reason(key) == "rejected"
        with workers.one.runtime.sessions.begin() as session:
            requeue(session, [workers.one.order(key)["id"]], "again")
    assert workers.status()["paused_methods"] == []


@pytest.mark.thorough
def test_whoever_dies_when_a_pause_begins_leaves_nobody_behind(workers: Workers, world: World) -> None:
    words = "You have no permission for this"
    world.fault("refuse", "prebook.create", message=words)
    first = world.place()
    workers.live(30)
    assert workers.one.reason(first) == "rejected"
    heal(world)
    refused = Refused("komet", "prebook.create", words, RefusalKind.RIGHT)
    with workers.one.runtime.sessions.begin() as session:
        pause = upstreams.refuse(session, call_of(workers.one, "order 999"), refused, workers.one.timing)
    assert pause == Pause(begins=True)
    workers.live(30)
    assert workers.one.reason(first) == "rejected"
    other = world.place()
    workers.live(120)
    workers.all_went_on([first, other])


def test_refusals_in_other_words_stop_their_own_orders_only(workers: Workers, world: World) -> None:
    stopped = []
    for customer in ("C100", "C200"):
        world.fault("refuse", "prebook.create", message=f"You have no permission to sell to customer {customer}")
        stopped.append(world.place())
        workers.live(60)
    heal(world)
    key = world.place()
    workers.live(120)
    assert workers.one.state(key) == "ordered"
    assert [workers.one.reason(each) for each in stopped] == ["rejected", "rejected"]
    assert workers.status()["paused_methods"] == []


@pytest.mark.thorough
def test_an_order_that_was_not_refused_yet_probes_first(workers: Workers, world: World) -> None:
    """Two were refused for their own sake: a third shows that the right is there."""
    world.fault("refuse", "prebook.create", message="You have no permission for this", times=2)
    refused = [world.place(departureDate=world.day(2)) for _ in range(2)]
    workers.live(30)
    assert [each["method"] for each in workers.status()["paused_methods"]] == ["komet.prebook.create"]
    third = world.place(departureDate=world.day(4))
    with workers.one.runtime.sessions.begin() as session:
        session.execute(update(Scope).where(Scope.feed == Feed.SALES_ORDERS).values(due_at=now(session)))
    workers.one.work()
    assert workers.one.order(third)["held_up_by"] == "komet.prebook.create"
    workers.live(180)
    with workers.one.session() as session:
        done = session.scalars(
            select(Order.axerrio_key)
            .join(Write, Write.order_id == Order.id)
            .where(Write.kind == Kind.PREBOOK_CREATE, Write.state == "done", Order.axerrio_key.in_([*refused, third]))
            .order_by(Write.id)
        ).all()
    assert done[0] == third
    workers.all_went_on([*refused, third])


def test_a_method_that_nobody_waits_for_any_more_is_no_alarm(ledger: Ledger) -> None:
    """What waited for it was decided otherwise: no order is left that could probe it."""
    refused = Refused("komet", "prebook.create", "You have no permission for this", RefusalKind.RIGHT)
    for method in ("komet.prebook.create", "komet.carrier.list"):
        with ledger.runtime.sessions.begin() as session:
            for by in ("order 998", "order 999"):
                upstreams.refuse(session, call_of(ledger, by, method), refused, ledger.timing)
    tend(ledger.runtime)
    assert len(paused_methods(ledger)) == 2
    ledger.pass_time(ledger.timing.poll + 1)
    tend(ledger.runtime)
    assert paused_methods(ledger) == ["komet.carrier.list"], "its own read probes it"


def paused_methods(ledger: Ledger) -> list[str]:
    with ledger.session() as session:
        return list(session.scalars(select(PausedMethod.method).order_by(PausedMethod.method)))


# -- limit -----------------------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("how", ["http429", "body"])
def test_the_daily_limit_is_waited_for(workers: Workers, world: World, how: str) -> None:
    world.settings(daily_limit=sum(world.company["requests"].values()) + 3, limit_failure=how)
    keys = [world.place() for _ in range(4)]
    before = asked(world)
    workers.live(3600)
    assert asked(world) - before <= 3 + FEW + 30, "it is asked less and less often"
    shown = workers.status()
    assert [(each["system"], each["closed_by"]) for each in shown["upstreams"]] == [("komet", "limit")]
    assert any(each.startswith("miami: Komet has taken no more requests since ") for each in shown["problems"])
    world.settings(daily_limit=None)
    workers.live(1500)
    workers.all_went_on(keys)


def test_one_orders_own_limit_stops_nobody_else(workers: Workers, world: World) -> None:
    """Words may speak of a limit that is not of requests: whoever else is answered shows it."""
    world.fault("refuse", "prebook.create", message="Daily limit exceeded for customer C100", times=3)
    key = world.place()
    workers.live(150)
    order = workers.one.order(key)
    assert (order["state"], order["reason"]["code"]) == ("held", "rejected")
    assert "Daily limit exceeded for customer C100" in order["reason"]["message"]
    assert workers.status()["upstreams"] == []
    other = world.place()
    workers.live(150)
    workers.all_went_on([other])


def test_after_429_nobody_calls_before_the_time_that_was_said(workers: Workers, world: World) -> None:
    world.fault("rate_limited", "*", times=3, seconds=20)
    keys = [world.place() for _ in range(4)]
    before = asked(world)
    for ledger in workers.each:
        ledger.pass_time(30)
    for _ in range(3):
        for ledger in workers.each:
            ledger.work()
    assert asked(world) - before == 1
    workers.live(240)
    workers.all_went_on(keys)


def test_while_the_feed_that_probes_stands_still_another_does(ledger: Ledger, world: World) -> None:
    world.place()
    ledger.work()
    connection = next(iter(ledger.runtime.connections))
    error = Refused("axerrio", "labels.sync", "HTTP 429", RefusalKind.LIMIT, 60.0, "HTTP 429")
    assert upstreams.judge(ledger.runtime, call_of(ledger, "labels", "axerrio.labels.sync"), error).closed
    ledger.pass_time(61)
    with ledger.runtime.sessions.begin() as session:
        assert Obstacles(session, connection, ledger.timing).hold_back(Feed.LABELS) is not None
        scope = session.scalars(select(Scope).where(Scope.feed == Feed.SALES_ORDERS)).one()
        scope.stopped_reason, scope.due_at = "Axerrio went back in time", None
    ledger.live(300)
    with ledger.session() as session:
        assert not session.scalar(select(func.count()).where(Upstream.closed_by.is_not(None)))


def test_what_the_answer_says_is_waited_for_and_no_longer(ledger: Ledger) -> None:
    connection = next(iter(ledger.runtime.connections))
    error = Refused("komet", "prebook.create", "HTTP 429", RefusalKind.LIMIT, 7200.0, "HTTP 429")
    assert upstreams.judge(ledger.runtime, call_of(ledger, "order 1"), error).closed
    for passed, goes in ((7100, False), (101, True)):
        ledger.pass_time(passed)
        with ledger.runtime.sessions.begin() as session:
            assert (Obstacles(session, connection, ledger.timing).hold_back(Feed.KOMET_REFERENCE) is None) == goes
    with ledger.session() as session:
        scope = session.scalars(select(Scope).where(Scope.feed == Feed.KOMET_REFERENCE)).one()
        assert scope.due_at is not None
        assert scope.due_at <= now(session)
