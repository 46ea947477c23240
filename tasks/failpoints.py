"""Failpoints: named points of the write protocol at which a test can break this process.

A test names a folder in `AXKOMET_FAILPOINTS` and puts a file into it, named after the point, such as
`komet.prebook.create.sent`, or after the point and one order, such as `komet.prebook.create.sent.SO-48210`: by its
key in Axerrio, or where it was born in Komet by our id of it there. The file holds one word: `raise`, `exit` (without
any clean-up), `kill` (SIGKILL to itself) or `block` (until a file `<point>.go` appears). Behind `exit` and `kill` may
stand seconds: the process goes on for so long and ends in the middle of what it then does, such as its call. The first
process that reaches the point takes the file away, so that it happens once, whatever is started anew. Without the
variable a point costs one comparison.

    planned    the plan is made, nothing is written
    intended   the write is committed, nothing was sent
    sent       committed as sent, no byte has left
    answered   the answer was read, nothing of it is settled
    settled    the settling is committed
"""

import os
import signal
import threading
import time
from pathlib import Path

_FOLDER = os.environ.get("AXKOMET_FAILPOINTS")


class FailpointError(Exception):
    """A test asked for this error."""


def reach(kind: str, point: str, key: str | None) -> None:
    """Do what a test ordered for this point of a write of this kind, if any did.

    Args:
        kind: of the write.
        point: of the write protocol.
        key: of the order in Axerrio; of one born in Komet, our id of it there.
    """
    if _FOLDER is None:
        return
    _take(Path(_FOLDER) / f"{kind}.{point}")
    _take(Path(_FOLDER) / f"{kind}.{point}.{key}")


def _take(order: Path) -> None:
    taken = order.with_name(f"{order.name}.taken.{os.getpid()}")
    try:
        order.rename(taken)
    except FileNotFoundError:
        return
    match taken.read_text().split():
        case ["raise"]:
            raise FailpointError(order.name)
        case ["exit"]:
            _exit()
        case ["kill"]:
            _kill()
        case ["exit", seconds]:
            threading.Timer(float(seconds), _exit).start()
        case ["kill", seconds]:
            threading.Timer(float(seconds), _kill).start()
        case ["block"]:
            go = order.with_name(f"{order.name}.go")
            while not go.exists():
                time.sleep(0.05)
        case words:
            raise ValueError(f"{order.name}: {' '.join(words)} is none of raise, exit, kill, block")


def _exit() -> None:
    os._exit(1)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
