"""`check` on the first day: clocks, rights, and the connections file against what Komet lists."""

import json
from collections.abc import Callable
from unittest.mock import Mock

import pytest
from sqlalchemy import select

from clients.errors import ClientError, NoTurn, RefusalKind, Refused
from models.states import Kind
from models.tables import Connection
from tests.cli.conftest import Shell
from tests.clients.sockets import answering, serving
from tests.processes.plant import Json
from tests.sync.conftest import Ledger
from tests.sync.test_upstreams import METHODS
from tests.world import World
from worker.check import _komet as check_of_komet

TICK = "(Setup, Settings, Integrations, Tokens)"


def check(shell: Shell, code: int = 1) -> dict[str, Json]:
    """The lines by name; of several with one name the last."""
    done = shell.run("check", "--json")
    assert done.returncode == code, done.stdout
    lines = json.loads(done.stdout)
    assert all(set(line) == {"name", "ok", "message", "fix"} for line in lines)
    assert all((line["fix"] is None) == line["ok"] for line in lines)
    return {line["name"]: line for line in lines}


def add(shell: Shell, text: str) -> None:
    """Add to the connection, whose last table is [connection.buyers]."""
    file = shell.folder / "connections.toml"
    file.write_text(file.read_text() + text)


# -- clocks ----------------------------------------------------------------------------------------------------


def test_clocks_that_differ(shell: Shell, world: World, ledger: Ledger) -> None:
    lines = check(shell, 0)
    assert lines["database clock"]["message"] == "agrees with this machine's"
    assert lines["miami: Axerrio clock"]["message"] == "agrees with the database's"
    world.in_axerrio("tenant-settings", clock_offset_seconds=-90)
    lines = check(shell)
    assert [name for name, each in lines.items() if not each["ok"]] == ["miami: Axerrio clock"]
    assert lines["miami: Axerrio clock"]["message"] in (
        "is 90 s behind the database's",
        "is 91 s behind the database's",
    )
    assert "NTP" in lines["miami: Axerrio clock"]["fix"]
    ledger.pass_time(600)
    shell.later(ledger)
    lines = check(shell)
    assert "ahead of this machine's" in lines["database clock"]["message"]


# -- whose it is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "said"),
    [("Farm time", "names the time zone Farm time, which"), (None, "names the time zone of nowhere, ")],
)
def test_an_axerrio_whose_time_zone_nobody_knows(shell: Shell, world: World, zone: str | None, said: str) -> None:
    file = shell.folder / "connections.toml"
    with serving(answering(json.dumps({"tenantId": "farm1", "timeZone": zone}))) as axerrio:
        file.write_text(file.read_text().replace(world.addresses["axerrio"], axerrio.url))
        lines = check(shell)
    assert [name for name, each in lines.items() if not each["ok"]] == ["miami: Axerrio"]
    assert said in lines["miami: Axerrio"]["message"]
    assert "Europe/Amsterdam" in lines["miami: Axerrio"]["fix"]


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (Refused("komet", "x", "no", RefusalKind.TOKEN), "mend the token"),
        (
            Refused("komet", "x", "no", RefusalKind.RIGHT),
            "tick the method {method} for the vendor token in Komet",
        ),
        (Refused("komet", "x", "no", RefusalKind.LIMIT), "wait, and try again: other programs use the company's"),
        (Refused("komet", "x", "no", RefusalKind.OTHER), "mend what Komet names, and try again"),
        (NoTurn("komet", "x", "no", 3.0), "try again: the workers ask"),
    ],
)
def test_what_is_to_be_done_depends_on_what_komet_says(error: ClientError, fix: str) -> None:
    def fail(**_: object) -> None:
        raise error

    komet = Mock(list_box_types=fail, list_carriers=fail, list_prebooks=fail, list_purchase_orders=fail)
    told = list(check_of_komet(Mock(komet=komet)))
    methods = ["boxtype.list", "carrier.list", "prebook.details.list", "purchase.order.list"]
    assert [each["message"] for each in told] == ["no"] * len(methods)
    assert all(each["fix"].startswith(fix.format(method=method)) for each, method in zip(told, methods, strict=True))


# -- write methods ---------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_write_method_shows_its_last_answer(shell: Shell, ledger: Ledger, world: World) -> None:
    methods = {each.value.removeprefix("komet.") for each in Kind if each.value.startswith("komet.")}
    lines = check(shell, 0)
    assert {lines[f"miami: Komet {each}"]["message"] for each in methods} == {"never called yet"}
    ledger.earn_proof()
    lines = check(shell, 0)
    assert lines["miami: Komet prebook.create"]["message"].startswith("last answer: done, 20")
    assert lines["miami: Komet purchase.order.create"]["message"].startswith("last answer: done, 20")
    assert lines["miami: Komet box.code.change"]["message"] == "never called yet"
    world.fault("refuse", "prebook.create", message="The dock is closed.")
    world.place()
    ledger.live(60)
    line = check(shell, 0)["miami: Komet prebook.create"]
    assert line["message"].startswith("last answer: refused, 20")
    assert "The dock is closed." in line["message"]


def test_a_method_that_is_refused_names_the_tick(shell: Shell, ledger: Ledger, world: World) -> None:
    world.settings(rights=[each for each in METHODS if each != "prebook.create"])
    world.place()
    ledger.live(60)
    line = check(shell)["miami: Komet prebook.create"]
    assert not line["ok"], "one order alone was refused, and the method is not paused yet"
    assert f"tick the method prebook.create for the vendor token in Komet {TICK}" in line["fix"]
    world.place()
    ledger.live(60)
    line = check(shell)["miami: Komet prebook.create"]
    assert line["message"].startswith("refused to our token since 20")
    assert TICK in line["fix"]
    assert "axkomet poll miami" in line["fix"]


# -- the connections file --------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("text", "name", "message", "fix"),
    [
        ('[connection.carriers]\nARM = "XYZ"\n', "carriers", "no active carrier XYZ", "set ARM to one of ARM, PRIME"),
        ('[connection.packings]\nHX = "BIG"\n', "packings", "no box type BIG", "set HX to one of EB, FB, HB, QB"),
        ('" B" = "C1"\n', "buyers", "buyer ' B' or its customer has blanks", "[connection.buyers] of miami in "),
    ],
)
def test_a_code_that_komet_does_not_list(shell: Shell, text: str, name: str, message: str, fix: str) -> None:
    add(shell, text)
    lines = check(shell)
    assert [each for each, line in lines.items() if not line["ok"]] == [f"miami: {name}"]
    assert message in lines[f"miami: {name}"]["message"]
    assert fix in lines[f"miami: {name}"]["fix"]


def test_the_inbound_carrier_must_be_listed_too(shell: Shell) -> None:
    file = shell.folder / "connections.toml"
    table = "[connection.komet]\n"
    file.write_text(file.read_text().replace(table, f'{table}inbound_carrier_code = "ZZ"\n'))
    line = check(shell)["miami: carriers"]
    assert line["message"] == "inbound_carrier_code is ZZ there, and Komet lists no active carrier ZZ"
    assert "under [connection.komet] of miami" in line["fix"]


def test_codes_that_komet_lists(shell: Shell) -> None:
    add(shell, '[connection.carriers]\nTRUCK = "PRIME"\n[connection.packings]\nHALF = "HB"\n')
    lines = check(shell, 0)
    assert lines["miami: carriers"]["message"].startswith("1 mapped, and Komet lists each")
    assert lines["miami: packings"]["message"].startswith("1 mapped, and Komet lists each")
    assert "cannot be checked, since a vendor token may not list them" in lines["miami: buyers"]["message"]


def test_lists_that_cannot_be_read_now_count_as_last_read(shell: Shell, ledger: Ledger, world: World) -> None:
    world.settings(rights=[each for each in METHODS if each != "carrier.list"])
    add(shell, '[connection.carriers]\nARM = "XYZ"\n')
    line = check(shell)["miami: carriers"]
    assert line["ok"]
    assert "cannot be checked" in line["message"]
    world.settings(rights=None)
    ledger.work()
    world.settings(rights=[each for each in METHODS if each != "carrier.list"])
    lines = check(shell)
    assert not lines["miami: carriers"]["ok"]
    assert not lines["miami: Komet carrier.list"]["ok"]


def test_no_buyer_at_all(shell: Shell) -> None:
    file = shell.folder / "connections.toml"
    file.write_text(file.read_text().replace('MIAFLOWERS = "C100"\n', ""))
    line = check(shell)["miami: buyers"]
    assert "no order can go" in line["message"]
    assert 'MIAFLOWERS = "C100" under [connection.buyers] of miami in ' in line["fix"]


def test_what_orders_wait_for_is_named_and_goes_on_once_it_is_there(
    shell: Shell, ledger: Ledger, world: World, make_ledger: Callable[..., Ledger]
) -> None:
    buyer, carrier, packing = keys = [
        world.place(buyer={"code": "NEW", "name": "New"}),
        world.place(carrierCode="TRUCK9"),
        world.place(lines=[world.line("1", packing={"code": "HX"})]),
    ]
    ledger.live(120)
    assert [ledger.reason(key) for key in keys] == ["unmapped_reference"] * 3
    done = shell.run("check", "--json")
    found = [line for line in json.loads(done.stdout) if line["name"] == "miami: unmapped"]
    assert [line["fix"].split(" under ")[0] for line in found] == [
        'add NEW = "Komet\'s customer code"',
        "set TRUCK9 to one of ARM, PRIME",
        "set HX to one of EB, FB, HB, QB",
    ]
    assert all(line["message"].startswith(f"1 order(s) wait, the first leaves {world.day(3)}: ") for line in found)
    add(shell, 'NEW = "C100"\n[connection.carriers]\nTRUCK9 = "ARM"\n[connection.packings]\nHX = "HB"\n')
    assert check(shell)["miami: unmapped"]["fix"] == "it is mapped now: start the workers again"
    with ledger.session() as session:  # the workers would not see that their settings changed
        assert session.scalar(select(Connection.settings_hash)) == ledger.settings.digest()
    ledger.live(30)
    again = make_ledger(buyers={"MIAFLOWERS": "C100", "NEW": "C100"}, carriers={"TRUCK9": "ARM"}, packings={"HX": "HB"})
    again.offset = ledger.offset
    again.live(180)
    assert [again.state(key) for key in (buyer, carrier, packing)] == ["ordered"] * 3
    assert "miami: unmapped" not in check(shell, 0)


def test_a_customer_of_komet_without_a_buyer(shell: Shell, make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(buyers={"OTHER": "C999"})
    world.sell_in_komet()
    ledger.live(120)
    file = shell.folder / "connections.toml"
    file.write_text(file.read_text().replace('MIAFLOWERS = "C100"', 'OTHER = "C999"'))
    line = check(shell)["miami: unmapped"]
    assert 'add Axerrio\'s buyer = "C100" under [connection.buyers], or a default_buyer, of miami' in line["fix"]
