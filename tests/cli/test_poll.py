"""Feeds that are read now, because somebody asks."""

import getpass
import json
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from models.database import now
from models.states import Feed
from models.tables import Order, Scope, Upstream, Wait
from tasks.scopes import find_or_make, words
from tests.cli.conftest import Shell
from tests.cli.test_mapping import wait_for
from tests.sync.conftest import Ledger


def put_off(ledger: Ledger) -> None:
    """Every feed was read just now, and nobody waits for two of three dates."""
    order_id = wait_for(ledger, "TULIP")
    with ledger.runtime.sessions.begin() as session:
        session.execute(update(Scope).values(due_at=now(session) + timedelta(hours=1)))
        order = session.get_one(Order, order_id)
        for day in ("2026-11-01", "2026-11-02", "2026-11-03"):
            scope = find_or_make(session, order.connection_id, Feed.KOMET_PREBOOKS, day)
            if day == "2026-11-02":
                session.add(Wait(order_id=order_id, scope_id=scope, active=False))
        window = session.get_one(Scope, find_or_make(session, order.connection_id, Feed.KOMET_PREBOOKS, "window"))
        window.due_at, window.hinted_until = None, now(session) + timedelta(hours=1)


def due(ledger: Ledger) -> set[str]:
    with ledger.session() as session:
        found = session.scalars(select(Scope).where(Scope.due_at <= now(session), Scope.hinted_until.is_(None)))
        return {words(each) for each in found}


def test_a_feed_is_due_at_once(shell: Shell, ledger: Ledger) -> None:
    put_off(ledger)
    done = shell.run("poll", "miami", "komet-prebooks")
    assert done.returncode == 0
    meant = {"komet-prebooks changed", "komet-prebooks window", "komet-prebooks 2026-11-02"}
    assert due(ledger) == meant
    assert set(done.stdout.splitlines()) == {f"miami: {each} is due now" for each in meant}
    (note,) = json.loads(shell.run("status", "--json").stdout)["connections"][0]["notes"]
    assert (note["who"], note["what"]) == (getpass.getuser(), "polled komet-prebooks")


def test_all_feeds_are_due_but_not_one_that_stands_still(shell: Shell, ledger: Ledger) -> None:
    put_off(ledger)
    with ledger.runtime.sessions.begin() as session:
        stop = update(Scope).where(Scope.feed == Feed.LABELS).values(due_at=None, stopped_reason="it went back")
        session.execute(stop)
    done = shell.run("poll", "miami")
    assert done.returncode == 4
    assert "miami: labels stands still: it went back." in done.stderr
    assert due(ledger) == {
        "sales-orders",
        "shipments",
        "articles",
        "komet-reference",
        "komet-prebooks changed",
        "komet-prebooks window",
        "komet-prebooks 2026-11-02",
    }
    done = shell.run("poll", "miami", "labels", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "connection": "miami",
        "due": [],
        "stopped": [
            {
                "feed": "labels",
                "message": "it went back",
                "next_command": "axkomet feed reset miami labels --to 0",
            }
        ],
    }


def test_why_nobody_reads_it_is_told(shell: Shell, ledger: Ledger) -> None:
    shell.run("pause", "miami", "--reason", "stock-taking")
    done = shell.run("poll", "miami", "labels")
    assert (done.returncode, done.stdout) == (0, "miami: labels is due now\n")
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("axkomet: miami is paused since")
    assert "`axkomet resume miami`" in sentence


def test_a_limit_keeps_only_what_that_system_would_tell(shell: Shell, ledger: Ledger) -> None:
    with ledger.runtime.sessions.begin() as session:
        moment, (id_,) = now(session), ledger.runtime.connections
        limit = {"closed_by": "limit", "closed_since": moment, "closed_why": "too many", "probe_at": moment}
        session.add(Upstream(connection_id=id_, system="komet", **limit))
    assert shell.run("poll", "miami", "labels").stderr == "", "those are Axerrio's"
    assert "Komet has taken no more requests since" in shell.run("poll", "miami", "komet-prebooks").stderr


def test_a_connection_that_the_file_does_not_name(shell: Shell, ledger: Ledger) -> None:
    file = shell.folder / "connections.toml"
    file.write_text(file.read_text().replace('name = "miami"', 'name = "quito"'))
    done = shell.run("poll", "miami", "labels")
    assert done.returncode == 0
    assert f"axkomet: miami is not in the connections file {file}: no worker reads it." in done.stderr
    file.unlink()
    assert shell.run("poll", "miami", "labels").stderr == "", "nobody can tell"


@pytest.mark.parametrize(
    ("code", "arguments", "says"),
    [
        (3, ["maimi"], "maimi is no connection of the ledger, which knows miami"),
        (2, ["miami", "prebooks"], "prebooks is no feed: it is one of sales-orders, labels"),
        (3, ["miami", "komet-purchase-orders"], "no order waits for komet-purchase-orders"),
    ],
)
def test_mistakes(shell: Shell, ledger: Ledger, code: int, arguments: list[str], says: str) -> None:
    assert says in shell.complaint(code, "poll", *arguments)
