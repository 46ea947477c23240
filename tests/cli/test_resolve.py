"""Decisions: a conflict for one side, and what became of a write that nobody answered."""

import json

import pytest
from sqlalchemy import select

from models.database import now
from models.states import WriteState
from models.tables import Box, Decision, Order, OrderLine, Prebook, Scope, Write
from tests.cli.conftest import Shell
from tests.processes.plant import Json
from tests.sync.conftest import Ledger
from tests.world import World, assert_exactly_once, today_in

MARK = "mark code DOCK2 → DOCK9"


def decisions(ledger: Ledger) -> list[tuple[str | None, str, str, str]]:
    with ledger.session() as session:
        found = session.scalars(select(Decision).order_by(Decision.id)).all()
        assert all(each.who for each in found)
        return [(each.line_key, each.fact, each.choice, each.why) for each in found]


def told(ledger: Ledger, key: str) -> list[str]:
    """What the history says of decisions."""
    return [row["why"] for row in ledger.order(key)["history"] if row["why"].startswith("Decided ")]


def is_due(ledger: Ledger, key: str) -> bool:
    with ledger.session() as session:
        row = session.get_one(Order, ledger.order(key)["id"])
        return row.due_at is not None and row.due_at <= now(session) and row.hinted_until is None


# -- conflicts -------------------------------------------------------------------------------------------------


@pytest.fixture
def edited(ledger: Ledger, world: World) -> str:
    """An order that is ordered, and then a person changed the mark codes of both lines in Komet; gives its key."""
    key = ledger.earn_proof()
    for line in ledger.order(key)["lines"]:
        world.edit(prebook_item_id=int(line["prebook_item_id"]), mark_code="DOCK9")
    ledger.live(90)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict")
    return key


@pytest.mark.thorough
def test_theirs_leaves_komet_as_it_is_and_the_conflict_does_not_come_back(
    shell: Shell, ledger: Ledger, world: World, edited: str
) -> None:
    shell.later(ledger)
    one, two = (line["prebook_item_id"] for line in ledger.order(edited)["lines"])
    done = shell.run("resolve", edited, "--line", "1", "--theirs", "--reason", "they called")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"decided theirs: line 1: item {one}: {MARK}" in done.stdout
    assert is_due(ledger, edited)
    assert decisions(ledger) == [("1", f"item {one}: {MARK}", "theirs", "they called")]
    (why,) = told(ledger, edited)
    assert why.startswith(f"Decided theirs: item {one}: {MARK} (they called), by ")
    ledger.live(30)
    assert ledger.reason(edited) == "conflict", "line 2 waits still"
    assert shell.run("resolve", edited, "--theirs").returncode == 0
    assert [(line, choice) for line, _, choice, _ in decisions(ledger)] == [("1", "theirs"), ("2", "theirs")]
    ledger.live(120)
    assert ledger.state(edited) == "ordered"
    assert f"item {two}" in decisions(ledger)[1][1]
    assert world.requests("prebook.create") == 1
    assert "nothing to decide with --theirs" in shell.complaint(3, "resolve", edited, "--theirs")


def test_ours_makes_it_anew(shell: Shell, ledger: Ledger, world: World, edited: str) -> None:
    shell.later(ledger)
    done = shell.run("resolve", edited, "--ours", "--json")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    shown = ledger.order(edited)
    facts = [f"line {line['line_key']}: item {line['prebook_item_id']}: {MARK}" for line in shown["lines"]]
    assert document == {"id": shown["id"], "name": shown["name"], "choice": "ours", "decided": facts, "refused": []}
    assert len(decisions(ledger)) == 2
    ledger.live(240)
    assert ledger.state(edited) == "ordered"
    live = [item for each in world.company["prebooks"] for item in each["items"] if item["boxes"]]
    assert [item["mark_code"] for item in live] == ["DOCK2", "DOCK2"]


@pytest.mark.thorough
def test_an_order_that_is_being_worked_on_is_no_obstacle(shell: Shell, ledger: Ledger, edited: str) -> None:
    shell.later(ledger)
    with ledger.runtime.sessions.begin() as session:
        row = session.get_one(Order, ledger.order(edited)["id"])
        row.lease_owner, row.lease_until = "somebody", now(session) + (row.updated_at - row.created_at)
    assert shell.run("resolve", edited, "--theirs", KOMET_TOKEN="", AXERRIO_TOKEN="").returncode == 0
    assert is_due(ledger, edited)


@pytest.mark.thorough
def test_what_has_left_cannot_be_decided_for_ours(shell: Shell, ledger: Ledger) -> None:
    key = ledger.earn_proof()
    order = ledger.order(key)
    with ledger.runtime.sessions.begin() as session:
        line = session.scalars(select(OrderLine).where(OrderLine.order_id == order["id"])).first()
        assert line is not None
        session.add(
            Box(
                connection_id=1,
                line_id=line.id,
                shipment_key="SH-1",
                purchase_order_item_id=order["lines"][0]["purchase_order_item_id"],
                box_code="AX1",
                label_key="L-1",
                awb="729-1234-5675",
                house_awb="",
                ship_date=today_in(),
            )
        )
    shell.later(ledger)
    sentence = shell.complaint(1, "resolve", key, "--ours")
    assert "--ours cannot be chosen here, only --theirs can: Line 1: Axerrio withdrew shipment SH-1" in sentence
    assert decisions(ledger) == []
    assert shell.run("resolve", key, "--theirs").returncode == 0
    assert decisions(ledger) == [("1", "shipment SH-1 withdrawn", "theirs", "")]


def test_ours_sends_komets_order_to_axerrio_again(shell: Shell, ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet()
    ledger.live(90)
    key = str(sold["number"])
    assert ledger.state(key) == "ordered"
    number = ledger.order(key)["axerrio"]["key"]
    lines = [line | {"boxes": 9} for line in world.axerrio_order(number)["lines"]]
    world.place(key=number, lines=lines)
    ledger.live(60)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict")
    shell.later(ledger)
    assert shell.run("resolve", f"prebook:{key}", "--ours").returncode == 0
    ((line_key, fact, choice, _),) = decisions(ledger)
    assert (line_key, choice) == (None, "ours")
    assert fact.startswith("axerrio: ")
    ledger.live(90)
    assert ledger.state(key) == "ordered"
    assert ledger.writes(key, "axerrio.inbound-orders") == ["done", "done"]


# -- writes in doubt -------------------------------------------------------------------------------------------


@pytest.fixture
def in_doubt(ledger: Ledger, world: World) -> str:
    """An order whose prebook create never arrived, on a connection where that is not certain; gives its key."""
    world.fault("reset_before", "prebook.create", times=1)
    key = world.place()
    ledger.live(240)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "in_doubt")
    return key


def test_resend(shell: Shell, ledger: Ledger, world: World, in_doubt: str) -> None:
    command = ledger.order(in_doubt)["reason"]["next_command"]
    assert command == f"axkomet resolve {ledger.order(in_doubt)['axerrio']['number']} --line 1 --resend"
    with ledger.session() as session:
        (write,) = session.scalars(select(Write))
    shell.later(ledger)
    assert "nothing to decide with --theirs" in shell.complaint(3, "resolve", in_doubt, "--theirs")
    done = shell.run(*command.split()[1:], "--reason", "I looked")
    assert (done.returncode, done.stderr) == (0, "")
    assert decisions(ledger) == [(None, f"write {write.id}", "resend", "I looked")]
    assert is_due(ledger, in_doubt)
    (shown,) = ledger.order(in_doubt)["writes"]
    assert (shown["state"], shown["error"]) == ("absent", "a person decided that it never arrived")
    assert told(ledger, in_doubt)[0].startswith(f"Decided resend: write {write.id} (I looked), by ")
    ledger.live(180)
    assert_exactly_once(world, in_doubt)
    assert ledger.order(in_doubt)["attempts"] == 0
    assert "nothing to decide with --resend" in shell.complaint(3, "resolve", in_doubt, "--resend")


@pytest.mark.thorough
def test_resend_of_the_line_that_was_left_out(shell: Shell, ledger: Ledger, world: World, in_doubt: str) -> None:
    """Only what the line is held for is meant; where a part of it was seen it did arrive."""
    with ledger.runtime.sessions.begin() as session:
        (write,) = session.scalars(select(Write))
        one, _ = sorted(write.lines, key=lambda line: line.line_id)
        one.is_open = False
    shell.later(ledger)
    assert "has no line 9" in shell.complaint(3, "resolve", in_doubt, "--line", "9", "--resend")
    shell.complaint(3, "resolve", in_doubt, "--line", "1", "--resend")
    assert shell.run("resolve", in_doubt, "--line", "2", "--resend").returncode == 0
    with ledger.session() as session:
        (write,) = session.scalars(select(Write))
        said = {line.line.line_key: line.error for line in write.lines}
        assert (write.state, said) == (WriteState.DONE, {"1": None, "2": "a person decided that it never arrived"})


@pytest.fixture
def rewritten(ledger: Ledger, world: World) -> tuple[str, Json]:
    """An order whose create arrived without an answer, and its prebook, whose comments a person wrote anew."""
    ledger.work()
    world.fault("lost_answer", "prebook.create", times=1)
    key = world.place()
    ledger.pass_time(30)
    ledger.feed_and_send()
    (prebook,) = world.company["prebooks"]
    world.edit(prebook_id=prebook["id"], comments="call first")
    ledger.live(240)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "in_doubt")
    return key, prebook


def test_adopt(shell: Shell, ledger: Ledger, world: World, rewritten: tuple[str, Json]) -> None:
    key, prebook = rewritten
    shell.later(ledger)
    for id_, says in (
        ("abc", "abc is no prebook id of Komet, which is a number: give the id"),
        (str(prebook["number"]), f"{prebook['number']} is the prebook's number: give its id"),
    ):
        assert says in shell.complaint(1, "resolve", key, "--adopt", id_)
    wrong = shell.run("resolve", key, "--adopt", "123")
    assert wrong.returncode == 0, "nobody here can know; it does not show, and can be mended"
    ledger.live(240)
    assert ledger.reason(key) == "not_visible"
    shell.later(ledger)
    done = shell.run("resolve", key, "--adopt", str(prebook["id"]), "--reason", "found it")
    assert (done.returncode, done.stderr) == (0, "")
    assert is_due(ledger, key)
    assert [(choice, why) for _, _, choice, why in decisions(ledger)] == [("adopt", ""), ("adopt", "found it")]
    with ledger.session() as session:
        (write,) = session.scalars(select(Write))
        assert (write.state, write.acknowledged_at) == (WriteState.DONE, None)
        (known,) = session.scalars(select(Prebook))
        assert (known.prebook_id, known.write_id) == (str(prebook["id"]), write.id)
        due_at = session.get_one(Scope, write.scope_id).due_at
        assert due_at is not None
        assert due_at <= now(session)
    assert f"write {write.id}, prebook {prebook['id']}" in done.stdout
    assert told(ledger, key)[-1].startswith(f"Decided adopt: write {write.id} (found it), by ")
    ledger.live(120)
    assert ledger.state(key) == "ordered"
    assert world.requests("prebook.create") == 1
    assert shell.run("resolve", key, "--adopt", str(prebook["id"])).returncode == 3


@pytest.mark.thorough
def test_a_prebook_of_another_order_is_not_adopted(shell: Shell, ledger: Ledger, world: World, in_doubt: str) -> None:
    sold = world.sell_in_komet(truck_date=world.day(6))
    ledger.live(60)
    shell.later(ledger)
    sentence = shell.complaint(1, "resolve", in_doubt, "--adopt", str(sold["id"]))
    assert f"Prebook {sold['id']} belongs to another order, " in sentence


# -- mistakes --------------------------------------------------------------------------------------------------


def test_mistakes(shell: Shell) -> None:
    for code, arguments, says in (
        (2, [], "Choose exactly one of --ours, --theirs, --adopt ID and --resend"),
        (2, ["--ours", "--theirs"], "Choose exactly one"),
        (2, ["--adopt", "1", "--resend"], "Choose exactly one"),
        (3, ["--ours"], "No order has the key 2026-0"),
    ):
        assert says in shell.complaint(code, "resolve", "2026-0", *arguments)
