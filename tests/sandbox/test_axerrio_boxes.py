"""Labels, shipments and articles keep the adapter API's contract."""

from typing import Any

import pytest

from tests.sandbox.conftest import Json, World
from tests.sandbox.test_axerrio import BOUGHT, REFERENCES, STATUS, code
from tests.sandbox.test_axerrio import order as order_of
from tests.sandbox.test_axerrio_inbound import PATH, body

LINES = [{"lineKey": "1", "boxes": 2}, {"lineKey": "2", "boxes": 1}, {"lineKey": "3", "boxes": 1}]
REFERENCED = {
    "lines": [
        BOUGHT,
        BOUGHT | {"lineKey": "2"},
        BOUGHT | {"lineKey": "3", "purchaseOrderItemId": None, "purchaseOrderNumber": None},
    ]
}


def labels(world: World) -> list[Json]:
    found: list[Json] = world.feed(of="labels")["results"]
    return found


def approved(world: World, *keys: str) -> None:
    """Orders of three lines, of which the third has no purchase order yet."""
    world.tenant("tenant-settings", print_labels=True, lot_number="234232")
    for key in keys:
        world.tenant("orders", orders=[order_of(key, lines=LINES, departureDate=world.day(4))])
        world.put(f"sales-orders/{key}/external-references/komet", REFERENCES | REFERENCED)
        world.put(f"sales-orders/{key}/procurement-status", STATUS)


def ship(world: World, *keys: str, **changes: Any) -> Json:
    shipment: Json = world.tenant("ship", **({"order_keys": list(keys), "awb": "729-1234 5675"} | changes))
    return shipment


@pytest.mark.parametrize(
    ("feed", "key", "record", "version"),
    [
        ("labels", "labelId", {"salesOrderKey": "SO-1", "lineKey": "1", "boxCode": "AX1"}, {"version": 1}),
        ("shipments", "key", {"shipDate": "2026-11-24", "awb": "1"}, {"version": 1}),
        ("articles", "key", {"code": "X", "description": "X"}, {}),
    ],
)
def test_each_feed_pages_by_sequence(world: World, feed: str, key: str, record: Json, version: Json) -> None:
    before = world.feed(of=feed)["maximumSequence"]
    saved = world.tenant(feed, **{feed: [record | {key: "a"}, record | {key: "b"}, {"raw": {key: 7}}]})[feed]
    assert [each["key"] for each in saved] == ["a", "b", f"raw-{before + 3}"]
    first, _, raw = world.feed(before, of=feed)["results"]
    assert first | record | version | {key: "a", "sequence": before + 1, "isDeleted": False} == first
    assert ("version" in first) == bool(version)
    assert raw == {key: 7, "sequence": before + 3}
    world.tenant(feed, **{feed: [{key: "a", "more": 1}]})
    world.tenant("feed/delete", feed=feed, keys=["b"])
    page = world.feed(before, of=feed)
    assert page["maximumSequence"] == before + 5
    _, changed, tombstone = page["results"]
    assert changed == first | {"more": 1, "sequence": before + 4} | ({"version": 2} if version else {})
    assert tombstone == {key: "b", "sequence": before + 5, "isDeleted": True}
    assert len(world.feed(before, limit=1, of=feed)["results"]) == 1
    assert code(world.axerrio("GET", f"{feed}/sync/x")) == (400, "validation")
    assert code(world.axerrio("GET", f"{feed}/sync/0?limit=1001")) == (400, "validation")


def test_the_articles_a_tenant_begins_with(world: World) -> None:
    first = world.feed(of="articles")["results"][0]
    assert first == {
        "key": "A-100",
        "code": "RFREE50",
        "description": "Rose Freedom 50 cm",
        "vbnCode": "1182",
        "sequence": 1,
        "isDeleted": False,
    }
    world.control("seed", tenants=[{"token": world.token, "tenant_id": "farm1", "articles": []}])
    assert world.feed(of="articles") == {"maximumSequence": 0, "results": []}


def test_labels_are_printed_once_the_order_is_approved(world: World) -> None:
    world.tenant("tenant-settings", print_labels=True, lot_number="234232")
    world.tenant("orders", orders=[order_of("SO-1", lines=LINES)])
    world.put("sales-orders/SO-1/external-references/komet", REFERENCES | REFERENCED)
    pending = STATUS | {"status": "pending", "changedAt": "2026-11-24T09:00:00+01:00"}
    world.put("sales-orders/SO-1/procurement-status", pending)
    assert labels(world) == []
    world.put("sales-orders/SO-1/procurement-status", STATUS)
    printed = labels(world)
    shown = [(label["lineKey"], label["boxIndex"], label["boxCount"]) for label in printed]
    assert shown == [("1", 1, 2), ("1", 2, 2), ("2", 1, 1)], "nothing for a line without a purchase order"
    codes = {label["boxCode"] for label in printed}
    assert len(codes) == 3
    assert all(code[:2] == "AX" and len(code) == 12 and code[2:].isdecimal() for code in codes)
    assert {(label["state"], label["symbology"], label["lotNumber"]) for label in printed} == {
        ("printed", "code128", "234232")
    }
    bought = REFERENCES | {"lines": [BOUGHT | {"lineKey": key} for key in "123"]}
    world.put("sales-orders/SO-1/external-references/komet", bought)
    world.put("sales-orders/SO-1/procurement-status", pending | {"changedAt": "2026-11-24T11:00:00+01:00"})
    assert len(labels(world)) == 3
    world.put("sales-orders/SO-1/procurement-status", STATUS | {"changedAt": "2026-11-24T12:00:00+01:00"})
    assert [label["lineKey"] for label in labels(world)] == ["1", "1", "2", "3"], "what was printed stays"


def test_nothing_is_printed_by_itself_unless_told(world: World) -> None:
    world.tenant("orders", orders=[order_of("SO-1"), order_of("SO-2", status="cancelled")])
    for key in ("SO-1", "SO-2"):
        world.put(f"sales-orders/{key}/external-references/komet", REFERENCES)
        world.put(f"sales-orders/{key}/procurement-status", STATUS)
    assert labels(world) == []
    world.tenant("tenant-settings", print_labels=True)
    assert [label["salesOrderKey"] for label in labels(world)] == ["SO-1"] * 4


def test_an_order_from_outside_is_printed_once_it_is_linked(world: World) -> None:
    world.tenant("tenant-settings", print_labels=True)
    key = world.put(PATH, body(world)).json()["salesOrderKey"]
    unbought = BOUGHT | {"purchaseOrderItemId": None, "purchaseOrderNumber": None}
    world.put(f"sales-orders/{key}/external-references/komet", REFERENCES | {"lines": [unbought]})
    assert labels(world) == []
    world.put(f"sales-orders/{key}/external-references/komet", REFERENCES)
    assert [label["boxIndex"] for label in labels(world)] == [1, 2, 3, 4]


def test_the_label_itself(world: World) -> None:
    world.tenant("labels", labels=[{"labelId": "L/1", "boxCode": "AX0000012345"}])

    def content(accept: str, label: str = "L%2F1") -> Any:
        return world.axerrio("GET", f"labels/{label}/content", headers={"Accept": accept})

    zpl = content("application/zpl")
    assert (zpl.status_code, zpl.headers["content-type"]) == (200, "application/zpl")
    assert zpl.text.startswith("^XA")
    assert "^FDAX0000012345^FS" in zpl.text
    pdf = content("text/html, application/pdf;q=0.9")
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-")
    assert b"AX0000012345" in pdf.content
    assert code(content("text/html")) == (406, "not-acceptable")
    assert code(content("*/*", "L-9")) == (404, "does-not-exist")
    world.tenant("feed/delete", feed="labels", keys=["L/1"])
    assert code(content("*/*")) == (410, "deleted")


def test_a_shipment_takes_the_printed_labels(world: World) -> None:
    approved(world, "SO-1", "SO-2")
    printed = labels(world)
    made = ship(world, "SO-1", "SO-2", house_awb="CM-1", is_temporary=True, boxes={"1": 1, "2": 0})
    [shipment] = world.feed(of="shipments")["results"]
    assert shipment == {
        "key": made["key"],
        "sequence": 1,
        "version": 1,
        "isDeleted": False,
        "shipDate": world.day(4),
        "awb": "729-1234 5675",
        "houseAwb": "CM-1",
        "isTemporaryAwb": True,
        "lines": [
            {"salesOrderKey": "SO-1", "lineKey": "1", "boxes": 1, "boxCodes": [printed[0]["boxCode"]]},
            {"salesOrderKey": "SO-2", "lineKey": "1", "boxes": 1, "boxCodes": [printed[3]["boxCode"]]},
        ],
    }
    rest = ship(world, "SO-1", with_label_ids=True, ship_date="2026-11-30")
    assert [(line["lineKey"], line["labelIds"]) for line in rest["lines"]] == [
        ("1", [printed[1]["labelId"]]),
        ("2", [printed[2]["labelId"]]),
    ]
    assert world.feed(1, of="shipments")["results"][0]["shipDate"] == "2026-11-30"
    url = f"{world.addresses['control']}/ship"
    again = {"tenant_token": world.token, "order_keys": ["SO-1"], "awb": "1"}
    assert world.http.post(url, json=again).status_code == 400
    world.tenant("feed/delete", feed="shipments", keys=[rest["key"]])
    assert len(ship(world, "SO-1")["lines"]) == 2, "what did not leave can leave"
    world.tenant("shipments", shipments=[{"key": made["key"], "awb": "020-81140743", "isTemporaryAwb": False}])
    changed = world.feed(of="shipments")["results"][-1]
    assert (changed["key"], changed["version"], changed["awb"], changed["lines"]) == (
        made["key"],
        2,
        "020-81140743",
        shipment["lines"],
    )
    assert world.dump("tenants")["shipments"][0] == changed


def test_a_reprint_and_a_void_are_new_versions(world: World) -> None:
    approved(world, "SO-1")
    first, second, third = labels(world)
    reprinted = world.tenant("reprint", label_id=first["labelId"])
    world.tenant("reprint", label_id=second["labelId"], box_code="AX-MINE")
    world.tenant("void", label_ids=[third["labelId"]])
    one, two, void = labels(world)
    assert one == first | {"version": 2, "sequence": 4, "boxCode": reprinted["box_code"]}
    assert one["boxCode"] != first["boxCode"]
    assert (two["boxCode"], two["version"]) == ("AX-MINE", 2)
    assert (void["state"], void["labelId"]) == ("void", third["labelId"])
    assert [line["lineKey"] for line in ship(world, "SO-1")["lines"]] == ["1"], "a void label does not leave"
    assert [label["state"] for label in world.dump("tenants")["labels"]] == ["printed", "printed", "void"]
    world.put("sales-orders/SO-1/procurement-status", STATUS | {"changedAt": "2026-11-24T12:00:00+01:00"})
    again = labels(world)[-1]
    assert (again["lineKey"], again["boxIndex"]) == ("2", 1)
    assert again["boxCode"] != void["boxCode"], "a box whose label is void gets another"


def test_a_planned_label_does_not_leave(world: World) -> None:
    world.tenant("orders", orders=[order_of("SO-1")])
    label = {"salesOrderKey": "SO-1", "lineKey": "1"}
    planned = label | {"labelId": "L-1", "boxIndex": 1, "boxCode": "A", "state": "planned"}
    world.tenant("labels", labels=[planned, label | {"labelId": "L-2", "boxIndex": 2, "boxCode": "B"}])
    [line] = ship(world, "SO-1")["lines"]
    assert line["boxCodes"] == ["B"]
