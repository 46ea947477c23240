"""A connection that a person paused calls nobody, whatever happens, and goes on with all that came meanwhile."""

from clients.errors import RefusalKind, Refused
from models.database import now
from tasks.upstreams import answered, judge, pause, probe_now, resume
from tests.sync.conftest import Ledger
from tests.sync.test_upstreams import asked, asked_axerrio, call_of
from tests.world import World, assert_exactly_once
from worker.status import status


def pause_it(ledger: Ledger) -> bool:
    with ledger.runtime.sessions.begin() as session:
        return pause(session, next(iter(ledger.runtime.connections)), "ann", "stock-taking")


def resume_it(ledger: Ledger) -> bool:
    with ledger.runtime.sessions.begin() as session:
        return resume(session, next(iter(ledger.runtime.connections)), ledger.timing, "bob", "")


def problems(ledger: Ledger) -> list[str]:
    with ledger.session() as session:
        return [each for each in status(session, [ledger.settings], ledger.timing)["problems"] if "miami" in each]


def test_nobody_is_called_until_it_is_resumed(ledger: Ledger, world: World) -> None:
    first = world.place()
    ledger.work()
    assert pause_it(ledger)
    assert not pause_it(ledger), "once is enough"
    second = world.place()
    with ledger.runtime.sessions.begin() as session:
        probe_now(session, next(iter(ledger.runtime.connections)))
    before = asked(world), asked_axerrio(world)
    ledger.live(3600, pace=600)
    assert (asked(world), asked_axerrio(world)) == before
    (problem,) = problems(ledger)
    assert "miami is paused since" in problem
    assert "by ann, stock-taking. `axkomet resume miami`" in problem
    assert resume_it(ledger)
    assert not resume_it(ledger)
    with ledger.session() as session:
        (shown,) = status(session, [ledger.settings], ledger.timing)["connections"]
    told = [(note["what"], note["who"], note["why"]) for note in shown["notes"]]
    assert told == [("resumed", "bob", None), ("paused", "ann", "stock-taking")], "each once, and kept"
    ledger.live(180)
    assert problems(ledger) == []
    for key in (first, second):
        assert ledger.state(key) == "ordered"
        assert_exactly_once(world, key)


def test_no_answer_and_no_failure_ends_it(ledger: Ledger, world: World) -> None:
    """A call that was in the air is answered, another one finds the day's requests used."""
    ledger.earn_proof()
    pause_it(ledger)
    (connection_id,) = ledger.runtime.connections
    with ledger.runtime.sessions.begin() as session:
        assert answered(session, connection_id, ["komet.prebook.create"], now(session)).opened == ()
    limit = Refused("komet", "prebook.create", "Too many requests", RefusalKind.LIMIT, 60.0)
    assert judge(ledger.runtime, call_of(ledger, "order 1"), limit).closed is not None
    ledger.live(3600, pace=600)
    assert "is paused since" in problems(ledger)[0]
    assert resume_it(ledger)
    ledger.live(60)
    assert problems(ledger) == []
