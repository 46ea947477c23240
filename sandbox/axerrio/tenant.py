"""What stands in one Axerrio tenant."""

import copy
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import Response

from sandbox.wire import Json


class TenantSeed(BaseModel):
    """A tenant to play; all but the token has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: str = Field(min_length=1)
    tenant_id: str | None = None
    name: str = "Farm One"
    time_zone: str = "America/Bogota"
    currency: str = "USD"
    orders: list[Json] = []

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        ZoneInfo(value)
        return value


@dataclass
class SalesOrder:
    """One order: its record in the feed, and what others wrote beside it."""

    key: str
    record: Json
    sequence: int = 0
    version: int = 0
    deleted: bool = False
    raw: bool = False
    external_references: Json | None = None
    procurement_status: Json | None = None

    def shown(self) -> Json:
        """The record as the feed sends it."""
        if self.raw or self.deleted:
            return self.record
        references = [{"system": "komet", **self.external_references}] if self.external_references else None
        return self.record | {"externalReferences": references or self.record["externalReferences"]}

    @property
    def line_keys(self) -> set[str]:
        """The keys of its lines."""
        lines = self.record.get("lines")
        if not isinstance(lines, list):
            return set()
        return {str(line.get("lineKey")) for line in lines if isinstance(line, dict)}


@dataclass
class Tenant:
    """One tenant, its orders and the change feed over them."""

    seed: TenantSeed
    orders: dict[str, SalesOrder] = field(default_factory=dict)
    answered: dict[str, tuple[str, Response]] = field(default_factory=dict)
    maximum_sequence: int = 0

    def __post_init__(self) -> None:
        self._sequences: list[int] = []  # ascending; of a changed record the old place stays as a gap
        self._at: dict[int, SalesOrder] = {}
        for record in self.seed.orders:
            self.save(record)

    def save(self, change: Json) -> SalesOrder:
        """Create an order, or change the fields given; it gets the next version and moves to the end of the feed.

        Raises:
            ValueError: the order has no key, or its lines are no list of objects.
        """
        key = change.get("key")
        if not isinstance(key, str) or not key:
            raise ValueError("an order needs its key, a text")
        lines = change.get("lines", [])
        if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
            raise ValueError("lines must be a list of objects; use raw for a malformed record")
        order = self.orders.setdefault(key, SalesOrder(key, {}))
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        defaults: Json = {
            "number": key,
            "isDeleted": False,
            "status": "confirmed",
            "origin": "axerrio",
            "currency": self.seed.currency,
            "comments": "",
            "lines": [],
            "externalReferences": [],
            "createdAt": now,
        }
        before = {} if order.deleted or order.raw else order.record
        record = defaults | before | {"modifiedAt": now} | copy.deepcopy(change)
        record["lines"] = [_line(n, line) for n, line in enumerate(record["lines"], start=1)]
        order.version = int(change.get("version", order.version + 1))
        order.deleted = order.raw = False
        order.record = record | {"version": order.version}
        self._move(order, change.get("sequence"))
        order.record["sequence"] = order.sequence
        return order

    def save_raw(self, record: Json) -> SalesOrder:
        """Put a record into the feed as it is; only a sequence is added where it names none."""
        key = record.get("key")
        key = key if isinstance(key, str) and key else f"raw-{self.maximum_sequence + 1}"
        order = self.orders.setdefault(key, SalesOrder(key, {}))
        order.raw, order.deleted = True, False
        given = record.get("sequence")
        self._move(order, given if isinstance(given, int) else None)
        order.record = {"sequence": order.sequence} | copy.deepcopy(record)
        return order

    def delete(self, key: str) -> SalesOrder:
        """Turn an order into a tombstone, which names neither version nor content.

        Raises:
            KeyError: there is no such order.
        """
        order = self.orders[key]
        order.deleted = True
        self._move(order, None)
        order.record = {"key": key, "sequence": order.sequence, "isDeleted": True}
        return order

    def _move(self, order: SalesOrder, wanted: int | None) -> None:
        """Give the order its place at the end of the feed; a wanted sequence counts when it is higher."""
        self._at.pop(order.sequence, None)
        self.maximum_sequence = max(self.maximum_sequence + 1, wanted or 0)
        order.sequence = self.maximum_sequence
        self._sequences.append(order.sequence)
        self._at[order.sequence] = order

    def page(self, after: int, limit: int) -> list[Json]:
        """The records whose sequence is greater, ascending, in their newest version."""
        found: list[Json] = []
        for position in range(bisect_right(self._sequences, after), len(self._sequences)):
            if order := self._at.get(self._sequences[position]):
                found.append(order.shown())
                if len(found) == limit:
                    break
        return found


def _line(number: int, line: Json) -> Json:
    return {
        "lineKey": str(number),
        "lineNumber": number,
        "status": "open",
        "unitType": "stem",
        "markCode": "",
        "notes": "",
        "breakdown": [],
    } | line
