"""Boxes that Komet shows by their codes: an air waybill or a change of codes that nobody answered is done by them."""

from collections.abc import Collection

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session, aliased, joinedload

from models.states import Kind, WriteState
from models.tables import Box, Label, PrebookItem, PurchaseOrderItem, Write, WriteLine
from tasks import proofs
from tasks.kinds.shipping import record_boxes, rename_box
from tasks.scopes import Claim


def adopt(session: Session, claim: Claim, line_ids: Collection[int]) -> bool:
    """Take what the codes of these lines' boxes say.

    Returns:
        A write that shows earned proof of absence by it.
    """
    shown = _codes_shown(session, line_ids)
    if not any(shown.values()):
        return False
    earned = []
    for line in _parts(session, line_ids):
        codes = shown.get(line.line_id, {})
        if line.write.kind is Kind.AWB_ADD:
            done = _adopt_awb(session, line, codes)
        else:
            done = _adopt_changes(session, line, codes)
        if done:
            earned.append(_settle(session, claim, line))
    _adopt_renamed(session, claim, shown)
    for code, item_id in {code: item for codes in shown.values() for code, item in codes.items()}.items():
        session.execute(
            update(Box)
            .where(Box.connection_id == claim.connection_id, Box.box_code == code)
            .values(purchase_order_item_id=item_id)
        )
    return any(earned)


def _codes_shown(session: Session, line_ids: Collection[int]) -> dict[int, dict[str, str]]:
    """By line: purchase order item by the code of each box that Komet shows."""
    rows = session.execute(
        select(PrebookItem.line_id, PurchaseOrderItem.item_id, PurchaseOrderItem.content)
        .join(
            PurchaseOrderItem,
            (PrebookItem.connection_id == PurchaseOrderItem.connection_id)
            & (PrebookItem.item_id == PurchaseOrderItem.prebook_item_id),
        )
        .where(PrebookItem.line_id.in_(line_ids), PurchaseOrderItem.boxes > 0)
    )
    shown: dict[int, dict[str, str]] = {}
    for line_id, item_id, content in rows:
        for code in (content or {}).get("box_codes", ()):
            shown.setdefault(line_id or 0, {})[code] = item_id
    return shown


def _parts(session: Session, line_ids: Collection[int]) -> list[WriteLine]:
    """Parts of calls about boxes of these lines that are not known to have shown.

    One that was given up and sent anew is left out: what shows is taken for the later one's.
    """
    later = aliased(WriteLine)
    sent_anew = select(later.write_id).where(
        later.line_id == WriteLine.line_id, later.kind == WriteLine.kind, later.write_id > WriteLine.write_id
    )
    return list(
        session.scalars(
            select(WriteLine)
            .join(Write, WriteLine.write_id == Write.id)
            .where(
                WriteLine.line_id.in_(line_ids),
                Write.kind.in_((Kind.AWB_ADD, Kind.BOX_CODE_CHANGE)),
                Write.sent_at.is_not(None),
                WriteLine.sent.is_not(None),
                or_(Write.shown_at.is_(None), WriteLine.is_open, WriteLine.error.is_not(None)),
                or_(Write.state != WriteState.ABSENT, ~sent_anew.exists()),
            )
            .order_by(Write.id)
            .options(joinedload(WriteLine.write))
            .execution_options(populate_existing=True)
        )
    )


def _adopt_awb(session: Session, line: WriteLine, codes: dict[str, str]) -> bool:
    """Keep the boxes of the part that show; True where all of them do."""
    items = (line.sent or {})["items"]
    for item in items:
        there = [pair for pair in zip(item["box_codes"], item["label_keys"], strict=True) if pair[0] in codes]
        for code, label_key in there:
            record_boxes(session, line.write, line, {"box_codes": [code], "label_keys": [label_key]}, codes[code])
    return all(code in codes for item in items for code in item["box_codes"])


def _adopt_changes(session: Session, line: WriteLine, codes: dict[str, str]) -> bool:
    """Every new code of the part stands."""
    changes = (line.sent or {})["changes"]
    there = [(current, new) for current, new in changes if new in codes]
    for current, new in there:
        rename_box(session, line.write.connection_id, current, new)
    return len(there) == len(changes)


def _adopt_renamed(session: Session, claim: Claim, shown: dict[int, dict[str, str]]) -> None:
    """A person gave a box its label's code by hand."""
    boxes = session.scalars(select(Box).where(Box.line_id.in_(shown))).all()
    for box in (each for each in boxes if each.box_code not in shown[each.line_id]):
        label = session.get(Label, (claim.connection_id, box.label_key))
        if label is not None and label.content["box_code"] in shown[box.line_id]:
            rename_box(session, claim.connection_id, box.box_code, label.content["box_code"])


def _settle(session: Session, claim: Claim, line: WriteLine) -> bool:
    """The part is done, whatever was said of it; with the last part so is the write."""
    line.error, line.is_open = None, False
    write = line.write
    if write.state is WriteState.SENT and any(each.is_open for each in write.lines):
        return False
    return proofs.shown(session, [write], claim)
