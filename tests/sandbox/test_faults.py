"""Each fault shows to the client what its name says, and does the work or not."""

import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.sandbox.conftest import World, roses
from tests.sandbox.test_axerrio import STATUS, order


def send(world: World, **options: Any) -> httpx.Response:
    body = world.header() | {"authenticationToken": world.token, "prebookItems": [roses()]}
    return world.http.post(f"{world.addresses['komet']}/prebook.create", json=body, **options)


def outcomes(world: World) -> list[str]:
    log = world.http.get(f"{world.addresses['control']}/requests").json()
    return [entry["outcome"] for entry in log if entry["token_last4"] == world.token[-4:]]


@pytest.mark.parametrize(("kind", "made"), [("lost_answer", 1), ("reset_before", 0)])
def test_a_connection_closes_without_one_byte(world: World, kind: str, made: int) -> None:
    world.fault(kind, times=2)
    with pytest.raises(httpx.RemoteProtocolError):
        send(world)
    address = urlsplit(world.addresses["komet"])
    with socket.create_connection((address.hostname, address.port), timeout=5) as raw:
        path = f"/api/carrier.list?authenticationToken={world.token}"
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: komet\r\n\r\n".encode())
        assert raw.recv(1) == b""
    assert len(world.dump("companies")["prebooks"]) == made
    assert outcomes(world) == [kind, kind]
    assert send(world).status_code == 200


@pytest.mark.parametrize(("kind", "made"), [("error_before", 0), ("error_after", 1)])
def test_500(world: World, kind: str, made: int) -> None:
    world.fault(kind, times=1)
    assert send(world).status_code == 500
    assert len(world.dump("companies")["prebooks"]) == made


def test_slow_works_at_once(world: World) -> None:
    world.fault("slow", times=1, seconds=0.5)
    with pytest.raises(httpx.ReadTimeout):
        send(world, timeout=0.15)
    assert len(world.dump("companies")["prebooks"]) == 1


def test_slow_before_works_even_when_the_client_has_gone(world: World) -> None:
    world.fault("slow_before", times=1, seconds=0.5)
    with pytest.raises(httpx.ReadTimeout):
        send(world, timeout=0.15)
    assert world.dump("companies")["prebooks"] == []
    time.sleep(0.6)
    assert len(world.dump("companies")["prebooks"]) == 1


def test_html_with_200(world: World) -> None:
    world.fault("html", times=1)
    answer = send(world)
    assert answer.status_code == 200
    assert answer.text.startswith("<!DOCTYPE html>")
    assert len(world.dump("companies")["prebooks"]) == 1


def test_hollow(world: World) -> None:
    world.fault("hollow", times=1)
    answer = send(world)
    assert (answer.status_code, answer.json()) == (200, {})
    assert world.dump("companies")["prebooks"] == []


def test_truncated(world: World) -> None:
    world.fault("truncated", times=1)
    url = f"{world.addresses['komet']}/carrier.list?authenticationToken={world.token}"
    with world.http.stream("GET", url) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()
    assert answer.num_bytes_downloaded == int(answer.headers["content-length"]) // 2


def test_rate_limited(world: World) -> None:
    world.fault("rate_limited", times=1)
    answer = send(world)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert world.dump("companies")["prebooks"] == []
    assert world.dump("companies")["requests"] == {"prebook.create": 1}, "it counts as a request all the same"


def test_refuse_speaks_the_language_of_each_system(world: World) -> None:
    world.fault("refuse", message="Not today")
    assert send(world).json() == {"status": "0", "message": "Not today"}
    assert world.dump("companies")["prebooks"] == []
    world.fault("refuse", system="axerrio", message="Not today")
    answer = world.axerrio("GET", "identity")
    assert (answer.status_code, answer.json()["detail"]) == (422, "Not today")


def test_which_requests_are_hit(world: World) -> None:
    world.fault("error_before", method="carrier.list", skip=1, times=1)
    url, parameters = world.addresses["komet"], {"authenticationToken": world.token}
    methods = ["carrier.list", "boxtype.list", "carrier.list", "carrier.list"]
    codes = [world.http.get(f"{url}/{method}", params=parameters).status_code for method in methods]
    assert codes == [200, 200, 500, 200]
    faults = world.http.get(f"{world.addresses['control']}/faults").json()["faults"]
    assert [fault["struck"] for fault in faults] == [1]

    def run() -> list[int]:
        world.fault("error_before", probability=0.5, seed=7)
        return [world.http.get(f"{url}/carrier.list", params=parameters).status_code for _ in range(30)]

    first = run()
    assert set(first) == {200, 500}
    assert run() == first, "the same seed, the same dice"
    world.http.delete(f"{world.addresses['control']}/faults")
    assert world.http.get(f"{url}/carrier.list", params=parameters).status_code == 200


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("GET /identity", lambda world: world.axerrio("GET", "identity")),
        ("GET /sales-orders/sync", lambda world: world.axerrio("GET", "sales-orders/sync/0")),
        ("GET /sales-orders", lambda world: world.axerrio("GET", "sales-orders/SO-1")),
        ("PUT external-references", lambda world: world.put("sales-orders/SO-1/external-references/komet", {})),
        ("PUT procurement-status", lambda world: world.put("sales-orders/SO-1/procurement-status", {})),
        ("GET procurement-status", lambda world: world.axerrio("GET", "sales-orders/SO-1/procurement-status")),
        ("PUT inbound-orders", lambda world: world.put("inbound-orders/komet-1", {})),
        ("GET inbound-orders", lambda world: world.axerrio("GET", "inbound-orders/komet-1")),
        ("DELETE inbound-orders", lambda world: world.delete("inbound-orders/komet-1")),
        ("GET /labels/sync", lambda world: world.axerrio("GET", "labels/sync/0")),
        ("GET /shipments/sync", lambda world: world.axerrio("GET", "shipments/sync/0")),
        ("GET /articles/sync", lambda world: world.axerrio("GET", "articles/sync/0")),
        ("GET /labels/content", lambda world: world.axerrio("GET", "labels/L-1/content")),
    ],
)
def test_operations_of_axerrio_have_names(
    world: World, operation: str, call: Callable[[World], httpx.Response]
) -> None:
    world.fault("error_before", system="axerrio", method=operation, times=1)
    assert call(world).status_code == 500
    assert call(world).status_code != 500


def test_a_lost_answer_is_replayed_to_the_same_key(world: World) -> None:
    world.control("orders", tenant_token=world.token, orders=[order("SO-1")])
    world.fault("lost_answer", system="axerrio", method="PUT procurement-status", times=1)
    path = "sales-orders/SO-1/procurement-status"
    with pytest.raises(httpx.RemoteProtocolError):
        world.put(path, STATUS, key="k")
    again = world.put(path, STATUS, key="k")
    assert (again.json(), again.headers["idempotency-replayed"]) == (STATUS, "true")
