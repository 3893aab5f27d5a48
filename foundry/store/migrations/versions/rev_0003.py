"""Timings say how they were taken, and what was taken off them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns; of times that were taken before, nothing was taken off."""
    for name in ("baseline_dispatch_us", "kernel_dispatch_us", "fixed_us"):
        op.add_column("timings", sa.Column(name, sa.Float(53), nullable=False, server_default="0"))
    op.add_column("timings", sa.Column("method", sa.Integer(), nullable=False, server_default="1"))
