"""What Flower shows: a task did what its name says."""

from sqlalchemy import func, select

from models.states import Kind
from models.tables import Order, Scope
from tasks.advance import advance
from tasks.kinds import KINDS
from tasks.observe import observe
from tests.sync.conftest import Ledger
from tests.world import World


def work(ledger: Ledger) -> list[tuple[str, str]]:
    """Do what is due, each order under the name that its row says; gives the names and what came of them."""
    with ledger.session() as session:
        scopes = session.scalars(select(Scope.id).where(Scope.due_at <= func.axkomet_now())).all()
        orders = session.execute(select(Order.id, Order.next_task).where(Order.due_at <= func.axkomet_now())).all()
    for scope_id in scopes:
        observe(ledger.runtime, scope_id)
    return [(task, advance(ledger.runtime, order_id, task)) for order_id, task in orders]


def test_a_task_does_what_its_name_says(ledger: Ledger, world: World) -> None:
    world.settings(auto_approve_seconds=0)
    world.place()
    world.sell_in_komet()
    done: set[tuple[str, Kind]] = set()
    for _ in range(8):
        ledger.pass_time(30)
        for task, came in (each for _ in range(6) for each in work(ledger)):
            done |= {(task, Kind(part.removesuffix(" done"))) for part in came.split(", ") if part.endswith(" done")}
    assert {kind for _, kind in done} >= {
        Kind.PREBOOK_CREATE,
        Kind.PURCHASE_ORDER_CREATE,
        Kind.INBOUND_ORDER,
        Kind.EXTERNAL_REFERENCES,
        Kind.PROCUREMENT_STATUS,
    }
    assert {(task, kind) for task, kind in done if KINDS[kind].task != task} == set()
