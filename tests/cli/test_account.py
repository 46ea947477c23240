"""`orders show`: both systems side by side, so that a difference is seen at a glance."""

import json
import re
from collections.abc import Callable

import pytest

from tests.cli.conftest import Shell
from tests.processes.plant import Json
from tests.sync.conftest import Ledger
from tests.sync.docks import AWB, approved, codes, polls, ship
from tests.world import World


def account(shell: Shell, key: str) -> tuple[str, Json]:
    """The screen and the JSON of an order."""
    done = shell.run("orders", "show", key)
    assert done.returncode == 0, done
    shown: Json = json.loads(shell.run("orders", "show", key, "--json").stdout)
    return done.stdout, shown


def rows(screen: str, line: str) -> dict[str, str]:
    """The rows of a line's comparison by their labels, blanks made one."""
    _, _, rest = screen.partition("Line by line")[2].partition(f"line {line} ")
    rest = re.split(r"\nline |\nHistory", rest)[0]
    found = [re.sub(r"\s+", " ", each).strip() for each in rest.splitlines()[1:]]
    labels = "product|boxes|packing|ship date|truck|prebook|purchase order|air waybill|labels|other boxes|by a person"
    matches = [re.match(rf"({labels}) (.*)", each) for each in found]
    return {each[1]: each[2] for each in matches if each}


def test_both_systems_agree(shell: Shell, ordered: Json, world: World) -> None:
    screen, shown = account(shell, ordered["axerrio"]["number"])
    one = shown["lines"][0]
    (item,), (bought,) = one["prebook_items"], one["purchase_order_items"]
    told = one["axerrio"]
    assert told | {"line_key": "1", "status": "open", "boxes": 4, "packing": "HB"} == told
    assert (told["departure_date"], told["truck_date"]) == (world.day(3), world.day(5))
    assert told["prebook_item_id"] == item["id"] == one["prebook_item_id"]
    assert told["purchase_order_item_id"] == bought["id"]
    assert rows(screen, "1") == {
        "product": "RFREE50 Rose Freedom 50 cm Rose Freedom 50 cm",
        "boxes": "4 4",
        "packing": "HB HB",
        "ship date": f"{world.day(3)} {world.day(3)}",
        "truck": f"{world.day(5)} {world.day(5)}",
        "prebook": f"item {item['id']} {item['prebook_number']}, item {item['id']}",
        "purchase order": f"{bought['number']}, item {bought['id']} {bought['number']}, item {bought['id']}: 4 boxes, "
        f"ships {world.day(3)}, pending",
    }
    assert "≠" not in screen
    assert "It is ordered in Komet, and procurement has not approved all of it yet." in screen
    assert f"Whose turn: Komet user: approve the purchase order, by {world.day(3)} (truck {world.day(5)})" in screen
    assert re.search(r"komet\.prebook\.create done, 1 try, settled \d\d-\d\d \d\d:\d\d:\d\d", screen)
    assert re.search(r"received → prebooked: ", screen)


def test_what_a_person_changed_in_komet_is_marked(shell: Shell, ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    one, _ = (line["prebook_item_id"] for line in ledger.order(key)["lines"])
    world.edit(prebook_item_id=int(one), boxes=3, mark_code="DOCK9")
    ledger.live(90)
    assert ledger.reason(key) == "conflict"
    screen, _ = account(shell, key)
    first, second = rows(screen, "1"), rows(screen, "2")
    assert first["boxes"] == "4 ≠ 3"
    assert first["by a person"] == "- ≠ mark code DOCK2 → DOCK9"
    assert first["packing"] == "HB HB"
    assert "by a person" not in second
    assert "≠" not in "".join(second.values())
    assert "Next: axkomet resolve" in screen


def test_a_mapped_packing_is_no_difference(shell: Shell, world: World, make_ledger: Callable[..., Ledger]) -> None:
    """Komet's code for it is not Axerrio's; another one than that is."""
    ledger = make_ledger(packings={"HALF": "HB"})
    key = world.place(lines=[world.line("1", packing={"code": "HALF"})])
    ledger.live(180)
    assert ledger.state(key) == "ordered"
    screen, _ = account(shell, key)
    assert rows(screen, "1")["packing"] == "HALF ≠ HB"
    file = shell.folder / "connections.toml"
    file.write_text(file.read_text() + '[connection.packings]\nHALF = "HB"\n')
    screen, _ = account(shell, key)
    assert rows(screen, "1")["packing"] == "HALF HB"


@pytest.mark.thorough
def test_what_one_system_has_and_the_other_has_not(shell: Shell, ledger: Ledger, world: World) -> None:
    key = world.place(buyer={"code": "NOBODY", "name": "Nobody"})
    ledger.live(60)
    screen, shown = account(shell, key)
    assert shown["reason"]["code"] == "unmapped_reference"
    assert rows(screen, "1")["boxes"] == "4 ≠ -"
    assert "Whose turn: admin: add it to the connections file and start the workers again" in screen
    assert "Next: nothing to type; it goes on by itself once that is mended" in screen
    world.place(key=key, status="cancelled")
    ledger.live(60)
    screen, shown = account(shell, key)
    assert shown["lines"][0]["axerrio"]["status"] == "cancelled"
    assert "≠" not in screen


@pytest.mark.thorough
def test_an_order_born_in_komet_is_compared_with_axerrios_record(shell: Shell, ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet()
    ledger.live(240)
    key = f"prebook:{sold['number']}"
    assert ledger.state(key) == "ordered", ledger.order(key)
    screen, shown = account(shell, key)
    one = shown["lines"][0]
    assert one["axerrio"]["line_key"] == one["line_key"]
    found = rows(screen, one["line_key"])
    assert found["boxes"] == "4 4"
    assert found["prebook"] == f"item {sold['item_ids'][0]} {sold['number']}, item {sold['item_ids'][0]}"
    assert "≠" not in screen
    record = world.axerrio_order(shown["axerrio"]["key"])
    lines = [line | ({"boxes": 9} if line["lineKey"] == one["line_key"] else {}) for line in record["lines"]]
    world.place(key=record["key"], lines=lines)
    ledger.live(60)
    screen, _ = account(shell, key)
    assert rows(screen, one["line_key"])["boxes"] == "9 ≠ 4"


def test_an_article_that_komet_does_not_know_is_marked(shell: Shell, ledger: Ledger, world: World) -> None:
    key = world.place(lines=[world.line("1", article={"key": "A-9", "code": "NEW1", "description": "Something new"})])
    ledger.live(120)
    screen, _ = account(shell, key)
    assert rows(screen, "1")["product"] == "NEW1 Something new ≠ UNKNOWN (Komet does not know it)"


def test_what_leaves_stands_beside_what_komet_was_told(shell: Shell, ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world)
    polls(ledger, 1)
    ones, two = codes(world, key, "1"), codes(world, key, "2")
    screen, shown = account(shell, key)
    assert shown["lines"][0]["axerrio"]["labels"] == ones
    assert rows(screen, "1")["labels"] == f"{' '.join(ones)} -"
    assert "air waybill" not in rows(screen, "1")
    ship(world, key)
    polls(ledger)
    screen, shown = account(shell, key)
    (carried,) = shown["lines"][0]["axerrio"]["shipments"]
    assert carried == {"awb": AWB, "ship_date": world.day(3), "boxes": 4, "box_codes": ones}
    here, there = (f"{awb}, {world.day(3)}: {len(two)} boxes {' '.join(two)}" for awb in (AWB, "729-1234-5675"))
    assert rows(screen, "2")["air waybill"] == f"{here} {there}"
    assert "labels" not in rows(screen, "2")
    assert "≠" not in screen
