"""What is known of an order's writes: where they stand, and what the looks since then say of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.orm import Session

from clients.errors import RefusalKind
from models.canonical import Json
from models.database import now
from models.prepared import Found
from models.states import Kind, WriteState
from models.tables import Order as OrderRow
from models.tables import PrebookItem, PurchaseOrderItem
from tasks.connection import Connection
from tasks.dates import today_in
from tasks.plan.facts import PURCHASE_ORDER_CREATES, WriteFacts
from tasks.proofs import grace, patience
from tasks.runtime import Timing
from tasks.situation_rows import LOOKS, PROOFS, WRITE_LINES, WRITES, LookRow, Looks, WriteLineRow, WriteRow, looks

#: A refusal for an unknown product, customer or the like holds the order so long; then it is tried again.
FORGIVEN_AFTER = timedelta(hours=1)
#: What Komet refused of these may have been done in part, which shows only in time: it is not sent again before that.
_IN_PART = (Kind.PREBOOK_CREATE, Kind.AWB_ADD)
_DELETES = (Kind.PREBOOK_ITEM_DELETE, Kind.PURCHASE_ORDER_ITEM_DELETE)


class WriteReader:
    """Tells of the writes of one order, as its situation was read in a transaction.

    Args:
        session: its transaction.
        connection: of the order.
        timing: of the process.
        row: the order, with its lines.
        found: its situation.
    """

    def __init__(self, session: Session, connection: Connection, timing: Timing, row: OrderRow, found: Found) -> None:
        self._session = session
        self._connection = connection
        self._timing = timing
        self._now = now(session)
        self._row = row
        self._own = {line.id: line.line_key for line in row.lines}
        self._writes = found[WRITES]
        self._proofs = {each.kind: each for each in found[PROOFS]}
        self._lines: defaultdict[int, list[WriteLineRow]] = defaultdict(list)
        for line in found[WRITE_LINES]:
            self._lines[line.write_id].append(line)
        self._looks: defaultdict[int | None, list[LookRow]] = defaultdict(list)
        for look in found[LOOKS]:
            self._looks[look.scope_id].append(look)

    def facts(self) -> tuple[WriteFacts, ...]:
        """All writes that cover lines of the order, whoever leads them."""
        facts = []
        for write in self._writes:
            groups: dict[tuple[WriteState, str | None], list[WriteLineRow]] = {}
            for each in self._lines[write.id]:
                if each.line_id in self._own:
                    groups.setdefault(_state_of_line(write, each), []).append(each)
            if not groups:
                groups[write.state, write.error] = []
            facts += [self._facts(write, state, error, lines) for (state, error), lines in groups.items()]
        return tuple(facts)

    def _facts(
        self, write: WriteRow, state: WriteState, error: str | None, lines: Sequence[WriteLineRow]
    ) -> WriteFacts:
        """Of those of its lines that stand so."""
        own, looked = self._own, self._looks[write.scope_id]
        anchor = write.deadline_at if state is WriteState.SENT else write.settled_at
        seen, told, since = Looks(), Looks(), Looks()
        if anchor is not None and state in (WriteState.SENT, WriteState.DONE, WriteState.REFUSED):
            proof = self._proofs.get(write.kind)
            seen = looks(looked, anchor + grace(proof, self._timing))
            told = looks(looked, anchor + patience(proof, self._timing))
            if state is WriteState.REFUSED:
                since = seen if write.kind in _IN_PART else looks(looked, anchor)
        refusal = RefusalKind(write.refusal) if write.refusal else None
        if state is WriteState.REFUSED and write.state is not WriteState.REFUSED:
            refusal = RefusalKind.OTHER
        return WriteFacts(
            id=write.id,
            kind=write.kind,
            state=state,
            line_keys=frozenset(own[each.line_id] for each in lines),
            acknowledged=write.acknowledged_at is not None,
            shown=write.shown_at is not None,
            deadline_in=write.deadline_at - self._now if write.deadline_at else None,
            looks=seen.complete,
            reads=told.all,
            may_be=write.may_be,
            may_be_id=write.may_be_id,
            absence_is_proof=state is WriteState.SENT and self._is_proof(write),
            counts=write.id > self._row.fresh_after_write and not self._is_forgiven(write),
            is_shared=any(each.line_id not in own for each in self._lines[write.id]),
            is_led=write.order_id == self._row.id,
            looks_since_settled=since.complete,
            settled_for=self._now - write.settled_at if write.settled_at else None,
            strikes=write.strikes,
            is_excused=write.excused,
            refusal=refusal,
            error=error,
            trace=_trace(self._row, write, write.key or ""),
            look_key=write.key or "",
            has_strays=write.has_strays,
            has_live_strays=write.has_live_strays,
            sent={own[each.line_id]: each.sent for each in lines if each.sent is not None},
        )

    def _is_proof(self, write: WriteRow) -> bool:
        """Not being seen proves that it never arrived: earned, or what it would have changed is seen unchanged."""
        lines = self._lines[write.id]
        says = [each.sent for each in lines if each.sent is not None and each.is_open]
        if write.kind in _DELETES:
            table = PrebookItem if write.kind is Kind.PREBOOK_ITEM_DELETE else PurchaseOrderItem
            live = select(func.count()).where(
                table.connection_id == write.connection_id,
                table.item_id.in_([each["item_id"] for each in says]),
                table.boxes > 0,
                table.missing == 0,
                self._is_listed(table),
            )
            return bool(says) and self._session.scalar(live) == len(says)
        if write.kind is Kind.BOX_CODE_CHANGE:
            old = {change[0] for each in says for change in each["changes"]}
            return bool(old) and old <= self._codes_shown(lines)
        proof = self._proofs.get(write.kind)
        earned = proof is not None and proof.earned_at is not None
        return earned and (write.kind is Kind.AWB_ADD or self._inside_window(says))

    def _is_listed(self, table: type[PrebookItem] | type[PurchaseOrderItem]) -> ColumnElement[bool]:
        """Prebook items stand in lists only until their ship date; purchase orders as long as one asks for them."""
        if table is PurchaseOrderItem:
            return true()
        today = today_in(self._now, self._connection.settings.time_zone).isoformat()
        listed: ColumnElement[bool] = table.content["ship_date"].as_string() >= today
        return listed

    def _codes_shown(self, lines: Iterable[WriteLineRow]) -> set[str]:
        """Box codes that Komet shows on the purchase orders of the write's lines."""
        rows = self._session.scalars(
            select(PurchaseOrderItem.content)
            .join(
                PrebookItem,
                (PrebookItem.connection_id == PurchaseOrderItem.connection_id)
                & (PrebookItem.item_id == PurchaseOrderItem.prebook_item_id),
            )
            .where(PrebookItem.line_id.in_([each.line_id for each in lines]))
        )
        return {code for content in rows if content for code in content.get("box_codes", ())}

    def _inside_window(self, says: Iterable[Json]) -> bool:
        """Komet shows a vendor token only items whose ship date is not past (Get a detailed Prebook list)."""
        today = today_in(self._now, self._connection.settings.time_zone)
        dates = [each.get("departure_date") or each.get("ship_date") for each in says]
        known = [date.fromisoformat(each) for each in dates if each]
        return bool(known) and min(known) >= today

    def _is_forgiven(self, write: WriteRow) -> bool:
        """An unknown product or reference may be known by now: such a refusal counts for a while only."""
        kinds = (RefusalKind.UNKNOWN_PRODUCT.value, RefusalKind.UNKNOWN_REFERENCE.value)
        return write.refusal in kinds and write.settled_at is not None and self._now - write.settled_at > FORGIVEN_AFTER


def _state_of_line(write: WriteRow, line: WriteLineRow) -> tuple[WriteState, str | None]:
    """Where a line's part of a write stands: some of its lines may be settled before or otherwise than the others."""
    if line.error is not None:
        return WriteState.REFUSED, line.error
    if write.state is WriteState.SENT and not line.is_open:
        return WriteState.DONE, None
    return write.state, write.error


def _trace(row: OrderRow, write: WriteRow, day: str) -> str:
    """What a person looks for in Komet."""
    number = f", number {write.result['number']}" if write.result and write.result.get("number") else ""
    if write.kind is Kind.PREBOOK_CREATE:
        return f"Axerrio {row.name} [AX:{write.mark}]{number}, truck date {day}"
    what = "a purchase order" if write.kind in PURCHASE_ORDER_CREATES else f"what {write.kind} was to do for the order"
    return f"{what} of Axerrio {row.name}, ship date {day}{number}"
