"""Logs as lines of JSON on stderr: what happened and where; never a health value, a name, a secret or a token."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import IO, Any

LEVELS = ("debug", "info", "warning", "error")
# Loggers whose messages we wrote ourselves, and know what may stand in them.
OURS = "wristwise"
_FRAMES = 8


class JsonLines(logging.Formatter):
    """
    One line of JSON a record.

    Members: ``at``, ``level``, ``logger``, ``event``; what the record brings in ``fields``; for an exception ``error``
    (its type) and ``frames`` (where it came through). Of an exception never its text, and of a message that is not ours
    never what was filled in: both may hold what somebody's body measured.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        ours = record.name.partition(".")[0] == OURS
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(), "logger": record.name,
            "event": record.getMessage() if ours else str(record.msg),
            **getattr(record, "fields", {}),
        }  # fmt: skip
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, trace = record.exc_info
            line["error"] = kind.__name__
            frames = traceback.extract_tb(trace)[-_FRAMES:]
            line["frames"] = [f"{f.filename}:{f.lineno} {f.name}" for f in frames]
        return json.dumps(line)


def write_logs(level: str, stream: IO[str] | None = None) -> logging.Handler:
    """
    Write everything from `level` on as lines of JSON to `stream` (default: stderr); return the handler that does.

    Called again it takes the place of what it set up before.
    """
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h.formatter, JsonLines)]:
        root.removeHandler(old)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root.addHandler(handler)
    root.setLevel(level.upper())
    return handler
