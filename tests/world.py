"""The outside world of a test: a running sandbox, with one company and one tenant of the test's own."""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx

from tasks.connection import ConnectionSettings

Json = dict[str, Any]
ZONE = "America/New_York"
_NUMBERS = itertools.count(48210)
_TOKENS = itertools.count(1000)


def _token(system: str) -> str:
    """A token whose last four characters no other has: by them the sandbox names whose a record is."""
    return f"{system}-{uuid4().hex}-{next(_TOKENS)}"


@contextmanager
def running_sandbox() -> Iterator[dict[str, str]]:
    """A sandbox process on free ports; gives its addresses."""
    command = [sys.executable, "-m", "sandbox", "--komet-port", "0", "--axerrio-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


@dataclass
class World:
    """One Komet company and one Axerrio tenant."""

    http: httpx.Client
    addresses: dict[str, str]
    name: str = "miami"
    komet_token: str = field(default_factory=lambda: _token("komet"))
    axerrio_token: str = field(default_factory=lambda: _token("axerrio"))

    def seed(self, **settings: Any) -> None:
        """Make company and tenant; settings are the company's."""
        self.control(
            "seed",
            companies=[
                {
                    "token": self.komet_token,
                    "time_zone": ZONE,
                    "customers": [{"code": "C100", "name": "Miami Flowers Inc"}],
                    "settings": settings,
                }
            ],
            tenants=[{"token": self.axerrio_token, "tenant_id": "farm1", "time_zone": ZONE}],
        )

    def control(self, path: str, **body: Any) -> Any:
        """Call the sandbox's control interface."""
        answer = self.http.post(f"{self.addresses['control']}/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, kind: str, method: str, *, system: str = "komet", **details: Any) -> None:
        """Order one fault for this world, in place of all ordered before."""
        token = self.komet_token if system == "komet" else self.axerrio_token
        self.control("faults", faults=[{"system": system, "method": method, "kind": kind, "token": token} | details])

    def settings(self, **changes: Any) -> None:
        """Change the company's settings."""
        self.control("settings", company_token=self.komet_token, **changes)

    def day(self, offset: int) -> str:
        """The date so many days from today, in the zone of both."""
        return (datetime.now(ZoneInfo(ZONE)).date() + timedelta(days=offset)).isoformat()

    def place(self, **changes: Any) -> str:
        """Confirm an order in Axerrio, or change one whose key is given; gives its key."""
        number = next(_NUMBERS)
        order = {"key": f"SO-{number}", "number": f"2026-{number}"} | self.order() | changes
        if "key" in changes:
            order = changes
        self.control("orders", tenant_token=self.axerrio_token, orders=[order])
        return str(order["key"])

    def order(self) -> Json:
        """An order of two lines that leaves in three days."""
        return {
            "status": "confirmed",
            "buyer": {"code": "MIAFLOWERS", "name": "Miami Flowers Inc"},
            "carrierCode": "ARM",
            "locationCode": "MIA",
            "customerReference": "PO 77123",
            "currency": "USD",
            "orderDate": self.day(0),
            "departureDate": self.day(3),
            "truckDate": self.day(5),
            "createdAt": f"{self.day(0)}T00:00:00-05:00",
            "lines": [self.line("1"), self.line("2", boxes=2)],
        }

    def line(self, key: str, **changes: Any) -> Json:
        """A line that Komet takes."""
        return {
            "lineKey": key,
            "status": "open",
            "article": {"key": "A-100", "code": "RFREE50", "description": "Rose Freedom 50 cm"},
            "packing": {"code": "HB"},
            "boxes": 4,
            "bunchesPerBox": 10,
            "stemsPerBunch": 25,
            "unitType": "stem",
            "unitPrice": "0.35",
            "unitCost": "0.28",
            "markCode": "DOCK2",
            "breakdown": [],
        } | changes

    def mixed(self, key: str, **changes: Any) -> Json:
        """A line of mixed boxes that Komet takes."""
        parts = [
            {"article": {"key": "A-100", "code": "RFREE50", "description": "Rose Freedom 50 cm"}, "bunches": 5},
            {"article": {"key": "A-101", "code": "RMOND50", "description": "Rose Mondial 50 cm"}, "bunches": 3},
        ]
        mixed = {
            "article": {"key": "A-900", "code": "MIXROSE", "description": "Mixed roses 50 cm"},
            "packing": {"code": "QB"},
            "boxes": 2,
            "bunchesPerBox": 8,
            "unitType": "bunch",
            "unitPrice": "8.75",
            "unitCost": "7.00",
            "breakdown": [part | {"stemsPerBunch": 25, "unitPrice": "8.75", "unitCost": "7.00"} for part in parts],
        }
        return self.line(key, **mixed) | changes

    def sell_in_komet(self, **changes: Any) -> Json:
        """A Komet user makes a prebook for our vendor; gives its id, number and item_ids."""
        prebook = {
            "customer_code": "C100",
            "carrier_code": "ARM",
            "truck_date": self.day(5),
            "items": [self.item(), self.item(boxes=2)],
        } | changes
        made = self.control("prebooks", company_token=self.komet_token, prebooks=[prebook])
        sold: Json = made["prebooks"][0]
        return sold

    def item(self, **changes: Any) -> Json:
        """An item of such a prebook."""
        return {
            "product_code": "RFREE50",
            "product_description": "Rose Freedom 50 cm",
            "box_type_code": "HB",
            "unit_type": "Stem",
            "boxes": 4,
            "bunches": 10,
            "stems_bunch": 25,
            "cost": "0.28",
            "mark_code": "DOCK2",
        } | changes

    def edit(self, **changes: Any) -> Json:
        """A person's hand in Komet; gives what the control interface answers."""
        answer: Json = self.control("edit", company_token=self.komet_token, **changes)
        return answer

    def in_axerrio(self, what: str, **details: Any) -> Json:
        """A person's hand in Axerrio: ship, reprint, void, inbound, tenant-settings, mark-shipped, ..."""
        answer: Json = self.control(what, tenant_token=self.axerrio_token, **details)
        return answer

    def approve(self) -> None:
        """Procurement approves every purchase order."""
        self.control("approve", company_token=self.komet_token, all=True)

    @property
    def company(self) -> Json:
        """Everything of the company, as it really stands."""
        companies = self.http.get(f"{self.addresses['control']}/dump").json()["companies"]
        return next(each for each in companies if each["token_last4"] == self.komet_token[-4:])

    @property
    def tenant(self) -> Json:
        """Everything of the tenant, as it really stands."""
        tenants = self.http.get(f"{self.addresses['control']}/dump").json()["tenants"]
        return next(each for each in tenants if each["token_last4"] == self.axerrio_token[-4:])

    def axerrio_order(self, key: str) -> Json:
        """An order as Axerrio has it."""
        return next(each for each in self.tenant["orders"] if each["key"] == key)

    def requests(self, method: str) -> int:
        """How often Komet was asked this."""
        return int(self.company["requests"].get(method, 0))

    def connection(self, **changes: Any) -> ConnectionSettings:
        """The connection that joins both."""
        return ConnectionSettings.model_validate(self.entry(**changes))

    def entry(self, **changes: Any) -> Json:
        """The connection's entry in a connections file."""
        return {
            "name": self.name,
            "time_zone": ZONE,
            "komet": {
                "base_url": self.addresses["komet"],
                "token_env": "KOMET_TOKEN",
                "company_code": self.komet_token,
                "daily_requests": 1_000_000,
                "requests_per_second": 1000,
            },
            "axerrio": {"base_url": self.addresses["axerrio"], "token_env": "AXERRIO_TOKEN", "tenant": "farm1"},
            "buyers": {"MIAFLOWERS": "C100"},
        } | changes


def assert_exactly_once(world: World, key: str) -> Json:
    """The order stands once in Komet, whole and linked both ways; gives its prebook.

    Judged from the sandbox alone: one live prebook whose comments name the order, an item for each open line, each
    covered by purchase order items of as many boxes, and Axerrio's references name all of it.
    """
    order = world.axerrio_order(key)
    company = world.company
    live = [
        each
        for each in company["prebooks"]
        if f"Axerrio {order['number']} [AX:" in each["comments"] and any(item["boxes"] for item in each["items"])
    ]
    assert len(live) == 1, f"{len(live)} prebooks for {key}"
    references = order["external_references"]
    references = references[0] if isinstance(references, list) else references
    assert references, f"{key} has no references"
    assert references["prebookId"] == str(live[0]["id"])
    assert len(references["lines"]) == len(live[0]["items"])
    for line, item in zip(references["lines"], live[0]["items"], strict=True):
        assert line["prebookItemId"] == str(item["id"])
        covering = [
            (purchase_order, bought)
            for purchase_order in company["purchase_orders"]
            for bought in purchase_order["items"]
            if bought["prebook_item_id"] == item["id"]
        ]
        assert sum(bought["boxes"] for _, bought in covering) == item["boxes"], f"{key}: {covering}"
        assert line["purchaseOrderItemId"] in {str(bought["id"]) for _, bought in covering}
    prebook: Json = live[0]
    return prebook


def today_in(zone: str = ZONE) -> date:
    """The date in a time zone."""
    return datetime.now(ZoneInfo(zone)).date()
