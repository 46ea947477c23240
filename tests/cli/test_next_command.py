"""The next command of every reason is typed as it is printed, and does what the order says."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import insert, select

from models.database import now
from models.states import HoldCode, OrderState
from models.tables import Connection, Order
from tests.cli.conftest import Shell
from tests.command import Done
from tests.processes.plant import Json
from tests.sync.conftest import Ledger
from tests.sync.test_mapping import komets_own
from tests.world import World

MakeLedger = Callable[..., Ledger]


@dataclass(frozen=True)
class Scene:
    """An order that waits for something."""

    shell: Shell
    ledger: Ledger
    world: World
    key: str

    @property
    def order(self) -> Json:
        return self.ledger.order(self.key)

    def type_next_command(self, fill: str) -> Done:
        """Type the command that the order prints, with something in place of what is to be filled in."""
        self.shell.later(self.ledger)
        program, *arguments = shlex.split(self.order["reason"]["next_command"].replace("…", fill))
        assert program == "axkomet"
        return self.shell.run(*arguments)


# -- how each comes about --------------------------------------------------------------------------------------


def mapping_required(shell: Shell, world: World, make: MakeLedger) -> Scene:
    ledger = make()
    article = {"key": "A-9", "code": "Rose's new", "description": "Something new"}
    key = world.place(lines=[world.line("1", article=article)])
    ledger.live(120)
    return Scene(shell, ledger, world, key)


def mapping_required_of_an_article(shell: Shell, world: World, make: MakeLedger) -> Scene:
    """A Komet user sold what Axerrio does not know."""
    ledger = make()
    world.in_axerrio("tenant-settings", knows_all_articles=False)
    sold = world.sell_in_komet(items=[komets_own(world, "Komet's rose")])
    ledger.live(120)
    return Scene(shell, ledger, world, f"prebook:{sold['number']}")


def mapping_required_in_komet(shell: Shell, world: World, make: MakeLedger) -> Scene:
    """A Komet user sold what Komet itself does not know."""
    ledger = make()
    odd = world.item(product_code="ODD", product_description="Odd rose")
    sold = world.sell_in_komet(items=[odd])
    ledger.live(90)
    return Scene(shell, ledger, world, f"prebook:{sold['number']}")


def rejected(shell: Shell, world: World, make: MakeLedger) -> Scene:
    ledger = make()
    world.fault("refuse", "prebook.create", message="Customer not found.")
    key = world.place(number="2026 / 7")
    ledger.live(120)
    world.http.delete(f"{world.addresses['control']}/faults")
    return Scene(shell, ledger, world, key)


def invalid(shell: Shell, world: World, make: MakeLedger) -> Scene:
    ledger = make()
    key = world.place(lines=[world.line("1", unitCost=None)])
    ledger.live(60)
    return Scene(shell, ledger, world, key)


def conflict(shell: Shell, world: World, make: MakeLedger) -> Scene:
    ledger = make()
    key = ledger.earn_proof()
    (line, _) = ledger.order(key)["lines"]
    world.edit(prebook_item_id=int(line["prebook_item_id"]), mark_code="DOCK9")
    ledger.live(90)
    return Scene(shell, ledger, world, key)


def conflict_in_axerrio(shell: Shell, world: World, make: MakeLedger) -> Scene:
    """A person changed in Axerrio an order that was born in Komet."""
    ledger = make()
    sold = world.sell_in_komet()
    ledger.live(240)
    key = ledger.order(f"prebook:{sold['number']}")["axerrio"]["key"]
    lines = [line | {"boxes": 9} for line in world.axerrio_order(key)["lines"]]
    world.place(key=key, lines=lines)
    ledger.live(60)
    return Scene(shell, ledger, world, key)


def in_doubt(shell: Shell, world: World, make: MakeLedger) -> Scene:
    ledger = make()
    world.fault("reset_before", "prebook.create", times=1)
    key = world.place()
    ledger.live(600)
    return Scene(shell, ledger, world, key)


def not_visible(shell: Shell, world: World, make: MakeLedger) -> Scene:
    ledger = make()
    ledger.work()
    world.settings(sets_ship_date=False)  # so the item is not listed to a vendor token
    key = world.place()
    ledger.live(300)
    return Scene(shell, ledger, world, key)


def unmapped_reference(shell: Shell, world: World, make: MakeLedger) -> Scene:
    ledger = make()
    key = world.place(buyer={"code": "NOBODY", "name": "Nobody"})
    ledger.live(60)
    return Scene(shell, ledger, world, key)


def unreadable(shell: Shell, world: World, make: MakeLedger) -> Scene:
    ledger = make()
    key = world.place()
    ledger.live(120)
    world.place(key=key, status="perhaps")
    ledger.live(60)
    return Scene(shell, ledger, world, key)


def over_limit(shell: Shell, world: World, make: MakeLedger) -> Scene:
    ledger = make(change_guard=3)
    keys = [world.place(lines=[world.line("1")]) for _ in range(4)]
    ledger.live(120, pace=40)
    for key in keys[:3]:
        world.place(key=key, status="cancelled")
    ledger.live(40)
    return Scene(shell, ledger, world, keys[0])


def by_hand(shell: Shell, world: World, make: MakeLedger) -> Scene:
    ledger = make()
    key = world.place()
    ledger.work()
    assert shell.run("hold", key, "--reason", "the price is wrong").returncode == 0
    ledger.work()
    return Scene(shell, ledger, world, key)


def departed(shell: Shell, world: World, make: MakeLedger) -> Scene:
    early = make(buyers={})
    key = world.place(departureDate=world.day(0), truckDate=world.day(2))
    early.live(60)
    ledger = make()
    ledger.offset = early.offset + 86_400
    ledger.live(7200, pace=1200)
    return Scene(shell, ledger, world, key)


def failed(shell: Shell, world: World, make: MakeLedger) -> Scene:
    ledger = make(timing={"max_attempts": 1})
    ledger.earn_proof()
    world.fault("error_before", "prebook.create", times=1)
    key = world.place()
    ledger.live(300)
    return Scene(shell, ledger, world, key)


# -- what it does ----------------------------------------------------------------------------------------------

ACT = (
    (mapping_required, HoldCode.MAPPING_REQUIRED, "RMOND50", "ordered"),
    (rejected, HoldCode.REJECTED, "", "ordered"),
    (conflict, HoldCode.CONFLICT, "", "ordered"),
    (in_doubt, HoldCode.IN_DOUBT, "", "ordered"),
    (mapping_required_of_an_article, HoldCode.MAPPING_REQUIRED, "RMOND50", "ordered"),
    (conflict_in_axerrio, HoldCode.CONFLICT, "", "ordered"),
    (over_limit, HoldCode.OVER_LIMIT, "", "cancelled"),
    (by_hand, HoldCode.BY_HAND, "", "ordered"),
    (failed, OrderState.FAILED, "", "ordered"),
)
#: Where nothing is to be typed: the order goes on by itself once what it names is mended.
TELL = (
    (invalid, HoldCode.INVALID),
    (mapping_required_in_komet, HoldCode.MAPPING_REQUIRED),
    (not_visible, HoldCode.NOT_VISIBLE),
    (unmapped_reference, HoldCode.UNMAPPED_REFERENCE),
    (unreadable, HoldCode.UNREADABLE),
    (departed, HoldCode.DEPARTED),
)


def named(cases: Sequence[tuple[Callable[..., Scene], Any, *tuple[str, ...]]], kept: int) -> list[Any]:
    """Cases by their names; the first few stand for all where a run is not thorough."""
    marks = [() if n < kept else (pytest.mark.thorough,) for n in range(len(cases))]
    return [pytest.param(*each, id=each[0].__name__, marks=mark) for each, mark in zip(cases, marks, strict=True)]


def test_every_reason_is_here() -> None:
    assert {each[1] for each in (*ACT, *TELL)} == {*HoldCode, OrderState.FAILED}


@pytest.mark.parametrize(("make", "code", "fill", "state"), named(ACT, kept=4))
def test_the_next_command_lets_it_go_on(
    shell: Shell, world: World, make_ledger: MakeLedger, make: Callable[..., Scene], code: str, fill: str, state: str
) -> None:
    scene = make(shell, world, make_ledger)
    assert scene.order["reason"]["code"] == code, scene.order
    assert f"Next: {scene.order['reason']['next_command']}" in shell.run("orders", "show", scene.key).stdout
    done = scene.type_next_command(fill)
    assert done.returncode == 0, done
    scene.ledger.live(300)
    assert scene.order["reason"] is None, scene.order
    assert scene.order["state"] == state


def test_a_number_that_another_order_has_too_is_not_what_is_typed(
    shell: Shell, world: World, make_ledger: MakeLedger
) -> None:
    scene = rejected(shell, world, make_ledger)
    bogota = insert(Connection).values(name="bogota", joins="", settings_hash="").returning(Connection.id)
    with scene.ledger.runtime.sessions.begin() as session:
        row = session.scalars(select(Order)).one()
        row.due_at = now(session)
        columns = [each.name for each in Order.__table__.c if each.name not in ("id", "due_at")]
        other = {"connection_id": session.scalar(bogota), "axerrio_key": "1"}
        session.execute(insert(Order).values({name: getattr(row, name) for name in columns} | other))
    scene.ledger.live(10)
    order = scene.order
    assert order["reason"]["next_command"] == f"axkomet requeue id:{order['id']}"
    said = shell.complaint(2, "orders", "show", order["name"])
    assert f"id:{order['id']} (miami, axerrio:{scene.key}, by its Axerrio key or number {order['name']})" in said
    assert "(bogota, axerrio:1, " in said
    assert scene.type_next_command("").returncode == 0


@pytest.mark.parametrize(("make", "code"), named(TELL, kept=1))
def test_where_nothing_is_to_be_typed_the_account_says_who_mends_it(
    shell: Shell, world: World, make_ledger: MakeLedger, make: Callable[..., Scene], code: str
) -> None:
    scene = make(shell, world, make_ledger)
    assert scene.order["reason"]["code"] == code, scene.order
    before = scene.order
    done = scene.type_next_command("")
    assert done.returncode == 0, done
    assert scene.order == before, "it only tells"
    assert done.stdout.startswith(f"{before['name']} (")
    assert before["reason"]["message"] in " ".join(done.stdout.split())
    assert "Next: nothing to type; it goes on by itself once that is mended" in done.stdout
    assert "Whose turn: nobody" not in done.stdout
