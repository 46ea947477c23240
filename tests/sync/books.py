"""What stands in both systems of an order that was born in Komet: judged from the sandbox alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.world import World

Json = dict[str, Any]


def prebook(world: World, sold: Json) -> Json:
    """The prebook as it stands in Komet."""
    found: Json = next(each for each in world.company["prebooks"] if each["id"] == sold["id"])
    return found


def external_id(sold: Json, world: World) -> str:
    """By what Axerrio knows it."""
    return f"komet-{world.komet_token}-{sold['id']}"


def in_axerrio(world: World, sold: Json) -> list[Json]:
    """Orders that Axerrio made of it."""
    name = external_id(sold, world)
    return [each for each in world.tenant["orders"] if each["external_id"] == name]


def axerrio_order(world: World, sold: Json) -> Json:
    """The one order that Axerrio made of it."""
    (order,) = in_axerrio(world, sold)
    return order


def axerrio_boxes(world: World, sold: Json) -> dict[str, int]:
    """Boxes by Komet's item id, of lines that are open in Axerrio."""
    order = axerrio_order(world, sold)
    assert order["status"] != "cancelled"
    return {line["externalLineId"]: line["boxes"] for line in order["lines"] if line["status"] == "open"}


def bought(world: World, item_id: int) -> list[tuple[str, int]]:
    """Purchase order number and boxes of what covers a prebook item."""
    return [
        (each["number"], item["boxes"])
        for each in world.company["purchase_orders"]
        for item in each["items"]
        if item["prebook_item_id"] == item_id and item["boxes"] and each["status"] != "X"
    ]


def references(world: World, key: str) -> Json:
    """What Axerrio holds of an order's place in Komet."""
    held = world.axerrio_order(key)["external_references"] or {"lines": [], "purchaseOrders": []}
    found: Json = held[0] if isinstance(held, list) else held
    return found


def assert_in_step(world: World, sold: Json, *, made: int = 0) -> Json:
    """Axerrio has the prebook once, line by line, each bought once and named by the write-back; gives its order.

    Prebooks stand in Komet by people's hands alone, but for so many that were made for orders of Axerrio's.
    """
    stands = {item["id"]: item["boxes"] for item in prebook(world, sold)["items"] if item["boxes"]}
    assert axerrio_boxes(world, sold) == {str(key): boxes for key, boxes in stands.items()}
    order = axerrio_order(world, sold)
    assert order["origin"] == "komet"
    keys = {line["externalLineId"]: line["lineKey"] for line in order["lines"]}
    named = {line["lineKey"]: line for line in references(world, order["key"])["lines"]}
    for item_id, boxes in stands.items():
        covering = bought(world, item_id)
        assert sum(each for _, each in covering) == boxes, f"{item_id}: {covering}"
        line = named[keys[str(item_id)]]
        assert (line["prebookId"], line["prebookItemId"]) == (str(sold["id"]), str(item_id))
        assert line["purchaseOrderNumber"] in {number for number, _ in covering}
    assert world.requests("prebook.create") == made
    return order


def stands(world: World, key: str) -> dict[str, tuple[Json, Json | None, Json | None]]:
    """By line of an order born in Axerrio, as its write-back names them: prebook item, purchase order, its item."""
    company = world.company
    items = {str(item["id"]): item for each in company["prebooks"] for item in each["items"]}
    orders = {str(item["id"]): (each, item) for each in company["purchase_orders"] for item in each["items"]}
    found: dict[str, tuple[Json, Json | None, Json | None]] = {}
    for line in references(world, key)["lines"]:
        purchase_order, bought_item = orders.get(str(line["purchaseOrderItemId"]), (None, None))
        found[line["lineKey"]] = (items[line["prebookItemId"]], purchase_order, bought_item)
    return found


def assert_every_line_once(world: World, key: str) -> dict[str, tuple[Json, Json, Json]]:
    """Each open line of an order born in Axerrio stands once in Komet, bought once, and is named by the write-back.

    However many prebooks it takes: a line that is made anew lands in a new one.
    """
    order = world.axerrio_order(key)
    live = [
        item["id"]
        for each in world.company["prebooks"]
        if f"Axerrio {order['number']} [AX:" in each["comments"]
        for item in each["items"]
        if item["boxes"]
    ]
    wanted = {line["lineKey"]: line["boxes"] for line in order["lines"] if line["status"] == "open"}
    named = stands(world, key)
    assert {line: item["boxes"] for line, (item, _, _) in named.items()} == wanted
    assert sorted(live) == sorted(item["id"] for item, _, _ in named.values())
    whole: dict[str, tuple[Json, Json, Json]] = {}
    for line, (item, purchase_order, bought_item) in named.items():
        assert purchase_order is not None, f"line {line} is not bought"
        assert bought_item is not None
        assert bought_item["prebook_item_id"] == item["id"]
        assert [boxes for _, boxes in bought(world, item["id"])] == [wanted[line]]
        whole[line] = (item, purchase_order, bought_item)
    return whole


#: All that can befall a call whose answer counts.
TROUBLES = ("lost_answer", "error_before", "error_after", "slow", "html", "truncated")


@contextmanager
def every_trouble(world: World, method: str, *, system: str = "komet") -> Iterator[tuple[str, ...]]:
    """Each kind of trouble strikes one call of the method, and every one must have struck in the end."""
    token = world.komet_token if system == "komet" else world.axerrio_token
    fault = {"system": system, "method": method, "token": token, "times": 1, "seconds": 1.3}
    world.control("faults", faults=[fault | {"kind": kind} for kind in TROUBLES])
    yield TROUBLES
    ordered = world.http.get(f"{world.addresses['control']}/faults").json()["faults"]
    assert {each["kind"]: each["struck"] for each in ordered} == dict.fromkeys(TROUBLES, 1)
    world.http.delete(f"{world.addresses['control']}/faults")
