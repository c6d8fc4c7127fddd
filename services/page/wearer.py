"""Who looks at the page, in which language and whose clock: what each view is given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import request
from sqlalchemy import Connection

from services.insight import days
from services.insight.chosen import Chosen, chosen
from services.page import catalogue
from services.page.wording import Wording
from services.sync.context import service, who

LANGUAGE_COOKIE, THEME_COOKIE = "wristwise_language", "wristwise_theme"


@dataclass(frozen=True)
class Wearer:
    """
    The person of this request.

    Parameters
    ----------
    user_id : int
    scope : str
        ``companion`` or ``caregiver`` (who sees events only).
    offset_s : int
        Of the wearer's clock from UTC, by the newest record.
    language, theme : str
    now_us : int
    chosen : Chosen
        What they said of themselves, and their units.
    """

    user_id: int
    scope: str
    offset_s: int
    language: str
    theme: str
    now_us: int
    chosen: Chosen

    @property
    def t(self) -> catalogue.Translate:
        """Words in the wearer's language."""
        return catalogue.translator(self.language)

    @property
    def wording(self) -> Wording:
        """Figures as words, in the wearer's language and units."""
        return Wording(self.t, self.chosen)

    @property
    def today(self) -> dt.date:
        """The wearer's local date."""
        return days.local_date(self.now_us, self.offset_s)

    def clock(self, us: int, offset_s: int | None = None) -> str:
        """Return HH:MM on the wearer's clock."""
        return self.local(us, offset_s).strftime("%H:%M")

    def moment(self, us: int, offset_s: int | None = None) -> str:
        """Return date and time on the wearer's clock, the date in words where it is not today."""
        at = self.local(us, offset_s)
        return f"{self.t('date.today') if at.date() == self.today else self.day(at.date())}, {at:%H:%M}"

    def day(self, date: dt.date) -> str:
        """Return a date as people say it, in the wearer's language."""
        return self.t("date.day", weekday=self.t(f"weekday.{date.weekday()}"), day=date.day,
                      month=self.t(f"month.{date.month}"), year=date.year)  # fmt: skip

    def short(self, date: dt.date) -> str:
        """Return a date without its year."""
        return self.t("date.short", day=date.day, month=self.t(f"month.{date.month}"))

    def local(self, us: int, offset_s: int | None = None) -> dt.datetime:
        """Return a moment on the wearer's clock (naive arithmetic on an aware UTC time)."""
        shift = self.offset_s if offset_s is None else offset_s
        return dt.datetime.fromtimestamp(us / 1e6, dt.UTC) + dt.timedelta(seconds=shift)


def language() -> str:
    """Return the language of this request."""
    return catalogue.choose(
        request.args.get("lang") or request.cookies.get(LANGUAGE_COOKIE), request.headers.get("Accept-Language")
    )


def theme() -> str:
    """Return the theme chosen, "" for the system's."""
    chosen = request.args.get("theme") or request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in ("light", "dark") else ""


def wearer() -> Wearer:
    """Return the wearer of this request; only behind a session."""
    access = who()
    offset, choice = read(lambda conn: (days.utc_offset_s(conn, access.user_id), chosen(conn, access.user_id)))
    now = int(dt.datetime.now(dt.UTC).timestamp() * 1e6)
    return Wearer(access.user_id, access.scope, offset, language(), theme(), now, choice)


def read(work: Callable[[Connection], Any]) -> Any:
    """Run a reading on the store of this app."""
    return service().store.read(work)
