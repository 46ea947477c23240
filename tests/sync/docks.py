"""What leaves: orders brought to where labels are printed, and what Komet then really holds of their boxes."""

from typing import Any

from models.database import now
from models.states import OrderState
from models.tables import Decision, Order
from tasks.plan import make_plan
from tasks.situation import SituationReader
from tests.sync.conftest import Ledger
from tests.world import World

Json = dict[str, Any]
AWB = "729-1234 5675"
AWB_ADD = "komet.purchase.order.items.awb.add"
CODE_CHANGE = "komet.box.code.change"
#: Seconds between looks: long, since each costs a read of every feed.
_PACE = 60


def polls(ledger: Ledger, times: int = 3) -> None:
    """The worker looks at everything so often. Three times: labels are read, a call is made, its boxes are seen."""
    ledger.live(times * _PACE, pace=_PACE)


def approved(ledger: Ledger, world: World, *orders: Json) -> list[str]:
    """Orders (what is changed of the usual one) that procurement approved, with printed labels; gives their keys."""
    world.in_axerrio("tenant-settings", print_labels=True)
    world.settings(auto_approve_seconds=0)
    keys = [world.place(**order) for order in orders or ({},)]
    for _ in range(6):
        polls(ledger, 1)
        if all(ledger.state(key) == OrderState.APPROVED for key in keys):
            return keys
    raise AssertionError([ledger.order(key) for key in keys])


def ship(world: World, *keys: str, awb: str | None = AWB, **details: Any) -> str:
    """Printed labels of these orders leave; gives the shipment's key."""
    return str(world.in_axerrio("ship", order_keys=[*keys], awb=awb, **details)["key"])


def labels(world: World, key: str, line: str = "1") -> list[Json]:
    """The labels of a line that are not void, in the order of its boxes."""
    found = [
        each
        for each in world.tenant["labels"]
        if each.get("salesOrderKey") == key and each.get("lineKey") == line and each.get("state") != "void"
    ]
    return sorted(found, key=lambda each: int(each["boxIndex"]))


def codes(world: World, key: str, *lines: str) -> list[str]:
    """Codes of these lines' labels, in the order of their boxes."""
    return [str(each["boxCode"]) for line in lines or ("1", "2") for each in labels(world, key, line)]


def order_items(world: World, key: str, line: str = "1") -> list[Json]:
    """The purchase order items in Komet that cover a line, by what Axerrio holds of it."""
    references = world.axerrio_order(key)["external_references"]
    item_id = next(each["prebookItemId"] for each in references["lines"] if each["lineKey"] == line)
    return [
        item
        for order in world.company["purchase_orders"]
        for item in order["items"]
        if str(item["prebook_item_id"]) == item_id and order["status"] != "X"
    ]


def shipped(world: World, key: str, *lines: str) -> list[Json]:
    """Boxes of these lines that Komet holds."""
    return [
        box for line in lines or ("1", "2") for item in order_items(world, key, line) for box in item["shipped_boxes"]
    ]


def assert_shipped(ledger: Ledger, world: World, key: str, *lines: str) -> None:
    """The order has left, and each box in Komet carries its label's code, once."""
    assert ledger.state(key) == OrderState.SHIPPED, ledger.order(key)
    assert sorted(box["code"] for box in shipped(world, key, *lines)) == sorted(codes(world, key, *lines))


def history(ledger: Ledger, key: str) -> str:
    """What the order's history says."""
    return "\n".join(each["why"] for each in ledger.order(key)["history"])


def states(ledger: Ledger, key: str) -> list[str]:
    """The states that the order went through."""
    return [each["to"] for each in ledger.order(key)["history"] if each["from"] != each["to"]]


def held(ledger: Ledger, key: str) -> str:
    """Why a person must act, as `code: message`."""
    order = ledger.order(key)
    assert order["state"] == OrderState.HELD, order
    return f"{order['reason']['code']}: {order['reason']['message']}"


def decide(ledger: Ledger, key: str, choice: str) -> None:
    """A person decides every conflict of the order, as its next command says."""
    order = ledger.order(key)
    assert f"--{choice}" in order["reason"]["next_command"]
    with ledger.runtime.sessions.begin() as session:
        row = session.get_one(Order, order["id"])
        connection = ledger.runtime.connections[row.connection_id]
        situation = SituationReader(session, connection, ledger.timing).read(row)
        holds = [hold for hold in make_plan(situation).holds if hold.fact is not None]
        assert holds
        for hold in holds:
            assert choice in hold.choices
            said = {"line_key": hold.line_key, "fact": hold.fact, "choice": choice}
            session.add(Decision(order_id=row.id, who="Ann", why="agreed by telephone", **said))
        row.due_at = now(session)
    ledger.work()
