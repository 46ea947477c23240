"""Figures go into a page of the docs: each command writes its own section and leaves the others alone."""

import os
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


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
    begin, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    made = f"Made by `{command}` on {datetime.now(UTC):%Y-%m-%d}, {machine()}."
    text, count = re.subn(
        f"{begin}.*{end}",
        lambda _: f"{begin}\n{made}\n\n{body.strip()}\n{end}",
        file.read_text("utf-8"),
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"{file} has no section {section}")
    file.write_text(text, "utf-8")
    print(body)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine() -> str:
    """What the figures were made on."""
    parts = [f"{os.cpu_count()} cores ({_processor()})", f"{_memory():.0f} GB", f"Linux {platform.release()}"]
    return ", ".join([*parts, f"Python {platform.python_version()}", f"Celery {version('celery')}"])


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
