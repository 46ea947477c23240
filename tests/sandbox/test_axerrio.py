"""The simulated Axerrio keeps the adapter API's contract."""

from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import World

LINE = {"lineKey": "1", "prebookId": "991201", "prebookItemId": "881"}
BOUGHT = LINE | {"purchaseOrderItemId": "7828", "purchaseOrderNumber": "70012"}
REFERENCES = {
    "prebookId": "991201",
    "prebookNumber": "4343",
    "purchaseOrders": [{"id": "70012", "number": "70012"}],
    "lines": [BOUGHT],
}
STATUS = {
    "status": "approved",
    "purchaseOrders": [{"number": "70012", "status": "approved"}],
    "changedAt": "2026-11-24T10:00:00+01:00",
}


def place(world: World, *orders: Any) -> Any:
    return world.control("orders", tenant_token=world.token, orders=list(orders))["orders"]


def order(key: str, **fields: Any) -> Any:
    return {"key": key, "lines": [{"lineKey": "1", "boxes": 4, "unitCost": "0.28"}]} | fields


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_identity_and_who_may_ask(world: World) -> None:
    identity = world.axerrio("GET", "identity").json()
    assert set(identity) == {"tenantId", "name", "timeZone", "currency", "apiVersion", "clock"}
    assert identity["tenantId"] == "farm1"
    assert code(world.axerrio("GET", "identity", headers={"Authorization": "Bearer x"})) == (401, "unauthorized")
    assert code(world.axerrio("GET", "identity", headers={"X-Tenant-Id": "x"})) == (403, "tenant-mismatch")
    assert code(world.axerrio("GET", "nothing")) == (404, "does-not-exist")


def test_the_feed_pages_by_sequence(world: World) -> None:
    place(world, *(order(f"SO-{n}") for n in range(5)))
    first = world.feed(limit=2)
    assert [(each["key"], each["sequence"]) for each in first["results"]] == [("SO-0", 1), ("SO-1", 2)]
    assert first["maximumSequence"] == 5
    assert [each["key"] for each in world.feed(after=2)["results"]] == ["SO-2", "SO-3", "SO-4"]
    assert world.feed(after=5) == {"maximumSequence": 5, "results": []}
    for limit in (0, 1001):
        assert code(world.axerrio("GET", f"sales-orders/sync/0?limit={limit}")) == (400, "validation")


def test_a_change_moves_up_and_is_sent_once(world: World) -> None:
    place(world, order("SO-1", comments="a"), order("SO-2"))
    assert place(world, {"key": "SO-1", "comments": "b"}) == [{"key": "SO-1", "version": 2, "sequence": 3}]
    place(world, {"key": "SO-1", "status": "cancelled"})
    results = world.feed()["results"]
    assert [(each["key"], each["sequence"], each["version"]) for each in results] == [("SO-2", 2, 1), ("SO-1", 4, 3)]
    assert (results[1]["comments"], results[1]["status"], results[1]["lines"][0]["boxes"]) == ("b", "cancelled", 4)
    assert [each["key"] for each in world.feed(limit=1)["results"]] == ["SO-2"]
    answer = world.axerrio("GET", "sales-orders/SO-1")
    assert answer.headers["etag"] == '"3"'
    assert answer.json() == results[1]


def test_a_deleted_order_is_a_tombstone(world: World) -> None:
    place(world, order("SO-1"), order("SO-2"))
    world.control("orders/delete", tenant_token=world.token, keys=["SO-1"])
    assert world.feed(after=2)["results"] == [{"key": "SO-1", "sequence": 3, "isDeleted": True}]
    assert code(world.axerrio("GET", "sales-orders/SO-1")) == (410, "deleted")
    assert code(world.axerrio("GET", "sales-orders/SO-9")) == (404, "does-not-exist")


def test_raw_records_are_sent_as_they_are(world: World) -> None:
    place(world, {"raw": {"key": 7, "lines": "?"}}, order("SO-1"), {"raw": {"key": "SO-2", "sequence": None}})
    results = world.feed()["results"]
    assert results[0] == {"sequence": 1, "key": 7, "lines": "?"}
    assert results[1]["sequence"] == 2
    assert results[2] == {"key": "SO-2", "sequence": None}


def test_a_write_back_moves_neither_version_nor_sequence(world: World) -> None:
    place(world, order("SO/1"))
    answer = world.put("sales-orders/SO%2F1/external-references/komet", REFERENCES | {"more": 1})
    assert (answer.status_code, answer.json()) == (200, REFERENCES)
    [record] = world.feed()["results"]
    assert (record["version"], record["sequence"]) == (1, 1)
    assert record["externalReferences"] == [{"system": "komet", **REFERENCES}]
    replaced = REFERENCES | {"lines": [LINE | {"purchaseOrderItemId": None, "purchaseOrderNumber": None}]}
    world.put("sales-orders/SO%2F1/external-references/komet", replaced)
    place(world, {"key": "SO/1", "comments": "changed"})
    [record] = world.feed()["results"]
    assert record["externalReferences"] == [{"system": "komet", **replaced}], "a change of the order keeps them"
    assert world.dump("tenants")["orders"][0]["external_references"] == replaced


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"prebookId": 991201}, "/prebookId"),
        ({"prebookNumber": ""}, "/prebookNumber"),
        ({"purchaseOrders": [{"id": "1"}]}, "/purchaseOrders/0/number"),
        ({"lines": [BOUGHT | {"lineKey": "2"}]}, "/lines/0/lineKey"),
        ({"lines": [BOUGHT, BOUGHT]}, "/lines/1/lineKey"),
        ({"lines": [BOUGHT | {"prebookItemId": None}]}, "/lines/0/prebookItemId"),
        ({"lines": [BOUGHT | {"purchaseOrderItemId": 7828}]}, "/lines/0/purchaseOrderItemId"),
        ({"lines": [BOUGHT | {"purchaseOrderNumber": None}]}, "/lines/0"),
        ({"lines": [LINE]}, "/lines/0/purchaseOrderItemId"),
    ],
)
def test_a_wrong_write_back_is_refused_by_its_field(world: World, change: Any, pointer: str) -> None:
    place(world, order("SO-1"))
    answer = world.put("sales-orders/SO-1/external-references/komet", REFERENCES | change)
    assert code(answer) == (422, "validation")
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert world.dump("tenants")["orders"][0]["external_references"] is None


def test_procurement_status_goes_by_its_own_time(world: World) -> None:
    place(world, order("SO-1"))
    path = "sales-orders/SO-1/procurement-status"
    assert code(world.axerrio("GET", path)) == (404, "does-not-exist")
    assert world.put(path, STATUS).json() == STATUS
    older = STATUS | {"status": "pending", "changedAt": "2026-11-24T08:59:59+00:00"}
    assert world.put(path, older).json() == STATUS
    same = STATUS | {"status": "rejected"}
    assert world.put(path, same).json() == same, "only an older one changes nothing"
    newer = STATUS | {"status": "pending", "changedAt": "2026-11-24T09:00:01+00:00"}
    assert world.put(path, newer).json() == newer
    assert world.axerrio("GET", path).json() == newer
    assert world.feed()["maximumSequence"] == 1
    for change in ({"status": "fine"}, {"changedAt": "2026-11-24T10:00:00"}, {"purchaseOrders": [{"number": 7}]}):
        assert code(world.put(path, STATUS | change)) == (422, "validation")
    assert code(world.put("sales-orders/SO-9/procurement-status", STATUS)) == (404, "does-not-exist")


def test_a_write_is_done_once_for_its_key(world: World) -> None:
    place(world, order("SO-1"), order("SO-2"))
    path = "sales-orders/SO-1/procurement-status"
    first = world.put(path, STATUS, key="k")
    assert "idempotency-replayed" not in first.headers
    newer = STATUS | {"status": "pending", "changedAt": "2026-11-24T12:00:00+00:00"}
    world.put(path, newer, key="k2")
    again = world.put(path, STATUS, key="k")
    assert (again.status_code, again.json()) == (200, STATUS), "the first answer, not what is stored now"
    assert again.headers["idempotency-replayed"] == "true"
    assert world.axerrio("GET", path).json() == newer
    assert code(world.put(path, newer, key="k")) == (422, "idempotency-mismatch")
    elsewhere = path.replace("SO-1", "SO-2")
    assert code(world.put(elsewhere, STATUS, key="k")) == (422, "idempotency-mismatch")
    assert code(world.axerrio("PUT", path, json=STATUS)) == (400, "idempotency-key-missing")


def test_a_refusal_is_not_kept(world: World) -> None:
    path = "sales-orders/SO-1/procurement-status"
    assert world.put(path, STATUS, key="k").status_code == 404
    place(world, order("SO-1"))
    answer = world.put(path, STATUS, key="k")
    assert answer.status_code == 200
    assert "idempotency-replayed" not in answer.headers
