"""The whole journey with real processes and a real broker: every write of it breaks once, and all ends as it should."""

from collections.abc import Callable, Iterable

from tests.processes.plant import Plant
from tests.world import Json, World

#: A write of each kind, the point at which the process breaks, and how.
BREAKS = {
    "axerrio.inbound-orders": ("sent", "kill"),
    "komet.purchase.order.mixed.create": ("answered", "kill"),
    "komet.purchase.order.item.delete": ("answered", "exit"),
    "komet.prebook.item.delete": ("sent", "kill"),
    "komet.purchase.order.items.awb.add": ("answered", "kill"),
    "komet.box.code.change": ("answered", "exit"),
}
#: Answers that are lost after the work was done.
LOST = (
    "purchase.order.mixed.create",
    "prebook.item.delete",
    "purchase.order.item.delete",
    "purchase.order.items.awb.add",
    "box.code.change",
)


def test_both_workflows_go_all_the_way_whatever_breaks(make_plant: Callable[..., Plant], world: World) -> None:
    plant = make_plant(workers=2)
    first = ship(plant, world, [plant.earn_proof()], "729-1234 5675")[0]  # proof for air waybills is earned by it
    for kind, (point, action) in BREAKS.items():
        plant.break_at(kind, point, action)
    lose_answers(world)
    key = world.place(lines=[world.line("1"), world.line("2", boxes=2), world.mixed("3")])
    sold = world.sell_in_komet(items=[world.item(), world.item(boxes=3)])
    gone = world.place()
    plant.wait_for_state("ordered", [key, str(sold["number"]), gone])
    world.place(key=key, lines=[world.line("1", boxes=5), world.line("2", boxes=2), world.mixed("3")])
    world.place(key=gone, status="cancelled")
    plant.wait_for_state("cancelled", [gone])
    plant.wait_until(lambda: boxes_in_komet(world, plant, key) == [5, 2, 2], 60, "the change")
    plant.wait_for_state("ordered", [key])
    born = axerrio_key(plant, str(sold["number"]))
    ship(plant, world, [key, born], "020-81140743")
    label = next(each for each in world.tenant["labels"] if each["salesOrderKey"] == key)
    reprinted = world.in_axerrio("reprint", label_id=label["labelId"])["box_code"]
    plant.wait_until(lambda: reprinted in codes_in_komet(world), 60, "the reprinted code")
    plant.wait_for_state("shipped", [first, key, born])
    assert not [file for file in plant.failpoints.iterdir() if "taken" not in file.name], "not every point was reached"
    assert len(plant.deaths) == len(BREAKS)
    assert boxes_in_komet(world, plant, gone) == []
    codes = codes_in_komet(world)
    assert sorted(codes) == sorted(label["boxCode"] for label in world.tenant["labels"])
    assert len(world.tenant["orders"]) == 4
    assert len([each for each in world.tenant["orders"] if each["origin"] == "komet"]) == 1


def lose_answers(world: World) -> None:
    faults = [
        {"system": "komet", "method": method, "kind": "lost_answer", "token": world.komet_token, "times": 1, "skip": 1}
        for method in LOST
    ]
    world.control("faults", faults=faults)


def ship(plant: Plant, world: World, keys: list[str], awb: str) -> list[str]:
    """Procurement approves, Axerrio prints the labels, and the orders leave together."""
    world.in_axerrio("tenant-settings", print_labels=True)
    world.approve()
    plant.wait_for_state("approved", keys)
    world.in_axerrio("ship", order_keys=keys, awb=awb)
    plant.wait_for_state("shipped", keys)
    return keys


def axerrio_key(plant: Plant, number: str) -> str:
    order = plant.order(number)
    assert order
    return str(order["axerrio"]["key"])


def live_items(orders: Iterable[Json]) -> list[Json]:
    return [item for order in orders for item in order["items"] if item["boxes"]]


def boxes_in_komet(world: World, plant: Plant, key: str) -> list[int]:
    """Boxes of the order's live prebook items, each covered by purchase order items of as many."""
    number = world.axerrio_order(key)["number"]
    company = world.company
    ours = [each for each in company["prebooks"] if f"Axerrio {number} [AX:" in each["comments"]]
    bought = live_items(company["purchase_orders"])
    order = plant.order(key)
    bound = [line["prebook_item_id"] for line in order["lines"]] if order else []
    items = sorted(live_items(ours), key=lambda item: bound.index(str(item["id"])) if str(item["id"]) in bound else 99)
    covered = [sum(each["boxes"] for each in bought if each["prebook_item_id"] == item["id"]) for item in items]
    return [item["boxes"] for item in items] if covered == [item["boxes"] for item in items] else [-1]


def codes_in_komet(world: World) -> list[str]:
    """Codes of all boxes on an air waybill."""
    bought = live_items(world.company["purchase_orders"])
    return [box["code"] for item in bought for box in item["shipped_boxes"]]
