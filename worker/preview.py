"""`requeue --dry-run`: what of an order stands in Komet and what would be sent next, in the words of the trade."""

from collections.abc import Iterator, Mapping

from sqlalchemy.orm import Session

from models.canonical import Json, Line
from models.states import Kind
from models.tables import Order
from tasks.connection import Connection
from tasks.plan import judged, make_plan
from tasks.plan.facts import PlannedWrite
from tasks.requeue import Requeued, requeue
from tasks.runtime import Timing
from tasks.situation import SituationReader
from worker.desk import find_order


def preview(session: Session, connection: Connection, row: Order, timing: Timing) -> Json:
    """What a requeue of the order would lead to. The caller rolls back: nothing of it is meant to stay.

    Args:
        session: a transaction of its own.
        connection: of the order; it is asked for nothing.
        row: of the order.
        timing: of the process.
    """
    became = requeue(session, [row.id], "a preview")[row.id]
    session.flush()
    view = find_order(session, f"id:{row.id}")
    assert view is not None  # noqa: S101 - its row is locked
    would: list[str] = []
    waits = None
    if became is Requeued.DUE:
        plan = make_plan(judged(SituationReader(session, connection, timing).read(row)))
        lines = {line.line_key: Line.model_validate(line.wanted) for line in row.lines if line.wanted is not None}
        would = [words for write in plan.writes for words in _would(write, lines)]
        if plan.repeats:
            would.append("! what was sent without an answer goes once more, as it was: it is safe to repeat")
        waits = plan.reason
    return {
        "id": row.id,
        "name": row.name,
        "connection": view["connection"],
        "outcome": became.value,
        "stands": [_stands(line) for line in view["lines"]],
        "would": would,
        "waits": waits,
    }


def _stands(line: Json) -> str:
    """What Komet holds of a line."""
    if line["prebook_item_id"] is None:
        return f"line {line['line_key']}: nothing stands in Komet"
    bought = [
        f"purchase order {each['number']} ({each['boxes']} boxes, {each['status']})"
        for each in line["purchase_order_items"]
    ]
    stands = ", ".join([f"prebook item {line['prebook_item_id']}", *bought])
    return f"line {line['line_key']}: {stands}"


def _would(write: PlannedWrite, lines: Mapping[str, Line]) -> Iterator[str]:
    """A write, as lines of a difference: `+` is made, `-` is taken away, `~` is changed."""
    of_lines = ", ".join(f"line {key}" for key in write.line_keys)
    match write.kind:
        case Kind.PREBOOK_CREATE:
            for key in write.line_keys:
                yield f"+ prebook, {_goods(key, lines)}"
        case Kind.PURCHASE_ORDER_CREATE | Kind.PURCHASE_ORDER_MIXED_CREATE:
            where = f"purchase order {write.purchase_order_number}" if write.purchase_order_number else "purchase order"
            for key in write.line_keys:
                yield f"+ {where} for ship date {write.ship_date}, {_goods(key, lines)}"
        case Kind.PREBOOK_ITEM_DELETE:
            yield f"- prebook item {write.item_id}, {of_lines}"
        case Kind.PURCHASE_ORDER_ITEM_DELETE:
            yield f"- purchase order item {write.item_id}, {of_lines}"
        case Kind.AWB_ADD:
            for part in write.awb:
                codes = " ".join(part.box_codes)
                yield f"+ {len(part.box_codes)} box(es) on air waybill {part.awb}: {codes}"
        case Kind.BOX_CODE_CHANGE:
            for box in write.boxes:
                yield f"~ box code {box.current} → {box.new}"
        case Kind.INBOUND_ORDER:
            yield "- the order in Axerrio" if write.inbound is None else f"~ the order in Axerrio, {of_lines}"
        case Kind.EXTERNAL_REFERENCES:
            yield "~ Axerrio's links to prebook and purchase orders"
        case Kind.PROCUREMENT_STATUS:
            status = write.report.status.value if write.report else "unknown"
            yield f"~ Axerrio's procurement status: {status}"


def _goods(key: str, lines: Mapping[str, Line]) -> str:
    line = lines.get(key)
    if line is None:
        return f"line {key}"
    product = " ".join(filter(None, (line.article.code, line.article.description)))
    return f"line {key}: {line.boxes} {line.packing_code} {product}"
