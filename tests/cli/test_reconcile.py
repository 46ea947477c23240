"""The drift report: a fresh read of both systems, and each way in which they can differ, planted by hand."""

import json
import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from clients.komet.mark import NOBODYS
from models.canonical import Origin
from models.database import now
from models.states import WINDOW, Feed
from models.tables import Connection, Order, PrebookItem, PurchaseOrderItem, Scope
from tests.cli.conftest import Shell
from tests.processes.plant import Json, connections_toml
from tests.sync.conftest import Ledger
from tests.sync.docks import approved, polls, ship, shipped
from tests.sync.in_komet import covering, items_of, prebooks_of
from tests.world import World

KEYS = ["kind", "connection", "order", "line_key", "ours", "theirs", "next_command"]
#: So slow that what was received a moment ago is still about to be sent, however slow the machine.
SLOW = {"AXKOMET_POLL_SECONDS": "60"}


def reconcile(shell: Shell, ledger: Ledger, *arguments: str, code: int, stderr: str = "") -> list[Json]:
    """The drift, by the command with --json; its count of requests must be the sandbox's own."""
    shell.later(ledger)
    before = sum(ledger.world.company["requests"].values())
    done = shell.run("reconcile", "--json", *arguments, **SLOW)
    report = json.loads(done.stdout)
    assert (done.returncode, sorted(report)) == (code, ["drift", "requests"]), done
    assert report["requests"] == sum(ledger.world.company["requests"].values()) - before
    assert done.stderr == "" if not stderr else stderr in done.stderr, done.stderr
    assert all(list(each) == KEYS for each in report["drift"])
    drift: list[Json] = report["drift"]
    return drift


def kinds(drift: list[Json]) -> list[tuple[str, str | None]]:
    return [(each["kind"], each["line_key"]) for each in drift]


def assert_runs(shell: Shell, drift: list[Json]) -> None:
    """Each next command works as it is."""
    for command in dict.fromkeys(each["next_command"] for each in drift):
        words = command.split()
        assert words[0] == "axkomet"
        done = shell.run(*words[1:])
        assert (done.returncode, done.stderr) == (0, ""), done


# -- nothing differs -------------------------------------------------------------------------------------------


def test_an_order_of_axerrio_is_no_drift_on_its_way(shell: Shell, ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", print_labels=True)
    assert reconcile(shell, ledger, code=0) == []
    key = world.place(lines=[world.line("1"), world.mixed("2")])
    assert reconcile(shell, ledger, code=0) == []
    assert ledger.state(key) == "received", "the command read it, and leaves it to the worker"
    seen = []
    for _ in range(12):
        ledger.feed_and_send()
        assert reconcile(shell, ledger, code=0) == []
        ledger.step()
        assert reconcile(shell, ledger, code=0) == []
        ledger.pass_time(10)
        seen.append(ledger.state(key))
        if seen[-1] == "ordered":
            world.approve()
            assert reconcile(shell, ledger, code=0) == [], "the approval is about to be told"
        if seen[-1] == "approved":
            break
    assert {"ordered", "approved"} <= set(seen), seen
    ship(world, key, boxes={"1": 3, "2": 2})
    assert reconcile(shell, ledger, code=0) == []
    polls(ledger)
    assert reconcile(shell, ledger, code=0) == [], "one box is left behind"
    ship(world, key)
    polls(ledger)
    assert ledger.state(key) == "shipped"
    assert reconcile(shell, ledger, code=0) == []
    (screen,) = [shell.run("reconcile", **SLOW).stdout]
    assert "No drift" in screen
    assert re.search(r"1 open order\(s\) compared, [0-9]+ Komet request\(s\) made", screen)


@pytest.mark.thorough
def test_an_order_of_komet_is_no_drift_on_its_way(shell: Shell, ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", print_labels=True)
    sold = world.sell_in_komet()
    number = str(sold["number"])
    assert reconcile(shell, ledger, code=0) == []
    seen = []
    for _ in range(12):
        ledger.step()
        assert reconcile(shell, ledger, code=0) == []
        ledger.pass_time(10)
        seen.append(ledger.state(number))
        if seen[-1] == "ordered":
            world.approve()
            assert reconcile(shell, ledger, code=0) == []
        if seen[-1] == "approved":
            break
    assert {"ordered", "approved"} <= set(seen), seen
    ship(world, ledger.order(number)["axerrio"]["key"])
    assert reconcile(shell, ledger, code=0) == []
    polls(ledger)
    assert ledger.state(number) == "shipped"
    assert reconcile(shell, ledger, code=0) == []


# -- planted by hand -------------------------------------------------------------------------------------------


def item_gone(world: World, key: str) -> None:
    world.edit(prebook_item_id=items_of(world, key)[0][1]["id"], delete=True)


def order_item_gone(world: World, key: str) -> None:
    (_, item), *_ = covering(world, items_of(world, key)[0][1]["id"])
    world.edit(purchase_order_item_id=item["id"], delete=True)


def order_gone(world: World, key: str) -> None:
    """No list of ours shows it any more: it is another vendor's."""
    (order, _), *_ = covering(world, items_of(world, key)[0][1]["id"])
    world.edit(purchase_order_number=order["number"], vendor_id=77)


def order_cancelled(world: World, key: str) -> None:
    (order, _), *_ = covering(world, items_of(world, key)[0][1]["id"])
    world.edit(purchase_order_number=order["number"], status="X")


def prebook_copied(world: World, key: str) -> None:
    world.edit(prebook_id=prebooks_of(world, key)[0]["id"], copy=True)


def item_added(world: World, key: str) -> None:
    world.edit(prebook_id=prebooks_of(world, key)[0]["id"], add_item=world.item(boxes=7))


def bought_twice(world: World, key: str) -> None:
    item = items_of(world, key)[0][1]["id"]
    items = [{"prebook_item_id": item}]
    world.control("purchase-orders", company_token=world.komet_token, ship_date=world.day(3), items=items)


def bought_alone(world: World, key: str) -> None:
    items = [world.item(boxes=5)]
    world.control("purchase-orders", company_token=world.komet_token, ship_date=world.day(3), items=items)


def item_edited(**changes: Any) -> Callable[[World, str], None]:
    def plant(world: World, key: str) -> None:
        world.edit(prebook_item_id=items_of(world, key)[0][1]["id"], **changes)

    return plant


def order_item_edited(world: World, key: str) -> None:
    (_, item), *_ = covering(world, items_of(world, key)[0][1]["id"])
    world.edit(purchase_order_item_id=item["id"], cost="0.31")


def comments_edited(world: World, key: str) -> None:
    (prebook,) = prebooks_of(world, key)
    world.edit(prebook_id=prebook["id"], comments=f"call first {prebook['comments']}")


PLANTS = [
    (item_gone, [("missing", "1")], "4 boxes HB Rose Freedom 50 cm", "no more", "poll miami komet-prebooks"),
    (prebook_copied, [("doubled", None)], "6 boxes", "6 boxes more in prebook", "orders show KEY"),
    (bought_twice, [("doubled", "1")], "4 boxes, prebook item", "4 boxes, item", "resolve KEY --line 1 --ours"),
    (bought_alone, [("unlinked", "1")], "4 boxes of the line, bought", "5 boxes Rose Freedom", "orders show KEY"),
    (item_edited(mark_code="D9"), [("different", "1")], "mark code DOCK2", "mark code D9", "resolve KEY --line 1"),
]
MORE_PLANTS = [
    (order_item_gone, [("missing", "1")], "4 boxes HB", "of purchase order", "poll miami komet-purchase-orders"),
    (order_gone, [("missing", "1"), ("missing", "2")], "boxes", "no more", "poll miami komet-purchase-orders"),
    (order_cancelled, [("missing", "1"), ("missing", "2")], "boxes", "was cancelled", "resolve KEY --line"),
    (item_added, [("doubled", None)], "6 boxes", "7 boxes Rose Freedom 50 cm more", "orders show KEY"),
    (item_edited(boxes=3), [("different", "1")], "boxes 4", "boxes 3, prebook item", "resolve KEY --line 1 --ours"),
    (item_edited(cost="0.31"), [("different", "1")], "cost 0.28", "cost 0.31", "resolve KEY --line 1 --ours"),
    (order_item_edited, [("different", "1")], "cost 0.28", "cost 0.31", "resolve KEY --line 1 --ours"),
    (comments_edited, [("different", None)], '"Axerrio KEY', '"call first', "orders show KEY"),
]


@pytest.mark.parametrize(
    ("plant", "expected", "ours", "theirs", "command"),
    [*PLANTS, *(pytest.param(*each, marks=pytest.mark.thorough) for each in MORE_PLANTS)],
)
def test_drift_planted_by_hand(
    shell: Shell,
    ledger: Ledger,
    world: World,
    plant: Callable[[World, str], None],
    expected: list[tuple[str, str | None]],
    ours: str,
    theirs: str,
    command: str,
) -> None:
    key = ledger.earn_proof()
    number = key.replace("SO-", "2026-")
    plant(world, key)
    drift = reconcile(shell, ledger, code=1)
    assert kinds(drift) == expected, drift
    for each in drift:
        assert (each["connection"], each["order"]) == ("miami", number)
        assert ours.replace("KEY", number) in each["ours"], each
        assert theirs in each["theirs"], each
        assert command.replace("KEY", number) in each["next_command"], each
    assert_runs(shell, [each for each in drift if "resolve" not in each["next_command"]])
    again = reconcile(shell, ledger, code=1)
    assert kinds(again) == expected, "a second report says the same"
    ledger.live(120)
    again = reconcile(shell, ledger, code=1)
    assert kinds(again) == expected, "and so it is after the worker saw it"
    assert_runs(shell, again)


def test_a_prebook_that_was_copied_with_its_mark_is_told_until_the_mark_is_taken_out(
    shell: Shell, ledger: Ledger, world: World
) -> None:
    """Of an order that is open, of one that has ended, and of none: it starts no order, and is not silent."""
    key = ledger.earn_proof()
    world.place(key=key, status="cancelled")
    ledger.live(120, pace=40)
    assert ledger.state(key) == "cancelled"
    comments = prebooks_of(world, key)[0]["comments"]
    known, unknown = (world.sell_in_komet(comments=each) for each in (comments, "Axerrio 1 [AX:0123456789]"))
    drift = reconcile(shell, ledger, code=1, stderr="mark of another ledger")
    assert {(each["kind"], each["order"]) for each in drift} == {
        ("missing", key.replace("SO-", "2026-")),
        ("missing", f"prebook:{unknown['number']}"),
    }
    assert_runs(shell, drift)
    for each in (known, unknown):
        world.edit(prebook_id=each["id"], comments="as always")
    ledger.live(1200, pace=600)
    assert {ledger.order(str(each["number"]))["state"] for each in (known, unknown)} == {"ordered"}
    assert reconcile(shell, ledger, code=0) == []


def test_a_prebook_with_the_mark_of_no_order_starts_none_and_is_no_drift(
    shell: Shell, ledger: Ledger, world: World
) -> None:
    """A person booked by hand what must not come to Axerrio."""
    ledger.earn_proof()
    by_hand = world.sell_in_komet(comments=f"as told by phone [AX:{NOBODYS}]")
    assert reconcile(shell, ledger, code=0, stderr="mark of another ledger") == []
    ledger.live(1200, pace=600)
    with ledger.session() as session:
        assert session.scalars(select(Order).where(Order.origin == Origin.KOMET)).all() == [], by_hand


@pytest.mark.thorough
def test_what_a_person_decided_is_no_drift_any_more(shell: Shell, ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    item_edited(mark_code="D9")(world, key)
    (drift,) = reconcile(shell, ledger, code=1)
    assert drift["next_command"].endswith("--ours")
    assert shell.run(*drift["next_command"].replace("--ours", "--theirs").split()[1:]).returncode == 0
    assert reconcile(shell, ledger, code=0) == []


@pytest.mark.thorough
def test_a_change_after_the_boxes_left_is_told_though_nothing_waits(shell: Shell, ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world)
    ship(world, key)
    polls(ledger)
    item_edited(cost="0.31")(world, key)
    order_item_edited(world, key)
    polls(ledger)
    assert (ledger.state(key), ledger.reason(key)) == ("shipped", None)
    drift = reconcile(shell, ledger, code=1)
    assert kinds(drift) == [("different", "1"), ("different", "1")], drift
    assert_runs(shell, drift)


@pytest.mark.thorough
def test_boxes_that_komet_lost(shell: Shell, ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world)
    ship(world, key)
    polls(ledger)
    codes = [box["code"] for box in shipped(world, key, "1")]
    order_item_gone(world, key)
    (drift,) = reconcile(shell, ledger, code=1)
    assert (drift["kind"], drift["line_key"]) == ("missing", "1")
    assert codes
    polls(ledger)
    (drift,) = reconcile(shell, ledger, code=1)
    assert (drift["kind"], drift["line_key"]) == ("missing", "1")
    assert_runs(shell, [drift])


def put_links(world: World, key: str, body: Json) -> None:
    """Somebody but us changes what Axerrio holds of the order's place in Komet."""
    address = f"{world.addresses['axerrio']}/api/v1/sales-orders/{key}/external-references/komet"
    headers = {
        "Authorization": f"Bearer {world.axerrio_token}",
        "X-Tenant-Id": "farm1",
        "Idempotency-Key": "by-hand",
    }
    world.http.put(address, headers=headers, json=body).raise_for_status()


def test_links_that_axerrio_lost_are_told_anew(shell: Shell, ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    before = world.axerrio_order(key)["external_references"]
    put_links(world, key, {"prebookId": None, "prebookNumber": None, "purchaseOrders": [], "lines": []})
    drift = reconcile(shell, ledger, code=1)
    assert kinds(drift) == [("missing", "1"), ("missing", "2")]
    assert "prebook item" in drift[0]["ours"]
    assert drift[0]["theirs"] == "Axerrio: no link of the line"
    assert drift[0]["next_command"].startswith("axkomet requeue ")
    assert_runs(shell, drift)
    ledger.work()
    assert world.axerrio_order(key)["external_references"] == before
    assert reconcile(shell, ledger, code=0) == []


@pytest.mark.thorough
def test_what_a_person_changed_in_axerrio_of_an_order_of_komet(shell: Shell, ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet()
    ledger.live(90)
    number = ledger.order(str(sold["number"]))["axerrio"]["key"]
    lines = world.axerrio_order(number)["lines"]
    world.place(key=number, lines=[line | {"boxes": 9} for line in lines])
    (drift,) = reconcile(shell, ledger, code=1)
    assert (drift["kind"], drift["line_key"]) == ("different", None)
    assert "boxes 4" in drift["ours"]
    assert "9" in drift["theirs"]
    assert drift["next_command"].startswith("axkomet resolve ")
    world.control("orders/delete", tenant_token=world.axerrio_token, keys=[number])
    (drift,) = reconcile(shell, ledger, code=1)
    assert (drift["kind"], drift["theirs"]) == ("missing", "Axerrio: deleted there")
    assert_runs(shell, [drift])


# -- what waits ------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_what_waits_for_a_person_is_drift_only_where_the_systems_differ(
    shell: Shell, ledger: Ledger, world: World
) -> None:
    stands = ledger.earn_proof()
    assert shell.run("hold", stands, "--reason", "they called").returncode == 0
    assert reconcile(shell, ledger, code=0) == []
    held = world.place()
    assert reconcile(shell, ledger, code=0) == []
    assert shell.run("hold", held, "--reason", "they called").returncode == 0
    drift = reconcile(shell, ledger, code=1)
    assert kinds(drift) == [("missing", "1"), ("missing", "2")]
    assert {each["order"] for each in drift} == {ledger.order(held)["axerrio"]["number"]}
    assert_runs(shell, drift[:1])
    assert "release" in drift[0]["next_command"]


@pytest.mark.thorough
def test_a_line_that_waits_for_a_mapping_stands_in_komet_all_the_same(
    shell: Shell, ledger: Ledger, world: World
) -> None:
    new = {"key": "A-9", "code": "NEW1", "description": "Something new"}
    key = world.place(lines=[world.line("1", article=new), world.line("2")])
    ledger.live(180)
    assert ledger.state(key) == "mapping_required"
    assert reconcile(shell, ledger, code=0) == []
    other = world.place(lines=[world.line("1", article=new)])
    ledger.live(180)
    drift = reconcile(shell, ledger, code=1)
    assert kinds(drift) == [("missing", "1")]
    assert drift[0]["order"] == ledger.order(other)["axerrio"]["number"]
    assert "…" not in drift[0]["next_command"]
    assert_runs(shell, drift)


def test_what_an_observing_connection_would_write_is_drift(
    shell: Shell, make_ledger: Callable[..., Ledger], world: World
) -> None:
    (shell.folder / "connections.toml").write_text(connections_toml(world.entry(mode="observe")))
    at_work = make_ledger(mode="observe")
    key = world.place()
    at_work.live(120)
    drift = reconcile(shell, at_work, code=1)
    assert kinds(drift) == [("missing", "1"), ("missing", "2")]
    assert drift[0]["theirs"] == "Komet: no prebook item"
    assert drift[0]["order"] == at_work.order(key)["axerrio"]["number"]
    assert_runs(shell, drift)


@pytest.mark.thorough
def test_what_nobody_sends_for_long_is_drift(shell: Shell, ledger: Ledger, world: World) -> None:
    world.place()
    assert reconcile(shell, ledger, code=0) == []
    ledger.pass_time(400)
    assert kinds(reconcile(shell, ledger, code=1)) == [("missing", "1"), ("missing", "2")]


@pytest.mark.thorough
def test_what_is_cancelled_and_must_not_go_is_drift(shell: Shell, ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world)
    world.place(key=key, status="cancelled")
    ledger.live(90)
    assert ledger.reason(key) == "conflict"
    drift = reconcile(shell, ledger, code=1)
    assert kinds(drift) == [("different", "1"), ("different", "2")]
    assert (drift[0]["ours"], "purchase order" in drift[0]["theirs"]) == ("Axerrio: cancelled", True)
    assert_runs(shell, drift)


# -- what cannot be read ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["error_before", *(pytest.param(each, marks=pytest.mark.thorough) for each in ("html", "truncated"))]
)
def test_a_list_that_cannot_be_read_is_told(shell: Shell, ledger: Ledger, world: World, kind: str) -> None:
    key = ledger.earn_proof()
    item_gone(world, key)
    world.fault(kind, "prebook.details.list", times=9)
    says = "miami: komet-prebooks window could not be read"
    assert reconcile(shell, ledger, code=1, stderr=says) == []
    done = shell.run("reconcile")
    assert "1 order(s) were not compared" in done.stderr
    world.fault(kind, "purchase.order.list", times=9)
    says = f"miami: komet-purchase-orders {world.day(3)} could not be read"
    assert reconcile(shell, ledger, code=1, stderr=says) == []


@pytest.mark.thorough
def test_axerrio_that_cannot_be_read_is_told_and_komet_is_compared(shell: Shell, ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    item_gone(world, key)
    for method, what in (("GET /sales-orders", "links in Axerrio"), ("GET /labels/sync", "labels")):
        world.fault("error_before", method, system="axerrio", times=9)
        drift = reconcile(shell, ledger, code=1, stderr=f"miami: {what} could not be read: HTTP 500")
        assert kinds(drift) == [("missing", "1")]


def test_a_paused_connection_is_not_called(shell: Shell, ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    shell.later(ledger)
    assert shell.run("pause", "miami", "--reason", "stock-taking").returncode == 0
    before = sum(world.company["requests"].values())
    assert reconcile(shell, ledger, code=1, stderr="stock-taking. `axkomet resume miami`") == []
    screen = shell.run("reconcile").stdout
    assert "No drift in what was read" in screen
    assert "0 open order(s) compared, 0 Komet request(s) made" in screen
    assert sum(world.company["requests"].values()) == before


def test_the_request_budget_is_kept(shell: Shell, ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    entry = world.entry()
    entry["komet"] |= {"daily_requests": 1}
    (shell.folder / "connections.toml").write_text(connections_toml(entry))
    assert reconcile(shell, ledger, code=1, stderr="1 of 1 requests of the last 24 hours are used") == []


@pytest.mark.thorough
def test_the_pace_is_kept(shell: Shell, ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    entry = world.entry()
    entry["komet"] |= {"requests_per_second": 2}
    (shell.folder / "connections.toml").write_text(connections_toml(entry))
    assert reconcile(shell, ledger, code=0) == []


@pytest.mark.thorough
def test_it_waits_for_whoever_reads_at_the_moment(shell: Shell, ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    item_gone(world, key)
    with ledger.runtime.sessions.begin() as session:
        scope = session.scalars(select(Scope).where(Scope.feed == Feed.KOMET_PREBOOKS, Scope.key == WINDOW)).one()
        scope.lease_owner, scope.lease_until = "a worker", now(session) + timedelta(seconds=2)
    began = time.monotonic()
    assert kinds(reconcile(shell, ledger, code=1)) == [("missing", "1")]
    assert time.monotonic() - began > 1


@pytest.mark.thorough
def test_what_a_worker_saw_after_the_report_began_stands(shell: Shell, ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    item_gone(world, key)
    with ledger.runtime.sessions.begin() as session:
        for table in (PrebookItem, PurchaseOrderItem):
            session.execute(update(table).values(as_of=now(session) + timedelta(seconds=60)))
    assert reconcile(shell, ledger, code=0) == []


# -- which, and mistakes ---------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_only_orders_of_a_date(shell: Shell, ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    item_gone(world, key)
    assert reconcile(shell, ledger, "--date", world.day(4), code=0) == []
    assert kinds(reconcile(shell, ledger, "--date", world.day(3), code=1)) == [("missing", "1")]
    assert kinds(reconcile(shell, ledger, "--connection", "miami", code=1)) == [("missing", "1")]


def test_a_connection_that_no_worker_has_taken_up_stays_so(shell: Shell) -> None:
    done = shell.run("reconcile", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, {"drift": [], "requests": 0})
    assert done.stderr == "axkomet: miami: no worker has taken this connection up yet.\n"
    assert json.loads(shell.run("status", "--json").stdout)["not_taken_up"] == ["miami"]


def test_a_setting_that_was_changed_is_left_to_the_workers(shell: Shell, ledger: Ledger, world: World) -> None:
    """They judge anew what waits, once they are started again."""
    (shell.folder / "connections.toml").write_text(connections_toml(world.entry() | {"change_guard": 7}))
    with ledger.session() as session:
        before = session.scalars(select(Connection.settings_hash)).one()
    assert reconcile(shell, ledger, code=0) == []
    with ledger.session() as session:
        assert session.scalars(select(Connection.settings_hash)).one() == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--connection", "lima"], "--connection lima is none of the connections file, which names miami"),
        (["--date", "tomorrow"], "--date tomorrow is no date"),
    ],
)
def test_mistakes(shell: Shell, arguments: list[str], says: str) -> None:
    assert says in shell.complaint(2, "reconcile", *arguments)
