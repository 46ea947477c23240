"""The ledger: the first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The one clock: a session shifts it by `SET axkomet.clock_offset = '60 s'`. Stable, so that an index may be used.
    op.execute(
        """
        CREATE FUNCTION axkomet_now() RETURNS timestamptz LANGUAGE sql STABLE AS $$
            SELECT clock_timestamp()
                + coalesce(nullif(current_setting('axkomet.clock_offset', true), '')::interval, interval '0')
        $$
        """
    )
    op.create_table(
        "connections",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("joins", sa.Text(), nullable=False),
        sa.Column("settings_hash", sa.Text(), nullable=False),
        sa.Column("axerrio_time_zone", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("axkomet_now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connections")),
        sa.UniqueConstraint("joins", name=op.f("uq_connections_joins")),
        sa.UniqueConstraint("name", name=op.f("uq_connections_name")),
    )
    op.create_table(
        "processes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_processes")),
    )
    op.create_table(
        "request_budget",
        sa.Column("company", sa.Text(), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("company", "slot", name=op.f("pk_request_budget")),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("axerrio_key", sa.Text(), nullable=False),
        sa.Column("axerrio_number", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("wanted", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("begun_version", sa.BigInteger(), nullable=True),
        sa.Column("seeded_version", sa.BigInteger(), nullable=True),
        sa.Column("is_deleted", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("unreadable", sa.Text(), nullable=True),
        sa.Column("skipped", sa.Text(), nullable=True),
        sa.Column("departure_date", sa.Date(), nullable=False),
        sa.Column("truck_date", sa.Date(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "received",
                "prebooked",
                "ordered",
                "approved",
                "closed",
                "cancelled",
                "mapping_required",
                "held",
                "failed",
                name="order_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            server_default="received",
            nullable=False,
        ),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("next_command", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("references_applied", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("report_applied", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("setbacks", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_task", sa.Text(), nullable=False),
        sa.Column("hinted_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fresh_after_write", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("axkomet_now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("axkomet_now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_orders_connection_id_connections"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("connection_id", "axerrio_key", name=op.f("uq_orders_connection_id_axerrio_key")),
    )
    op.create_index("ix_orders_axerrio_number", "orders", ["axerrio_number"], unique=False)
    op.create_index(
        "ix_orders_due",
        "orders",
        ["departure_date", "id"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("ix_orders_state", "orders", ["connection_id", "state"], unique=False)
    op.create_table(
        "proofs",
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "komet.prebook.create",
                "komet.purchase.order.create",
                "axerrio.external-references",
                "axerrio.procurement-status",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("earned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("longest_lag", sa.Double(), server_default="0", nullable=False),
        sa.Column("revoked_why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_proofs_connection_id_connections"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("connection_id", "kind", name=op.f("pk_proofs")),
    )
    op.create_table(
        "purchase_orders",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("purchase_order_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("ship_date", sa.Date(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("status_text", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_purchase_orders_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchase_orders")),
        sa.UniqueConstraint(
            "connection_id", "purchase_order_id", name=op.f("uq_purchase_orders_connection_id_purchase_order_id")
        ),
    )
    op.create_index("ix_purchase_orders_number", "purchase_orders", ["number"], unique=False)
    op.create_table(
        "reference_data",
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("list_name", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_reference_data_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("connection_id", "list_name", "code", name=op.f("pk_reference_data")),
    )
    op.create_table(
        "scopes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "feed",
            sa.Enum(
                "sales-orders",
                "komet-prebooks",
                "komet-purchase-orders",
                "komet-reference",
                name="feed",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("key", sa.Text(), server_default="", nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hinted_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("served", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("stopped_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_scopes_connection_id_connections"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scopes")),
        sa.UniqueConstraint("connection_id", "feed", "key", name=op.f("uq_scopes_connection_id_feed_key")),
    )
    op.create_index(
        "ix_scopes_due_at", "scopes", ["due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.create_table(
        "observations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("scope_id", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["scope_id"], ["scopes.id"], name=op.f("fk_observations_scope_id_scopes"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observations")),
    )
    op.create_index("ix_observations_scope_id_began_at", "observations", ["scope_id", "began_at"], unique=False)
    op.create_table(
        "order_lines",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("line_key", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("wanted", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("since_version", sa.BigInteger(), nullable=False),
        sa.Column("applied", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "received",
                "prebooked",
                "ordered",
                "approved",
                "closed",
                "cancelled",
                "mapping_required",
                "held",
                "failed",
                name="order_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            server_default="received",
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_order_lines_order_id_orders"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_lines")),
        sa.UniqueConstraint("order_id", "line_key", name=op.f("uq_order_lines_order_id_line_key")),
    )
    op.create_table(
        "purchase_order_items",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("purchase_order_row", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("prebook_item_id", sa.Text(), nullable=False),
        sa.Column("boxes", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_purchase_order_items_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["purchase_order_row"],
            ["purchase_orders.id"],
            name=op.f("fk_purchase_order_items_purchase_order_row_purchase_orders"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchase_order_items")),
        sa.UniqueConstraint("connection_id", "item_id", name=op.f("uq_purchase_order_items_connection_id_item_id")),
    )
    op.create_index(
        op.f("ix_purchase_order_items_connection_id_prebook_item_id"),
        "purchase_order_items",
        ["connection_id", "prebook_item_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_purchase_order_items_purchase_order_row"), "purchase_order_items", ["purchase_order_row"], unique=False
    )
    op.create_table(
        "unreadable_records",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("scope_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("record_key", sa.Text(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("axkomet_now()"), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["scope_id"], ["scopes.id"], name=op.f("fk_unreadable_records_scope_id_scopes"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unreadable_records")),
        sa.UniqueConstraint("scope_id", "digest", name=op.f("uq_unreadable_records_scope_id_digest")),
    )
    op.create_index(op.f("ix_unreadable_records_record_key"), "unreadable_records", ["record_key"], unique=False)
    op.create_table(
        "waits",
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("scope_id", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_waits_order_id_orders"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["scope_id"], ["scopes.id"], name=op.f("fk_waits_scope_id_scopes"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("order_id", "scope_id", name=op.f("pk_waits")),
    )
    op.create_index(op.f("ix_waits_scope_id"), "waits", ["scope_id"], unique=False)
    op.create_table(
        "writes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "komet.prebook.create",
                "komet.purchase.order.create",
                "axerrio.external-references",
                "axerrio.procurement-status",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "intended",
                "sent",
                "done",
                "refused",
                "absent",
                "void",
                name="write_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("order_sequence", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("says", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("mark", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("axkomet_now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("strikes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("may_be", sa.Text(), nullable=True),
        sa.Column("missed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("result", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "(kind = 'komet.prebook.create') = (mark IS NOT NULL)", name=op.f("ck_writes_prebook_has_mark")
        ),
        sa.CheckConstraint(
            "state IN ('intended', 'sent') OR settled_at IS NOT NULL", name=op.f("ck_writes_settled_has_time")
        ),
        sa.CheckConstraint(
            "state IN ('intended', 'void') OR sent_at IS NOT NULL", name=op.f("ck_writes_sent_has_time")
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_writes_connection_id_connections"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_writes_order_id_orders"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["scope_id"], ["scopes.id"], name=op.f("fk_writes_scope_id_scopes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_writes")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_writes_idempotency_key")),
        sa.UniqueConstraint("mark", name=op.f("uq_writes_mark")),
    )
    op.create_index(
        "ix_writes_in_doubt", "writes", ["scope_id"], unique=False, postgresql_where=sa.text("state = 'sent'")
    )
    op.create_index(op.f("ix_writes_order_id"), "writes", ["order_id"], unique=False)
    op.create_index(
        "uq_writes_open_axerrio",
        "writes",
        ["order_id", "kind"],
        unique=True,
        postgresql_where=sa.text("state IN ('intended', 'sent') AND kind LIKE 'axerrio.%'"),
    )
    op.create_table(
        "history",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("axkomet_now()"), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("write_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_history_order_id_orders"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["write_id"], ["writes.id"], name=op.f("fk_history_write_id_writes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history")),
    )
    op.create_index(op.f("ix_history_order_id"), "history", ["order_id"], unique=False)
    op.create_table(
        "prebooks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("write_id", sa.BigInteger(), nullable=True),
        sa.Column("prebook_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=True),
        sa.Column("truck_date", sa.Date(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=True),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_prebooks_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_prebooks_order_id_orders"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["write_id"], ["writes.id"], name=op.f("fk_prebooks_write_id_writes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prebooks")),
        sa.UniqueConstraint("connection_id", "prebook_id", name=op.f("uq_prebooks_connection_id_prebook_id")),
        sa.UniqueConstraint("write_id", name=op.f("uq_prebooks_write_id")),
    )
    op.create_index(op.f("ix_prebooks_order_id"), "prebooks", ["order_id"], unique=False)
    op.create_table(
        "write_lines",
        sa.Column("write_id", sa.BigInteger(), nullable=False),
        sa.Column("line_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "komet.prebook.create",
                "komet.purchase.order.create",
                "axerrio.external-references",
                "axerrio.procurement-status",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["line_id"], ["order_lines.id"], name=op.f("fk_write_lines_line_id_order_lines"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["write_id"], ["writes.id"], name=op.f("fk_write_lines_write_id_writes"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("write_id", "line_id", name=op.f("pk_write_lines")),
    )
    op.create_index(
        "uq_write_lines_open", "write_lines", ["line_id", "kind"], unique=True, postgresql_where=sa.text("is_open")
    )
    op.create_table(
        "prebook_items",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connection_id", sa.BigInteger(), nullable=False),
        sa.Column("prebook_row", sa.BigInteger(), nullable=False),
        sa.Column("line_id", sa.BigInteger(), nullable=True),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("boxes", sa.BigInteger(), nullable=False),
        sa.Column("mapped", sa.Boolean(), nullable=False),
        sa.Column("touched", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("content", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_prebook_items_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["line_id"], ["order_lines.id"], name=op.f("fk_prebook_items_line_id_order_lines")),
        sa.ForeignKeyConstraint(
            ["prebook_row"], ["prebooks.id"], name=op.f("fk_prebook_items_prebook_row_prebooks"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prebook_items")),
        sa.UniqueConstraint("connection_id", "item_id", name=op.f("uq_prebook_items_connection_id_item_id")),
    )
    op.create_index(op.f("ix_prebook_items_line_id"), "prebook_items", ["line_id"], unique=False)
    op.create_index(op.f("ix_prebook_items_prebook_row"), "prebook_items", ["prebook_row"], unique=False)
