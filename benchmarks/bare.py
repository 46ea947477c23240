"""The job without a worker: a bare `httpx` loop that brings orders from Axerrio into Komet and links them.

    python -m benchmarks.bare < job.json

It writes nothing down: where it dies, or an answer is lost, the order is made twice or never, and nobody knows. It
makes the calls that the worker makes, and no more of them: the orders of a connection are read in pages; prebook and
purchase order are created for each order; the prebooks of a truck date, and the purchase orders of a ship date, are
read once for all orders of the connection, when all of them are made; each order's references are put in Axerrio. As
many threads as it may have connections make the calls.

The job is `{"connections": n, "pairs": [Pair…]}`. It says `ready`, begins when a second line comes, and ends when all
is done; `benchmarks.throughput` measures it.
"""

import json
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

Json = dict[str, Any]
_TIMEOUT = 20.0
_PAGE = 200


@dataclass(frozen=True)
class Pair:
    """A Komet company and an Axerrio tenant, with their tokens."""

    komet: str
    komet_token: str
    axerrio: str
    axerrio_token: str
    tenant: str


class Calls:
    """The calls of the job, each made once. A refusal or an answer that does not come is an exception."""

    def __init__(self, http: httpx.Client, pair: Pair) -> None:
        self._http = http
        self._pair = pair

    def orders(self) -> list[Json]:
        """All orders of the feed."""
        found: list[Json] = []
        while True:
            after = found[-1]["sequence"] if found else 0
            page = self._axerrio("GET", f"sales-orders/sync/{after}", params={"limit": _PAGE})["results"]
            found += page
            if len(page) < _PAGE:
                return found

    def create_prebook(self, order: Json) -> Json:
        """Gives what Komet answers: `prebookId` and `prebookNumber`."""
        body = {
            "customerCode": "C100",
            "customerDescription": order["buyer"]["name"],
            "carrierId": 1878,
            "shipDate": order["truckDate"],
            "useExisting": 0,
            "autoGeneratePOsfromPrebooks": 0,
            "customerPO": order["customerReference"],
            "comments": f"Axerrio {order['number']}",
            "prebookItems": [
                {
                    "productCode": line["article"]["code"],
                    "productDescription": line["article"]["description"],
                    "boxTypeCode": line["packing"]["code"],
                    "boxTypeDescription": line["packing"]["code"],
                    "unitType": line["unitType"].capitalize(),
                    "boxes": line["boxes"],
                    "bunches": line["bunchesPerBox"],
                    "stemsBunch": line["stemsPerBunch"],
                    "cost": line["unitCost"],
                    "price": line["unitPrice"],
                    "markCode": line["markCode"],
                }
                for line in order["lines"]
            ],
        }
        return self._create("prebook.create", body)

    def prebooks(self, truck_date: str, number: int | str = "") -> dict[int, Json]:
        """The prebooks of a truck date, or the one of this number, by their ids."""
        return self._list("prebook.details.list", "prebooks", date=truck_date, prebook=str(number))

    def create_purchase_order(self, order: Json, prebook: Json) -> Json:
        """Gives what Komet answers: `purchaseOrderId` and `purchaseOrderNumber`."""
        items = [
            {"prebookItemId": item["prebookItemId"], "boxes": line["boxes"], "cost": line["unitCost"]}
            for line, item in zip(order["lines"], prebook["details"], strict=True)
        ]
        return self._create("purchase.order.create", {"shipDate": order["departureDate"], "purchaseOrderItems": items})

    def purchase_orders(self, ship_date: str, number: int | str = "") -> dict[int, Json]:
        """The purchase orders of a ship date, or the one of this number, by their ids."""
        return self._list("purchase.order.list", "purchaseOrders", date=ship_date, number=str(number))

    def put_references(self, order: Json, prebook: Json, purchase_order: Json) -> None:
        """Tell Axerrio all ids of the order in Komet."""
        number = str(purchase_order["number"])
        body = {
            "prebookId": str(prebook["id"]),
            "prebookNumber": str(prebook["number"]),
            "purchaseOrders": [{"id": str(purchase_order["id"]), "number": number}],
            "lines": [
                {
                    "lineKey": line["lineKey"],
                    "prebookId": str(prebook["id"]),
                    "prebookItemId": str(item["prebookItemId"]),
                    "purchaseOrderItemId": str(bought["poItemId"]),
                    "purchaseOrderNumber": number,
                }
                for line, item, bought in zip(
                    order["lines"], prebook["details"], purchase_order["details"], strict=True
                )
            ],
        }
        path = f"sales-orders/{order['key']}/external-references/komet"
        self._axerrio("PUT", path, json=body, headers={"Idempotency-Key": str(uuid4())})

    def _create(self, method: str, body: Json) -> Json:
        body = {"authenticationToken": self._pair.komet_token, **body}
        return _komet(self._http.post(f"{self._pair.komet}/{method}", json=body))

    def _list(self, method: str, array: str, **params: str) -> dict[int, Json]:
        params = {"authenticationToken": self._pair.komet_token, **params}
        answer = _komet(self._http.get(f"{self._pair.komet}/{method}", params=params))
        return {each["id"]: each for each in answer[array]}

    def _axerrio(self, verb: str, path: str, *, headers: Json | None = None, **rest: Any) -> Json:
        headers = {
            "Authorization": f"Bearer {self._pair.axerrio_token}",
            "X-Tenant-Id": self._pair.tenant,
            **(headers or {}),
        }
        answer = self._http.request(verb, f"{self._pair.axerrio}/api/v1/{path}", headers=headers, **rest)
        answer.raise_for_status()
        found: Json = answer.json()
        return found


def _komet(answer: httpx.Response) -> Json:
    answer.raise_for_status()
    found: Json = answer.json()
    if str(found.get("status")) != "1":
        raise RuntimeError(found.get("message"))
    return found


def serve(calls: Calls, pool: ThreadPoolExecutor) -> None:
    """Bring all orders of a tenant into Komet, and link them."""
    orders = calls.orders()
    made = list(pool.map(calls.create_prebook, orders))
    prebooks = _all_of(calls.prebooks, [order["truckDate"] for order in orders])
    standing = [prebooks[each["prebookId"]] for each in made]
    bought = list(pool.map(calls.create_purchase_order, orders, standing))
    purchase_orders = _all_of(calls.purchase_orders, [order["departureDate"] for order in orders])
    covering = [purchase_orders[each["purchaseOrderId"]] for each in bought]
    list(pool.map(calls.put_references, orders, standing, covering))


def _all_of(read: Callable[[str], dict[int, Json]], dates: Iterable[str]) -> dict[int, Json]:
    """What one read of each date shows."""
    return {number: record for each in sorted(set(dates)) for number, record in read(each).items()}


def main() -> None:
    """Serve all pairs side by side."""
    job = json.loads(sys.stdin.readline())
    connections = int(job["connections"])
    pairs = [Pair(**each) for each in job["pairs"]]
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    with (
        httpx.Client(limits=limits, timeout=httpx.Timeout(_TIMEOUT, pool=None)) as http,
        ThreadPoolExecutor(connections) as pool,
        ThreadPoolExecutor(len(pairs)) as sides,
    ):
        print("ready", flush=True)
        sys.stdin.readline()
        list(sides.map(lambda pair: serve(Calls(http, pair), pool), pairs))


if __name__ == "__main__":
    main()
