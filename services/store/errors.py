"""Errors of the store."""

from __future__ import annotations

from data.errors import WristwiseError


class StoreError(WristwiseError, RuntimeError):
    """The store cannot be opened, or is of a version that this program does not know."""


class CursorExpired(WristwiseError, LookupError):
    """A changes cursor points before what tombstones' retention still holds."""
