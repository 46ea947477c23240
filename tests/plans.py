"""How PostgreSQL would run each statement that the program sends: recorded while it works, explained afterwards."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event, text

Json = dict[str, Any]

#: Tables that do not grow with what is traded: with connections, people's settings, or what a day asks.
BOUNDED = frozenset(
    {
        "connections",
        "connection_notes",
        "mappings",
        "order_counts",
        "paused_methods",
        "processes",
        "proofs",
        "reference_data",
        "request_budget",
        "request_counts",
        "upstreams",
        "alembic_version",
    }
)
_READS_ALL = ("Sort", "Aggregate", "Hash", "SetOp", "Unique", "Bitmap Heap Scan")
_SCANS = ("Index Scan", "Index Only Scan", "Bitmap Index Scan")


@dataclass
class Statements:
    """What was sent, each text once, with the values of the last time."""

    values: dict[str, Any] = field(default_factory=dict)
    count: int = 0

    def take(self, _connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:
        """Keep one."""
        self.count += 1
        self.values[statement] = values[0] if isinstance(values, Sequence) and values else values


@contextmanager
def recording(engine: Engine, into: Statements | None = None) -> Iterator[Statements]:
    """What the engine sends meanwhile."""
    statements = into if into is not None else Statements()
    event.listen(engine, "before_cursor_execute", statements.take)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", statements.take)


def whole_scans(engine: Engine, statements: Statements) -> list[tuple[str, str]]:
    """Statements that would go over the whole of a table that grows, and how: `orders by Seq Scan`.

    A partial index that is read as a whole is none of them: it holds what is meant and no more.
    """
    found = []
    with engine.connect() as connection:
        partial = set(
            connection.scalars(text("SELECT indexrelid::regclass::text FROM pg_index WHERE indpred IS NOT NULL"))
        )
        for way in ("seqscan", "hashjoin", "mergejoin"):  # where the whole is read all the same, no index serves
            connection.execute(text(f"SET enable_{way} = off"))
        raw = connection.connection.cursor()
        for statement, values in statements.values.items():
            if not statement.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
                continue
            raw.execute("EXPLAIN (FORMAT JSON) " + statement, values)
            ((plan,),) = raw.fetchall()
            ways = (_whole(*each, partial) for each in _nodes(plan[0]["Plan"], is_cut=False))
            found += [(statement, way) for way in ways if way is not None]
        connection.rollback()
    return found


def _nodes(plan: Json, *, is_cut: bool) -> Iterator[tuple[Json, bool]]:
    """Every node, and whether it is read only as far as somebody above it asks for rows."""
    yield plan, is_cut
    is_cut = plan["Node Type"] == "Limit" or (is_cut and plan["Node Type"] not in _READS_ALL)
    for each in plan.get("Plans", ()):
        yield from _nodes(each, is_cut=is_cut)


def _whole(node: Json, is_cut: bool, partial: set[str]) -> str | None:
    """How the node goes over the whole of a table; None: it does not."""
    kind, table = node["Node Type"], node.get("Relation Name")
    if kind == "Seq Scan" and table not in BOUNDED:
        return f"{table} by {kind}"
    index = node.get("Index Name")
    if kind in _SCANS and "Index Cond" not in node and not is_cut and index not in partial and table not in BOUNDED:
        return f"{table or ''} by {kind} of {index}"
    return None
