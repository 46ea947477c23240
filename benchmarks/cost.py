"""What processes cost: processor time and memory, as Linux counts them in `/proc`."""

import os
from collections.abc import Iterator
from pathlib import Path

MIB = 2**20
_TICKS = os.sysconf("SC_CLK_TCK")


def spent_by(pid: int) -> float:
    """Processor seconds of a process, of its children that live, and of those that it waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS + sum(map(spent_by, children_of(pid)))


def resident(pid: int) -> int:
    """Resident bytes of a process."""
    return _bytes(Path(f"/proc/{pid}/status"), "VmRSS:")


def proportional(pid: int, *, alone: bool = False) -> int:
    """Bytes of a process and, but for `alone`, of all that it started; what several share counts once among them."""
    counted = [pid] if alone else tree_of(pid)
    return sum(_bytes(Path(f"/proc/{each}/smaps_rollup"), "Pss:") for each in counted)


def tree_of(pid: int) -> Iterator[int]:
    """A process and all that it started, and what those started."""
    yield pid
    for child in children_of(pid):
        yield from tree_of(child)


def children_of(pid: int) -> list[int]:
    """What the main thread of a process started, and still lives."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _bytes(file: Path, name: str) -> int:
    return next(int(line.split()[1]) * 1024 for line in file.read_text().splitlines() if line.startswith(name))
