"""Both systems answer nonsense for a while: nothing breaks, and no write is lost or doubled."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

import pytest
from sqlalchemy import select

from models.states import OrderState
from models.tables import Order, Scope, UnreadableRecord
from tests.between import Between, Reply, between, unchanged
from tests.mutations import broken
from tests.sync.conftest import Ledger
from tests.world import World, assert_exactly_once


@dataclass
class Nonsense:
    """Breaks some of the answers that hold records or acknowledge a write."""

    random: Random
    share: float
    #: How often it did, by the last part of the path.
    done: list[str] = field(default_factory=list)

    def __call__(self, path: str, reply: Reply) -> Reply:
        if self.random.random() >= self.share:
            return reply
        try:
            content = broken(reply.body, self.random)
        except ValueError:
            return reply
        self.done.append(path.partition("?")[0])
        return Reply(content, reply.status, reply.headers)


@contextmanager
def nonsense(share: float, random: Random, *servers: Between) -> Iterator[Nonsense]:
    """For a while."""
    made = Nonsense(random, share)
    before = [server.change for server in servers]
    for server in servers:
        server.change = made
    try:
        yield made
    finally:
        for server, change in zip(servers, before, strict=True):
            server.change = change


@pytest.fixture
def servers(sandbox_addresses: dict[str, str]) -> Iterator[tuple[Between, Between]]:
    with between(sandbox_addresses["komet"]) as komet, between(sandbox_addresses["axerrio"]) as axerrio:
        yield komet, axerrio


def ledger_behind(servers: tuple[Between, Between], world: World, make_ledger: Callable[..., Ledger]) -> Ledger:
    """A ledger that reaches both systems through these."""
    entry = world.entry()
    for system, server in zip(("komet", "axerrio"), servers, strict=True):
        entry[system]["base_url"] = server.url
    return make_ledger(komet=entry["komet"], axerrio=entry["axerrio"])


@pytest.mark.parametrize("seed", [5, 4, 6])
def test_answers_of_broken_form_lose_and_double_nothing(
    make_ledger: Callable[..., Ledger], world: World, servers: tuple[Between, Between], seed: int
) -> None:
    ledger = ledger_behind(servers, world, make_ledger)
    ledger.earn_proof()
    with nonsense(0.4, Random(seed), *servers) as made:
        keys = [world.place() for _ in range(4)]
        world.sell_in_komet()
        for _ in range(10):
            ledger.pass_time(30)
            ledger.step()
    assert len(made.done) > 10
    ledger.live(600, pace=60)
    assert [ledger.state(key) for key in keys] == ["ordered"] * len(keys)
    for key in keys:
        assert_exactly_once(world, key)
    assert len(world.company["prebooks"]) == len(keys) + 2
    with ledger.session() as session:
        assert not [scope for scope in session.scalars(select(Scope)) if scope.stopped_reason or scope.failures]
        others = [(row.name, row.reason) for row in session.scalars(select(Order)) if row.state != OrderState.ORDERED]
    assert not others


@pytest.mark.thorough
def test_a_record_that_was_broken_on_its_way_is_asked_for_once_more(
    make_ledger: Callable[..., Ledger], world: World, servers: tuple[Between, Between]
) -> None:
    """The feed gives each record once: an order whose only record was garbled would wait for its next change."""
    ledger = ledger_behind(servers, world, make_ledger)

    def garbled(path: str, reply: Reply) -> Reply:
        return Reply(reply.body.replace(b'"packing"', b'"pakcing"'), reply.status, reply.headers)

    first = ledger.earn_proof()
    servers[1].change = garbled
    key = world.place()
    world.place(key=first, comments="changed")
    bad = {"key": "SO-bad", "number": "1", "version": 1, "status": "confirmed", "lines": "none"}
    world.control("orders", tenant_token=world.axerrio_token, orders=[{"raw": bad}])
    ledger.live(120)
    assert ledger.reason(first) == "unreadable"
    with pytest.raises(AssertionError, match="is not in the ledger"):
        ledger.order(key)
    servers[1].change = unchanged
    ledger.live(300)
    assert [ledger.state(each) for each in (first, key)] == ["ordered"] * 2
    assert_exactly_once(world, key)
    with ledger.session() as session:
        left = session.scalars(select(UnreadableRecord.record_key).where(UnreadableRecord.resolved_at.is_(None)))
        assert set(left) == {"SO-bad"}
