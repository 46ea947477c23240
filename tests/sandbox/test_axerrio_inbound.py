"""Inbound orders keep the adapter API's contract."""

from typing import Any

import pytest

from tests.sandbox.conftest import Json, World
from tests.sandbox.test_axerrio import BOUGHT, REFERENCES, STATUS, code

PATH = "inbound-orders/komet-MIA-991201"
ARTICLE = {"code": "RFREE50", "description": "Rose Freedom 50 cm"}


def line(name: str = "881001", **changes: Any) -> Json:
    body = {
        "externalLineId": name,
        "article": ARTICLE,
        "packing": {"code": "HB"},
        "boxes": 4,
        "bunchesPerBox": 10,
        "stemsPerBunch": 25,
        "unitType": "stem",
        "unitCost": "0.28",
    } | changes
    return {name: value for name, value in body.items() if value is not None}


def body(world: World, *lines: Json, **changes: Any) -> Json:
    header = {
        "origin": "komet",
        "buyer": {"code": "C100", "name": "Miami Flowers Inc"},
        "carrierCode": "ARM",
        "truckDate": world.day(6),
        "lines": list(lines or (line(),)),
    } | changes
    return {name: value for name, value in header.items() if value is not None}


def order(world: World) -> Json:
    """The newest record of the feed."""
    record: Json = world.feed()["results"][-1]
    return record


def statuses(answer: Json) -> list[tuple[str, str | None]]:
    return [(each["status"], each["code"]) for each in answer["lines"]]


def test_an_accepted_order_is_in_the_feed(world: World) -> None:
    sent = body(world, line(), line("881002", boxes=2, unitCost=0.3), comments="soft", more=1)
    answer = world.put(PATH, sent)
    assert answer.status_code == 201
    record = order(world)
    assert answer.json() == {
        "externalId": "komet-MIA-991201",
        "salesOrderKey": record["key"],
        "salesOrderNumber": record["number"],
        "status": "accepted",
        "lines": [
            {"lineKey": "1", "externalLineId": "881001", "status": "accepted", "code": None, "message": None},
            {"lineKey": "2", "externalLineId": "881002", "status": "accepted", "code": None, "message": None},
        ],
    }
    assert world.axerrio("GET", PATH).json() == answer.json()
    assert (record["origin"], record["externalId"], record["status"]) == ("komet", "komet-MIA-991201", "confirmed")
    assert (record["comments"], record["departureDate"], record["version"]) == ("soft", world.day(4), 1)
    assert "more" not in record
    shown = [(each["lineKey"], each["externalLineId"], each["status"]) for each in record["lines"]]
    assert shown == [("1", "881001", "open"), ("2", "881002", "open")]
    assert record["lines"][0]["article"] == ARTICLE | {"key": "A-100", "vbnCode": "1182"}
    assert [each["unitCost"] for each in record["lines"]] == ["0.28", 0.3], "as they were written"
    assert world.axerrio("GET", f"sales-orders/{record['key']}").json() == record


def test_an_unchanged_order_bumps_nothing(world: World) -> None:
    first = world.put(PATH, body(world))
    again = world.put(PATH, body(world))
    assert (again.status_code, again.json()) == (200, first.json())
    assert world.feed()["maximumSequence"] == 1
    world.put(PATH, body(world, departureDate=world.day(5)))
    assert (order(world)["version"], order(world)["departureDate"]) == (2, world.day(5))


def test_a_replace_replaces_the_whole(world: World) -> None:
    first = world.put(PATH, body(world, line(), line("881002"), comments="soft")).json()
    answer = world.put(PATH, body(world, line("881003"), line("881002", boxes=9))).json()
    assert (answer["salesOrderKey"], answer["salesOrderNumber"]) == (first["salesOrderKey"], first["salesOrderNumber"])
    assert [(each["lineKey"], each["externalLineId"]) for each in answer["lines"]] == [("3", "881003"), ("2", "881002")]
    record = order(world)
    assert record["comments"] == ""
    shown = [(each["lineKey"], each["externalLineId"], each["status"], each["boxes"]) for each in record["lines"]]
    assert shown == [("1", "881001", "cancelled", 4), ("2", "881002", "open", 9), ("3", "881003", "open", 4)]
    world.put(PATH, body(world, line(), line("881002", boxes=9)))
    assert [each["status"] for each in order(world)["lines"]] == ["open", "open", "cancelled"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"buyer": {"name": "?"}}, "/buyer/code"),
        ({"truckDate": None}, "/truckDate"),
        ({"truckDate": "24-11-2026"}, "/truckDate"),
        ({"departureDate": "2026-13-01"}, "/departureDate"),
        ({"origin": "axerrio"}, "/origin"),
        ({"lines": []}, "/lines"),
        ({"lines": [line(externalLineId=None)]}, "/lines/0/externalLineId"),
        ({"lines": [line(article={"code": "RFREE50"})]}, "/lines/0/article/description"),
        ({"lines": [line(), line("2", packing={})]}, "/lines/1/packing/code"),
        ({"lines": [line(boxes=None)]}, "/lines/0/boxes"),
        ({"lines": [line(boxes="4")]}, "/lines/0/boxes"),
        ({"lines": [line(unitCost="cheap")]}, "/lines/0/unitCost"),
        ({"lines": [line(unitType="Stem")]}, "/lines/0/unitType"),
        ({"lines": [line(), line()]}, ""),
    ],
)
def test_a_wrong_order_is_refused_by_its_field(world: World, change: Json, pointer: str) -> None:
    answer = world.put(PATH, body(world, **change))
    assert code(answer) == (422, "validation")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert code(world.axerrio("GET", PATH)) == (404, "does-not-exist")
    assert code(world.put(f"inbound-orders/{'x' * 65}", body(world))) == (422, "validation")


def test_what_komet_does_not_show_may_be_missing(world: World) -> None:
    bare = line(article={"description": "rose MONDIAL 50 cm"}, unitCost=None)
    part = {"article": {"description": "Rose Freedom 50 cm"}, "bunches": 10, "stemsPerBunch": 25}
    odd = line("881002", article={"description": "Odd box"}, breakdown=[part])
    assert world.put(PATH, body(world, bare, odd)).status_code == 201
    first, second = order(world)["lines"]
    assert (first["article"]["code"], first["article"]["description"]) == ("RMOND50", "Rose Mondial 50 cm")
    assert "unitCost" not in first
    assert second["breakdown"][0]["article"]["key"] == "A-100"
    made = world.feed(of="articles")["results"][-1]
    assert {name: made[name] for name in second["article"]} == second["article"], "an article of its own was made"
    assert made["code"]
    assert made["description"] == "Odd box"


def test_unknown_articles_are_refused_line_by_line(world: World) -> None:
    world.tenant("tenant-settings", knows_all_articles=False)
    part = {"article": {"description": "Odd rose"}, "bunches": 10, "stemsPerBunch": 25}
    by_code = line("3", article={"code": "rfree50", "description": "Odd rose"})
    sent = body(world, line("1", article={"code": "ODD", "description": "Odd"}), line("2", breakdown=[part]), by_code)
    answer = world.put(PATH, sent).json()
    assert answer["status"] == "accepted"
    assert statuses(answer) == [("rejected", "unknown-article")] * 2 + [("accepted", None)]
    assert "ODD" in answer["lines"][0]["message"]
    assert answer["lines"][0]["lineKey"] is None
    assert [each["externalLineId"] for each in order(world)["lines"]] == ["3"]
    world.tenant("articles", articles=[{"key": "A-1", "code": "ODD", "description": "Odd rose"}])
    assert statuses(world.put(PATH, sent).json()) == [("accepted", None)] * 3, "the same order, now known"
    assert [each["externalLineId"] for each in order(world)["lines"]] == ["3", "1", "2"]


def test_refused_lines_and_an_order_with_no_other(world: World) -> None:
    reason = {"code": "no-stock", "message": "Sold out"}
    world.tenant("tenant-settings", reject_lines={"881001": reason, "881002": reason})
    answer = world.put(PATH, body(world, line(), line("881002"))).json()
    assert (answer["status"], answer["salesOrderKey"]) == ("rejected", None)
    assert statuses(answer) == [("rejected", "no-stock")] * 2
    assert answer["lines"][0]["message"] == "Sold out"
    assert world.feed()["results"] == []
    world.tenant("tenant-settings", reject_lines={})
    assert world.put(PATH, body(world, line(), line("881002"))).json()["status"] == "accepted"
    world.tenant("tenant-settings", reject_lines={"881001": reason})
    assert world.put(PATH, body(world, line(), line("881002"))).json()["status"] == "accepted"
    assert [each["status"] for each in order(world)["lines"]] == ["cancelled", "open"]


def test_an_order_may_wait_for_a_decision(world: World) -> None:
    world.tenant("tenant-settings", inbound="pending")
    answer = world.put(PATH, body(world, line(), line("881002"))).json()
    assert (answer["status"], answer["salesOrderKey"], answer["salesOrderNumber"]) == ("pending", None, None)
    assert world.feed()["results"] == []
    refused = {"881002": {"code": "no-stock", "message": "Sold out"}}
    decided = world.tenant("inbound", external_id="komet-MIA-991201", decision="accepted", reject_lines=refused)
    assert decided == world.axerrio("GET", PATH).json()
    assert (decided["status"], decided["salesOrderKey"]) == ("accepted", order(world)["key"])
    assert statuses(decided) == [("accepted", None), ("rejected", "no-stock")]
    assert world.put(PATH, body(world, line(), line("881002"))).json() == decided, "unchanged, so decided already"
    changed = world.put(PATH, body(world, line(boxes=9))).json()
    assert (changed["status"], changed["salesOrderKey"]) == ("pending", decided["salesOrderKey"])
    world.tenant("inbound", external_id="komet-MIA-991201", decision="rejected", code="no", message="No")
    rejected = world.axerrio("GET", PATH).json()
    assert (rejected["status"], statuses(rejected)) == ("rejected", [("rejected", "no")])
    assert (order(world)["version"], order(world)["lines"][0]["boxes"]) == (1, 4)


def test_an_order_may_be_refused_at_once(world: World) -> None:
    world.tenant("tenant-settings", inbound="rejected")
    answer = world.put(PATH, body(world))
    assert (answer.status_code, answer.json()["status"]) == (201, "rejected")
    assert world.feed()["results"] == []


def test_cancelling(world: World) -> None:
    assert code(world.delete(PATH)) == (404, "does-not-exist")
    key = world.put(PATH, body(world)).json()["salesOrderKey"]
    answer = world.delete(PATH, key="k")
    assert (answer.status_code, answer.content) == (204, b"")
    replayed = world.delete(PATH, key="k")
    assert (replayed.status_code, replayed.headers["idempotency-replayed"]) == (204, "true")
    assert (order(world)["status"], order(world)["lines"][0]["status"]) == ("cancelled", "cancelled")
    assert code(world.axerrio("GET", PATH)) == (404, "does-not-exist")
    assert code(world.delete(PATH)) == (404, "does-not-exist")
    again = world.put(PATH, body(world))
    assert (again.status_code, again.json()["salesOrderKey"]) == (201, key)
    assert (order(world)["status"], order(world)["lines"][0]["status"]) == ("confirmed", "open")


def test_what_was_shipped_does_not_change(world: World) -> None:
    world.put(PATH, body(world, line(), line("881002")))
    key = world.put(PATH, body(world)).json()["salesOrderKey"]
    world.tenant("mark-shipped", order_keys=[key])
    assert order(world)["status"] == "shipped"
    assert [each["status"] for each in order(world)["lines"]] == ["shipped", "cancelled"]
    assert code(world.put(PATH, body(world, line(boxes=9)))) == (409, "immutable")
    assert code(world.delete(PATH)) == (409, "immutable")
    assert order(world)["lines"][0]["boxes"] == 4
    assert world.axerrio("GET", PATH).json()["status"] == "accepted"


def test_an_order_deleted_in_axerrio_is_gone(world: World) -> None:
    key = world.put(PATH, body(world)).json()["salesOrderKey"]
    world.tenant("orders/delete", keys=[key])
    assert code(world.put(PATH, body(world, line(boxes=9)))) == (410, "deleted")


def test_an_axerrio_user_edits_the_order(world: World) -> None:
    key = world.put(PATH, body(world)).json()["salesOrderKey"]
    edited = line(boxes=3, externalLineId=None) | {"lineKey": "1"}
    world.tenant("orders", orders=[{"key": key, "lines": [edited]}])
    record = order(world)
    assert (record["version"], record["externalId"], record["origin"]) == (2, "komet-MIA-991201", "komet")
    assert (record["lines"][0]["externalLineId"], record["lines"][0]["boxes"]) == ("881001", 3)
    world.put(PATH, body(world))
    assert (order(world)["version"], order(world)["lines"][0]["boxes"]) == (3, 4), "a PUT replaces what a person did"
    world.put(PATH, body(world))
    assert order(world)["version"] == 3, "nothing has changed"


def test_write_backs_to_an_order_from_outside(world: World) -> None:
    key = world.put(PATH, body(world)).json()["salesOrderKey"]
    assert world.put(f"sales-orders/{key}/external-references/komet", REFERENCES).json() == REFERENCES
    assert world.put(f"sales-orders/{key}/procurement-status", STATUS).json() == STATUS
    wrong = REFERENCES | {"lines": [BOUGHT | {"lineKey": "2"}]}
    assert code(world.put(f"sales-orders/{key}/external-references/komet", wrong)) == (422, "validation")
    assert order(world)["version"] == 1
    world.put(PATH, body(world, line(boxes=9)))
    assert order(world)["externalReferences"] == [{"system": "komet", **REFERENCES}]
    [kept] = world.dump("tenants")["inbound_orders"]
    assert (kept["external_id"], kept["sales_order_key"], kept["cancelled"]) == ("komet-MIA-991201", key, False)
    assert kept["body"]["lines"][0]["boxes"] == 9
