"""What both systems share on the wire: JSON with exact decimals, and a request taken apart."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Json = dict[str, Any]


def parse(body: bytes) -> Any:
    """Read JSON; fractions become Decimal.

    Raises:
        ValueError: the body is not JSON.
    """
    return json.loads(body, parse_float=Decimal)


def text(value: Any) -> str:
    """Write JSON; a Decimal becomes a number with the same digits."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_number)


def _number(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class Answer(JSONResponse):
    """A JSON response that can hold Decimals."""

    def render(self, content: Any) -> bytes:
        """Write the content."""
        return text(content).encode()


@dataclass(frozen=True)
class Call:
    """One request to a system: its stable name, who asks, and the work it would do.

    `work` runs from begin to end without a pause, so that all work of the process is atomic and no lock is needed,
    and a client that has gone away stops nothing.
    """

    operation: str
    token: str
    work: Callable[[], Response]
    refusal: Callable[[str], Response]


class World(Protocol):
    """A simulated system."""

    @property
    def system(self) -> str:
        """Its name in faults and in the request log."""
        ...

    def open(self, request: Request, body: bytes) -> Call:
        """Take a request apart; nothing but the counting of it happens yet."""
        ...
