"""cancel: a person takes an order out of the other system, and release takes that back."""

import json

from tests.cli.conftest import Shell
from tests.sync.conftest import Ledger
from tests.world import World


def test_cancelled_and_taken_back(shell: Shell, ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    shell.later(ledger)
    done = shell.run("cancel", key, "--reason", "sold to somebody else", "--json")
    assert done.returncode == 0
    (told,) = json.loads(done.stdout)
    assert (told["cancelled"], told["message"]) == (True, None)
    assert done.stderr == "Where it was made it still stands: cancel it there too.\n"
    assert shell.complaint(3, "cancel", key) == f"axkomet: {told['name']} was cancelled here already."
    ledger.live(300)
    shell.later(ledger)
    shown = shell.run("orders", "show", key).stdout
    assert "cancelled it here, and nothing of it stands in Komet." in shown
    assert shell.complaint(3, "cancel", key).endswith("is cancelled: nothing of it can be taken back.")
    back = shell.run("release", key)
    assert (back.returncode, back.stdout) == (0, f"{told['name']} released\n")
    ledger.live(300)
    assert ledger.state(key) == "ordered"


def test_an_unknown_key(shell: Shell) -> None:
    assert shell.complaint(3, "cancel", "2026-404") == "axkomet: No order has the key 2026-404."
