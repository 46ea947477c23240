"""A ledger in stock: a handful of real orders, and any number of copies of them with all that an order leaves behind.

The real ones are made through a ledger at work against the sandbox; the copies by PostgreSQL itself, row by row the
same but for ids, keys and days. Copies of orders at their end are spread over the year before, those of open ones over
the next days. The former are of two connections, the latter of the one of them that nobody works on: they stand
nowhere.
"""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Table, text

from models.states import Feed
from models.tables import Base
from tasks.hold import hold, release
from tasks.housekeeping import add_up
from tests.sync.conftest import Ledger
from tests.sync.docks import approved, polls, ship
from tests.world import World

Json = dict[str, Any]

#: Days that the ledger's clock is ahead of the world's, so that trucks of orders made now have left a week ago.
_AHEAD = 13
_DAY = 86_400
#: Copies of a row are so far apart by their ids.
_STRIDE = 10_000
#: Names by which the other systems and the rows of other tables know a row: each copy has its own.
_NAMES = {
    "orders": ("axerrio_key", "axerrio_number", "external_id"),
    "writes": ("mark", "idempotency_key"),
    "prebooks": ("prebook_id", "number"),
    "prebook_items": ("item_id",),
    "purchase_orders": ("purchase_order_id", "number"),
    "purchase_order_items": ("item_id", "prebook_item_id"),
    "labels": ("key", "order_key"),
    "shipments": ("key",),
    "shipment_lines": ("order_key",),
    "boxes": ("shipment_key", "purchase_order_item_id", "box_code", "label_key"),
}
#: What a copy is made of, by table: the rows that belong to the orders `$ids`.
_LINES = "SELECT id FROM order_lines WHERE order_id = ANY(:ids)"
_KEYS = "SELECT axerrio_key FROM orders WHERE id = ANY(:ids)"
_ITEMS = f"SELECT item_id FROM prebook_items WHERE line_id IN ({_LINES})"
_BOUGHT = f"prebook_item_id IN ({_ITEMS})"
_BELONGS = {
    "orders": "id = ANY(:ids)",
    "order_lines": "order_id = ANY(:ids)",
    "history": "order_id = ANY(:ids)",
    "decisions": "order_id = ANY(:ids)",
    "writes": "order_id = ANY(:ids)",
    "write_lines": f"line_id IN ({_LINES})",
    "prebooks": "order_id = ANY(:ids)",
    "prebook_items": f"line_id IN ({_LINES})",
    "purchase_orders": f"id IN (SELECT purchase_order_row FROM purchase_order_items WHERE {_BOUGHT})",
    "purchase_order_items": _BOUGHT,
    "labels": f"order_key IN ({_KEYS})",
    "shipments": f"id IN (SELECT shipment_id FROM shipment_lines WHERE order_key IN ({_KEYS}))",
    "shipment_lines": f"order_key IN ({_KEYS})",
    "boxes": f"line_id IN ({_LINES})",
    "waits": "order_id = ANY(:ids)",
}
#: Scopes by date, of the whole year and of what is open.
_SCOPES = f"""
    INSERT INTO scopes (connection_id, feed, key, last_success_at)
    SELECT c.id, f.feed, to_char(:today + d.day, 'YYYY-MM-DD'), axkomet_now() + d.day * interval '1 day'
      FROM connections c, (VALUES ('{Feed.KOMET_PREBOOKS}'), ('{Feed.KOMET_PURCHASE_ORDERS}')) f (feed),
           generate_series(-400, 60) d (day)
        ON CONFLICT DO NOTHING
"""
#: What the other connection reads beside dates.
_FEEDS = """
    INSERT INTO scopes (connection_id, feed, key, cursor, due_at, last_success_at)
    SELECT c.id, s.feed, s.key, s.cursor, NULL, s.last_success_at
      FROM scopes s, connections c WHERE s.key !~ '^[0-9]{4}-' ON CONFLICT DO NOTHING
"""
_OBSERVATIONS = """
    INSERT INTO observations (scope_id, began_at, ended_at, complete, records)
    SELECT s.id, s.last_success_at - n * interval '1 minute', s.last_success_at, true, 3
      FROM scopes s, generate_series(1, CASE WHEN s.key = '' THEN 1500 ELSE 2 END) n (n)
     WHERE s.last_success_at < axkomet_now()
"""
_UNREADABLE = """
    INSERT INTO unreadable_records (scope_id, digest, record_key, reason, raw, at, resolved_at)
    SELECT s.id, n::text, 'SO-' || n, 'no such status', '{}', axkomet_now() - n * interval '1 hour', axkomet_now()
      FROM scopes s, generate_series(1, 1000) n (n) WHERE s.feed = 'sales-orders'
"""
_OTHER = """
    INSERT INTO connections (name, joins, settings_hash, axerrio_time_zone)
    SELECT 'other', 'other|other', '', axerrio_time_zone FROM connections ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True)
class Samples:
    """The real orders: ids of their rows."""

    ended: Sequence[int]
    open: Sequence[int]


def make_samples(ledger: Ledger, world: World, *, standing: int = 3) -> Samples:
    """Bring orders of each kind to their end, and some to where they wait.

    Args:
        ledger: at work; its clock is moved ahead.
        world: its other side.
        standing: so many that stand ordered in both systems and stay so, beside one that waits for a mapping and one
            that is held.
    """
    small = [world.line("1", boxes=1), world.line("2", boxes=1)]
    keys = approved(ledger, world, {"lines": small}, {"lines": [world.mixed("1", boxes=1), small[1]]})
    sold = world.sell_in_komet()
    polls(ledger, 2)
    for key in keys:
        ship(world, key)
    polls(ledger, 3)
    world.place(key=keys[0], status="closed")
    ledger.pass_time(_AHEAD * _DAY)
    polls(ledger, 2)
    world.settings(auto_approve_seconds=None)
    leaving = {"departureDate": world.day(_AHEAD + 3), "truckDate": world.day(_AHEAD + 5)}
    new = {"key": "A-9", "code": "NEW1", "description": "Something new"}
    waiting = [
        world.place(**leaving, lines=[world.line("1", article=new)]),
        world.place(**leaving, buyer={"code": "NOBODY", "name": "Nobody"}),
    ]
    waiting += [world.place(**leaving, lines=small) for _ in range(standing)]
    withdrawn = world.place(**leaving, lines=small)
    polls(ledger, 3)
    with ledger.runtime.sessions.begin() as session:
        (told,) = hold(session, [ledger.order(withdrawn)["id"]], "Ann", "the price is wrong")
        release(session, [told.order_id], "Ann")
    world.place(key=withdrawn, status="cancelled")
    polls(ledger, 3)
    ended = [ledger.order(key)["id"] for key in (*keys, f"prebook:{sold['id']}", withdrawn)]
    samples = Samples(ended, [ledger.order(key)["id"] for key in waiting])
    with ledger.session() as session:
        states = {row.id: str(row.state) for row in session.execute(text("SELECT id, state FROM orders"))}
    assert {states[each] for each in ended} == {"closed", "cancelled"}, states
    assert {states[each] for each in samples.open} == {"mapping_required", "held", "ordered"}, states
    return samples


def stock(ledger: Ledger, samples: Samples, ended: int, open_: int) -> None:
    """Bring the ledger to so many orders at their end, and so many open ones. It only grows."""
    engine = ledger.engine
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text(_OTHER))
        today = connection.execute(text("SELECT axkomet_now()::date")).scalar_one()
        if not connection.execute(text("SELECT count(*) FROM orders WHERE id > :stride"), {"stride": _STRIDE}).scalar():
            connection.execute(text(_FEEDS))
            connection.execute(text(_SCOPES), {"today": today})
            connection.execute(text(_OBSERVATIONS))
            connection.execute(text(_UNREADABLE))
    for ids, wanted, is_open in ((samples.ended, ended, False), (samples.open, open_, True)):
        with engine.begin() as connection:
            stored = "SELECT count(*) FROM orders WHERE (state IN ('closed', 'cancelled')) <> :is_open"
            present = connection.execute(text(stored), {"is_open": is_open}).scalar_one()
        first, last = present // len(ids), wanted // len(ids) - 1
        if last >= first:
            _copy(engine, ids, first, last, is_open=is_open)
    with ledger.runtime.sessions.begin() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        add_up(session)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("RESET statement_timeout"))


def _copy(engine: Engine, ids: Collection[int], first: int, last: int, *, is_open: bool) -> None:
    # What is at its end left so many days before; what is open leaves so many later, and was made when it was made.
    other = "true" if is_open else "k.k % 2 = 1"
    days, made = ("-(k.k % 10)::int", "0") if is_open else (f"({_AHEAD + 7} + (k.k % 340)::int)",) * 2

    def copy(name: str) -> None:
        values = {"ids": list(ids), "first": first, "last": last}
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            if name != "orders":  # without checks of foreign keys; but orders are counted
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text(_statement(Base.metadata.tables[name], _Shift(days, made, other))), values)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(copy, _BELONGS))


@dataclass(frozen=True)
class _Shift:
    """How a copy differs from its sample, in SQL: days before it leaves and was made, and whose it is."""

    days: str
    made: str
    is_other: str

    def connection(self, own: str) -> str:
        return f"CASE WHEN {self.is_other} THEN (SELECT id FROM connections WHERE name = 'other') ELSE {own} END"


def _statement(table: Table, shift: _Shift) -> str:
    values = {each.name: _value(table, each.name, str(each.type), shift) for each in table.columns}
    copies = "generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) k (k)"
    return (
        f"INSERT INTO {table.name} ({', '.join(values)}) SELECT {', '.join(values.values())} "
        f"FROM (SELECT * FROM {table.name} WHERE {_BELONGS[table.name]}) t, {copies}"
    )


def _value(table: Table, name: str, type_: str, shift: _Shift) -> str:
    """What stands in a copy's column."""
    days, made = shift.days, shift.made
    column = table.columns[name]
    target = next((each.column.table.name for each in column.foreign_keys), None)
    if name == "connection_id":
        return shift.connection("t.connection_id")
    if target == "scopes":
        return (
            "(SELECT n.id FROM scopes s JOIN scopes n ON n.feed = s.feed AND n.key = CASE WHEN s.key ~ '^[0-9]{4}-' "
            f"THEN to_char(s.key::date - {days}, 'YYYY-MM-DD') ELSE s.key END "
            f"WHERE s.id = t.scope_id AND n.connection_id = {shift.connection('s.connection_id')})"
        )
    if target in _BELONGS or (name == "id" and table.name in _BELONGS) or name == "fresh_after_write":
        return f"t.{name} + (k.k + 1) * {_STRIDE}"
    if name in _NAMES.get(table.name, ()):
        return f"t.{name} || '-' || k.k"
    if type_ == "DATE":
        return f"t.{name} - {days}"
    if name == "due_at":
        return f"t.{name} + interval '1 day'"
    if type_.startswith(("DATETIME", "TIMESTAMP")):
        return f"t.{name} - {made} * interval '1 day'"
    return f"t.{name}" if name != "content" else _content(table.name, days)


def _content(table: str, days: str) -> str:
    """Canonical content names the order, or the day on which it leaves."""
    if table == "labels":
        return "jsonb_set(t.content, '{order_key}', to_jsonb(t.order_key || '-' || k.k))"
    if table == "shipments":
        return (
            "jsonb_set(t.content, '{lines}', (SELECT jsonb_agg(l || jsonb_build_object('order_key', "
            "(l ->> 'order_key') || '-' || k.k)) FROM jsonb_array_elements(t.content -> 'lines') l))"
        )
    if table in ("prebook_items", "purchase_order_items"):
        day = f"to_char((t.content ->> 'ship_date')::date - {days}, 'YYYY-MM-DD')"
        return f"coalesce(jsonb_set(t.content, '{{ship_date}}', to_jsonb({day})), t.content)"
    return "t.content"
