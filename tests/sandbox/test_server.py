"""The sandbox as a process, and its control interface."""

import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from sandbox.server import run
from tests.sandbox.conftest import World, roses, start, stop


def test_control_is_the_same_on_both_ports(world: World) -> None:
    world.create(roses())
    komet = world.addresses["komet"].removesuffix("/api") + "/control"
    assert world.http.get(f"{komet}/health").json() == {"ok": True}
    assert world.http.get(f"{komet}/dump").json() == world.http.get(f"{world.addresses['control']}/dump").json()


def test_seeding_a_token_again_replaces_it(world: World) -> None:
    world.create(roses())
    world.control("seed", companies=[{"token": world.token, "company_code": "BOG"}])
    company = world.dump("companies")
    assert (company["company_code"], company["prebooks"], company["requests"]) == ("BOG", [], {})


def test_a_wrong_order_to_control_says_so(world: World) -> None:
    def answer(path: str, body: object) -> int:
        return world.http.post(f"{world.addresses['control']}/{path}", json=body).status_code

    assert answer("seed", {"companies": [{"tokn": "x"}]}) == 400
    assert answer("seed", []) == 400
    assert answer("settings", {"company_token": world.token, "transit_day": 1}) == 400
    assert answer("settings", {"company_token": "nobody's"}) == 404
    assert answer("approve", {"company_token": world.token, "purchase_order_number": "5"}) == 404
    assert answer("faults", {"faults": [{"system": "komet", "kind": "earthquake"}]}) == 400
    assert answer("nothing", {}) == 404
    assert answer("edit", {"company_token": world.token}) == 400
    assert answer("edit", {"company_token": world.token, "prebook_id": 5, "purchase_order_number": "7"}) == 400
    assert answer("edit", {"company_token": world.token, "prebook_id": 5, "boxes": 7}) == 400
    for target in ("prebook_id", "prebook_item_id", "purchase_order_item_id"):
        assert answer("edit", {"company_token": world.token, target: 5}) == 404
    assert answer("edit", {"company_token": world.token, "purchase_order_number": "5"}) == 404
    bought = {"company_token": world.token, "ship_date": world.day(4), "items": [{"prebook_item_id": 5}]}
    assert answer("purchase-orders", bought) == 404
    header = {"customer_code": "NOBODY", "carrier_code": "ARM", "truck_date": world.day(4), "items": []}
    assert answer("prebooks", {"company_token": world.token, "prebooks": [header]}) == 400
    assert answer("tenant-settings", {"tenant_token": world.token, "inbund": "accepted"}) == 400
    assert answer("tenant-settings", {"tenant_token": "nobody's"}) == 404
    assert answer("inbound", {"tenant_token": world.token, "external_id": "x", "decision": "accepted"}) == 404
    assert answer("reprint", {"tenant_token": world.token, "label_id": "L-1"}) == 404
    assert answer("void", {"tenant_token": world.token, "label_ids": ["L-1"]}) == 404
    assert answer("ship", {"tenant_token": world.token, "order_keys": ["SO-1"], "awb": "1"}) == 404
    assert answer("ship", {"tenant_token": world.token, "order_keys": [], "awb": "1"}) == 400
    assert answer("labels", {"tenant_token": world.token, "labels": [{"key": "L-1"}]}) == 400
    assert answer("orders", {"tenant_token": world.token, "orders": [{"key": "SO-1", "lines": "?"}]}) == 400
    tenant, company = world.dump("tenants"), world.dump("companies")
    assert tenant["orders"] == tenant["labels"] == tenant["shipments"] == tenant["inbound_orders"] == []
    assert company["prebooks"] == company["purchase_orders"] == []


def test_the_request_log_goes_on_from_a_number(world: World) -> None:
    url = f"{world.addresses['control']}/requests"
    last = max((entry["n"] for entry in world.http.get(url).json()), default=0)
    world.get("carrier.list")
    [entry] = world.http.get(url, params={"since": last}).json()
    assert entry["n"] == last + 1
    assert (entry["system"], entry["method"], entry["outcome"]) == ("komet", "carrier.list", "200")
    assert entry["token_last4"] == world.token[-4:]


def test_it_stops_at_once_with_a_slow_answer_on_the_way() -> None:
    process, addresses = start()
    slow = {"system": "komet", "kind": "slow", "seconds": 60}
    httpx.post(f"{addresses['control']}/faults", json={"faults": [slow]})
    ended: list[str] = []

    def wait() -> None:
        try:
            httpx.get(f"{addresses['komet']}/carrier.list", timeout=30)
        except httpx.HTTPError as error:
            ended.append(type(error).__name__)

    client = threading.Thread(target=wait)
    client.start()
    time.sleep(0.3)
    began = time.monotonic()
    assert stop(process) == 0
    assert time.monotonic() - began < 2
    client.join(timeout=5)
    assert ended == ["RemoteProtocolError"]


def test_a_taken_port_is_an_error_before_anything_is_served() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            run(0, port)
        command = [sys.executable, "-m", "sandbox", "--komet-port", str(port), "--axerrio-port", "0"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert result.returncode != 0
    assert result.stdout == ""
