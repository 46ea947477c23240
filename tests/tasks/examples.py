"""Small facts to plan from: one Axerrio order of up to three lines, and what stands of it in Komet."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from models.canonical import (
    Article,
    InboundLine,
    InboundOrder,
    InboundStatus,
    Label,
    LabelState,
    Line,
    LineStatus,
    Order,
    OrderStatus,
    Origin,
    PurchaseOrderStatus,
    Shipment,
    ShipmentLine,
    UnitType,
)
from models.states import Kind, WriteState
from tasks.plan.facts import (
    BoxFacts,
    LineFacts,
    PrebookItemFacts,
    PurchaseOrderItemFacts,
    Situation,
    WriteFacts,
)

TODAY = date(2026, 11, 24)
SHIP_DATE = TODAY + timedelta(days=2)
TRUCK_DATE = TODAY + timedelta(days=4)
ROSE = Article(code="RFREE50", description="Rose Freedom 50 cm")


def a_line(key: str, **changes: Any) -> Line:
    fields: dict[str, Any] = {
        "line_key": key,
        "status": LineStatus.OPEN,
        "article": ROSE,
        "packing_code": "HB",
        "boxes": 4,
        "bunches_per_box": 10,
        "stems_per_bunch": 25,
        "unit_type": UnitType.STEM,
        "unit_cost": "0.28",
        "departure_date": SHIP_DATE,
    }
    return Line.model_validate(fields | changes)


def a_mixed_line(key: str, **changes: Any) -> Line:
    parts = [{"article": Article(code=code, description=code), "bunches": 5, "stems_per_bunch": 25} for code in "AB"]
    return a_line(key, breakdown=parts, **changes)


def an_order(lines: Iterable[Line], status: OrderStatus = OrderStatus.CONFIRMED, **changes: Any) -> Order:
    fields: dict[str, Any] = {
        "key": "SO-1",
        "number": "2026-1",
        "version": 1,
        "status": status,
        "origin": Origin.AXERRIO,
        "buyer_code": "MIAFLOWERS",
        "buyer_name": "Miami Flowers Inc",
        "carrier_code": "ARM",
        "departure_date": SHIP_DATE,
        "truck_date": TRUCK_DATE,
        "lines": tuple(lines),
    }
    return Order(**fields | changes)


def as_sent(line: Line, carrier: str | None = "ARM") -> dict[str, Any]:
    """The material part of a line, as the ledger keeps what was sent of it."""
    parts = [
        {"article": part.article.code, "product_code": part.article.code, "bunches": part.bunches}
        for part in line.breakdown
    ]
    return {
        "article": line.article.code,
        "product_code": line.article.code,
        "product_description": line.article.description,
        "boxes": line.boxes,
        "unit_cost": str(line.unit_cost),
        "departure_date": line.departure_date.isoformat() if line.departure_date else None,
        "breakdown": parts,
        "carrier": carrier,
    }


def facts(key: str, **changes: Any) -> LineFacts:
    wanted = changes.get("wanted", a_line(key))
    fields: dict[str, Any] = {
        "line_id": int(key),
        "line_key": key,
        "wanted": wanted,
        "wanted_as_sent": as_sent(wanted) if wanted else None,
        "since_version": 1,
        "axerrio_line_key": key,
        "ship_date": wanted.departure_date if wanted else None,
    }
    return LineFacts(**fields | changes)


def item(key: str, *purchase_order_items: PurchaseOrderItemFacts, **changes: Any) -> PrebookItemFacts:
    fields: dict[str, Any] = {
        "item_id": f"88{key}",
        "prebook_id": "991201",
        "prebook_number": "4343",
        "truck_date": TRUCK_DATE,
        "boxes": 4,
        "mapped": True,
        "seen": True,
        "sent": as_sent(a_line(key)),
        "write_id": 99,
        "purchase_order_items": purchase_order_items,
    }
    return PrebookItemFacts(**fields | changes)


def bought(key: str, **changes: Any) -> PurchaseOrderItemFacts:
    fields: dict[str, Any] = {
        "item_id": f"78{key}",
        "purchase_order_id": "70012",
        "number": "70012",
        "boxes": 4,
        "first_boxes": changes.get("boxes", 4),
        "ship_date": SHIP_DATE,
        "status": PurchaseOrderStatus.PENDING,
    }
    return PurchaseOrderItemFacts(**fields | changes)


def approved(key: str, **changes: Any) -> PurchaseOrderItemFacts:
    return bought(key, status=PurchaseOrderStatus.APPROVED, **changes)


def code_of(key: str, index: int) -> str:
    """The box code of a line's label."""
    return f"AX{key}-{index}"


def a_label(key: str, index: int, **changes: Any) -> Label:
    fields: dict[str, Any] = {
        "key": f"L{key}-{index}",
        "version": 1,
        "order_key": "SO-1",
        "line_key": key,
        "box_index": index,
        "box_code": code_of(key, index),
        "state": LabelState.PRINTED,
    }
    return Label(**fields | changes)


def left(key: str, indexes: Iterable[int]) -> ShipmentLine:
    """Boxes of a line in a shipment, named by their labels."""
    of_line = tuple(indexes)
    return ShipmentLine(
        order_key="SO-1",
        line_key=key,
        boxes=len(of_line),
        box_codes=tuple(code_of(key, index) for index in of_line),
        label_keys=tuple(f"L{key}-{index}" for index in of_line),
    )


def a_shipment(key: str, *lines: ShipmentLine, **changes: Any) -> Shipment:
    fields: dict[str, Any] = {
        "key": key,
        "version": 1,
        "ship_date": SHIP_DATE,
        "awb": "729-1234-5675",
        "lines": lines,
    }
    return Shipment(**fields | changes)


def a_box(key: str, index: int, shipment_key: str = "S1", **changes: Any) -> BoxFacts:
    fields: dict[str, Any] = {
        "box_code": code_of(key, index),
        "label_key": f"L{key}-{index}",
        "shipment_key": shipment_key,
        "purchase_order_item_id": f"78{key}",
        "awb": "729-1234-5675",
        "house_awb": "",
        "ship_date": SHIP_DATE,
    }
    return BoxFacts(**fields | changes)


def a_write(id_: int, kind: Kind, state: WriteState, *keys: str, **changes: Any) -> WriteFacts:
    fields: dict[str, Any] = {
        "id": id_,
        "kind": kind,
        "state": state,
        "line_keys": frozenset(keys),
        "acknowledged": state is WriteState.DONE,
        "shown": False,
        "deadline_in": timedelta(seconds=20),
        "looks": 0,
        "reads": changes.get("looks", 0),
        "absence_is_proof": False,
        "may_be": None,
        "counts": True,
        "trace": "the prebook",
        "look_key": TRUCK_DATE.isoformat(),
        "sent": {key: _says(kind, key) for key in keys} if kind.value.startswith("komet.") else {},
    }
    return WriteFacts(**fields | changes)


def _says(kind: Kind, key: str) -> dict[str, Any]:
    """What a write to Komet says of a line."""
    match kind:
        case Kind.PREBOOK_CREATE:
            return as_sent(a_line(key))
        case Kind.PREBOOK_ITEM_DELETE:
            return {"item_id": f"88{key}", "boxes": 4}
        case Kind.PURCHASE_ORDER_ITEM_DELETE:
            return {"item_id": f"78{key}", "boxes": 4}
        case Kind.AWB_ADD:
            return {"shipment": "S1", "items": [{"item_id": f"78{key}", "box_codes": [code_of(key, 1)]}]}
        case Kind.BOX_CODE_CHANGE:
            return {"changes": [[code_of(key, 1), f"{code_of(key, 1)}-new"]]}
        case _:
            return {"prebook_item_id": f"88{key}", "boxes": 4, "ship_date": SHIP_DATE.isoformat()}


def an_answer(keys: Mapping[str, bool | None], status: InboundStatus = InboundStatus.ACCEPTED) -> InboundOrder:
    """Axerrio's answer to an order born in Komet: which of its lines it took."""
    lines = tuple(
        InboundLine(external_line_id=key, line_key=key if taken else None, is_accepted=taken)
        for key, taken in keys.items()
    )
    return InboundOrder(external_id="komet-MIA-991201", order_key="SO-1", status=status, lines=lines)


def a_situation(lines: tuple[LineFacts, ...], **changes: Any) -> Situation:
    fields: dict[str, Any] = {
        "connection": "miami",
        "key": "2026-1",
        "origin": Origin.AXERRIO,
        "begun_version": None,
        "seeded_version": None,
        "wanted": an_order(line.wanted for line in lines if line.wanted),
        "is_deleted": False,
        "unreadable": None,
        "skipped": None,
        "lines": lines,
        "writes": (),
        "references_applied": None,
        "report_applied": None,
        "today": TODAY,
        "changed_on": TODAY,
        "customer_code": "C100",
        "carrier_code": "ARM",
        "carrier_known": True,
        "unknown_packings": (),
        "reference_known": True,
        "max_attempts": 12,
    }
    return Situation(**fields | changes)
