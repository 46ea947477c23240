"""requeue: orders that wait begin afresh, by key or by filter, and a dry run says what that would lead to."""

import json

import pytest
from sqlalchemy import select

from models.database import now
from models.tables import Order
from tests.cli.conftest import Shell
from tests.sync.conftest import Ledger
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
