"""What the server has to tell the wearer: reminders, fetched after a sync and shown on the wrist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from services.watch.link import Answer
from services.watch.outbox import Outbox

KIND = "reminder"


class Inbox:
    """
    The changes feed, as far as a watch follows it.

    Parameters
    ----------
    get : callable
        GET of a path with headers, authorised as this watch (`Uplink.get`).
    outbox : Outbox
        Keeps the cursor.
    kind : str
        Kind of records that it follows, each with a cursor of its own.
    """

    def __init__(self, get: Callable[[str, Mapping[str, str]], Answer], outbox: Outbox, kind: str = KIND) -> None:
        self._get, self._outbox, self._kind = get, outbox, kind
        self._key = "inbox" if kind == KIND else f"inbox/{kind}"

    def collect(self, show: Callable[[Mapping[str, Any]], None]) -> int:
        """Show what is new, and only then move the cursor; return how many that were.

        A watch that dies in between shows a reminder twice rather than never.

        Raises
        ------
        LinkDown
            If no answer comes.
        """
        shown, more = 0, True
        while more:
            cursor = self._outbox.get(self._key)
            query = {"kind": self._kind} | ({"cursor": cursor} if cursor else {})
            answer = self._get(f"/v1/changes?{urlencode(query)}", {"Accept": "application/json"})
            if answer.status == 410:
                # The cursor is too old: begin again, as the server says.
                self._outbox.keep({self._key: None})
                continue
            page = answer.value
            if answer.status != 200 or not isinstance(page, dict):
                return shown
            for record in page["changes"]:
                if not record["deleted"]:
                    show(record)
                    shown += 1
            self._outbox.keep({self._key: page["cursor"]})
            more = bool(page["more"])
        return shown
