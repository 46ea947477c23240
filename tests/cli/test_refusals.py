"""The table of refusals is what the commands do."""

from models.states import FINAL, REFUSED, OrderState
from tests.cli.conftest import Shell
from tests.sync.conftest import Ledger
from tests.world import World


def test_an_order_at_its_end(shell: Shell, ledger: Ledger, world: World) -> None:
    keys = {OrderState.CANCELLED: world.place(status="draft"), OrderState.CLOSED: world.place(status="draft")}
    ledger.work()
    world.place(key=keys[OrderState.CANCELLED], status="cancelled")
    world.place(key=keys[OrderState.CLOSED], status="closed")
    ledger.live(30)
    shell.later(ledger)
    assert {state: ledger.state(key) for state, key in keys.items()} == {state: state.value for state in FINAL}
    for state, key in keys.items():
        name = ledger.order(key)["name"]
        for command in (["hold", key, "--reason", "a"], ["resolve", key, "--ours"], ["resolve", key, "--resend"]):
            assert shell.complaint(3, *command) == f"axkomet: {name} {REFUSED[command[0]][state]}."
        assert shell.run("requeue", key).stdout == f"{name} {REFUSED['requeue'][state]}\n"
        assert "not held" in shell.complaint(3, "release", key)


def test_an_order_that_is_under_way_refuses_nothing(shell: Shell, ledger: Ledger, world: World) -> None:
    key = world.place(status="draft")
    ledger.work()
    for command in (["hold", key, "--reason", "a"], ["release", key], ["requeue", key]):
        assert OrderState(ledger.state(key)) not in REFUSED[command[0]]
        assert shell.run(*command).returncode == 0
