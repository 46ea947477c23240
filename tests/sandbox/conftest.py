"""One sandbox process for all tests here; each test has a company and a tenant of its own."""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest

Json = dict[str, Any]
#: Last in each token, since the sandbox names whose a record is by the last four characters.
_TOKENS = itertools.count(1000)


def start() -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Start a sandbox on free ports; returns it with its addresses."""
    command = [sys.executable, "-m", "sandbox", "--komet-port", "0", "--axerrio-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    return process, json.loads(process.stdout.readline())


def stop(process: subprocess.Popen[str]) -> int:
    """Stop a sandbox; it has said nothing but its addresses, so nothing went wrong inside unseen."""
    process.terminate()
    assert process.communicate(timeout=5) == ("", "")
    return process.returncode


@dataclass
class World:
    """A company and a tenant of the running sandbox."""

    http: httpx.Client
    addresses: dict[str, str]
    token: str
    zone = ZoneInfo("America/New_York")

    def today(self) -> date:
        return datetime.now(self.zone).date()

    def day(self, offset: int) -> str:
        return (self.today() + timedelta(days=offset)).isoformat()

    def control(self, path: str, **body: Any) -> Any:
        answer = self.http.post(f"{self.addresses['control']}/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def settings(self, **changes: Any) -> None:
        self.control("settings", company_token=self.token, **changes)

    def fault(self, kind: str, **details: Any) -> None:
        fault = {"system": "komet", "kind": kind, "token": self.token} | details
        self.control("faults", faults=[fault])

    def get(self, method: str, **filters: Any) -> Any:
        parameters = {"authenticationToken": self.token} | filters
        return self.http.get(f"{self.addresses['komet']}/{method}", params=parameters).json()

    def post(self, method: str, **fields: Any) -> Any:
        body = {"authenticationToken": self.token} | fields
        return self.http.post(f"{self.addresses['komet']}/{method}", json=body).json()

    def create(self, *items: Json, **header: Any) -> Any:
        return self.post("prebook.create", **(self.header() | {"prebookItems": list(items)} | header))

    def header(self) -> Json:
        return {
            "customerCode": "C100",
            "customerDescription": "Miami Flowers Inc",
            "carrierId": 1878,
            "shipDate": self.day(6),
        }

    def prebooks(self, **filters: Any) -> Any:
        return self.get("prebook.details.list", **({"date": self.day(6)} | filters)).get("prebooks", [])

    def item_ids(self) -> list[int]:
        return [item["prebookItemId"] for prebook in self.prebooks() for item in prebook["details"]]

    def order(self, *items: Json, **header: Any) -> Any:
        return self.post(
            "purchase.order.create", **({"shipDate": self.day(4), "purchaseOrderItems": list(items)} | header)
        )

    def orders(self, **filters: Any) -> Any:
        asked = filters or {"date": self.day(4)}
        return self.get("purchase.order.list", **asked).get("purchaseOrders", [])

    def cover(self, *boxes: int, **changes: Any) -> list[int]:
        """A prebook with an item for each number of boxes, all on one purchase order; gives the order's item ids."""
        self.create(*(roses(boxes=each, **changes) for each in boxes))
        items = self.dump("companies")["prebooks"][-1]["items"]
        answer = self.order(*({"prebookItemId": item["id"], "boxes": item["boxes"]} for item in items))
        assert answer["status"] == "1", answer
        return [item["id"] for item in self.dump("companies")["purchase_orders"][-1]["items"]]

    def edit(self, **changes: Any) -> Any:
        return self.control("edit", company_token=self.token, **changes)

    def tenant(self, path: str, **body: Any) -> Any:
        return self.control(path, tenant_token=self.token, **body)

    def axerrio(self, verb: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "X-Tenant-Id": "farm1"} | options.pop("headers", {})
        return self.http.request(verb, f"{self.addresses['axerrio']}/api/v1/{path}", headers=headers, **options)

    def put(self, path: str, body: Any, key: str | None = None) -> httpx.Response:
        return self.axerrio("PUT", path, json=body, headers={"Idempotency-Key": key or uuid4().hex})

    def delete(self, path: str, key: str | None = None) -> httpx.Response:
        return self.axerrio("DELETE", path, headers={"Idempotency-Key": key or uuid4().hex})

    def feed(self, after: int = 0, limit: int = 200, of: str = "sales-orders") -> Any:
        return self.axerrio("GET", f"{of}/sync/{after}", params={"limit": limit}).json()

    def dump(self, what: str) -> Any:
        everything = self.http.get(f"{self.addresses['control']}/dump").json()
        return next(each for each in everything[what] if each["token_last4"] == self.token[-4:])


def roses(**changes: Any) -> Json:
    """A good prebook item."""
    item = {
        "productCode": "RFREE50",
        "productDescription": "Rose Freedom 50 cm",
        "boxTypeId": 1057,
        "unitType": "Stem",
        "boxes": 4,
        "bunches": 10,
        "stemsBunch": 25,
        "cost": 0.28,
        "markCode": "DOCK2",
    } | changes
    return {name: value for name, value in item.items() if value is not None}


@pytest.fixture(scope="session")
def addresses() -> Iterator[dict[str, str]]:
    process, addresses = start()
    yield addresses
    stop(process)


@pytest.fixture
def world(addresses: dict[str, str]) -> Iterator[World]:
    with httpx.Client(timeout=5) as http:
        world = World(http, addresses, f"token-{uuid4().hex}-{next(_TOKENS)}")
        tenant = {"token": world.token, "tenant_id": "farm1"}
        world.control("seed", companies=[{"token": world.token}], tenants=[tenant])
        yield world
        http.delete(f"{addresses['control']}/faults")
