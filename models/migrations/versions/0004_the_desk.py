"""What people ask of the desk: hold an order, and find one by the air waybill of its boxes.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("held_by", sa.Text()))
    op.add_column("orders", sa.Column("held_why", sa.Text()))
    op.create_index(op.f("ix_boxes_awb"), "boxes", ["awb"])
