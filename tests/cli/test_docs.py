"""The page on JSON shows the keys that the commands write, and completion works as its page says."""

import json
import re
from typing import Any

from sqlalchemy import update

from models.states import Feed, Kind, OrderState
from models.tables import Scope
from tests.cli.conftest import Shell
from tests.processes.plant import Json
from tests.sync.conftest import Ledger
from tests.world import World
from worker.reference import DOCS

PAGE = (DOCS / "reference" / "json.md").read_text("utf-8")
EXAMPLES = {
    name: json.loads(text) for name, text in re.findall(r"## `([\w -]+)`\n[^#]*?```json\n(.*?)```", PAGE, re.DOTALL)
}
#: Keys that are no names of the interface.
WORDS = {each.value for enum in (OrderState, Kind) for each in enum}


def assert_same_keys(shown: Any, real: Any, where: str) -> None:
    match shown, real:
        case dict(), dict() if not WORDS & shown.keys():
            assert shown.keys() == real.keys(), where
            for name in shown:
                assert_same_keys(shown[name], real[name], f"{where}.{name}")
        case [first, *_], [each, *_]:
            assert_same_keys(first, each, f"{where}[]")


def test_every_example_has_the_keys_that_are_written(shell: Shell, ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    unknown = [world.line("1", article={"key": "A-9", "code": "NEW1", "description": "Rose new 50 cm"})]
    leaving = world.place(departureDate=world.day(1), truckDate=world.day(3), lines=unknown)
    item = ledger.order(key)["lines"][0]["prebook_item_id"]
    world.edit(prebook_item_id=int(item), mark_code="DOCK9")
    ledger.live(120)
    shell.later(ledger)
    with ledger.runtime.sessions.begin() as session:
        session.execute(update(Scope).where(Scope.feed == Feed.SHIPMENTS).values(due_at=None, stopped_reason="a gap"))
    commands = {
        "orders show": [key],
        "status": [],
        "check": [],
        "mapping list": ["--missing"],
        "requeue --dry-run": [leaving],
        "requeue": [leaving],
        "hold": [key, "--reason", "a"],
        "release": [key],
        "cancel": [leaving, "--yes"],
        "reconcile": [],
        "poll": ["miami"],
        "feed reset": ["miami", "shipments", "--to", "0"],
        "resolve": [key, "--theirs"],
        "mapping set": ["miami", "NEW1", "--product-code", "RFREE50"],
    }
    written: Json = {
        name: json.loads(shell.run(*name.split(), *rest, "--json").stdout) for name, rest in commands.items()
    }
    order = {name: value for name, value in written["orders show"].items() if name not in ("history", "writes")}
    assert order["lines"][0]["purchase_order_items"]
    assert order.keys() == json.loads(shell.run("orders", "list", "--json").stdout)[0].keys()
    (today,) = json.loads(shell.run("today", "--json").stdout)
    written["today"] = [{name: value for name, value in today.items() if name not in order}]
    assert written.keys() == EXAMPLES.keys()
    for name, shown in EXAMPLES.items():
        assert_same_keys(shown, written[name], name)


def test_commands_are_completed(shell: Shell) -> None:
    for words, completed in (("axkomet ma", ["mapping"]), ("axkomet requeue --d", ["--departing", "--dry-run"])):
        asked = {"_AXKOMET_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        assert shell.run(**asked).stdout.split() == completed
