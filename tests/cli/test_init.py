"""The first files: written once, complete, and read back by every other command."""

import errno
import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from tests.cli.conftest import Shell
from worker.init import Answers, check_new, write_files
from worker.problems import Problem
from worker.settings import read_secret_variable

OPTIONS = {
    "--name": "sao-paulo",
    "--time-zone": "America/Sao_Paulo",
    "--company-code": 'Flores "Sul"',
    "--axerrio-url": "https://axerrio.example",
    "--tenant": "farm1",
}


@pytest.fixture
def empty(shell: Shell) -> Shell:
    """A shell in a folder without a connections file."""
    (shell.folder / "connections.toml").unlink()
    return shell


def init(shell: Shell, **changes: str | None) -> list[str]:
    options = OPTIONS | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return ["init", *(word for option, value in options.items() if value is not None for word in (option, value))]


def test_both_files_are_written_and_serve(empty: Shell) -> None:
    done = empty.run(*init(empty))
    assert done.returncode == 0, done
    assert done.stdout.splitlines() == [f"{empty.folder / 'connections.toml'} written", ".env written"]
    assert "axkomet check" in done.stderr
    (entry,) = tomllib.loads((empty.folder / "connections.toml").read_text())["connection"]
    assert (entry["name"], entry["mode"]) == ("sao-paulo", "observe")
    assert entry["komet"]["company_code"] == 'Flores "Sul"'
    env = empty.folder / ".env"
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert "KOMET_TOKEN_SAO_PAULO=\n" in env.read_text()
    checked = empty.run("check").stdout
    assert "names 1 connection(s)" in checked
    assert "KOMET_TOKEN_SAO_PAULO" in checked, "what is to be filled in is named"


@pytest.mark.parametrize("tenant", [None, ""])
def test_an_axerrio_without_a_tenant(empty: Shell, tenant: str | None) -> None:
    assert empty.run(*init(empty, tenant=tenant)).returncode == 0
    text = (empty.folder / "connections.toml").read_text()
    (entry,) = tomllib.loads(text)["connection"]
    assert "tenant" not in entry["axerrio"]
    assert '# tenant = "farm1"\n' in text, "it is told where it would stand"


def test_at_a_terminal_it_may_be_left_empty(empty: Shell) -> None:
    tokens = [f"{each}'s token (Enter: fill it in later) []: " for each in ("Komet", "Axerrio")]
    empties = dict.fromkeys(["Axerrio's tenant (Enter: it has none):", *tokens], "\n")
    answers = {"Name of the connection": "miami\n"} | empties
    done = empty.run_on_terminal(*init(empty, name=None, tenant=None), answers=answers)
    assert done.returncode == 0, done
    assert all(question in done.stdout for question in answers), "it is asked for all the same"
    (entry,) = tomllib.loads((empty.folder / "connections.toml").read_text())["connection"]
    assert (entry["name"], entry["axerrio"].get("tenant")) == ("miami", None)


def test_nothing_is_overwritten(empty: Shell) -> None:
    env = empty.folder / ".env"
    env.write_text("MINE=1\n")
    done = empty.run(*init(empty), "--json")
    assert json.loads(done.stdout) == {"written": [str(empty.folder / "connections.toml")]}
    assert env.read_text() == "MINE=1\n"
    before = (empty.folder / "connections.toml").read_text()
    assert "is there already" in empty.complaint(2, *init(empty, name="quito"))
    assert (empty.folder / "connections.toml").read_text() == before


def test_nobody_is_asked_for_what_would_be_thrown_away(empty: Shell) -> None:
    (empty.folder / ".env").write_text("MINE=1\n")
    answers = {"Name of the connection": "miami\n", "Axerrio's tenant (Enter: it has none):": "\n"}
    done = empty.run_on_terminal(*init(empty, name=None, tenant=None), answers=answers)
    assert done.returncode == 0, done
    assert "token (Enter" not in done.stdout
    assert ".env is there already and stays as it is: add KOMET_TOKEN_MIAMI and AXERRIO_TOKEN_MIAMI" in done.stdout
    done = empty.run_on_terminal(*init(empty, name=None))
    assert done.returncode == 2
    assert "is there already, and init overwrites nothing" in done.stdout
    assert "Name of the connection" not in done.stdout


TOKENS = ("it's", "a\\b", "${HOME}", "$HOME", "'", '"a"', "a\\'b", "a\\\\'", "a#b", "end\\")


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_is_read_back_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.chdir(tmp_path)
    answers = Answers("miami", "America/New_York", "https://k.example", "MIA", "https://a.example", "", token, token)
    write_files(answers, tmp_path / "connections.toml")
    for variable in ("KOMET_TOKEN_MIAMI", "AXERRIO_TOKEN_MIAMI"):
        assert read_secret_variable(variable) == token


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": None, "axerrio_url": None}, "Nobody is there to ask: give --name, --axerrio-url"),
        ({"name": "São Paulo"}, "connection São Paulo: name:"),
        ({"time_zone": "Brazil"}, "Brazil is no time zone name"),
        ({"axerrio_url": "http://axerrio.example"}, "plain http shows the token to the network"),
    ],
)
def test_mistakes_write_nothing(empty: Shell, changes: dict[str, str | None], said: str) -> None:
    assert said in empty.complaint(2, *init(empty, **changes))
    assert not {"connections.toml", ".env"} & set(os.listdir(empty.folder))


def test_a_disk_that_is_full_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answers = Answers("miami", "America/New_York", "https://k.example", "MIA", "https://a.example", "")
    write, full = os.fdopen, OSError(errno.ENOSPC, "No space left on device")

    def fill(*args: Any, **named: Any) -> Any:
        opened = write(*args, **named)
        monkeypatch.setattr(opened, "write", Mock(side_effect=full))
        return opened

    monkeypatch.setattr(os, "fdopen", fill)
    with pytest.raises(Problem, match="cannot be written: No space left on device"):
        write_files(answers, tmp_path / "connections.toml")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_nobody_may_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may enter every folder, so it is said in its place."""
    monkeypatch.setattr(Path, "exists", Mock(side_effect=PermissionError(errno.EACCES, "Permission denied")))
    with pytest.raises(Problem, match=r"connections\.toml cannot be written: Permission denied\."):
        check_new(Path("connections.toml"))
