"""The nearest departures among many due orders are found by an index.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_orders_turn",
        "orders",
        ["connection_id", "departure_date", "id"],
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
