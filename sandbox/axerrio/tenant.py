"""What stands in one Axerrio tenant."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import Response

from sandbox.axerrio.feed import Feed, Record
from sandbox.wire import Json


class Rejection(BaseModel):
    """Why a line of an inbound order is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = "rejected"
    message: str = "Refused by the sandbox"


class TenantSettings(BaseModel):
    """How this tenant behaves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inbound: Literal["accepted", "pending", "rejected"] = "accepted"  # what becomes of an inbound order at once
    knows_all_articles: bool = True  # False: a line with an article that the tenant does not have is refused
    reject_lines: dict[str, Rejection] = {}  # by externalLineId
    print_labels: bool = False  # labels are printed by themselves once they may be
    symbology: str = "code128"
    lot_number: str | None = None
    clock_offset_seconds: float = 0  # by so much its clock is wrong


def _articles() -> list[Json]:
    return [
        {"key": "A-100", "code": "RFREE50", "description": "Rose Freedom 50 cm", "vbnCode": "1182"},
        {"key": "A-101", "code": "RMOND50", "description": "Rose Mondial 50 cm", "vbnCode": "1183"},
        {"key": "A-900", "code": "MIXROSE", "description": "Mixed roses 50 cm", "vbnCode": None},
    ]


class TenantSeed(BaseModel):
    """A tenant to play; all but the token has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: str = Field(min_length=1)
    tenant_id: str | None = None
    name: str = "Farm One"
    time_zone: str = "America/Bogota"
    currency: str = "USD"
    orders: list[Json] = []
    articles: list[Json] = Field(default_factory=_articles)
    settings: TenantSettings = TenantSettings()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        ZoneInfo(value)
        return value


@dataclass
class SalesOrder(Record):
    """One order: its record in the feed, and what others wrote beside it."""

    external_references: Json | None = None
    procurement_status: Json | None = None

    def shown(self) -> Json:
        """The record as the feed sends it."""
        if self.raw or self.deleted:
            return self.record
        references = [{"system": "komet", **self.external_references}] if self.external_references else None
        return self.record | {"externalReferences": references or self.record["externalReferences"]}

    @property
    def lines(self) -> list[Json]:
        """Its lines, as far as they are well formed."""
        lines = self.record.get("lines")
        return [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []

    @property
    def line_keys(self) -> set[str]:
        """The keys of its lines."""
        return {str(line.get("lineKey")) for line in self.lines}

    @property
    def shipped(self) -> bool:
        """Goods of it have left."""
        return self.record.get("status") in ("shipped", "closed") or any(
            line.get("status") == "shipped" for line in self.lines
        )


@dataclass
class Inbound:
    """An order that came from outside: what was asked last, and what was decided."""

    external_id: str
    body: Json
    status: str = "pending"
    order_key: str | None = None
    lines: list[Json] = field(default_factory=list)
    applied: Json | None = None  # what of the body stands in the order, unless a person edited it since
    version: int = 0  # of the order, as the body was applied
    cancelled: bool = False


@dataclass
class Tenant:
    """One tenant: the records of its feeds, and what came from outside."""

    seed: TenantSeed
    settings: TenantSettings = field(init=False)
    inbound: dict[str, Inbound] = field(default_factory=dict)
    answered: dict[str, tuple[str, Response]] = field(default_factory=dict)
    shipped_in: dict[str, str] = field(default_factory=dict)  # label id -> shipment key

    def __post_init__(self) -> None:
        self.settings = self.seed.settings
        self.orders = Feed(SalesOrder)
        self.labels = Feed(Record, "labelId")
        self.shipments = Feed(Record)
        self.articles = Feed(Record, versioned=False)
        self.numbers = itertools.count(9_000_001)
        self.label_numbers = itertools.count(1)
        self.shipment_numbers = itertools.count(1)
        self._labels_of: defaultdict[tuple[object, object], set[str]] = defaultdict(set)
        for record in self.seed.orders:
            self.save(record)
        for article in self.seed.articles:
            self.articles.change(article, {"vbnCode": None})

    def save(self, change: Json, *, whole: bool = False) -> SalesOrder:
        """Create an order, or change the fields given, or replace it whole; its lines are always replaced whole.

        A line of an order from outside keeps its `externalLineId` in a change that does not speak of it.

        Raises:
            ValueError: the order has no key, or its lines are no list of objects.
        """
        before = self.orders.before(self.orders.key_of(change))
        lines = change.get("lines", [])
        if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
            raise ValueError("lines must be a list of objects; use raw for a malformed record")
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        defaults: Json = {
            "number": change["key"],
            "status": "confirmed",
            "origin": "axerrio",
            "currency": self.seed.currency,
            "comments": "",
            "lines": [],
            "externalReferences": [],
            "createdAt": now,
        }
        outside = {
            line["lineKey"]: {"externalLineId": line["externalLineId"]}
            for line in before.get("lines", [])
            if "externalLineId" in line
        }
        content: Json = {"modifiedAt": now} | change
        if "lines" in change:
            content["lines"] = [
                _line(n, outside.get(line.get("lineKey"), {}) | line) for n, line in enumerate(lines, start=1)
            ]
        if whole:
            kept = {name: before[name] for name in ("createdAt", "externalReferences") if name in before}
            return self.orders.save({"isDeleted": False} | defaults | kept | content)
        return self.orders.change(content, defaults)

    def save_label(self, change: Json) -> Record:
        """Create a label, or change the fields given.

        Raises:
            ValueError: it has no id.
        """
        settings = self.settings
        defaults = {"state": "printed", "symbology": settings.symbology, "lotNumber": settings.lot_number}
        label = self.labels.change(change, defaults)
        self._labels_of[label.record.get("salesOrderKey"), label.record.get("lineKey")].add(label.key)
        return label

    def labels_of(self, order_key: str, line_key: object) -> Iterator[Record]:
        """The labels of a line that are neither void nor deleted, in order of their boxes."""
        labels = [self.labels.records[key] for key in self._labels_of[order_key, line_key]]
        for label in sorted(labels, key=lambda label: (label.record.get("boxIndex") or 0, label.key)):
            here = (label.record.get("salesOrderKey"), label.record.get("lineKey")) == (order_key, line_key)
            if here and not label.deleted and not label.raw and label.record.get("state") != "void":
                yield label

    def find_article(self, code: str, description: str) -> Json | None:
        """One of the tenant's articles, by its code or else by its description, in any case."""
        articles = [each.record for each in self.articles.records.values() if not each.deleted and not each.raw]
        for name, wanted in (("code", code.casefold()), ("description", description.casefold())):
            for article in articles:
                if wanted and str(article.get(name) or "").casefold() == wanted:
                    return article
        return None


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
