"""What leaves today or tomorrow and is not safe yet, and whose turn it is."""

import json
from itertools import product

import pytest

from models.states import HoldCode, OrderState
from tests.cli.conftest import Shell
from tests.processes.plant import Json
from tests.sync.conftest import Ledger
from tests.world import World
from worker.today import turn_of


def an_order(
    state: OrderState, code: HoldCode | OrderState | None = None, command: str = "axkomet orders show 1", **more: str
) -> Json:
    """An order that was made in Komet, as far as its turn is told by it."""
    reason = {"code": code.value, "message": "", "next_command": command} if code else None
    order = {"state": state.value, "origin": "komet", "reason": reason, "held_up_by": None, "axerrio_must": None}
    return order | more


def today(shell: Shell, code: int) -> list[Json]:
    done = shell.run("today", "--json")
    assert done.returncode == code, done
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


def test_what_leaves_tomorrow_is_listed_until_it_is_approved(shell: Shell, ledger: Ledger, world: World) -> None:
    assert today(shell, 0) == []
    later = world.place(departureDate=world.day(2), truckDate=world.day(4))
    key = world.place(departureDate=world.day(1), truckDate=world.day(3))
    ledger.live(120)
    assert ledger.state(later) == ledger.state(key) == "ordered"
    (order,) = today(shell, 1)
    assert (order["axerrio"]["key"], order["whose_turn"], order["by"]) == (key, "Komet user", world.day(1))
    screen = shell.run("today").stdout
    assert "Komet user: approve the purchase order" in screen
    assert f"axkomet orders show id:{order['id']}" in screen
    account = shell.run("orders", "show", f"id:{order['id']}").stdout
    assert f"Whose turn: Komet user: approve the purchase order, by {world.day(1)}" in account
    world.approve()
    ledger.live(120)
    assert ledger.state(key) == "approved"
    assert today(shell, 0) == []
    assert "safe in both systems" in shell.run("today", "--connection", "miami").stdout
    assert "knows miami" in shell.complaint(2, "today", "--connection", "lima")


def test_what_waits_for_a_mapping_is_the_admins_turn(shell: Shell, ledger: Ledger, world: World) -> None:
    lines = [world.line("1", article={"key": "A-9", "code": "NEW1", "description": "Something new"})]
    world.place(departureDate=world.day(0), truckDate=world.day(2), lines=lines)
    ledger.live(120)
    (order,) = today(shell, 1)
    assert (order["state"], order["whose_turn"]) == ("mapping_required", "admin")
    assert "axkomet mapping set miami NEW1" in shell.run("today").stdout


def test_an_order_whose_first_record_cannot_be_read_is_told(shell: Shell, ledger: Ledger, world: World) -> None:
    """It is no order here, so no list of orders can show it."""
    key = world.place(lines=[world.line("1", unitType="kilo")])
    ledger.live(60)
    assert today(shell, 1) == []
    told = shell.run("today")
    assert "safe" not in told.stdout
    assert f"cannot be read and are no order here, so that nobody works on them: {key} (" in told.stderr
    assert f"No order has the key {key}: its record cannot be read" in shell.complaint(3, "orders", "show", key)
    document = json.loads(shell.run("status", "--json").stdout)
    assert any(key in problem for problem in document["problems"])
    (record,) = document["connections"][0]["put_aside"]
    assert (record["feed"], record["key"], record["is_told"]) == ("sales-orders", key, False)
    assert f"sales-orders {key} cannot be read: " in shell.run("status").stdout
    world.place(key=key, lines=[world.line("1")], departureDate=world.day(3))
    ledger.live(160)
    assert ledger.state(key) == "ordered"
    assert today(shell, 0) == []
    assert json.loads(shell.run("status", "--json").stdout)["connections"][0]["put_aside"] == []


def test_every_order_is_somebodys_turn() -> None:
    for state, code in product(OrderState, (None, *HoldCode)):
        who = turn_of(an_order(state, code)).who
        is_axerrios = code in (HoldCode.INVALID, HoldCode.UNREADABLE)
        others = ("nobody", "admin", "Komet user", "Axerrio user")
        may_be = others if code is None else ("Axerrio user",) if is_axerrios else ("Komet user", "admin")
        assert who in may_be, (state, code)


@pytest.mark.parametrize(
    ("order", "who", "does"),
    [
        (an_order(OrderState.ORDERED, held_up_by="axerrio"), "nobody", "it goes on by itself"),
        (an_order(OrderState.RECEIVED, held_up_by="observe"), "admin", "where it shall be sent"),
        (an_order(OrderState.ORDERED), "Komet user", "approve"),
        (an_order(OrderState.RECEIVED, axerrio_must="confirm"), "Axerrio user", "confirm it"),
        (an_order(OrderState.RECEIVED, axerrio_must="accept"), "Axerrio user", "accept or reject it"),
        (an_order(OrderState.CANCELLING, axerrio_must="accept"), "nobody", "it goes on by itself"),
        (an_order(OrderState.HELD, HoldCode.UNREADABLE), "Axerrio user", "mend the order in Axerrio"),
        (an_order(OrderState.HELD, HoldCode.DEPARTED), "Komet user", "mend the prebook in Komet"),
        (an_order(OrderState.HELD, HoldCode.DEPARTED, axerrio_must="accept"), "Axerrio user", "accept or reject it"),
        (an_order(OrderState.HELD, HoldCode.CONFLICT), "Komet user", "put right in Komet"),
        (an_order(OrderState.HELD, HoldCode.CONFLICT, "axkomet resolve 1 --ours"), "admin", "decide"),
        (an_order(OrderState.FAILED, OrderState.FAILED), "admin", "have this program mended"),
        (an_order(OrderState.FAILED, OrderState.FAILED, "axkomet requeue 1"), "admin", "type the next command"),
    ],
)
def test_the_turn_names_who_can_do_something(order: Json, who: str, does: str) -> None:
    turn = turn_of(order)
    assert turn.who == who
    assert turn.does.startswith(does)
