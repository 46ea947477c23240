"""Orders, box types and items to play with."""

from datetime import date
from decimal import Decimal
from typing import Any

from clients.komet.settings import KometSettings
from models.canonical import (
    Article,
    BoxType,
    Carrier,
    Component,
    Line,
    LineStatus,
    Order,
    OrderStatus,
    Origin,
    PrebookComponent,
    PrebookItem,
    UnitType,
)

CARRIER = Carrier(carrier_id="1878", code="ARM", name="Armellini", active=True)
BOX_TYPES = {
    "HB": BoxType(box_type_id="1057", code="HB", fbe=Decimal("0.5")),
    "QB": BoxType(box_type_id="1058", code="QB", fbe=Decimal("0.25")),
}
MARK = "0123456XYZ"


def settings(**changes: Any) -> KometSettings:
    given = {"base_url": "http://127.0.0.1/api", "token_env": "T", "company_code": "MIA", **changes}
    return KometSettings.model_validate(given)


def line(key: str = "1", **changes: Any) -> Line:
    given: dict[str, Any] = {
        "line_key": key,
        "status": LineStatus.OPEN,
        "article": Article(code="RFREE50", description="Rose Freedom 50 cm"),
        "packing_code": "HB",
        "boxes": 4,
        "bunches_per_box": 10,
        "stems_per_bunch": 25,
        "unit_type": UnitType.STEM,
        "unit_price": Decimal("0.35"),
        "unit_cost": Decimal("0.28"),
        "mark_code": "DOCK2",
        "departure_date": date(2026, 11, 24),
    }
    return Line(**{**given, **changes})


def mixed_line(key: str = "2", **changes: Any) -> Line:
    breakdown = (
        Component(
            article=Article(code="RFREE50", description="Rose Freedom 50 cm"),
            bunches=5,
            stems_per_bunch=25,
            unit_price=Decimal("8.75"),
            unit_cost=Decimal("7.00"),
        ),
        Component(article=Article(code="RMOND50", description=""), bunches=3, stems_per_bunch=25),
    )
    return line(
        key,
        **{
            "article": Article(code="MIXROSE", description="Mixed roses 50 cm"),
            "packing_code": "Q4",
            "boxes": 2,
            "bunches_per_box": 8,
            "unit_type": UnitType.BUNCH,
            "breakdown": breakdown,
            **changes,
        },
    )


def order(*lines: Line, **changes: Any) -> Order:
    given: dict[str, Any] = {
        "key": "SO-48210",
        "number": "2026-48210",
        "version": 2,
        "status": OrderStatus.CONFIRMED,
        "origin": Origin.AXERRIO,
        "buyer_code": "MIAFLOWERS",
        "buyer_name": "Miami Flowers Inc",
        "customer_reference": "PO 77123",
        "comments": "Handle with care",
        "departure_date": date(2026, 11, 24),
        "truck_date": date(2026, 11, 26),
        "lines": lines or (line(), mixed_line()),
    }
    return Order(**{**given, **changes})


def component(description: str | None = "Rose Freedom 50 cm", **changes: Any) -> PrebookComponent:
    """A product of a mixed box as Komet shows the first of `mixed_line()`."""
    given: dict[str, Any] = {
        "product_description": description,
        "product_id": "999",
        "mapped": True,
        "bunches": 5,
        "stems_per_bunch": 25,
    }
    return PrebookComponent(**{**given, **changes})


def item(item_id: str, **changes: Any) -> PrebookItem:
    """An item as Komet shows `line()`."""
    given: dict[str, Any] = {
        "item_id": item_id,
        "product_description": "Rose Freedom 50 cm",
        "product_id": "999",
        "mapped": True,
        "boxes": 4,
        "box_type": "HB",
        "bunches_per_box": 10,
        "stems_per_bunch": 25,
        "unit_type": UnitType.STEM,
        "mark_code": "DOCK2",
    }
    return PrebookItem(**{**given, **changes})
