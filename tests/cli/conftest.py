"""The real command as a process, against real services."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from tests.command import Done, run_command, run_on_terminal
from tests.processes.plant import Json, environment
from tests.sync.conftest import Ledger, ledger, make_ledger
from tests.world import World

__all__ = ["ledger", "make_ledger"]


@dataclass
class Shell:
    """Runs the command in a folder of its own, and knows that no mistake may show a traceback."""

    folder: Path
    env: dict[str, str]

    def run(self, *arguments: str, **env: str) -> Done:
        done = run_command(arguments, self.env | env, self.folder)
        assert "Traceback" not in done.stderr + done.stdout
        return done

    def run_on_terminal(
        self, *arguments: str, columns: int = 100, answers: Mapping[str, str] | None = None, **env: str
    ) -> Done:
        """The same at a terminal, which understands colours and is so wide; see `tests.command`."""
        env = self.env | {"TERM": "xterm-256color"} | env
        done = run_on_terminal(arguments, env, self.folder, columns=columns, answers=answers or {})
        assert "Traceback" not in done.stdout
        return done

    def complaint(self, code: int, *arguments: str, **env: str) -> str:
        """The one sentence with which a command ends that cannot do what it was asked."""
        done = self.run(*arguments, **env)
        assert done.returncode == code, done
        (sentence,) = done.stderr.splitlines()
        assert sentence.startswith("axkomet: ")
        assert done.stdout == ""
        return sentence

    def later(self, at_work: Ledger) -> None:
        """Let the commands live at the ledger's time, which a test moves."""
        url = make_url(self.env["AXKOMET_DATABASE_URL"])
        with at_work.engine.begin() as connection:
            connection.execute(text(f"ALTER DATABASE {url.database} SET axkomet.clock_offset = '{at_work.offset}s'"))


@pytest.fixture
def shell(tmp_path: Path, world: World, database_url: str, redis_url: str) -> Shell:
    """Everything is set as it should be."""
    urls = {"AXKOMET_DATABASE_URL": database_url, "AXKOMET_REDIS_URL": redis_url}
    return Shell(tmp_path, environment(tmp_path, world, world.entry(), **urls))


@pytest.fixture
def ordered(world: World, make_ledger: Callable[..., Ledger]) -> Json:
    """An order that is `ordered`, as the ledger shows it."""
    made = make_ledger()
    return made.order(made.earn_proof())
