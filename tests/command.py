"""The command as a process, forked from one that has imported everything: it starts in a tenth of the time."""

import multiprocessing
import os
import pty
import select
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from worker.cli import main

_PATIENCE_SECONDS = 30
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["tests.command", "worker.app", "worker.check", "worker.reconcile", "worker.screens", "worker.up"]
)


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    arguments: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def run_command(arguments: Sequence[str], env: Mapping[str, str], cwd: Path) -> Done:
    """Run `axkomet` with these arguments in this environment and folder, where nobody is at the keyboard.

    Raises:
        TimeoutError: it did not end.
    """
    with TemporaryDirectory() as folder:
        said = Path(folder, "stdout"), Path(folder, "stderr")
        process = _CONTEXT.Process(target=_become, args=(arguments, dict(env), cwd, said))
        process.start()
        process.join(_PATIENCE_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"axkomet {' '.join(arguments)} did not end: {said[1].read_text()}")
        stdout, stderr = (file.read_text() for file in said)
        return Done(tuple(arguments), process.exitcode, stdout, stderr)


def run_on_terminal(
    arguments: Sequence[str], env: Mapping[str, str], cwd: Path, *, columns: int = 100, answers: Mapping[str, str]
) -> Done:
    """The same at a terminal of so many columns. All that is said is in `stdout`, as it was sent there.

    Args:
        arguments: of the command.
        env: its environment.
        cwd: its folder.
        columns: how wide the terminal is.
        answers: what somebody types once a text was said; `\x03` is Ctrl-C.

    Raises:
        TimeoutError: it did not end.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, columns))
    process = _CONTEXT.Process(target=_sit_at, args=(os.ttyname(theirs), arguments, dict(env), cwd))
    said, left = b"", dict(answers)
    end = time.monotonic() + _PATIENCE_SECONDS
    try:
        process.start()
        while process.is_alive() or select.select([ours], [], [], 0)[0]:
            if select.select([ours], [], [], 0.05)[0]:
                said += os.read(ours, 65536)
            for text in [each for each in left if each.encode() in said]:
                os.write(ours, left.pop(text).encode())
            if time.monotonic() > end:
                process.kill()
                raise TimeoutError(f"axkomet {' '.join(arguments)} did not end: {said.decode()}")
        process.join()
    finally:
        os.close(ours)
        os.close(theirs)
    return Done(tuple(arguments), process.exitcode or 0, said.decode().replace("\r\n", "\n"), "")


def _sit_at(terminal: str, arguments: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
    os.setsid()
    opened = os.open(terminal, os.O_RDWR)  # the first that a session opens is its own: Ctrl-C comes from it
    os.dup2(opened, 0)
    sys.stdin = os.fdopen(0)
    _become(arguments, env, cwd, [Path(terminal)] * 2)


def _become(arguments: Sequence[str], env: Mapping[str, str], cwd: Path, said: Sequence[Path]) -> None:
    for stream, file in zip((sys.stdout, sys.stderr), said, strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), stream.fileno())
    sys.stdout = os.fdopen(sys.stdout.fileno(), "w", closefd=False)  # the old one may take it for a file
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["axkomet", *arguments]
    main()
