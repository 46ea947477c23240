"""Trouble with the other systems, and what too much change at once holds up.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "upstreams",
        _connection("upstreams"),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("misses", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("missed_by", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("closed_by", sa.Text()),
        sa.Column("closed_since", sa.DateTime(timezone=True)),
        sa.Column("closed_why", sa.Text()),
        sa.Column("probe_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("connection_id", "system", name=op.f("pk_upstreams")),
    )
    op.create_table(
        "paused_methods",
        _connection("paused_methods"),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("refused", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("paused_since", sa.DateTime(timezone=True)),
        sa.Column("probe_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("connection_id", "method", name=op.f("pk_paused_methods")),
    )
    op.drop_index("ix_orders_due", "orders")
    op.add_column("writes", sa.Column("excused", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("orders", sa.Column("held_up_by", sa.Text()))
    op.add_column("orders", sa.Column("upset_at", sa.DateTime(timezone=True)))
    op.add_column("orders", sa.Column("over_limit_since", sa.DateTime(timezone=True)))
    for name in ("held_up_by", "upset_at"):
        op.create_index(
            f"ix_orders_{name.rpartition('_')[0]}",
            "orders",
            ["connection_id", name],
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )
    op.create_index(op.f("ix_writes_scope_id"), "writes", ["scope_id"])
    op.create_index(op.f("ix_history_write_id"), "history", ["write_id"])
    for name, columns, column in (
        ("ix_orders_due", ["connection_id", "due_at"], "due_at"),
        ("ix_orders_hinted", ["connection_id", "hinted_until"], "hinted_until"),
    ):
        op.create_index(name, "orders", columns, postgresql_where=sa.text(f"{column} IS NOT NULL"))


def _connection(table: str) -> sa.Column[int]:
    return sa.Column(
        "connection_id",
        sa.BigInteger(),
        sa.ForeignKey("connections.id", name=op.f(f"fk_{table}_connection_id_connections"), ondelete="CASCADE"),
        nullable=False,
    )
