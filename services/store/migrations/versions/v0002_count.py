"""An index of the deleted records, so that counting the others reads no row."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index, unless the tables were made with it just before."""
    deleted = "deleted" if op.get_bind().dialect.name == "postgresql" else "deleted IS 1"
    op.execute(f"CREATE INDEX IF NOT EXISTS ix_records_gone ON records (user_id, deleted) WHERE {deleted}")
