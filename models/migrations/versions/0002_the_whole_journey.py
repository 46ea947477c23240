"""The whole journey: orders born in Komet, mappings, labels, shipments, boxes, and what people decided.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
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
_KINDS = (
    "komet.prebook.create",
    "komet.prebook.item.delete",
    "komet.purchase.order.create",
    "komet.purchase.order.mixed.create",
    "komet.purchase.order.item.delete",
    "komet.purchase.order.items.awb.add",
    "komet.box.code.change",
    "axerrio.inbound-orders",
    "axerrio.external-references",
    "axerrio.procurement-status",
)
_FEEDS = (
    "sales-orders",
    "labels",
    "shipments",
    "articles",
    "komet-prebooks",
    "komet-purchase-orders",
    "komet-reference",
)
#: Table, column, name of its check and its words as they are now.
_WORDS = (
    ("orders", "state", "order_state", _STATES),
    ("order_lines", "state", "order_state", _STATES),
    ("writes", "kind", "kind", _KINDS),
    ("write_lines", "kind", "kind", _KINDS),
    ("proofs", "kind", "kind", _KINDS),
    ("scopes", "feed", "feed", _FEEDS),
)


def upgrade() -> None:
    """Make the schema."""
    op.create_table(
        "articles",
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_articles_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("connection_id", "key", name=op.f("pk_articles")),
    )
    op.create_index(op.f("ix_articles_connection_id_code"), "articles", ["connection_id", "code"], unique=False)
    op.create_table(
        "labels",
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("order_key", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("former_codes", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_labels_connection_id_connections"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("connection_id", "key", name=op.f("pk_labels")),
    )
    op.create_index(op.f("ix_labels_connection_id_order_key"), "labels", ["connection_id", "order_key"], unique=False)
    op.create_table(
        "mappings",
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("article_code", sa.Text(), nullable=False),
        sa.Column("product_code", sa.Text(), nullable=True),
        sa.Column("product_description", sa.Text(), nullable=True),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), server_default=sa.text("axkomet_now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_mappings_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("connection_id", "article_code", name=op.f("pk_mappings")),
    )
    op.create_table(
        "shipments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("content", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_shipments_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shipments")),
        sa.UniqueConstraint("connection_id", "key", name=op.f("uq_shipments_connection_id_key")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("line_key", sa.Text(), nullable=True),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("axkomet_now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_decisions_order_id_orders"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_order_id"), "decisions", ["order_id"], unique=False)
    op.create_table(
        "shipment_lines",
        sa.Column("shipment_id", sa.BigInteger(), nullable=False),
        sa.Column("order_key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["shipment_id"], ["shipments.id"], name=op.f("fk_shipment_lines_shipment_id_shipments"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("shipment_id", "order_key", name=op.f("pk_shipment_lines")),
    )
    op.create_index(op.f("ix_shipment_lines_order_key"), "shipment_lines", ["order_key"], unique=False)
    op.create_table(
        "boxes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("line_id", sa.BigInteger(), nullable=False),
        sa.Column("shipment_key", sa.Text(), nullable=False),
        sa.Column("purchase_order_item_id", sa.Text(), nullable=False),
        sa.Column("box_code", sa.Text(), nullable=False),
        sa.Column("label_key", sa.Text(), nullable=False),
        sa.Column("awb", sa.Text(), nullable=False),
        sa.Column("house_awb", sa.Text(), nullable=False),
        sa.Column("ship_date", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_boxes_connection_id_connections"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["line_id"], ["order_lines.id"], name=op.f("fk_boxes_line_id_order_lines"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_boxes")),
        sa.UniqueConstraint("connection_id", "box_code", name=op.f("uq_boxes_connection_id_box_code")),
    )
    op.create_index(op.f("ix_boxes_line_id"), "boxes", ["line_id"], unique=False)
    op.add_column("order_lines", sa.Column("axerrio_line_key", sa.Text(), nullable=True))
    op.add_column(
        "order_lines", sa.Column("seeded", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column("order_lines", sa.Column("waits_for", sa.Text(), nullable=True))
    op.create_index(
        "ix_order_lines_waits_for",
        "order_lines",
        ["waits_for"],
        unique=False,
        postgresql_where=sa.text("waits_for IS NOT NULL"),
    )
    op.add_column("orders", sa.Column("external_id", sa.Text(), nullable=True))
    op.add_column(
        "orders", sa.Column("inbound_answer", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column(
        "orders",
        sa.Column("inbound_applied", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column(
        "orders", sa.Column("axerrio_holds", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column("orders", sa.Column("axerrio_as_of", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "orders",
        sa.Column("version_at", sa.DateTime(timezone=True), server_default=sa.text("axkomet_now()"), nullable=False),
    )
    op.alter_column("orders", "axerrio_key", existing_type=sa.TEXT(), nullable=True)
    op.alter_column("orders", "axerrio_number", existing_type=sa.TEXT(), nullable=True)
    op.create_unique_constraint(op.f("uq_orders_connection_id_external_id"), "orders", ["connection_id", "external_id"])
    op.add_column(
        "prebook_items", sa.Column("sent", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column("prebook_items", sa.Column("is_tied", sa.Boolean(), server_default="false", nullable=False))
    op.add_column(
        "prebook_items",
        sa.Column("unknown_products", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
    )
    op.add_column(
        "prebook_items",
        sa.Column("baseline", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column("prebook_items", sa.Column("missing", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("prebook_items", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "prebooks", sa.Column("baseline", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column(
        "prebooks", sa.Column("content", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column(
        "purchase_order_items",
        sa.Column("baseline", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column(
        "purchase_order_items",
        sa.Column("content", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column("purchase_order_items", sa.Column("missing", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("purchase_order_items", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("scopes", sa.Column("changed_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "write_lines", sa.Column("sent", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column("write_lines", sa.Column("error", sa.Text(), nullable=True))
    op.add_column("writes", sa.Column("may_be_id", sa.Text(), nullable=True))

    for table, column, check, words in _WORDS:
        op.drop_constraint(op.f(f"ck_{table}_{check}"), table, type_="check")
        listed = ", ".join(f"'{word}'" for word in words)
        op.create_check_constraint(op.f(f"ck_{table}_{check}"), table, f"{column} IN ({listed})")
    _move_what_was_sent()


def _move_what_was_sent() -> None:
    """What a line was last sent as stood on the line; now it stands where it was sent, with the article's code."""
    sent = "l.applied || jsonb_build_object('article', l.wanted->'article'->>'code')"
    op.execute(
        f"""
        UPDATE write_lines w SET sent = {sent} FROM order_lines l
         WHERE w.line_id = l.id AND w.kind = 'komet.prebook.create' AND l.applied IS NOT NULL AND l.wanted IS NOT NULL
        """  # noqa: S608 - our own words
    )
    op.execute(
        f"""
        UPDATE prebook_items i SET sent = {sent} FROM order_lines l
         WHERE i.line_id = l.id AND l.applied IS NOT NULL AND l.wanted IS NOT NULL
        """  # noqa: S608 - our own words
    )
    op.execute(
        f"""
        UPDATE order_lines l SET seeded = {sent} FROM orders o
         WHERE l.order_id = o.id AND o.seeded_version IS NOT NULL AND l.applied IS NOT NULL AND l.wanted IS NOT NULL
        """  # noqa: S608 - our own words
    )
    op.execute(
        """
        UPDATE write_lines w
           SET sent = jsonb_build_object(
                   'prebook_item_id', i.item_id, 'boxes', i.boxes, 'ship_date', l.applied->>'departure_date')
          FROM order_lines l JOIN prebook_items i ON i.line_id = l.id
         WHERE w.line_id = l.id AND w.kind = 'komet.purchase.order.create' AND l.applied IS NOT NULL
        """
    )
    op.execute("UPDATE prebook_items SET baseline = content WHERE content IS NOT NULL")
    op.drop_column("order_lines", "applied")
