"""What the commands show: the shapes of their JSON, and their exit codes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from models.tables import Box, OrderLine
from tests.cli.conftest import Shell
from tests.processes.plant import Json
from tests.sync.conftest import Ledger
from tests.world import World, today_in
from worker.cli import app

COMMANDS = (
    "",
    "up",
    "demo",
    "worker",
    "beat",
    "flower",
    "sandbox",
    "init",
    "check",
    "status",
    "today",
    "requeue",
    "hold",
    "cancel",
    "release",
    "resolve",
    "poll",
    "reconcile",
    "pause",
    "resume",
    "metrics",
    "feed",
    "feed reset",
    "mapping",
    "mapping list",
    "mapping set",
    "mapping import",
    "mapping export",
    "orders",
    "orders list",
    "orders show",
    "db",
    "db upgrade",
)
GROUPS = ("", "orders", "mapping", "feed", "db")
#: Keys of the public interface, at least; nested keys after a dot, those of a list's entries after `[]`.
ORDER_KEYS = """
    id connection origin state reason axerrio.key axerrio.number axerrio.version komet.prebook_id komet.prebook_number
    komet.prebooks[].id komet.prebooks[].number komet.purchase_orders[].id komet.purchase_orders[].number
    komet.purchase_orders[].status lines[].line_key lines[].article_code lines[].boxes lines[].state lines[].mapped
    lines[].prebook_id lines[].prebook_item_id lines[].purchase_order_item_id lines[].purchase_order_number
    lines[].purchase_order_items[].id lines[].purchase_order_items[].number lines[].purchase_order_items[].boxes
    lines[].purchase_order_items[].status lines[].purchase_order_items[].ship_date
    lines[].purchase_order_items[].box_codes lines[].purchase_order_items[].changes lines[].boxes_shipped
    lines[].axerrio.status lines[].axerrio.boxes lines[].axerrio.prebook_item_id lines[].prebook_items[].id
    lines[].prebook_items[].boxes lines[].prebook_items[].mapped lines[].prebook_items[].changes
    attempts due_at last_error created_at updated_at
"""
ACCOUNT_KEYS = """
    history[].at history[].from history[].to history[].why
    writes[].kind writes[].state writes[].attempts writes[].sent_at writes[].settled_at
"""
STATUS_KEYS = """
    healthy problems connections[].name connections[].paused connections[].orders connections[].oldest_due_seconds
    connections[].in_doubt connections[].feeds[].name connections[].feeds[].last_success_at
    connections[].feeds[].cursor connections[].budget.limit connections[].budget.used connections[].budget.left
    workers beat.last_tick_at
"""


def assert_keys(document: Any, keys: str) -> None:
    """Every key is there, whatever its value, and every list on the way has entries."""
    for key in keys.split():
        found = [document]
        for part in key.split("."):
            name = part.removesuffix("[]")
            assert all(name in each for each in found), key
            found = [each[name] for each in found]
            if part != name:
                assert all(found), f"{key}: an empty list"
                found = [entry for each in found for entry in each]


def test_help() -> None:
    for command in COMMANDS:
        done = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="axkomet")
        assert done.exit_code == 0, done.output
        assert f"Usage: axkomet {command}".strip() in done.stdout
        assert command not in GROUPS or "Commands" in done.stdout


def test_every_command_is_asked_for_help(shell: Shell) -> None:
    """A command that is new is missing above."""
    for group in GROUPS:
        _, _, table = shell.run(*group.split(), "--help").stdout.partition("Commands")
        listed = {line[2:].split()[0] for line in table.splitlines() if line[:2] == "│ " and line[2] != " "}
        assert {f"{group} {name}".strip() for name in listed} == {
            each for each in COMMANDS if each and each.rpartition(" ")[0] == group
        }


def test_an_order_that_is_ordered(shell: Shell, ordered: Json) -> None:
    done = shell.run("orders", "show", ordered["axerrio"]["number"], "--json")
    assert done.returncode == 0
    shown = json.loads(done.stdout)
    assert shown == ordered
    assert_keys(shown, ORDER_KEYS + ACCOUNT_KEYS)
    assert shown["reason"] is None
    assert shown["last_error"] is None
    done = shell.run("orders", "list", "--json", "--state", "ordered", "--connection", "miami")
    assert done.returncode == 0
    (listed,) = json.loads(done.stdout)
    assert_keys(listed, ORDER_KEYS)
    assert listed == {name: value for name, value in ordered.items() if name not in ("history", "writes")}
    komet = ordered["komet"]
    for key in (  # each of its keys names it
        ordered["axerrio"]["key"],
        f"prebook:{komet['prebook_id']}",
        f"prebook:{komet['prebook_number']}",
        f"po:{komet['purchase_orders'][0]['number']}",
    ):
        done = shell.run("orders", "show", key)
        assert done.returncode == 0
        assert ordered["axerrio"]["number"] in done.stdout
    assert ordered["axerrio"]["number"] in shell.run("orders", "list").stdout
    assert_status_when_nothing_runs(shell)


def assert_status_when_nothing_runs(shell: Shell) -> None:
    done = shell.run("status", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert_keys(document, STATUS_KEYS)
    assert document["healthy"] is False
    assert document["workers"] == 0
    assert any("axkomet worker" in problem for problem in document["problems"])
    assert any("axkomet beat" in problem for problem in document["problems"])
    (connection,) = document["connections"]
    assert connection["orders"] == {"ordered": 1}
    assert shell.run("status").returncode == 1


def test_an_order_of_which_nothing_is_known_yet(shell: Shell, world: World, make_ledger: Any) -> None:
    """Missing values are null, never left out."""
    key = world.place(status="draft")
    make_ledger().work()
    shown = json.loads(shell.run("orders", "show", key, "--json").stdout)
    assert shown["komet"] == {"prebook_id": None, "prebook_number": None, "prebooks": [], "purchase_orders": []}
    assert_keys(shown, "reason attempts due_at last_error lines[].article_code lines[].boxes lines[].boxes_shipped")
    for line in shown["lines"]:
        assert line["purchase_order_items"] == []
        for name in ("mapped", "prebook_id", "prebook_item_id", "purchase_order_item_id", "purchase_order_number"):
            assert line[name] is None


def test_an_order_born_in_komet(shell: Shell, ledger: Ledger, world: World) -> None:
    """It is called by its prebook until Axerrio gave it a number; what left of it is shown by air waybill."""
    world.in_axerrio("tenant-settings", inbound="pending")
    sold = world.sell_in_komet()
    ledger.live(30)
    name = f"prebook {sold['number']}"
    shown = json.loads(shell.run("orders", "show", f"prebook:{sold['number']}", "--json").stdout)
    assert (shown["name"], shown["origin"], shown["axerrio"]["number"]) == (name, "komet", None)
    with ledger.runtime.sessions.begin() as session:
        line = session.scalars(select(OrderLine).order_by(OrderLine.id)).first()
        assert line is not None
        rest = {"shipment_key": "SH-1", "purchase_order_item_id": "1", "house_awb": "", "ship_date": today_in()}
        for code in ("AX1", "AX2"):
            box = Box(connection_id=1, line_id=line.id, box_code=code, label_key=code, awb="729-1234 5675", **rest)
            session.add(box)
    screen = shell.run("orders", "show", str(sold["number"])).stdout
    assert screen.startswith(f"{name} (born in Komet, version 1, miami) is received")
    assert "Rose Freedom 50 cm" in screen
    assert re.search(rf"air waybill\s+-\s+≠\s+729-1234 5675, {today_in()}: 2 boxes AX1 AX2", screen)
    for key in ("AX2", "box:AX1", "729-1234 5675", "awb:729-1234 5675"):
        assert shell.run("orders", "show", key).stdout == screen
    assert shell.run("orders", "show", "box:AX3").returncode == 3
    assert name in shell.run("orders", "list", "--origin", "komet").stdout
    assert f"{name} due now" in shell.run("requeue", str(sold["number"])).stdout


def test_an_empty_list_is_no_failure(shell: Shell) -> None:
    done = shell.run("orders", "list", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_status_when_the_database_is_away(shell: Shell) -> None:
    done = shell.run("status", "--json", AXKOMET_DATABASE_URL="postgresql+psycopg://a:b@127.0.0.1:1/x")
    assert done.returncode == 1
    assert_keys(json.loads(done.stdout), "healthy problems connections workers beat.last_tick_at")


def test_check(shell: Shell) -> None:
    done = shell.run("check", "--json")
    lines = json.loads(done.stdout)
    assert done.returncode == 0, lines
    assert all(set(line) == {"name", "ok", "message", "fix"} and line["ok"] for line in lines)
    assert {"connections file", "Redis", "database", "miami: Axerrio", "miami: Komet prebook.details.list"} <= {
        line["name"] for line in lines
    }


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({"AXKOMET_REDIS_URL": "redis://127.0.0.1:1/0"}, "Redis"),
        ({"AXKOMET_DATABASE_URL": "postgresql+psycopg://a:b@127.0.0.1:1/x"}, "database"),
        ({"KOMET_TOKEN": "wrong"}, "miami: Komet boxtype.list"),
        ({"KOMET_TOKEN": ""}, "miami: tokens"),
        ({"AXERRIO_TOKEN": "wrong"}, "miami: Axerrio"),
    ],
)
def test_check_names_what_is_wrong(shell: Shell, env: dict[str, str], name: str) -> None:
    done = shell.run("check", "--json", **env)
    assert done.returncode == 1
    (line,) = [line for line in json.loads(done.stdout) if line["name"] == name]
    assert line["ok"] is False
    assert line["fix"]


def test_db_upgrade_twice(shell: Shell) -> None:
    newest = max(file.name[:4] for file in Path("models/migrations/versions").glob("*.py"))
    for _ in range(2):
        done = shell.run("db", "upgrade", "--json")
        assert (done.returncode, json.loads(done.stdout)) == (0, {"schema": newest})
