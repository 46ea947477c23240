"""release: what too much change at once holds goes on at a person's word."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import select

from models.tables import Decision
from tests.cli.conftest import Shell
from tests.sync.conftest import Ledger
from tests.world import World


@pytest.fixture
def ledger(make_ledger: Callable[..., Ledger]) -> Ledger:
    return make_ledger(change_guard=3)


@pytest.fixture
def held(ledger: Ledger, world: World) -> list[str]:
    """Three orders that came over the limit, and one that did not."""
    keys = [world.place(lines=[world.line("1")]) for _ in range(4)]
    ledger.live(120, pace=40)
    for key in keys[:3]:
        world.place(key=key, status="cancelled")
    ledger.live(40)
    assert [ledger.reason(key) for key in keys] == ["over_limit"] * 3 + [None]
    return keys


@pytest.mark.thorough
def test_one_order_then_all(shell: Shell, ledger: Ledger, world: World, held: list[str]) -> None:
    shell.later(ledger)
    told = json.loads(shell.run("status", "--json").stdout)["problems"]
    assert [each for each in told if each.startswith("miami: 3 order(s) are held, since too many")]
    one = shell.run("release", held[0])
    assert (one.returncode, one.stderr) == (0, "")
    assert one.stdout.splitlines() == [f"{held[0].replace('SO-', '2026-')} released"]
    ledger.live(120, pace=40)
    assert [ledger.state(key) for key in held] == ["cancelled", "held", "held", "ordered"]
    partly = shell.run("release", held[1], held[3], "--json")
    assert partly.returncode == 4
    said = {each["name"]: (each["connection"], each["released"], each["message"]) for each in json.loads(partly.stdout)}
    numbers = [key.replace("SO-", "2026-") for key in held]
    why_not = "is ordered, and not held as over_limit or by_hand"
    assert said == {numbers[1]: ("miami", True, None), numbers[3]: ("miami", False, why_not)}
    rest = shell.run("release", "--reason", "over_limit", "--connection", "miami", "--yes")
    assert (rest.returncode, rest.stdout) == (0, f"{numbers[2]} released\n")
    ledger.live(120, pace=40)
    assert [ledger.state(key) for key in held] == ["cancelled"] * 3 + ["ordered"]
    with ledger.session() as session:
        decided = session.scalars(select(Decision)).all()
        assert {(each.fact, each.choice) for each in decided} == {("over_limit", "release")}
        assert all(each.who for each in decided)
    assert "too many" not in shell.run("status").stdout
    for nothing in (["--reason", "over_limit"], [held[0]]):
        assert "over_limit" in shell.complaint(3, "release", *nothing)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Name either keys of orders, or what they are held for with --reason."),
        (["SO-1", "--reason", "over_limit"], "Name either keys of orders"),
        (["--reason", "conflict"], "--reason conflict cannot be released: only over_limit and by_hand can."),
        (["SO-1", "--connection", "miami"], "--connection goes with --reason"),
        (["--reason", "over_limit", "--connection", "lima"], "--connection lima is no connection of the ledger"),
    ],
)
def test_wrong_usage(shell: Shell, ledger: Ledger, arguments: list[str], words: str) -> None:
    assert words in shell.complaint(2, "release", *arguments)


def test_a_hold_of_ones_own_begins_and_ends(shell: Shell, ledger: Ledger, world: World) -> None:
    key, gone = world.place(), world.place(status="draft")
    ledger.work()
    world.place(key=gone, status="cancelled")
    ledger.live(60)
    assert ledger.state(gone) == "cancelled"
    assert "Say why" in shell.complaint(2, "hold", key, "--reason", " ")
    partly = shell.run("hold", key, gone, "--reason", "the price is wrong", "--json")
    assert partly.returncode == 4
    assert [(each["held"], each["message"]) for each in json.loads(partly.stdout)] == [
        (True, None),
        (False, "is cancelled: nothing more would be sent for it"),
    ]
    ledger.work()
    screen = shell.run("orders", "show", key).stdout
    assert ": the price is wrong." in screen
    assert f"Next: axkomet release {key.replace('SO-', '2026-')}" in screen
    assert "is held already" in shell.complaint(3, "hold", key, "--reason", "again")
    assert shell.run("release", "--reason", "by_hand").returncode == 0
    ledger.live(120)
    assert ledger.state(key) == "ordered"
    assert "No order is held as by_hand" in shell.complaint(3, "release", "--reason", "by_hand")


def test_an_unknown_key(shell: Shell, ledger: Ledger) -> None:
    assert "No order has the key SO-0" in shell.complaint(3, "release", "SO-0")
