"""Orders born in Komet: a prebook that a Komet user made for our vendor, in its own words.

What is stored speaks Komet's codes. It is translated when it is planned (`tasks.translation`), so that a mapping or a
setting that comes later counts at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from clients.komet.binding import bind_items
from clients.komet.bodies import customer_of_prebook
from models import canonical
from models.canonical import Article, BoxType, Component, Line, LineStatus, OrderStatus, Origin, UnitType
from models.database import now
from models.states import Feed, Kind, WriteState
from models.tables import Connection as ConnectionRow
from models.tables import Order, OrderLine, Prebook, Scope, Write, WriteLine
from tasks.connection import Connection
from tasks.dates import today_in
from tasks.requeue import begin_afresh
from tasks.wanted import canonical as canonical_of
from tasks.wanted import departure_of

#: So long after a create was given up for absent its prebook may still turn up without our mark.
_DOUBTFUL = timedelta(days=1)


def is_alike(write: Write, seen: canonical.Prebook, box_types: Mapping[str, BoxType]) -> bool:
    """Without its mark the prebook could be what the write made: for its customer, and each item would be bound."""
    sent = {each.line.line_key: each.sent for each in write.lines if each.sent is not None}
    if customer_of_prebook(write.body) not in (seen.customer_code, None) or len(seen.items) != len(sent):
        return False
    return len(bind_items(sent, seen.items, box_types=box_types).pairs) == len(sent)


def may_be_ours(
    session: Session, connection: Connection, records: Sequence[canonical.Prebook], box_types: Mapping[str, BoxType]
) -> dict[str, int | None]:
    """Prebooks that a write of ours may still turn out to have made, or that carry a mark of our form.

    While a create is open, or acknowledged and unseen, any prebook of its customer and truck date may be it; once it
    was judged absent, for a day, only one that looks like it. Others must not wait: a truck leaves within a day.

    Returns:
        By prebook id: the order whose write it may be, None where only its mark speaks for it.
    """
    moment = now(session)
    # By Komet's own answer, or since it was seen; one that a person merely named may be another.
    is_known = (
        select(Prebook.id)
        .where(Prebook.write_id == Write.id, or_(Prebook.content_hash.is_not(None), Write.acknowledged_at.is_not(None)))
        .exists()
    )
    writes = session.execute(
        select(Scope.key, Write)
        .join(Scope, Write.scope_id == Scope.id)
        .where(
            Write.connection_id == connection.id,
            Write.kind == Kind.PREBOOK_CREATE,
            Scope.feed == Feed.KOMET_PREBOOKS,
            Scope.key.in_({each.truck_date.isoformat() for each in records if each.truck_date}),
            or_(
                Write.state == WriteState.SENT,
                (Write.state == WriteState.ABSENT) & (Write.settled_at > moment - _DOUBTFUL),
                (Write.state == WriteState.DONE) & Write.shown_at.is_(None),
            ),
            ~is_known,
        )
        .options(selectinload(Write.lines).joinedload(WriteLine.line))
    ).all()
    doubtful: dict[str, int | None] = {each.prebook_id: None for each in records if each.mark is not None}
    for each in records:
        for day, write in writes:
            if each.truck_date is None or day != each.truck_date.isoformat():
                continue
            same_customer = each.customer_code in (customer_of_prebook(write.body), None)
            if is_alike(write, each, box_types) or (same_customer and write.state is not WriteState.ABSENT):
                doubtful[each.prebook_id] = write.order_id
    return doubtful


def begin(session: Session, connection: Connection, seen: canonical.Prebook) -> Order | None:
    """Take up a prebook as an order, unless nothing of it is wanted."""
    if seen.truck_date is None:
        return None
    order = as_order(connection, seen, seen.truck_date)
    if not order.open_lines:
        return None
    moment = now(session)
    row = Order(
        connection_id=connection.id,
        origin=Origin.KOMET.value,
        external_id=order.external_id,
        version=0,
        skipped=_skipped(session, connection, order),
        next_task="send_inbound_order",
        is_deleted=False,
        updated_at=moment,
        lines=[],
    )
    _take(row, order)
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
            session.add(
                Prebook(
                    connection_id=connection.id,
                    order_id=row.id,
                    prebook_id=seen.prebook_id,
                    number=seen.number,
                    truck_date=seen.truck_date,
                    as_of=moment - timedelta(days=1),
                    items=[],
                )
            )
    except IntegrityError:  # another read of the same prebook was quicker
        return None
    return row


def update(session: Session, connection: Connection, row: Order, seen: canonical.Prebook, known: Iterable[str]) -> None:
    """A newer look at the prebook: its items are the lines; one that it shows no more is wanted no more.

    Args:
        session: its transaction.
        connection: whose company it is.
        row: the order, locked.
        seen: the prebook.
        known: ids of its items that were seen before and are not gone.
    """
    order = as_order(connection, seen, seen.truck_date or row.truck_date)
    shown = {line.line_key for line in order.lines}
    kept = set(known)
    hidden = [
        Line.model_validate(line.wanted)
        for line in row.lines
        if line.line_key not in shown and line.line_key in kept and line.wanted is not None
    ]
    _renew(session, connection, row, order.model_copy(update={"lines": (*order.lines, *hidden)}))


def follow(session: Session, connection: Connection, row: Order, item: canonical.PrebookItem) -> None:
    """A newer look at an item that a person moved to another prebook: its line is as it shows."""
    order, line = canonical_of(row), _line(item)
    lines = tuple(({each.line_key: each for each in order.lines} | {line.line_key: line}).values())
    _renew(session, connection, row, order.model_copy(update={"lines": lines, "departure_date": _day_of(lines)}))


def _renew(session: Session, connection: Connection, row: Order, order: canonical.Order) -> None:
    if _take(row, order):
        row.version_at = row.updated_at = now(session)
        begin_afresh(session, row)
        if row.skipped == "departed":
            row.skipped = _skipped(session, connection, order)


def lose(session: Session, row: Order, line: OrderLine) -> None:
    """An item of the prebook is gone: its line is wanted no more."""
    if line.wanted is not None:
        line.wanted = None
        row.version += 1
        row.sequence = row.version
        row.wanted = row.wanted | {"version": row.version}
        row.version_at = row.updated_at = now(session)
        begin_afresh(session, row)


def _take(row: Order, order: canonical.Order) -> bool:
    """Make this the newest version; True where it says something new."""
    header = order.model_dump(mode="json", exclude={"lines", "references", "version"})
    present = {line.line_key: line for line in row.lines}
    before = ({k: v for k, v in row.wanted.items() if k in header} if row.wanted else None, _wanted(row))
    for position, line in enumerate(order.lines):
        known = present.pop(line.line_key, None)
        if known is None:
            known = OrderLine(line_key=line.line_key, since_version=row.version + 1)
            row.lines.append(known)
        known.position, known.wanted = position, line.model_dump(mode="json")
    for gone in present.values():
        gone.wanted = None
    if before == (header, _wanted(row)):
        return False
    row.version += 1
    row.sequence = row.version
    row.wanted = header | {"version": row.version, "lines": []}
    row.truck_date = order.truck_date
    learn_departure(row)
    return True


def learn_departure(row: Order) -> None:
    """The day on which it leaves: Komet's word, else Axerrio's, else that of its truck."""
    order = canonical_of(row)
    record = canonical.Order.model_validate(row.axerrio_holds) if row.axerrio_holds is not None else order
    is_said = any(line.departure_date is not None for line in order.open_lines)
    row.departure_date = departure_of(order if is_said else record)


def _wanted(row: Order) -> dict[str, object]:
    return {line.line_key: line.wanted for line in row.lines}


def _skipped(session: Session, connection: Connection, order: canonical.Order) -> str | None:
    """Why an order that is seen for the first time creates nothing. Komet does not say when a prebook was made."""
    settings = connection.settings
    zone = session.scalars(select(ConnectionRow.axerrio_time_zone).where(ConnectionRow.id == connection.id)).one()
    today = today_in(now(session), zone or settings.time_zone)
    days = [line.departure_date for line in order.open_lines]
    if order.truck_date < today or all(day is not None and day < today for day in days):
        return "departed"
    return "before_start" if settings.start_date is not None and today < settings.start_date else None


def as_order(connection: Connection, seen: canonical.Prebook, truck_date: date) -> canonical.Order:
    """A prebook as an order, in Komet's codes."""
    lines = tuple(_line(item) for item in seen.items)
    external_id = f"komet-{connection.settings.komet.company_code}-{seen.prebook_id}"
    return canonical.Order(
        key=external_id,
        number=seen.number,
        version=0,
        status=OrderStatus.CONFIRMED,
        origin=Origin.KOMET,
        buyer_code=seen.customer_code or "",
        buyer_name=seen.customer_name or seen.customer_code or "",
        carrier_code=seen.carrier_id,
        location_code=connection.settings.komet.location_code,
        customer_reference=seen.customer_reference,
        comments=seen.comments,
        departure_date=_day_of(lines),
        truck_date=truck_date,
        lines=lines,
        external_id=external_id,
    )


def _day_of(lines: Iterable[Line]) -> date | None:
    """The day on which all of them leave; None where they leave on several."""
    days = {line.departure_date for line in lines if line.status is LineStatus.OPEN}
    return days.pop() if len(days) == 1 else None


def _line(item: canonical.PrebookItem) -> Line:
    return Line(
        line_key=item.item_id,
        external_line_id=item.item_id,
        status=LineStatus.OPEN if item.boxes else LineStatus.CANCELLED,
        article=Article(code="", description=item.product_description or ""),
        packing_code=item.box_type or "",
        boxes=item.boxes,
        bunches_per_box=item.bunches_per_box or 0,
        stems_per_bunch=item.stems_per_bunch or 0,
        unit_type=item.unit_type or UnitType.STEM,
        unit_cost=item.cost,
        mark_code=item.mark_code or "",
        departure_date=item.ship_date,
        breakdown=tuple(
            Component(
                article=Article(code="", description=part.product_description or ""),
                bunches=part.bunches or 0,
                stems_per_bunch=part.stems_per_bunch or 0,
            )
            for part in item.components
        ),
    )
