"""The command line: a file for each kind of command. What they end with is in `worker.problems.Exit`."""

import errno
import os
import sys
from io import TextIOWrapper

import typer

from worker.cli import desk, feeds, mappings, orders, processes
from worker.cli.shared import app
from worker.problems import Exit, Problem

__all__ = ["app", "desk", "feeds", "main", "mappings", "orders", "processes"]
#: What the system says of a disk that takes no more.
_UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main() -> None:
    """Run a command; a user's mistake becomes one sentence on stderr."""
    if isinstance(sys.stdout, TextIOWrapper):  # a terminal without a letter shows a question mark for it
        sys.stdout.reconfigure(errors="replace")
    try:
        _check_arguments()
        app()
    except Problem as problem:
        typer.echo(f"axkomet: {problem}", err=True)
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except OSError as error:
        if error.errno not in _UNWRITTEN:
            raise
        # What is left of it is not tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        typer.echo(f"axkomet: Not all could be written: {error.strerror}.", err=True)
        sys.exit(Exit.FAILED)
    except Exception as error:
        said = _of_database(error)
        if said is None:
            raise
        typer.echo(f"axkomet: PostgreSQL did not do it ({said}): nothing more was changed. Try again.", err=True)
        sys.exit(Exit.FAILED)


def _check_arguments() -> None:
    try:
        "".join(sys.argv).encode()
    except UnicodeEncodeError:  # Python has a stand-in for each such byte, which nothing else understands
        raise Problem("An argument is no text in UTF-8: give it in UTF-8.") from None


def _of_database(error: Exception) -> str | None:
    """What PostgreSQL said, where it failed or went away after the command had reached it."""
    from sqlalchemy.exc import DBAPIError  # heavy, and seldom needed

    from worker.assembly import first_words

    return first_words(error) if isinstance(error, DBAPIError) else None
