"""However wide a terminal is, no id is cut; colours are for terminals, and only where they are wanted."""

import re

import pytest

from tests.cli.conftest import Shell
from tests.processes.plant import Json
from tests.sync.conftest import Ledger
from tests.world import World

SGR = re.compile(r"\x1b\[([0-9;]*)m")
WIDTHS = (60, 100, 200)


def plain(screen: str) -> str:
    """Without what only a terminal understands."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)


def colours(screen: str) -> list[str]:
    """The colours that are asked for: bold and the like are none."""
    codes = [code for found in SGR.findall(screen) for code in found.split(";") if code]
    return [code for code in codes if int(code) in (*range(30, 39), *range(40, 49), *range(90, 108))]


def ids(order: Json) -> set[str]:
    """What somebody may want to copy from the screen."""
    found = {order["name"], order["axerrio"]["key"], *(each["kind"] for each in order["writes"])}
    for line in order["lines"]:
        for item in line["prebook_items"]:
            found |= {item["id"], item["prebook_number"], item["truck_date"], item["departure_date"]}
        for bought in line["purchase_order_items"]:
            found |= {bought["id"], bought["number"], bought["ship_date"], *bought["box_codes"]}
        for box in line["boxes_shipped"]:
            found |= {box["box_code"], box["ship_date"], *box["awb"].split()}
    return found


@pytest.fixture
def shipped(ledger: Ledger, world: World) -> Json:
    """An order with everything that an order can have, and codes as long as Komet takes them."""
    world.in_axerrio("tenant-settings", print_labels=True)
    long = "Rose Freedom 50 cm, extra long stems, for the feast of the fourteenth of February"
    article = {"key": "A-100", "code": "RFREE50", "description": long}
    new = {"key": "A-9", "code": "NEW1", "description": "Something new"}
    key = world.place(lines=[world.line("1", article=article), world.line("2", article=new)])
    ledger.live(180)
    world.approve()
    ledger.live(120)
    for n, label in enumerate(world.tenant["labels"]):
        world.in_axerrio("reprint", label_id=label["labelId"], box_code=f"AX{n:018}")
    world.in_axerrio("ship", order_keys=[key], awb="729-1234 5675")
    ledger.live(180)
    assert [line["state"] for line in ledger.order(key)["lines"]] == ["shipped", "mapping_required"]
    return ledger.order(key)


def test_no_id_is_cut(shell: Shell, shipped: Json) -> None:
    feeds = {"sales-orders", "labels", "shipments", "articles", "komet-prebooks", "komet-purchase-orders"}
    for columns in WIDTHS:
        screen = shell.run_on_terminal("orders", "show", shipped["name"], columns=columns).stdout
        words = set(re.split(r"[\s,:;()]+", plain(screen)))
        assert ids(shipped) - words == set()
        assert max(len(line) for line in plain(screen).splitlines()) <= columns
        screen = shell.run_on_terminal("status", columns=columns).stdout
        words = set(re.split(r"[\s,:;()]+", plain(screen)))
        assert {"miami", *feeds} - words == set()
        assert max(len(line) for line in plain(screen).splitlines()) <= columns


def test_colours_are_for_terminals_where_they_are_wanted(shell: Shell, ledger: Ledger, world: World) -> None:
    key = world.place()
    ledger.live(60)
    for command in (("orders", "show", f"axerrio:{key}"), ("status",)):
        assert colours(shell.run_on_terminal(*command).stdout)
        assert not colours(shell.run_on_terminal(*command, NO_COLOR="1").stdout)
        assert "\x1b" not in shell.run(*command).stdout
