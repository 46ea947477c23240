"""Mappings: what is missing, what was learned, and who goes on when one is given."""

import json
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from models.database import now
from models.states import OrderState
from models.tables import Article, Mapping, Order, OrderLine, Prebook
from tasks.mapping import Wanted, set_mappings
from tasks.wake import lock_order
from tests.cli.conftest import Shell
from tests.cli.test_screens import assert_keys
from tests.processes.plant import Json
from tests.sync.conftest import Ledger
from tests.world import World
from worker import assembly
from worker.cli import mappings

ENTRY = "connection article_code description product_code product_description orders nearest_departure candidates"
FAR = timedelta(hours=5)


def wait_for(ledger: Ledger, *words: str, origin: str = "axerrio", number: str = "4343", departs: int = 3) -> int:
    """An order with a line that waits for each of these words, due in five hours; gives its id."""
    (connection_id,) = ledger.runtime.connections
    with ledger.runtime.sessions.begin() as session:
        day = (now(session) + timedelta(days=departs)).date()
        order = Order(
            connection_id=connection_id,
            origin=origin,
            axerrio_key=f"SO-{number}" if origin == "axerrio" else None,
            axerrio_number=f"2026-{number}" if origin == "axerrio" else None,
            version=1,
            sequence=1,
            wanted={"number": number},
            departure_date=day,
            truck_date=day,
            state=OrderState.MAPPING_REQUIRED,
            due_at=now(session) + FAR,
            next_task="create_prebook",
        )
        session.add(order)
        session.flush()
        for place, word in enumerate(words, start=1):
            session.add(
                OrderLine(order_id=order.id, line_key=str(place), position=place, since_version=1, waits_for=word)
            )
        if origin == "komet":
            prebook = Prebook(connection_id=connection_id, order_id=order.id, prebook_id=f"99{number}", number=number)
            prebook.truck_date, prebook.as_of = day, now(session)
            session.add(prebook)
        return order.id


def due_of(ledger: Ledger) -> set[int]:
    """Ids of the orders that are due."""
    with ledger.session() as session:
        return set(session.scalars(select(Order.id).where(Order.due_at <= now(session))))


def catalogue(ledger: Ledger, articles: Iterable[tuple[str, str]]) -> None:
    (connection_id,) = ledger.runtime.connections
    with ledger.runtime.sessions.begin() as session:
        for code, description in articles:
            session.add(
                Article(
                    connection_id=connection_id,
                    key=f"A-{code}",
                    sequence=1,
                    is_deleted=False,
                    code=code,
                    description=description,
                )
            )


def listed(shell: Shell, *arguments: str) -> list[Json]:
    done = shell.run("mapping", "list", "--json", *arguments)
    assert done.returncode == 0, done
    found: list[Json] = json.loads(done.stdout)
    assert_keys(found[0] if found else {}, ENTRY if found else "")
    return found


# -- the list --------------------------------------------------------------------------------------------------


def test_what_is_missing_is_ranked_by_orders_and_departure(shell: Shell, ledger: Ledger) -> None:
    wait_for(ledger, "LILY", number="1", departs=2)
    wait_for(ledger, "TULIP", number="2")
    wait_for(ledger, "TULIP", "ROSE", number="3", departs=4)
    wait_for(ledger, "Rose Freedom", origin="komet", number="4", departs=5)
    gone = wait_for(ledger, "TULIP", number="5", departs=-9)
    with ledger.runtime.sessions.begin() as session:
        session.get_one(Order, gone).state = OrderState.CLOSED
        days = [(now(session) + timedelta(days=each)).date().isoformat() for each in (3, 2, 4, 5)]
    catalogue(ledger, [("TULIP", "Tulip red"), ("RFREE50", "ROSE FREEDOM 50 cm"), ("GYP", "Gypsophila"), ("", "Rose")])
    found = listed(shell, "--missing")
    assert [(each["article_code"], each["product_description"], each["orders"]) for each in found] == [
        ("TULIP", None, 2),
        ("LILY", None, 1),
        ("ROSE", None, 1),
        (None, "Rose Freedom", 1),
    ]
    assert [each["nearest_departure"] for each in found] == days
    assert found[0]["description"] == "Tulip red"
    assert found[3]["candidates"] == [{"code": "RFREE50", "description": "ROSE FREEDOM 50 cm"}]
    assert listed(shell, "--missing", "--connection", "miami") == found
    screen = shell.run("mapping", "list", "--missing").stdout
    assert "Tulip red" in screen
    assert "RFREE50 ROSE FREEDOM 50 cm" in screen


def test_mappings_that_are_set_are_listed_too(shell: Shell, ledger: Ledger) -> None:
    assert listed(shell) == []
    assert "No mappings." in shell.run("mapping", "list").stdout
    assert shell.run("mapping", "set", "miami", "TULIP", "--product-code", "TUL01").returncode == 0
    wait_for(ledger, "LILY")
    lily, tulip = listed(shell)
    assert (lily["article_code"], lily["orders"]) == ("LILY", 1)
    assert tulip == {
        "connection": "miami",
        "article_code": "TULIP",
        "description": None,
        "product_code": "TUL01",
        "product_description": None,
        "orders": 0,
        "nearest_departure": None,
        "candidates": [],
    }
    assert [each["article_code"] for each in listed(shell, "--missing")] == ["LILY"]


def test_a_mapping_that_did_not_help_is_missing_still(shell: Shell, ledger: Ledger) -> None:
    shell.run("mapping", "set", "miami", "TULIP", "--product-description", "Tulip Red")
    wait_for(ledger, "TULIP", number="1")
    wait_for(ledger, "tulip red", origin="komet", number="2")
    (entry,) = listed(shell, "--missing")
    assert (entry["article_code"], entry["product_description"], entry["orders"]) == ("TULIP", "Tulip Red", 2)


def test_candidates_are_learned_from_what_komet_showed(shell: Shell, ledger: Ledger, world: World) -> None:
    """And the whole way: the order waits, the list names Komet's product, the mapping is given, the order goes on."""
    strange = {"key": "A-7", "code": "FREEX", "description": "FREEDOM 50cm rose extra"}
    key = world.place(lines=[world.line("1"), world.line("2", article=strange)])
    ledger.live(120)
    assert ledger.state(key) == "mapping_required"
    (entry,) = listed(shell, "--missing")
    assert (entry["article_code"], entry["description"], entry["orders"]) == ("FREEX", strange["description"], 1)
    assert entry["candidates"] == [{"code": "RFREE50", "description": "Rose Freedom 50 cm"}]
    shell.later(ledger)
    done = shell.run("mapping", "set", "miami", "FREEX", "--product-code", "RFREE50")
    assert done.returncode == 0
    assert "1 order(s) released" in done.stdout
    ledger.live(180)
    assert ledger.state(key) == "ordered"
    assert listed(shell, "--missing") == []


# -- setting one -----------------------------------------------------------------------------------------------


def test_a_mapping_releases_every_order_that_waits_for_it_and_no_other(shell: Shell, ledger: Ledger) -> None:
    waiting = {
        wait_for(ledger, "TULIP", number="1"),
        wait_for(ledger, "LILY", "TULIP", number="2"),
        wait_for(ledger, "Tulip red", origin="komet", number="3"),
        wait_for(ledger, "tul-01", origin="komet", number="4"),
    }
    others = {wait_for(ledger, "LILY", number="5"), wait_for(ledger, "Tulip", origin="komet", number="6")}
    arguments = ("mapping", "set", "miami", "TULIP", "--product-code", "TUL-01", "--product-description", "TULIP Red")
    done = shell.run(*arguments)
    assert done.returncode == 0
    assert done.stdout == "TULIP is TUL-01 TULIP Red in Komet from now on; 4 order(s) released.\n"
    assert due_of(ledger) == waiting
    assert not due_of(ledger) & others
    with ledger.session() as session:
        (mapping,) = session.scalars(select(Mapping))
        assert (mapping.article_code, mapping.product_code) == ("TULIP", "TUL-01")
        assert mapping.set_by
    done = shell.run(*arguments)
    assert done.returncode == 0
    assert "TULIP was mapped so already" in done.stdout
    assert shell.run("mapping", "set", "miami", "TULIP", "--product-code", "OTHER").returncode == 0
    with ledger.session() as session:
        (mapping,) = session.scalars(select(Mapping))
        assert (mapping.product_code, mapping.product_description) == ("OTHER", None)


def test_another_connection_is_not_released(shell: Shell, ledger: Ledger, world: World, database_url: str) -> None:
    other = World(world.http, world.addresses, name="quito")
    other.seed()
    elsewhere = Ledger(other, database_url, other.connection())
    try:
        wait_for(elsewhere, "TULIP", number="1")
        assert "0 order(s) released" in shell.run("mapping", "set", "miami", "TULIP", "--product-code", "X").stdout
        assert due_of(ledger) == set()
    finally:
        elsewhere.close()


def test_an_order_that_was_planned_meanwhile_is_released_too(ledger: Ledger) -> None:
    """It was planned before the mapping was there, and says only after it what it waits for."""
    (connection_id,) = ledger.runtime.connections
    order_id = wait_for(ledger, "LILY")
    with ledger.runtime.sessions.begin() as session:
        session.get_one(Order, order_id).lease_until = now(session) + timedelta(seconds=30)
    released: list[int] = []

    def give_it() -> None:
        wanted = [Wanted(connection_id, "TULIP", "TUL01", None)]
        (outcome,) = set_mappings(ledger.runtime.sessions, wanted, "ann")
        released.extend(outcome.released)

    with ledger.runtime.sessions.begin() as session:
        row = lock_order(session, order_id)
        assert row is not None
        thread = threading.Thread(target=give_it)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "it waits for the plan that is on its way"
        row.lines[0].waits_for, row.lease_until = "TULIP", None
    thread.join(10)
    assert released == [order_id]
    assert due_of(ledger) == {order_id}


def test_an_article_that_the_catalogue_does_not_know(shell: Shell, ledger: Ledger) -> None:
    arguments = ("mapping", "set", "miami", "TULIP", "--product-code", "TUL01")
    assert shell.run(*arguments).stderr == "", "the catalogue was not read yet"
    catalogue(ledger, [("LILY", "Lily")])
    done = shell.run(*arguments)
    assert done.returncode == 0
    assert "has no article TULIP" in done.stderr
    assert shell.run("mapping", "set", "miami", "LILY", "--product-code", "LIL01").stderr == ""


def test_an_article_is_known_whatever_the_case_of_its_letters(shell: Shell, ledger: Ledger) -> None:
    """Its mapping is kept under the code that Axerrio uses: under another it would help nobody."""
    catalogue(ledger, [("LILY", "Lily")])
    wait_for(ledger, "Tulip")
    for typed, code in (("lily", "LILY"), ("TULIP", "Tulip")):
        assert f"{code} is X1 in Komet" in shell.run("mapping", "set", "miami", typed, "--product-code", "X1").stdout
    assert {each["article_code"] for each in listed(shell)} == {"LILY", "Tulip"}


# -- watching them go ------------------------------------------------------------------------------------------

SET = ("mapping", "set", "miami", "TULIP", "--product-code", "TUL01")


def look_at(ledger: Ledger, order_id: int, *, article: str) -> None:
    """A worker looked at the order, and its line goes on."""
    with ledger.runtime.sessions.begin() as session:
        order = session.get_one(Order, order_id)
        order.due_at = None
        for line in order.lines:
            line.waits_for = None if line.waits_for == article else line.waits_for
        if not any(line.waits_for for line in order.lines):
            order.state = OrderState.PREBOOKED


def test_orders_are_watched_until_none_waits_for_the_mapping(shell: Shell, ledger: Ledger) -> None:
    """One of them waits for another article too: it is not waited for."""
    one, two = wait_for(ledger, "TULIP", number="1"), wait_for(ledger, "LILY", "TULIP", number="2")
    with ThreadPoolExecutor(1) as pool:
        watched = pool.submit(shell.run, *SET, "--watch")
        end = time.monotonic() + 20
        while due_of(ledger) != {one, two} and time.monotonic() < end:
            time.sleep(0.05)
        look_at(ledger, one, article="TULIP")
        with pytest.raises(TimeoutError):
            watched.result(1.5)
        look_at(ledger, two, article="TULIP")
        done = watched.result(20)
    assert done.stdout.splitlines()[1:] == ["2 of 2 order(s) went on."]
    assert (done.returncode, done.stderr) == (0, "")


def test_the_watch_ends_by_itself(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no worker runs, as an example."""
    order = wait_for(ledger, "TULIP")
    monkeypatch.setattr(mappings, "_WATCH_SECONDS", 0.1)
    monkeypatch.setattr(mappings, "_WATCH_PAUSE", 0.02)
    (connection_id,) = ledger.runtime.connections
    opened = assembly.Ledger(ledger.engine, ledger.runtime.sessions)
    mappings._watch(opened, Wanted(connection_id, "TULIP", "TUL01", None), [order], on_stderr=False)
    said = capsys.readouterr()
    assert said.out == "0 of 1 order(s) went on.\n"
    assert "1 wait still; nothing is lost: see `axkomet status`" in said.err


def test_whoever_watches_may_go(shell: Shell, ledger: Ledger) -> None:
    """At a terminal orders are watched unasked, and Ctrl-C ends only that."""
    order = wait_for(ledger, "TULIP")
    done = shell.run_on_terminal(*SET, answers={"0/1": "\x03"})
    assert done.returncode == 0
    assert "1 order(s) released." in done.stdout
    assert "0 of 1 order(s) went on." in done.stdout
    assert "1 wait still; nothing is lost" in done.stdout
    assert due_of(ledger) == {order}
    assert "went on" not in shell.run_on_terminal(*SET, "--no-watch").stdout
    assert "went on" not in shell.run(*SET).stdout, "a script does not wait"
    done = shell.run(*SET, "--json")
    assert json.loads(done.stdout) == {
        "connection": "miami",
        "article_code": "TULIP",
        "product_code": "TUL01",
        "product_description": None,
        "changed": False,
        "in_catalogue": True,
        "released": [order],
    }


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (
            3,
            ["set", "maimi", "TULIP", "--product-code", "X"],
            "maimi is no connection of the ledger, which knows miami",
        ),
        (2, ["set", "miami", "TULIP"], "Name Komet's product with --product-code, --product-description or both"),
        (2, ["set", "miami", "TULIP", "--product-code", " "], "Name Komet's product"),
        (2, ["set", "miami", " ", "--product-code", "X"], "Name the article"),
        (2, ["set", "miami", "TULIP", "--product-code", "…"], "put Komet's code in place of …"),
        (2, ["set", "miami", "…", "--product-description", "Tulip"], "put Axerrio's code in place of …"),
        (2, ["list", "--connection", "maimi"], "--connection maimi is no connection of the ledger, which knows miami"),
    ],
)
def test_mistakes(shell: Shell, ledger: Ledger, code: int, arguments: list[str], words: str) -> None:
    assert words in shell.complaint(code, "mapping", *arguments)
