"""The command line.

Exit codes: 0 done, 1 failed or unhealthy, 2 wrong usage or configuration, 3 nothing matched, 4 partly done.
"""

import sys

import typer

from worker.cli import desk, feeds, mappings, orders, processes
from worker.cli.shared import app
from worker.problems import Problem

__all__ = ["desk", "feeds", "main", "mappings", "orders", "processes"]


def main() -> None:
    """Run a command; a user's mistake becomes one sentence on stderr."""
    try:
        app()
    except Problem as problem:
        typer.echo(f"axkomet: {problem}", err=True)
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
