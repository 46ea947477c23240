"""What is stored of a plan."""

from sqlalchemy.orm import Session

from models.states import HoldCode, OrderState
from models.tables import Order
from tasks.decide import move
from tasks.plan import Plan


def test_the_next_command_is_the_plans_though_state_and_reason_stay() -> None:
    """The connection was renamed, and its name stands in the command alone."""
    state, code, why = OrderState.MAPPING_REQUIRED, HoldCode.MAPPING_REQUIRED, "Komet does not know article RFREE50."
    row = Order(state=state, reason_code=code, reason=why, next_command="axkomet mapping set miami RFREE50")
    plan = Plan(state, code, why, "axkomet mapping set bogota RFREE50")
    with Session() as session:
        move(session, row, plan)
        assert not session.new, "nothing moved, so there is no history"
    assert row.next_command == plan.next_command
