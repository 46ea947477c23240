"""A feed that stands still, or that an admin wants to be read again, is reset by hand."""

import json

import pytest
from sqlalchemy import select, update

from models.database import now
from models.states import Feed
from models.tables import Scope
from tests.cli.conftest import Shell
from tests.sync.conftest import Ledger
from tests.world import World


def labels(ledger: Ledger) -> Scope:
    with ledger.session() as session:
        return session.scalars(select(Scope).where(Scope.feed == Feed.LABELS)).one()


def stand_still(ledger: Ledger) -> None:
    with ledger.runtime.sessions.begin() as session:
        stop = update(Scope).where(Scope.feed == Feed.LABELS)
        session.execute(stop.values(due_at=None, cursor=99, failures=2, stopped_reason="it went back in time"))


def test_a_feed_that_stands_still_goes_on(shell: Shell, ledger: Ledger, world: World) -> None:
    stand_still(ledger)
    problems = json.loads(shell.run("status", "--json").stdout)["problems"]
    told = [each for each in problems if each.startswith("miami: labels stands still: it went back in time.")]
    assert ["axkomet feed reset miami labels --to 0" in each for each in told] == [True]
    assert "axkomet feed reset miami labels --to 0" in shell.run("poll", "miami", "labels").stderr
    done = shell.run("feed", "reset", "miami", "labels", "--to", "7")
    assert (done.returncode, done.stderr) == (0, "")
    said = "miami: labels is read after 7 from now on; it stood at 99 and still: it went back in time"
    assert done.stdout.strip() == said
    (note,) = json.loads(shell.run("status", "--json").stdout)["connections"][0]["notes"]
    assert (note["what"], note["why"]) == ("labels reset to 7", None)
    scope = labels(ledger)
    assert (scope.cursor, scope.stopped_reason, scope.failures, scope.hinted_until) == (7, None, 0, None)
    with ledger.session() as session:
        assert scope.due_at is not None
        assert scope.due_at <= now(session)


def test_one_that_moves_is_reset_too(shell: Shell, ledger: Ledger) -> None:
    done = shell.run("feed", "reset", "miami", "labels", "--to", "3", "--json")
    assert json.loads(done.stdout) == {
        "connection": "miami",
        "feed": "labels",
        "cursor": 3,
        "before": {"cursor": 0, "stopped": None},
    }
    assert labels(ledger).cursor == 3
    left_out = "axkomet: miami: the records of labels after 0 up to 3 are left out"
    assert done.stderr.startswith(left_out)
    assert "`axkomet feed reset miami labels --to 0` reads them" in done.stderr
    assert shell.run("feed", "reset", "miami", "labels", "--to", "2").stderr == ""


@pytest.mark.parametrize(
    ("code", "arguments", "says"),
    [
        (3, ["maimi", "labels", "--to", "0"], "maimi is no connection of the ledger, which knows miami"),
        (2, ["miami", "lables", "--to", "0"], "lables is no feed: what can be reset is one of sales-orders, labels"),
        (2, ["miami", "komet-prebooks", "--to", "0"], "komet-prebooks has no cursor: what can be reset is one of"),
    ],
)
def test_mistakes(shell: Shell, ledger: Ledger, code: int, arguments: list[str], says: str) -> None:
    assert says in shell.complaint(code, "feed", "reset", *arguments)


@pytest.mark.parametrize("sequence", ["-1", "x", str(2**63)])
def test_a_sequence_that_cannot_be(shell: Shell, ledger: Ledger, sequence: str) -> None:
    done = shell.run("feed", "reset", "miami", "labels", f"--to={sequence}")
    assert done.returncode == 2
    assert labels(ledger).cursor == 0
