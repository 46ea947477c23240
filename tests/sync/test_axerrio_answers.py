"""Answers of an Axerrio that is another one than asked for, was there first, or lets nobody in: nothing is lost."""

from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from clients.axerrio.client import AxerrioClient
from clients.http import OpenGate
from models.states import Feed
from models.tables import Article, Order, Scope
from tasks.advance import advance
from tasks.observe import observe
from tests.sync.books import assert_in_step
from tests.sync.conftest import Ledger
from tests.sync.test_upstreams import FEW
from tests.world import ZONE, World, assert_exactly_once
from worker.status import status

Json = dict[str, Any]


@dataclass
class Answer:
    """What the adapter says itself, so many times or always; also once Axerrio has done what was asked."""

    method: str
    path: str
    status: int
    body: Json
    times: int | None = None
    after_work: bool = False
    #: Only to what says this.
    to: str = ""

    def fits(self, request: httpx.Request) -> bool:
        is_asked = self.method in ("*", request.method) and self.path in request.url.path
        return is_asked and self.to in request.read().decode()


class Adapter(httpx.BaseTransport):
    """An adapter before the sandbox's Axerrio, which is told what to answer itself."""

    def __init__(self) -> None:
        self._axerrio = httpx.HTTPTransport()
        self._said: list[Answer] = []
        self.asked = 0

    def says(self, method: str, path: str, status: int, **details: Any) -> None:
        """Answer so from now on; `times`, `after_work` and `to` are as an `Answer` has them, all else is the body."""
        how = {name: details.pop(name) for name in ("times", "after_work", "to") if name in details}
        self._said.append(Answer(method, path, status, details, **how))

    def is_well(self) -> None:
        """Answer nothing itself any more."""
        self._said.clear()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        said = next((each for each in self._said if each.fits(request) and each.times != 0), None)
        if said is None:
            return self._axerrio.handle_request(request)
        if said.times is not None:
            said.times -= 1
        if said.after_work:
            answer = self._axerrio.handle_request(request)
            answer.read()
            answer.close()
        return httpx.Response(said.status, json=said.body)

    def close(self) -> None:
        self._axerrio.close()


@pytest.fixture
def adapter(ledger: Ledger) -> Adapter:
    """The adapter through which the ledger reaches Axerrio."""
    made = Adapter()
    ((row, connection),) = ledger.runtime.connections.items()
    connection.axerrio.close()
    settings, timeout = ledger.settings.axerrio, ledger.timing.http_timeout
    client = AxerrioClient(settings, ledger.world.axerrio_token, timeout=timeout, gate=OpenGate(), transport=made)
    ledger.runtime = replace(ledger.runtime, connections={row: replace(connection, axerrio=client)})
    return made


def shown(ledger: Ledger) -> Json:
    """The connection as `status` shows it."""
    with ledger.session() as session:
        whole = status(session, [ledger.settings], ledger.timing)
    connection: Json = whole["connections"][0]
    return connection | {"problems": whole["problems"]}


# -- another one -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "said"), [("farm2", "farm2"), (None, "without a name")])
def test_the_orders_of_another_tenant_are_not_taken_up(
    ledger: Ledger, world: World, adapter: Adapter, name: str | None, said: str
) -> None:
    key = world.place()
    adapter.says("GET", "identity", 200, tenantId=name, timeZone=ZONE)
    ledger.live(120)
    problems = shown(ledger)["problems"]
    assert any(f"(it answers as tenant {said}, not farm1" in each for each in problems), problems
    with ledger.session() as session:
        assert session.scalar(select(func.count(Order.id))) == 0
        assert session.scalar(select(func.count()).select_from(Article)) == 0, "nor anything else of it"
    adapter.is_well()
    ledger.live(300)
    assert ledger.state(key) == "ordered"


def test_a_token_of_another_tenant_is_noticed_when_a_worker_starts(
    ledger: Ledger, world: World, adapter: Adapter
) -> None:
    key = ledger.earn_proof()
    adapter.says("GET", "identity", 200, tenantId="farm2", timeZone=ZONE)
    ledger.runtime.time_zones.clear()
    world.place(key=key, status="cancelled")
    ledger.live(120)
    assert (ledger.state(key), shown(ledger)["paused"]) == ("ordered", True)


def test_nothing_is_written_to_another_tenant(ledger: Ledger, world: World, adapter: Adapter) -> None:
    """A worker starts with an order that is due, before it reads anything of Axerrio's."""
    key = ledger.earn_proof()
    adapter.says("GET", "identity", 200, tenantId="farm2", timeZone=ZONE)
    ledger.runtime.time_zones.clear()
    world.approve()
    ledger.pass_time(120)
    with ledger.session() as session:
        komets = list(session.scalars(select(Scope.id).where(Scope.feed == Feed.KOMET_PURCHASE_ORDERS)))
    for scope_id in komets:
        observe(ledger.runtime, scope_id)
    advance(ledger.runtime, ledger.order(key)["id"])
    assert ledger.writes(key, "axerrio.procurement-status") == ["void"]
    assert world.axerrio_order(key)["procurement_status"] is None
    adapter.is_well()
    ledger.live(300)
    assert ledger.state(key) == "approved"


# -- somebody was there first ----------------------------------------------------------------------------------


def test_an_inbound_order_that_stands_there_already_is_adopted(ledger: Ledger, world: World, adapter: Adapter) -> None:
    adapter.says("PUT", "/inbound-orders/", 409, code="already-exists", after_work=True)
    sold = world.sell_in_komet()
    ledger.live(90)
    assert_in_step(world, sold)
    assert ledger.state(str(sold["number"])) == "ordered"
    assert ledger.writes(str(sold["number"]), "axerrio.inbound-orders") == ["done"]


def test_an_inbound_order_that_is_said_to_stand_there_and_does_not_is_tried_again(
    ledger: Ledger, world: World, adapter: Adapter
) -> None:
    adapter.says("PUT", "/inbound-orders/", 409, code="already-exists", times=1)
    sold = world.sell_in_komet()
    ledger.live(90)
    assert_in_step(world, sold)
    assert ledger.writes(str(sold["number"]), "axerrio.inbound-orders") == ["refused", "done"]


def test_a_conflict_of_versions_is_tried_again(ledger: Ledger, world: World, adapter: Adapter) -> None:
    adapter.says("PUT", "/inbound-orders/", 409, code="version-conflict", times=1)
    sold = world.sell_in_komet()
    ledger.live(90)
    assert_in_step(world, sold)
    assert ledger.writes(str(sold["number"]), "axerrio.inbound-orders") == ["refused", "done"]


def test_an_order_that_is_not_there_for_a_moment_is_linked_later(
    ledger: Ledger, world: World, adapter: Adapter
) -> None:
    adapter.says("PUT", "/external-references/", 404, code="does-not-exist", times=1)
    key = world.place()
    ledger.live(180)
    assert ledger.state(key) == "ordered"
    assert_exactly_once(world, key)
    assert ledger.writes(key, "axerrio.external-references") == ["refused", "done"]


# -- it fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_work", [False, True])
def test_what_it_fails_at_for_what_it_says_goes_as_it_was_mended(
    ledger: Ledger, world: World, adapter: Adapter, after_work: bool
) -> None:
    sold = world.sell_in_komet()
    key, first = str(sold["number"]), sold["item_ids"][0]
    adapter.says("PUT", "/inbound-orders/", 500, to='"boxes":4', after_work=after_work)
    ledger.live(600)
    assert ledger.state(key) == "failed"
    world.edit(prebook_item_id=first, boxes=6)
    ledger.live(300)
    assert ledger.state(key) == "ordered"
    assert ledger.writes(key, "axerrio.inbound-orders") == ["absent", "done"]
    assert_in_step(world, sold)


# -- it lets nobody in -----------------------------------------------------------------------------------------


def test_who_may_not_do_anything_has_the_wrong_token(ledger: Ledger, world: World, adapter: Adapter) -> None:
    ledger.earn_proof()
    adapter.says("*", "", 403, code="forbidden", detail="Not for this tenant")
    before, key = adapter.asked, world.place()
    ledger.live(600)
    assert adapter.asked - before <= FEW + 20, "more than a probe for each poll"
    connection = shown(ledger)
    assert connection["paused"]
    assert [(each["system"], each["closed_by"]) for each in connection["upstreams"]] == [("axerrio", "token")]
    assert "Not for this tenant" in connection["upstreams"][0]["why"]
    assert connection["paused_methods"] == []
    adapter.is_well()
    ledger.live(180)
    assert ledger.state(key) == "ordered"
    assert_exactly_once(world, key)
    connection = shown(ledger)
    assert (connection["paused"], connection["upstreams"], connection["paused_methods"]) == (False, [], [])


def test_who_may_not_do_one_thing_has_the_right_token(ledger: Ledger, world: World, adapter: Adapter) -> None:
    ledger.earn_proof()
    adapter.says("PUT", "/external-references/", 403, code="forbidden", detail="Not this")
    keys = [world.place() for _ in range(2)]
    ledger.live(300)
    connection = shown(ledger)
    assert not connection["paused"]
    assert connection["upstreams"] == []
    assert [each["method"] for each in connection["paused_methods"]] == ["axerrio.external-references"]
    assert len(world.company["purchase_orders"]) == 3, "Komet's side was done meanwhile"
    adapter.is_well()
    ledger.live(180)
    for key in keys:
        assert ledger.state(key) == "ordered"
        assert_exactly_once(world, key)
    assert shown(ledger)["paused_methods"] == []
