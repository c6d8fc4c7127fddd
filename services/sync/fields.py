"""Types of members that several schemas share."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

LATEST = datetime(2200, 1, 1, tzinfo=UTC)
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
# Integers that every JSON reader keeps exactly.
MAX_INT = 2**53 - 1

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Label = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
Count = Annotated[int, Field(ge=0, le=MAX_INT, strict=True)]
UtcOffset = Annotated[int, Field(ge=-64800, le=64800, strict=True, description="Seconds east of UTC.")]


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its zone, such as 2026-11-24T12:00:00Z")
    if not EARLIEST <= value <= LATEST:
        raise ValueError("a time must lie between 1900 and 2200")
    return value.astimezone(UTC)


def _text(value: Any) -> Any:
    # RFC 3339 is text: a bare number would be taken for seconds or milliseconds by its size.
    if not isinstance(value, (str, datetime)):
        raise ValueError("a time is text in the form of RFC 3339, such as 2026-11-24T12:00:00Z")
    if isinstance(value, str) and len(value) < len("2026-11-24T12:00"):
        raise ValueError("a time is a date and a time of day in the form of RFC 3339, such as 2026-11-24T12:00:00Z")
    return value


def _bytes(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError("data must be base64 in JSON, bytes in MessagePack") from error
    if not isinstance(value, bytes):
        raise ValueError("data must be base64 in JSON, bytes in MessagePack")
    return value


Instant = Annotated[
    datetime,
    BeforeValidator(_text),
    AfterValidator(_aware),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Bytes = Annotated[bytes, BeforeValidator(_bytes), WithJsonSchema({"type": "string", "contentEncoding": "base64"})]


class Body(BaseModel):
    """Base of what clients send: unknown members are ignored, so that a newer watch can speak to an older service."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Reply(BaseModel):
    """Base of what we answer."""

    model_config = ConfigDict(extra="forbid")


def to_us(moment: datetime) -> int:
    """Return an aware time in microseconds of UTC, exactly."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_us(us: int) -> str:
    """Return microseconds of UTC as RFC 3339, to the millisecond."""
    seconds, rest = divmod(us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:03d}Z"
