"""pause and resume: who did it, when and why is found afterwards."""

import getpass
import json

from tests.cli.conftest import Shell
from tests.processes.plant import Json
from tests.sync.conftest import Ledger


def connection(shell: Shell) -> Json:
    (shown,) = json.loads(shell.run("status", "--json").stdout)["connections"]
    assert isinstance(shown, dict)
    return shown


def test_a_pause_and_its_end_leave_a_trace(shell: Shell, ledger: Ledger) -> None:
    ann = getpass.getuser()
    assert connection(shell)["notes"] == []
    assert shell.run("pause", "miami", "--reason", " stock-taking ").stdout == "miami is paused\n"
    assert shell.run("pause", "miami", "--reason", "again").stdout == "miami was paused already\n"
    done = shell.run("pause", "miami", "--json")
    assert json.loads(done.stdout) == {"connection": "miami", "paused": True, "changed": False}
    assert connection(shell)["paused"]
    screen = shell.run("status").stdout
    assert f"by {ann}, stock-taking. `axkomet resume miami`" in screen
    assert shell.run("resume", "miami", "--reason", "all counted").stdout == "miami goes on\n"
    done = shell.run("resume", "miami", "--json")
    assert json.loads(done.stdout) == {"connection": "miami", "paused": False, "changed": False}
    shown = connection(shell)
    assert not shown["paused"]
    assert [(each["who"], each["what"], each["why"]) for each in shown["notes"]] == [
        (ann, "resumed", "all counted"),
        (ann, "paused", "stock-taking"),
    ]
    resumed, paused = (each["at"] for each in shown["notes"])
    assert paused < resumed
    assert f"resumed by {ann} at " in shell.run("status").stdout


def test_a_connection_that_nobody_knows(shell: Shell, ledger: Ledger) -> None:
    for command in ("pause", "resume"):
        assert "lima is no connection of the ledger, which knows miami" in shell.complaint(3, command, "lima")
