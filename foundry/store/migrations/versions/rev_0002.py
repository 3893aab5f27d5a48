"""Evaluations tell the sizes on which a kernel was right."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column; what was judged before says nothing."""
    op.add_column("evaluations", sa.Column("proven", sa.JSON()))
