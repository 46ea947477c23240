"""Faults to order: which request goes wrong, and how. Knows neither system and no method."""

import random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from sandbox.wire import Call

Kind = Literal[
    "lost_answer",  # the work is done, then the connection closes without one byte
    "reset_before",  # the connection closes before any work
    "error_before",  # 500 without work
    "error_after",  # the work is done, then 500
    "slow",  # the work is done at once, the answer comes after `seconds`
    "slow_before",  # the work begins after `seconds`
    "html",  # the work is done, the answer is an HTML page with status 200
    "truncated",  # the work is done, half of the answer is sent, then the connection closes
    "rate_limited",  # 429 with `seconds` as Retry-After, without work
    "hollow",  # an empty object with status 200, without work
    "refuse",  # the system's own form of a refusal with `message`, without work
]


class Fault(BaseModel):
    """An order for trouble."""

    model_config = ConfigDict(extra="forbid")

    system: Literal["komet", "axerrio"]
    method: str = "*"
    kind: Kind
    token: str | None = None
    times: int | None = Field(default=None, ge=0)
    skip: int = Field(default=0, ge=0)
    probability: float = Field(default=1.0, ge=0, le=1)
    seconds: float = Field(default=1.0, ge=0)
    message: str = "Refused by the sandbox"
    seed: int = 0
    struck: int = 0

    _random: random.Random = PrivateAttr()

    def model_post_init(self, _context: object) -> None:
        """Start the dice at the seed, so that a run can be repeated."""
        self._random = random.Random(self.seed)  # noqa: S311 - dice, not a secret

    def strikes(self, system: str, call: Call) -> bool:
        """Decide whether this request is hit, and count it."""
        if system != self.system or self.method not in ("*", call.operation):
            return False
        if self.token not in (None, call.token) or (self.times is not None and self.struck >= self.times):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self._random.random() >= self.probability:
            return False
        self.struck += 1
        return True


class Faults:
    """The list of ordered faults. The first that strikes wins; those after it do not see the request."""

    def __init__(self) -> None:
        self.ordered: list[Fault] = []

    def strike(self, system: str, call: Call) -> Fault | None:
        """Find the fault that hits this request."""
        return next((fault for fault in self.ordered if fault.strikes(system, call)), None)
