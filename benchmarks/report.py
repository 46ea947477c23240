"""Figures go into a page of the docs: each command writes its own section and leaves the others alone."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import quantiles

from worker.reference import DOCS, put, table

__all__ = ["machine", "percentile", "publish", "table"]


def publish(page: str, section: str, command: str, body: str) -> None:
    """Put figures into a page, between the two comments that name their section, and print them.

    Args:
        page: name of the page in `docs/`.
        section: as the comments name it: `<!-- section -->` and `<!-- /section -->`.
        command: what made the figures.
        body: Markdown.

    Raises:
        ValueError: the page has no such section.
    """
    file = DOCS / page
    made = f"Made by `{command}` on {datetime.now(UTC):%Y-%m-%d}, {machine()}."
    file.write_text(put(file.read_text("utf-8"), section, f"{made}\n\n{body.strip()}"), "utf-8")
    print(body)


def percentile(values: Sequence[float], percent: int) -> float:
    """What so many of a hundred of these values reach at most; of one value, itself."""
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


def machine() -> str:
    """What the figures were made on."""
    parts = [f"{os.cpu_count()} cores ({_processor()})", f"{_memory():.0f} GB", f"Linux {platform.release()}"]
    return ", ".join([*parts, f"Python {platform.python_version()}", f"Celery {version('celery')}"])


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
