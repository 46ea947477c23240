"""Whatever is looked for among what was stored long ago is found by an index.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_STATES = (
    "received",
    "prebooked",
    "ordered",
    "approved",
    "shipped",
    "closed",
    "cancelled",
    "cancelling",
    "mapping_required",
    "held",
    "failed",
)
#: Name, table, columns, and of which rows.
_INDEXES: tuple[tuple[str, str, list[str], str | None], ...] = (
    ("ix_orders_open", "orders", ["connection_id", "state", "reason_code"], "state NOT IN ('closed', 'cancelled')"),
    ("ix_orders_open_departure", "orders", ["departure_date", "id"], "state NOT IN ('closed', 'cancelled')"),
    ("ix_orders_departure", "orders", ["departure_date", "id"], None),
    ("ix_orders_updated_at", "orders", ["updated_at"], None),
    ("ix_orders_reason_code", "orders", ["reason_code"], "reason_code IS NOT NULL"),
    ("ix_orders_over_limit", "orders", ["connection_id"], "over_limit_since IS NOT NULL"),
    ("ix_orders_held_by", "orders", ["connection_id"], "held_by IS NOT NULL"),
    ("ix_orders_pending", "orders", ["connection_id"], "inbound_answer ->> 'status' = 'pending'"),
    ("ix_scopes_hinted", "scopes", ["connection_id", "hinted_until"], "hinted_until IS NOT NULL"),
    ("ix_scopes_in_use", "scopes", ["connection_id", "feed"], "due_at IS NOT NULL OR stopped_reason IS NOT NULL"),
    ("ix_scopes_connection_id_feed_last_success_at", "scopes", ["connection_id", "feed", "last_success_at"], None),
    ("ix_observations_began_at", "observations", ["began_at"], None),
    ("ix_writes_created_at", "writes", ["created_at"], None),
    ("ix_write_lines_line_id", "write_lines", ["line_id"], None),
    ("ix_write_lines_item_id", "write_lines", ["(sent ->> 'item_id')"], "sent ->> 'item_id' IS NOT NULL"),
    ("ix_prebooks_number", "prebooks", ["number"], None),
    ("ix_prebooks_connection_id_truck_date", "prebooks", ["connection_id", "truck_date"], None),
    (
        "ix_prebook_items_ship_date",
        "prebook_items",
        ["connection_id", "(content ->> 'ship_date')"],
        "boxes > 0 AND content IS NOT NULL",
    ),
    ("ix_prebook_items_unknown", "prebook_items", ["connection_id"], "mapped IS false"),
    ("ix_purchase_orders_connection_id_ship_date", "purchase_orders", ["connection_id", "ship_date"], None),
    ("ix_unreadable_records_open", "unreadable_records", ["scope_id"], "resolved_at IS NULL"),
    ("ix_unreadable_records_at", "unreadable_records", ["at"], None),
)


_COUNT = """
    CREATE FUNCTION axkomet_count_order() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP <> 'INSERT' AND OLD.state IN ('closed', 'cancelled') THEN
            INSERT INTO order_counts (connection_id, state, change)
            SELECT id, OLD.state, -1 FROM connections WHERE id = OLD.connection_id;
        END IF;
        IF TG_OP <> 'DELETE' AND NEW.state IN ('closed', 'cancelled') THEN
            INSERT INTO order_counts (connection_id, state, change) VALUES (NEW.connection_id, NEW.state, 1);
        END IF;
        RETURN NULL;
    END $$
"""
#: Nobody changes an order between the trigger and the count: the trigger's lock lasts until the commit.
_TRIGGERS = (
    "CREATE TRIGGER count_order AFTER INSERT OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION axkomet_count_order()",
    "CREATE TRIGGER count_moved_order AFTER UPDATE OF state ON orders FOR EACH ROW "
    "WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION axkomet_count_order()",
    "INSERT INTO order_counts (connection_id, state, change) SELECT connection_id, state, count(*) FROM orders "
    "WHERE state IN ('closed', 'cancelled') GROUP BY connection_id, state",
)


def upgrade() -> None:
    words = "', '".join(_STATES)
    op.create_table(
        "order_counts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_counts")),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_order_counts_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(f"state IN ('{words}')", name=op.f("ck_order_counts_order_state")),
    )
    for statement in (_COUNT, *_TRIGGERS):
        op.execute(statement)
    for name, table, columns, rows in _INDEXES:
        by = [sa.text(each) if each.startswith("(") else each for each in columns]
        op.create_index(name, table, by, postgresql_where=sa.text(rows) if rows is not None else None)
