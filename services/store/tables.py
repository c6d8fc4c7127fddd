"""
Every table, keyed by user first so that it can be partitioned by user.

Times are integers: microseconds of UTC (``*_us``), or of a boot's monotonic clock (``mono_*``, ``t0_us``).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)  # fmt: skip

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
NAME = String(128)

users = Table(
    "users", metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", NAME, nullable=False, unique=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    # The change counter: its row is locked by whoever writes for this user, so numbers become visible in order.
    Column("last_change", BigInteger, nullable=False, server_default=text("0")),
    Column("purged_change", BigInteger, nullable=False, server_default=text("0")),
)  # fmt: skip


def _user() -> Column[int]:
    return Column("user_id", BigInteger, ForeignKey("users.user_id", ondelete="CASCADE"), primary_key=True)


devices = Table(
    "devices", metadata, _user(),
    Column("device_id", NAME, primary_key=True),
    Column("name", NAME, nullable=False),
    Column("model", NAME, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("seen_us", BigInteger),
    Column("revoked_us", BigInteger),
    Column("status", Text),
)  # fmt: skip

# Not keyed by user: a pairing has none until somebody approves it; rows live for minutes.
pairings = Table(
    "pairings", metadata,
    Column("device_code_hash", LargeBinary(32), primary_key=True),
    Column("user_code", String(16), nullable=False, unique=True),
    Column("client_id", NAME, nullable=False),
    Column("scope", NAME, nullable=False),
    Column("device_id", NAME, nullable=False),
    Column("device_name", NAME, nullable=False),
    Column("device_model", NAME, nullable=False),
    Column("expires_us", BigInteger, nullable=False, index=True),
    Column("interval_s", Integer, nullable=False),
    Column("polled_us", BigInteger),
    Column("state", String(16), nullable=False),
    Column("user_id", BigInteger, ForeignKey("users.user_id", ondelete="CASCADE")),
)  # fmt: skip

tokens = Table(
    "tokens", metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("family", String(32), nullable=False),
    Column("client_id", NAME, nullable=False),
    Column("scope", NAME, nullable=False),
    Column("device_id", NAME),
    Column("expires_us", BigInteger, nullable=False, index=True),
    Column("used_us", BigInteger),
    Index("ix_tokens_user_family", "user_id", "family"),
)  # fmt: skip

streams = Table(
    "streams", metadata, _user(),
    Column("stream_no", Integer, primary_key=True, autoincrement=False),
    Column("device_id", NAME, nullable=False),
    Column("boot_id", NAME, nullable=False),
    Column("stream", NAME, nullable=False),
    Column("held", Text, nullable=False),  # JSON [[first, last], ...] of stored or quarantined seq
    UniqueConstraint("user_id", "device_id", "boot_id", "stream", name="uq_streams_identity"),
)  # fmt: skip

chunks = Table(
    "chunks", metadata, _user(),
    Column("stream_no", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("t0_us", BigInteger, nullable=False),
    Column("end_us", BigInteger, nullable=False),
    Column("rate_hz", Float, nullable=False),
    Column("channels", Text, nullable=False),
    Column("dtype", String(2), nullable=False),
    Column("scale", Text, nullable=False),
    Column("offset", Text, nullable=False),
    Column("n", Integer, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("codec", String(16), nullable=False),
    Column("data", LargeBinary),  # NULL once retention has let the samples go
    Index("ix_chunks_time", "user_id", "stream_no", "t0_us"),
    postgresql_partition_by="HASH (user_id)",
)  # fmt: skip

clock_pairs = Table(
    "clock_pairs", metadata, _user(),
    Column("device_id", NAME, primary_key=True),
    Column("boot_id", NAME, primary_key=True),
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    Column("utc_offset_s", Integer, primary_key=True, autoincrement=False),
    Column("monotonic_us", BigInteger, nullable=False),
    Column("wall_us", BigInteger, nullable=False),
)  # fmt: skip

quarantine = Table(
    "quarantine", metadata, _user(),
    Column("item_id", String(32), primary_key=True),
    Column("device_id", NAME, nullable=False),
    Column("boot_id", NAME, nullable=False),
    Column("stream", NAME, nullable=False),
    Column("seq", BigInteger),
    Column("problem", NAME, nullable=False),
    Column("detail", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("received_us", BigInteger, nullable=False),
)  # fmt: skip

records = Table(
    "records", metadata, _user(),
    Column("id", LargeBinary(16), primary_key=True),
    Column("change_no", BigInteger, nullable=False),
    Column("kind", NAME, nullable=False),
    Column("start_us", BigInteger, nullable=False),
    Column("end_us", BigInteger, nullable=False),
    Column("utc_offset_s", Integer, nullable=False),
    Column("value", Float),
    Column("data", Text),  # JSON: the value where it is not a number, and extras
    Column("uncertainty", Float),
    Column("quality", Float),
    Column("device_id", NAME),
    Column("source", NAME, nullable=False),
    Column("model_version", NAME),
    Column("client_record_id", NAME),
    Column("client_record_version", BigInteger),
    Column("revision", Integer, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Column("chain_no", Integer),  # derived records: whose, and from which unit of work
    Column("unit", BigInteger),
    Index("ix_records_change", "user_id", "change_no", unique=True),
    Index("ix_records_kind", "user_id", "kind", "start_us"),
    Index("ix_records_chain", "user_id", "chain_no", "unit",
          sqlite_where=text("chain_no IS NOT NULL"), postgresql_where=text("chain_no IS NOT NULL")),
    # The few that were deleted: who counts the others takes them off the whole.
    Index("ix_records_gone", "user_id", "deleted", sqlite_where=text("deleted IS 1"), postgresql_where=text("deleted")),
    Index("ix_records_client", "user_id", "client_record_id",
          sqlite_where=text("client_record_id IS NOT NULL"),
          postgresql_where=text("client_record_id IS NOT NULL")),
    postgresql_partition_by="HASH (user_id)",
)  # fmt: skip

# A chain is one task's decoder going along one boot of one device; a unit is the part of it in one ten-minute block.
chains = Table(
    "chains", metadata, _user(),
    Column("chain_no", Integer, primary_key=True, autoincrement=False),
    Column("device_id", NAME, nullable=False),
    Column("boot_id", NAME, nullable=False),
    Column("task", NAME, nullable=False),
    Column("clock", Text, nullable=False),
    UniqueConstraint("user_id", "device_id", "boot_id", "task", name="uq_chains_identity"),
)  # fmt: skip

units = Table(
    "units", metadata, _user(),
    Column("chain_no", Integer, primary_key=True, autoincrement=False),
    Column("first_window", BigInteger, primary_key=True, autoincrement=False),
    Column("last_window", BigInteger, nullable=False),
    Column("model_version", NAME, nullable=False),
    Column("state", Text, nullable=False),  # of the decoder after `last_window`
)  # fmt: skip

jobs = Table(
    "jobs", metadata, _user(),
    Column("kind", String(16), primary_key=True),
    Column("key", String(256), primary_key=True),
    Column("wanted", BigInteger, nullable=False),  # raised by everyone who wants it done again
    Column("touched_us", BigInteger),  # span of the boot's clock that changed since the last claim
    Column("touched_end_us", BigInteger),
    Column("claimed_us", BigInteger),  # the same, taken by the claim under way
    Column("claimed_end_us", BigInteger),
    Column("payload", Text),
    Column("due_us", BigInteger, nullable=False),
    Column("lease_us", BigInteger),
    Column("owner", String(64)),
    Column("attempts", Integer, nullable=False),
    Column("dead", Boolean, nullable=False),
    Column("error", Text),
    Index("ix_jobs_due", "dead", "due_us"),
)  # fmt: skip

cursors = Table(
    "cursors", metadata, _user(),
    Column("client", NAME, primary_key=True),
    Column("change_no", BigInteger, nullable=False),
    Column("acked_us", BigInteger, nullable=False),
)  # fmt: skip

uploads = Table(
    "uploads", metadata, _user(),
    Column("upload_id", String(32), primary_key=True),
    Column("device_id", NAME, nullable=False),
    Column("content_type", NAME, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reply", Text),
)  # fmt: skip

upload_parts = Table(
    "upload_parts", metadata, _user(),
    Column("upload_id", String(32), primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)  # fmt: skip

webhooks = Table(
    "webhooks", metadata, _user(),
    Column("hook_id", String(32), primary_key=True),
    Column("url", Text, nullable=False),
    Column("kinds", Text, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("change_no", BigInteger, nullable=False),  # delivered through
    Column("created_us", BigInteger, nullable=False),
    Column("error", Text),
)  # fmt: skip

audit = Table(
    "audit", metadata, _user(),
    Column("entry_id", String(32), primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("action", NAME, nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_audit_at", "user_id", "at_us"),
)  # fmt: skip

releases = Table(
    "releases", metadata,
    Column("task", NAME, primary_key=True),
    Column("device_class", NAME, primary_key=True),
    Column("version", NAME, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("signature", String(128), nullable=False),
    Column("percent", Integer, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("card", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)  # fmt: skip
