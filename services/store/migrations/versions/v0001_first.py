"""The first tables."""

from __future__ import annotations

from alembic import op

from services.store.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# By hash of the user; enough for one machine, and each can be moved or split on its own.
PARTITIONS = 8


def upgrade() -> None:
    """Create every table; on PostgreSQL the two large ones are partitioned by user."""
    bind = op.get_bind()
    metadata.create_all(bind)
    if bind.dialect.name != "postgresql":
        return
    for table in ("chunks", "records"):
        for part in range(PARTITIONS):
            op.execute(
                f"CREATE TABLE {table}_p{part} PARTITION OF {table} "
                f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {part})"
            )
